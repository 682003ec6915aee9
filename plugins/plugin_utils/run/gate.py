# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a stage concerns a desk now, from what the run's earlier stages wrote; and what it leaves behind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...module_utils.judges.catalogue import finding
from ...module_utils.model.finding import Where
from ..admission.text import line
from ..connection_errors import classify
from ..connection_reasons import login_shell
from ..own_load import REMEDY
from .model import Run
from .stages import DESK, EVERYTHING, STACK, STAGES, STOPS_DESK, UNIT, Stage, is_wanted, playbook, stage_of_part
from .store import DONE, ELSEWHERE, FAILED, HELD_BACK, SKIPPED, Part, RunStore
from .waves import loss, unproven

INTERPRETER = re.compile(
    r"pyenv:|python[\w.]*'?: (?:(?:command )?not found|no such file or directory|exec format error|permission denied|error while loading "
    r"shared libraries)|bad interpreter|No such file or directory.*python|cannot execute|No module named 'encodings'|"
    r"libpython[\w.]{1,20}: cannot open shared object file",
    re.IGNORECASE,
)
"""What a shell says when the Python that Ansible found is none."""
PYTHON_HOME = re.compile(r"PYTHONHOME = '([^'\n]{1,1000})'")
"""What a Python that does not start prints of its environment, where that is set."""
OWN_PYTHON = re.compile(r"/usr/bin/python3(?:\.12)?(?![\w.])")
"""The system's Python; another one there (python3.11) is one that somebody named and that the desk never had."""
NO_START = ("full", "no_files", "processes")
"""Reasons for which a module cannot start on a desk that lets its user in (see `connection_reasons`)."""
NO_ANSWER = "No start of json char found"
"""Ansible's words for an output in which there is no result of a module."""
NO_ANSWER_REMEDY = (
    "Log in by hand: ssh USER@ADDRESS 'echo hello' must print hello. If it prints nothing, a start-up file of the user's shell (~/.bashrc, "
    "/etc/bash.bashrc) ends the shell with exit or starts another program with exec, or the key has a forced command (command= in "
    "~/.ssh/authorized_keys, ForceCommand of sshd). Let them do so in interactive shells only, then run again."
)
KILLED = (137, -9)
"""How a program ends that was killed; the shell's way to say so, and Python's."""
KEPT_FROM_ROOT = re.compile(r"can't open file '[^'\n]{1,300}/AnsiballZ_\w{1,80}\.py': \[Errno 13\]")
"""What root's Python says in a home on a network file system that takes root for nobody."""

KEPT_FROM_ROOT_REMEDY = (
    "The home is on a file system that keeps root out (findmnt -T ~; NFS does, by root_squash). Set ansible_pipelining: true, so that "
    "nothing lies there, and run again. Where sudo wants a terminal, let ansible_remote_tmp name a folder on the desk's own disk instead."
)

KILLED_REMEDY = (
    "sudo journalctl -k | grep -iE 'out of memory|oom' on the desk says whether its memory ran out and who used it. End that, or let it "
    "finish, then run again."
)
NO_MEMORY = re.compile(r"\bMemoryError\b|cannot allocate memory", re.IGNORECASE)
"""What Python and the system say where there is no memory for a program that is not killed."""
RESULT_NOISE = (
    "findings",
    "invocation",
    "controller",
    "failed",
    "changed",
    "warnings",
    "deprecations",
    "msg",
    "diff",
    "exception",
    "skipped",
)


@dataclass(frozen=True)
class Gate:
    """The answer."""

    reason: str = ""
    """Why the stage does not run; empty when it does."""
    silent: bool = False
    """Whether it never was this desk's business, so that nothing is reported."""
    findings: tuple[dict[str, Any], ...] = ()

    @property
    def proceed(self) -> bool:
        """Whether the stage runs."""
        return not self.reason


def gate(run: Run, store: RunStore, desk: str, stage: Stage, wave: int | None = None) -> Gate:
    """Whether ``stage`` runs on ``desk``. ``wave`` is the wave that the task stands for, null where it takes every wave."""
    if not is_wanted(stage, run.stages):
        return Gate(f"stage {stage.name} is not among spark_stages", silent=True)
    if stage.after_change and (run.check_mode or not changed_since_facts(store, desk)):
        # In check mode nothing was changed, so there is nothing new to read.
        return Gate(f"nothing has changed on {desk} since its facts were read", silent=True)
    leader = _leader(run, stage)
    mine = next((item for item in store.waves(leader) if desk in item.desks), None) if leader else None
    if wave is not None and (mine.number if mine else 1) != wave:
        return Gate(f"{desk} is in another wave", silent=True)
    closed = _closed(run, store, desk, stage)
    if not closed.proceed or mine is None:
        return closed
    return _held_back(run, store, desk, leader, mine.after)


def _leader(run: Run, stage: Stage) -> str:
    """The stage whose waves this one follows; empty for none."""
    return playbook(run.playbook).follows or (stage.name if stage.waves else "")


def takes_part(run: Run, store: RunStore, desk: str, stage: Stage) -> bool:
    """Whether a desk would come through the gate, waves aside."""
    return _closed(run, store, desk, stage).proceed


