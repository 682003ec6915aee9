"""A broken desk never stops another pair, and every way to lose a desk ends in a report that names it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from desks import LAB, as_root, lab, status

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.lab


@dataclass(frozen=True)
class Run:
    """What one run of a playbook left."""

    code: int
    output: str
    report: dict[str, Any]
    seconds: float

    def verdicts(self) -> dict[str, str]:
        """Pair to verdict."""
        return {pair["name"]: pair["verdict"] for pair in self.report["pairs"]}

    def codes(self, owner: str) -> set[str]:
        """Codes of the findings above note of a pair (with its desks) or a desk."""
        for item in (*self.report["pairs"], *self.report["desks"]):
            if item["name"] == owner:
                return {
                    found["code"] for found in item.get("reasons", item["findings"]) if found["severity"] in ("warn", "unknown", "fail")
                }
        raise AssertionError(f"{owner} is not in the report")


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Run]:
    """Runs a playbook on the shared lab and reads its report."""

    def run(playbook: str, *arguments: str) -> Run:
        command = [
            str(ROOT / ".venv/bin/ansible-playbook"),
            "-i",
            str(ROOT / "inventories/simulated"),
            str(ROOT / f"playbooks/{playbook}.yml"),
            "-e",
            f"spark_report_dir={tmp_path}",
            *arguments,
        ]
        begun = time.monotonic()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "LAB": LAB, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
        )
        reports = sorted(tmp_path.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
        assert reports, f"no report was written:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
        return Run(done.returncode, done.stdout + done.stderr, json.loads(reports[-1].read_text()), time.monotonic() - begun)

    return run


@pytest.fixture(scope="module", autouse=True)
def stacked() -> Iterator[None]:
    """Every test starts from desks that are set up, and the lab is left as its description says."""
    lab("reset")
    yield
    lab("reset")


@pytest.fixture
def container() -> Callable[..., str]:
    """The container engine's command on a desk's container."""

    def act(verb: str, desk: str) -> str:
        return subprocess.run([status()["engine"]["name"], verb, f"spark-{LAB}-{desk}"], check=True, capture_output=True, text=True).stdout

    return act


def test_a_pulled_cable_fails_its_pair_by_name_and_the_other_pair_passes(play: Callable[..., Run]) -> None:
    lab("cable", "pull", "cable-1")
    try:
        run = play("stack_pair")
    finally:
        lab("cable", "plug", "cable-1")
        lab("power", "reboot", "desk-01", "desk-02")
    assert run.verdicts() == {"pair_a": "FAIL", "pair_b": "PASS"}
    assert run.codes("pair_a") & {"CABLE_DARK", "CX7_LINK_DOWN", "CX7_ABSENT_NO_CABLE"}
    assert run.code != 0 and "cable" in run.output.lower()
    assert "desk-03                    : ok=" in run.output and "failed=0" in run.output


def test_a_desk_that_is_off_is_named_and_the_other_pair_passes(play: Callable[..., Run]) -> None:
    lab("power", "off", "desk-02")
    try:
        run = play("stack_pair")
    finally:
        lab("power", "on", "desk-02")
    assert run.verdicts() == {"pair_a": "FAIL", "pair_b": "PASS"}
    assert "DESK_UNREACHABLE" in run.codes("desk-02") and run.code != 0


def test_a_frozen_desk_does_not_hang_the_run(play: Callable[..., Run], container: Callable[..., str]) -> None:
    container("pause", "desk-04")
    try:
        run = play("stack_pair")
    finally:
        container("unpause", "desk-04")
    assert run.verdicts() == {"pair_a": "PASS", "pair_b": "FAIL"}
    assert run.codes("desk-04") & {"DESK_UNREACHABLE", "STAGE_TIMEOUT"} and run.seconds < 240


def test_a_hung_module_ends_at_its_time_limit(play: Callable[..., Run], tmp_path: Path) -> None:
    script = "#!/bin/sh\nsleep 600\n"
    as_root("desk-03").check_output("printf %s > /usr/local/bin/hung-python; chmod 755 /usr/local/bin/hung-python", script)
    overlay = tmp_path / "hung.yml"
    overlay.write_text(
        "all:\n  hosts:\n    desk-03:\n      ansible_python_interpreter: /usr/local/bin/hung-python\n      desk_facts_timeout: 10\n"
    )
    try:
        run = play("stack_pair", "-i", str(overlay))
    finally:
        as_root("desk-03").run("rm -f /usr/local/bin/hung-python")
    assert run.verdicts() == {"pair_a": "PASS", "pair_b": "FAIL"}
    assert "STAGE_TIMEOUT" in run.codes("desk-03")


def test_a_desk_alone_in_the_run_makes_its_pair_unknown(play: Callable[..., Run]) -> None:
    run = play("stack_pair", "--limit", "desk-01")
    assert run.verdicts() == {"pair_a": "UNKNOWN"} and "PAIR_INCOMPLETE" in run.codes("pair_a") and run.code != 0


def test_limit_to_a_pair_judges_that_pair_alone(play: Callable[..., Run]) -> None:
    run = play("stack_pair", "--limit", "pair_b")
    assert run.verdicts() == {"pair_b": "PASS"} and run.code == 0


def test_check_mode_measures_nothing_and_says_so(play: Callable[..., Run]) -> None:
    run = play("stack_pair", "--check", "--diff")
    assert set(run.verdicts().values()) == {"UNKNOWN"}
    assert all("NOT_MEASURED_CHECK_MODE" in run.codes(pair) for pair in ("pair_a", "pair_b")) and run.code == 0


def test_when_every_desk_is_down_there_is_still_a_report(play: Callable[..., Run]) -> None:
    desks = ["desk-01", "desk-02", "desk-03", "desk-04"]
    lab("power", "off", *desks)
    try:
        run = play("stack_pair")
    finally:
        lab("power", "on", *desks)
    assert set(run.verdicts().values()) == {"FAIL"}
    assert all("DESK_UNREACHABLE" in run.codes(desk) for desk in desks) and run.code != 0
