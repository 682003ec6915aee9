# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the fleet's lock file from a known-good desk. On the controller; nothing is executed on the desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..plugin_utils import lock_file
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.run.clock import utc


class ActionModule(DeskAction):
    """See the module documentation of lock_file."""

    def work(self, call: Call) -> dict[str, Any]:
        """Write the file where it says something else."""
        name, facts = call.desk, call.facts
        part = call.store.part("facts", name)
        if part is None or part.state != "done" or facts is None:
            reason = part.reason if part else "its facts were not read in this run"
            raise AnsibleActionFail(f"{name} cannot represent the fleet: {reason}")
        path = Path(str(call.given["path"])).expanduser()
        desk: Desk = from_dict(Desk, facts)
        try:
            before = lock_file.text_before(path)
            lock = lock_file.from_desk(desk, name, part.findings, utc(), call.given["branch"])
            changed = lock_file.differs(lock, path)
            if changed and not self._task.check_mode:
                lock_file.write(lock, path)
                self._display.display(
                    f"\nThe fleet's lock file, from {name}: {path}\nReview and commit it, then enforce it: "
                    f"ansible-playbook -i INVENTORY playbooks/onboard.yml -e driver_lock_from={path}"
                )
        except lock_file.LockFileError as error:
            raise AnsibleActionFail(f"{error}; no lock file was written") from None
        result: dict[str, Any] = {"changed": changed, "path": str(path), "packages": dict(lock.packages), "facts": dict(lock.facts)}
        if changed and self._task.diff:
            result["diff"] = {"before": before, "after": lock_file.to_text(lock), "before_header": str(path), "after_header": str(path)}
        return result
