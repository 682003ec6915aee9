# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at an update, make it, prove it, take it back: what the controller knows around the module."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.changes import lock_record
from ..module_utils.changes.driver_group import held_group
from ..module_utils.changes.update import SUBSETS
from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.reboot import reboot_refusals
from ..module_utils.judges.update import Wishes, came_back, gpu_lost, judge_look, levels, moved, resume, slower
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Finding, Where
from ..module_utils.model.update import ROLLED_BACK, SETTLED, STARTED, Look
from ..plugin_utils.actions import Call
from ..plugin_utils.lock_file import LockFileError, read
from ..plugin_utils.reboots import RebootingAction, Turn, turn_of
from ..plugin_utils.report.figures import figures_of
from ..plugin_utils.run.model import Stack
from ..plugin_utils.run.store import DONE, FAILED, Part, RunStore

MODULE = "labops.dgx_spark.desk_update"
PROOF = ("rdma", "nccl")
PAUSE = 10.0
"""Seconds between two looks at a desk whose packages somebody else changes."""


class ActionModule(RebootingAction):
    """See the module documentation of desk_update."""

    subsets = (*SUBSETS, "gpu")

    def work(self, call: Call) -> dict[str, Any]:
        """One step."""
        step = call.given["step"]
        if step == "note":
            return self.execute(MODULE, {"desk": call.desk, **call.only_named()}, call)
        if call.known_run is None:
            raise AnsibleActionFail("desk_update needs a run: use playbooks/update_plan.yml, update.yml or rollback_update.yml")
        if step == "plan":
            return self._plan(call)
        if step == "prove":
            return self._prove(call)
        return self._change(call, step)

    # ---- look -----------------------------------------------------------------------------------------------------------

    def _plan(self, call: Call) -> dict[str, Any]:
        facts = _facts(call.store, call.desk)
        if facts is None:
            return {"failed": True, "msg": f"{call.desk}: its facts were not read, so there is no plan", "findings": []}
        arguments = self._arguments(call)
        answer = self.execute(MODULE, {**arguments, "step": "plan"}, call)
        if answer.get("failed"):
            return answer
        look = from_dict(Look, answer.get("look") or {})
        outlook = judge_look(facts, look, Where(desk=call.desk), _wishes(arguments), _group(facts, arguments), foreign_holds(facts))
        return {
            "changed": False,
            "todo": outlook.todo,
            "refused": outlook.refused,
            "versions": dict(outlook.versions),
            "now": levels(facts),
            "levels": dict(outlook.row),
            "look": answer.get("look"),
            "findings": [*(answer.get("findings") or []), *(item.as_dict() for item in outlook.findings)],
        }

    def _arguments(self, call: Call) -> dict[str, Any]:
        """The wishes, those of a fleet lock file among them."""
        arguments = {"desk": call.desk, **call.only_named()}
        path = arguments.pop("lock_file", None)
        if path:
            try:
                lock = read(Path(str(path)).expanduser())
            except LockFileError as error:
                raise AnsibleActionFail(f"the lock file cannot be used; nothing was changed: {error}") from None
            arguments.update(branch=lock.branch, versions=dict(lock.packages))
        return arguments

    # ---- change ---------------------------------------------------------------------------------------------------------

    def _change(self, call: Call, step: str) -> dict[str, Any]:
        """Update or take back one desk, in its turn. The desks of a stack go one after the other, and the second only after the first."""
        stack, where = call.stack, Where(desk=call.desk)
        result: dict[str, Any] = {"changed": False, "rebooted": False, "findings": []}
        refusal = _several_stacks(call) if step == "roll_back" else _not_as_a_whole(call.store, stack, call.desk)
        if refusal is not None:
            return self.refused([refusal])
        if self._task.check_mode:
            return {**result, "changed": True}
        known = _facts(call.store, call.desk)
        result["now"] = levels(known) if known is not None else {}
        arguments = {**self._arguments(call), "step": step, "run_id": call.run.run_id, "stack": stack.name if stack else None}
        plan = call.store.part("update_plan", call.desk)
        if step == "update" and plan is not None:
            arguments["expected"] = plan.data.get("versions") or {}
        with turn_of(call.run.folder, stack.name if stack else call.desk, call.desk, step) as turn:
            if turn.lost:
                message = f"left as it is: {turn.lost}, another desk of its stack, failed"
                return self.refused([finding("UPDATE_REFUSED", where, message, evidence={"waiting_for": turn.lost})])
            return self._in_turn(call, arguments, turn, result)

    def _in_turn(self, call: Call, arguments: dict[str, Any], turn: Turn, result: dict[str, Any]) -> dict[str, Any]:
        """Change, reboot, look who came back; a way back ends with a second change, once the newer kernel does not run any more."""
        arguments = {key: value for key, value in arguments.items() if value is not None}
        for _attempt in range(2):
            answer = self.execute(MODULE, arguments, call)
            result["changed"] = bool(result["changed"] or answer.get("changed"))
            result["findings"] += answer.get("findings") or []
            for key in ("phase", "kernel_after"):
                result[key] = answer.get(key)
            result["commands"] = [*result.get("commands", []), *(answer.get("commands") or [])]
            if answer.get("failed"):
                return {**result, "failed": True, "msg": answer.get("msg")}
            if not answer.get("reboot"):
                turn.back()
                return result
            after, wrong = self._start_again(call, answer.get("kernel_after"), result)
            if after is None:
                return wrong
            if arguments["step"] == "update":
                noted = self.execute(MODULE, {"desk": call.desk, "step": "note", "phase": STARTED}, call)
                if noted.get("failed"):
                    return {**_joined(result, noted), "changed": True}
                result["phase"] = STARTED
                lost = gpu_lost(after, Where(desk=call.desk))
                if lost:
                    return self._failed(result, lost)
                turn.back()
                return result
        message = f"{call.desk} still needs a reboot after it was rebooted"
        return self._failed(result, [finding("REBOOT_FAILED", Where(desk=call.desk), message, evidence={"phase": result.get("phase")})])

    def _start_again(self, call: Call, kernel: Any, result: dict[str, Any]) -> tuple[Desk | None, dict[str, Any]]:
        """Reboot the desk. What it is once it is back as wanted, else the failed result."""
        where = Where(desk=call.desk)
        before, failure = self._when_unlocked(call)
        if before is None:
            return None, _joined(result, failure)
        refusals = reboot_refusals(before, where, force=call.given["force"])
        if refusals:
            # The force of a reboot that this stage makes is this stage's own.
            own = [replace(item, remedy=(item.remedy or "").replace("desk_reboot_force", "desk_update_force")) for item in refusals]
            return None, self._failed(result, own)
        text = self.reboot(call.given["patience"], call.task_vars)
        if text:
            lost = finding("REBOOT_FAILED", where, f"{call.desk} did not come back: {text}", evidence={"error": text})
            return None, self._failed(result, [lost])
        result["rebooted"] = True
        after, failure = self.read_desk(call)
        if after is None:
            return None, _joined(result, failure)
        wrong = came_back(before, after, where, str(kernel) if kernel else before.kernel.next_boot)
        return (None, self._failed(result, wrong)) if wrong else (after, {})

    def _when_unlocked(self, call: Call) -> tuple[Desk | None, dict[str, Any]]:
        """The desk once nobody changes packages: unattended upgrades or the Dashboard may have begun meanwhile."""
        deadline = time.monotonic() + call.given["lock_timeout"]
        while True:
            before, failure = self.read_desk(call)
            if before is None or not before.apt.lock_holder or time.monotonic() + PAUSE > deadline:
                return before, failure
            time.sleep(PAUSE)

    @staticmethod
    def _failed(result: dict[str, Any], findings: list[Finding]) -> dict[str, Any]:
        told = [*result["findings"], *(item.as_dict() for item in findings)]
        return {**result, "failed": True, "msg": "; ".join(item.message for item in findings), "findings": told}

    # ---- prove ----------------------------------------------------------------------------------------------------------

    def _prove(self, call: Call) -> dict[str, Any]:
        """Whether the stack is as good as right before; only then the desk's journal is settled."""
        store, stack, name = call.store, call.stack, call.desk
        facts, plan = _facts(store, name), store.part("update_plan", name)
        now = levels(facts) if facts is not None else {}
        begun = plan or store.part("roll_back", name)
        was = dict(begun.data.get("now") or {}) if begun is not None else now
        told = moved(was, now) if now else was
        result: dict[str, Any] = {"changed": False, "levels": told, "findings": []}
        if self._task.check_mode:
            return result
        falls = slower(stack.name, *_figures(store, stack)) if stack is not None else []
        found = falls if stack is not None and name == stack.head else []
        journal = facts.setup.update_journal if facts is not None else None
        phase = journal.phase if journal is not None and journal.open else _left_at(store, name)
        if phase is None:
            return {**result, "findings": [item.as_dict() for item in found]}
        doubts = [*_doubts(store, stack, name), *(item.code for item in falls)]
        if doubts:
            message = f"the update is not proven ({', '.join(doubts)})"
            evidence, way = {"phase": phase, "because": doubts}, resume(stack.name if stack is not None else name)
            half = finding("UPDATE_HALF_DONE", Where(desk=name), message, evidence=evidence, remedy=way)
            return {**result, "findings": [item.as_dict() for item in (*found, half)]}
        answer = self.execute(MODULE, {"desk": name, "step": "note", "phase": SETTLED}, call)
        if answer.get("failed"):
            return {**result, **answer}
        change = "; ".join(f"{key} {value}" for key, value in told.items() if "->" in value) or "nothing that the facts cover changed"
        what = "after the update was undone" if phase == ROLLED_BACK else "after the update"
        proven = finding("UPDATE_PROVEN", Where(desk=name), f"{name}: proven {what}: {change}", evidence=told)
        return {**result, "changed": bool(answer.get("changed")), "findings": [proven.as_dict()]}


