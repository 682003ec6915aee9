# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of rdma_pair and nccl_pair share: check mode, the busy guard, and the arguments from the run's facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.judges.busy import busy_findings
from ..module_utils.judges.catalogue import finding
from ..module_utils.model.data import as_dict
from ..module_utils.model.finding import Finding, Where, verdict
from .actions import DeskAction
from .endpoints import EndpointError, desk_facts, pair_ends
from .run_store import RunStore

TRUE_WORDS = ("true", "yes", "on", "1")


class PairMeasurement(DeskAction):
    """Base of the two actions."""

    module = ""
    what = ""
    not_measured = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fill in the arguments, guard, run the module once on the head."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments = self.arguments()
        plan = self.plan(task_vars)
        desk = self.desk_name(task_vars)
        if plan is None or arguments.get("head"):
            result.update(self.execute(self.module, arguments, task_vars))
            return result
        pair = str(plan["desks"][desk]["pair"])
        where = Where(pair=pair)
        if self._task.check_mode:
            found = finding("NOT_MEASURED_CHECK_MODE", where, f"pair {pair}: {self.what} was not measured in check mode")
            return {**result, **_without_measurement([found])}
        store = RunStore(plan["run_dir"])
        try:
            ends = pair_ends(store, plan, pair)
            guard = self._guard(store, plan, pair, str(arguments.get("force", "")).lower() in TRUE_WORDS)
        except EndpointError as error:
            return {**result, **_without_measurement([finding(self.not_measured, Where(pair=pair, desk=error.desk), str(error))])}
        guard += self.conditions(store, pair, desk)
        if any(item.severity in ("unknown", "fail") for item in guard):
            return {**result, **_without_measurement(guard)}
        facts = desk_facts(store, desk)
        filled = {
            "pair": pair,
            "head": as_dict(ends[0]),
            "peer": as_dict(ends[1]),
            "user": facts.limits.user or self.login_user(task_vars),
            "run_id": plan["run_id"],
            **self.more(store, desk),
            **arguments,
        }
        answer = self.execute(self.module, filled, task_vars)
        if guard and "findings" in answer:
            answer["findings"] = [*(item.as_dict() for item in guard), *answer["findings"]]
        result.update(answer)
        return result

    def conditions(self, store: RunStore, pair: str, desk: str) -> list[Finding]:
        """What else must hold before the measurement."""
        del store, pair, desk
        return []

    def more(self, store: RunStore, desk: str) -> dict[str, Any]:
        """Further arguments from the run."""
        del store, desk
        return {}

    @staticmethod
    def _guard(store: RunStore, plan: Mapping[str, Any], pair: str, force: bool) -> list[Finding]:
        entry = next(item for item in plan["pairs"] if item["name"] == pair)
        found = []
        for name in (entry["head"], entry["peer"]):
            found += busy_findings(desk_facts(store, name), Where(pair=pair, desk=name), severity="warn" if force else "unknown")
        return found


def _without_measurement(findings: list[Finding]) -> dict[str, Any]:
    return {
        "changed": False,
        "measured": False,
        "findings": [item.as_dict() for item in findings],
        "verdict": verdict(item.severity for item in findings),
    }
