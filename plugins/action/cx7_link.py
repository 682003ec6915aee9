# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of a link change: plan from facts, apply, come back over a new connection, confirm.

Nothing is run on a desk whose facts of this run are as wanted. A change takes two executions; between them the connection is closed,
so that the second one proves that the desk can still be reached.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.changes.link_plan import ABSENT, PRESENT, LinkOptions, LinkPlan, LinkRequest, plan, resolve
from ..module_utils.changes.link_result import functions_of
from ..module_utils.judges.catalogue import finding
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Finding, Where
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.addressing import (
    AddressingError,
    Numbers,
    addresses,
    carried,
    keeps_role,
    mtu_differs,
    request,
    role_kept,
    stack_requests,
    wrong_sources,
)
from ..plugin_utils.endpoints import cabled_port, cages_of
from ..plugin_utils.run.wants import LINK_MTU

MODULE = "labops.dgx_spark.cx7_link"
RETRY_EVERY = 2.0
"""Seconds between attempts to come back."""
AFTERWARDS = 45.0
"""Seconds after the deadline in which the desk is asked what became of the change: its undo needs some of them."""


class ActionModule(DeskAction):
    """See the module's documentation."""

    def work(self, call: Call) -> dict[str, Any]:
        """Plan on the controller; change, come back, confirm where the plan is not empty."""
        if call.given["phase"] != "change":
            return self.execute(MODULE, call.only_named(), call)
        return self._change(call)

    # ---- planning on the controller ---------------------------------------------------------------------------------

    def _change(self, call: Call) -> dict[str, Any]:
        desk = call.desk
        stack = call.stack
        where = Where(pair=stack.name if stack else None, desk=desk)
        arguments = {"desk": desk, **call.only_named()}
        if stack is not None:
            arguments.setdefault("pair_name", stack.name)
        state = call.given["state"]
        said: list[Finding] = []
        numbers = arguments.pop("pair", None)
        if state == PRESENT and not arguments.get("links"):
            if numbers is None:
                raise AnsibleActionFail("cx7_link needs links (ports and addresses of this desk) or pair (numbers of its pair)")
            try:
                asked, said = self._from_pair(numbers, where, call)
            except AddressingError as error:
                raise AnsibleActionFail(f"{desk}: {error}") from error
            arguments["links"] = [{"port": item.port, "addresses": list(item.addresses), "mtu": item.mtu} for item in asked]
        if any(item.severity == "fail" for item in said):
            return _refused(said)
        made, facts = self._plan(arguments, call, where)
        if made is not None and made.is_refused:
            return _refused([*said, *made.findings], made)
        if made is not None and facts is not None and not made.steps:
            netdevs = [item.netdev for item in made.functions]
            return {
                "changed": False,
                "before": made.before,
                "after": made.before,
                "commands": [],
                "steps": [],
                "functions": functions_of(facts, netdevs) if state == PRESENT else [],
                "findings": [item.as_dict() for item in (*said, *made.findings)],
                "armed": False,
                "msg": "The link is as wanted." if state == PRESENT else "No link is set up here.",
            }
        outcome = self._apply_and_confirm(arguments, where, call)
        told = [self._whose(item, call) for item in outcome.get("findings") or []]
        outcome["findings"] = [*(item.as_dict() for item in said), *told]
        return outcome

    @staticmethod
    def _whose(item: Mapping[str, Any], call: Call) -> Mapping[str, Any]:
        """A finding of the desk's; of an address that another desk of its stack has, with that desk's name."""
        given = (item.get("evidence") or {}).get("macs") if item.get("code") == "CX7_ADDRESS_TAKEN" else None
        macs = {str(mac).lower() for mac in given} if isinstance(given, list) else set()
        for other in call.stack.others(call.desk) if macs and call.stack else ():
            part = call.store.part("facts", other)
            ports = ((part.data.get("spark") or {}).get("cx7") or {}).get("ports") or () if part else ()
            if macs <= {str(function.get("mac")).lower() for port in ports for function in port.get("functions") or ()}:
                return {
                    **item,
                    "message": f"{item['message']} That is {other}.",
                    "remedy": f"{other} gives the address up when its own link is set: do what its findings say, if there are any, and run "
                    "again.",
                }
        return item

    @staticmethod
    def _plan(arguments: Mapping[str, Any], call: Call, where: Where) -> tuple[LinkPlan | None, Desk | None]:
        """The plan from this run's facts; null when they do not tell enough, so that the desk must be asked."""
        if call.facts is None:
            return None, None
        facts, state = from_dict(Desk, call.facts), call.given["state"]
        needed = {"cx7", "network", "busy", "setup"}
        if (
            not facts.privileged
            or (facts.subsets and not needed <= set(facts.subsets))
            or any(key.startswith("setup.link") for key in facts.unread)
        ):
            return None, None
        options = LinkOptions(state, call.given["take_over"], call.given["force"])
        if state == ABSENT:
            return plan(facts, where, (), options), facts
        asked = [_request(item) for item in arguments["links"]]
        wants, findings = resolve(facts, where, asked)
        if any(item.code == "CX7_LINK_DOWN" and item.evidence.get("switched_off") for item in findings):
            # Functions that are switched off tell no carrier; the desk can switch them on for a look.
            return None, None
        if any(item.severity in ("fail", "unknown") for item in findings):
            return LinkPlan(PRESENT, findings=findings, is_refused=True), facts
        return plan(facts, where, wants, options), facts

    def _from_pair(self, given: Mapping[str, Any], where: Where, call: Call) -> tuple[list[LinkRequest], list[Finding]]:
        """The desk's requests from its place in its stack. Raises AddressingError."""
        stack = call.stack
        if stack is None:
            raise AddressingError("pair needs a run (spark_plan) with this desk in a pair; name links instead")
        numbers = Numbers(
            tuple(given["subnets"]),
            given["head_host"],
            given["peer_host"],
            given["mtu"],
            given.get("port"),
            tuple(given["ring_subnets"]),
            tuple(given["ring_hosts"]),
            given["addresses"],
        )
        refused = wrong_sources([stack], {call.desk: numbers.source})
        if refused:
            raise AddressingError(refused[0])
        desk, rank = call.desk, call.run.members[call.desk].rank
        store = call.store
        said: list[Finding] = []
        for other in stack.neighbours(desk):
            other_mtu = self._mtu_of(other, numbers.mtu, desk, call)
            if other_mtu != numbers.mtu:
                said.append(mtu_differs(where, desk, numbers.mtu, other, other_mtu))
            part = store.part("facts", other) if stack.is_pair else None
            if stack.is_pair and keeps_role(call.facts, (part.data.get("spark") if part else None), numbers, rank):
                rank = 1 - rank
                said.append(role_kept(where, [item for item in addresses(numbers, rank) if item in carried(call.facts or {})]))
        if not stack.is_pair:
            return stack_requests(numbers, stack, desk, cages_of(store, desk)), said
        return [request(numbers, rank, cabled_port(store, desk))], said

    @staticmethod
    def _mtu_of(other: str, mine: int, desk: str, call: Call) -> int:
        """The other desk's MTU variable; mine where neither desk's inventory sets one."""
        hostvars = call.task_vars.get("hostvars") or {}
        values = {}
        for name in (desk, other):
            variables = hostvars.get(name) or {}
            if variables.get(LINK_MTU.variable) is not None:
                values[name] = LINK_MTU.read({LINK_MTU.variable: variables[LINK_MTU.variable]}, name)
        if other in values:
            return int(values[other])
        return Numbers().mtu if desk in values else mine

    # ---- applying and confirming ------------------------------------------------------------------------------------

    def _apply_and_confirm(self, arguments: Mapping[str, Any], where: Where, call: Call) -> dict[str, Any]:
        begun = time.monotonic()
        first = self.execute(MODULE, {**arguments, "phase": "change"}, call)
        if first.get("failed") or not first.get("armed"):
            return first
        patience = min(int(first.get("confirm_within") or 0), int(call.given["confirm_timeout"]))
        self._display.display(
            f"  {where.desk}: link change made but not yet confirmed; if this run is interrupted, the desk undoes it on its own within "
            f"{patience} s"
        )
        deadline = time.monotonic() + patience
        change_id = str(first["change_id"])
        second: dict[str, Any] = {}
        while True:
            self.new_connection()
            second = self.execute(MODULE, {**arguments, "phase": "confirm", "change_id": change_id}, call)
            if not second.get("desk_unreachable"):
                return _joined(first, second)
            if time.monotonic() + RETRY_EVERY > deadline:
                break
            time.sleep(RETRY_EVERY)
        return self._aftermath(first, second, arguments, change_id, deadline, where, call, time.monotonic() - begun)

    def _aftermath(
        self,
        first: dict[str, Any],
        second: dict[str, Any],
        arguments: Mapping[str, Any],
        change_id: str,
        deadline: float,
        where: Where,
        call: Call,
        waited: float,
    ) -> dict[str, Any]:
        """The desk did not come back in time: ask what it did, and say so when it cannot be asked."""
        limit = deadline + AFTERWARDS
        while time.monotonic() < limit:
            self.new_connection()
            status = self.execute(MODULE, {**arguments, "phase": "status", "change_id": change_id}, call)
            if not status.get("desk_unreachable") and not status.get("armed"):
                return _joined(first, status)
            time.sleep(RETRY_EVERY)
        message = (
            f"The link change was made, but then {where.desk} could not be reached for {waited:.0f} s to confirm it. "
            "The desk undoes the change on its own; whether it has done so could not be checked."
        )
        evidence = {"change": change_id, "error": second.get("msg")}
        found = finding("CX7_CHANGE_UNCONFIRMED", where, message, evidence=evidence)
        return {**first, "failed": True, "msg": message, "findings": [*(first.get("findings") or []), found.as_dict()]}


