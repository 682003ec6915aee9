"""What a hostile desk tried around an update and a reboot: its plan is judged with everybody's, and the reboot is Ansible's own action."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins import action as core
from ansible.plugins.action import ActionBase
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.update import Change, Look
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.admit import Speaker, admit
from hostile_lab import HOSTILE, PAIRS, Lab, codes, honest_answer, verdicts
from sample_run import run_of
from scripted_action import Script

ESCAPES = "\x1b]52;c;AAAA\x07\x1b[2K\r\nok pair_b PASS \u202e"
LOOK = as_dict(
    Look(
        (Change("nvidia-utils-580", "580.159.03-0ubuntu0.24.04.1", "580.190.02-0ubuntu0.24.04.1"),),
        keepable=("nvidia-utils-580=580.159.03-0ubuntu0.24.04.1",),
        free={"/": 1 << 40, "/boot": 1 << 40, "/var": 1 << 40},
        firmware=(),
        on_battery=False,
    )
)


def changed(**more: Any) -> dict[str, Any]:
    """A plan with one change that is none."""
    return {**LOOK, "changes": [{**LOOK["changes"][0], **more}]}


PLANS: dict[str, Any] = {
    "a version that cannot be compared": changed(new={"a": 1}),
    "a version that is a number": changed(new=5),
    "a version with more in it": changed(new=f"2{ESCAPES}"),
    "a name that is none": changed(name=["nvidia-utils-580"]),
    "changes that are none": {**LOOK, "changes": 5},
    "room in words": {**LOOK, "free": {"/": "much"}},
    "firmware that is none": {**LOOK, "firmware": [{"name": ["x"], "offered": {"q": 1}}]},
    "a title that is none": {**LOOK, "ota_title": {"x": 1}, "changes": []},
    "no plan": [],
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_that_is_none_costs_that_desk_alone(tmp_path: Path, plan: Any) -> None:
    def answers(desk: str, module: str, arguments: dict[str, Any]) -> str:
        if module != "desk_update":
            return honest_answer(desk, module, arguments)
        return json.dumps({"changed": False, "findings": [], "look": plan if desk == HOSTILE else LOOK})

    lab = Lab(tmp_path / "run", answers)
    lab.run = run_of(PAIRS, folder=tmp_path / "run", playbook="update_plan")
    lab.stages((("facts", "spark_facts", {}), ("update_plan", "desk_update", {"step": "plan"})), lab.run.scope)
    lab.task("spark_judge", {"subject": "updates"}, lab.run.scope[0])
    report = lab.report()
    assert "DESK_ANSWER_INVALID" in codes(report, HOSTILE)
    assert [verdicts(report, "desks")[name] for name in PAIRS["pair_b"]] == ["PASS", "PASS"]


def test_an_honest_plan_passes_whole() -> None:
    answer = {"changed": False, "findings": [], "look": json.loads(json.dumps(LOOK))}
    assert admit("labops.dgx_spark.desk_update", answer, Speaker("desk-01")) == answer


class Builtin(ActionBase):
    """What Ansible's reboot does before it reboots: it runs a module on the desk and reads its answer."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        del tmp, task_vars
        self._used_interpreter = None
        self._parse_returned_data({"stdout": f'{{"changed": false}}\n{ESCAPES}', "stderr": "", "rc": 0}, "legacy")
        return {"rebooted": True}


def test_what_a_desk_says_during_a_reboot_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(core.display, "warning", lambda text, **_more: shown.append(text))
    script = Script("desk_reboot")
    task = SimpleNamespace(**vars(script.task), copy=lambda: script.task)
    script.action._task = task
    builtin = Builtin(script.task, script.connection, None, None, None, None)
    script.action._shared_loader_obj = SimpleNamespace(action_loader=SimpleNamespace(get=lambda _name, **_more: builtin))
    assert script.action.reboot(60, {}) == ""
    assert shown and all("\x1b" not in text and "\u202e" not in text for text in shown)
