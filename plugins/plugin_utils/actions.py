# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our action plugins share: checked arguments, the run, the stage around a task, module executions that cannot drop a desk."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import socket
import traceback
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible import context
from ansible._internal._display_utils import DeferredWarningContext
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.working import held
from ..module_utils.model.finding import Finding, Where, verdict
from ..module_utils.programs.lease import VARIABLE
from . import alone
from .admission.admit import ANSWER_LIMIT, COLLECTION, MEASURING, AnswerInvalid, Speaker, admit, discreet, told_discreetly
from .admission.admit import facts as admitted_facts
from .admission.schema import Refused
from .admission.text import clean, cut, ends, everything, line
from .connection_errors import classify
from .documented import spec_of, without_empty
from .known_hosts import fingerprint, keys_of, text_of
from .own_load import FOLDER as PLACES_FOLDER
from .own_load import explained, overload, place
from .run.clock import utc_precise
from .run.gate import Gate, gate, part_of
from .run.model import Run, Stack, from_plain
from .run.stages import DESK, STAGES, Stage
from .run.store import DONE, SKIPPED, RunStore
from .run.wants import FAIL_ON, SHOW_NOTES, WantError

STOPPED = "spark_stopped"
"""Fact of a desk whose results cannot be kept, and why. Facts live in Ansible's own process, when no file can be written."""
SYSTEM_PYTHON = "/usr/bin/python3"
"""What runs our modules where the admin names no Python: python3-apt is in the system's alone, whatever newer one Ansible would find."""
BEGINS = "/"
"""Where every command on a desk begins. A login begins in its user's home, and Python that reads a module from standard input, as root too,
takes what the module imports first from the folder that it was started in."""
WAY = ("host", "port", "remote_user", "ssh_args", "ssh_common_args", "ssh_extra_args")
"""Options of Ansible's ssh that say which machine is reached, through which others, and which host key it must have."""
NO_PASSWORD = "Missing sudo password"
"""All that Ansible says where sudo wants a password and none is given."""
UNREADABLE = (RecursionError, ValueError, TypeError, KeyError, AttributeError)
"""What Ansible's reading of an answer raises over one that is no result of a module."""


def not_kept(folder: str, error: OSError) -> str:
    """Why a desk goes no further when the run's folder cannot be written."""
    return f"its results could not be kept in {folder}: {error.strerror or error}"


@dataclass(frozen=True)
class Call:
    """One task on one desk."""

    desk: str
    """The inventory name of the desk that the task runs for."""
    given: dict[str, Any]
    """The task's arguments, checked against the module's documentation, defaults filled in."""
    named: frozenset[str]
    """The arguments that the task itself gives."""
    task_vars: dict[str, Any]
    facts: dict[str, Any] | None
    """The desk's facts of this run (``ansible_facts.spark``), null when there are none."""
    known_run: Run | None
    """Null when the task runs outside a run."""
    stage: Stage | None
    """Null when the task is no stage."""
    action: str
    by_itself: bool = False
    """Whether nobody began a run: ``known_run`` is then what the inventory and earlier roles of the play tell."""

    @property
    def run(self) -> Run:
        """The run; a clear refusal without one."""
        if self.known_run is None:
            raise AnsibleActionFail(
                f"{self.action} needs a run (variable spark_plan); call labops.dgx_spark.spark_run with phase begin first and register it "
                "as spark_plan, as the playbooks of this collection do"
            )
        return self.known_run

    @property
    def store(self) -> RunStore:
        """The run's store."""
        return RunStore(self.run.run_dir)

    @property
    def required_stage(self) -> Stage:
        """The stage that the task is. Raises AnsibleActionFail where it is none."""
        if self.stage is None:
            raise AnsibleActionFail(f"{self.action} is not a stage of a run; set spark_stage")
        return self.stage

    @property
    def stack(self) -> Stack | None:
        """The stack that the desk is in, null without one or without a run."""
        return self.known_run.stack_of(self.desk) if self.known_run else None

    @property
    def required_stack(self) -> Stack:
        """The stack that the desk is in; a clear refusal where it is in none."""
        stack = self.run.stack_of(self.desk)
        if stack is None:
            raise AnsibleActionFail(f"{self.action}: {self.desk} is not in a pair of the inventory")
        return stack

    def only_named(self) -> dict[str, Any]:
        """The arguments that the task itself gives, checked; a module on the desk fills in its own defaults."""
        return {name: value for name, value in self.given.items() if name in self.named}


