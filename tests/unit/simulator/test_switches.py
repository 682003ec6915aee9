"""Switches of a lab: what a lab file may say, and what a port does to the desk behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sparklab import describe, figures, laws, spec, switches
from sparklab.errors import LabError
from sparklab.spec import End

LAB: dict[str, Any] = {
    "desks": {"a": {}, "b": {}, "c": {}},
    "switches": {"sw-1": {"ports": 4, "lldp": "MikroTik", "speed": 200, "set": {3: {"speed": 100, "vlan": 20, "mtu": 1500}}}},
    "cables": {"x": {"ends": ["a/0", "sw-1/1"]}, "y": {"ends": ["b/0", "sw-1/2"]}, "z": {"ends": ["c/0", "sw-1/3"]}},
    "stacks": {"sw_a": {"topology": "switch", "desks": ["a", "b", "c"]}},
}
MODEL = {"name": "m"}


def port(desk: str, lab: dict[str, Any] | None = None, on: tuple[str, ...] = ("a", "b", "c"), **changed: Any) -> dict[str, Any]:
    read = spec.parse(lab or LAB)
    settings = {number: {**own, **changed} for number, own in read.switches["sw-1"].settings.items()}
    lit = frozenset(End("sw-1", number) for number, own in settings.items() if not own["dark"])
    wiring = replace(laws.initial(read), running=frozenset(on), lit=lit)
    lists = {name: describe.functions(one, MODEL, {}) for name, one in read.desks.items()}
    found = describe.ports(desk, wiring, read.cables, lists, {}, {"sw-1": (read.switches["sw-1"], settings)})
    return dict(found["0"])


def test_a_switch_gives_carrier_whoever_else_is_on() -> None:
    assert port("a", on=("a",))["carrier"] and not port("a", dark=True)["carrier"] and not port("a", on=("b",))["carrier"]


def test_a_port_of_100g_until_it_is_set() -> None:
    plain = {**LAB, "switches": {"sw-1": {"ports": 4}}}
    assert port("a", plain)["speed_mbps"] == 100_000 and port("a", plain, speed=200)["speed_mbps"] == 200_000
    assert port("a", plain)["figures"]["dual_sum_gbps"] == 98.0
    assert port("a")["figures"]["dual_sum_gbps"] == figures.HEALTHY["dual_sum_gbps"]


def test_a_second_bridge_is_slow() -> None:
    assert port("a", bridge=2)["figures"]["dual_sum_gbps"] == switches.SECOND_BRIDGE_GBPS


def test_ports_of_one_network_share_a_bridge_of_the_kernel() -> None:
    switch = spec.parse(LAB).switches["sw-1"]
    names = [switches.bridge_name(switch, switch.settings[number]) for number in (1, 2, 3)]
    assert names[0] == names[1] != names[2]
    assert all(len(name) < 16 for name in names)


def test_what_a_switch_says_of_itself() -> None:
    peer = port("a")["cable"]["peer"]
    assert peer["lldp"] == "MikroTik" and peer["mac"].startswith("dc:2c:6e") and peer["switch"] == "sw-1"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"switches": {"sw-1": {"ports": 0}}}, "1 to 64"),
        ({"switches": {"sw-1": {"speed": 40}}}, "100, 200"),
        ({"switches": {"sw-1": {"colour": "red"}}}, "unknown key"),
        ({"switches": {"sw-1": {"ports": 2}}}, "ports 1 to 2"),
        ({"switches": {"sw-1": {"ports": 4, "set": {9: {}}}}}, "not 9"),
        ({"switches": {"a": {}}}, "name of its own"),
        ({"cables": {"x": {"ends": ["a/2", None]}}}, "0 and 1"),
        ({"stacks": {"sw_a": {"desks": ["z"]}}}, "not among the desks"),
        ({"stacks": {"sw_a": {"colour": "red"}}}, "unknown key"),
    ],
)
def test_a_wrong_description_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(LabError, match=word):
        spec.parse({**LAB, **change})


def test_settings_of_a_command_are_checked() -> None:
    assert switches.checked({"speed": "200", "dark": "yes"}, "x") == {"speed": 200, "dark": True}
    with pytest.raises(LabError, match="unknown setting"):
        switches.checked({"mode": "x"}, "x")
    with pytest.raises(LabError, match="number"):
        switches.checked({"vlan": "blue"}, "x")
