"""Four desks on a switch: from bare to PASS; a wrong port, speed, MTU or VLAN is told by name and never passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cables import Run, cable_map, ipv6
from desks import as_root, lab

DESKS = tuple(f"desk-0{number}" for number in range(1, 5))


def port(number: int, **settings: object) -> None:
    lab("switch", f"switch-1/{number}", *(f"{key}={str(value).lower()}" for key, value in settings.items()))


@pytest.fixture(autouse=True)
def as_described() -> Iterator[None]:
    yield
    for number in range(1, 5):
        port(number, speed=200, mtu=9216, vlan=1, bridge=1, dark=False)


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