class ElsewhereError(AnsibleError):
    """Another run works on a desk, so that nothing was done. ``answer`` is the task's result."""

    def __init__(self, found: Finding) -> None:
        self.answer = {"changed": False, "measured": False, "findings": [found.as_dict()], "verdict": "UNKNOWN"}
        super().__init__(found.message)


def speaker(call: Call, arguments: Mapping[str, Any]) -> Speaker:
    """Who answers a module that ran with these arguments (the controller's own), and of whom it may speak."""
    ends = [item.get("desk") for item in (arguments.get("head"), arguments.get("peer")) if isinstance(item, Mapping)]
    stack = call.stack
    pair = stack.name if stack is not None else arguments.get("pair_name") or arguments.get("pair")
    members = frozenset(str(name) for name in (call.desk, *(stack.members if stack is not None else ()), *ends) if name)
    return Speaker(call.desk, pair if isinstance(pair, str) else None, members)


def read_harmless(read: Callable[..., Any], res: Any, *more: Any) -> Any:
    """Ansible's own reading of a module's output, which shows what stands around the JSON on the terminal: cleaned before.

    Raises Refused.
    """
    if isinstance(res, dict):
        said = {name: res[name] for name in ("stdout", "stderr") if isinstance(res.get(name), str)}
        long = max((len(text) for text in said.values()), default=0)
        if long > ANSWER_LIMIT:
            raise Refused("", f"{long} characters long", f"{ANSWER_LIMIT} at most")
        res = {**res, **{name: clean(text) for name, text in said.items()}}
    try:
        return read(res, *more)
    except UNREADABLE as error:
        raise Refused("", f"unreadable ({type(error).__name__})", "the JSON of a module") from None


@contextlib.contextmanager
def withheld() -> Iterator[list[Any]]:
    """Keep the warnings of a module for the gate, and those that Ansible itself has meanwhile, in a list.

    From 2.21 on ansible-core takes a module's warnings and deprecations to the terminal as it reads the answer.
    """
    with DeferredWarningContext(variables={}) as held:
        yield held.get_warnings()


class HarmlessDisplay:
    """Ansible's display for what our actions say themselves: the names of files and folders that somebody sent are somebody's words."""

    def __init__(self, display: Any) -> None:
        self._told = display

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._told, name)
        return (lambda text, *more, **options: found(clean(text), *more, **options)) if name in SAYING else found


SAYING = ("display", "warning", "error", "prompt_until")


