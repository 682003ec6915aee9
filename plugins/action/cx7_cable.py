# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run cx7_cable on the desk with what the controller knows: the desk's name, the run, and when all desks stop listening."""

from __future__ import annotations

import os
import time
from typing import Any

from ansible import context

from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.run.model import SWITCH, Run

SECONDS_BASE = 8.0
SECONDS_PER_DESK = 0.25
"""How long a desk may wait for its partner: Ansible needs about a tenth of a second of the controller to begin on a desk."""


class ActionModule(DeskAction):
    """Fills in desk, run_id, frames and frames_seconds; a lost connection becomes a failed result with a finding."""

    def work(self, call: Call) -> dict[str, Any]:
        """Ask the desk's cables."""
        run = call.known_run
        arguments = {"desk": call.desk, **call.only_named()}
        if run is not None:
            arguments.setdefault("run_id", run.run_id)
        stack = run.stack_of(call.desk) if run is not None else None
        if stack is not None and stack.topology == SWITCH:
            arguments.setdefault("partners", len(stack.members) - 1)
        desks = len(run.scope if run is not None else call.task_vars.get("ansible_play_hosts_all") or [1])
        if "frames" not in arguments and int(context.CLIARGS.get("forks") or 5) < desks:
            arguments["frames"] = "needs_forks"
        if "frames_seconds" not in arguments:
            arguments["frames_seconds"] = round(_until_common_end(run, desks, str(self._task._uuid) if call.by_itself else ""), 1)
        answer = self.execute("labops.dgx_spark.cx7_cable", arguments, call)
        if arguments.get("frames") == "needs_forks":
            answer["forks_needed"] = desks
        return answer


def _until_common_end(run: Run | None, desks: int, task: str = "") -> float:
    """Seconds from now until the moment at which all desks of the run stop. The first desk of the run sets that moment; where a play asks
    the cables more than once, the first one of each ``task``.

    It is handed on as seconds, not as a time of day: the clocks of new desks are not set yet.
    """
    window = SECONDS_BASE + SECONDS_PER_DESK * desks
    if run is None:
        return window
    path = run.folder / f"cable_window{task}"
    now = time.time()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
