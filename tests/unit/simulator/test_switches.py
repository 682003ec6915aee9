"""Switches of a lab: what a lab file may say, and what a port does to the desk behind it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sparklab import describe, figures, files, laws, net, services, spec, switches
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


def test_a_switch_may_have_a_dhcp_server_for_each_twin() -> None:
    named = ["192.168.100.0/24", "192.168.101.0/24"]
    switch = spec.parse({**LAB, "switches": {"sw-1": {"ports": 4, "dhcp": named}}}).switches["sw-1"]
    assert switch.dhcp == tuple(named) and spec.parse(LAB).switches["sw-1"].dhcp == ()
    assert switches.server_addresses(switch.dhcp) == ["192.168.100.1/24", "192.168.101.1/24"]
    told = switches.server_arguments(switch.dhcp)
    assert "--dhcp-range=tag:twin0,192.168.100.128,192.168.100.254,255.255.255.0,120" in told
    assert "--dhcp-option=tag:twin1,option:router,192.168.101.1" in told
    one = switches.server_arguments(switch.dhcp[:1])
    assert "--dhcp-range=192.168.100.128,192.168.100.254,255.255.255.0,120" in one, "both twins get addresses of it"


def test_the_server_knows_twins_by_their_mac() -> None:
    functions = describe.functions(spec.parse(LAB).desks["a"], MODEL, {})
    lines = switches.server_hosts(functions).splitlines()
    twin = {line.partition(",")[0]: line.partition(":twin")[2] for line in lines}
    assert [twin[item["mac"]] for item in functions if item["pci"].startswith("0000:")] == ["0", "0"]
    assert [twin[item["mac"]] for item in functions if item["pci"].startswith("0002:")] == ["1", "1"]


def test_a_command_sets_the_subnets_of_a_server_or_ends_it() -> None:
    assert switches.subnets("10.1.0.0/24,10.2.0.0/24", "sw-1") == ("10.1.0.0/24", "10.2.0.0/24")
    assert switches.subnets("off", "sw-1") == switches.subnets(None, "sw-1") == ()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A lab of one switch, with what its server is told."""
    world = SimpleNamespace(started=[], ended=[], lines=[])
    read = spec.parse({**LAB, "switches": {"sw-1": {"ports": 4, "dhcp": ["10.1.0.0/24", "10.2.0.0/24"]}}})
    world.record = SimpleNamespace(dir=tmp_path, name="lab", spec=read, data={"processes": {}}, save=lambda: None)
    world.record.switch_dhcp = lambda name: tuple(world.record.data.get("switch_dhcp", read.switches[name].dhcp))

    def spawn(record: Any, name: str, argv: list[str], **_more: Any) -> None:
        world.started.append(argv)
        record.data["processes"][name] = {"pid": len(world.started)}

    monkeypatch.setattr(services, "_spawn", spawn)
    monkeypatch.setattr(files, "process_alive", bool)
    monkeypatch.setattr(files, "end_process", lambda process: world.ended.append(process) if process else None)
    monkeypatch.setattr(net, "batch", lambda _netns, lines: world.lines.extend(lines))
    functions = {name: describe.functions(desk, MODEL, {}) for name, desk in read.desks.items()}
    world.serve = lambda fresh=False: services.serve(world.record, read.switches["sw-1"], "s0v1b1", functions, fresh)
    return world


def test_a_server_is_started_once_and_again_when_its_subnets_change(served: SimpleNamespace) -> None:
    served.serve(fresh=True)
    served.serve()
    assert len(served.started) == 1 and "--interface=s0v1b1" in served.started[0]
    assert served.lines[2:] == ["address add 10.1.0.1/24 dev s0v1b1", "address add 10.2.0.1/24 dev s0v1b1"]
    served.record.data["switch_dhcp"] = ["10.3.0.0/24"]
    served.serve()
    assert served.ended == [{"pid": 1}] and len(served.started) == 2 and served.lines[-1] == "address add 10.3.0.1/24 dev s0v1b1"
    served.record.data["switch_dhcp"] = []
    served.serve()
    served.serve()
    assert served.ended == [{"pid": 1}, {"pid": 2}] and len(served.started) == 2 and "flush" in served.lines[-2]


def test_a_switch_without_a_server_leaves_its_bridge_alone(served: SimpleNamespace) -> None:
    served.record.data["switch_dhcp"] = []
    served.serve(fresh=True)
    assert served.started == served.lines == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"switches": {"sw-1": {"dhcp": "x"}}}, "dhcp: "),
        ({"switches": {"sw-1": {"dhcp": ["10.1.0.0/24", "10.1.0.128/25"]}}}, "do not overlap"),
        ({"switches": {"sw-1": {"dhcp": "10.1.0.0/30"}}}, "/29 or larger"),
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
