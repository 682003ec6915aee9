"""The driver lock on a pair of simulated desks, from a factory desk to an unlocked one. The tests follow each other."""

from __future__ import annotations

import json

import pytest
from desks import as_root, lab
from drivers import FOLDER, PINS, candidate, executions, held, picture, run, trusted, versions

DESKS = ("desk-01", "desk-02")
FACTORY: dict[str, dict[str, str]] = {}
LOCKED: dict[str, list[str]] = {}


def test_check_mode_changes_nothing_and_names_everything() -> None:
    FACTORY.update({desk: picture(desk) for desk in DESKS})
    told = run(*DESKS, check=True)
    for desk in DESKS:
        part = told.part(desk)
        assert part["state"] == "done" and part["changed"], told.output
        assert "nvidia-driver-580-open" in part["data"]["after"]["holds"]
        assert picture(desk) == FACTORY[desk]
    assert "Pin-Priority: -1" in told.output


def test_a_factory_pair_is_locked() -> None:
    told = run(*DESKS)
    for desk in DESKS:
        assert told.part(desk)["changed"], told.output
        assert told.codes(desk) == set()
        LOCKED[desk] = held(desk)
        host = as_root(desk)
        assert "nvidia-driver-580-open" in LOCKED[desk] and "linux-nvidia-hwe-24.04" in LOCKED[desk]
        assert any(name.startswith("linux-modules-nvidia-580-open-") and name.endswith("-nvidia") for name in LOCKED[desk])
        assert host.file(PINS).mode == 0o644 and host.file(PINS).user == "root"
        assert host.file(f"{FOLDER}/lock.json").exists
        assert trusted(desk)
        assert versions(desk) == json.loads(FACTORY[desk]["versions"])


def test_a_second_run_executes_nothing_more() -> None:
    before = {desk: executions(desk) for desk in DESKS}
    told = run(*DESKS)
    for desk in DESKS:
        assert told.part(desk)["changed"] is False, told.output
        assert executions(desk) == before[desk]


@pytest.mark.parametrize(
    "package", ["nvidia-open", "nvidia-driver-590-open", "nvidia-driver-595-open", "nvidia-driver-610-open", "nvidia-fabricmanager"]
)
def test_no_other_branch_is_a_candidate(package: str) -> None:
    assert candidate("desk-01", package) is None
    assert as_root("desk-01").run(f"apt-get -y install {package}").rc != 0


def test_the_rest_stays_installable() -> None:
    for package in ("nvidia-container-toolkit", "cuda-toolkit-13-0", "libnccl2"):
        assert candidate("desk-01", package), package
    assert candidate("desk-01", "nvidia-modprobe") == versions("desk-01")["nvidia-modprobe"]


def test_a_dist_upgrade_takes_the_bait_and_leaves_the_group() -> None:
    lab("archive", "publish", "next")
    try:
        host = as_root("desk-01")
        assert host.run("apt-get update").rc == 0
        before = versions("desk-01")
        done = host.run("env DEBIAN_FRONTEND=noninteractive apt-get -y dist-upgrade")
        assert done.rc == 0, done.stdout + done.stderr
        after = versions("desk-01")
        assert {name: after[name] for name in LOCKED["desk-01"]} == {name: before[name] for name in LOCKED["desk-01"]}
        moved = {name for name in after if before.get(name) != after[name]}
        assert "nvidia-dgx-telemetry" in moved, moved
        assert not any(name.startswith("linux-image-") for name in moved)
        assert host.run("env DEBIAN_FRONTEND=noninteractive apt-get -y install nvidia-driver-590-open").rc != 0
        assert trusted("desk-01")
    finally:
        lab("archive", "publish", "base")


def test_the_lock_cannot_be_opened_on_half_a_pair() -> None:
    told = run("desk-01", driver_lock_state="paused")
    assert told.codes("desk-01") == {"PAIR_INCOMPLETE"}, told.output
    assert held("desk-01") == LOCKED["desk-01"]


def test_paused_opens_both_and_present_locks_again() -> None:
    told = run(*DESKS, driver_lock_state="paused")
    for desk in DESKS:
        assert "DRIVER_LOCK_PAUSED" in told.codes(desk, worst_only=False), told.output
        assert held(desk) == []
        assert candidate(desk, "nvidia-open") is None
    again = run(*DESKS)
    for desk in DESKS:
        assert held(desk) == LOCKED[desk], again.output


def test_unlock_restores_byte_for_byte() -> None:
    lab("reset", "desk-01", "desk-02")
    as_root("desk-02").check_output("apt-mark hold docker-ce")
    before = {desk: picture(desk) for desk in DESKS}
    run(*DESKS)
    assert held("desk-02") != ["docker-ce"]
    told = run(*DESKS, playbook="unlock_driver.yml")
    for desk in DESKS:
        assert picture(desk) == before[desk], told.output
    again = run(*DESKS, playbook="unlock_driver.yml")
    assert not again.part("desk-01")["changed"], again.output
