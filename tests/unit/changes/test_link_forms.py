"""Files, networks and routes as real desks have them: what counts as a foreign owner and what may be set aside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_plan import LinkOptions, LinkPlan, LinkRequest, plan, resolve
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.owners import owners_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.link import overlaps
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.link import owners as judge_owners
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.addressing import AddressingError, Numbers, addresses
from link_facts import ADDRESSES, desk, function, linked

WHERE = Where(desk="desk-01")
NETPLAN = "/etc/netplan/60-lab.yaml"
PROFILE = "/etc/NetworkManager/system-connections/lab.nmconnection"
OTHERS = ("enP7s7", "wlP9s9", "docker0", "lo")
ONE_OF_EACH = "enp1s0f0np0: {link-local: [ipv4]}, enp1s0f1np1: {link-local: [ipv4]}"
ALL_FOUR = ONE_OF_EACH + ", enP2p1s0f0np0: {link-local: [ipv4]}, enP2p1s0f1np1: {link-local: [ipv4]}"


def lit_on_both(facts: Desk) -> Desk:
    ports = tuple(
        replace(port, carrier=True, functions=tuple(replace(item, carrier=True) for item in port.functions)) for port in facts.cx7.ports
    )
    return replace(facts, cx7=replace(facts.cx7, ports=ports))


def netplan(ethernets: str, more: str = "") -> str:
    return f"network:\n  version: 2\n  ethernets: {{{ethernets}}}\n{more}"


def planned(facts: Desk, path: str, content: str, *, on_desk: bool, others: Any = OTHERS, **options: Any) -> LinkPlan:
    """The plan with the file, as the desk makes it (``on_desk``) or as the controller makes it from facts."""
    owners = owners_of(facts.cx7.functions, {path: content}, others=others)
    if not on_desk:
        facts, owners = replace(facts, cx7=replace(facts.cx7, owners=owners)), None
    wants, problems = resolve(facts, WHERE, [LinkRequest(0, ADDRESSES)])
    assert not problems
    return plan(facts, WHERE, wants, LinkOptions(**options), owners)


@pytest.mark.parametrize("on_desk", [True, False])
@pytest.mark.parametrize("ethernets", [ONE_OF_EACH, ALL_FOUR])
def test_a_file_for_both_ports_is_set_aside_where_the_other_port_is_dark(ethernets: str, on_desk: bool) -> None:
    refused = planned(desk(), NETPLAN, netplan(ethernets), on_desk=on_desk)
    assert refused.is_refused and "take_over is not set" in refused.findings[0].message
    taken = planned(desk(), NETPLAN, netplan(ethernets), on_desk=on_desk, take_over=True)
    assert not taken.is_refused and taken.set_aside == (NETPLAN,)
    assert "enp1s0f1np1" in taken.ids  # what is generated for it may change with the file
    lit = planned(lit_on_both(desk()), NETPLAN, netplan(ethernets), on_desk=on_desk, take_over=True)
    assert lit.is_refused and "enp1s0f1np1 (which has a link)" in lit.findings[0].message


@pytest.mark.parametrize("on_desk", [True, False])
@pytest.mark.parametrize(("name", "written_anew"), [("50-cloud-init.yaml", True), ("60-lab.yaml", False)])
def test_a_file_that_cloud_init_writes_is_not_to_be_edited_alone(name: str, written_anew: bool, on_desk: bool) -> None:
    """Desks imaged with cloud-init have one file for all interfaces, and cloud-init may write it again."""
    content = netplan("enP7s7: {dhcp4: true, optional: true}, " + ALL_FOUR.replace("link-local: [ipv4]", "dhcp4: true, optional: true"))
    [item] = planned(desk(), f"/etc/netplan/{name}", content, on_desk=on_desk, take_over=True).findings
    assert item.severity == "fail" and "but also enP7s7" in item.message and name in item.remedy
    owners = owners_of(desk().cx7.functions, {f"/etc/netplan/{name}": content}, others=OTHERS)
    function_owner = {"owner": f"/etc/netplan/{name}", "owner_kind": "foreign"}
    ports = tuple(replace(port, functions=tuple(replace(one, **function_owner) for one in port.functions)) for port in desk().cx7.ports)
    facts = replace(desk(), cx7=replace(desk().cx7, ports=ports, owners=owners))
    [told] = judge_owners(facts, WHERE, JudgeOptions(purpose="stack", take_over=True))
    for remedy in (item.remedy, told.remedy):
        assert ("/etc/cloud/cloud.cfg.d" in remedy and "network: {config: disabled}" in remedy) == written_anew
        assert remedy.endswith("then run again.")


@pytest.mark.parametrize("on_desk", [True, False])
@pytest.mark.parametrize("driver", ["mlx5_core", "mlx5*", "[mlx5_core, mlx5_ib]"])
def test_a_match_by_driver_is_an_owner(driver: str, on_desk: bool) -> None:
    content = netplan(f"cx7: {{match: {{driver: '{driver}'}}, dhcp4: true}}".replace("'[", "[").replace("]'", "]"))
    for renderer in ("networkd", "NetworkManager"):
        assert planned(desk(renderer), NETPLAN, content, on_desk=on_desk).is_refused
        taken = planned(desk(renderer), NETPLAN, content, on_desk=on_desk, take_over=True)
        assert not taken.is_refused and taken.set_aside == (NETPLAN,)


@pytest.mark.parametrize("match", ["{driver: '*'}", "{name: 'en*'}", "{}"])
def test_a_match_that_fits_other_interfaces_is_never_set_aside(match: str) -> None:
    made = planned(desk("networkd"), NETPLAN, netplan(f"x: {{match: {match}}}"), on_desk=True, take_over=True)
    assert made.is_refused and made.set_aside == ()


def test_a_pattern_that_fits_the_adapter_alone_is_like_its_names() -> None:
    made = planned(desk("networkd"), NETPLAN, netplan("x: {match: {name: 'enp1s0f*'}}"), on_desk=True, take_over=True)
    assert made.set_aside == (NETPLAN,)
    unknown = planned(desk("networkd"), NETPLAN, netplan("x: {match: {name: 'enp1s0f*'}}"), on_desk=True, others=None, take_over=True)
    assert unknown.is_refused


@pytest.mark.parametrize("on_desk", [True, False])
@pytest.mark.parametrize(
    "section",
    [
        "tunnels:\n    wg0: {mode: wireguard}",
        "vrfs:\n    mgmt: {table: 1000, interfaces: [enP7s7]}",
        "dummy-devices:\n    dm0: {addresses: [10.1.1.1/32]}",
        "nm-devices:\n    NM-1f: {renderer: NetworkManager}",
        "modems:\n    cdc-wdm0: {apn: lab}",
        "virtual-ethernets:\n    veth0: {peer: veth1}",
        "openvswitch: {protocols: [OpenFlow13]}",
        "a-section-of-tomorrow:\n    x0: {}",
    ],
)
def test_a_file_with_any_other_section_is_never_set_aside(section: str, on_desk: bool) -> None:
    content = netplan("enp1s0f0np0: {}, enP2p1s0f0np0: {}", f"  {section}\n")
    made = planned(desk(), NETPLAN, content, on_desk=on_desk, take_over=True)
    assert made.is_refused and [item.code for item in made.findings] == ["CX7_FOREIGN_OWNER"]
    assert section.partition(":")[0] in made.findings[0].message


@pytest.mark.parametrize("on_desk", [True, False])
@pytest.mark.parametrize(("name", "kept"), [("enp1s0f0np0", False), ("qsfp0", True)])
def test_a_file_that_gives_an_interface_its_name_stays(name: str, kept: bool, on_desk: bool) -> None:
    """At the next boot the interface would have its own name again, which our file does not know."""
    facts = desk()
    first = next(item for item in facts.cx7.functions if item.netdev == "enp1s0f0np0")
    ports = tuple(
        replace(port, functions=tuple(replace(item, netdev=name) if item == first else item for item in port.functions))
        for port in facts.cx7.ports
    )
    facts = replace(facts, cx7=replace(facts.cx7, ports=ports))
    content = netplan(f"lab: {{match: {{macaddress: '{first.mac}'}}, set-name: {name}, dhcp4: true}}")
    made = planned(facts, NETPLAN, content, on_desk=on_desk, take_over=True)
    assert made.is_refused is kept and ("qsfp0 (which gets its name here)" in made.findings[0].message) is kept


@pytest.mark.parametrize(
    ("text", "netdevs"),
    [
        ("[match]\ninterface-name=enp1s0f*;\n", ("enp1s0f0np0", "enp1s0f1np1")),
        ("[match]\ninterface-name=enp1s0f*;!enp1s0f1np1;\n", ("enp1s0f0np0",)),
        ("[match]\npath=pci-0000:01:00.0\n", ("enp1s0f0np0",)),
        ("[match]\npath=pci-0002:01:00.*;\n", ("enP2p1s0f0np0", "enP2p1s0f1np1")),
        ("[match]\ndriver=mlx5_core\n", ("enp1s0f0np0", "enP2p1s0f0np0", "enp1s0f1np1", "enP2p1s0f1np1")),
        ("[match]\ndriver=mlx5_core\ninterface-name=*f1np1\n", ("enp1s0f1np1", "enP2p1s0f1np1")),
        ("[match]\ninterface-name=wl*;\n", None),
        ("[match]\ndriver=r8127\n", None),
        ("[match]\nkernel-command-line=quiet\n", None),
    ],
)
def test_profiles_with_a_match_section(text: str, netdevs: tuple[str, ...] | None) -> None:
    functions = desk().cx7.functions
    found = owners_of(functions, {PROFILE: f"[connection]\nid=lab\ntype=ethernet\n{text}"}, others=OTHERS)
    assert [set(item.netdevs) for item in found] == ([] if netdevs is None else [set(netdevs)])
    assert all(not item.others for item in found)


def test_a_profile_for_every_interface_is_no_owner_on_network_manager() -> None:
    text = "[connection]\nid=any\n[match]\ninterface-name=en*\n"
    assert not planned(desk("NetworkManager"), PROFILE, text, on_desk=True).is_refused


@pytest.mark.parametrize(
    ("routes", "codes"),
    [
        (("0.0.0.0/1 dev tun0", "128.0.0.0/1 dev tun0"), []),
        (("0.0.0.0/2 dev wg0", "64.0.0.0/2 dev wg0", "128.0.0.0/2 dev wg0", "192.0.0.0/2 dev wg0"), []),
        (("192.0.0.0/9 dev wg0", "192.0.0.0/8 dev wg0"), []),
        (("192.128.0.0/9 dev wg0",), []),
        (("192.168.0.0/16 dev enP7s7",), ["CX7_ADDRESS_OVERLAP", "CX7_ADDRESS_OVERLAP"]),
        (("192.168.96.0/20 dev tun0",), ["CX7_ADDRESS_OVERLAP", "CX7_ADDRESS_OVERLAP"]),
        (("192.168.100.128/25 dev tun0",), ["CX7_ADDRESS_OVERLAP"]),
        (("192.168.100.10/32 dev tun0",), ["CX7_ADDRESS_OVERLAP"]),
    ],
)
def test_routes_that_stand_for_everything_are_no_overlap(routes: tuple[str, ...], codes: list[str]) -> None:
    facts = desk()
    facts = replace(facts, network=replace(facts.network, routed_networks=("10.9.0.0/22 dev enP7s7", *routes)))
    wants, _problems = resolve(facts, WHERE, [LinkRequest(0, ADDRESSES)])
    assert [item.code for item in plan(facts, WHERE, wants).findings] == codes


@pytest.mark.parametrize("facts", [desk(), linked()])
def test_a_route_that_leads_nowhere_is_told_as_that(facts: Desk) -> None:
    facts = replace(facts, network=replace(facts.network, routed_networks=("192.168.100.0/26 dev *",)))
    wants, _problems = resolve(facts, WHERE, [LinkRequest(0, ADDRESSES)])
    [item] = plan(facts, WHERE, wants).findings
    assert item.code == "CX7_ADDRESS_OVERLAP" and "192.168.100.0/26" in item.message and "blackhole" in item.message


@pytest.mark.parametrize("routed", [(), ("192.168.100.0/24 dev wg0",)])
def test_a_rule_that_leads_the_link_elsewhere_is_an_overlap_and_told_once(routed: tuple[str, ...]) -> None:
    facts = desk()
    network = replace(facts.network, routed_networks=routed, led_elsewhere=("192.168.100.11/32 dev wg0",))
    facts = replace(facts, network=network)
    wants, _problems = resolve(facts, WHERE, [LinkRequest(0, ADDRESSES)])
    assert [item.code for item in plan(facts, WHERE, wants).findings] == ["CX7_ADDRESS_OVERLAP"]


@pytest.mark.parametrize("routed", [(), ("192.168.100.128/25 dev br-5f1c0a9e7d21",)])
@pytest.mark.parametrize("led", [(), ("192.168.100.11/32 dev wg0",)])
def test_a_link_that_is_as_wanted_is_refused_where_its_network_leads_elsewhere(routed: tuple[str, ...], led: tuple[str, ...]) -> None:
    facts = linked()
    facts = replace(facts, network=replace(facts.network, routed_networks=routed, led_elsewhere=led))
    wants, _problems = resolve(facts, WHERE, [LinkRequest(0, ADDRESSES)])
    made = plan(facts, WHERE, wants)
    assert not made.steps and made.is_refused == bool(routed or led)
    assert {item.code for item in made.findings} == ({"CX7_ADDRESS_OVERLAP"} if routed or led else set())


@pytest.mark.parametrize("route", ["192.168.96.0/20 dev br-5f1c0a9e7d21", "192.168.0.0/16 dev enP7s7", "192.168.100.0/22 dev wg0"])
def test_a_wider_route_takes_nothing_from_a_link_that_is_set_and_facts_say_the_same(route: str) -> None:
    facts = linked()
    facts = replace(facts, network=replace(facts.network, routed_networks=(route,)))
    wants, _problems = resolve(facts, WHERE, [LinkRequest(0, ADDRESSES)])
    assert plan(facts, WHERE, wants).findings == () and overlaps(facts, WHERE, JudgeOptions(purpose="stacked")) == []
    facts = replace(desk(), network=replace(desk().network, routed_networks=(route,)))
    assert {item.code for item in plan(facts, WHERE, wants).findings} == {"CX7_ADDRESS_OVERLAP"}


def test_a_tunnel_for_the_whole_private_block_is_an_overlap() -> None:
    facts = desk()
    facts = replace(facts, network=replace(facts.network, routed_networks=("10.0.0.0/8 dev tun0",)))
    wants, _problems = resolve(facts, WHERE, [LinkRequest(0, ("10.77.0.1/24", "10.77.1.1/24"))])
    assert [item.code for item in plan(facts, WHERE, wants).findings] == ["CX7_ADDRESS_OVERLAP"] * 2


@pytest.mark.parametrize("pair", [("10.0.0.0/31", "10.0.0.2/31"), ("10.0.0.1/31", "10.0.0.3/31"), ("10.0.0.1/30", "10.0.0.5/30")])
def test_small_networks_are_accepted(pair: tuple[str, str]) -> None:
    wants, problems = resolve(desk(), WHERE, [LinkRequest(0, pair)])
    assert problems == () and [item.address for item in wants[0].functions] == list(pair)


@pytest.mark.parametrize("address", ["10.0.0.1/32", "10.0.0.0/30", "10.0.0.3/30", "10.0.0.1"])
def test_addresses_that_no_peer_can_reach_are_refused(address: str) -> None:
    _wants, problems = resolve(desk(), WHERE, [LinkRequest(0, (address, "10.0.1.1/24"))])
    assert [item.code for item in problems] == ["CX7_CHANGE_REFUSED"]


def test_networks_of_two_hosts_number_them_from_nought() -> None:
    numbers = Numbers(subnets=("10.0.0.0/31", "10.0.0.2/31"), head_host=0, peer_host=1)
    assert (addresses(numbers, 0), addresses(numbers, 1)) == (("10.0.0.0/31", "10.0.0.2/31"), ("10.0.0.1/31", "10.0.0.3/31"))
    with pytest.raises(AddressingError):
        addresses(Numbers(subnets=("10.0.0.0/31", "10.0.0.2/31")), 0)
    with pytest.raises(AddressingError):
        addresses(Numbers(subnets=("10.0.0.0/32", "10.0.0.2/32"), head_host=0, peer_host=1), 0)


@pytest.mark.parametrize("take_over", [False, True])
def test_the_facts_say_before_the_change_that_a_file_cannot_be_set_aside(take_over: bool) -> None:
    facts = desk()
    port = facts.cx7.ports[0]
    owned = replace(port, functions=tuple(replace(item, owner=NETPLAN, owner_kind="foreign") for item in port.functions))
    for content, fixed in ((netplan("enp1s0f0np0: {}, enP7s7: {}"), True), (netplan("enp1s0f0np0: {}"), False)):
        files = owners_of(facts.cx7.functions, {NETPLAN: content}, others=OTHERS)
        seen = replace(facts, cx7=replace(facts.cx7, ports=(owned, facts.cx7.ports[1]), owners=files))
        [item] = judge_owners(seen, WHERE, JudgeOptions(take_over=take_over))
        assert item.severity == ("warn" if fixed or not take_over else "note")
        assert ("by hand" in item.remedy) == fixed


def test_facts_without_readable_files_still_name_an_owner() -> None:
    facts = desk()
    port = facts.cx7.ports[0]
    owned = replace(port, functions=(function(0, 0, owner=NETPLAN, owner_kind="foreign"), port.functions[1]))
    facts = replace(facts, cx7=replace(facts.cx7, ports=(owned, facts.cx7.ports[1])))
    wants, _problems = resolve(facts, WHERE, [LinkRequest(0, ADDRESSES)])
    assert [item.code for item in plan(facts, WHERE, wants).findings] == ["CX7_FOREIGN_OWNER"]
