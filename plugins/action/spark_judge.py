# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge on the controller what only all desks of a run together show, and keep it as a part of every desk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.judges.options import options_from_dict
from ..module_utils.model.data import as_dict, from_dict
from ..module_utils.model.desk import Desk
from ..plugin_utils import alone, audit
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.cable_report import discover, inventory_text, text_map
from ..plugin_utils.cable_run import LabCables, cables_of, desk_parts, remember
from ..plugin_utils.known_hosts import ssh_arguments
from ..plugin_utils.logins import logins_of
from ..plugin_utils.run.clock import utc_precise
from ..plugin_utils.run.stages import STAGES, is_wanted, playbook
from ..plugin_utils.run.store import DONE, Part, write_atomically
from ..plugin_utils.updates import judge_updates
from ..plugin_utils.run.wants import BASELINE, KNOWN_HOSTS, WANTS, judge_wants

PART_OF = {"desks": "together", "cables": "cable_map", "logins": "enrol_pairs", "updates": "update_targets"}
"""Subject to the part that it leaves."""
SSH_ARGUMENTS = "ansible_ssh_extra_args"
WAYS = ("ansible_ssh_common_args", SSH_ARGUMENTS)
"""How ssh gets to a desk (ProxyJump, a configuration of its own)."""
SECRETIVE = "proxycommand"
"""ssh's option that may hold a password (sshpass, a proxy's)."""
HOST_VARIABLES = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_ssh_private_key_file",
    "ansible_python_interpreter",
    "spark_expected_serial",
    "spark_expected_host_key",
    "spark_out_of_service",
    "spark_ssh_port",
)


