# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin a run on the controller: refuse a broken inventory before any desk is touched, and make the run's folder and plan."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail

from ..module_utils.judges.catalogue import finding
from ..module_utils.model.finding import Where
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.pairs import InventoryError, InventoryView, Pair, pairs_of, view_of_inventory
from ..plugin_utils.run_store import RunStore
from ..plugin_utils.waves import WaveError, wished


class ActionModule(DeskAction):
    """See the module documentation of run_begin."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The plan of the run (spark_plan)."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments = self.arguments()
        playbook = str(arguments.get("playbook") or "playbook")
        needs_pairs = bool(arguments.get("needs_pairs", False))
        hostvars = task_vars["hostvars"]
        scope = [str(name) for name in task_vars.get("ansible_play_hosts_all", [])]
        try:
            view = view_of_inventory(hostvars._inventory, {name: _addresses(hostvars, name) for name in scope})
            pairs = pairs_of(view)
            if needs_pairs and not pairs:
                raise InventoryError(
                    [f"{playbook} needs pairs: make each pair a child group of spark_pairs with two hosts (inventories/lab shows it)"]
                )
            waves = wished(arguments.get("waves"))
        except WaveError as error:
            raise AnsibleActionFail(f"{error}; no desk was touched") from None
        except InventoryError as error:
            lines = "\n".join(f"  - {problem}" for problem in error.problems)
            raise AnsibleActionFail(f"the inventory cannot be used; no desk was touched:\n{lines}") from None
        now = datetime.datetime.now(datetime.UTC)
        run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        base = Path(str(arguments.get("report_dir") or "reports")).expanduser()
        run_dir = Path.cwd() / base / run_id
        desks = _desks(view, pairs, scope)
        plan = {
            "run_id": run_id,
            "run_dir": str(run_dir),
            "started": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "playbook": playbook,
            "check_mode": bool(self._task.check_mode),
            "waves": waves,
            "pairs": [_pair(pair, desks) for pair in pairs],
            "desks": desks,
        }
        forks = int(context.CLIARGS.get("forks") or 5)
        findings = _forks_finding(forks, len(scope))
        try:
            RunStore(run_dir).begin({**plan, "forks": forks, "findings": findings, "notes": list(arguments.get("notes") or [])})
        except OSError as error:
            raise AnsibleActionFail(
                f"the report folder {run_dir} cannot be written ({error.strerror}); set spark_report_dir to a folder that you may write"
            ) from None
        result.update(plan, changed=False, findings=findings)
        return result


def _addresses(hostvars: Any, name: str) -> dict[str, Any]:
    """The resolved variables of a host that the inventory check reads."""
    values = hostvars.get(name) or {}
    keys = ("ansible_host", "ansible_port", "spark_pair_head", "spark_out_of_service")
    return {key: values[key] for key in keys if values.get(key) is not None}


def _desks(view: InventoryView, pairs: list[Pair], scope: list[str]) -> dict[str, dict[str, Any]]:
    home = {member: pair for pair in pairs for member in pair.members}
    desks = {}
    for host in view.desks:
        pair = home.get(host.name)
        desks[host.name] = {
            "address": host.address,
            "pair": pair.name if pair else None,
            "peer": next((member for member in pair.members if member != host.name), None) if pair else None,
            "head": bool(pair and pair.head == host.name),
            "position": pair.members.index(host.name) if pair else 0,
            "out_of_service": host.out_of_service or bool(pair and pair.out_of_service),
            "in_scope": host.name in scope,
        }
    return desks


def _pair(pair: Pair, desks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    inside = [desks[member]["in_scope"] for member in pair.members]
    return {
        "name": pair.name,
        "head": pair.head,
        "peer": pair.peer,
        "members": list(pair.members),
        "topology": pair.topology,
        "out_of_service": pair.out_of_service,
        "in_scope": any(inside),
        "complete": all(inside),
    }


def _forks_finding(forks: int, desks: int) -> list[dict[str, Any]]:
    if forks >= desks:
        return []
    message = f"forks is {forks}, the run has {desks} desks: not all pairs are worked on at the same time; set forks to {desks} or more"
    return [finding("FORKS_TOO_FEW", Where(), message, evidence={"forks": forks, "desks": desks}).as_dict()]
