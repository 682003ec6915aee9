# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the desks of a pair log in to each other, from both desks' facts; no execution when the facts show that all is there."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.changes import trust
from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.login import keys_elsewhere
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Where
from ..module_utils.model.mpi_guard import NOT_ASKED
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.endpoints import EndpointError, desk_facts, meets_at, path_ends, path_to_neighbour
from ..plugin_utils.run.model import Stack

MODULE = "labops.dgx_spark.pair_files"


class ActionModule(DeskAction):
    """See the module documentation of pair_trust."""

    def work(self, call: Call) -> dict[str, Any]:
        """Compare with the facts; run pair_files where something is to be done."""
        state = call.given["state"]
        try:
            arguments, unguarded = self._wanted(state, call)
        except trust.KeysElsewhereError as elsewhere:
            user = str((call.facts or {}).get("limits", {}).get("user") or "the login user")
            return self.refused([keys_elsewhere(Where(desk=call.desk), user, elsewhere.path, "fail", elsewhere.line)], commands=[])
        except (EndpointError, trust.TrustError) as error:
            # Without the other desk's answers a check cannot plan what a real run would have made before.
            if self._task.check_mode:
                return {"changed": state != "absent", "msg": f"in check mode: {error}", "commands": []}
            raise AnsibleActionFail(str(error)) from error
        answer: dict[str, Any] = {"changed": False, "commands": []} if arguments is None else self.execute(MODULE, arguments, call)
        unguarded = answer.get("unguarded") or unguarded
        if not unguarded:
            return answer
        stack = call.stack
        where = Where(desk=call.desk, pair=stack.name if stack is not None else None)
        found = finding("PAIR_MPI_PORTS_OPEN", where, f"Open MPI's ports stay open to everybody: {unguarded}.")
        return {**answer, "findings": [*(answer.get("findings") or ()), found.as_dict()]}

    @staticmethod
    def _wanted(state: str, call: Call) -> tuple[dict[str, Any] | None, str | None]:
        """Arguments of pair_files, null when there is nothing to do, and why Open MPI's ports stay open where no module will say it."""
        store, name = call.store, call.desk
        facts = from_dict(Desk, call.facts) if call.facts else desk_facts(store, name)
        if state == "absent":
            return None if trust.is_gone(facts) else trust.unwanted(facts), None
        home, user = facts.limits.home, facts.limits.user
        if not home or not user:
            raise trust.TrustError(name, "the login user's home is not known")
        if state == "keys":
            stack = call.required_stack if call.by_itself else call.stack
            if stack is None or facts.setup.trust_public_key or not (stack.is_pair or name == stack.head):
                return None, None
            return {"key": {"path": trust.key_path(home), "user": user}}, None
        stack = call.required_stack
        if not stack.is_pair:
            return _to_do(facts, _of_stack(stack, name, facts, call))
        path = path_to_neighbour(stack, name)
        ends = {end.desk: end for end in path_ends(store, path)}
        other = next(desk for desk in ends if desk != name)
        arguments = trust.wanted(
            (name, facts, ends[name]),
            (other, desk_facts(store, other), ends[other]),
            bootstrap=call.given["bootstrap"],
            open_firewall=call.given["open_firewall"],
            guard_mpi=call.given["guard_mpi"],
            port=call.run.members[other].ssh_port,
        )
        return _to_do(facts, arguments)


def _to_do(facts: Desk, arguments: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    """Arguments, null where all is there. What cannot be set up is open in every run, not only in the first."""
    unnamed = "the number of the login user is not known" if "guard" not in arguments else None
    if not trust.is_there(facts, arguments):
        return arguments, unnamed
    return None, unnamed or (NOT_ASKED if arguments["guard"] and facts.setup.mpi_guard is None else None)


def _of_stack(stack: Stack, name: str, facts: Desk, call: Call) -> dict[str, Any]:
    """Arguments of pair_files for a member of a ring or of a stack on a switch."""
    others = []
    for path in stack.paths:
        if name in (path.one.desk, path.other.desk):
            ends = {end.desk: end for end in path_ends(call.store, path)}
            other = next(desk for desk in ends if desk != name)
            port = call.run.members[other].ssh_port
            others.append(trust.Other(other, desk_facts(call.store, other), ends[name], ends[other], port))
    bootstrap = meets_at(stack, call.given["bootstrap"])
    return trust.wanted_in_stack(
        (name, facts),
        others,
        stack.head,
        bootstrap=bootstrap,
        open_firewall=call.given["open_firewall"],
        guard_mpi=call.given["guard_mpi"],
    )
