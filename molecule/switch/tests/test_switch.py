"""Four desks on a switch: from bare to PASS; a wrong port, speed, MTU or VLAN is told by name and never passes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from cables import Run, cable_map, ipv6
from desks import as_login_user, as_root, lab

DESKS = tuple(f"desk-0{number}" for number in range(1, 5))
OUR_FILE = "/etc/netplan/90-dgx-spark-link.yaml"
BY_DHCP = '--extra-vars={"pair_link_addresses": "dhcp"}'


def port(number: int, **settings: object) -> None:
    lab("switch", f"switch-1/{number}", *(f"{key}={str(value).lower()}" for key, value in settings.items()))


def served(subnets: str) -> None:
    lab("switch", "switch-1", f"dhcp={subnets}")


def fabric(desk: str) -> dict[str, list[str]]:
    """The IPv4 addresses of the functions of port 0."""
    links = json.loads(as_root(desk).check_output("ip -j -4 addr show"))
    held = {item["ifname"]: [one["local"] for one in item["addr_info"]] for item in links}
    return {name: found for name, found in held.items() if re.fullmatch(r"en[pP]\w+f0np0", name)}


def in_two_subnets(desk: str, lower: str, upper: str) -> bool:
    """Whether each function has one address: that of the lower PCI domain begins as the first word says, its twin's as the second."""
    told = fabric(desk)
    one, other = told.get("enp1s0f0np0", []), told.get("enP2p1s0f0np0", [])
    return len(one) == len(other) == 1 and one[0].startswith(lower) and other[0].startswith(upper)


@pytest.fixture(autouse=True)
def as_described() -> Iterator[None]:
    yield
    for number in range(1, 5):
        port(number, speed=200, mtu=9216, vlan=1, bridge=1, dark=False)
    served("off")


def test_from_bare_to_pass_and_nothing_the_second_time() -> None:
    first = Run("stack.yml", seconds=1800)
    assert first.rc == 0, first.output
    stack = first.pairs["switch_a"]
    assert (stack["verdict"], stack["topology"]) in (("PASS", "switch"), ("WARN", "switch"))
    assert len(stack["rdma"]["paths"]) == 6 and stack["nccl"]["measured"] and len(stack["nccl"]["hcas"]) == 4
    assert first.codes("switch_a").get("CABLE_SWITCH_BRIDGE") == "note"
    for place, desk in enumerate(DESKS):
        addresses = as_root(desk).check_output("ip -4 addr show")
        assert f"192.168.100.{10 + place}/24" in addresses and f"192.168.101.{10 + place}/24" in addresses
    again = Run("stack.yml", reports=first.reports, seconds=1800)
    assert again.rc == 0 and not any(stage["changed"] for desk in again.desks.values() for stage in desk["stages"].values())


def test_a_desk_in_another_vlan_is_named_and_never_passes() -> None:
    port(3, vlan=20)
    told = Run("stack.yml")
    assert told.rc != 0 and told.codes("switch_a").get("CABLE_SWITCH_APART") == "fail"
    assert "desk-03" in told.finding("CABLE_SWITCH_APART", "switch_a")["message"]


def test_without_ipv6_a_desk_in_another_vlan_is_named_too() -> None:
    port(3, vlan=20)
    ipv6(*DESKS, on=False)
    try:
        told = cable_map()
        assert told.rc != 0 and told.pairs["switch_a"]["verdict"] in ("FAIL", "UNKNOWN")
    finally:
        ipv6(*DESKS, on=True)


def test_a_dark_port_is_named() -> None:
    port(2, dark=True)
    told = Run("stack.yml")
    assert told.rc != 0 and told.finding("CABLE_DARK", "switch_a")["where"]["desk"] == "desk-02"


def test_the_default_mtu_of_a_switch_is_told_with_what_to_set() -> None:
    for number in range(1, 5):
        port(number, mtu=1500)
    told = Run("stack.yml", seconds=1500)
    assert told.rc != 0
    found = told.finding("CX7_MTU_MISMATCH")
    assert "switch" in found["message"] and "9216" in found["remedy"]


def test_a_slow_bridge_is_never_passed_and_the_desk_is_blamed() -> None:
    port(4, speed=100)
    told = Run("stack.yml", seconds=1500)
    assert told.pairs["switch_a"]["verdict"] != "PASS"
    assert "desk-04" in told.output


def test_addresses_from_the_switch() -> None:
    assert Run("unstack.yml").rc == 0
    served("192.168.100.0/24,192.168.101.0/24")
    checked = Run("stack.yml", "--check", BY_DHCP, seconds=900)
    assert checked.rc == 0, checked.output
    assert not any(as_root(desk).file(OUR_FILE).exists for desk in DESKS)

    first = Run("stack.yml", BY_DHCP, seconds=1800)
    assert first.rc == 0, first.output
    for desk in DESKS:
        assert in_two_subnets(desk, "192.168.100.", "192.168.101."), fabric(desk)
        host = as_root(desk)
        assert not any(re.search(r"np0\b", line) for line in host.check_output("ip -4 route show default").splitlines())
        assert {host.file(f"/sys/class/net/{name}/mtu").content_string.strip() for name in fabric(desk)} == {"9000"}
    again = Run("stack.yml", BY_DHCP, reports=first.reports, seconds=1800)
    assert again.rc == 0 and not any(stage["changed"] for desk in again.desks.values() for stage in desk["stages"].values())
    assert Run("audit.yml").rc == 0
    assert as_login_user("desk-01").run("/usr/local/bin/pair-check").rc == 0

    before = fabric("desk-01")
    served("10.61.0.0/24,10.62.0.0/24")
    deadline = time.monotonic() + 300
    while not all(in_two_subnets(desk, "10.61.", "10.62.") for desk in DESKS):
        assert time.monotonic() < deadline, {desk: fabric(desk) for desk in DESKS}
        time.sleep(5)
    stale = as_login_user("desk-01").run("/usr/local/bin/pair-check --local")
    assert stale.rc == 1 and before["enp1s0f0np0"][0] in stale.stdout
    assert "10.61.0." in Run("audit.yml").finding("PAIR_SETTINGS_OUTDATED")["message"]
    moved = Run("stack.yml", BY_DHCP, reports=first.reports, seconds=1800)
    assert moved.rc == 0, moved.output
    assert as_login_user("desk-01").run("/usr/local/bin/pair-check").rc == 0
    for desk in DESKS:
        told = as_root(desk).file("/etc/dgx_spark/hostfile").content_string + as_root(desk).file("/etc/hosts").content_string
        assert "192.168.100." not in told and all(fabric(other)["enp1s0f0np0"][0] in told for other in DESKS)

    assert Run("unstack.yml").rc == 0
    assert not any(as_root(desk).file(OUR_FILE).exists for desk in DESKS)


def test_leases_in_one_subnet_are_taken_back_and_told() -> None:
    assert Run("unstack.yml").rc == 0
    served("192.168.100.0/24")
    told = Run("stack.yml", BY_DHCP, seconds=1500)
    assert told.rc != 0 and "DHCP server" in told.finding("CX7_TWINS_SAME_SUBNET")["remedy"]
    assert not any(as_root(desk).file(OUR_FILE).exists for desk in DESKS)


def test_a_switch_without_a_dhcp_server_is_told() -> None:
    assert Run("unstack.yml").rc == 0
    told = Run("stack.yml", BY_DHCP, seconds=1500)
    assert told.rc != 0 and "On the switch" in told.finding("CX7_NO_LEASE")["remedy"]
    assert not any(as_root(desk).file(OUR_FILE).exists for desk in DESKS)
