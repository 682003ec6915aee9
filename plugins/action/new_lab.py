# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the files of a new lab on the controller; a file that is there stays as it is."""

from __future__ import annotations

import importlib.util
import os
import shlex
import stat
import sys
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail

from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.lab_sheet import USER
from ..plugin_utils.new_lab import files, steps

COLLECTION = Path(__file__).parents[2]
SAMPLE = COLLECTION / "inventories" / "lab"


class ActionModule(DeskAction):
    """See the module documentation of new_lab."""

    def work(self, call: Call) -> dict[str, Any]:
        """Write what is missing, say what comes next."""
        given = call.given
        if not USER.fullmatch(given["user"]):
            raise AnsibleActionFail(
                f"user is {given['user']!r}; the Linux user that the first-boot wizard created on the desks was expected"
            )
        folder = Path.cwd() / Path(given["folder"]).expanduser()
        sample, variables = (SAMPLE / name for name in ("lab.desks.csv", "group_vars/spark_desks.yml"))
        wanted = files(sample.read_text("utf-8"), variables.read_text("utf-8"), given["sheet"], given["user"], _collections(folder))
        kept = [name for name in wanted if os.path.lexists(folder / name)]
        created = [name for name in wanted if name not in kept]
        if not self._task.check_mode:
            for name in created:
                _write(folder / name, wanted[name])
        shown = os.path.relpath(folder)
        lines = [f"  {'would write' if self._task.check_mode else 'wrote'} {folder / name}" for name in created]
        lines += [f"  already exists, unchanged: {folder / name}" for name in kept]
        if importlib.util.find_spec("paramiko") is None:
            lines.append(
                "  paramiko, which first contact needs, is missing: pip install paramiko (for the Python that runs ansible-playbook)"
            )
        if folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) & 0o002:
            self._display.warning(f"Ansible does not read ansible.cfg in a folder that everyone can write to: chmod o-w {folder}")
        told = steps("" if shown == "." else shlex.quote(str(folder)), given["sheet"])
        self._display.display("\n".join([*lines, "", *told]))
        return {"changed": bool(created), "folder": str(folder), "created": created, "kept": kept, "next": told}


def _collections(folder: Path) -> str:
    """Where this collection lies, seen from the folder; empty where Ansible looks by itself."""
    if COLLECTION.parent.parent.name != "ansible_collections":
        return ""
    home = COLLECTION.parents[2]
    if str(home) in (f"{C.ANSIBLE_HOME}/collections", "/usr/share/ansible/collections", *sys.path):
        return ""
    return os.path.relpath(home, folder) if home.is_relative_to(folder) else str(home)


def _write(path: Path, text: str) -> None:
    """Make a new file. Raises AnsibleActionFail."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise AnsibleActionFail(f"{path} cannot be written ({error.strerror}); name another folder with -e new_lab_folder=PATH") from None
