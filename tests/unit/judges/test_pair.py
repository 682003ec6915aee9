"""Two desks of a pair compared."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.busy import busy_findings
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.pair import judge_pair
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import GpuProcess, KernelImage
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from judge_samples import change, healthy, with_function, with_linked

HEAD, PEER = healthy(1), healthy(2)
ASUS = change(PEER, identity__board_vendor="ASUSTeK COMPUTER INC.", identity__vendor="ASUSTeK COMPUTER INC.")


def found(peer: Desk, purpose: str = "audit", head: Desk = HEAD) -> list[tuple[str, str]]:
    return [(item.code, item.severity) for item in judge_pair("pair_a", head, peer, JudgeOptions(purpose=purpose), ("desk-01", "desk-02"))]


@pytest.mark.parametrize("purpose", ["audit", "stack", "stacked"])
def test_green_equal_desks(purpose: str) -> None:
    assert found(PEER, purpose) == []


def test_green_both_ends_at_a_hundred() -> None:
    assert found(with_linked(PEER, speed_mbps=100_000), head=with_linked(HEAD, speed_mbps=100_000)) == []


def test_green_mixed_vendors_with_equal_levels() -> None:
    assert found(ASUS, "stacked") == []


RED = (
    (change(PEER, driver__module_version="580.159.03"), "audit", ("PAIR_DRIFT", "fail")),
    (change(PEER, driver__user_space_version="580.159.03"), "audit", ("PAIR_DRIFT", "fail")),
    (change(PEER, toolkit__nccl="2.31.2-1"), "audit", ("PAIR_DRIFT", "fail")),
    (change(PEER, kernel__running="6.17.0-1029-nvidia"), "audit", ("PAIR_DRIFT", "warn")),
    (change(PEER, dgx_os__version="7.6.0"), "stacked", ("PAIR_DRIFT", "warn")),
    (change(PEER, identity__bios_version="5.36_0ACUM018"), "audit", ("PAIR_DRIFT", "warn")),
    (change(ASUS, identity__bios_version="GX10DGX.0105"), "audit", ("PAIR_DRIFT", "note")),
    (change(PEER, cx7__firmware="28.40.1000"), "audit", ("CX7_FIRMWARE_DRIFT", "warn")),
    (change(ASUS, cx7__firmware="28.40.1000"), "audit", ("CX7_FIRMWARE_DRIFT", "note")),
    (change(PEER, limits__user="other"), "audit", ("PAIR_USER_MISMATCH", "fail")),
    (change(PEER, limits__uid=1001), "audit", ("PAIR_USER_MISMATCH", "warn")),
    (with_linked(PEER, mtu=1500), "audit", ("CX7_MTU_MISMATCH", "warn")),
    (with_linked(PEER, mtu=1500), "stack", ("CX7_MTU_MISMATCH", "note")),
    (with_linked(PEER, mtu=1500), "stacked", ("CX7_MTU_MISMATCH", "fail")),
    (with_linked(PEER, speed_mbps=100_000), "stacked", ("CX7_SPEED_LOW", "fail")),
)


@pytest.mark.parametrize(("peer", "purpose", "expected"), RED)
def test_red(peer: Desk, purpose: str, expected: tuple[str, str]) -> None:
    assert found(peer, purpose) == [expected]


@pytest.mark.parametrize("lost", ["head", "peer"])
def test_a_desk_without_a_driver_is_no_model_for_the_other(lost: str) -> None:
    """The desk that an update left without a driver has the newer kernel: nobody is to bring the other one up to it."""
    newer = {"driver__loaded": False, "driver__module_version": None, "kernel__running": "7.9.0-1029-nvidia", "dgx_os__version": "7.9.0"}
    one, other = (change(HEAD, **newer), PEER) if lost == "head" else (HEAD, change(PEER, **newer))
    assert found(other, "stacked", one) == []
    assert found(change(other, driver__loaded=True), "stacked", change(one, driver__loaded=True)) == [("PAIR_DRIFT", "warn")]


@pytest.mark.parametrize(
    ("older", "newer", "bad"),
    [("580.142", "580.159.03", True), ("580.159.03", "580.178.04", False), ("580.142", "580.178.04", False)],
)
def test_nobody_is_brought_up_to_a_version_of_which_faults_are_reported(older: str, newer: str, bad: bool) -> None:
    one = change(HEAD, driver__module_version=older, driver__user_space_version=older)
    other = change(PEER, driver__module_version=newer, driver__user_space_version=newer)
    for head, peer, behind in ((one, other, "desk-01"), (other, one, "desk-02")):
        [drift] = judge_pair("pair_a", head, peer, JudgeOptions(), ("desk-01", "desk-02"))
        assert f"{behind} is behind" in drift.message and ("VERSION_KNOWN_BAD" in drift.message) is bad
        assert ("lock_from" in drift.remedy) is not bad and "driver_lock_state=paused" in drift.remedy


def test_green_what_one_desk_does_not_tell_is_no_difference() -> None:
    quiet = change(PEER, driver__module_version=None, toolkit__nccl=None, limits__user=None, cx7__firmware=None)
    quiet = with_linked(quiet, mtu=None, firmware=None)
    for netdev in ("enp1s0f0np0", "enP2p1s0f0np0"):
        quiet = with_function(quiet, netdev, firmware=None)
    assert found(quiet) == []


def test_the_message_names_desks_values_and_who_is_behind() -> None:
    message = judge_pair("pair_a", HEAD, change(PEER, driver__module_version="580.95.05"), JudgeOptions(), ("desk-01", "desk-02"))[
        0
    ].message
    assert "580.142 on desk-01" in message
    assert "580.95.05 on desk-02" in message
    assert "desk-02 is behind" in message


BUSY = change(HEAD, busy__gpu_processes=(GpuProcess(7, "python3", "C", 900, "ana"),))


def test_busy_red_names_process_and_user() -> None:
    (item,) = busy_findings(BUSY, Where(pair="pair_a", desk="desk-01"))
    assert (item.code, item.severity) == ("PAIR_BUSY", "unknown")
    assert "python3 (process 7, user ana)" in item.message


def test_busy_red_rdma_user_and_unreadable() -> None:
    rdma = change(HEAD, busy__rdma_users=(GpuProcess(8, "ib_write_bw", user="bo"),))
    assert [item.code for item in busy_findings(rdma, Where())] == ["PAIR_BUSY"]
    (unasked,) = busy_findings(change(HEAD, busy__readable=None), Where())
    assert (unasked.code, unasked.severity) == ("BUSY_UNKNOWN", "unknown")
    (late,) = busy_findings(change(HEAD, busy__readable=None, unread={"busy.gpu_processes": "nvidia-smi -q: timeout"}), Where())
    assert "did not respond in time (nvidia-smi -q: timeout)" in late.message and late.evidence["timed_out"]
    assert [item.severity for item in busy_findings(BUSY, Where(), severity="warn")] == ["warn"]


def test_the_way_out_of_a_drift_is_one_that_works_on_a_locked_pair() -> None:
    (found,) = judge_pair("pair_a", HEAD, change(PEER, driver__module_version="580.95.05"), JudgeOptions(), ("desk-01", "desk-02"))
    for words in ("lock_from.yml -e desk=", "driver_lock_from=", "driver_lock_state=paused"):
        assert words in found.remedy


def test_a_release_of_dgx_os_is_brought_by_an_update_and_by_no_lock_file() -> None:
    """A desk that came as a replacement has an older release: the lock holds driver and kernel, not DGX OS."""
    newer = {"driver__module_version": "580.178.04", "driver__user_space_version": "580.178.04", "kernel__running": "7.0.0-1021-nvidia"}
    head = change(HEAD, dgx_os__version="7.6.0", **newer)
    told = judge_pair("pair_a", head, PEER, JudgeOptions(), ("desk-01", "desk-02"))
    assert [(item.code, item.severity) for item in told] == [("PAIR_DRIFT", "fail"), ("PAIR_DRIFT", "warn")]
    assert len({item.remedy for item in told}) == 1 and "playbooks/update.yml --limit PAIR" in told[0].remedy
    assert "driver_lock_from=" not in told[0].remedy
    same = judge_pair("pair_a", head, change(PEER, dgx_os__version="7.6.0"), JudgeOptions(), ("desk-01", "desk-02"))
    assert all("lock_from.yml" in item.remedy for item in same) and len(same) == 2


def test_busy_green() -> None:
    desktop = change(HEAD, busy__gpu_processes=(GpuProcess(3, "/usr/lib/xorg/Xorg", "G", 126, "root"),))
    assert busy_findings(desktop, Where()) == []
    assert busy_findings(HEAD, Where()) == []
    assert busy_findings(change(HEAD, busy__readable=None), Where(), require=False) == []


def test_green_a_version_that_one_desk_tells_without_its_last_part() -> None:
    driver = {"user_space_version": "580.178.04", "module_version": "580.178.04"}
    whole, short = (change(desk, **{f"driver__{key}": value for key, value in driver.items()}) for desk in (HEAD, PEER))
    assert found(change(short, driver__user_space_version="580.178"), head=whole) == []


@pytest.mark.parametrize(
    ("peer", "behind"),
    [
        (change(PEER, kernel__running="6.17.0-1029-nvidia"), True),
        (change(PEER, kernel__running=f"{HEAD.kernel.running}-64k"), False),
        (change(PEER, identity__bios_version="5.36_0ACUM018"), True),
        (change(ASUS, identity__bios_version="GX10DGX.0105.2026.0505.1153"), False),
        (change(ASUS, cx7__firmware="28.40.1000"), False),
    ],
)
def test_nobody_is_behind_in_another_series(peer: Desk, behind: bool) -> None:
    (item,) = judge_pair("pair_a", HEAD, peer, JudgeOptions(), ("desk-01", "desk-02"))
    assert ("is behind" in item.message) is behind


UPDATED = "7.0.0-1021-nvidia"


@pytest.mark.parametrize(
    ("behind", "reboot"),
    [
        ({"kernel__next_boot": UPDATED}, True),
        ({"kernel__next_boot": "6.17.0-1032-nvidia"}, False),
        ({"kernel__next_boot": None}, False),
        ({"kernel__next_boot": UPDATED, "kernel__installed": (KernelImage(UPDATED, has_driver=False),)}, False),
        ({"kernel__next_boot": UPDATED, "dgx_os__version": "7.1.0"}, False),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_desk_that_only_waits_for_its_reboot_is_sent_to_no_archive(behind: dict[str, object], reboot: bool, turned: bool) -> None:
    ahead = change(HEAD, kernel__running=UPDATED, kernel__next_boot=UPDATED)
    late = change(PEER, kernel__running="6.17.0-1032-nvidia", **behind)
    desks, names = ((late, ahead), ("desk-02", "desk-01")) if turned else ((ahead, late), ("desk-01", "desk-02"))
    [drift] = judge_pair("pair_a", *desks, JudgeOptions(), names)
    assert "desk-02 is behind" in drift.message
    assert ("reboot desk-02 " in drift.remedy) is reboot and ("lock_from" in drift.remedy) is not reboot
