# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to know every topology knows it: one more word in run/model.py fails here by the name of each place."""

from __future__ import annotations

import re

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import settings
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import cable_stacks
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import lab_sheet
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run import inventory, model
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import SIZES, TOPOLOGIES, Stack
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.wants import TOPOLOGY
from house import MODULES, ROOT, spec_of

PAGE = (ROOT / "docs/topologies.md").read_text(encoding="utf-8")
CHOICES = {module: spec_of(module)["topology"]["choices"] for module in MODULES if "topology" in spec_of(module)}


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_topology_is_known_wherever_it_is_asked_for(topology: str) -> None:
    lacking = [
        place
        for place, words in {
            "SIZES in run/model.py": SIZES,
            "_COUNTS in run/inventory.py": inventory._COUNTS,
            "_COUNTS in plugin_utils/lab_sheet.py": lab_sheet._COUNTS,
            "the description of spark_topology in run/wants.py": re.findall(r"C\((\w+)\)", TOPOLOGY.description),
            "the first table of docs/topologies.md": re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE),
            **{f"the choices of topology in plugins/modules/{module}.py": choices for module, choices in CHOICES.items()},
        }.items()
        if topology not in words
    ]
    assert lacking == [], f"{topology} is missing in {', '.join(lacking)}"


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_stack_of_the_fewest_desks_has_cables_and_paths(topology: str) -> None:
    stack = Stack("stack_a", tuple(f"desk-{number:02}" for number in range(SIZES[topology][0])), topology)
    assert stack.cables and stack.paths and all(stack.neighbours(desk) for desk in stack.members)


def test_what_runs_on_desks_has_the_same_words() -> None:
    """module_utils/ cannot import the run."""
    assert (settings.DIRECT, settings.RING, cable_stacks.RING) == (model.DIRECT, model.RING, model.RING)
    assert len(CHOICES) == 2
