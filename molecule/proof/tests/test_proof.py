"""Each fault of a measurement raises its own code and no other; interrupted measurements leave nothing running."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from desks import MODULE, as_root, kill, lab, status
from measurements import HEAD, PEER, assert_nothing_left, begin, codes, measure, result_of, wait_until_running


@contextmanager
def fault(desk: str, name: str, *parameters: str) -> Iterator[None]:
    lab("fault", "set", desk, name, *parameters)
    try:
        yield
    finally:
        lab("fault", "clear", desk, name)


def octets(desk: str, netdev: str) -> int:
    """Bytes that the desk's kernel really sent on an interface; the simulator's figures are not in there."""
    return int(as_root(desk).file(f"/sys/class/net/{netdev}/statistics/tx_bytes").content_string)


FUNCTIONS = ("enp1s0f0np0", "enP2p1s0f0np0")


def test_a_healthy_pair_passes_and_frames_really_cross_both_functions() -> None:
    before = {(desk, netdev): octets(desk, netdev) for desk in (HEAD, PEER) for netdev in FUNCTIONS}
    assert codes(measure("rdma")) == {}
    assert all(octets(desk, netdev) - count > 1_000_000 for (desk, netdev), count in before.items())
    assert_nothing_left()


def test_nccl_of_a_healthy_pair_passes_over_both_functions() -> None:
    before = {(desk, netdev): octets(desk, netdev) for desk in (HEAD, PEER) for netdev in FUNCTIONS}
    result = measure("nccl")
    assert codes(result) == {}
    assert (result["transport"], result["changed"]) == ("IB", False)
    assert all(octets(desk, netdev) - count > 100_000 for (desk, netdev), count in before.items())
    assert_nothing_left()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("slow_13g", {"RDMA_SLOW_13G": "fail"}),
        ("bidir_degraded", {"RDMA_BIDIR_DEGRADED": "fail"}),
        ("rdma_one_half", {"RDMA_ONE_HALF": "fail"}),
        ("rdma_counters_still", {"RDMA_COUNTERS_STILL": "fail"}),
        ("memlock_low", {"RDMA_ENOMEM": "fail"}),
        ("tx_capped", {"RDMA_SLOW_13G": "fail"}),
    ],
)
def test_rdma_faults(name: str, expected: dict[str, str]) -> None:
    with fault(PEER, name):
        assert codes(measure("rdma")) == expected
    assert_nothing_left()


def test_a_cable_that_is_half_as_good_both_ways_warns_on_one_report() -> None:
    with fault(PEER, "bidir_degraded", "both_ways_gbps=119"):
        result = measure("rdma")
    assert codes(result) == {"RDMA_BIDIR_DEGRADED": "warn"}
    assert all(row["forward_gbps"] > 100 and row["back_gbps"] > 100 for row in result["functions"])


def test_another_mtu_at_the_far_end_is_named_before_the_figures() -> None:
    as_root(PEER).check_output("ip link set enP2p1s0f0np0 mtu 1500")
    try:
        result = measure("rdma")
    finally:
        as_root(PEER).check_output("ip link set enP2p1s0f0np0 mtu 9000")
    assert codes(result)["CX7_MTU_MISMATCH"] == "fail"
    assert "enP2p1s0f0np0" in next(item["message"] for item in result["findings"] if item["code"] == "CX7_MTU_MISMATCH")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nccl_socket", {"NCCL_SOCKET_FALLBACK": "fail"}),
        ("nccl_wrong", {"NCCL_WRONG_RESULT": "fail"}),
        ("nccl_two_worlds", {"NCCL_TWO_WORLDS": "fail"}),
        ("nccl_incomplete", {"NCCL_INCOMPLETE": "fail"}),
        ("nccl_rank_killed", {"NCCL_INCOMPLETE": "fail"}),
        ("nccl_oom", {"NCCL_ENOMEM": "fail"}),
        ("nccl_retry", {"NCCL_RETRY_EXCEEDED": "fail"}),
        ("nccl_slow", {"NCCL_SLOW": "fail"}),
        ("memlock_low", {"NCCL_ENOMEM": "fail"}),
    ],
)
def test_nccl_faults(name: str, expected: dict[str, str]) -> None:
    with fault(PEER, name):
        assert codes(measure("nccl")) == expected
    assert_nothing_left()


def test_the_13_gbit_state_explains_a_slow_nccl_only_when_it_was_measured() -> None:
    with fault(PEER, "slow_13g"):
        assert codes(measure("nccl", slow_13g=True)) == {"NCCL_SLOW_13G": "fail"}
        assert codes(measure("nccl", slow_13g=False)) == {"NCCL_SLOW": "fail"}


def test_a_firewall_is_named_with_its_rule() -> None:
    rule = "allow in on enp1s0f0np0 from 192.168.100.10"
    as_root(PEER).check_output(f"ufw --force delete {rule}")
    try:
        for what in ("rdma", "nccl"):
            result = measure(what)
            assert codes(result) == {"PAIR_FIREWALL_BLOCKS": "fail"}
            assert rule in result["findings"][0]["message"]
    finally:
        as_root(PEER).check_output(f"ufw {rule} comment dgx_spark_pair")


def test_a_missing_tool_and_a_refused_key() -> None:
    as_root(PEER).check_output("mv /usr/bin/ib_write_bw /usr/bin/ib_write_bw.away")
    try:
        assert codes(measure("rdma")) == {"RDMA_TOOL_MISSING": "unknown"}
    finally:
        as_root(PEER).check_output("mv /usr/bin/ib_write_bw.away /usr/bin/ib_write_bw")
    as_root(PEER).check_output("mv /home/labadmin/.ssh/authorized_keys /home/labadmin/.ssh/away")
    try:
        assert codes(measure("rdma")) == {"PAIR_TRUST_BROKEN": "fail"}
    finally:
        as_root(PEER).check_output("mv /home/labadmin/.ssh/away /home/labadmin/.ssh/authorized_keys")


def test_memory_is_refused_before_anything_starts() -> None:
    result = measure("nccl", max_bytes=64 << 30)
    assert codes(result) == {"NCCL_MEMORY_REFUSED": "unknown"}
    assert result["findings"][0]["evidence"]["largest_bytes"] < 64 << 30


def test_two_builds_of_nccl_are_told_apart() -> None:
    library = "/opt/dgx_spark/nccl/lib/libnccl.so.2"
    as_root(PEER).check_output(f"cp {library} {library}.away && printf x >> {library}")
    try:
        assert codes(measure("nccl")) == {"NCCL_VERSION_DRIFT": "fail"}
    finally:
        as_root(PEER).check_output(f"mv {library}.away {library}")


def test_a_hung_rank_is_ended_at_the_limit() -> None:
    with fault(PEER, "nccl_hang"):
        begun = time.monotonic()
        assert codes(measure("nccl", time_limit=20)) == {"NCCL_TIMEOUT": "fail"}
        assert time.monotonic() - begun < 120
        assert_nothing_left()


def test_nothing_is_left_when_the_head_is_killed() -> None:
    with fault(PEER, "nccl_hang"):
        run = begin("nccl", time_limit=300)
        wait_until_running(PEER, "all_gather_perf")
        modules = as_root(HEAD).check_output("pgrep -f %s", MODULE).split()
        assert len(modules) == 1
        as_root(HEAD).check_output(f"kill -9 {modules[0]}")
        assert_nothing_left(60)
        run.wait(120)


def test_nothing_is_left_when_the_controller_is_killed() -> None:
    with fault(PEER, "nccl_hang"):
        run = begin("nccl", time_limit=30)
        wait_until_running(PEER, "all_gather_perf")
        kill(run)
        assert_nothing_left(120)


def test_a_cable_pulled_in_the_middle_leaves_nothing_and_says_so() -> None:
    cable = next(item["cable"] for item in status()["cables"] if any(HEAD in str(end) for end in item["ends"]))
    try:
        with fault(PEER, "nccl_hang"):
            run = begin("nccl", time_limit=60)
            wait_until_running(PEER, "all_gather_perf")
            lab("cable", "pull", cable)
            text = run.communicate(timeout=300)[0]
            assert set(codes(result_of(text)).values()) <= {"unknown", "fail"} and codes(result_of(text))
            assert_nothing_left(90)
    finally:
        lab("reset")
