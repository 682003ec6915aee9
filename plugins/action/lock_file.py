# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the fleet's lock file from a known-good desk. On the controller; nothing is executed on the desk."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..plugin_utils import lock_file
from ..plugin_utils.actions import DeskAction


class ActionModule(DeskAction):
    """See the module documentation of lock_file."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        name = self.desk_name(task_vars)
        part = self.store(task_vars).part("facts", name)
        facts = self.facts(task_vars)
        if part is None or part.state != "done" or facts is None:
            reason = part.reason if part else "its facts were not read in this run"
            raise AnsibleActionFail(f"{name} cannot stand for the fleet: {reason}")
        arguments = self.arguments()
        path = Path(str(arguments["path"])).expanduser()
        now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
        desk: Desk = from_dict(Desk, facts)
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        try:
            lock = lock_file.from_desk(desk, name, part.findings, now, int(arguments.get("branch") or 580))
            changed = lock_file.differs(lock, path)
            if changed and not self._task.check_mode:
                lock_file.write(lock, path)
        except lock_file.LockFileError as error:
            raise AnsibleActionFail(f"{error}; no lock file was written") from None
        result.update(changed=changed, path=str(path), packages=dict(lock.packages), facts=dict(lock.facts))
        if changed and self._task.diff:
            result["diff"] = {"before": before, "after": lock_file.to_text(lock), "before_header": str(path), "after_header": str(path)}
        return result
