"""Make the samples of this and of two other folders importable (pytest runs with importlib mode)."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "proof", HERE.parent / "cable", HERE.parent / "enrol"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
