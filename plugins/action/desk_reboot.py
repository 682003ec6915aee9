# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reboot a desk where it is needed, allowed and safe; one desk of a pair at a time."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.reboot import reboot_reasons, reboot_refusals, reboot_result
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Finding, Where
from ..plugin_utils.actions import Call, DeskAction, ElsewhereError
from ..plugin_utils.admission.text import line
from ..plugin_utils.run.gate import changed_since_facts
from ..plugin_utils.run.store import write_atomically

SUBSETS = ["identity", "kernel", "driver", "apt", "busy"]


class ActionModule(DeskAction):
    """See the module documentation of desk_reboot."""

    def work(self, call: Call) -> dict[str, Any]:
        """Reboot where a reason is known, policy allows it and nothing speaks against it."""
        name, task_vars = call.desk, call.task_vars
        where = Where(desk=name)
        result: dict[str, Any] = {"changed": False, "rebooted": False, "findings": [], "reasons": []}
        if call.given["policy"] == "never":
            return result
        run = call.run
        known, asked_for = call.facts, ["it was asked for"] if call.given["policy"] == "always" else []
        if not asked_for and known is not None and not reboot_reasons(_desk(known)) and not changed_since_facts(call.store, name):
            return result
        before, failure = self._read(call)
        if before is None:
            return {**result, **failure}
        result["reasons"] = reboot_reasons(before) or asked_for
        if not result["reasons"]:
            return result
        refusals = reboot_refusals(before, where, force=call.given["force"])
        if refusals:
            return _failed(result, refusals)
        if self._task.check_mode:
            result.update(changed=True)
            return result
        with turn_of(run.folder, call.stack.name if call.stack else name, name) as turn:
            if turn.lost:
                message = f"{name} was not rebooted: {turn.lost}, the pair's other desk, has not come back from its own reboot"
                return _failed(result, [finding("REBOOT_REFUSED", where, message, evidence={"waiting_for": turn.lost})])
            taken = self._take(call, turn)
            if taken.get("failed"):
                return {**result, **taken}
            told = self._reboot(call.given["patience"], task_vars)
            result["changed"] = True
            if told.get("failed") or told.get("unreachable"):
                text = line(" ".join(str(told.get("msg") or "no message").split()))[:400]
                return _failed(result, [finding("REBOOT_FAILED", where, f"{name} did not come back: {text}", evidence={"error": text})])
            after, failure = self._read(call)
            if after is None:
                return {**result, **failure}
            wrong = reboot_result(before, after, where)
            if wrong:
                return _failed(result, wrong)
            turn.back()
        result.update(rebooted=True)
        return result

    def _read(self, call: Call) -> tuple[Desk | None, dict[str, Any]]:
        """What the desk is now: the facts at the run's start may be older than its last change."""
        arguments = {"gather_subset": SUBSETS, "desk": call.desk}
        answer = self.execute("labops.dgx_spark.spark_facts", arguments, call)
        facts = (answer.get("ansible_facts") or {}).get("spark")
        if answer.get("failed") or not isinstance(facts, Mapping):
            return None, {"failed": True, "msg": answer.get("msg", "no facts"), "findings": list(answer.get("findings") or [])}
        return _desk(facts), {}

    def _take(self, call: Call, turn: Turn) -> dict[str, Any]:
        """Take the desk for this run until it goes down. Raises ElsewhereError where another run works on it."""
        try:
            answer = self.execute("labops.dgx_spark.desk_reboot", {"policy": call.given["policy"]}, call)
        except ElsewhereError:
            turn.back()
            raise
        if answer.get("failed"):
            turn.back()
        return answer

    def _reboot(self, patience: int, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The builtin action, which knows how to wait for a machine that goes and comes."""
        task = self._task.copy()
        task.args = {
            "reboot_timeout": patience,
            "connect_timeout": 10,
            "msg": "Reboot by labops.dgx_spark: an installed update waits for it",
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
        told: dict[str, Any] = action.run(task_vars=task_vars)
        return told


class Turn:
    """A desk's turn in its pair."""

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
def turn_of(run_dir: Path, group: str, desk: str) -> Iterator[Turn]:
    """Wait until no other desk of the group is away. ``lost`` names one that went in this run and has not come back."""
    folder = run_dir / "reboot"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{group.replace('/', '_')}.json"
    with (folder / f"{group.replace('/', '_')}.lock").open("w", encoding="utf-8") as lock:
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


def _desk(facts: Mapping[str, Any]) -> Desk:
    desk: Desk = from_dict(Desk, facts)
    return desk


def _failed(result: dict[str, Any], findings: list[Finding]) -> dict[str, Any]:
    result.update(failed=True, msg="; ".join(item.message for item in findings), findings=[item.as_dict() for item in findings])
    return result
