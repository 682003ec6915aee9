"""The driver lock on a real apt and dpkg in a temporary root."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import replace
from typing import Any

import aptroot
import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import apt_preferences, driver_lock, lock_record
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.apt_runner import Limits
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.lock_model import WantedLock
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import Options
from aptroot import KERNEL_NEW, NEW, NEXT_KERNEL, OLD, AptRoot, Control, driver, kernel

LIMITS = Limits(lock=4, fetch=60, install=120)
GROUP = [
    "libnccl2",
    "libnvidia-compute-580",
    "linux-image-nvidia-hwe-24.04",
    "linux-modules-nvidia-580-open-6.17.0-1021-nvidia",
    "linux-modules-nvidia-580-open-nvidia-hwe-24.04",
    "linux-nvidia-hwe-24.04",
    "nvidia-driver-580-open",
    "nvidia-kernel-common-580",
    "nvidia-utils-580",
]


def lock(desk: AptRoot, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    """Run the lock."""
    return driver_lock.run(
        desk,
        WantedLock(**options),
        lambda: collect(desk, Options(subsets=driver_lock.SUBSETS)),
        name="desk-01",
        limits=LIMITS,
        check_mode=check_mode,
    )


def codes(result: dict[str, Any]) -> set[str]:
    """Codes that matter (the stock nvidia-modprobe is always noted)."""
    return {item["code"] for item in result["findings"]} - {"NVIDIA_MODPROBE_NEWER"}


def test_a_factory_desk_is_locked_and_the_second_run_does_nothing(root: AptRoot) -> None:
    first = lock(root)
    assert not first.get("failed"), first
    assert first["changed"]
    assert root.holds() == GROUP
    assert codes(first) == set()
    assert root.trusted()
    asked = len(root.asked)
    second = lock(root)
    assert second["changed"] is False and second["steps"] == [] and not second.get("failed")
    assert not [argv for argv in root.asked[asked:] if argv[0] in ("apt-get", "apt-cache", "apt-mark", "env") or "--set-selections" in argv]


def test_other_branches_are_no_candidates_and_the_rest_stays_installable(root: AptRoot) -> None:
    assert root.candidate("nvidia-open") == "615.20-1"
    assert root.candidate("nvidia-driver-610-open") is not None
    lock(root)
    for name in ("nvidia-open", "cuda-drivers", "nvidia-driver-590-open", "nvidia-driver-595-open", "nvidia-driver-610-open"):
        assert root.candidate(name) is None, name
    assert root.candidate("linux-modules-nvidia-610-open-nvidia-hwe-24.04") is None
    assert root.candidate("nvidia-modprobe") == "610.43.02-1"
    assert root.candidate("nvidia-driver-580-open") == NEW
    assert root.candidate("nvidia-container-toolkit") == "1.20.1-1"
    assert root.candidate("cuda-toolkit-13-0") == "13.0.3-1"
    assert root.candidate("libnccl2") == "2.31.2-1+cuda13.0"


def test_a_dist_upgrade_moves_the_bait_and_nothing_of_the_group(root: AptRoot) -> None:
    lock(root)
    before = root.versions()
    assert root.apt("-y", "dist-upgrade").rc == 0
    after = root.versions()
    assert {name: after[name] for name in GROUP} == {name: before[name] for name in GROUP}
    assert after["nvidia-container-toolkit"] == "1.20.1-1"
    assert root.apt("-y", "install", "nvidia-driver-590-open").rc != 0
    assert root.apt("-y", "install", "nvidia-open").rc != 0
    assert root.trusted()


def test_exact_level_knows_one_version_only(root: AptRoot) -> None:
    lock(root, level="exact")
    assert root.candidate("nvidia-driver-580-open") == OLD
    assert root.candidate("linux-nvidia-hwe-24.04") == aptroot.KERNEL_OLD
    assert root.candidate("libnccl2") == "2.30.7-1+cuda13.0"
    assert lock(root, level="exact")["steps"] == []


def test_unlock_restores_byte_for_byte(root: AptRoot) -> None:
    assert root.run(["dpkg", "--set-selections"], stdin="libnccl2 hold\n").ok
    before = root.state()
    lock(root)
    assert root.state() != before
    assert "dgx-release" not in root.automatic()
    result = lock(root, state="absent")
    assert not result.get("failed") and result["changed"]
    assert root.state() == before
    assert root.holds() == ["libnccl2"]
    assert root.list_dir(lock_record.FOLDER).error == "missing"
    assert lock(root, state="absent")["changed"] is False


def test_a_file_of_the_same_name_comes_back(root: AptRoot) -> None:
    text = "Package: hello\nPin: version 1.*\nPin-Priority: 1\n"
    root.write_text(apt_preferences.PATH, text)
    lock(root)
    assert root.read_text(apt_preferences.PATH).text != text
    lock(root, state="absent")
    assert root.read_text(apt_preferences.PATH).text == text


def test_paused_opens_for_the_branch_and_locks_what_came(root: AptRoot) -> None:
    lock(root, level="exact")
    paused = lock(root, state="paused", level="exact")
    assert codes(paused) == {"DRIVER_LOCK_PAUSED"}
    assert root.holds() == []
    assert lock(root, state="paused", level="exact")["steps"] == []
    assert root.apt("-y", "dist-upgrade").rc == 0
    assert root.versions()["nvidia-driver-580-open"] == NEW
    assert root.candidate("nvidia-open") is None
    result = lock(root, level="exact")
    assert not result.get("failed") and codes(result) == set(), result
    assert f"linux-modules-nvidia-580-open-{NEXT_KERNEL}" in root.holds()
    assert root.candidate("nvidia-driver-580-open") == NEW
    assert lock(root, level="exact")["steps"] == []


def test_check_mode_changes_nothing_and_tells_the_truth(root: AptRoot) -> None:
    before = root.state()
    result = lock(root, check_mode=True)
    assert result["changed"] and root.state() == before
    assert root.list_dir(lock_record.FOLDER).error == "missing"
    assert result["after"]["holds"] == GROUP
    real = lock(root)
    assert real["after"]["holds"] == result["after"]["holds"]
    assert real["diff"]["after"] == result["diff"]["after"]


def test_a_package_upgraded_by_hand_is_found_until_it_is_accepted(root: AptRoot) -> None:
    lock(root)
    assert root.apt("-y", "--allow-change-held-packages", "install", "libnccl2").ok
    assert "libnccl2" not in root.holds(), "apt drops the hold of a package that it changes"
    assert codes(lock(root)) == {"DRIVER_HELD_UPGRADED"}
    assert root.holds() == GROUP
    found = lock(root)
    assert codes(found) == {"DRIVER_HELD_UPGRADED"} and not found["steps"]
    assert found["findings"][0]["evidence"] == {"libnccl2": {"locked": "2.30.7-1+cuda13.0", "found": "2.31.2-1+cuda13.0"}}
    accepted = lock(root, accept=True)
    assert codes(accepted) == set() and accepted["changed"]
    assert lock(root)["steps"] == []


def test_a_hand_upgrade_is_rolled_back_from_the_kept_packages(root: AptRoot) -> None:
    before = root.state()
    lock(root)
    driver_names = [name for name in GROUP if name.endswith("580") or name.startswith("nvidia-driver")]
    assert root.apt("-y", "--allow-change-held-packages", "install", "libnccl2", *driver_names).ok
    assert root.versions()["nvidia-utils-580"] == NEW
    result = lock(root, state="absent", roll_back=True)
    assert not result.get("failed"), result
    assert root.versions() == before["versions"]
    assert root.holds() == [] and root.trusted()


def test_a_roll_back_without_kept_packages_is_refused_before_anything(root: AptRoot) -> None:
    lock(root, keep_debs=False)
    assert root.apt("-y", "--allow-change-held-packages", "install", "libnccl2").ok
    before = root.state()
    result = lock(root, state="absent", roll_back=True)
    assert result["failed"] and codes(result) == {"DRIVER_ROLLBACK_IMPOSSIBLE"}
    assert root.state() == before


def test_a_build_that_the_archive_dropped_is_named_first(root: AptRoot) -> None:
    root.archive("spark", "Spark", [*driver(580, NEW), *kernel(NEXT_KERNEL, KERNEL_NEW)])
    result = lock(root)
    assert codes(result) == {"DRIVER_ROLLBACK_IMPOSSIBLE"} and not result.get("failed")
    assert root.holds() == GROUP
    again = lock(root)
    assert again["steps"] == [] and codes(again) == {"DRIVER_ROLLBACK_IMPOSSIBLE"}


def test_a_half_configured_package_is_finished(root: AptRoot) -> None:
    status = root.root / "var/lib/dpkg/status"
    text = status.read_text()
    head, tail = text.split("Package: nvidia-utils-580\nStatus: install ok installed")
    status.write_text(head + "Package: nvidia-utils-580\nStatus: install ok half-configured" + tail)
    assert not root.trusted()
    result = lock(root)
    assert not result.get("failed"), result
    assert root.trusted() and root.holds() == GROUP
    assert lock(root)["steps"] == []


def test_a_missing_driver_is_installed_from_the_branch(root: AptRoot) -> None:
    assert root.run(["dpkg", "-r", "nvidia-driver-580-open", "nvidia-utils-580", "libnvidia-compute-580", "nvidia-kernel-common-580"]).ok
    result = lock(root)
    assert not result.get("failed"), result
    assert root.versions()["nvidia-driver-580-open"] == NEW
    assert "nvidia-driver-580-open" in root.holds()
    assert lock(root)["steps"] == []


def test_a_phased_kernel_gets_its_module(root: AptRoot) -> None:
    root.install([kernel(NEXT_KERNEL, KERNEL_NEW)[0]])
    result = lock(root)
    assert not result.get("failed"), result
    assert f"linux-modules-nvidia-580-open-{NEXT_KERNEL}" in root.versions()
    assert f"linux-modules-nvidia-580-open-{NEXT_KERNEL}" in root.holds()


def test_a_kernel_whose_module_is_in_no_archive_is_named_and_the_lock_is_set(root: AptRoot) -> None:
    root.install([Control("linux-image-7.0.0-1019-nvidia", "7.0.0-1019.19", files={"/boot/vmlinuz-7.0.0-1019-nvidia": "kernel"})])
    result = lock(root)
    assert codes(result) == {"DRIVER_LOCK_UNSATISFIABLE"}
    assert "linux-modules-nvidia-580-open-7.0.0-1019-nvidia" in result["findings"][0]["message"]
    remedy = result["findings"][0]["remedy"]
    assert "remove linux-image-7.0.0-1019-nvidia;" in remedy and "Dashboard" not in remedy, "an update of both desks brings no module"
    assert root.holds() == GROUP and root.trusted()


def test_a_missing_key_is_named_and_the_lock_is_set(root: AptRoot) -> None:
    (root.root / "etc/apt/keyrings/spark.gpg").write_bytes(b"")
    for item in (root.root / "var/lib/apt/lists").glob("*InRelease"):
        item.unlink()
    result = lock(root)
    assert "APT_KEY_MISSING" in codes(result), result
    assert root.holds() == GROUP and root.trusted()


def test_an_archive_that_does_not_answer_is_named_and_the_lock_is_set(root: AptRoot) -> None:
    (root.root / "etc/apt/sources.list.d/far.list").write_text("deb [trusted=yes] http://127.0.0.1:9/far ./\n")
    result = lock(root)
    assert codes(result) == {"APT_ARCHIVE_UNREACHABLE"}, result
    assert root.holds() == GROUP and root.trusted()


def test_a_package_with_a_wrong_checksum_is_refused_by_apt_and_named(root: AptRoot) -> None:
    deb = root.root / f"archives/spark/nvidia-utils-580_{OLD}_{aptroot.ARCHITECTURE}.deb"
    data = bytearray(deb.read_bytes())
    data[200] ^= 0xFF
    deb.write_bytes(bytes(data))
    result = lock(root)
    assert codes(result) == {"APT_CHECKSUM_WRONG", "DRIVER_ROLLBACK_IMPOSSIBLE"}, result
    missing = next(item for item in result["findings"] if item["code"] == "DRIVER_ROLLBACK_IMPOSSIBLE")["evidence"]["missing"]
    assert missing == [f"nvidia-utils-580={OLD}"]
    assert root.holds() == GROUP and root.trusted()


def test_a_full_disk_is_told_before_anything_is_changed(root: AptRoot) -> None:
    before = root.state()
    root.free = 1024 * 1024
    result = lock(root)
    assert result["failed"] and codes(result) == {"DISK_FULL"}
    assert root.state() == before and root.list_dir(lock_record.FOLDER).error == "missing"


@pytest.mark.parametrize(
    ("number", "code", "cure"),
    [
        (errno.EROFS, "ROOT_READ_ONLY", "findmnt"),
        (errno.EPERM, "APT_FAILED", "lsattr"),
        (errno.EIO, "APT_FAILED", "what is wrong with"),
        (errno.ENOSPC, "DISK_FULL", "df -i"),
    ],
)
@pytest.mark.parametrize("path", [lock_record.PATH, apt_preferences.PATH])
def test_a_file_that_cannot_be_written_is_no_failed_command(
    root: AptRoot, path: str, number: int, code: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an error of the drive made the file system read-only since the facts were read."""
    usual = root.write_text

    def refuse(wanted: str, text: str, mode: int = 0o644) -> None:
        if wanted == path:
            raise OSError(number, os.strerror(number), path)
        usual(wanted, text, mode)

    monkeypatch.setattr(root, "write_text", refuse, raising=False)
    result = lock(root)
    [found] = [item for item in result["findings"] if item["severity"] == "fail"]
    assert result["failed"] and found["code"] == code and path in found["message"]
    assert cure in found["remedy"] and "command in the evidence" not in found["remedy"]