def _refused(findings: list[Finding], made: LinkPlan | None = None) -> dict[str, Any]:
    """Refused on the controller: nothing was run on the desk."""
    before = made.before if made else {}
    return {
        "failed": True,
        "changed": False,
        "before": before,
        "after": before,
        "commands": [],
        "steps": list(made.steps) if made else [],
        "functions": [],
        "armed": False,
        "findings": [item.as_dict() for item in findings],
        "msg": " ".join(item.message for item in findings if item.severity in ("fail", "unknown")),
    }


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """One result of both executions: what was planned and before from the first, what is from the second."""
    joined = {**first, **second}
    undone = bool(second.get("failed")) and not second.get("changed")
    joined["changed"] = not undone
    joined["before"] = first.get("before") or {}
    joined["after"] = joined["before"] if undone else (second.get("after") or first.get("after") or {})
    joined["steps"] = first.get("steps") or []
    joined["commands"] = first.get("commands") or second.get("commands") or []
    joined["findings"] = [*(first.get("findings") or []), *(second.get("findings") or [])]
    joined["armed"] = False
    joined.pop("confirm_within", None)
    if first.get("diff"):
        joined["diff"] = first["diff"]
    return joined


def _request(item: Mapping[str, Any]) -> LinkRequest:
    return LinkRequest(item.get("port"), tuple(item["addresses"]), item.get("mtu") or Numbers().mtu)
