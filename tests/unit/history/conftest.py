"""Make the samples of reports and judges importable (pytest runs with importlib mode)."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE.parent / "report", HERE.parent / "proof", HERE.parent / "judges"):
    sys.path.insert(0, str(folder))
