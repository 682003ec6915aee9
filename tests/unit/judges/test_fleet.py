"""Identities that appear twice in an inventory."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.fleet import judge_fleet
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import Address
from judge_samples import change, healthy, with_function

DESKS = {f"desk-{number:02d}": healthy(number) for number in (1, 2, 3)}
ADDRESSES = {"desk-01": "10.20.0.1", "desk-02": "10.20.0.2", "desk-03": "spark-03.local"}


def found(changed: dict[str, Desk], addresses: dict[str, str] | None = None) -> list[tuple[str | None, str]]:
    return [(item.where.desk, item.severity) for item in judge_fleet({**DESKS, **changed}, addresses or ADDRESSES)]


def test_green_a_lab_of_desks_with_equal_fabric_addresses() -> None:
    equal = with_function(DESKS["desk-03"], "enp1s0f1np1", addresses=DESKS["desk-01"].cx7.ports[1].functions[0].addresses)
    assert found({"desk-03": equal}) == []


def test_green_link_local_management_addresses_repeat() -> None:
    local = (Address("fe80::1", 64, "inet6", "link"), Address("169.254.3.3", 16, "inet", "link"))
    assert found({name: change(desk, network__management_addresses=local) for name, desk in DESKS.items()}) == []


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"identity__machine_id": DESKS["desk-01"].identity.machine_id}, "fail"),
        ({"identity__host_key_fingerprints": ("SHA256:x", "SHA256:key1")}, "fail"),
        ({"network__management_mac": "02:00:00:00:01:77"}, "fail"),
        ({"network__management_addresses": (Address("10.20.0.1", 24, "inet"),)}, "fail"),
        ({"identity__boot_id": "boot-1"}, "fail"),
        ({"identity__hostname": "SPARK-0001"}, "warn"),
    ],
)
def test_red_both_desks_are_told(changes: dict[str, object], severity: str) -> None:
    assert found({"desk-02": change(DESKS["desk-02"], **changes)}) == [("desk-01", severity), ("desk-02", severity)]


def test_red_two_entries_with_one_address_also_without_facts() -> None:
    assert found({}, {**ADDRESSES, "desk-04": "10.20.0.1"}) == [("desk-01", "fail"), ("desk-04", "fail")]


def test_red_a_fabric_mac_twice() -> None:
    twice = with_function(DESKS["desk-02"], "enp1s0f1np1", mac="02:00:00:00:01:01")
    assert [name for name, _severity in found({"desk-02": twice})] == ["desk-01", "desk-02"]


def test_one_machine_listed_twice_is_told_from_a_clone_and_no_serial_is_shown() -> None:
    same = judge_fleet({"desk-01": DESKS["desk-01"], "again": DESKS["desk-01"]})
    assert {item.where.desk for item in same} == {"desk-01", "again"}
    assert "same machine" in same[0].message
    assert str(DESKS["desk-01"].identity.serial_sha256) not in str([item.as_dict() for item in same])
    clone = judge_fleet({**DESKS, "desk-02": change(DESKS["desk-02"], identity__machine_id=DESKS["desk-01"].identity.machine_id)})
    assert "cloned" in clone[0].message
