"""Make the samples of the proof tests and the simulator's model of a cable importable here too (pytest runs with importlib mode)."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve()
for folder in (HERE.parent, HERE.parents[1] / "proof", HERE.parents[3] / "simulator"):
    sys.path.insert(0, str(folder))
