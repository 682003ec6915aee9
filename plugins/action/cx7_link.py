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

from ansible.errors import AnsibleActionFail, AnsibleError

from ..module_utils.changes.link_plan import ABSENT, PRESENT, LinkOptions, LinkPlan, LinkRequest, plan, resolve
from ..module_utils.changes.link_result import functions_of
from ..module_utils.judges.catalogue import finding
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Finding, Where
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.addressing import AddressingError, Numbers, addresses, keeps_role, mtu_differs, request, role_kept

MODULE = "labops.dgx_spark.cx7_link"
MTU_VARIABLE = "pair_link_mtu"
RETRY_EVERY = 2.0
"""Seconds between attempts to come back."""
AFTERWARDS = 45.0
"""Seconds after the deadline in which the desk is asked what became of the change: its undo needs some of them."""


class ActionModule(DeskAction):
    """See the module's documentation."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        if self._task.async_val:
            raise AnsibleActionFail(
                "cx7_link cannot be run with async: the change is confirmed over a new connection. Remove async and poll."
            )
        result = super().run(tmp, task_vars)
        arguments = self.arguments()
        if arguments.get("phase", "change") != "change":
            result.update(self.execute(MODULE, arguments, task_vars))
            return result
        return {**result, **self._change(arguments, task_vars)}

    # ---- planning on the controller ---------------------------------------------------------------------------------

    def _change(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        desk = self.desk_name(task_vars)
        run_plan = self.plan(task_vars)
        place = ((run_plan or {}).get("desks") or {}).get(desk) or {}
        where = Where(pair=place.get("pair"), desk=desk)
        arguments.setdefault("desk", desk)
        if place.get("pair"):
            arguments.setdefault("pair_name", place["pair"])
        state = str(arguments.get("state") or PRESENT)
        said: list[Finding] = []
        numbers = arguments.pop("pair", None)
        if state == PRESENT and not arguments.get("links"):
            if not isinstance(numbers, Mapping):
                raise AnsibleActionFail("cx7_link needs links (ports and addresses of this desk) or pair (numbers of its pair)")
            try:
                asked, said = self._from_pair(numbers, where, place, run_plan, task_vars)
            except AddressingError as error:
                raise AnsibleActionFail(f"{desk}: {error}") from error
            arguments["links"] = [{"port": item.port, "addresses": list(item.addresses), "mtu": item.mtu} for item in asked]
        if any(item.severity == "fail" for item in said):
            return _refused(said)
        made, facts = self._plan(arguments, state, where, task_vars)
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
                "msg": "The link is as wanted." if state == PRESENT else "Nothing of the link is set up here.",
            }
        outcome = self._apply_and_confirm(arguments, where, task_vars)
        outcome["findings"] = [item.as_dict() for item in said] + list(outcome.get("findings") or [])
        return outcome

    def _plan(
        self, arguments: Mapping[str, Any], state: str, where: Where, task_vars: Mapping[str, Any]
    ) -> tuple[LinkPlan | None, Desk | None]:
        """The plan from this run's facts; null when they do not tell enough, so that the desk must be asked."""
        raw = self.facts(task_vars)
        if raw is None:
            return None, None
        facts = from_dict(Desk, raw)
        needed = {"cx7", "network", "busy", "setup"}
        if (
            not facts.privileged
            or (facts.subsets and not needed <= set(facts.subsets))
            or any(key.startswith("setup.link") for key in facts.unread)
        ):
            return None, None
        options = LinkOptions(state, _truth(arguments.get("take_over")), _truth(arguments.get("force")))
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

    def _from_pair(
        self,
        given: Mapping[str, Any],
        where: Where,
        place: Mapping[str, Any],
        run_plan: Mapping[str, Any] | None,
        task_vars: Mapping[str, Any],
    ) -> tuple[list[LinkRequest], list[Finding]]:
        """The desk's request from its place in the pair. Raises AddressingError."""
        if run_plan is None or place.get("pair") is None or place.get("position") is None:
            raise AddressingError("pair needs the run's plan (spark_plan) with this desk in a pair; name links instead")
        defaults = Numbers()
        numbers = Numbers(
            subnets=tuple(str(item) for item in given.get("subnets") or defaults.subnets),
            head_host=int(given.get("head_host") or defaults.head_host),
            peer_host=int(given.get("peer_host") or defaults.peer_host),
            mtu=int(given.get("mtu") or defaults.mtu),
            port=None if given.get("port") in (None, "") else int(given["port"]),
        )
        desk, other, position = str(where.desk), place.get("peer"), int(place["position"])
        store = self.store(task_vars)
        said: list[Finding] = []
        if other:
            other_mtu = self._mtu_of(str(other), numbers.mtu, desk, task_vars)
            if other_mtu != numbers.mtu:
                said.append(mtu_differs(where, desk, numbers.mtu, str(other), other_mtu))
            part = store.part("facts", str(other))
            if keeps_role(self.facts(task_vars), (part.data.get("spark") if part else None), numbers, position):
                position = 1 - position
                said.append(role_kept(where, addresses(numbers, position)))
        cable = store.part("cable_map", desk)
        port = cable.data.get("port") if cable else None
        return [request(numbers, position, int(port) if isinstance(port, int) else None)], said

    def _mtu_of(self, other: str, mine: int, desk: str, task_vars: Mapping[str, Any]) -> int:
        """The other desk's MTU variable; mine where neither desk's inventory sets one."""
        values = {}
        for name in (desk, other):
            variables = (task_vars.get("hostvars") or {}).get(name) or {}
            if variables.get(MTU_VARIABLE) is not None:
                values[name] = int(variables[MTU_VARIABLE])
        if other in values:
            return values[other]
        return Numbers().mtu if desk in values else mine

    # ---- applying and confirming ------------------------------------------------------------------------------------

    def _apply_and_confirm(self, arguments: Mapping[str, Any], where: Where, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        begun = time.monotonic()
        first = self.execute(MODULE, {**arguments, "phase": "change"}, task_vars)
        if first.get("failed") or not first.get("armed"):
            return first
        deadline = time.monotonic() + int(first.get("confirm_within") or 0)
        change_id = str(first["change_id"])
        second: dict[str, Any] = {}
        while True:
            self._new_connection()
            second = self.execute(MODULE, {**arguments, "phase": "confirm", "change_id": change_id}, task_vars)
            if not second.get("desk_unreachable"):
                return _joined(first, second)
            if time.monotonic() + RETRY_EVERY > deadline:
                break
            time.sleep(RETRY_EVERY)
        return self._aftermath(first, second, arguments, change_id, deadline, where, task_vars, time.monotonic() - begun)

    def _aftermath(
        self,
        first: dict[str, Any],
        second: dict[str, Any],
        arguments: Mapping[str, Any],
        change_id: str,
        deadline: float,
        where: Where,
        task_vars: Mapping[str, Any],
        waited: float,
    ) -> dict[str, Any]:
        """The desk did not come back in time: ask what it did, and say so when it cannot be asked."""
        limit = deadline + AFTERWARDS
        while time.monotonic() < limit:
            self._new_connection()
            status = self.execute(MODULE, {**arguments, "phase": "status", "change_id": change_id}, task_vars)
            if not status.get("desk_unreachable") and not status.get("armed"):
                return _joined(first, status)
            time.sleep(RETRY_EVERY)
        message = (
            f"The link change was made, then {where.desk} could not be reached for {waited:.0f} s to confirm it. "
            "It takes the change back by itself; whether it has could not be asked."
        )
        evidence = {"change": change_id, "error": second.get("msg")}
        found = finding("CX7_CHANGE_UNCONFIRMED", where, message, evidence=evidence)
        return {**first, "failed": True, "msg": message, "findings": [*(first.get("findings") or []), found.as_dict()]}

    def _new_connection(self) -> None:
        """End the (multiplexed) connection: what comes next must prove that the desk can be reached anew."""
        try:
            self._connection.reset()
        except (AnsibleError, AttributeError, NotImplementedError):
            self._connection.close()


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
    port = item.get("port")
    return LinkRequest(
        None if port in (None, "") else int(port), tuple(str(word) for word in item.get("addresses") or ()), int(item.get("mtu") or 9000)
    )


def _truth(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() in ("true", "yes", "on", "1")
