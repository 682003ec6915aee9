"""Updates on two pairs of simulated desks. The tests follow each other."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from desks import as_root, lab
from drivers import Run, executions, held, run, trusted, versions, wait_for

PAIRS = {"pair_a": ("desk-01", "desk-02"), "pair_b": ("desk-03", "desk-04")}
DESKS = tuple(desk for desks in PAIRS.values() for desk in desks)
JOURNAL = "/var/lib/dgx_spark/update/journal.json"
GOOD, KERNEL = "580.190.02", "7.0.0-1024-nvidia"
BEFORE: dict[str, dict[str, str]] = {}


def report(told: Run) -> dict[str, Any]:
    found = list(told.folder.glob("*/report.json"))
    assert found, told.output[-3000:]
    data: dict[str, Any] = json.loads(max(found, key=lambda path: path.stat().st_mtime).read_text())
    return data


def verdicts(told: Run) -> dict[str, str]:
    return {pair["name"]: pair["verdict"] for pair in report(told)["pairs"]}


def codes(told: Run, desk: str) -> set[str]:
    return {item["code"] for item in next(item for item in report(told)["desks"] if item["name"] == desk)["findings"]}


def driver(desk: str) -> str:
    return versions(desk)["nvidia-driver-580-open"].partition("-")[0]


def running(desk: str) -> str:
    return as_root(desk).check_output("cat /proc/sys/kernel/osrelease").strip()


def phase(desk: str) -> str | None:
    text = as_root(desk).run(f"cat {JOURNAL}").stdout
    return json.loads(text)["phase"] if text else None


def good(told: Run, *pairs: str) -> None:
    assert {pair: verdicts(told)[pair] for pair in pairs} == dict.fromkeys(pairs, "PASS"), told.output[-6000:]


def test_the_pairs_are_proven() -> None:
    told = run(*DESKS, playbook="stack_pair.yml")
    good(told, *PAIRS)
    BEFORE.update({desk: versions(desk) for desk in DESKS})


def test_a_look_names_what_would_come_and_changes_nothing() -> None:
    lab("archive", "publish", "ota")
    lists = {desk: as_root(desk).check_output("ls -l --time-style=full-iso /var/lib/apt/lists") for desk in DESKS}
    told = run(*DESKS, playbook="update_plan.yml")
    assert told.process.returncode == 0, told.output[-3000:]
    for desk in DESKS:
        assert "UPDATE_AVAILABLE" in codes(told, desk)
        assert versions(desk) == BEFORE[desk] and phase(desk) is None
        assert as_root(desk).check_output("ls -l --time-style=full-iso /var/lib/apt/lists") == lists[desk]
        assert not as_root(desk).file("/run/dgx_spark_update").exists
    assert f"-> {GOOD}" in told.output and f"-> {KERNEL}" in told.output


def test_a_kernel_without_its_module_is_not_brought() -> None:
    lab("archive", "publish", "ota_no_module")
    told = run(*PAIRS["pair_a"], playbook="update.yml")
    assert told.process.returncode != 0
    for desk in PAIRS["pair_a"]:
        assert "UPDATE_KERNEL_WITHOUT_MODULE" in codes(told, desk)
        assert versions(desk) == BEFORE[desk] and phase(desk) is None


@pytest.mark.parametrize(("archive", "code"), [("ota_broken_gpu", "UPDATE_HALF_DONE"), ("ota_slow_nccl", "UPDATE_SLOWER")])
def test_a_bad_update_stops_after_the_pilot_and_goes_back(archive: str, code: str) -> None:
    lab("archive", "publish", archive)
    told = run(*DESKS, playbook="update.yml")
    assert told.process.returncode != 0
    pilot = PAIRS["pair_a"]
    assert verdicts(told)["pair_a"] == "FAIL", told.output[-6000:]
    assert any(code in codes(told, desk) for desk in pilot) or code in told.output
    for desk in PAIRS["pair_b"]:
        assert versions(desk) == BEFORE[desk] and "WAVE_STOPPED" in codes(told, desk)
    audited = run(*DESKS, playbook="audit.yml")
    # The second desk of a stack goes only when the first is back, so it may be untouched.
    assert any("UPDATE_HALF_DONE" in codes(audited, desk) for desk in pilot)
    back = run(*pilot, playbook="rollback_update.yml")
    good(back, "pair_a")
    for desk in pilot:
        now = versions(desk)
        assert {name: now.get(name) for name in held(desk)} == {name: BEFORE[desk].get(name) for name in held(desk)}
        assert not any(name.startswith("linux-image-7.0.0-102") for name in now)
        assert phase(desk) in ("settled", None) and trusted(desk)
    assert "settled" in map(phase, pilot)


def test_a_good_update_goes_through_in_waves() -> None:
    lab("archive", "publish", "ota")
    told = run(*DESKS, playbook="update.yml")
    good(told, *PAIRS)
    assert "pair_a first" in told.output and "BEFORE -> AFTER" in told.output
    for desk in DESKS:
        assert driver(desk) == GOOD and running(desk) == KERNEL and phase(desk) == "settled" and trusted(desk)
        assert "nvidia-driver-580-open" in held(desk)


def test_a_second_run_changes_nothing() -> None:
    before = {desk: versions(desk) for desk in DESKS}
    told = run(*DESKS, playbook="update.yml")
    good(told, *PAIRS)
    assert {desk: versions(desk) for desk in DESKS} == before
    assert "changed=0" in told.output and not any(item["stage"] == "update" for item in report(told)["changed"])


@pytest.mark.parametrize("moment", ["begun", "changing", "installed", "started"])
def test_a_controller_that_is_killed_is_taken_up(moment: str, tmp_path: Path) -> None:
    """The pair goes back to its description first; then the run is killed when the head's journal shows a step."""
    del tmp_path
    pilot = PAIRS["pair_a"]
    lab("reset", *pilot)
    lab("archive", "publish", "base")
    good(run(*pilot, playbook="stack_pair.yml"), "pair_a")
    lab("archive", "publish", "ota")
    cut = Run(*pilot, playbook="update.yml")
    order = ["begun", "changing", "installed", "started", "settled"]
    wait_for(lambda: (now := phase(pilot[0])) is not None and order.index(now) >= order.index(moment), 400, f"journal at {moment}")
    cut.kill()
    # What runs on a desk ends by itself; a boot that was begun goes on.
    time.sleep(20)
    audited = run(*pilot, playbook="audit.yml")
    assert phase(pilot[0]) == "settled" or "UPDATE_HALF_DONE" in codes(audited, pilot[0]), audited.output[-3000:]
    told = run(*pilot, playbook="update.yml")
    good(told, "pair_a")
    for desk in pilot:
        assert driver(desk) == GOOD and running(desk) == KERNEL and phase(desk) == "settled" and trusted(desk)
    assert executions(pilot[0], "desk_update") >= 1
