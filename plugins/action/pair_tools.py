# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the tools of a pair; no execution when the facts show that they are there. Package files are copied from the controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.changes.received import digest
from ..plugin_utils.actions import DeskAction

MODULE = "labops.dgx_spark.pair_tools"


class ActionModule(DeskAction):
    """Arguments: those of the module; debs are paths on the controller."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments = {"desk": self.desk_name(task_vars), **self.arguments()}
        plan, facts = self.plan(task_vars), self.facts(task_vars)
        nothing = {**result, "changed": False, "added": [], "removed": [], "commands": []}
        if arguments.get("state", "present") == "absent":
            result.update(self.execute(MODULE, arguments, task_vars))
            return result
        if plan is not None and plan["desks"][self.desk_name(task_vars)]["pair"] is None:
            return nothing
        toolkit = (facts or {}).get("toolkit") or {}
        if toolkit.get("perftest") and toolkit.get("open_mpi"):
            return nothing
        debs = [str(item) for item in arguments.pop("debs", None) or ()]
        lost = [item for item in debs if not Path(item).is_file()]
        if lost:
            raise AnsibleActionFail(f"pair_tools_debs: {', '.join(lost)} is not a file on the controller")
        if debs and not self._task.check_mode:
            folder = self._connection._shell.tmpdir or self._make_tmp_path()
            copied = []
            for item in debs:
                target = self._connection._shell.join_path(folder, Path(item).name)
                self._transfer_file(item, target)
                copied.append(target)
            self._fixup_perms2([folder, *copied])
            arguments["debs"] = copied
            arguments["checksums"] = proven(debs, dict(arguments.get("checksums") or {}))
            arguments["user"] = self.login_user(task_vars) or ""
        result.update(self.execute(MODULE, arguments, task_vars))
        if debs:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result


def proven(debs: Sequence[str], wanted: Mapping[str, Any]) -> dict[str, str]:
    """File name to SHA-256 of each package file. Raises AnsibleActionFail where the admin wanted another one, or named only some."""
    found: dict[str, str] = {}
    for item in debs:
        name, got = Path(item).name, digest(item)
        expected = str(wanted.get(name) or "").removeprefix("sha256:").lower()
        if wanted and not expected:
            raise AnsibleActionFail(f"pair_tools_debs_checksums names no checksum for {name}; its SHA-256 is {got}")
        if expected and expected != got:
            raise AnsibleActionFail(f"pair_tools_debs: {item} has SHA-256 {got}, {expected} was expected")
        if found.get(name, got) != got:
            raise AnsibleActionFail(f"pair_tools_debs: two different files are named {name}")
        found[name] = got
    return found
