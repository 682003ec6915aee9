"""Three desks in a ring: from bare to PASS, a second run without a change, wrong cables by name, and everything taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cables import AFTER_BOOT, Run, cable_map, executions, ipv6, moment, recable
from desks import as_login_user, as_root, desk_names, lab

DESKS = ("desk-01", "desk-02", "desk-03")
NETPLAN = "/etc/netplan/90-dgx-spark-link.yaml"
HOME = {"cable_1": ("desk-01/0", "desk-02/1"), "cable_2": ("desk-02/0", "desk-03/1"), "cable_3": ("desk-03/0", "desk-01/1")}


@pytest.fixture(autouse=True)
def as_described() -> Iterator[None]:
    yield
    recable(**HOME)


def files_of(desk: str) -> str:
    """Checksums of everything that the product may leave on a desk."""
    return as_root(desk).check_output(
        "find /etc/netplan /etc/NetworkManager/system-connections /etc/dgx_spark /etc/hosts /etc/sysctl.d /home/labadmin/.ssh "
        "/usr/local/bin -type f -exec sha256sum {} + 2>/dev/null | sort -k2; true"
    )


def test_from_bare_to_pass_and_back_byte_for_byte() -> None:
    assert desk_names() == list(DESKS)
    before = {desk: files_of(desk) for desk in DESKS}
    first = Run("stack_pair.yml", seconds=1500)
    assert first.rc == 0, first.output
    ring = first.pairs["ring_a"]
    assert (ring["verdict"], ring["topology"], [item["ports"] for item in ring["members"]]) == ("PASS", "ring", [[0, 1]] * 3)
    assert ring["rdma"]["measured"] and ring["nccl"]["measured"]
    assert len(ring["rdma"]["paths"]) == len(ring["rdma"]["at_once"]) == 3
    hcas = {"rocep1s0f0", "rocep1s0f1", "roceP2p1s0f0", "roceP2p1s0f1"}
    assert all(set(used) == hcas for used in ring["nccl"]["hcas"].values()) and len(ring["nccl"]["hcas"]) == 3
    assert ring["nccl"]["transport"] == "IB" and {row["state"] for row in ring["nccl"]["counters"]} == {"fits"}
    assert "pair ring_a" not in first.output

    seen = {}
    for desk in DESKS:
        rows = json.loads(as_root(desk).check_output("ip -j -4 addr show"))
        seen[desk] = {item["local"] for row in rows for item in row["addr_info"] if row["ifname"].startswith(("enp1", "enP2"))}
    assert seen["desk-01"] == {"192.168.0.1", "192.168.1.1", "192.168.2.1", "192.168.3.1"}
    assert seen["desk-02"] == {"192.168.0.2", "192.168.1.2", "192.168.4.1", "192.168.5.1"}
    assert seen["desk-03"] == {"192.168.2.2", "192.168.3.2", "192.168.4.2", "192.168.5.2"}

    env = as_login_user("desk-03").file("/etc/dgx_spark/pair.env").content_string
    assert "NCCL_IB_SUBNET_AWARE_ROUTING=1" in env and "NCCL_NET_PLUGIN=none" in env and "# stack ring_a" in env
    hosts = as_root("desk-02").file("/etc/hosts").content_string
    assert all(f"stack-{rank} # dgx_spark_pair" in hosts for rank in (1, 2, 3))
    keys = {desk: as_root(desk).file("/home/labadmin/.ssh/authorized_keys").content_string for desk in DESKS}
    assert "dgx_spark_pair" not in keys["desk-01"] and all("dgx_spark_pair" in keys[desk] for desk in DESKS[1:])
    assert as_login_user("desk-01").run("/usr/local/bin/pair-check").rc == 0
    assert as_login_user("desk-02").run("/usr/local/bin/pair-check --local").rc == 0

    since = {desk: moment(desk) for desk in DESKS}
    again = Run("stack_pair.yml", reports=first.reports, seconds=1500)
    assert again.rc == 0 and again.pairs["ring_a"]["verdict"] == "PASS"
    assert not any(stage["changed"] for desk in again.desks.values() for stage in desk["stages"].values())
    counts = {desk: executions(desk, since[desk]) for desk in DESKS}
    # As for a pair: facts, cable, and the two measurements on the head.
    assert all(len(rows) <= 4 for rows in counts.values()) and all(len(counts[desk]) <= 2 for desk in DESKS[1:]), counts

    gone = Run("unstack.yml", seconds=900)
    assert gone.rc == 0, gone.output
    assert {desk: files_of(desk) for desk in DESKS} == before
    rules = [as_root(desk).check_output(f"{program} -t mangle -S") for desk in DESKS for program in ("iptables", "ip6tables")]
    assert not any("dgx-spark" in text for text in rules)


def test_plugs_of_a_ring_in_each_others_cages_never_pass() -> None:
    recable(cable_1=("desk-01/0", "desk-01/1"), cable_3=("desk-03/0", "desk-02/1"))
    told = cable_map()
    assert told.rc != 0 and told.pairs["ring_a"]["verdict"] == "FAIL"
    assert {"CABLE_LOOPED", "CABLE_DOUBLE", "CABLE_MISSING"} & set(told.codes("ring_a")) and told.by_hand


def test_a_missing_cable_is_told_with_its_place() -> None:
    lab("cable", "pull", "cable-2")
    told = Run("stack.yml")
    assert told.rc != 0 and told.codes("ring_a").get("CABLE_MISSING") == "fail"
    assert "desk-02" in told.finding("CABLE_MISSING", "ring_a")["message"]
    assert told.pairs["ring_a"]["verdict"] == "FAIL" and told.pairs["ring_a"]["rdma"] is None


def test_without_ipv6_and_lldp_a_crossed_ring_is_still_told() -> None:
    recable(cable_1=("desk-01/0", "desk-03/1"), cable_2=("desk-02/0", "desk-02/1"))
    ipv6(*DESKS, on=False)
    try:
        told = cable_map()
        assert told.rc != 0 and told.pairs["ring_a"]["verdict"] in ("FAIL", "UNKNOWN")
    finally:
        ipv6(*DESKS, on=True)


def test_a_ring_is_discovered_and_written(tmp_path: Path) -> None:
    target = tmp_path / "found.yml"
    told = cable_map("-e", f"write_inventory={target}")
    assert set(told.codes("ring_a")) <= {"CABLE_OK", AFTER_BOOT}
    text = target.read_text(encoding="utf-8")
    assert "spark_stacks:" in text and "spark_topology: ring" in text and "ring_a:" in text
