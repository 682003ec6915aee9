# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where tests/real_test.sh puts what it fetches."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path(os.environ.get("REAL_PARTS", ROOT / "build" / "real"))
CUDA = PLACE / "cuda" / "nvidia" / "cu13"
WHEELS = PLACE / "wheels"
OPENMPI5 = PLACE / "openmpi"

# The collection is imported as the unit tests import it.
runpy.run_path(str(ROOT / "tests" / "unit" / "conftest.py"))