def _closed(run: Run, store: RunStore, desk: str, stage: Stage) -> Gate:
    if run.members[desk].left_alone:
        return Gate(f"{desk} is out of service", silent=not stage.always)
    if stage.asked_by:
        asked = store.part(stage.asked_by, desk)
        if asked is None or not asked.data.get("todo"):
            return Gate(f"there is nothing to do for {desk}", silent=True)
    if stage.scope == DESK:
        return Gate(_stop(store, desk, STOPS_DESK))
    stack = run.stack_of(desk)
    if stack is None and stage.scope == UNIT:
        return Gate(_stop(store, desk, None, stage.despite | playbook(run.playbook).despite | {stage.kept_as}))
    if stack is None:
        return Gate(f"{desk} is not in a pair", silent=True)
    if stack.out_of_service:
        return Gate(f"{stack.kind} {stack.name} is out of service")
    outside = run.outside(stack)
    if outside:
        return Gate(f"{', '.join(outside)} is not in this run")
    despite = stage.despite | playbook(run.playbook).despite
    for name in (desk, *stack.others(desk)):
        # What this very stage just left on another desk does not count: which of them is first is luck.
        reason = _stop(store, name, None, despite | ({stage.kept_as} if name != desk else set()))
        if reason:
            return Gate(reason)
    cabling = store.part("cable_map", desk)
    if cabling is not None and cabling.data.get("allowed") is False and not despite & EVERYTHING:
        return Gate(f"the cabling of {stack.kind} {stack.name} is not as planned")
    if stage.scope == STACK and desk != stack.head:
        return Gate(f"{stack.head} measures for {stack.kind} {stack.name}", silent=True)
    return Gate()


def _stop(store: RunStore, desk: str, stops: frozenset[str] | None, despite: frozenset[str] = frozenset()) -> str:
    """Why a desk goes no further: a stage that broke, or a failing finding (any, or one of ``stops``)."""
    if despite & EVERYTHING:
        return ""
    for part in store.of_desk(desk):
        if stage_of_part(part.stage) in despite:
            continue
        if part.held_back and stops is None:
            if part.elsewhere:
                return f"another run held {desk} in stage {part.stage} ({ELSEWHERE})"
            return f"{desk} was left out of stage {part.stage} ({HELD_BACK})"
        codes = [code for code in part.failing_codes if stops is None or code in stops]
        if part.state == FAILED or codes:
            return f"{desk} failed in stage {part.stage}" + (f" ({', '.join(codes)})" if codes else "")
    return ""


def _held_back(run: Run, store: RunStore, desk: str, leader: str, after: tuple[str, ...]) -> Gate:
    proof = playbook(run.playbook).proven_by
    if proof:
        # A change that broke off leaves nothing to prove, so its own part counts as well.
        changes = {name: store.part(STAGES[leader].kept_as, name) for name in after}
        broken = {name: part for name, part in changes.items() if part is not None and part.state == FAILED}
        lost = unproven({**{name: store.part(proof, name) for name in after}, **broken})
    else:
        lost = loss({name: store.part(STAGES[leader].kept_as, name) for name in after})
    if not lost:
        return Gate()
    told = f"the stack of {lost} failed in it" if proof else f"it lost {lost}"
    message = f"left as it is: stage {leader} stopped, because {told} in an earlier wave"
    where = Where(pair=run.members[desk].stack, desk=desk)
    found = finding(HELD_BACK, where, message, evidence={"stage": leader, "lost": lost}).as_dict()
    return Gate(f"an earlier wave lost {lost}", findings=(found,))


def changed_since_facts(store: RunStore, desk: str) -> list[str]:
    """Stages that changed the desk after its last facts."""
    facts = store.part("facts", desk)
    read = (facts.started if facts else None) or ""
    return [part.stage for part in store.of_desk(desk) if part.changed and (part.ended or "") > read]


def part_of(
    stage: str,
    desk: str,
    stack: str | None,
    answer: Mapping[str, Any],
    started: str,
    ended: str,
    closed: Gate | None = None,
    task: str = "",
) -> Part:
    """The part of a stage that ended, failed or was skipped (``closed``). Pure."""
    if closed is not None:
        return Part(stage, desk, SKIPPED, stack, closed.reason, started, ended, False, closed.findings)
    failed = bool(answer.get("failed") or answer.get("unreachable"))
    findings = tuple(answer.get("findings") or ())
    if failed and not findings:
        findings = (failure(stage, desk, stack, task, answer),)
    if stage in STAGES and STAGES[stage].past:
        # Whatever was wrong before is no verdict on what comes after; it stands there to be read.
        findings = tuple({**item, "severity": "note", "message": f"Before the change: {item['message']}"} for item in findings)
        failed = False
    if not failed:
        return Part(stage, desk, DONE, stack, None, started, ended, bool(answer.get("changed")), findings, data_of(answer))
    # It stands in sentences, tables and comments of files: a line end of a desk's would begin a line of its own there.
    reason = line(answer.get("msg") or findings[0].get("message") or "failed")
    return Part(stage, desk, FAILED, stack, reason, started, ended, bool(answer.get("changed")), findings, data_of(answer))


