"""Let the tests import the tools of this checkout, and the simulator's own package."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
for place in (str(ROOT / "simulator"), str(ROOT)):
    if place not in sys.path:
        sys.path.insert(0, place)
