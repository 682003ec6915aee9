"""Let the tests import the helpers that lie in tests/unit/changes."""

from __future__ import annotations

import sys
from pathlib import Path

HELPERS = str(Path(__file__).resolve().parents[1] / "changes")
if HELPERS not in sys.path:
    sys.path.insert(0, HELPERS)