def test_a_pending_first_boot_upgrade_stops_everything(root: AptRoot) -> None:
    before = root.state()
    unit = root.root / "lib/systemd/system/nvidia-spark-run-apt-upgrade-once.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Unit]\n")
    result = lock(root)
    assert result["failed"] and codes(result) == {"FIRST_BOOT_UPGRADE_PENDING"}
    assert root.state() == before


def test_a_pin_of_somebody_else_that_wins_is_named(root: AptRoot) -> None:
    path = root.root / "etc/apt/preferences.d/10-mine"
    path.write_text("Package: nvidia-driver-590-open\nPin: version *\nPin-Priority: 700\n")
    result = lock(root)
    assert codes(result) == {"DRIVER_LOCK_CONFLICT"}, result
    assert "/etc/apt/preferences.d/10-mine" in result["findings"][0]["message"]
    path.unlink()
    assert codes(lock(root)) == set()
    assert lock(root)["steps"] == []


def test_a_fleet_lock_file_moves_the_whole_group_up(root: AptRoot) -> None:
    versions = dict.fromkeys(("nvidia-driver-580-open", "nvidia-utils-580", "libnvidia-compute-580", "nvidia-kernel-common-580"), NEW)
    versions |= {name: KERNEL_NEW for name in GROUP if name.startswith("linux") and name.endswith("hwe-24.04")}
    lock(root)
    result = lock(root, level="exact", versions=versions)
    assert not result.get("failed"), result
    installed = root.versions()
    assert {name: installed[name] for name in versions} == versions
    assert f"linux-modules-nvidia-580-open-{NEXT_KERNEL}" in root.holds()
    assert root.candidate("nvidia-driver-580-open") == NEW
    assert root.trusted()
    assert lock(root, level="exact", versions=versions)["steps"] == []


