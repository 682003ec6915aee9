# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose on the controller which pairs a changing stage takes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.judges.reboot import reboot_reasons
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.run_store import RunStore
from ..plugin_utils.waves import ALL_AT_ONCE, ONE_FIRST, linked_before, units_of, waves
from .stage_changed import changed_since_facts
from .stage_gate import DESK, gate

REBOOT = "reboot"


class ActionModule(DeskAction):
    """See the module documentation of stage_waves."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        plan, store, arguments = self.required_plan(task_vars), self.store(task_vars), self.arguments()
        stage, scope = str(arguments["stage"]), str(arguments.get("scope") or DESK)
        units = units_of(plan)
        ready = [unit for unit in units if any(not gate(plan, store, desk, scope)[1] for desk in unit)]
        if stage == REBOOT:
            hostvars = task_vars["hostvars"]
            ready = [unit for unit in ready if any(may_reboot(store, hostvars.get(desk) or {}, desk) for desk in unit)]
        # A check loses nobody, and its preview shall be whole.
        wish = ALL_AT_ONCE if self._task.check_mode else (plan.get("waves") or _default(stage, units, store))
        chosen = waves(units, ready, wish)
        if len(chosen) > 1:
            self._display.display(announcement(stage, plan, chosen))
        result.update(changed=False, waves=chosen)
        return result


def _default(stage: str, units: list[tuple[str, ...]], store: RunStore) -> tuple[Any, ...]:
    facts = {desk: part.data.get("spark") or {} for desk, part in store.parts("facts").items()}
    return ALL_AT_ONCE if stage != REBOOT and linked_before(units, facts) else ONE_FIRST


def may_reboot(store: RunStore, variables: Mapping[str, Any], desk: str) -> bool:
    """Whether role desk_reboot may reboot this desk: its policy allows it, and its facts or a change of this run ask for it."""
    policy = str(variables.get("desk_reboot_policy") or "inherit")
    if policy == "inherit":
        policy = str(variables.get("driver_lock_reboot") or "never")
    part = store.part("facts", desk)
    facts = part.data.get("spark") if part else None
    if policy == "never" or not isinstance(facts, Mapping):
        return False
    return bool(reboot_reasons(from_dict(Desk, facts)) or changed_since_facts(store, desk))


def announcement(stage: str, plan: Mapping[str, Any], chosen: list[dict[str, Any]]) -> str:
    """One line for the admin: who goes first, and how many waves follow."""
    first = [desk for desk in chosen[0]["desks"] if desk in chosen[1]["after"]]
    names = list(dict.fromkeys(plan["desks"][desk]["pair"] or desk for desk in first))
    more = "one more wave" if len(chosen) == 2 else f"{len(chosen) - 1} more waves"
    return f"Stage {stage}: {', '.join(names)} first, then {more} unless a desk is lost (spark_waves)."