class DeskAction(ActionBase):
    """Base of the actions. `work` does the task; a variable ``spark_stage`` makes it a stage of the run.

    A stage asks the gate first and writes its part whatever happens; to Ansible it never fails, so that no desk leaves the run before
    the verdict.
    """

    _supports_check_mode = True
    _supports_async = False
    _display: Any

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._display = HarmlessDisplay(self._display)

    @abstractmethod
    def work(self, call: Call) -> dict[str, Any]:
        """Do the task; the result, ``failed`` when it failed."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the arguments, then `work`, as a stage where it is one. Ansible shows the words of an error as they are."""
        try:
            result = self._run(tmp, task_vars)
        except AnsibleError as error:
            told = clean(str(error))
            if told == str(error):
                raise
            raise (AnsibleConnectionFailure if isinstance(error, AnsibleConnectionFailure) else AnsibleActionFail)(told) from None
        return {**result, **{name: everything(result[name]) for name in ("msg", "diff") if name in result}}

    def _run(self, tmp: str | None, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        self._share_with_nobody(str(task_vars.get("inventory_hostname")))
        if self._task.async_val:
            raise AnsibleActionFail(f"{self._task.action} cannot be run with async; remove async and poll")
        name = self.value(task_vars, "spark_stage")
        if name and str(name) not in STAGES:
            raise AnsibleActionFail(f"spark_stage is {name!r}; known stages are {', '.join(STAGES)}")
        stage = STAGES[str(name)] if name else None
        by_itself = None if name or self.value(task_vars, "spark_plan") else alone.stage_of(self._task)
        if by_itself is not None:
            return {**result, **self._alone(by_itself, task_vars)}
        try:
            call = self._call(task_vars, stage)
        except AnsibleActionFail as error:
            if stage is None:
                raise
            call = self._call(task_vars, stage, check=False)
            return {**result, **self._as_stage(call, {"failed": True, "msg": error.message}, task_vars)}
        try:
            return {**result, **(self.work(call) if stage is None else self._as_stage(call, None, task_vars))}
        except BaseException as error:
            if stage is None or not _is_time_limit(error):
                return {**result, **self._stopped(call, error)}
            # It ran out outside the work itself. Ansible sets its alarm once for a task, so this ends.
            return {**result, **self._as_stage(call, _timed_out(error), task_vars)}

    @staticmethod
    def _stopped(call: Call, error: BaseException) -> dict[str, Any]:
        """A judgement of all desks that cannot be kept stops them all, and lets the report be told. Any other error is raised again."""
        if not isinstance(error, OSError) or call.known_run is None:
            raise error
        return {"changed": False, "ansible_facts": {STOPPED: not_kept(call.run.run_dir, error)}}

    # ---- a role by itself -------------------------------------------------------------------------------------------

    def _alone(self, stage: Stage, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The result of a role that is used outside a run: said on the console, kept for the roles after it, failed as wanted."""
        fail_on, notes = self.play_wishes(task_vars)
        run = self.run_of_play(task_vars, stage.scope != DESK)
        call = replace(self._call(task_vars, None), known_run=run, by_itself=True)
        store, started = call.store, utc_precise()
        before = store.of_desk(call.desk)
        closed = gate(run, store, call.desk, stage)
        if closed.silent:
            self._display.display(f"  {call.desk:16} {stage.role}: nothing to do, {closed.reason}")
            return {"changed": False, "msg": closed.reason, "findings": [], "verdict": "PASS"}
        refused: dict[str, Any] = {"failed": True, "msg": closed.reason, "findings": list(closed.findings)}
        answer = self._guarded(call) if closed.proceed else refused
        owner = call.stack
        part = part_of(
            stage.kept_as, call.desk, owner.name if owner else None, answer, started, utc_precise(), task=str(self._task.get_name())
        )
        store.write(part)
        # The finding that stands for an error without one is for reports; here the error itself is shown.
        part = replace(part, findings=tuple(answer.get("findings") or ()))
        done = part.state == DONE and verdict(item["severity"] for item in part.findings) in ("PASS", "WARN")
        hinted = "" if done else alone.hint(run, store, stage, part)
        more = alone.found_words(stage, answer, owner.members if owner else ()) if part.state == DONE else []
        said = alone.lines(part, stage.role, before, notes, more)
        self._display.display("\n".join([*said, *([f"              -> {hinted}"] if hinted else [])]))
        return alone.result(part, answer, alone.fails(part, fail_on), hinted)

    def play_wishes(self, task_vars: Mapping[str, Any]) -> tuple[str, bool]:
        """spark_fail_on and spark_show_notes. Raises AnsibleActionFail."""
        wishes = self.values(task_vars, [FAIL_ON.variable, SHOW_NOTES.variable])
        try:
            return FAIL_ON.read(wishes), SHOW_NOTES.read(wishes)
        except WantError as error:
            raise AnsibleActionFail(str(error)) from None

    def run_of_play(self, task_vars: Mapping[str, Any], needs_stacks: bool) -> Run:
        """What stands for the run where nobody began one."""
        return alone.run_of_play(task_vars, needs_stacks, bool(self._task.check_mode), int(context.CLIARGS.get("forks") or 5))

    # ---- the stage around the task ----------------------------------------------------------------------------------

    def _as_stage(self, call: Call, answer: dict[str, Any] | None, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a stage: its answer without ``failed``, and under ``stage`` what became of it."""
        stage, run, store = call.required_stage, call.run, call.store
        started = utc_precise()
        wave = self.value(task_vars, "spark_wave")
        stopped = str((task_vars.get("ansible_facts") or {}).get(STOPPED) or "")
        closed: Gate | None = Gate(stopped) if stopped else gate(run, store, call.desk, stage, int(wave) if wave else None)
        if closed is not None and closed.silent:
            return {"changed": False, "stage": {"name": stage.name, "state": "none", "reason": closed.reason}}
        if closed is not None and closed.proceed:
            closed = None
            answer = answer or self._guarded(call)
        repetition = self.value(task_vars, "spark_repetition")
        kept_as = f"{stage.kept_as}_{int(repetition)}" if repetition else stage.kept_as
        member = run.members.get(call.desk)
        part = part_of(
            kept_as, call.desk, member.stack if member else None, answer or {}, started, utc_precise(), closed, str(self._task.get_name())
        )
        # A stage may come twice (facts after changes); being skipped then must not wipe out what it learned before.
        if (part.state != SKIPPED or store.part(kept_as, call.desk) is None) and not stopped:
            try:
                store.write(part)
            except OSError as error:
                answer = {**(answer or {}), "ansible_facts": {STOPPED: not_kept(run.run_dir, error)}}
        told = {key: value for key, value in (answer or {}).items() if key not in alone.FAILURE_KEYS}
        return {
            **told,
            # Said outright: Ansible takes a result with another "rc" than 0 for a failed one.
            "failed": False,
            "changed": part.changed,
            "findings": [dict(item) for item in part.findings],
            "stage": {"name": stage.name, "state": part.state, "reason": part.reason},
        }

    def _guarded(self, call: Call) -> dict[str, Any]:
        """The task's answer; an error of any kind is an answer too."""
        try:
            return self.work(call)
        except ElsewhereError as error:
            return error.answer
        except AnsibleConnectionFailure as error:
            return self.unreachable(call.desk, str(error), enrolled=bool(self.proven_keys(call.task_vars, call.desk)))
        except AnsibleError as error:
            return {"failed": True, "msg": clean(error.message)}
        except Exception as error:  # a fault of ours ends this desk's stage, not the run
            self._display.vvv(traceback.format_exc())
            return {"failed": True, "msg": f"{type(error).__name__}: {clean(str(error))} (run with -vvv to see where in the code)"}
        except BaseException as error:
            if not _is_time_limit(error):
                raise
            return _timed_out(error)

    # ---- what actions ask for ---------------------------------------------------------------------------------------

    def value(self, task_vars: Mapping[str, Any], name: str, default: Any = None) -> Any:
        """A variable of the task, templated."""
        value = task_vars.get(name)
        return default if value is None else self._templar.template(value)

    def values(self, task_vars: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
        """Those of the variables that are set, templated."""
        return {name: self._templar.template(task_vars[name]) for name in names if task_vars.get(name) is not None}

    def _call(self, task_vars: dict[str, Any], stage: Stage | None, check: bool = True) -> Call:
        plan = self.value(task_vars, "spark_plan")
        run = from_plain(plan) if isinstance(plan, Mapping) and plan.get("run_dir") else None
        facts = (task_vars.get("ansible_facts") or {}).get("spark")
        given = self._checked() if check else {}
        return Call(
            str(task_vars["inventory_hostname"]),
            given,
            frozenset(self._task.args),
            task_vars,
            self._known(facts, str(task_vars["inventory_hostname"])) if check else None,
            run,
            stage,
            str(self._task.action),
        )

    @staticmethod
    def _known(facts: Any, desk: str) -> dict[str, Any] | None:
        """The desk's facts among Ansible's variables, which others may have set: held against the same gate. Raises AnsibleActionFail."""
        if not isinstance(facts, Mapping):
            return None
        try:
            return admitted_facts(dict(facts), desk)
        except AnswerInvalid as invalid:
            raise AnsibleActionFail(str(invalid)) from None

    def _checked(self) -> dict[str, Any]:
        """The task's arguments against the documentation of the module. Raises AnsibleActionFail."""
        spec = spec_of(type(self).__module__.rpartition(".")[2])
        self._task.args = without_empty(self._task.args, spec)
        _told, given = self.validate_argument_spec(argument_spec=spec)
        return dict(given)

    def login_user(self, task_vars: Mapping[str, Any]) -> str | None:
        """The user that Ansible logs in as, null when ssh's own configuration decides."""
        try:
            user = self._connection.get_option("remote_user")
        except (KeyError, AnsibleError):
            user = None
        return str(user or task_vars.get("ansible_user") or self._play_context.remote_user or "") or None

    def proven_keys(self, task_vars: Mapping[str, Any], desk: str) -> list[str]:
        """Fingerprints of the host keys that enrolment proved to be this desk's, from the project's known_hosts."""
        path = self.value(task_vars, "spark_known_hosts")
        if not path:
            return []
        text = text_of(Path(str(path)).expanduser())
        return [print_ for key in keys_of(text, desk) if (print_ := fingerprint(key))]

    def execute(self, module: str, arguments: Mapping[str, Any], call: Call, severity: str | None = None) -> dict[str, Any]:
        """Run a module on the desk. An unreachable desk gives ``failed`` with DESK_UNREACHABLE or AUTH_FAILED, never ``unreachable``."""
        desk, task_vars = call.desk, call.task_vars
        enrolled = bool(self.proven_keys(task_vars, desk))
        self._tell_whose_run(call)
        try:
            with self._place(call), withheld() as warnings:
                answer = self._execute_module(
                    module_name=module, module_args=dict(arguments), task_vars=self._with_python(task_vars), wrap_async=False
                )
            if warnings and isinstance(answer, Mapping) and answer.get("warnings") is not warnings:
                # An older ansible-core leaves those of the module in its answer.
                own = answer.get("warnings")
                answer = {**answer, "warnings": [*warnings, *(own if isinstance(own, list) else ())]}
            if isinstance(answer, Mapping) and answer.get("unreachable"):
                return self.unreachable(desk, str(answer.get("msg", "")), severity, enrolled)
            who = speaker(call, arguments)
            self._elsewhere(answer, who, members=module.removeprefix(COLLECTION) in MEASURING)
            result = admit(module, answer, who)
        except ElsewhereError:
            raise
        except AnsibleError as error:
            # A refused sudo password, or an unknown host key where a password is set, is a plain AnsibleError; anything else that is no
            # connection failure is not ours to judge.
            reason = classify(str(error))
            if isinstance(error, AnsibleConnectionFailure) or reason.plain_error:
                silent = reason.become and reason.late and self._silence()
                told = f"{error}\n{self._sudos_words()}" if NO_PASSWORD in str(error) else str(error)
                return self.unreachable(desk, silent or told, severity, enrolled)
            raise
        except AnswerInvalid as invalid:
            return invalid.result
        except Refused as refused:
            return AnswerInvalid(desk, module, refused).result
        if result.get("failed") and classify(str(result.get("msg", "")), str(result.get("module_stderr", ""))).become:
            return self.unreachable(desk, f"{result.get('msg', '')}\n{result.get('module_stderr', '')}", severity)
        return told_discreetly(result, who)

    def _silence(self) -> str:
        """Why the desk itself does not respond, where sudo did not in time: over an older connection nobody is told. Empty when it does."""
        try:
            self.new_connection()
            self._low_level_execute_command("true", sudoable=False)
        except AnsibleConnectionFailure as error:
            return str(error)
        return ""

    def _share_with_nobody(self, desk: str) -> None:
        """Let an open (multiplexed) connection serve this desk alone, reached in this way.

        By itself Ansible takes the one that is open to the same address, port and user, and ssh looks at no host key then: a machine that
        was proven to be one desk would be asked as the next one that the network says is there, with that desk's sudo password.
        """
        connection = self._connection
        try:
            if connection.get_option("control_path"):
                return
            told = [desk, *(str(connection.get_option(name)) for name in WAY)]
        except (KeyError, AttributeError, AnsibleError):  # no connection of ssh's
            return
        connection.set_option("control_path", f"%(directory)s/{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:10]}")

    def _sudos_words(self) -> str:
        """What sudo itself says where it takes no command without a password. Ansible keeps nothing of it, and a sudoers file that sudo
        passes over, or an account that it cannot look up, may be why. Empty when it is not sudo or cannot be asked."""
        become = getattr(self._connection, "become", None)
        if become is None or become.name != "sudo":
            return ""
        try:
            said = self._low_level_execute_command(f"LC_ALL=C {become.get_option('become_exe') or 'sudo'} -n true", sudoable=False)
        except AnsibleError:
            return ""
        return f"{said.get('stdout', '')}\n{said.get('stderr', '')}"

    def new_connection(self) -> None:
        """End the (multiplexed) connection: what comes next must prove that the desk can be reached anew."""
        try:
            self._connection.reset()
        except (AnsibleError, AttributeError, NotImplementedError):
            self._connection.close()

    def _with_python(self, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """The variables, with the system's Python in place of a search for one (which costs a command on every desk)."""
        named = self._templar.template(C.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars))
        searched = not named or str(named).startswith("auto")
        return {**task_vars, **({"ansible_python_interpreter": SYSTEM_PYTHON} if searched else {})}

    def _low_level_execute_command(self, *arguments: Any, **options: Any) -> Any:
        """See `BEGINS`. What a command says may end in a warning or an error of Ansible's own, so it is cleaned here."""
        told = super()._low_level_execute_command(*arguments, **{"chdir": BEGINS, **options})
        # One character more than an answer may have is enough to refuse it.
        return {name: clean(text[: ANSWER_LIMIT + 1]) if name in ("stdout", "stderr") else text for name, text in told.items()}

    def _parse_returned_data(self, res: Any, *more: Any) -> Any:
        """See `read_harmless`."""
        return read_harmless(super()._parse_returned_data, res, *more)

    def _place(self, call: Call) -> AbstractContextManager[None]:
        """A place for one execution on a desk."""
        if call.known_run is None or call.by_itself:
            return nullcontext()
        meeting = call.stage is not None and call.stage.meeting
        return place(Path(call.known_run.run_dir) / PLACES_FOLDER, len(call.known_run.members), meeting)

    def _tell_whose_run(self, call: Call) -> None:
        """Let the module know for whom it works, so that another run on the same desk can be told."""
        try:
            admin = getpass.getuser()
        except (OSError, KeyError):  # a container without an account for its user id
            admin = f"uid {os.getuid()}"
        by = f"{admin}@{socket.gethostname()}"
        run = call.known_run.run_id if call.known_run else f"{call.action} outside a run, {os.getpid()}"
        mine = {VARIABLE: json.dumps({"run": run, "by": by})}
        kept = [item for item in getattr(self._task, "environment", None) or [] if not (isinstance(item, Mapping) and VARIABLE in item)]
        self._task.environment = [*kept, mine]

    @staticmethod
    def _elsewhere(answer: Any, who: Speaker, members: bool) -> None:
        """Raise ElsewhereError where a module says that another run has the desk, or (``members``) one of its stack."""
        told = answer.get("held_elsewhere") if isinstance(answer, Mapping) else None
        if not isinstance(told, Mapping):
            return
        holder = {key: cut(line(str(told.get(key) or "")), 120) for key in ("run", "by", "what", "since", "process", "uid")}
        desk = told["desk"] if members and isinstance(told.get("desk"), str) and told["desk"] in who.members else who.desk
        raise ElsewhereError(held(Where(pair=who.stack, desk=desk), desk, holder))

    @staticmethod
    def unreachable(desk: str, text: str, severity: str | None = None, enrolled: bool = False) -> dict[str, Any]:
        """The failed result of a desk that could not be reached or entered."""
        # Whose line it is tells something: they are joined only for what is shown, where banners of the desk stand too.
        reason, own = explained(classify(clean(text), enrolled=enrolled))
        text = discreet(line(text), (desk,))
        found = finding(
            reason.code,
            Where(desk=desk),
            f"{desk}: {reason.told(text)}",
            evidence={"reason": reason.kind, "error": ends(" ".join(text.split()), 600)},
            severity="unknown" if own else severity if reason.code == "DESK_UNREACHABLE" else None,
            remedy=reason.remedy,
        )
        return {"failed": True, "desk_unreachable": True, "msg": found.message, "findings": [found.as_dict()]}

    @staticmethod
    def refused(findings: list[Any], **more: Any) -> dict[str, Any]:
        """The failed result that findings explain."""
        return {
            "failed": True,
            "changed": False,
            "msg": "; ".join(item.message for item in findings),
            "findings": [item.as_dict() for item in findings],
            **more,
        }


def _is_time_limit(error: BaseException) -> bool:
    """Ansible's time limit of a task, which is no Exception, so that a task cannot swallow it by mistake."""
    return "TimeoutError" in type(error).__name__


def _timed_out(error: BaseException) -> dict[str, Any]:
    return {"failed": True, "msg": str(error), "timedout": True, **({"controller": own} if (own := overload()) else {})}