def test_a_fleet_lock_file_that_would_downgrade_is_refused(root: AptRoot) -> None:
    assert root.apt("-y", "install", "libnccl2").ok
    before = root.state()
    result = lock(root, level="exact", versions={"libnccl2": "2.30.7-1+cuda13.0"})
    assert result["failed"] and codes(result) == {"DRIVER_LOCK_UNSATISFIABLE"}
    assert root.state() == before
    allowed = lock(root, level="exact", versions={"libnccl2": "2.30.7-1+cuda13.0"}, allow_downgrade=True)
    assert not allowed.get("failed"), allowed
    assert root.versions()["libnccl2"] == "2.30.7-1+cuda13.0"


def test_half_a_group_is_not_moved(root: AptRoot) -> None:
    before = root.state()
    result = lock(root, level="exact", versions={"nvidia-driver-580-open": NEW})
    assert result["failed"] and codes(result) == {"DRIVER_LOCK_UNSATISFIABLE"}, result
    assert root.state() == before


def whole(driver_version: str) -> dict[str, str]:
    """A fleet lock file's driver."""
    return dict.fromkeys(
        ("nvidia-driver-580-open", "nvidia-utils-580", "libnvidia-compute-580", "nvidia-kernel-common-580"), driver_version
    )


def test_a_fleet_lock_file_that_the_archives_outran_is_told_as_that(root: AptRoot) -> None:
    before = root.state()
    result = lock(root, level="exact", versions=whole("580.167.08-0ubuntu0.24.04.1"))
    found = result["findings"][0]
    assert result["failed"] and found["code"] == "DRIVER_LOCK_UNSATISFIABLE" and root.state() == before
    assert "playbooks/lock_from.yml" in found["remedy"] and "driver_lock_state=paused" not in found["remedy"]
    name = found["remedy"].partition("apt-cache madison ")[2].split()[0]
    assert root.run(["apt-cache", "madison", name]).stdout.strip()


