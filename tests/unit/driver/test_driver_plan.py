"""The plan of the driver lock: tables of desks and what is to be done."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import apt_preferences, lock_model, lock_record
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.driver_plan import plan
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.lock_model import LockPlan, WantedLock
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Apt, Busy, Desk, DgxOs, Setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import Driver, Kernel, KernelImage, Package
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.update import Journal
from samples import GROUP, INSTALLED, KERNEL, after, desk, locked, somebody


def make(start: Desk, **options: object) -> LockPlan:
    return plan(start, WantedLock(**options), name="desk-01")  # type: ignore[arg-type]


def codes(made: LockPlan) -> set[str]:
    return {item.code for item in made.findings} - {"NVIDIA_MODPROBE_NEWER"}


def test_a_factory_desk_is_recorded_first_and_settled_last() -> None:
    made = make(desk())
    assert made.kinds() == ("record", "keep_debs", "preferences", "hold", "verify", "settle")
    assert made.after.holds == GROUP and not made.blocked
    assert made.record is not None and made.record.before.holds == ()


@pytest.mark.parametrize("options", [{}, {"level": "exact"}, {"state": "paused"}, {"keep_debs": False}, {"protect_platform": False}])
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(options: dict[str, object]) -> None:
    start = desk()
    settled = after(start, make(start, **options))
    assert make(settled, **options).steps == ()


def test_the_stock_modprobe_of_a_newer_branch_is_a_note_and_not_in_the_group() -> None:
    made = make(desk())
    assert [item.code for item in made.findings] == ["NVIDIA_MODPROBE_NEWER"]
    assert "nvidia-modprobe" not in made.after.holds


def test_holds_of_the_owner_stay_the_owners() -> None:
    start = desk(holds=("libnccl2", "docker-ce"))
    made = make(start)
    assert "docker-ce" in made.after.holds
    back = make(after(start, made), state="absent")
    assert back.after.holds == ("docker-ce", "libnccl2")
    assert back.kinds() == ("unhold", "preferences", "forget")


def test_absent_on_a_desk_that_was_never_locked_does_nothing() -> None:
    assert make(desk(), state="absent").steps == ()


def test_a_hold_that_somebody_released_is_set_again() -> None:
    start = locked()
    start = replace(start, driver=replace(start.driver, holds=tuple(item for item in GROUP if item != "libnccl2")))
    made = make(start)
    assert next(step for step in made.steps if step.kind == "hold").packages == ("libnccl2",)


def test_a_lock_that_only_root_may_read_is_opened_again() -> None:
    """Put back from a backup under a strict umask: apt of everybody but root passes over it."""
    start = locked()
    start = replace(start, setup=replace(start.setup, wrong_modes=(apt_preferences.PATH,)))
    made = make(start)
    assert "preferences" in made.kinds() and next(step.text for step in made.steps if step.kind == "preferences")
    assert make(replace(after(start, made), setup=replace(after(start, made).setup, wrong_modes=()))).steps == ()


def test_a_new_kernel_joins_the_group() -> None:
    start = locked()
    more = {**INSTALLED, "linux-modules-nvidia-580-open-6.17.0-1029-nvidia": "6.17.0-1029.29"}
    start = replace(start, driver=replace(start.driver, packages=desk(more).driver.packages))
    assert next(step for step in make(start).steps if step.kind == "hold").packages == ("linux-modules-nvidia-580-open-6.17.0-1029-nvidia",)


@pytest.mark.parametrize(("level", "severity"), [("branch", "warn"), ("exact", "fail")])
def test_a_version_changed_by_hand_is_named(level: str, severity: str) -> None:
    start = locked(level=level)
    changed = desk({**INSTALLED, "libnccl2": "2.31.2-1+cuda13.0"}).driver.packages
    start = replace(start, driver=replace(start.driver, packages=changed))
    made = make(start, level=level)
    found = next(item for item in made.findings if item.code == "DRIVER_HELD_UPGRADED")
    assert found.severity == severity and "2.31.2-1+cuda13.0" in found.message
    assert made.steps == ()
    accepted = make(start, level=level, accept=True)
    assert codes(accepted) == set() and accepted.record is not None
    assert accepted.record.packages["libnccl2"] == "2.31.2-1+cuda13.0"


def test_what_moved_while_paused_is_locked_without_a_complaint() -> None:
    start = locked(state="paused")
    start = replace(start, driver=replace(start.driver, packages=desk({**INSTALLED, "libnccl2": "2.31.2-1+cuda13.0"}).driver.packages))
    assert make(start, state="paused").steps == ()
    made = make(start)
    assert codes(made) == set() and made.record is not None and made.record.packages["libnccl2"] == "2.31.2-1+cuda13.0"


def test_a_run_that_was_cut_off_is_taken_up() -> None:
    start = desk()
    made = make(start)
    assert made.record is not None
    cut = replace(made.record, phase=lock_record.CHANGING)
    again = make(replace(start, setup=Setup(driver_lock=cut.to_json())))
    assert again.kinds() == ("record", "keep_debs", "preferences", "hold", "verify", "settle")
    assert again.record is not None and again.record.before == made.record.before


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"apt": Apt(first_boot_upgrade="pending")}, "FIRST_BOOT_UPGRADE_PENDING"),
        ({"unread": {"driver.packages": "dpkg-query: timeout"}}, "DRIVER_LOCK_UNREADABLE"),
        ({"driver": Driver()}, "DRIVER_LOCK_UNREADABLE"),
    ],
)
def test_nothing_is_changed_where_it_may_not(part: dict[str, object], code: str) -> None:
    made = make(desk(**part))  # type: ignore[arg-type]
    assert made.blocked and made.steps == () and code in codes(made)


def test_a_locked_desk_says_nothing_about_the_first_boot() -> None:
    start = locked()
    start = replace(start, apt=replace(start.apt, first_boot_upgrade="pending"))
    assert not make(start).blocked


def test_a_half_configured_package_is_mended_unless_that_is_forbidden() -> None:
    start = desk(apt=Apt(first_boot_upgrade="done", broken_packages=(Package("nvidia-utils-580", "1", state="half-configured"),)))
    assert "repair" in make(start).kinds()
    never = make(start, repair="never")
    assert never.blocked and "DPKG_BROKEN" in codes(never)


def test_packages_are_left_alone_while_somebody_computes() -> None:
    apt = Apt(first_boot_upgrade="done", broken_packages=(Package("nvidia-utils-580", "1", state="half-configured"),))
    busy = make(desk(apt=apt, busy=somebody()))
    assert busy.blocked and "PAIR_BUSY" in codes(busy)
    assert not make(desk(apt=apt, busy=somebody()), force=True).blocked
    # What is half installed is finished also where nobody could be asked; new packages wait for an answer.
    assert not make(desk(apt=apt, busy=Busy())).blocked
    unasked = make(desk({name: version for name, version in INSTALLED.items() if "580" not in name}, busy=Busy()))
    assert unasked.blocked and "BUSY_UNKNOWN" in codes(unasked)
    # Pins and holds disturb nobody.
    assert not make(desk(busy=somebody())).blocked


def test_a_kernel_without_module_gets_its_package() -> None:
    new = "6.17.0-1029-nvidia"
    kernel = Kernel(running=KERNEL, next_boot=new, installed=(KernelImage(new, False), KernelImage(KERNEL, True)))
    made = make(desk(kernel=kernel))
    assert next(step for step in made.steps if step.kind == "repair").packages == (f"linux-modules-nvidia-580-open-{new}",)
    unknown = Kernel(running=KERNEL, next_boot=new, installed=(KernelImage(new, None),))
    assert "repair" not in make(desk(kernel=unknown)).kinds()


@pytest.mark.parametrize(("phase", "mended"), [(None, True), ("settled", True), ("changing", False), ("rolling_back", False)])
def test_the_running_kernel_needs_no_module_while_an_update_waits_for_its_reboot(phase: str | None, mended: bool) -> None:
    new = "6.17.0-1029-nvidia"
    kernel = Kernel(running=KERNEL, next_boot=new, installed=(KernelImage(new, True), KernelImage(KERNEL, False)))
    gone = f"linux-modules-nvidia-580-open-{KERNEL}"
    versions = {name: version for name, version in INSTALLED.items() if name != gone}
    made = make(desk(versions, kernel=kernel, setup=Setup(update_journal=Journal(phase) if phase else None)), state="paused")
    assert [step.packages for step in made.steps if step.kind == "repair"] == ([(gone,)] if mended else [])


def test_a_missing_user_space_is_installed() -> None:
    versions = {name: version for name, version in INSTALLED.items() if "driver-580" not in name and "compute-580" not in name}
    made = make(desk(versions))
    assert next(step for step in made.steps if step.kind == "repair").packages == ("nvidia-driver-580-open",)


def test_platform_packages_are_marked_and_given_back() -> None:
    start = desk(apt=Apt(first_boot_upgrade="done", autoremove_platform=("dgx-release", "nv-limits")))
    made = make(start)
    assert next(step for step in made.steps if step.kind == "protect").packages == ("dgx-release", "nv-limits")
    back = make(after(start, made), state="absent")
    assert next(step for step in back.steps if step.kind == "unprotect").packages == ("dgx-release", "nv-limits")
    assert "PLATFORM_PACKAGES_AUTO" in codes(make(start, protect_platform=False))


def test_wanted_versions_move_together_and_never_down_by_themselves() -> None:
    start = locked()
    up = {"libnccl2": "2.31.2-1+cuda13.0"}
    made = make(start, versions=up, level="exact")
    assert made.kinds() == ("record", "open", "preferences", "move", "hold", "verify", "settle")
    assert next(step for step in made.steps if step.kind == "move").packages == ("libnccl2=2.31.2-1+cuda13.0",)
    down = make(start, versions={"libnccl2": "2.20-1"}, level="exact")
    assert down.blocked and "DRIVER_LOCK_UNSATISFIABLE" in codes(down)
    [told] = [item.remedy for item in down.findings if item.code == "DRIVER_LOCK_UNSATISFIABLE"]
    assert "-e driver_lock_allow_downgrade=true" in told and "driver_lock_state=paused" not in told
    assert "apt-cache madison libnccl2" in told  # archives drop old versions: the wish alone would end in the next refusal
    assert not make(start, versions={"libnccl2": "2.20-1"}, level="exact", allow_downgrade=True).blocked


def test_a_hold_of_somebody_else_stops_a_move() -> None:
    start = locked(desk(holds=("libnccl2",)))
    made = make(start, versions={"libnccl2": "2.31.2-1+cuda13.0"}, level="exact")
    assert made.blocked and "unhold libnccl2" in made.findings[-1].remedy


def test_a_way_back_that_was_not_kept_is_told_in_every_run_and_stops_a_roll_back() -> None:
    start = locked()
    record = lock_record.parse(start.setup.driver_lock or "")
    missing = replace(record, debs=lock_record.Debs((), ("libnccl2=2.30.7-1+cuda13.0",)))
    start = replace(start, setup=replace(start.setup, driver_lock=missing.to_json()))
    assert make(start).steps == () and codes(make(start)) == {"DRIVER_ROLLBACK_IMPOSSIBLE"}
    moved = replace(start, driver=replace(start.driver, packages=desk({**INSTALLED, "libnccl2": "2.31.2-1"}).driver.packages))
    refused = make(moved, state="absent", roll_back=True)
    assert refused.blocked and refused.findings[-1].severity == "fail"
    assert "keep_debs" in make(start, retry_debs=True).kinds()


def test_a_record_gives_apt_no_option() -> None:
    """apt runs what a file of settings names (Dir::Bin::dpkg), and a simulated desk takes the record of a recording that somebody sent."""
    start = locked()
    record = json.loads(start.setup.driver_lock or "")
    for words in (record["held"], record["protected"], record["debs"]["kept"], record["before"]["holds"]):
        words += ["-c=/boot/x", "libnccl2 hold\nbash"]
    record |= {"phase": "changing", "debs": {"kept": [], "missing": [], "wanted": True}}
    record["before"]["versions"] |= {"-c": "/boot/x", "bash": "-c", "a b": "1"}
    cut_off = replace(start, setup=replace(start.setup, driver_lock=json.dumps(record)))
    for made in (make(cut_off), make(cut_off, state="absent"), make(cut_off, state="absent", roll_back=True)):
        words = [word for step in made.steps for word in step.packages]
        assert not [word for word in words if word.startswith("-") or "bash" in word or " " in word]
    assert "keep_debs" in make(cut_off).kinds()


def test_a_lost_record_is_told() -> None:
    start = locked()
    lost = replace(start, setup=replace(start.setup, driver_lock=None))
    assert "DRIVER_LOCK_RECORD_MISSING" in codes(make(lost))
    assert "DRIVER_LOCK_RECORD_MISSING" in codes(make(lost, state="absent"))
    assert "DRIVER_LOCK_RECORD_MISSING" in codes(make(replace(start, setup=replace(start.setup, driver_lock="{half"))))


def test_an_unknown_pin_file_makes_apt_be_asked_again() -> None:
    start = locked()
    new = replace(start, driver=replace(start.driver, pins=(*start.driver.pins, "10-mine")))
    assert make(new).kinds() == ("record", "verify", "settle")


def test_the_difference_names_pins_holds_and_versions() -> None:
    text = make(desk()).diff
    assert "+  libnccl2" in text and "+  Pin-Priority: -1" in text
    assert make(locked()).diff == ""


def test_steps_are_done_in_the_order_of_their_kinds() -> None:
    order = (lock_model.RECORD, lock_model.OPEN, lock_model.KEEP_DEBS, lock_model.PREFERENCES, lock_model.REPAIR, lock_model.MOVE)
    order += (lock_model.HOLD, lock_model.UNHOLD, lock_model.PROTECT, lock_model.VERIFY, lock_model.SETTLE)
    apt = Apt(first_boot_upgrade="done", autoremove_platform=("dgx-release",), broken_packages=(Package("x", "1", state="unpacked"),))
    kinds = make(replace(locked(), apt=apt), versions={"libnccl2": "2.31.2-1+cuda13.0"}, level="exact").kinds()
    assert [order.index(item) for item in kinds] == sorted(order.index(item) for item in kinds)


def test_a_newer_major_version_is_left_alone_and_given_back() -> None:
    next_major = DgxOs(present=True, version="8.0.1")
    for options in ({}, {"level": "exact"}, {"state": "paused"}, {"repair": "if_needed"}):
        made = make(desk(dgx_os=next_major), **options)
        assert made.blocked and made.steps == () and "DGX_OS_RULES_UNKNOWN" in codes(made)
    # What the lock set before the desk was updated can be taken back.
    assert not make(replace(locked(), dgx_os=next_major), state="absent").blocked
    assert not make(desk(dgx_os=DgxOs(present=True, version="7.9.1"))).blocked


def test_an_older_firmware_may_go_for_the_wanted_one_only() -> None:
    old, new = "nvidia-firmware-580-580.159.03", "nvidia-firmware-580-580.178.04"
    start = locked(desk({**INSTALLED, old: "580.159.03-0ubuntu0.24.04.1"}))
    up = {"libnccl2": "2.31.2-1+cuda13.0"}
    assert next(step for step in make(start, versions=up, level="exact").steps if step.kind == "move").leaving == ()
    wanted = {**up, new: "580.178.04-0ubuntu0.24.04.1"}
    assert next(step for step in make(start, versions=wanted, level="exact").steps if step.kind == "move").leaving == (old,)
    kept = {**wanted, old: "580.159.03-0ubuntu0.24.04.1"}
    assert next(step for step in make(start, versions=kept, level="exact").steps if step.kind == "move").leaving == ()
