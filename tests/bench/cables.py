# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the answers of a fleet are mapped and judged, and how long the cable stage takes with reading every desk's parts.

PYTHONPATH=.collections:tests/unit/cable:tests/unit/support python3 tests/bench/cables.py [DESKS]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "cable"))

from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_judge import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import read_map
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import End, PlannedCable
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.cable_run import cables_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import DONE, Part, RunStore
from cabled_lab import Lab, pairs, plugs_moved, right
from replay import replay_script
from sample_run import run_of

Ends = list[End | str | None]


def as_planned(plan: list[PlannedCable]) -> list[Ends]:
    """Every pair is right."""
    return right(plan)


def one_ring(plan: list[PlannedCable]) -> list[Ends]:
    """One ring through all pairs: the longest chain of movements."""
    return [[End(item.b, 0), End(plan[(index + 1) % len(plan)].a, 0)] for index, item in enumerate(plan)]


def at_random(plan: list[PlannedCable]) -> list[Ends]:
    """Every cage holds the plug of any cable."""
    ends: list[End | str | None] = [End(desk, port) for item in plan for desk in (item.a, item.b) for port in (0, 1)]
    random.Random(7).shuffle(ends)
    return [list(two) for two in zip(ends[::2], ends[1::2], strict=True)]


CASES: tuple[Callable[[list[PlannedCable]], list[Ends]], ...] = (as_planned, one_ring, at_random)


def main() -> None:
    """Map and judge each case and print wall and CPU time."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{'cabling':12} {'desks':>6} {'wall s':>8} {'CPU s':>8} {'steps':>6} {'plugs':>6}")
    for case in CASES:
        desks, plan = pairs(wanted // 2)
        probes = Lab(desks, case(plan), eeprom=True).probes()
        wall, cpu = time.monotonic(), time.process_time()
        judged = judge(read_map(probes, {}, {}), plan, probes)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        print(f"{case.__name__:12} {wanted:>6} {wall:>8.3f} {cpu:>8.3f} {len(judged.steps):>6} {plugs_moved(judged.steps):>6}")
    wall, cpu = stage(wanted)
    print(f"{'cables_of':12} {wanted:>6} {wall:>8.3f} {cpu:>8.3f}")


def stage(wanted: int) -> tuple[float, float]:
    """(wall seconds, CPU seconds) of the cable stage's map after a first one, with the facts of a recorded desk for each."""
    script = replay_script()
    facts = next(script.replay(path)["facts"] for path in script.shipped() if path.name == "founders_stacked")
    desks, plan = pairs(wanted // 2)
    run, lab = run_of({item.pair: (item.a, item.b) for item in plan}), Lab(desks, right(plan))
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(folder)
        for desk in desks:
            store.write(Part("facts", desk, DONE, data={"spark": facts}))
            store.write(Part("cable", desk, DONE, data={"cable": as_dict(lab.probe(desk))}))
        cables_of(store, run)
        wall, cpu = time.monotonic(), time.process_time()
        cables_of(RunStore(folder), run)
        return time.monotonic() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