def test_a_package_of_somebody_that_stands_in_the_way_is_named_in_the_remedy(root: AptRoot) -> None:
    root.install([Control("lab-tools", "1.0", depends=f"nvidia-utils-580 (= {OLD})")])
    result = lock(root, level="exact", versions=whole(NEW))
    found = result["findings"][0]
    assert result["failed"] and found["code"] == "DRIVER_LOCK_UNSATISFIABLE"
    assert "sudo apt-get remove lab-tools;" in found["remedy"]
    assert root.apt("-y", "remove", "lab-tools").ok
    assert not lock(root, level="exact", versions=whole(NEW)).get("failed")


@pytest.mark.parametrize("locked", [False, True])
def test_modules_that_need_the_newer_driver_are_named_and_the_way_out_is_another_file(root: AptRoot, locked: bool) -> None:
    """A prebuilt module package depends on its driver. Without the lock's holds apt would remove it, with them it finds no way."""
    modules = f"linux-modules-nvidia-580-open-{NEXT_KERNEL}"
    newer = kernel(NEXT_KERNEL, KERNEL_NEW)
    newer[1] = replace(newer[1], depends=f"{newer[1].depends}, nvidia-kernel-common-580 (>= {NEW})")
    root.install([*driver(580, NEW), *newer])
    root.archive("spark", "Spark", [*aptroot.stock_controls(), *driver(580, NEW), *newer])
    assert root.apt("update").ok
    if locked:
        assert not lock(root).get("failed")
    before = root.state()
    result = lock(root, level="exact", versions=whole(OLD), allow_downgrade=True)
    found = result["findings"][0]
    assert result["failed"] and found["code"] == "DRIVER_LOCK_UNSATISFIABLE" and root.state() == before
    assert modules in found["message"]
    assert "playbooks/lock_from.yml" in found["remedy"] and "driver_lock_state=paused" not in found["remedy"]
    current = root.versions()
    fits = lock(root, level="exact", versions={name: current[name] for name in (*whole(NEW), modules)})
    assert not fits.get("failed"), fits