def _joined(result: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The result so far with a further answer, and the findings of both."""
    return {**result, **answer, "findings": [*result["findings"], *(answer.get("findings") or [])]}


def _left_at(store: RunStore, desk: str) -> str | None:
    """Where this run left a change that broke off: the desk's facts are then those from before it. Null for one that it did not begin."""
    parts = [store.part(stage, desk) for stage in ("update", "roll_back")]
    phases = [part.data.get("phase") for part in parts if part is not None and part.state == FAILED]
    return next((str(phase) for phase in phases if phase not in (None, SETTLED)), None)


def _facts(store: RunStore, desk: str) -> Desk | None:
    """The desk's newest facts of this run."""
    part = store.part("facts", desk)
    facts = part.data.get("spark") if part is not None else None
    return from_dict(Desk, facts) if isinstance(facts, Mapping) else None


def _wishes(arguments: Mapping[str, Any]) -> Wishes:
    known = ("branch", "firmware", "accept_known_bad", "allow_downgrade", "force")
    return Wishes(**{key: arguments[key] for key in known if arguments.get(key) is not None})


def _group(facts: Desk, arguments: Mapping[str, Any]) -> frozenset[str]:
    """Packages of driver, kernel and NCCL on the desk."""
    return frozenset(item.name for item in held_group(facts.driver.packages, int(arguments.get("branch") or 580)))


def foreign_holds(facts: Desk) -> frozenset[str]:
    """Holds that are not the driver lock's own."""
    try:
        record = lock_record.parse(facts.setup.driver_lock) if facts.setup.driver_lock else None
    except lock_record.RecordError:
        record = None
    return frozenset(facts.driver.holds) - set(record.added_holds if record else ())


def _not_as_a_whole(store: RunStore, stack: Stack | None, desk: str) -> Finding | None:
    """Why a desk may not go: every desk of its stack must have been looked at, and may be updated."""
    for name in stack.members if stack is not None else (desk,):
        plan = store.part("update_plan", name)
        if plan is None or plan.state != DONE:
            told = f"{name} was not examined ({plan.reason if plan is not None and plan.reason else 'no result'})"
        elif plan.data.get("refused"):
            codes = sorted({str(item["code"]) for item in plan.findings if item.get("severity") in ("fail", "unknown")})
            told = f"{name} may not be updated ({', '.join(codes)})"
        else:
            continue
        message = f"left as it is: {told}, and a stack moves as a whole"
        return finding("UPDATE_REFUSED", Where(desk=desk), message, evidence={"because_of": name})
    return None


def _several_stacks(call: Call) -> Finding | None:
    """Why nothing is taken back: it is one stack's way."""
    stacks = [stack.name for stack in call.run.stacks if call.run.in_scope(stack)]
    alone = [name for name in call.run.scope if call.run.stack_of(name) is None]
    if len(stacks) + len(alone) == 1:
        return None
    told = ", ".join([*stacks, *alone])
    message = f"left as it is: an update is undone for one stack at a time, but this run has {told}"
    return finding("UPDATE_ROLLBACK_IMPOSSIBLE", Where(desk=call.desk), message, evidence={"stacks": [*stacks, *alone]})


def _figures(store: RunStore, stack: Stack) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    """The figures right before and now, by id, and what they are called."""
    several: list[dict[str, float]] = []
    titles: dict[str, str] = {}
    for suffix in ("_before", ""):
        parts = {name: store.part(f"{name}{suffix}", stack.head) for name in PROOF}
        seen = {name: dict(part.data) if part is not None and part.data.get("measured") else None for name, part in parts.items()}
        listed = figures_of({"members": [{"desk": name} for name in stack.members], **seen})
        several.append({item["id"]: float(item["value"]) for item in listed})
        titles |= {item["id"]: str(item["title"]) for item in listed}
    return several[0], several[1], titles


def _doubts(store: RunStore, stack: Stack | None, desk: str) -> list[str]:
    """Why the stack is not proven: what failed or is unknown about its desks, and a measurement that was not made."""
    members = stack.members if stack is not None else (desk,)
    parts = [part for name in members for part in store.of_desk(name) if part.stage != "update_end"]
    codes = [_codes(part) for part in parts]
    missing = []
    if stack is not None:
        measured = {name: store.part(name, stack.head) for name in PROOF}
        missing = [f"{name} was not measured" for name, part in measured.items() if part is None or not part.data.get("measured")]
    return list(dict.fromkeys([*(code for listed in codes for code in listed), *missing]))[:8]


def _codes(part: Part) -> list[str]:
    found = [str(item["code"]) for item in part.findings if item.get("severity") in ("fail", "unknown")]
    return found or ([f"stage {part.stage} failed"] if part.state == "failed" else [])
