"""A broken desk never stops another pair, and every way to lose a desk ends in a report that names it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from desks import LAB, as_root, lab, status
from desks import play as start
from links import Cut

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

    def message(self, desk: str, code: str) -> str:
        """What a finding of a desk says."""
        findings = next(item["findings"] for item in self.report["desks"] if item["name"] == desk)
        return next(item["message"] for item in findings if item["code"] == code)


def run_playbook(playbook: str, folder: Path, *arguments: str, source: Path | None = None) -> tuple[int, str]:
    """Runs a playbook on the shared lab, its report below the folder: exit code and output."""
    process = start(ROOT / f"playbooks/{playbook}.yml", *arguments, source=source, spark_report_dir=str(folder))
    output = process.communicate()[0]
    return process.returncode, output


def play_on(playbook: str, folder: Path, *arguments: str, source: Path | None = None) -> Run:
    """Runs a playbook and reads its report."""
    begun = time.monotonic()
    code, output = run_playbook(playbook, folder, *arguments, source=source)
    reports = sorted(folder.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    assert reports, f"no report was written:\n{output[-4000:]}"
    return Run(code, output, json.loads(reports[-1].read_text()), time.monotonic() - begun)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Run]:
    """Runs a playbook on the shared lab and reads its report."""

    def run(playbook: str, *arguments: str) -> Run:
        return play_on(playbook, tmp_path, *arguments)

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


def test_a_wave_that_loses_a_desk_stops_the_next(tmp_path: Path) -> None:
    # The first pair has the last desks: the waves keep the order of the pairs, whatever the order of the desks.
    source = tmp_path / "swapped.yml"
    names = {"pair_a": "pair_b", "pair_b": "pair_a"}
    source.write_text(re.sub("pair_[ab]", lambda found: names[found[0]], lab("inventory", "--yaml")))
    cut = Cut("desk-03")
    try:
        run = play_on("stack_pair", tmp_path, "-e", "pair_link_confirm_timeout=30", source=source)
    finally:
        cut.mend()
    assert "Stage link: pair_a first, then one more wave" in run.output
    assert run.verdicts() == {"pair_a": "FAIL", "pair_b": "UNKNOWN"} and run.code != 0
    assert run.codes("desk-03") & {"CX7_CHANGE_UNCONFIRMED", "CX7_CHANGE_UNDONE"}
    assert run.codes("desk-01") == run.codes("desk-02") == {"WAVE_STOPPED"}
    assert "desk-03" in run.message("desk-01", "WAVE_STOPPED")
    for desk in ("desk-01", "desk-02"):
        assert not as_root(desk).file("/etc/netplan/90-dgx-spark-link.yaml").exists


@pytest.mark.parametrize("waves", [[0], [1, "some"], []])
def test_waves_that_cannot_be_read_are_refused_before_a_desk_is_touched(waves: list[Any], tmp_path: Path) -> None:
    code, output = run_playbook("stack_pair", tmp_path, "-e", json.dumps({"spark_waves": waves}))
    assert code != 0 and "spark_waves" in output and "no desk was touched" in output
    assert not list(tmp_path.iterdir())


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