def _tail(text: Any) -> str:
    """The last words of an output."""
    return " ".join(str(text or "").split())[-500:]


def data_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a part keeps of a result."""
    facts = answer.get("ansible_facts")
    data = {key: value for key, value in answer.items() if key not in RESULT_NOISE and key != "ansible_facts" and not key.startswith("_")}
    if isinstance(facts, Mapping) and "spark" in facts:
        data["spark"] = facts["spark"]
    return data


def failure(stage: str, desk: str, stack: str | None, task: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The finding for an error that brought none of its own."""
    # A module that ends with an exception says nothing else; of a traceback the last line tells what it was.
    raised = str(answer.get("exception") or "").strip().rpartition("\n")[2]
    ended = f"it ended with an exception: {raised}" if raised else "no message"
    words = str(answer.get("msg") or answer.get("module_stderr") or ended)
    message = " ".join(words.split())
    where = Where(pair=stack, desk=desk)
    evidence = {"stage": stage, "task": task, "error": message[:900], "rc": answer.get("rc")}
    # A module that gave no JSON says why on one of these.
    said = {key: tail for key in ("module_stderr", "module_stdout") if (tail := _tail(answer.get(key)))}
    evidence.update(said)
    if "timedout" in answer or "timed out" in message.lower():
        text = f"{desk}: stage {stage} ran out of time in task '{task}'"
        # Not Ansible's own limit: what a program on the desk said that it waited for in vain.
        text += "" if "timedout" in answer else f": {message[:300]}"
        if own := answer.get("controller"):
            return finding("STAGE_TIMEOUT", where, f"{text}, but {own}", evidence=evidence, severity="unknown", remedy=REMEDY).as_dict()
        return finding("STAGE_TIMEOUT", where, text, evidence=evidence).as_dict()
    if answer.get("unreachable"):
        reason = classify(words)
        return finding(reason.code, where, f"{desk}: {reason.sentence}", evidence=evidence, remedy=reason.remedy).as_dict()
    interpreter = next((text for text in said.values() if INTERPRETER.search(text)), None)
    if interpreter is not None:
        text = f"{desk}: stage {stage} failed: the desk's Python does not start: {interpreter[-300:]}"
        remedy = "Set ansible_python_interpreter=/usr/bin/python3 for this desk (the system's Python), then run again."
        if home := PYTHON_HOME.search(f"{answer.get('module_stderr')}\n{answer.get('module_stdout')}"):
            text = f"{desk}: stage {stage} failed: the desk's Python does not start with PYTHONHOME={line(home.group(1))[:200]}"
            remedy = (
                "Take PYTHONHOME out of /etc/environment, /etc/profile.d and the login user's shell files on the desk (grep -rn PYTHONHOME "
                "finds it), log in again and run again."
            )
        elif OWN_PYTHON.search(interpreter):
            remedy = (
                "The system's own Python is damaged. Try /usr/bin/python3 --version on the desk, then sudo apt-get install --reinstall "
                "python3-minimal python3.12-minimal libpython3.12-minimal libpython3.12-stdlib, and run again."
            )
        return finding("DESK_STAGE_FAILED", where, text, evidence=evidence, remedy=remedy).as_dict()
    told = next(iter(said.values()), "")
    if KEPT_FROM_ROOT.search(told):
        text = f"{desk}: stage {stage} failed: root may not read the file that Ansible put into the login user's home: {told[-300:]}"
        return finding("DESK_STAGE_FAILED", where, text, evidence=evidence, remedy=KEPT_FROM_ROOT_REMEDY).as_dict()
    if not said and NO_ANSWER in words and answer.get("rc") in (0, None):
        text = f"{desk}: stage {stage} failed in task '{task}': the login works, but nothing came back: what Ansible started never ran"
        return finding("DESK_STAGE_FAILED", where, text, evidence=evidence, remedy=NO_ANSWER_REMEDY).as_dict()
    if shell := login_shell(told):
        text = f"{desk}: stage {stage} failed: {shell[0]}: {told[-300:]}"
        return finding("DESK_STAGE_FAILED", where, text, evidence=evidence, remedy=shell[1]).as_dict()
    if told and (reason := classify(told)).kind in NO_START:
        text = f"{desk}: stage {stage} failed: {reason.sentence}: {told[-300:]}"
        return finding("DESK_STAGE_FAILED", where, text, evidence=evidence, remedy=reason.remedy).as_dict()
    text = f"{desk}: stage {stage} failed in task '{task}': {message[:400]}{f' ({told[-300:]})' if told else ''}"
    if answer.get("rc") in KILLED:
        return finding("DESK_STAGE_FAILED", where, f"{text}; its program was killed", evidence=evidence, remedy=KILLED_REMEDY).as_dict()
    if NO_MEMORY.search(f"{message} {told}"):
        return finding("DESK_STAGE_FAILED", where, f"{text}; it got no memory", evidence=evidence, remedy=KILLED_REMEDY).as_dict()
    return finding("DESK_STAGE_FAILED", where, text, evidence=evidence).as_dict()
