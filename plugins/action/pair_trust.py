# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the desks of a pair log in to each other, from both desks' facts; no execution when the facts show that all is there."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.changes import trust
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.endpoints import EndpointError, desk_facts, pair_ends
from ..plugin_utils.run_store import RunStore

MODULE = "labops.dgx_spark.pair_files"


class ActionModule(DeskAction):
    """Arguments: state (keys, present, absent), bootstrap (fabric, management), open_firewall (bool)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        state = str(self.arguments().get("state") or "present")
        if state not in ("keys", "present", "absent"):
            raise AnsibleActionFail(f"state is {state!r}; keys, present or absent was expected")
        try:
            arguments = self._wanted(state, task_vars)
        except (EndpointError, trust.TrustError) as error:
            # Without the other desk's answers a check cannot plan what a real run would have made before.
            if self._task.check_mode:
                return {**result, "changed": state != "absent", "msg": f"in check mode: {error}", "commands": []}
            raise AnsibleActionFail(str(error)) from error
        if arguments is None:
            return {**result, "changed": False, "commands": []}
        result.update(self.execute(MODULE, arguments, task_vars))
        return result

    def _wanted(self, state: str, task_vars: dict[str, Any]) -> dict[str, Any] | None:
        """Arguments of pair_files, null when there is nothing to do."""
        plan, name = self.required_plan(task_vars), self.desk_name(task_vars)
        store = RunStore(plan["run_dir"])
        known = self.facts(task_vars)
        facts = from_dict(Desk, known) if known else desk_facts(store, name)
        if state == "absent":
            return None if trust.is_gone(facts) else trust.unwanted(facts)
        home, user = facts.limits.home, facts.limits.user
        if not home or not user:
            raise trust.TrustError(name, "the login user's home is not known")
        if state == "keys":
            if plan["desks"][name]["pair"] is None or facts.setup.trust_public_key:
                return None
            return {"key": {"path": trust.key_path(home), "user": user}}
        pair, peer = plan["desks"][name]["pair"], plan["desks"][name]["peer"]
        ends = {end.desk: end for end in pair_ends(store, plan, pair)}
        given = self.arguments()
        arguments = trust.wanted(
            (name, facts, ends[name]),
            (peer, desk_facts(store, peer), ends[peer]),
            bootstrap=str(given.get("bootstrap") or "fabric"),
            open_firewall=str(given.get("open_firewall", True)).lower() not in ("false", "no", "0", "off"),
        )
        return None if trust.is_there(facts, arguments) else arguments
