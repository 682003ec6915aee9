"""Let the tests import the helpers of all scenarios and of this one."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve()
for folder in (HERE.parents[2] / "support", HERE.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
