# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long replaying and judging a fleet's recordings takes in one process: python3 tests/bench/replay.py [DESKS]"""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def replay_script() -> ModuleType:
    """tests/replay.py as a module."""
    spec = importlib.util.spec_from_file_location("replay_script", ROOT / "tests" / "replay.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Replay as many desks as told (200), going round the shipped recordings, and print wall and CPU time."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    script = replay_script()
    folders = script.shipped()
    wall, cpu = time.monotonic(), time.process_time()
    for number in range(wanted):
        script.replay(folders[number % len(folders)])
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    print(f"{'desks':>6} {'wall s':>8} {'CPU s':>8} {'ms each':>8}")
    print(f"{wanted:>6} {wall:>8.1f} {cpu:>8.1f} {1000 * wall / max(1, wanted):>8.0f}")


if __name__ == "__main__":
    main()
