# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reboots and updates share: one desk of a stack at a time, the builtin reboot, the desk read before and after."""

from __future__ import annotations

import fcntl
import functools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from .actions import BEGINS, Call, DeskAction, read_harmless, withheld
from .admission.text import line
from .run.store import file_name, lock_file, write_atomically


class RebootingAction(DeskAction):
    """Base of the actions that reboot a desk."""

    subsets: tuple[str, ...] = ()
    """Parts of the facts that are read before and after."""

    def read_desk(self, call: Call) -> tuple[Desk | None, dict[str, Any]]:
        """What the desk is now, or the failed result: the facts at the run's start may be older than its last change."""
        arguments = {"gather_subset": list(self.subsets), "desk": call.desk}
        answer = self.execute("labops.dgx_spark.spark_facts", arguments, call)
        facts = (answer.get("ansible_facts") or {}).get("spark")
        if answer.get("failed") or not isinstance(facts, Mapping):
            return None, {"failed": True, "msg": answer.get("msg", "no facts"), "findings": list(answer.get("findings") or [])}
        return from_dict(Desk, facts), {}

    def reboot(self, patience: int, task_vars: dict[str, Any]) -> str:
        """Reboot by the builtin action, which knows how to wait for a machine that goes and comes. Why it did not come back, empty when
        it did."""
        task = self._task.copy()
        task.args = {
            "reboot_timeout": patience,
            "connect_timeout": 10,
            "msg": "Reboot by labops.dgx_spark: an installed update requires it",
        }
        action = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.reboot",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        # The modules that it runs on the desk come through no other door of ours.
        action._parse_returned_data = functools.partial(read_harmless, action._parse_returned_data)
        action._low_level_execute_command = functools.partial(action._low_level_execute_command, chdir=BEGINS)
        with withheld():
            told: dict[str, Any] = action.run(task_vars=task_vars)
        if told.get("failed") or told.get("unreachable"):
            return line(" ".join(str(told.get("msg") or "no message").split()))[:400]
        return ""


class Turn:
    """A desk's turn in its stack."""

    def __init__(self, path: Path, desk: str, lost: str | None) -> None:
        self._path, self._desk, self.lost = path, desk, lost

    def back(self) -> None:
        """The desk is back: the other one may go."""
        self._note("back")

    def away(self) -> None:
        """The desk is going."""
        self._note("away")

    def _note(self, state: str) -> None:
        write_atomically(self._path, json.dumps({**_states(self._path), self._desk: state}))


@contextmanager
def turn_of(run_dir: Path, group: str, desk: str, what: str = "reboot") -> Iterator[Turn]:
    """Wait until no other desk of the group is away. ``lost`` names one that went in this run and has not come back."""
    folder = run_dir / what
    path = folder / f"{file_name(group)}.json"
    with lock_file(path.with_suffix(".lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lost = next((name for name, state in _states(path).items() if name != desk and state == "away"), None)
        turn = Turn(path, desk, lost)
        if lost is None:
            turn.away()
        yield turn


def _states(path: Path) -> dict[str, str]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(state) for name, state in data.items()} if isinstance(data, dict) else {}
