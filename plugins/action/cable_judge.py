# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the cable map of the run on the controller, hold it against the planned pairs, and keep it as the stage cable_map."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.model.data import as_dict
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.cable_report import discover, inventory_text, text_map
from ..plugin_utils.cable_run import cables_of, desk_parts, remember
from ..plugin_utils.run_store import write_atomically

HOST_VARIABLES = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_ssh_private_key_file",
    "spark_expected_serial",
    "spark_expected_host_key",
    "spark_out_of_service",
)


class ActionModule(DeskAction):
    """See the module documentation of cable_judge."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        plan, store, arguments = self.required_plan(task_vars), self.store(task_vars), self.arguments()
        lab = cables_of(store, plan)
        moment = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        parts = desk_parts(lab, plan, moment)
        for part in parts.values():
            store.write(part)
        write_atomically(store.run_dir / "cables.json", json.dumps({"map": as_dict(lab.cables), "edges": lab.judgement.edges}, indent=1))
        remember(store, lab)
        lines = text_map(lab.cables, lab.judgement.edges, lab.judgement.steps)
        write_atomically(store.run_dir / "cables.txt", "\n".join(lines) + "\n")
        if arguments.get("show"):
            self._display.display("\n" + "\n".join(lines))
        if arguments.get("write_inventory"):
            result["inventory"] = self._write_inventory(str(arguments["write_inventory"]), lab, plan, task_vars, moment)
        result.update(
            changed=False,
            edges=list(lab.judgement.edges),
            steps=[step.sentence for step in lab.judgement.steps],
            findings=[item for part in parts.values() for item in part.findings],
        )
        return result

    def _write_inventory(self, target: str, lab: Any, plan: dict[str, Any], task_vars: dict[str, Any], moment: str) -> str:
        """The inventory that matches the cabling; refuses to write over a file that is there."""
        path = Path(target).expanduser()
        if path.exists():
            raise AnsibleActionFail(f"{path} exists already and is left as it is; name a new file with -e write_inventory=PATH")
        names = {pair["name"]: list(pair["members"]) for pair in plan["pairs"]}
        found = discover(lab.cables, plan["desks"], names)
        variables = {}
        for name in plan["desks"]:
            values = task_vars["hostvars"].get(name) or {}
            variables[name] = {key: values[key] for key in HOST_VARIABLES if values.get(key) is not None}
        write_atomically(path, inventory_text(found, variables, moment))
        self._display.display(f"\nInventory that matches the cabling: {path}")
        for desk, reason in found.unsure.items():
            self._display.display(f"  {desk} is in no pair: {reason}")
        return str(path)
