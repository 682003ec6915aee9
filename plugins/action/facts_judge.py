# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the facts of all desks of a run together, on the controller, and keep the findings as a stage of the run."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.judges.options import options_from_dict
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.audit import together
from ..plugin_utils.run_store import DONE, Part

STAGE = "together"


class ActionModule(DeskAction):
    """See the module documentation of facts_judge."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        plan = self.required_plan(task_vars)
        arguments = self.arguments()
        store = self.store(task_vars)
        try:
            options = options_from_dict({"purpose": arguments.get("purpose")})
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from None
        facts = {name: part.data.get("spark") for name, part in store.parts("facts").items()}
        desks = {name: from_dict(Desk, data) for name, data in facts.items() if isinstance(data, Mapping)}
        addresses = {name: str(desk["address"]) for name, desk in plan["desks"].items() if desk.get("address")}
        found = together(desks, addresses, plan["pairs"], options, arguments.get("baseline") or None)
        now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        heads = {str(pair["name"]): str(pair["head"]) for pair in plan["pairs"]}
        for name, desk in plan["desks"].items():
            if not desk["in_scope"]:
                continue
            own = [
                item for item in found if item.where.desk == name or (item.where.desk is None and heads.get(item.where.pair or "") == name)
            ]
            plain = tuple(item.as_dict() for item in own)
            store.write(Part(STAGE, name, DONE, desk["pair"], None, now, now, False, plain, {"compared": len(desks)}))
        result.update(changed=False, findings=[item.as_dict() for item in found], desks=len(desks))
        return result
