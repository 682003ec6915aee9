# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose on the controller which pairs a changing stage takes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugin_utils.actions import DeskAction
from ..plugin_utils.waves import ALL_AT_ONCE, ONE_FIRST, units_of, waves, worked_before
from .stage_gate import DESK, gate


class ActionModule(DeskAction):
    """See the module documentation of stage_waves."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        plan, store, arguments = self.required_plan(task_vars), self.store(task_vars), self.arguments()
        stage, scope = str(arguments["stage"]), str(arguments.get("scope") or DESK)
        wish = arguments.get("waves") or plan.get("waves")
        units = units_of(plan)
        ready = [unit for unit in units if any(not gate(plan, store, desk, scope)[1] for desk in unit)]
        if wish is None:
            facts = [part.data.get("spark") or {} for part in store.parts("facts").values()]
            wish = ALL_AT_ONCE if worked_before(stage, facts) else ONE_FIRST
        chosen = waves(units, ready, wish)
        if len(chosen) > 1 and not self._task.check_mode:
            self._display.display(announcement(stage, plan, chosen))
        result.update(changed=False, waves=chosen)
        return result


def announcement(stage: str, plan: Mapping[str, Any], chosen: list[dict[str, Any]]) -> str:
    """One line for the admin: who goes first, and how many waves follow."""
    first = [desk for desk in chosen[0]["desks"] if desk in chosen[1]["after"]]
    names = list(dict.fromkeys(plan["desks"][desk]["pair"] or desk for desk in first))
    more = "one more wave" if len(chosen) == 2 else f"{len(chosen) - 1} more waves"
    return f"Stage {stage}: {', '.join(names)} first, then {more} unless a desk is lost (spark_waves)."
