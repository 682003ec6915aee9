# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of rdma_pair and nccl_pair share: check mode, the busy guard, and the arguments from the run's facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils.judges.busy import busy_findings
from ..module_utils.judges.catalogue import finding
from ..module_utils.model.data import as_dict
from ..module_utils.model.finding import Finding, Where, verdict
from ..module_utils.model.link import Path as MeasuredPath
from .actions import Call, DeskAction
from .endpoints import EndpointError, desk_facts, meets_at, stack_paths
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
        if call.known_run is None or any(arguments.get(name) for name in ("head", "paths", "ends")):
            return self.own(self.execute(self.module, arguments, call), {**call.given, **arguments})
        stack, store = call.required_stack, call.store
        where = Where(pair=stack.name)
        if self._task.check_mode:
            found = finding("NOT_MEASURED_CHECK_MODE", where, f"pair {stack.name}: {self.what} was not measured in check mode")
            return _without_measurement([found])
        try:
            paths = stack_paths(store, stack)
            guard = [item for desk in stack.members for item in _busy(store, stack, desk, call.given["force"])]
        except EndpointError as error:
            return _without_measurement([finding(self.not_measured, Where(pair=stack.name, desk=error.desk), str(error))])
        guard += self.conditions(call, stack)
        if any(item.severity in ("unknown", "fail") for item in guard):
            return _without_measurement(guard)
        facts = desk_facts(store, call.desk)
        filled = {
            "pair": stack.name,
            **self.ends(stack, paths),
            "user": facts.limits.user or self.login_user(call.task_vars),
            "run_id": call.run.run_id,
            **_ports(call, stack),
            **self.more(call, stack),
            **arguments,
            **({} if stack.is_pair else {"topology": stack.topology, "bootstrap": meets_at(stack, call.given["bootstrap"])}),
        }
        answer = self.own(self.execute(self.module, filled, call), {**call.given, **filled})
        if guard and "findings" in answer:
            answer["findings"] = [*(item.as_dict() for item in guard), *answer["findings"]]
        return answer

    def ends(self, stack: Stack, paths: Sequence[MeasuredPath]) -> dict[str, Any]:
        """The arguments that say between which ends is measured."""
        del stack
        return {"head": as_dict(paths[0].first), "peer": as_dict(paths[0].second)}

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


def _ports(call: Call, stack: Stack) -> dict[str, Any]:
    """Where ssh of the other members listens."""
    ports = {desk: call.run.members[desk].ssh_port for desk in stack.others(stack.head)}
    first = next(iter(ports.values()))
    return {"ssh_port": first} if stack.is_pair or set(ports.values()) == {first} else {"ssh_ports": ports}


def _busy(store: RunStore, stack: Stack, desk: str, force: bool) -> list[Finding]:
    return busy_findings(desk_facts(store, desk), Where(pair=stack.name, desk=desk), severity="warn" if force else "unknown")


def _without_measurement(findings: list[Finding]) -> dict[str, Any]:
    return {
        "changed": False,
        "measured": False,
        "findings": [item.as_dict() for item in findings],
        "verdict": verdict(item.severity for item in findings),
    }
