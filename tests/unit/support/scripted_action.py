"""One of our actions with a desk that answers from a list: what a task gives goes in, what Ansible gets comes out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Run, plain
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.store import Part, RunStore

ROOT = Path(__file__).resolve().parents[3]
ROLES = ROOT / "roles"
ACTIONS = "ansible_collections.labops.dgx_spark.plugins.action"
Answer = Mapping[str, Any]


class Script:
    """An action as a task makes it: `run` checks the arguments, asks the gate and writes the part like any other task.

    ``answers`` are what the executions on the desk give, in their order; the last one repeats. An exception among them is raised. A
    callable gets (module, arguments) and answers itself.
    """

    def __init__(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        answers: Sequence[Any] | Callable[[str, dict[str, Any]], Any] = ({},),
        *,
        check_mode: bool = False,
        user: str | None = "labadmin",
        password: str = "",
        become: str = "",
    ) -> None:
        self.module: ModuleType = importlib.import_module(f"{ACTIONS}.{name}")
        self.answers = answers if callable(answers) else list(answers)
        self.asked: list[dict[str, Any]] = []
        """Arguments of every execution."""
        self.modules: list[str] = []
        """Module of every execution."""
        self.shown: list[str] = []
        """What the admin reads."""
        own = ROOT / f"playbooks/{(args or {}).get('playbook')}.yml"
        self.playbook = str(own) if own.is_file() else ""
        """File that the task stands in."""
        self.task = SimpleNamespace(
            args=dict(args or {}),
            async_val=0,
            timeout=0,
            action=f"labops.dgx_spark.{name}",
            check_mode=check_mode,
            diff=False,
            tags=["always"],
            get_name=lambda: "The task",
            get_path=lambda: f"{self.playbook}:9" if self.playbook else None,
        )
        self.connection = SimpleNamespace(
            _shell=SimpleNamespace(tmpdir="x", join_path=lambda *parts: "/".join(parts)), get_option=lambda _name: user, reset=lambda: None
        )
        templar = SimpleNamespace(template=lambda value: value)
        player = SimpleNamespace(password=password, become_pass=become, remote_user=user)
        self.action = self.module.ActionModule(self.task, self.connection, player, DataLoader(), templar, None)
        self.action._load_name = f"labops.dgx_spark.{name}"
        self.action._display = SimpleNamespace(
            display=self.shown.append, warning=self.shown.append, error=self.shown.append, vvv=lambda _text: None
        )
        self.action._execute_module = self._answer
        self.action._low_level_execute_command = lambda _command, **_more: {"rc": 0}
        self.action._find_needle = lambda folder, name: str(next(ROLES.glob(f"*/{folder}/{name}")))
        self.action._transfer_file = lambda _source, target: target
        self.action._fixup_perms2 = lambda _paths: None
        self.action._remove_tmp_path = lambda _path: None

    def _answer(self, module_name: str, module_args: dict[str, Any], **_more: Any) -> dict[str, Any]:
        self.modules.append(module_name)
        self.asked.append(dict(module_args))
        answer: Any
        if callable(self.answers):
            answer = self.answers(module_name, dict(module_args))
        else:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return dict(answer)

    def run(self, desk: str = "desk-01", run: Run | None = None, stage: str | None = None, **variables: Any) -> dict[str, Any]:
        """The task's result on ``desk``, in ``run`` and as ``stage`` where these are given."""
        task_vars: dict[str, Any] = {"inventory_hostname": desk, **variables}
        if run is not None:
            task_vars["spark_plan"] = plain(run)
        if stage is not None:
            task_vars["spark_stage"] = stage
        result: dict[str, Any] = self.action.run(None, task_vars)
        return result


def part(run: Run, stage: str, desk: str) -> Part | None:
    """What a stage left behind."""
    return RunStore(run.run_dir).part(stage, desk)


def folder(run: Run) -> Path:
    """Where a run's files lie."""
    return Path(run.run_dir)
