"""Looking, updating and going back on a real apt and dpkg in a temporary root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import apt_preferences, driver_lock, lock_record
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.apt_runner import Limits
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.driver_group import held_group
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.lock_model import WantedLock
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update import SUBSETS, Result, Updater, Wanted
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update_journal import DEBS, PATH, parse
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update_look import FOLDER, Looker
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import Options
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.update import Outlook, Wishes, half_done, judge_look
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.update import Journal, Look
from aptroot import KERNEL, KERNEL_NEW, NEW, NEXT_KERNEL, OLD, AptRoot, Control, driver, kernel, stock_controls

LIMITS = Limits(lock=4, fetch=60, install=120)
WHERE = Where(desk="desk-01")
WISHES = Wishes(force=True)
"""Nobody computes on a folder, and nvidia-smi is not there to say so."""


def facts(desk: AptRoot) -> Desk:
    return collect(desk, Options(subsets=SUBSETS))


def boot(desk: AptRoot, release: str, module: str) -> None:
    """What a start leaves: which kernel runs, with which module."""
    desk.write_file("/proc/sys/kernel/osrelease", f"{release}\n")
    text = f"NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  {module}  Release Build  (dvs-builder@lab)\n"
    desk.write_file("/proc/driver/nvidia/version", text)


@pytest.fixture
def desk(root: AptRoot) -> AptRoot:
    """A locked desk that runs."""
    boot(root, KERNEL, OLD.partition("-")[0])
    root.write_file("/run/.keep", "")
    lock(root)
    return root


def lock(desk: AptRoot, state: str = "present") -> None:
    result = driver_lock.run(desk, WantedLock(state=state, force=True), lambda: facts(desk), name="desk-01", limits=LIMITS)
    assert not result.get("failed"), result


def look(desk: AptRoot, **versions: str) -> tuple[Look, Outlook]:
    looker = Looker(desk, WHERE, 580, apt_preferences.render(), LIMITS)
    found = looker.look(facts(desk), versions)
    now = facts(desk)
    record = lock_record.parse(now.setup.driver_lock) if now.setup.driver_lock else None
    foreign = set(now.driver.holds) - set(record.added_holds if record else ())
    group = {item.name for item in held_group(now.driver.packages)}
    return found, judge_look(now, found, WHERE, WISHES, group, foreign)


def update(desk: AptRoot, expected: dict[str, str] | None = None, **versions: str) -> tuple[Updater, Result]:
    lock(desk, "paused")
    if expected is None:
        expected = dict(look(desk, **versions)[1].versions)
    updater = Updater(desk, WHERE, Wanted(WISHES, versions, expected, "run-1", "pair_a"), lambda: facts(desk), LIMITS)
    return updater, updater.update()


def back(desk: AptRoot) -> tuple[Updater, Result]:
    lock(desk, "paused")
    updater = Updater(desk, WHERE, Wanted(WISHES), lambda: facts(desk), LIMITS)
    return updater, updater.roll_back()


def journal(desk: AptRoot) -> Journal:
    found = parse(desk.read_text(PATH).text)
    assert found is not None
    return found


def codes(outlook: Any) -> set[str]:
    return {item.code for item in outlook.findings if item.severity not in ("note", "ok")}


def test_a_look_tells_what_would_come_and_changes_nothing(desk: AptRoot) -> None:
    before, lists = desk.state(), sorted(path.name for path in (desk.root / "var/lib/apt/lists").rglob("*"))
    found, outlook = look(desk)
    changes = {item.name: (item.old, item.new) for item in found.changes}
    assert changes["nvidia-driver-580-open"] == (OLD, NEW)
    assert changes[f"linux-image-{NEXT_KERNEL}"] == (None, KERNEL_NEW)
    assert "nvidia-driver-590-open" not in changes and changes["nvidia-container-toolkit"] == ("1.19.0-1", "1.20.1-1")
    assert outlook.todo and not outlook.refused and codes(outlook) == set()
    assert outlook.versions["linux-nvidia-hwe-24.04"] == KERNEL_NEW
    assert outlook.row["driver"] == "580.159.03 -> 580.173.02" and outlook.row["kernel"] == f"{KERNEL} -> {NEXT_KERNEL}"
    assert desk.state() == before and sorted(path.name for path in (desk.root / "var/lib/apt/lists").rglob("*")) == lists
    assert desk.list_dir(FOLDER).error == "missing"


def test_a_look_sees_what_the_desks_own_lists_do_not_know_yet(desk: AptRoot) -> None:
    newer = "580.178.04-0ubuntu0.24.04.1"
    desk.archive("spark", "Spark", [*stock_controls(), *driver(580, newer), *kernel(NEXT_KERNEL, KERNEL_NEW)])
    found, _outlook = look(desk)
    assert {item.name: item.new for item in found.changes}["nvidia-driver-580-open"] == newer
    assert desk.candidate("nvidia-driver-580-open") == NEW


def without_module() -> list[Control]:
    """A phased update: the kernel is there, its module is not."""
    packages = [item for item in kernel(NEXT_KERNEL, KERNEL_NEW) if "580-open" not in item.name]
    return [*stock_controls(), *driver(580, NEW), *packages]


def test_a_kernel_without_its_module_is_refused_at_the_look_and_before_the_change(desk: AptRoot) -> None:
    desk.archive("spark", "Spark", without_module())
    _found, outlook = look(desk)
    assert codes(outlook) == {"UPDATE_KERNEL_WITHOUT_MODULE"} and outlook.refused
    before = desk.versions()
    updater, result = update(desk)
    assert [item.code for item in updater.outcome.findings if item.severity == "fail"] == ["UPDATE_KERNEL_WITHOUT_MODULE"]
    assert desk.versions() == before and not result.reboot and desk.read_text(PATH).error == "missing"


def test_a_kernel_whose_ramdisk_was_not_made_is_not_rebooted_into(desk: AptRoot) -> None:
    (desk.root / f"boot/initrd.img-{KERNEL}").write_text("x", encoding="utf-8")
    updater, result = update(desk)
    assert [item.code for item in updater.outcome.findings if item.severity == "fail"] == ["NEXT_BOOT_KERNEL_WITHOUT_INITRD"]
    assert not result.reboot and NEXT_KERNEL in updater.outcome.findings[-1].message


def test_an_update_proves_its_kernel_and_waits_for_the_reboot(desk: AptRoot) -> None:
    updater, result = update(desk)
    assert not updater.outcome.failed, updater.outcome.findings
    assert result.reboot and result.kernel_after == NEXT_KERNEL
    assert desk.versions()["nvidia-driver-580-open"] == NEW and desk.trusted()
    noted = journal(desk)
    assert noted.phase == "installed" and noted.before["nvidia-driver-580-open"] == OLD and noted.kernel_before == KERNEL
    assert f"linux-image-{NEXT_KERNEL}" in noted.added and noted.lost == ()
    assert not [argv for argv in desk.asked if "autoremove" in argv]
    # Cut off before the reboot: the next run goes on from there.
    again, result = update(desk)
    assert result.reboot and not again.outcome.failed and journal(desk).before == noted.before
    boot(desk, NEXT_KERNEL, NEW.partition("-")[0])
    _updater, result = update(desk)
    assert not result.reboot and journal(desk).phase == "started"


def test_a_second_update_of_a_settled_desk_does_nothing(desk: AptRoot) -> None:
    update(desk)
    boot(desk, NEXT_KERNEL, NEW.partition("-")[0])
    updater, _result = update(desk)
    updater.note("settled")
    lock(desk)
    found, outlook = look(desk)
    assert found.changes == () and not outlook.todo
    noted = desk.read_text(PATH).text
    again, result = update(desk)
    assert not again.outcome.changed and not result.reboot and desk.read_text(PATH).text == noted


def test_the_way_back_restores_versions_and_the_old_kernel(desk: AptRoot) -> None:
    before = desk.versions()
    update(desk)
    boot(desk, NEXT_KERNEL, NEW.partition("-")[0])
    update(desk)
    lock(desk)
    # The archives have dropped what was there before.
    desk.archive("spark", "Spark", [*driver(580, NEW), *kernel(NEXT_KERNEL, KERNEL_NEW)])
    desk.write_file("/boot/grub/grub.cfg", GRUB)
    updater, result = back(desk)
    assert not updater.outcome.failed, updater.outcome.findings
    assert result.reboot and result.kernel_after == KERNEL
    assert f"linux-image-{NEXT_KERNEL}" in desk.versions(), "the kernel that runs is not removed"
    assert ("grub-reboot", f"gnulinux-advanced-0a>gnulinux-{KERNEL}-advanced-0a") in desk.asked
    boot(desk, KERNEL, OLD.partition("-")[0])
    desk.remove("/boot/grub/grubenv")
    updater, result = back(desk)
    assert not updater.outcome.failed and not result.reboot and journal(desk).phase == "rolled_back"
    after = desk.versions()
    assert {name: after[name] for name in before if name != "nvidia-container-toolkit"} == {
        name: version for name, version in before.items() if name != "nvidia-container-toolkit"
    }
    assert f"linux-image-{NEXT_KERNEL}" not in after and desk.trusted()
    lock(desk)
    assert "nvidia-driver-580-open" in desk.holds()


GRUB = f"""
menuentry 'DGX OS GNU/Linux' --class gnu $menuentry_id_option 'gnulinux-simple-0a' {{
}}
submenu 'Advanced options for DGX OS GNU/Linux' $menuentry_id_option 'gnulinux-advanced-0a' {{
\tmenuentry 'DGX OS GNU/Linux, with Linux {NEXT_KERNEL}' --class gnu $menuentry_id_option 'gnulinux-{NEXT_KERNEL}-advanced-0a' {{
\t}}
\tmenuentry 'DGX OS GNU/Linux, with Linux {KERNEL}' --class gnu $menuentry_id_option 'gnulinux-{KERNEL}-advanced-0a' {{
\t}}
}}
"""


def test_a_way_back_without_its_packages_changes_nothing(desk: AptRoot) -> None:
    update(desk)
    desk.remove_folder(DEBS)
    desk.remove_folder(lock_record.DEBS)
    desk.archive("spark", "Spark", [*driver(580, NEW), *kernel(NEXT_KERNEL, KERNEL_NEW)])
    assert desk.apt("update").ok
    before = desk.versions()
    updater, result = back(desk)
    assert [item.code for item in updater.outcome.findings] == ["UPDATE_ROLLBACK_IMPOSSIBLE"] and updater.outcome.failed
    assert desk.versions() == before and not result.reboot and journal(desk).phase == "installed"


def test_where_nothing_was_updated_there_is_nothing_to_take_back(desk: AptRoot) -> None:
    updater, result = back(desk)
    assert [(item.code, item.severity) for item in updater.outcome.findings] == [("UPDATE_ROLLBACK_IMPOSSIBLE", "note")]
    assert not updater.outcome.changed and not result.reboot


def test_the_lock_must_be_open_and_the_archives_as_they_were_looked_at(desk: AptRoot) -> None:
    expected = dict(look(desk)[1].versions)
    closed = Updater(desk, WHERE, Wanted(WISHES, {}, expected), lambda: facts(desk), LIMITS)
    closed.update()
    assert [item.code for item in closed.outcome.findings] == ["UPDATE_REFUSED"]
    newer = "580.178.04-0ubuntu0.24.04.1"
    desk.archive("spark", "Spark", [*stock_controls(), *driver(580, newer), *kernel(NEXT_KERNEL, KERNEL_NEW)])
    before = desk.versions()
    updater, _result = update(desk, expected)
    assert [item.code for item in updater.outcome.findings if item.severity == "fail"] == ["UPDATE_REFUSED"]
    assert "580.178.04" in updater.outcome.findings[-1].message and desk.versions() == before


def test_named_versions_bring_only_these(desk: AptRoot) -> None:
    wanted = {"libnccl2": "2.31.2-1+cuda13.0"}
    found, outlook = look(desk, **wanted)
    assert [(item.name, item.new) for item in found.changes] == [("libnccl2", "2.31.2-1+cuda13.0")] and not outlook.refused
    updater, result = update(desk, **wanted)
    assert not updater.outcome.failed and not result.reboot and journal(desk).phase == "started"
    assert desk.versions()["nvidia-driver-580-open"] == OLD


def test_somebodys_hold_is_told_and_stops_it(desk: AptRoot) -> None:
    lock(desk, "absent")
    assert desk.run(["dpkg", "--set-selections"], stdin="libnccl2 hold\n").ok
    lock(desk)
    _found, outlook = look(desk)
    assert codes(outlook) == {"UPDATE_UNSATISFIABLE"}
    assert "libnccl2" in next(item.message for item in outlook.findings if item.code == "UPDATE_UNSATISFIABLE")


def test_a_full_disk_stops_it_before_anything_changes(desk: AptRoot) -> None:
    lock(desk, "paused")
    expected = dict(look(desk)[1].versions)
    before = desk.versions()
    desk.free = 100 * 1024**2
    updater = Updater(desk, WHERE, Wanted(WISHES, {}, expected), lambda: facts(desk), LIMITS)
    updater.update()
    assert [item.code for item in updater.outcome.findings] == ["DISK_FULL"] and desk.versions() == before


def test_an_archive_that_goes_away_in_the_middle_changes_no_package(desk: AptRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    lock(desk, "paused")
    expected = dict(look(desk)[1].versions)
    before = desk.versions()
    fetch = Updater._install

    def gone(self: Updater, *arguments: Any) -> None:
        for path in (desk.root / "archives/spark").glob("nvidia-utils*.deb"):
            path.unlink()
        fetch(self, *arguments)

    monkeypatch.setattr(Updater, "_install", gone)
    updater = Updater(desk, WHERE, Wanted(WISHES, {}, expected), lambda: facts(desk), LIMITS)
    updater.update()
    assert updater.outcome.failed and desk.versions() == before and journal(desk).phase == "begun"
    monkeypatch.undo()
    desk.archive(
        "spark", "Spark", [*stock_controls(), *driver(580, NEW), *kernel(NEXT_KERNEL, KERNEL_NEW), Control("libnccl2", "2.31.2-1+cuda13.0")]
    )
    again, result = update(desk, expected)
    assert not again.outcome.failed and result.reboot and journal(desk).before["nvidia-driver-580-open"] == OLD


def test_a_dpkg_that_was_cut_off_is_finished_first(desk: AptRoot) -> None:
    lock(desk, "paused")
    expected = dict(look(desk)[1].versions)
    status = Path(desk.real("/var/lib/dpkg/status"))
    half = status.read_text().replace(
        "Package: nvidia-container-toolkit\nStatus: install ok installed", "Package: nvidia-container-toolkit\nStatus: install ok unpacked"
    )
    assert half != status.read_text()
    status.write_text(half)
    updater = Updater(desk, WHERE, Wanted(WISHES, {}, expected), lambda: facts(desk), LIMITS)
    result = updater.update()
    assert not updater.outcome.failed and result.reboot and desk.trusted()
    assert any("--configure" in argv for argv in updater.outcome.commands)


class Killed(BaseException):
    """The controller or the power went."""


@pytest.mark.parametrize("cut", range(8))
def test_a_run_that_is_killed_before_any_of_its_changes_is_taken_up(desk: AptRoot, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journal, packages for the way back, fetching, dpkg, journal again: the next run ends where an undisturbed one does, and still knows
    what was there at the very beginning."""
    lock(desk, "paused")
    expected = dict(look(desk)[1].versions)
    before = desk.versions()
    left = [cut]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    run, write = desk.run, desk.write_text

    def counted(argv: Any, **options: Any) -> Any:
        if argv[0] == "env" or (argv[0] == "apt-get" and "-s" not in argv and "update" not in argv):
            step()
        return run(argv, **options)

    def written(path: str, text: str, mode: int = 0o644) -> None:
        if path == PATH:
            step()
        write(path, text, mode)

    monkeypatch.setattr(desk, "run", counted)
    monkeypatch.setattr(desk, "write_text", written)
    want = Wanted(WISHES, {}, expected, "run-1", "pair_a")
    cut_off = Updater(desk, WHERE, want, lambda: facts(desk), LIMITS)
    if cut < 7:
        with pytest.raises(Killed):
            cut_off.update()
    monkeypatch.undo()
    told = {item.code for item in half_done(facts(desk), WHERE, JudgeOptions())}
    assert told == ({"UPDATE_HALF_DONE"} if desk.read_text(PATH).text else set())
    again = Updater(desk, WHERE, want, lambda: facts(desk), LIMITS)
    result = again.update()
    assert not again.outcome.failed, again.outcome.findings
    assert result.reboot and result.kernel_after == NEXT_KERNEL and desk.trusted()
    assert desk.versions()["nvidia-driver-580-open"] == NEW
    noted = journal(desk)
    assert noted.phase == "installed" and noted.before["nvidia-driver-580-open"] == OLD and noted.kernel_before == KERNEL
    assert {spec for spec in noted.kept if spec.startswith("nvidia-driver")} == {
        f"nvidia-driver-580-open={before['nvidia-driver-580-open']}"
    }
