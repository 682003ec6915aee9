"""What one desk says of its own cages costs no other pair its cable."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_judge import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import read_map
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import CableProbe, Neighbour, ProbedPort
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Identity, Network
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import ConnectX7, Function, Port
from cabled_lab import NAMES, Lab, mac, pairs, right

DESKS, PLAN = pairs(3)
LIAR = DESKS[4]
FIRST = [Neighbour(mac(number, 0, 0), "frame", DESKS[number], "0") for number in range(4)]
SECOND = [Neighbour(mac(number, 1, 0), "frame", DESKS[number], "1") for number in range(4)]
STRANGER = Neighbour("02:5a:77:01:00:00", "ipv6")


def facts() -> dict[str, Desk]:
    return {
        name: Desk(
            cx7=ConnectX7(
                ports=tuple(
                    Port(number=port, functions=tuple(Function(netdev=NAMES[port][twin], mac=mac(place, port, twin)) for twin in (0, 1)))
                    for port in (0, 1)
                )
            )
        )
        for place, name in enumerate(DESKS)
    }


def lied(port: int, neighbours: list[Neighbour], macs: tuple[str | None, ...] = ()) -> dict[str, CableProbe]:
    """The answers of a lab that is right, in which the liar says this of one of its cages."""
    probes = Lab(DESKS, right(PLAN)).probes()

    def lie(item: ProbedPort) -> ProbedPort:
        own = [replace(one, carrier=True, neighbours=(*one.neighbours, *neighbours)) for one in item.functions]
        lent = macs or tuple(one.mac for one in own)
        return replace(item, carrier=True, functions=tuple(replace(one, mac=told) for one, told in zip(own, lent, strict=True)))

    ports = tuple(lie(item) if item.port == port else item for item in probes[LIAR].ports)
    return {**probes, LIAR: replace(probes[LIAR], ports=ports)}


@pytest.mark.parametrize("port", [0, 1])
@pytest.mark.parametrize("seen", [FIRST, FIRST[:2], FIRST[:1], SECOND, [*FIRST, *SECOND], [*FIRST, STRANGER]])
def test_a_desk_that_claims_to_see_others_leaves_them_joined(seen: list[Neighbour], port: int) -> None:
    probes = lied(port, seen)
    for known in ({}, facts()):
        found = judge(read_map(probes, known), PLAN, probes)
        for pair in ("pair_1", "pair_2"):
            cabling = found.of_pair(pair)
            assert cabling is not None and cabling.proven and cabling.allowed
            assert [item.code for item in cabling.findings if item.severity in ("fail", "unknown")] == []


@pytest.mark.parametrize("port", [0, 1])
@pytest.mark.parametrize("place", [0, 1])
def test_a_desk_that_claims_the_mac_of_another_one_is_not_taken_for_it(place: int, port: int) -> None:
    """Its facts have its own, so that nobody holds the two for one machine."""
    probes = lied(port, [], (mac(place, 0, 0), mac(place, 0, 1)))
    found = judge(read_map(probes, facts()), PLAN, probes)
    cabling = found.of_pair("pair_1")
    assert cabling is not None and cabling.proven and cabling.allowed
    assert [item.code for item in cabling.findings] == ["CABLE_OK"]


@pytest.mark.parametrize("lie", [Desk(identity=Identity(hostname="crs812")), Desk(network=Network(management_mac="dc:2c:6e:00:00:02"))])
@pytest.mark.parametrize("between", [Neighbour(None, "lldp", "crs812.lab", "q1"), Neighbour("dc:2c:6e:00:00:02", "ipv6")])
def test_a_desk_that_calls_itself_like_a_switch_hides_it_from_no_other_pair(lie: Desk, between: Neighbour) -> None:
    probes = Lab(DESKS, right(PLAN)).probes()
    for name in DESKS[:2]:
        port = probes[name].ports[0]
        seen = tuple(replace(item, neighbours=(*item.neighbours, between)) for item in port.functions)
        probes[name] = replace(probes[name], ports=(replace(port, functions=seen), *probes[name].ports[1:]))
    known = {**facts(), LIAR: replace(facts()[LIAR], identity=lie.identity, network=lie.network)}
    found = judge(read_map(probes, known), PLAN, probes)
    cabling = found.of_pair("pair_1")
    assert cabling is not None and not cabling.proven and {item.code for item in cabling.findings} == {"CABLE_SWITCH"}
