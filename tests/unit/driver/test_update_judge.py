"""What an update would bring, why it may not be, where one that was cut off stands, and whether it was good: as tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update_journal import begun, parse, to_json
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update_look import Looker, changes_of, new_kernels
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer, WritableDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.update import (
    Outlook,
    Wishes,
    came_back,
    half_done,
    judge_look,
    judge_together,
    kernel_after,
    moved,
    slower,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Apt, DgxOs, Identity, Setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import Kernel, KernelImage
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.update import Change, Firmware, Journal, Look
from samples import GROUP, KERNEL, desk, somebody

HERE = Where(desk="desk-01")
NEXT = "6.17.0-1029-nvidia"
GIB = 1024**3
DRIVER = Change("nvidia-driver-580-open", "580.159.03-0ubuntu0.24.04.1", "580.190.02-0ubuntu0.24.04.1")
IMAGE = Change(f"linux-image-{NEXT}", None, "6.17.0-1029.29")
GENERIC = Change("linux-image-7.0.0-31-generic", None, "7.0.0-31.31")
MODULE = Change(f"linux-modules-nvidia-580-open-{NEXT}", None, "6.17.0-1029.29")
ROOM = {"/": 50 * GIB, "/boot": 50 * GIB, "/var": 50 * GIB}


def look(*changes: Change, **more: Any) -> Look:
    return Look(**{"changes": changes, "free": ROOM, "firmware": (), "on_battery": False, **more})


def outlook(found: Look, wishes: Wishes | None = None, foreign: tuple[str, ...] = (), **parts: Any) -> Outlook:
    start = desk(**{"dgx_os": DgxOs(True, "7.6.0"), **parts})
    return judge_look(start, found, HERE, wishes or Wishes(), GROUP, foreign)


def told(found: Outlook) -> list[tuple[str, str]]:
    return [(item.code, item.severity) for item in found.findings if item.code != "UPDATE_AVAILABLE"]


GOOD = look(DRIVER, IMAGE, MODULE)


def test_a_good_update_is_told_and_nothing_speaks_against_it() -> None:
    found = outlook(GOOD)
    assert told(found) == [] and found.todo and not found.refused
    available = found.findings[-1]
    assert available.code == "UPDATE_AVAILABLE" and f"kernel {KERNEL} -> {NEXT}" in available.message
    assert found.versions["nvidia-driver-580-open"] == "580.190.02-0ubuntu0.24.04.1"
    assert not any(NEXT in name or KERNEL in name for name in found.versions), "packages of one kernel differ with what is kept"


def test_where_nothing_changes_there_is_nothing_to_do() -> None:
    found = outlook(look(), busy=somebody(), apt=Apt(first_boot_upgrade="done", lock_holder="42 apt-get"))
    assert told(found) == [] and not found.todo and found.findings == ()


FORM = Firmware("Embedded Controller", "0x03000508", "NVIDIA", "0x03000600")


@pytest.mark.parametrize(
    ("found", "wishes", "parts", "expected"),
    [
        # What apt's own simulation says.
        (look(refusal="E: held broken packages"), {}, {}, ("UPDATE_UNSATISFIABLE", "fail")),
        (look(DRIVER, Change("dgx-dashboard", "0.29.1", None)), {}, {}, ("UPDATE_UNSATISFIABLE", "fail")),
        (look(replace(DRIVER, down=True)), {}, {}, ("UPDATE_UNSATISFIABLE", "fail")),
        (look(IMAGE), {}, {}, ("UPDATE_KERNEL_WITHOUT_MODULE", "fail")),
        (look(IMAGE, offered_modules=(MODULE.name,)), {}, {}, ("UPDATE_KERNEL_WITHOUT_MODULE", "fail")),
        # The module of the kernel that goes on starting is taken away.
        (look(DRIVER, Change(f"linux-modules-nvidia-580-open-{KERNEL}", "1", None)), {}, {}, ("UPDATE_KERNEL_WITHOUT_MODULE", "fail")),
        # Versions with a known fault.
        (look(replace(DRIVER, old="580.142-1", new="580.173.02-1")), {}, {}, ("UPDATE_KNOWN_BAD", "note")),
        (
            look(Change("linux-image-7.0.0-1019-nvidia", None, "7"), Change("linux-modules-nvidia-580-open-7.0.0-1019-nvidia", None, "7")),
            {},
            {},
            ("UPDATE_KNOWN_BAD", "fail"),
        ),
        (
            look(Change("linux-image-7.0.0-1019-nvidia", None, "7"), Change("linux-modules-nvidia-580-open-7.0.0-1019-nvidia", None, "7")),
            {"accept_known_bad": True},
            {},
            ("UPDATE_KNOWN_BAD", "warn"),
        ),
        # Room, firmware, users.
        (look(DRIVER, free={**ROOM, "/var": GIB // 2}), {}, {}, ("DISK_FULL", "fail")),
        (look(DRIVER, lost=("nvidia-driver-580-open=580.159.03-1",)), {}, {}, ("UPDATE_NO_WAY_BACK", "warn")),
        (look(DRIVER, lost=("dgx-oobe=0.25.1",)), {}, {}, ("UPDATE_NO_WAY_BACK", "note")),
        (look(firmware=(FORM,)), {}, {}, ("UPDATE_FIRMWARE", "note")),
        (look(firmware=None, firmware_unread="timeout"), {"firmware": True}, {}, ("UPDATE_FIRMWARE", "fail")),
        (look(DRIVER), {}, {"busy": somebody()}, ("PAIR_BUSY", "unknown")),
        (
            look(ota_title="July 2026"),
            {},
            {"identity": Identity(board_vendor="ASUSTeK COMPUTER INC.")},
            ("UPDATE_WAITS_FOR_VENDOR", "note"),
        ),
        (look(DRIVER), {}, {"dgx_os": DgxOs(True, "8.0.0")}, ("DGX_OS_RULES_UNKNOWN", "unknown")),
    ],
)
def test_what_is_told(found: Look, wishes: dict[str, bool], parts: dict[str, Any], expected: tuple[str, str]) -> None:
    result = outlook(found, Wishes(**wishes), **parts)
    assert told(result) == [expected]
    assert result.refused is (expected[1] in ("fail", "unknown"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer((), error="timeout"), "did not respond within 60 s"),
        (Answer((), 1, "", "Failed to connect to daemon: Timeout was reached\n"), "Timeout was reached"),
        (Answer((), error="missing"), "fwupdmgr is not installed"),
    ],
)
def test_a_firmware_daemon_that_does_not_answer_is_told_as_that(answer: Answer, words: str) -> None:
    class Silent:
        def run(self, _argv: Any, **_more: Any) -> Answer:
            return answer

    looker = Looker(cast(WritableDesk, Silent()), HERE, 580, "")
    devices, why = looker._firmware()
    assert devices is None and told(outlook(look(DRIVER, IMAGE, MODULE, firmware=None, firmware_unread=why))) == []
    [item] = outlook(look(DRIVER, IMAGE, MODULE, firmware=None, firmware_unread=why), Wishes(firmware=True)).findings[:1]
    assert item.code == "UPDATE_FIRMWARE" and words in item.message
    assert "systemctl restart fwupd" in item.remedy and "mains" not in item.remedy


def test_firmware_is_flashed_only_on_mains_and_never_taken_back() -> None:
    wishes = Wishes(firmware=True)
    assert told(outlook(look(firmware=(FORM,)), wishes)) == [("UPDATE_NO_WAY_BACK", "note")]
    for bad in ({"on_battery": True}, {"on_battery": None}, {"firmware": (replace(FORM, problems=("require-ac-power",)),)}):
        found = outlook(look(**{"firmware": (FORM,), **bad}), wishes)
        assert ("UPDATE_FIRMWARE", "fail") in told(found) and found.refused
    assert "15 minutes" in outlook(look(firmware=(FORM,)), wishes).findings[-1].message


def test_a_fault_that_is_there_already_or_cured_is_no_reason() -> None:
    bad = look(Change("linux-image-7.0.0-1019-nvidia", None, "7"), Change("linux-modules-nvidia-580-open-7.0.0-1019-nvidia", None, "7"))
    cured = replace(bad, changes=(*bad.changes, Change("nvidia-spark-grub-kho", None, "1.0-1")))
    running = Kernel("7.0.0-1019-nvidia", "7.0.0-1019-nvidia", (KernelImage("7.0.0-1019-nvidia", True),))
    assert told(outlook(cured)) == [] and told(outlook(look(DRIVER), kernel=running)) == []


def test_the_way_back_from_an_update_that_goes_on_leads_to_its_beginning() -> None:
    found = look(DRIVER, lost=("nvidia-driver-580-open=580.159.03-1", "dgx-oobe=0.25.1"))
    begun_before = Journal("started", before={"nvidia-driver-580-open": "580.142-1"}, lost=("libnccl2=2.29",))
    told_now = outlook(found, setup=Setup(update_journal=begun_before)).findings
    assert [item.evidence["lost"] for item in told_now if item.code == "UPDATE_NO_WAY_BACK"] == [["libnccl2=2.29", "dgx-oobe=0.25.1"]]


@pytest.mark.parametrize(("failed", "cured"), [((), True), (("APT_ARCHIVE_UNREACHABLE",), False)])
def test_a_lock_file_that_the_archives_outran_is_told_as_that(failed: tuple[str, ...], cured: bool) -> None:
    words = "E: Version '580.142-1' for 'nvidia-driver-580-open' was not found"
    [item] = [item for item in outlook(look(refusal=words, archives_failed=failed)).findings if item.code == "UPDATE_UNSATISFIABLE"]
    assert ("apt-cache madison nvidia-driver-580-open" in item.remedy and "(desk_update_from)" in item.remedy) is cured


def test_a_hold_of_somebody_else_is_named() -> None:
    found = outlook(GOOD, foreign=("nvidia-driver-580-open", "docker-ce"))
    assert told(found) == [("UPDATE_UNSATISFIABLE", "fail")] and "nvidia-driver-580-open" in found.findings[0].message
    assert told(outlook(GOOD, foreign=("docker-ce",))) == []


@pytest.mark.parametrize(
    ("kernel", "changes", "expected"),
    [
        (Kernel(KERNEL, KERNEL, (KernelImage(KERNEL, True),)), (IMAGE,), NEXT),
        (Kernel(KERNEL, KERNEL, (KernelImage(KERNEL, True),)), (), KERNEL),
        # A setting may put other kernels before a higher version.
        (Kernel(KERNEL, KERNEL, (KernelImage(KERNEL, True),), boot_order="GRUB_FLAVOUR_ORDER=nvidia"), (IMAGE,), NEXT),
        (Kernel(KERNEL, KERNEL, (KernelImage(KERNEL, True),), boot_order="GRUB_FLAVOUR_ORDER=nvidia"), (GENERIC,), KERNEL),
        (Kernel(KERNEL, KERNEL, (KernelImage(KERNEL, True),), boot_order=f"GRUB_TOP_LEVEL=/boot/vmlinuz-{KERNEL}"), (IMAGE,), KERNEL),
        # An entry that somebody chose stays chosen.
        (Kernel(KERNEL, KERNEL, (KernelImage(KERNEL, True),), boot_entry=f"Advanced>Linux {KERNEL}"), (IMAGE,), KERNEL),
        (Kernel(NEXT, NEXT, (KernelImage(NEXT, True), KernelImage(KERNEL, True))), (Change(f"linux-image-{NEXT}", "1", None),), KERNEL),
        (Kernel(KERNEL, None, ()), (IMAGE,), None),
    ],
)
def test_which_kernel_starts_afterwards(kernel: Kernel, changes: tuple[Change, ...], expected: str | None) -> None:
    assert kernel_after(desk(kernel=kernel), look(*changes)) == expected


def test_desks_that_would_part() -> None:
    one, other = {"libnccl2": "2.30"}, {"libnccl2": "2.31"}
    stacks = {"pair_a": ("d-1", "d-2"), "pair_b": ("d-3", "d-4")}
    assert judge_together(stacks, {"d-1": one, "d-2": one, "d-3": one, "d-4": one}) == []
    inside = judge_together(stacks, {"d-1": one, "d-2": other, "d-3": one, "d-4": one})
    assert [(item.where.pair, item.severity) for item in inside] == [("pair_a", "fail")]
    between = judge_together(stacks, {"d-1": one, "d-2": one, "d-3": other, "d-4": other})
    assert [(item.severity, "libnccl2 2.30 or 2.31" in item.message) for item in between] == [("warn", True)]


def test_one_desk_that_would_part_is_told_and_not_the_first():
    one, other = {"nvidia-driver-580-open": "580.159.03-1"}, {"nvidia-driver-580-open": "580.1-1", "libnccl2": "2.1"}
    alone = {f"d-{number}": (f"d-{number}",) for number in range(1, 5)}
    found = judge_together(alone, {"d-1": one, "d-2": one, "d-3": one, "d-4": other})
    assert [(item.where.desk, item.severity) for item in found] == [("d-4", "warn")]


# ---- one that was cut off -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "severity", "word"),
    [
        ("begun", "warn", "not changed any package yet"),
        ("changing", "fail", "cut off"),
        ("installed", "fail", "waiting for the reboot"),
        ("started", "fail", "not proven"),
        ("rolling_back", "fail", "undone"),
        ("rolled_back", "fail", "not proven"),
        ("something_newer", "fail", "this version does not know"),
    ],
)
def test_an_audit_says_where_each_desk_stands(phase: str, severity: str, word: str) -> None:
    half = desk(setup=Setup(update_journal=Journal(phase, "run-1", "pair_a", kernel_after=NEXT)))
    found = half_done(half, HERE, JudgeOptions())
    assert [(item.code, item.severity) for item in found] == [("UPDATE_HALF_DONE", severity)] and word in found[0].message
    assert (NEXT in found[0].message) is (phase == "installed")
    assert "UPDATE_HALF_DONE" in {item.code for item in judge(half, HERE, JudgeOptions())}
    assert [item.severity for item in half_done(half, HERE, JudgeOptions(purpose="update"))] == ["note"]


def test_a_desk_without_an_open_update_says_nothing() -> None:
    for journal in (None, Journal("settled", "run-1")):
        assert half_done(desk(setup=Setup(update_journal=journal)), HERE, JudgeOptions()) == []


def test_a_journal_comes_back_as_it_was_written() -> None:
    journal = Journal("changing", "run-1", "pair_a", {"a": "1:1.0-1"}, {"b": "2"}, ("c",), ("a=1:1.0-1",), ("d=1",), KERNEL, NEXT, ("EC",))
    assert parse(to_json(journal)) == journal
    for text in (None, "", "[]", "{}", '{"schema": "other", "phase": "begun"}', '{"schema": "labops.dgx_spark/update/1"}'):
        assert parse(text) is None


def test_a_run_that_goes_on_keeps_what_was_there_at_the_very_beginning() -> None:
    first = begun(None, (DRIVER, IMAGE), 580, {}, KERNEL, "run-1", "pair_a")
    assert first.before == {DRIVER.name: DRIVER.old} and first.added == (IMAGE.name,)
    newer = Change(DRIVER.name, DRIVER.new, "580.200.01-1")
    again = begun(
        replace(first, phase="changing"), (newer, Change(IMAGE.name, IMAGE.new, "6.17.0-1029.30"), MODULE), 580, {}, NEXT, "run-2", "pair_a"
    )
    assert again.before == first.before and again.kernel_before == KERNEL and again.run_id == "run-2"
    assert again.added == (IMAGE.name, MODULE.name)
    fresh = begun(replace(first, phase="settled"), (newer,), 580, {}, NEXT, "run-3", "pair_a")
    assert fresh.before == {DRIVER.name: DRIVER.new} and fresh.kernel_before == NEXT


@pytest.mark.parametrize(
    ("after", "expected", "code"),
    [
        (Identity(boot_id="two", serial_sha256="a" * 64), KERNEL, None),
        (Identity(boot_id="two", serial_sha256="b" * 64), KERNEL, "DESK_IDENTITY_WRONG"),
        (Identity(boot_id="two", machine_id="b" * 64), KERNEL, "DESK_IDENTITY_WRONG"),
        (Identity(boot_id="two", host_key_fingerprints=("SHA256:y",)), KERNEL, "DESK_IDENTITY_WRONG"),
        (Identity(boot_id="one"), KERNEL, "REBOOT_FAILED"),
        (Identity(boot_id="two"), NEXT, "REBOOT_FAILED"),
    ],
)
def test_who_came_back(after: Identity, expected: str, code: str | None) -> None:
    before = Identity(boot_id="one", serial_sha256="a" * 64, machine_id="a" * 64, host_key_fingerprints=("SHA256:x",))
    found = came_back(desk(identity=before), desk(identity=after), HERE, expected)
    assert [item.code for item in found] == ([code] if code else [])


@pytest.mark.parametrize(("now", "code"), [(22.4, []), (21.4, []), (21.2, ["UPDATE_SLOWER"]), (30.0, [])])
def test_slower_than_right_before(now: float, code: list[str]) -> None:
    found = slower("pair_a", {"nccl.4": 22.4, "gone": 1.0}, {"nccl.4": now, "new": 0.1}, {"nccl.4": "NCCL at 4 GiB"})
    assert [item.code for item in found] == code
    assert not found or ("NCCL at 4 GiB 21.2" in found[0].message and "(-5 %)" in found[0].message)


def test_levels_that_moved() -> None:
    assert moved({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "4"}) == {"a": "1", "b": "2 -> 4", "c": "3"}


SIMULATION = """NOTE: This is only a simulation!
Remv linux-modules-nvidia-580-open-6.17.0-1018-nvidia [6.17.0-1018.18]
Inst nvidia-driver-580-open [580.167.08-0ubuntu0.24.04.1] (580.190.02-0ubuntu0.24.04.1 Ubuntu:24.04/noble-updates [arm64]) []
Inst linux-image-7.0.0-1024-nvidia (7.0.0-1024.24 Ubuntu:24.04/noble-updates [arm64])
Inst libc6 [2.39-0ubuntu8.5] (2.39-0ubuntu8.4 Ubuntu:24.04/noble-updates [arm64])
Conf nvidia-driver-580-open (580.190.02-0ubuntu0.24.04.1 Ubuntu:24.04/noble-updates [arm64])
"""


def test_apts_simulation_as_changes() -> None:
    found = changes_of(SIMULATION)
    assert [(item.name, item.old, item.new, item.down) for item in found] == [
        ("libc6", "2.39-0ubuntu8.5", "2.39-0ubuntu8.4", True),
        ("linux-image-7.0.0-1024-nvidia", None, "7.0.0-1024.24", False),
        ("linux-modules-nvidia-580-open-6.17.0-1018-nvidia", "6.17.0-1018.18", None, False),
        ("nvidia-driver-580-open", "580.167.08-0ubuntu0.24.04.1", "580.190.02-0ubuntu0.24.04.1", False),
    ]
    assert new_kernels(found) == ("7.0.0-1024-nvidia",)