class ActionModule(DeskAction):
    """See the module documentation of spark_judge."""

    def work(self, call: Call) -> dict[str, Any]:
        """One subject."""
        subject = call.given["subject"]
        if call.known_run is None:
            call = replace(call, known_run=self.run_of_play(call.task_vars, needs_stacks=True), by_itself=True)
        if not is_wanted(STAGES[PART_OF[subject]], call.run.stages):
            return {"changed": False, "findings": []}
        judges = {"desks": self._desks, "cables": self._cables, "logins": _logins, "updates": self._updates}
        result = judges[subject](call)
        return self._told(result, call) if call.by_itself else result

    def _updates(self, call: Call) -> dict[str, Any]:
        lines, found = judge_updates(call.run, call.store)
        write_atomically(call.store.run_dir / "update_plan.txt", "\n".join(lines) + "\n")
        self._display.display("\n" + "\n".join(lines))
        return {"changed": False, "findings": found}

    def _told(self, result: dict[str, Any], call: Call) -> dict[str, Any]:
        """Outside a run no report tells the findings, and no verdict fails the play."""
        fail_on, notes = self.play_wishes(call.task_vars)
        findings = [item for item in result["findings"] if item["severity"] in alone.LOUD or (notes and item["severity"] == "note")]
        told = alone.told_of(findings)
        if told:
            self._display.display("\n".join(told))
        wrong = [item for item in findings if item["severity"] in alone.FAILS_ON[fail_on]]
        return {**result, **({"failed": True, "msg": f"{alone.codes(wrong)}, see above"} if wrong else {})}

    def _desks(self, call: Call) -> dict[str, Any]:
        run, store = call.run, call.store
        wishes = self.values(call.task_vars, [want.variable for want in WANTS])
        options = options_from_dict({**judge_wants(wishes), "purpose": playbook(run.playbook).purpose})
        facts = {name: part.data.get("spark") for name, part in store.parts("facts").items()}
        desks = {name: from_dict(Desk, data) for name, data in facts.items() if isinstance(data, Mapping)}
        addresses = {name: member.address for name, member in run.members.items() if member.address}
        found = audit.together(desks, addresses, run.stacks, options, BASELINE.read(wishes) or None)
        if run.playbook == "audit" or not is_wanted(STAGES["settings"], run.stages):
            found += audit.settings_findings(store, run.stacks, desks)
        now = utc_precise()
        for name, own in audit.by_desk(run, found).items():
            plain = tuple(item.as_dict() for item in own)
            store.write(Part("together", name, DONE, run.members[name].stack, None, now, now, False, plain, {"compared": len(desks)}))
        return {"changed": False, "findings": [item.as_dict() for item in found], "desks": len(desks)}

    def _cables(self, call: Call) -> dict[str, Any]:
        run, store = call.run, call.store
        lab = cables_of(store, run)
        moment = utc_precise()
        parts = desk_parts(lab, run, moment)
        for part in parts.values():
            store.write(part)
        write_atomically(store.run_dir / "cables.json", json.dumps({"map": as_dict(lab.cables), "edges": lab.judgement.edges}, indent=1))
        remember(store, lab)
        lines = text_map(lab.cables, lab.judgement.edges, lab.judgement.steps)
        write_atomically(store.run_dir / "cables.txt", "\n".join(lines) + "\n")
        if call.given["show"]:
            self._display.display("\n" + "\n".join(lines))
        result: dict[str, Any] = {
            "changed": False,
            "edges": list(lab.judgement.edges),
            "steps": [step.sentence for step in lab.judgement.steps],
            "findings": [item for part in parts.values() for item in part.findings],
        }
        if call.given.get("write_inventory"):
            result["inventory"] = self._write_inventory(call, lab, moment)
        return result

    def _write_inventory(self, call: Call, lab: LabCables, moment: str) -> str:
        """The inventory that matches the cabling; refuses to write over a file that is there."""
        path = Path(str(call.given["write_inventory"])).expanduser()
        if path.exists():
            raise AnsibleActionFail(f"{path} already exists and is left alone; name a new file with -e write_inventory=PATH")
        run = call.run
        found = discover(lab.cables, list(run.members), {stack.name: list(stack.members) for stack in run.stacks})
        # The host keys that enrolment proved go along, else every desk of the new inventory would be a stranger.
        known_hosts = self.value(call.task_vars, KNOWN_HOSTS.variable)
        shared = {KNOWN_HOSTS.variable: str(known_hosts), SSH_ARGUMENTS: ssh_arguments(str(known_hosts))} if known_hosts else {}
        variables: dict[str, dict[str, Any]] = {}
        left: dict[str, list[str]] = {}
        for name in run.members:
            values = call.task_vars["hostvars"].get(name) or {}
            variables[name] = {key: values[key] for key in HOST_VARIABLES if values.get(key) is not None}
            # Without its own way (a jump host, the name under which its key is known) a desk would not be reached any more.
            for key in WAYS:
                way = str(values.get(key) or "")
                if SECRETIVE in way.lower():
                    left.setdefault(key, []).append(name)
                elif way and way != shared.get(key):
                    variables[name][key] = way
        write_atomically(path, inventory_text(found, variables, moment, shared))
        self._display.display(f"\nInventory that matches the cabling: {path}")
        for key, desks in left.items():
            self._display.display(
                f"  {key} of {', '.join(desks)} is not carried over, because a ProxyCommand may hold a password: put it into "
                f"{path.parent / 'group_vars' / 'spark_desks.yml'}"
            )
        for desk, reason in found.unsure.items():
            self._display.display(f"  {desk} is not in a {'pair or stack' if found.stacks else 'pair'}: {reason}")
        return str(path)


def _logins(call: Call) -> dict[str, Any]:
    run, store = call.run, call.store
    accounts = {name: part.data for name, part in store.parts("enrol").items() if part.state == DONE}
    found = [item for stack in run.stacks for item in logins_of(stack, accounts)]
    now = utc_precise()
    for name, own in audit.by_desk(run, found).items():
        if own:
            plain = tuple(item.as_dict() for item in own)
            store.write(Part("enrol_pairs", name, DONE, run.members[name].stack, None, now, now, False, plain))
    return {"changed": False, "findings": [item.as_dict() for item in found]}
