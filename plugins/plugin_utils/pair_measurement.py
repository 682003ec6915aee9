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
from .actions import Call, DeskAction
from .endpoints import EndpointError, desk_facts, path_ends
from .run.model import Stack
from .run.store import RunStore


class PairMeasurement(DeskAction):
    """Base of the two actions."""

    module = ""
    what = ""
    not_measured = ""

    def work(self, call: Call) -> dict[str, Any]:
        """Fill in the arguments, guard, run the module once on the head."""
        arguments = call.only_named()
        if call.known_run is None or arguments.get("head"):
            return self.own(self.execute(self.module, arguments, call), {**call.given, **arguments})
        stack, store = call.required_stack, call.store
        where = Where(pair=stack.name)
        if self._task.check_mode:
            found = finding("NOT_MEASURED_CHECK_MODE", where, f"pair {stack.name}: {self.what} was not measured in check mode")
            return _without_measurement([found])
        try:
            ends = path_ends(store, stack.paths[0])
            guard = [item for desk in stack.members for item in _busy(store, stack, desk, call.given["force"])]
        except EndpointError as error:
            return _without_measurement([finding(self.not_measured, Where(pair=stack.name, desk=error.desk), str(error))])
        guard += self.conditions(call, stack)
        if any(item.severity in ("unknown", "fail") for item in guard):
            return _without_measurement(guard)
        facts = desk_facts(store, call.desk)
        filled = {
            "pair": stack.name,
            "head": as_dict(ends[0]),
            "peer": as_dict(ends[1]),
            "user": facts.limits.user or self.login_user(call.task_vars),
            "run_id": call.run.run_id,
            "ssh_port": call.run.members[stack.others(stack.head)[0]].ssh_port,
            **self.more(call, stack),
            **arguments,
        }
        answer = self.own(self.execute(self.module, filled, call), {**call.given, **filled})
        if guard and "findings" in answer:
            answer["findings"] = [*(item.as_dict() for item in guard), *answer["findings"]]
        return answer

    def own(self, answer: dict[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The answer with what the controller knows better than the head."""
        del arguments
        return answer

    def conditions(self, call: Call, stack: Stack) -> list[Finding]:
        """What else must hold before the measurement."""
        del call, stack
        return []

    def more(self, call: Call, stack: Stack) -> dict[str, Any]:
        """Further arguments from the run."""
        del call, stack
        return {}


def _busy(store: RunStore, stack: Stack, desk: str, force: bool) -> list[Finding]:
    return busy_findings(desk_facts(store, desk), Where(pair=stack.name, desk=desk), severity="warn" if force else "unknown")


def _without_measurement(findings: list[Finding]) -> dict[str, Any]:
    return {
        "changed": False,
        "measured": False,
        "findings": [item.as_dict() for item in findings],
        "verdict": verdict(item.severity for item in findings),
    }
