# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record a desk: ask it once, replace everything that names it or its owner, write the recording on the controller."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.recording_writer import LeakError, ShapeError, sanitised, unpacked, write
from ..plugin_utils.sanitiser import Sanitiser

_USER = re.compile(r"[\w.@\\-]{1,64}")
_STANDIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


class ActionModule(DeskAction):
    """The raw answers stay in this process: neither the result nor the log holds them."""

    def work(self, call: Call) -> dict[str, Any]:
        """Ask, sanitise, write."""
        task_vars = call.task_vars
        result: dict[str, Any] = {}
        arguments = call.only_named()
        user = arguments.get("login_user") or self.login_user(task_vars)
        answer = self.execute("labops.dgx_spark.spark_record", {**arguments, **({"login_user": user} if user else {})}, call)
        packed = answer.pop("recorded", None)
        if packed is None:
            result.update(answer)
            return result
        desk = call.desk
        standin = str(arguments.get("standin") or f"recorded-{_place(desk, task_vars):02d}")
        if not _STANDIN.fullmatch(standin):
            result.update(failed=True, msg=f"{desk}: standin {standin!r} is not a valid folder name; use letters, digits, dots, - and _")
            return result
        try:
            recorded = unpacked(packed)
        except ShapeError as error:
            result.update(failed=True, msg=f"{desk}: its answer is not a recording, so nothing was written: {error}")
            return result
        dest = Path(str(arguments.get("dest") or "recordings")).expanduser()
        folder = (dest if dest.is_absolute() else Path.cwd() / dest) / standin
        told = str(answer.get("login_user") or "")
        users = [str(name) for name in (user, told if _USER.fullmatch(told) else None) if name]
        hosts = [desk, *(str(task_vars[name]) for name in ("ansible_host", "inventory_hostname_short") if task_vars.get(name))]
        sanitiser = Sanitiser(standin, hostnames=[name for name in hosts if not _is_address(name)], users=users)
        about = {
            "name": standin,
            "source": "a desk, recorded and sanitised by playbooks/record.yml",
        }
        description = str(arguments.get("description") or "")
        sanitiser.learn_file("", description)
        try:
            clean = sanitised(recorded, sanitiser)
            about["description"] = sanitiser.text(description)
            if users:
                about["login_user"] = sanitiser.text(users[-1])
            left_out = len(recorded.files) - len(clean.files) + len(recorded.commands) - len(clean.commands)
            result.update(
                name=standin, path=str(folder), files=len(clean.files), commands=len(clean.commands), left_out=left_out, changed=True
            )
            if not self._task.check_mode:
                write(clean, folder, about, replace=call.given["replace"])
        except LeakError as error:
            result.update(failed=True, changed=False, msg=f"{desk}: {error}")
        except FileExistsError as error:
            result.update(failed=True, changed=False, msg=f"{desk}: {error} (replace: true), or choose another standin")
        except OSError as error:
            result.update(
                failed=True, changed=False, msg=f"{desk}: the recording could not be written to {folder}: {error.strerror or error}"
            )
        return result


def _place(desk: str, task_vars: dict[str, Any]) -> int:
    """The desk's place among those of the play, from 1: every desk of a run gets a name of its own."""
    names = sorted(str(name) for name in task_vars.get("ansible_play_hosts_all") or [desk])
    return names.index(desk) + 1 if desk in names else 1


def _is_address(name: str) -> bool:
    return not name.replace(".", "").replace(":", "").strip("0123456789abcdefABCDEF")
