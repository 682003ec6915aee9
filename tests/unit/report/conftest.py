"""Make the samples of this folder, and those of the judges, importable (pytest runs with importlib mode)."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "proof", HERE.parent / "judges"):
    sys.path.insert(0, str(folder))
