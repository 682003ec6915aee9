# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that is overloaded: what was late says nothing about a desk, and a big run holds its own load."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from ansible._internal._errors._task_timeout import TaskTimeoutError
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import own_load
from sample_run import run_of
from scripted_action import Script, part

LATE = {
    "task": (TaskTimeoutError(5), "STAGE_TIMEOUT"),
    "ssh": (AnsibleConnectionFailure("ssh: connect to host x port 22: Connection timed out"), "DESK_UNREACHABLE"),
    "sudo": (AnsibleError("Timeout (12s) waiting for privilege escalation prompt:"), "BECOME_FAILED"),
}


def load(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (value, value, value))
    monkeypatch.setattr(own_load, "processors", lambda: 2)


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize(("value", "severity"), [(1.0, "fail"), (7.9, "fail"), (40.2, "unknown")])
def test_what_was_late_on_an_overloaded_controller_is_unknown(
    name: str, value: float, severity: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(monkeypatch, value)
    run = run_of(folder=tmp_path)
    answer, code = LATE[name]
    Script("spark_facts", {}, [answer]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None
    (found,) = kept.findings
    if severity == "unknown" and name == "sudo":
        code = "DESK_UNREACHABLE"  # not a missing privilege
    assert (found["code"], found["severity"]) == (code, severity)
    overloaded = "this controller is overloaded (load 40 on 2 processors)"
    assert (overloaded in found["message"], "fewer forks (-f)" in found["remedy"]) == (
        (True, True) if severity == "unknown" else (False, False)
    )


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (AnsibleConnectionFailure("ssh: connect to host x port 22: Connection refused"), "DESK_UNREACHABLE"),
        ({"failed": True, "msg": "MODULE FAILURE", "module_stderr": "Killed", "rc": 137}, "DESK_STAGE_FAILED"),
    ],
)
def test_a_failure_that_is_not_late_stays_one(answer: Any, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, 40.2)
    run = run_of(folder=tmp_path)
    Script("spark_facts", {}, [answer]).run(run=run, stage="facts")
    kept = part(run, "facts", "desk-01")
    assert kept is not None and kept.failing_codes == (code,)


def test_a_crowd_is_what_the_kernel_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, 0.1)
    file = tmp_path / "loadavg"
    for text, told in (("0.10 0.20 0.30 5/812 99\n", True), ("99.1 80.2 0.30 4/812 99\n", False), ("", False), ("a b c d/e f\n", False)):
        file.write_text(text)
        assert own_load.crowded(file) is told
    assert own_load.crowded(tmp_path / "absent") is False


def occupied(folder: Path, count: int) -> list[Any]:
    folder.mkdir(parents=True, exist_ok=True)
    held = [open(folder / str(number), "ab") for number in range(count)]  # noqa: SIM115
    for file in held:
        fcntl.flock(file, fcntl.LOCK_EX)
    return held


def steps(monkeypatch: pytest.MonkeyPatch, folder: Path, act: dict[int, Any]) -> list[float]:
    """What the tasks slept; ``act`` is done in the sleep of that number."""
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        act.get(len(waited), lambda: None)()

    monkeypatch.setattr(own_load.time, "sleep", sleep)
    return waited


def test_in_a_crowd_a_task_waits_until_a_place_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, 0.1)
    others = occupied(tmp_path, own_load.PLACES * 2)
    monkeypatch.setattr(own_load, "crowded", lambda: True)
    waited = steps(monkeypatch, tmp_path, {4: lambda: others.pop().close()})
    for _twice in range(2):  # given back: the next one has it at once
        with own_load.place(tmp_path, 64):
            assert waited == [own_load.STEP, own_load.PAUSE] * 2


def test_without_a_crowd_tasks_begin_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, as a run begins, nobody could see a load yet."""
    load(monkeypatch, 0.1)
    others = occupied(tmp_path, own_load.PLACES * 2)
    monkeypatch.setattr(own_load, "crowded", lambda: False)
    door = open(tmp_path / "door", "ab")  # noqa: SIM115
    fcntl.flock(door, fcntl.LOCK_EX)
    waited = steps(monkeypatch, tmp_path, {2: door.close})
    with own_load.place(tmp_path, 64):
        assert waited == [own_load.PAUSE, own_load.PAUSE, own_load.STEP] and len(others) == 8


@pytest.mark.parametrize(("tasks", "patience"), [(8, 600.0), (64, 0.0)])
def test_nobody_waits_in_a_small_run_or_for_ever(tasks: int, patience: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, 0.1)
    others = occupied(tmp_path, own_load.PLACES * 2)
    monkeypatch.setattr(own_load, "crowded", lambda: True)
    monkeypatch.setattr(own_load, "PATIENCE", patience)
    waited = steps(monkeypatch, tmp_path, {})
    with own_load.place(tmp_path, tasks):
        assert len(others) == 8 and waited in ([], [own_load.STEP])


def test_the_time_limit_of_a_task_is_for_its_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, 0.1)
    others = occupied(tmp_path, own_load.PLACES * 2)
    monkeypatch.setattr(own_load, "crowded", lambda: True)
    left: list[int] = []
    waited = steps(monkeypatch, tmp_path, {1: lambda: left.append(signal.alarm(0)), 2: lambda: others.pop().close()})
    before = signal.signal(signal.SIGALRM, lambda *_more: pytest.fail("the limit ran out"))
    try:
        signal.alarm(30)
        with own_load.place(tmp_path, 64):
            left.append(signal.alarm(0))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(waited) == 2 and left[0] == 0 and 29 <= left[1] <= 30


def test_a_folder_that_holds_no_places_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, 0.1)
    monkeypatch.setattr(own_load, "crowded", lambda: True)
    (tmp_path / "places").write_text("a file")
    with own_load.place(tmp_path / "places", 64):
        pass


def test_desks_that_wait_for_each_other_begin_one_after_the_other_whatever_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 at once kept sudo of half of them waiting for longer than Ansible does."""
    load(monkeypatch, 0.1)
    others = occupied(tmp_path, own_load.PLACES * 2)
    monkeypatch.setattr(own_load, "crowded", lambda: True)
    waited = steps(monkeypatch, tmp_path, {})
    with own_load.place(tmp_path, 64, meeting=True):
        assert waited == [own_load.PACE] and len(others) == 8


@pytest.mark.parametrize(("name", "stage", "meeting"), [("spark_facts", "facts", False), ("cx7_cable", "cable", True)])
def test_an_execution_of_a_big_run_has_its_turn(
    name: str, stage: str, meeting: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(folder=tmp_path)
    seen: list[tuple[str, ...]] = []

    def answer(_module: str, _arguments: dict[str, Any]) -> dict[str, Any]:
        seen.append(tuple(path.name for path in (Path(run.run_dir) / own_load.FOLDER).iterdir()))
        return {"changed": False}

    monkeypatch.setattr(own_load, "processors", lambda: 1)
    monkeypatch.setattr(own_load, "PLACES", 1)
    Script(name, {}, answer).run(run=run, stage=stage)
    assert seen == [("door",) if meeting else ("0",)]
