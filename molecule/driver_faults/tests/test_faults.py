"""Faults of packages, archives and disk on one desk: the right code, a remedy, and a desk that apt still trusts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from desks import MODULE, as_root, lab
from drivers import FOLDER, PINS, Run, candidate, fault, held, picture, run, trusted, versions

DESK = "desk-01"
QUICK = {"driver_lock_lock_timeout": 12, "driver_lock_fetch_timeout": 120}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """The desk as its description says; the archives as they come."""
    lab("reset", DESK)
    yield
    lab("archive", "publish", "base")


def remedy(told: Run, code: str, stage: str = "driver") -> str:
    """What the admin is told to do."""
    return next(item["remedy"] for item in told.part(DESK, stage)["findings"] if item["code"] == code)


def test_a_phased_kernel_without_modules() -> None:
    lab("archive", "publish", "phased_kernel")
    host = as_root(DESK)
    assert host.run("apt-get update").rc == 0
    assert host.run("env DEBIAN_FRONTEND=noninteractive apt-get -y install linux-image-7.0.0-1022-nvidia").rc == 0
    told = run(DESK, **QUICK)
    assert "NEXT_BOOT_KERNEL_WITHOUT_DRIVER" in told.codes(DESK, "facts"), told.output
    assert "DRIVER_LOCK_UNSATISFIABLE" in told.codes(DESK), told.output
    assert "linux-modules-nvidia-580-open-7.0.0-1022-nvidia" in str(told.part(DESK)["findings"])
    assert "nvidia-driver-580-open" in held(DESK) and trusted(DESK)


def test_a_kernel_whose_modules_came_later_is_completed() -> None:
    host = as_root(DESK)
    lab("archive", "publish", "next")
    assert host.run("apt-get update").rc == 0
    assert host.run("env DEBIAN_FRONTEND=noninteractive apt-get -y install linux-image-7.0.0-1024-nvidia").rc == 0
    told = run(DESK, **QUICK)
    assert "linux-modules-nvidia-580-open-7.0.0-1024-nvidia" in held(DESK) or "DRIVER_LOCK_UNSATISFIABLE" in told.codes(DESK), told.output
    assert versions(DESK)["nvidia-driver-580-open"].startswith("580.178.04")
    assert trusted(DESK)


def test_tempting_branches_in_two_archives() -> None:
    run(DESK, **QUICK)
    assert candidate(DESK, "nvidia-driver-610-open") is None and candidate(DESK, "nvidia-open") is None
    assert as_root(DESK).run("apt-get -y install nvidia-driver-590-open").rc != 0
    assert trusted(DESK)


def test_a_user_space_that_was_upgraded_behind_the_lock() -> None:
    run(DESK, **QUICK)
    fault(DESK, "user_space_upgraded")
    told = run(DESK, **QUICK)
    assert "DRIVER_HELD_UPGRADED" in told.codes(DESK), told.output
    assert "DRIVER_MISMATCH" in told.codes(DESK, "facts"), told.output
    assert "driver_lock_accept" in remedy(told, "DRIVER_HELD_UPGRADED")


def test_a_held_package_upgraded_by_hand() -> None:
    run(DESK, **QUICK)
    fault(DESK, "upgraded_by_hand", "package=nvidia-persistenced", "version=580.190.02-0ubuntu0.24.04.1")
    told = run(DESK, **QUICK)
    assert told.codes(DESK) == {"DRIVER_HELD_UPGRADED"}, told.output
    evidence = next(item["evidence"] for item in told.part(DESK)["findings"] if item["code"] == "DRIVER_HELD_UPGRADED")
    assert evidence["nvidia-persistenced"]["found"].startswith("580.190.02")
    back = run(DESK, playbook="unlock_driver.yml", driver_lock_rollback=True)
    assert versions(DESK)["nvidia-persistenced"].startswith("580.178.04"), back.output
    assert trusted(DESK) and held(DESK) == []


def test_an_archive_whose_key_is_gone() -> None:
    fault(DESK, "repo_key_missing")
    told = run(DESK, **QUICK)
    assert "APT_KEY_MISSING" in told.codes(DESK), told.output
    assert "nvidia-spark-repo" in remedy(told, "APT_KEY_MISSING")
    assert "nvidia-driver-580-open" in held(DESK)
    assert as_root(DESK).run("dpkg --audit").stdout.strip() == ""


def test_a_half_configured_package_is_finished() -> None:
    fault(DESK, "half_configured")
    assert not trusted(DESK)
    told = run(DESK, **QUICK)
    assert told.part(DESK)["state"] == "done", told.output
    assert "nvidia-utils-580" in held(DESK) and trusted(DESK)


def test_a_lock_that_is_held_for_a_while() -> None:
    fault(DESK, "dpkg_lock", "seconds=30")
    told = run(DESK, driver_lock_lock_timeout=120)
    assert told.part(DESK)["state"] == "done" and told.codes(DESK) == set(), told.output
    assert "nvidia-driver-580-open" in held(DESK) and trusted(DESK)


def test_a_lock_that_is_held_for_ever() -> None:
    fault(DESK, "dpkg_lock", "seconds=3600")
    told = run(DESK, **QUICK)
    assert told.part(DESK)["state"] == "failed" and "DPKG_LOCKED" in told.codes(DESK), told.output
    lab("fault", "clear", DESK, "dpkg_lock")
    assert run(DESK, **QUICK).part(DESK)["state"] == "done"
    assert "nvidia-driver-580-open" in held(DESK) and trusted(DESK)


def test_a_first_boot_upgrade_that_has_not_ended() -> None:
    fault(DESK, "first_boot_upgrade")
    before = picture(DESK)
    told = run(DESK, **QUICK)
    assert "FIRST_BOOT_UPGRADE_PENDING" in told.codes(DESK, "facts"), told.output
    assert picture(DESK) == before


def test_autoremove_takes_nothing_of_the_platform() -> None:
    fault(DESK, "autoremove_bait")
    host = as_root(DESK)
    assert "Remv nv-cpu-governor" in host.run("apt-get -s autoremove").stdout
    run(DESK, **QUICK)
    left = [line.split()[1] for line in host.run("apt-get -s autoremove").stdout.splitlines() if line.startswith("Remv ")]
    assert not [name for name in left if name.startswith(("dgx-", "nv-", "nvidia-", "linux-", "libnvidia-"))], left
    assert trusted(DESK)


@pytest.mark.parametrize("path", ["/var/cache/apt/archives", "/var/lib/dgx_spark"])
def test_a_full_disk(path: str) -> None:
    fault(DESK, "full_disk", f"path={path}")
    before = picture(DESK)
    told = run(DESK, **QUICK)
    assert told.codes(DESK) == {"DISK_FULL"} and told.part(DESK)["state"] == "failed", told.output
    assert picture(DESK) == before and trusted(DESK)


def test_archives_that_do_not_answer() -> None:
    fault(DESK, "archive_unreachable")
    told = run(DESK, **QUICK)
    assert {"APT_ARCHIVE_UNREACHABLE"} <= told.codes(DESK) <= {"APT_ARCHIVE_UNREACHABLE", "DRIVER_ROLLBACK_IMPOSSIBLE"}, told.output
    assert "nvidia-driver-580-open" in held(DESK) and trusted(DESK)


def test_a_package_with_a_wrong_checksum() -> None:
    fault(DESK, "archive_bad_checksum", "package=nvidia-utils-580")
    told = run(DESK, **QUICK)
    assert told.codes(DESK) == {"APT_CHECKSUM_WRONG", "DRIVER_ROLLBACK_IMPOSSIBLE"}, told.output
    kept = as_root(DESK).check_output(f"ls {FOLDER}/debs")
    assert "nvidia-driver-580-open_" in kept and "nvidia-utils-580_" not in kept, kept
    assert "nvidia-driver-580-open" in held(DESK) and trusted(DESK)


def test_builds_that_the_archives_dropped() -> None:
    lab("archive", "publish", "next")
    told = run(DESK, **QUICK)
    assert told.codes(DESK) == {"DRIVER_ROLLBACK_IMPOSSIBLE"}, told.output
    assert "driver_lock_retry_debs" in remedy(told, "DRIVER_ROLLBACK_IMPOSSIBLE")
    assert "nvidia-driver-580-open" in held(DESK) and trusted(DESK)


@pytest.mark.parametrize("moment", ["lock.json", "debs/nvidia-utils-580", "preferences"])
def test_a_run_that_is_killed(moment: str) -> None:
    host = as_root(DESK)
    path = {"preferences": PINS}.get(moment, f"{FOLDER}/{moment}*")
    before = picture(DESK)
    running = Run(DESK, **QUICK)
    # Watched for on the desk itself, because a look from outside may come too late.
    watch = f"for each in $(seq 6000); do ls {path} > /dev/null 2>&1 && break; sleep 0.02; done; pkill -c -9 -f '{MODULE}'"
    assert host.check_output(watch) == "1", "the module was killed"
    running.kill()
    for pid in host.run("pgrep -x apt-get").stdout.split():
        host.run(f"kill -9 {pid}")
    told = run(DESK, **QUICK)
    assert told.part(DESK)["state"] == "done" and told.codes(DESK) == set(), told.output
    assert "nvidia-driver-580-open" in held(DESK) and trusted(DESK)
    assert run(DESK, **QUICK).part(DESK)["changed"] is False
    run(DESK, playbook="unlock_driver.yml")
    assert picture(DESK) == before
