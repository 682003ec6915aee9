# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that is overloaded: what was late says nothing about a desk, and a big run holds its own load."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from ansible._internal._errors._task_timeout import TaskTimeoutError
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import own_load
from sample_run import run_of
from scripted_action import Script, part

LATE = {
    "task": (TaskTimeoutError(5), "STAGE_TIMEOUT"),
    "ssh": (AnsibleConnectionFailure("ssh: connect to host x port 22: Connection timed out"), "DESK_UNREACHABLE"),
}


def load(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (value, value, value))
    monkeypatch.setattr(own_load, "processors", lambda: 2)


@pytest.mark.parametrize("name", ["task", "ssh"])
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


def test_pressure_is_what_the_kernel_says(tmp_path: Path) -> None:
    file = tmp_path / "cpu"
    for text, told in (
        ("some avg10=91.20 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", True),
        ("some avg10=12.00 avg60=99.00 avg300=0.00 total=1\n", False),
        ("", False),
        ("some avg10=much\n", False),
    ):
        file.write_text(text)
        assert own_load.pressed(file) is told
    assert own_load.pressed(tmp_path / "absent") is False


def occupied(folder: Path, count: int) -> list[Any]:
    folder.mkdir(parents=True, exist_ok=True)
    held = [open(folder / str(number), "ab") for number in range(count)]  # noqa: SIM115
    for file in held:
        fcntl.flock(file, fcntl.LOCK_EX)
    return held


def test_under_pressure_a_task_waits_until_a_place_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, 0.1)
    others = occupied(tmp_path, own_load.PLACES * 2)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            others.pop().close()

    monkeypatch.setattr(own_load, "pressed", lambda: True)
    monkeypatch.setattr(own_load.time, "sleep", sleep)
    with own_load.place(tmp_path, 64, 600.0):
        assert len(waited) == 3
    # Given back: the next one has it at once.
    with own_load.place(tmp_path, 64, 600.0):
        assert len(waited) == 3


@pytest.mark.parametrize(("pressed", "tasks", "patience"), [(False, 64, 600.0), (True, 8, 600.0), (True, 64, 0.0)])
def test_nobody_waits_without_pressure_in_a_small_run_or_for_ever(
    pressed: bool, tasks: int, patience: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(monkeypatch, 0.1)
    others = occupied(tmp_path, own_load.PLACES * 2)
    monkeypatch.setattr(own_load, "pressed", lambda: pressed)
    monkeypatch.setattr(own_load.time, "sleep", lambda _seconds: pytest.fail("waited"))
    with own_load.place(tmp_path, tasks, patience):
        assert len(others) == 8


def test_a_folder_that_holds_no_places_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, 0.1)
    monkeypatch.setattr(own_load, "pressed", lambda: True)
    (tmp_path / "places").write_text("a file")
    with own_load.place(tmp_path / "places", 64, 600.0):
        pass


def test_an_execution_of_a_big_run_has_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(folder=tmp_path)
    seen: list[bool] = []

    def answer(_module: str, _arguments: dict[str, Any]) -> dict[str, Any]:
        seen.append((Path(run.run_dir) / own_load.FOLDER).is_dir())
        return {"changed": False}

    monkeypatch.setattr(own_load, "processors", lambda: 1)
    monkeypatch.setattr(own_load, "PLACES", 1)
    Script("cx7_cable", {}, answer).run(run=run, stage="cable")
    assert seen == [True]
