"""Make the samples of the proof tests importable here too (pytest runs with importlib mode)."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in (Path(__file__).resolve().parent, Path(__file__).resolve().parents[1] / "proof"):
    sys.path.insert(0, str(folder))