class Killed(BaseException):
    """Stands for kill -9: nothing after it is done, no handler is run."""


class MortalRoot(AptRoot):
    """Dies before, or right after, its n-th change."""

    lives = 10**6
    after = False

    def _count(self) -> bool:
        self.lives -= 1
        return self.lives == 0

    def write_text(self, path: str, text: str, mode: int = 0o644) -> None:
        dying = self._count()
        if dying and not self.after:
            raise Killed
        super().write_text(path, text, mode)
        if dying:
            raise Killed

    def run(self, argv: Any, **options: Any) -> Any:
        changing = "--set-selections" in argv or (argv[0] in ("apt-mark", "apt-get", "env") and "-s" not in argv and "showhold" not in argv)
        dying = changing and self._count()
        if dying and not self.after:
            raise Killed
        answer = super().run(argv, **options)
        if dying:
            raise Killed
        return answer


@pytest.mark.parametrize("after", [False, True])
def test_killed_anywhere_the_next_run_converges(root: AptRoot, after: bool) -> None:
    untouched = root.state()
    desk = MortalRoot(root.root, root.debs)
    lock(desk, level="exact")
    wanted = {**desk.state(), "record": desk.read_text(lock_record.PATH).text}
    lock(desk, state="absent")
    assert desk.state() == untouched
    for number in range(1, 30):
        desk.lives, desk.after = number, after
        try:
            lock(desk, level="exact")
        except Killed:
            pass
        else:
            break
        desk.lives = 10**6
        result = lock(desk, level="exact")
        assert not result.get("failed"), (number, result)
        assert {**desk.state(), "record": desk.read_text(lock_record.PATH).text} == wanted, number
        assert desk.trusted()
        desk.lives, desk.after = max(1, number // 2), after
        with contextlib.suppress(Killed):
            lock(desk, state="absent")
        desk.lives = 10**6
        lock(desk, state="absent")
        assert desk.state() == untouched, number
    assert number > 5


def with_new_archive(root: AptRoot, *more: Control) -> list[str]:
    """NVIDIA's archive as it is since R590; the names of everything of a driver in it."""
    controls = aptroot.unsuffixed()
    root.archive("cuda590", "NVIDIA CUDA", [*controls, *more, Control("cuda-compat-13-3", "610.57.04-1ubuntu1")])
    assert root.apt("update").ok
    return [item.name for item in controls]


def test_a_driver_without_branch_in_its_names_is_no_candidate(root: AptRoot) -> None:
    names = with_new_archive(root)
    assert all(root.candidate(name) for name in names)
    assert codes(lock(root)) == set()
    assert {name: version for name in names if (version := root.candidate(name))} == {}
    for name in ("nvidia-dkms-open", "nvidia-settings", "libglx-vendor0", "nvidia-driver-pinning-590.48.01"):
        assert root.apt("-s", "-y", "install", name).rc != 0, name
    assert root.candidate("cuda-compat-13-3") == "610.57.04-1ubuntu1"
    assert root.candidate("nvidia-container-toolkit") == "1.20.1-1"


def test_the_distributions_own_library_stays_installable_because_open_mpi_needs_it(root: AptRoot) -> None:
    """libopenmpi depends on libhwloc-plugins, and that on an old libxnvctrl0; a newer one would replace a library of the driver."""
    with_new_archive(root)
    root.archive(
        "universe", "Ubuntu", [Control("libxnvctrl0", "510.47.03-0ubuntu4"), Control("openmpi-bin", "4.1.6-7", depends="libxnvctrl0")]
    )
    assert root.apt("update").ok
    assert codes(lock(root)) == set()
    assert root.candidate("libxnvctrl0") == "510.47.03-0ubuntu4"
    assert root.apt("-y", "install", "openmpi-bin").rc == 0
    assert root.apt("-y", "dist-upgrade").rc == 0 and root.versions()["libxnvctrl0"] == "510.47.03-0ubuntu4"
    again = lock(root)
    assert codes(again) == set() and again["changed"] is False and "libxnvctrl0" not in root.holds()


def test_what_is_installed_of_the_helpers_stays_at_the_drivers_version(root: AptRoot) -> None:
    helpers = ("nvidia-settings", "libxnvctrl0", "nvidia-persistenced")
    root.install([Control(name, OLD) for name in helpers])
    with_new_archive(root)
    assert "nvidia-settings" in root.apt("-s", "-y", "dist-upgrade").stdout
    lock(root)
    assert root.apt("-y", "dist-upgrade").rc == 0
    versions = root.versions()
    assert {name: versions[name] for name in helpers} == dict.fromkeys(helpers, OLD)
    assert set(helpers) <= set(root.holds())


def test_another_version_that_is_installed_stays_and_goes_no_further(root: AptRoot) -> None:
    root.install([Control("nvidia-settings", "590.48.01-1")])
    with_new_archive(root)
    lock(root)
    assert root.apt("-y", "dist-upgrade").rc == 0
    assert root.versions()["nvidia-settings"] == "590.48.01-1"


@pytest.mark.parametrize("package", ["nvidia-dkms-open", "libglx-vendor0"])
def test_the_lock_finds_a_pin_that_lets_such_a_driver_in(root: AptRoot, package: str) -> None:
    with_new_archive(root)
    path = root.root / "etc/apt/preferences.d/10-mine"
    path.write_text(f"Package: {package}\nPin: version *\nPin-Priority: 700\n")
    result = lock(root)
    assert codes(result) == {"DRIVER_LOCK_CONFLICT"}, result
    found = next(item for item in result["findings"] if item["code"] == "DRIVER_LOCK_CONFLICT")
    assert found["evidence"]["candidates"] == {package: "610.57.04-1ubuntu1"} and "10-mine" in found["message"]


def test_a_lock_file_whose_firmware_takes_the_place_of_the_old_one_is_enforced(root: AptRoot) -> None:
    """The firmware's package carries its version in its name, and the new one conflicts with the old."""
    newest = "580.178.04-0ubuntu0.24.04.1"
    old, new = (f"nvidia-firmware-580-{version.partition('-')[0]}" for version in (OLD, newest))
    root.install([Control(old, OLD)])
    group = [*driver(580, newest)]
    group[2] = Control("nvidia-kernel-common-580", newest, f"{new} (= {newest})")
    firmware = Control(new, newest, conflicts=old)
    root.archive("spark", "Spark", [*aptroot.stock_controls(), Control(old, OLD), *group, firmware])
    assert root.apt("update").ok
    before = root.state()
    lock(root)
    versions = dict.fromkeys([item.name for item in (*group, firmware)], newest)
    result = lock(root, level="exact", versions=versions)
    assert not result.get("failed"), result
    installed = root.versions()
    assert installed["nvidia-driver-580-open"] == newest and installed[new] == newest and old not in installed
    assert root.trusted() and new in root.holds()
    assert lock(root, level="exact", versions=versions)["steps"] == []
    back = lock(root, state="absent", roll_back=True)
    assert not back.get("failed"), back
    assert root.versions() == before["versions"] and root.trusted()


def test_a_conflict_is_told_with_apts_whole_reason(root: AptRoot) -> None:
    root.archive("spark", "Spark", [*aptroot.stock_controls(), Control("libnccl2", "2.32.3-1+cuda13.0", "libmissing (>= 3)")])
    assert root.apt("update").ok
    result = lock(root, level="exact", versions={"libnccl2": "2.32.3-1+cuda13.0"})
    assert result["failed"] and codes(result) == {"DRIVER_LOCK_UNSATISFIABLE"}
    message = result["findings"][0]["message"]
    assert "libnccl2" in message and "libmissing (>= 3)" in message, message
