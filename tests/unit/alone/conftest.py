"""Honest answers of every module, and a lab of cables on paper, are importable here."""

from __future__ import annotations

import sys
from pathlib import Path

UNIT = Path(__file__).resolve().parents[1]
for folder in ("admission", "proof", "cable", "enrol"):
    if str(UNIT / folder) not in sys.path:
        sys.path.insert(0, str(UNIT / folder))
