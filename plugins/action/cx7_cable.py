# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run cx7_cable on the desk with what the controller knows: the desk's name, the run, and when all desks stop listening."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import context

from ..plugin_utils.actions import DeskAction

SECONDS_BASE = 8.0
SECONDS_PER_DESK = 0.25
"""How long a desk may wait for its partner: Ansible needs about a tenth of a second of the controller to begin on a desk."""


class ActionModule(DeskAction):
    """Fills in desk, run_id, frames and frames_seconds; a lost connection becomes a failed result with a finding."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments = self.arguments()
        arguments.setdefault("desk", self.desk_name(task_vars))
        plan = self.plan(task_vars)
        forks = int(context.CLIARGS.get("forks") or 5)
        if plan is not None:
            arguments.setdefault("run_id", plan["run_id"])
        desks = _desks(plan, task_vars)
        if "frames" not in arguments and forks < desks:
            arguments["frames"] = "needs_forks"
        if "frames_seconds" not in arguments:
            arguments["frames_seconds"] = round(_until_common_end(plan, desks), 1)
        result.update(self.execute("labops.dgx_spark.cx7_cable", arguments, task_vars))
        if arguments.get("frames") == "needs_forks":
            result["forks_needed"] = desks
        return result


def _desks(plan: Mapping[str, Any] | None, task_vars: Mapping[str, Any]) -> int:
    """How many desks take part."""
    if plan is not None:
        return sum(bool(desk.get("in_scope")) for desk in plan["desks"].values())
    return len(task_vars.get("ansible_play_hosts_all") or [1])


def _until_common_end(plan: Mapping[str, Any] | None, desks: int) -> float:
    """Seconds from now until the moment at which all desks of the run stop. The first desk of the run sets that moment.

    It is handed on as seconds, not as a time of day: the clocks of new desks are not set yet.
    """
    window = SECONDS_BASE + SECONDS_PER_DESK * desks
    if plan is None:
        return window
    path = Path(str(plan["run_dir"])) / "cable_window"
    now = time.time()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{now + window:.3f}\n")
        return window
    except FileExistsError:
        pass
    except OSError:
        return window
    try:
        end = float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return window  # written by another desk at this very moment
    return min(max(end - now, SECONDS_BASE / 2), window)
