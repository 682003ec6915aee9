"""The plan of a link: tables of desks and wishes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.link_plan import LinkOptions, LinkPlan, LinkRequest, plan, resolve
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.netplan import OUR_FILE
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.owners import Owner
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Busy, Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import GpuProcess
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import ConnectX7
from link_facts import ADDRESSES, desk, function, linked, with_function

WHERE = Where(pair="pair_a", desk="desk-01")
REQUEST = LinkRequest(0, ADDRESSES)


def planned(facts: Desk, request: LinkRequest = REQUEST, owners: tuple[Owner, ...] | None = None, **options: Any) -> LinkPlan:
    wants, findings = resolve(facts, WHERE, [request])
    assert not findings, findings
    return plan(facts, WHERE, wants, LinkOptions(**options), owners)


def codes(made: LinkPlan) -> list[tuple[str, str]]:
    return [(item.code, item.severity) for item in made.findings]


@pytest.mark.parametrize("renderer", ["NetworkManager", "networkd"])
def test_fresh_desk(renderer: str) -> None:
    made = planned(desk(renderer))
    assert not made.is_refused and codes(made) == []
    assert f"write {OUR_FILE}" in made.steps and made.file_text is not None
    tools = {argv[0] for argv in made.commands}
    assert tools == ({"nmcli"} if renderer == "NetworkManager" else {"networkctl"})
    assert "enP7s7" not in str(made.commands) and "apply" not in str(made.commands)
    assert made.before["file"] is None and made.after["file"] == made.file_text
    assert made.diff["before"] != made.diff["after"]


@pytest.mark.parametrize("renderer", ["NetworkManager", "networkd"])
def test_linked_desk_needs_nothing(renderer: str) -> None:
    made = planned(linked(renderer))
    assert made.steps == () and made.commands == () and made.before == made.after and not made.is_refused


def test_facts_that_travelled_as_plain_data_give_the_same_plan() -> None:
    for facts in (desk(), linked(), with_function(linked(), 0, 2, mtu=1500)):
        assert planned(from_dict(Desk, as_dict(facts))) == planned(facts)


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        (with_function(linked(), 0, 2, mtu=1500), "set the MTU of enP2p1s0f0np0 to 9000"),
        (with_function(linked(), 0, 0, addresses=()), "give enp1s0f0np0 the address 192.168.100.10/24"),
        (with_function(linked(), 0, 0, admin_up=False, carrier=None), "switch enp1s0f0np0 on"),
        (replace(linked(), setup=replace(linked().setup, link_file="network: {}\n")), f"write {OUR_FILE}"),
        (replace(linked(), setup=replace(linked().setup, link_journal="undone")), "settle the change that an earlier run left (undone)"),
        (replace(linked(), setup=replace(linked().setup, link_journal="applied")), "settle the change that an earlier run left (applied)"),
    ],
)
def test_each_difference_is_a_step(facts: Desk, step: str) -> None:
    assert planned(facts).steps == (step,)


def test_mtu_change_rewrites_both_twins() -> None:
    made = planned(linked(), LinkRequest(0, ADDRESSES, 1500))
    assert len(made.steps) == 3 and {item["mtu"] for item in made.after["functions"].values()} == {1500}


def test_renamed_netdevs_and_devices_are_found_by_port() -> None:
    facts = with_function(with_function(desk(), 0, 0, netdev="fabric0", rdma_device="mlx5_0"), 0, 2, netdev="fabric1", rdma_device="mlx5_2")
    assert [(item.netdev, item.address) for item in planned(facts).functions] == [("fabric0", ADDRESSES[0]), ("fabric1", ADDRESSES[1])]


def test_two_cabled_ports_are_two_links() -> None:
    facts = desk()
    ports = tuple(
        replace(port, carrier=True, functions=tuple(replace(item, carrier=True) for item in port.functions)) for port in facts.cx7.ports
    )
    facts = replace(facts, cx7=replace(facts.cx7, ports=ports))
    asked = [REQUEST, LinkRequest(1, ("192.168.102.10/24", "192.168.103.10/24"))]
    wants, findings = resolve(facts, WHERE, asked)
    made = plan(facts, WHERE, wants)
    assert not findings and not made.is_refused and [item.port for item in made.functions] == [0, 0, 1, 1]
    assert made.file_text is not None and made.file_text.count("optional: true") == 4
    twice, findings = resolve(facts, WHERE, [REQUEST, REQUEST])
    assert twice == () and findings[0].code == "CX7_CHANGE_REFUSED"


# ---- the port --------------------------------------------------------------------------------------------------------


def test_port_is_the_one_with_a_link() -> None:
    wants, findings = resolve(desk(), WHERE, [LinkRequest(None, ADDRESSES)])
    assert [want.port for want in wants] == [0] and not findings


def both_lit() -> Desk:
    facts = desk()
    ports = tuple(replace(port, carrier=True) for port in facts.cx7.ports)
    return replace(facts, cx7=replace(facts.cx7, ports=ports))


def all_dark() -> Desk:
    facts = desk()
    for domain in (0, 2):
        facts = with_function(facts, 0, domain, carrier=False)
    ports = tuple(replace(port, carrier=False) for port in facts.cx7.ports)
    return replace(facts, cx7=replace(facts.cx7, ports=ports))


@pytest.mark.parametrize(
    ("facts", "port", "code", "severity"),
    [
        (both_lit(), None, "CX7_PORT_AMBIGUOUS", "fail"),
        (all_dark(), None, "CX7_LINK_DOWN", "fail"),
        (all_dark(), 0, "CX7_LINK_DOWN", "fail"),
        (desk(), 1, "CX7_LINK_DOWN", "fail"),
        (with_function(desk(), 0, 2, gone=True), 0, "CX7_FUNCTION_MISSING", "fail"),
        (with_function(desk(), 0, 2, gone=True), None, "CX7_FUNCTION_MISSING", "fail"),
        (replace(desk(), cx7=ConnectX7(ports=desk().cx7.ports[1:])), 0, "CX7_FUNCTION_MISSING", "fail"),
        (replace(desk(), cx7=ConnectX7(powered=False)), 0, "CX7_ABSENT_NO_CABLE", "fail"),
        (replace(desk(), cx7=ConnectX7(powered=True)), 0, "CX7_ABSENT_FAULT", "fail"),
        (replace(desk(), cx7=ConnectX7(powered=None)), 0, "CX7_ABSENT_FAULT", "unknown"),
        (replace(desk(), cx7=ConnectX7(ungrouped=(function(0, 0),))), 0, "CX7_CHANGE_REFUSED", "unknown"),
        (replace(desk(), cx7=ConnectX7(), unread={"cx7.ports": "denied"}), 0, "CX7_CHANGE_REFUSED", "unknown"),
        (with_function(desk(), 0, 2, phys_switch_id="fedcba9876543210"), 0, "CX7_CHANGE_REFUSED", "fail"),
    ],
)
def test_ports_that_cannot_be_used(facts: Desk, port: int | None, code: str, severity: str) -> None:
    wants, findings = resolve(facts, WHERE, [LinkRequest(port, ADDRESSES)])
    assert wants == () and [(item.code, item.severity) for item in findings] == [(code, severity)]
    assert findings[0].message and findings[0].remedy


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (LinkRequest(2, ADDRESSES), "port is 2"),
        (LinkRequest(0, ADDRESSES, 4000), "mtu is 4000"),
        (LinkRequest(0, ()), "addresses is empty"),
        (LinkRequest(0, ("192.168.100.10", "192.168.101.10/24")), "prefix length"),
        (LinkRequest(0, ("192.168.100.256/24",)), "not an IPv4 address"),
        (LinkRequest(0, ("192.168.100.0/24",)), "network address"),
        (LinkRequest(0, ("192.168.100.255/24",)), "broadcast"),
        (LinkRequest(0, ("192.168.100.10/32",)), "31 or less"),
        (LinkRequest(0, ("169.254.3.4/16",)), "not usable"),
    ],
)
def test_wishes_that_make_no_sense(request_: LinkRequest, word: str) -> None:
    wants, (found,) = resolve(desk(), WHERE, [request_])
    assert wants == () and found.code == "CX7_CHANGE_REFUSED" and word in found.message and "links[0]" in found.message


# ---- refusals --------------------------------------------------------------------------------------------------------

OTHER = replace(desk().network, routed_networks=("192.168.0.0/17 dev wlP9s9",))
OVER_FABRIC = replace(desk().network, session_netdev="enp1s0f1np1")
FABRIC_DEFAULT = replace(desk().network, session_netdev=None, management_netdev="enP2p1s0f0np0")
GPU = Busy(gpu_processes=(GpuProcess(4711, "python3", "C", 900, "labadmin"),), readable=True)
DESKTOP = Busy(gpu_processes=(GpuProcess(1200, "Xorg", "G", 20, "root"),), readable=True)


@pytest.mark.parametrize(
    ("facts", "request_", "code", "severity"),
    [
        (desk(), LinkRequest(0, ("192.168.100.10/24", "192.168.100.11/24")), "CX7_TWINS_SAME_SUBNET", "fail"),
        (desk(), LinkRequest(0, ("10.9.1.10/24", "192.168.101.10/24")), "CX7_ADDRESS_OVERLAP", "fail"),
        (desk(), LinkRequest(0, ("172.17.5.1/24", "192.168.101.10/24")), "CX7_ADDRESS_OVERLAP", "fail"),
        (replace(desk(), network=OTHER), REQUEST, "CX7_ADDRESS_OVERLAP", "fail"),
        (replace(desk(), network=OVER_FABRIC), REQUEST, "CX7_IS_MANAGEMENT", "fail"),
        (replace(desk(), network=FABRIC_DEFAULT), REQUEST, "CX7_IS_MANAGEMENT", "fail"),
        (replace(desk(), busy=GPU), REQUEST, "PAIR_BUSY", "unknown"),
        (replace(desk(), busy=Busy()), REQUEST, "BUSY_UNKNOWN", "unknown"),
        (desk(None), REQUEST, "CX7_CHANGE_REFUSED", "unknown"),
        (desk("ifupdown"), REQUEST, "CX7_CHANGE_REFUSED", "fail"),
        (with_function(desk(), 0, 2, carrier=False), REQUEST, "CX7_LINK_DOWN", "fail"),
        (with_function(desk(), 0, 0, owner="/etc/netplan/40-cx7.yaml", owner_kind="foreign"), REQUEST, "CX7_FOREIGN_OWNER", "fail"),
        (replace(desk(), unread={"network.routed_networks": "denied"}), REQUEST, "CX7_CHANGE_REFUSED", "unknown"),
    ],
)
def test_refusals(facts: Desk, request_: LinkRequest, code: str, severity: str) -> None:
    made = planned(facts, request_)
    assert made.is_refused and made.commands == () and made.after == made.before
    assert (code, severity) in codes(made)


def test_force_overrides_only_the_busy_guard() -> None:
    forced = planned(replace(desk(), busy=GPU), force=True)
    assert not forced.is_refused and codes(forced) == [("PAIR_BUSY", "warn")] and "python3" in forced.findings[0].message
    assert planned(replace(desk(), busy=GPU, network=OVER_FABRIC), force=True).is_refused
    assert codes(planned(replace(desk(), busy=DESKTOP))) == []


def test_busy_desk_that_needs_nothing_is_left_alone() -> None:
    made = planned(replace(linked(), busy=GPU))
    assert not made.steps and not made.is_refused


def test_routes_of_our_own_old_file_do_not_overlap() -> None:
    facts = linked()
    network = replace(facts.network, routed_networks=("192.168.100.0/24 dev enp1s0f0np0", "192.168.101.0/24 dev enP2p1s0f0np0"))
    ports = tuple(
        replace(port, carrier=port.number == 1, functions=tuple(replace(i, carrier=True) for i in port.functions))
        for port in facts.cx7.ports
    )
    moved = planned(replace(facts, network=network, cx7=replace(facts.cx7, ports=ports)), LinkRequest(1, ADDRESSES))
    assert not moved.is_refused and set(moved.ids) == {"enp1s0f0np0", "enP2p1s0f0np0", "enp1s0f1np1", "enP2p1s0f1np1"}


# ---- owners ----------------------------------------------------------------------------------------------------------

SYNC = Owner("/etc/netplan/99-nvidia-sync-cluster.yaml", ("enp1s0f0np0",), ("enp1s0f0np0",))


def test_foreign_file_is_refused_named_and_taken_over() -> None:
    refused = planned(desk(), owners=(SYNC,))
    assert refused.is_refused and codes(refused) == [("CX7_FOREIGN_OWNER", "fail")] and SYNC.path in refused.findings[0].message
    taken = planned(desk(), owners=(SYNC,), take_over=True)
    assert not taken.is_refused and taken.set_aside == (SYNC.path,) and f"set {SYNC.path} aside" in taken.steps
    assert codes(taken) == [("CX7_FOREIGN_OWNER", "note")]


def test_foreign_file_over_a_link_that_is_as_wanted_is_named() -> None:
    assert planned(linked(), owners=(SYNC,)).is_refused
    assert planned(linked(), owners=(SYNC,), take_over=True).steps == (f"set {SYNC.path} aside",)


@pytest.mark.parametrize("owner", [replace(SYNC, others=("enP7s7",)), replace(SYNC, error="not valid YAML")])
def test_files_that_cannot_be_set_aside(owner: Owner) -> None:
    made = planned(desk(), owners=(owner,), take_over=True)
    assert made.is_refused and made.set_aside == ()


def test_automatic_profiles_are_no_foreign_owners() -> None:
    automatic = Owner("/etc/netplan/90-NM-1.yaml", ("enp1s0f0np0",), ("NM-1",), automatic=True)
    made = planned(desk(), owners=(automatic,))
    assert not made.is_refused and codes(made) == [] and made.set_aside == (automatic.path,)
    facts = with_function(desk(), 0, 0, owner="Wired connection 2", owner_kind="auto")
    assert codes(planned(facts)) == []


def test_pattern_for_every_interface_yields_on_network_manager_only() -> None:
    pattern = Owner("/etc/netplan/50-cloud-init.yaml", ("enp1s0f0np0",), ("all-en",), ("all-en (matches by pattern)",), by_pattern=True)
    assert not planned(desk("NetworkManager"), owners=(pattern,)).is_refused
    assert planned(desk("networkd"), owners=(pattern,)).is_refused


# ---- absent ----------------------------------------------------------------------------------------------------------


def absent(facts: Desk, **options: Any) -> LinkPlan:
    return plan(facts, WHERE, (), LinkOptions(state="absent", **options))


def test_absent_where_nothing_is_set_up() -> None:
    assert absent(desk()).steps == () and not absent(desk()).is_refused


def test_absent_takes_our_file_away() -> None:
    made = absent(linked("networkd"))
    assert made.steps and made.commands == (("networkctl", "reload"),) and made.ours == tuple(reversed(ADDRESSES))
    assert absent(replace(linked(), busy=GPU)).is_refused and not absent(replace(linked(), busy=GPU), force=True).is_refused
    assert absent(replace(linked(), network=OVER_FABRIC), force=True).is_refused
