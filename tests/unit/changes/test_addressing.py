"""Addresses of a desk from its place in the pair."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.addressing import (
    AddressingError,
    Numbers,
    addresses,
    keeps_role,
    mtu_differs,
    request,
    role_kept,
    stack_requests,
)
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Stack
from link_facts import desk, linked

HEAD = ("192.168.100.10/24", "192.168.101.10/24")
PEER = ("192.168.100.11/24", "192.168.101.11/24")


@pytest.mark.parametrize(
    ("numbers", "position", "cable", "expected"),
    [
        (Numbers(), 0, 0, HEAD),
        (Numbers(), 1, 0, PEER),
        # a third member of a ring, and a second cabled port
        (Numbers(), 2, 0, ("192.168.100.12/24", "192.168.101.12/24")),
        (Numbers(), 0, 1, ("192.168.102.10/24", "192.168.103.10/24")),
        (Numbers(subnets=("10.50.0.0/28", "10.50.0.16/28"), head_host=1, peer_host=14), 1, 0, ("10.50.0.14/28", "10.50.0.30/28")),
    ],
)
def test_addresses(numbers: Numbers, position: int, cable: int, expected: tuple[str, ...]) -> None:
    assert addresses(numbers, position, cable) == expected


@pytest.mark.parametrize(
    ("numbers", "cable", "word"),
    [
        (Numbers(subnets=("192.168.100.0/24",)), 0, "has 1 network"),
        (Numbers(), 2, "needs numbers 5"),
        (Numbers(subnets=("192.168.100.1/24", "x")), 0, "not an IPv4 network"),
        (Numbers(head_host=255), 0, "does not fit"),
        (Numbers(head_host=0), 0, "does not fit"),
        (Numbers(head_host=11), 0, "both 11"),
    ],
)
def test_variables_that_give_no_address(numbers: Numbers, cable: int, word: str) -> None:
    with pytest.raises(AddressingError, match=word):
        addresses(numbers, 0, cable)


def test_a_named_port_wins_over_the_cable_map() -> None:
    assert request(Numbers(), 0, 1).port == 1
    assert request(Numbers(port=0), 0, 1).port == 0
    assert request(Numbers(mtu=1500), 1, None) == replace(request(Numbers(), 1, None), mtu=1500)


def test_addresses_that_are_in_use_keep_their_desk() -> None:
    head, peer = as_dict(linked(addresses=HEAD)), as_dict(linked(addresses=PEER))
    assert not keeps_role(head, peer, Numbers(), 0) and not keeps_role(peer, head, Numbers(), 1)
    assert keeps_role(peer, head, Numbers(), 0) and keeps_role(head, peer, Numbers(), 1)
    # many guides address one function of the port and leave its twin bare
    half, other_half = as_dict(linked(addresses=(PEER[0], "10.9.8.7/24"))), as_dict(linked(addresses=(HEAD[0], "10.9.8.6/24")))
    assert keeps_role(half, other_half, Numbers(), 0) and keeps_role(other_half, half, Numbers(), 1)
    assert not keeps_role(other_half, half, Numbers(), 0) and not keeps_role(half, other_half, Numbers(), 1)
    # one of the two alone proves nothing
    assert not keeps_role(peer, as_dict(desk()), Numbers(), 0)
    assert not keeps_role(peer, None, Numbers(), 0) and not keeps_role(None, head, Numbers(), 0)
    found = role_kept(Where(desk="desk-01"), PEER)
    assert found.code == "CX7_ROLE_KEPT" and found.severity == "note" and PEER[0] in found.message


def test_mtu_of_the_two_desks() -> None:
    found = mtu_differs(Where(pair="pair_a", desk="desk-01"), "desk-01", 9000, "desk-02", 1500)
    assert found.code == "CX7_MTU_MISMATCH" and found.severity == "fail" and "1500 for desk-02" in found.message


RING = Stack("ring_a", ("d-1", "d-2", "d-3"), "ring")
CAGES = {"d-1": {"d-2": 0, "d-3": 1}, "d-2": {"d-1": 1, "d-3": 0}, "d-3": {"d-1": 0, "d-2": 1}}


def test_a_ring_has_nvidias_numbers_and_no_network_twice() -> None:
    asked = {name: {item.port: item.addresses for item in stack_requests(Numbers(), RING, name, CAGES[name])} for name in RING.members}
    assert asked == {
        "d-1": {0: ("192.168.0.1/24", "192.168.1.1/24"), 1: ("192.168.2.1/24", "192.168.3.1/24")},
        "d-2": {0: ("192.168.4.1/24", "192.168.5.1/24"), 1: ("192.168.0.2/24", "192.168.1.2/24")},
        "d-3": {0: ("192.168.2.2/24", "192.168.3.2/24"), 1: ("192.168.4.2/24", "192.168.5.2/24")},
    }


def test_a_ring_of_other_wiring_takes_its_addresses_along() -> None:
    turned = {port: item.addresses for item in stack_requests(Numbers(), RING, "d-1", {"d-2": 1, "d-3": 0}) for port in [item.port]}
    assert turned == {1: ("192.168.0.1/24", "192.168.1.1/24"), 0: ("192.168.2.1/24", "192.168.3.1/24")}


def test_desks_on_a_switch_share_two_networks_and_count_on() -> None:
    stack = Stack("sw_a", tuple(f"d-{number}" for number in range(1, 6)), "switch")
    asked = [stack_requests(Numbers(), stack, name, dict.fromkeys(stack.others(name), 1)) for name in stack.members]
    assert [(len(items), items[0].port, items[0].addresses[0]) for items in asked] == [
        (1, 1, f"192.168.100.{host}/24") for host in (10, 11, 12, 13, 14)
    ]


@pytest.mark.parametrize(("head", "peer", "fits"), [(12, 11, False), (14, 11, False), (15, 11, True), (10, 11, True), (11, 11, False)])
def test_no_desk_on_a_switch_gets_the_heads_number(head: int, peer: int, fits: bool) -> None:
    stack = Stack("sw_a", tuple(f"d-{number}" for number in range(1, 6)), "switch")
    for name in stack.members:
        ports = dict.fromkeys(stack.others(name), 1)
        if fits:
            assert stack_requests(Numbers(head_host=head, peer_host=peer), stack, name, ports)
        else:
            with pytest.raises(AddressingError, match="pair_link_head_host"):
                stack_requests(Numbers(head_host=head, peer_host=peer), stack, name, ports)


@pytest.mark.parametrize(
    ("numbers", "cages", "word"),
    [
        (Numbers(ring_subnets=Numbers().ring_subnets[:5]), CAGES["d-1"], "has 5 network"),
        (Numbers(ring_subnets=("10.0.0.0/16", *Numbers().ring_subnets[:4], "10.0.1.0/24")), CAGES["d-1"], "overlap"),
        (Numbers(ring_subnets=("x",) * 6), CAGES["d-1"], "no IPv4 network"),
        (Numbers(ring_hosts=(1, 1)), CAGES["d-1"], "pair_link_ring_hosts"),
        (Numbers(port=0), CAGES["d-1"], "pair_link_port"),
        (Numbers(), {"d-2": 0}, "no cage that leads to d-3"),
    ],
)
def test_a_ring_that_gets_no_address(numbers: Numbers, cages: dict[str, int], word: str) -> None:
    with pytest.raises(AddressingError, match=word):
        stack_requests(numbers, RING, "d-1", cages)


def test_desks_on_a_switch_may_ask_its_dhcp_server() -> None:
    stack = Stack("sw_a", ("d-1", "d-2"), "switch")
    # Numbers that give no address are not looked at.
    (asked,) = stack_requests(Numbers(source="dhcp", subnets=(), mtu=1500), stack, "d-2", {"d-1": 1})
    assert (asked.port, asked.addresses, asked.mtu) == (1, ("dhcp", "dhcp"), 1500)
