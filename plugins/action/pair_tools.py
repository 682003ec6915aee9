# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the tools of a pair; no execution when the facts show that they are there. Package files are copied from the controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.changes.received import digest
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.admission.text import line

MODULE = "labops.dgx_spark.pair_tools"


class ActionModule(DeskAction):
    """Arguments: those of the module; debs are paths on the controller."""

    def work(self, call: Call) -> dict[str, Any]:
        """Install what is missing, or remove what was added."""
        arguments = {"desk": call.desk, **call.only_named()}
        nothing = {"changed": False, "added": [], "removed": [], "commands": []}
        if call.given["state"] == "absent":
            answer = self.execute(MODULE, arguments, call)
            for item in answer.get("kept") or ():
                self._display.display(line(f"{call.desk} keeps {item}"))
            return answer
        if call.known_run is not None and call.stack is None and not call.by_itself:
            return nothing
        toolkit = (call.facts or {}).get("toolkit") or {}
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
            arguments["user"] = self.login_user(call.task_vars) or ""
        answer = self.execute(MODULE, arguments, call)
        if debs:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return answer


def proven(debs: Sequence[str], wanted: Mapping[str, Any]) -> dict[str, str]:
    """File name to SHA-256 of each package file. Raises AnsibleActionFail where the admin wanted another one, or named only some."""
    found: dict[str, str] = {}
    for item in debs:
        name, got = Path(item).name, digest(item)
        expected = str(wanted.get(name) or "").removeprefix("sha256:").lower()
        if wanted and not expected:
            raise AnsibleActionFail(f"pair_tools_debs_checksums has no checksum for {name}; its SHA-256 is {got}")
        if expected and expected != got:
            raise AnsibleActionFail(f"pair_tools_debs: {item} has SHA-256 {got}, {expected} was expected")
        if found.get(name, got) != got:
            raise AnsibleActionFail(f"pair_tools_debs: two different files are named {name}")
        found[name] = got
    return found
