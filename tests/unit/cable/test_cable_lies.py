"""What one desk says of its own cages costs no other pair its cable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_judge import Judgement, PairCabling, judge, moved, snapshot
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import read_map
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import (
    CableMap,
    CableProbe,
    Eeprom,
    End,
    Neighbour,
    PlannedCable,
    PlannedStack,
    ProbedFunction,
    ProbedPort,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Identity, Network
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import ConnectX7, Function, Port
from cabled_lab import NAMES, Lab, mac, pairs, right
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DESKS, PLAN = pairs(3)
LIAR = DESKS[4]
FIRST = [Neighbour(mac(number, 0, 0), "frame", DESKS[number], "0") for number in range(4)]
SECOND = [Neighbour(mac(number, 1, 0), "frame", DESKS[number], "1") for number in range(4)]
STRANGER = Neighbour("02:5a:77:01:00:00", "ipv6")


def facts(desks: Sequence[str] = DESKS) -> dict[str, Desk]:
    return {
        name: Desk(
            cx7=ConnectX7(
                ports=tuple(
                    Port(number=port, functions=tuple(Function(netdev=NAMES[port][twin], mac=mac(place, port, twin)) for twin in (0, 1)))
                    for port in (0, 1)
                )
            )
        )
        for place, name in enumerate(desks)
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


BLIND = [Neighbour(mac(number, 0, twin), "frame", DESKS[number], "0") for number in (0, 1) for twin in (0, 1)]


def of_the_blind(eeprom: bool, seen: Sequence[Neighbour]) -> PairCabling:
    """The first pair, whose desks see nobody (no IPv6, no LLDP, no raw frames), where the liar says that it sees them."""
    lab = Lab(DESKS, right(PLAN), deaf=set(DESKS[:2]), eeprom=eeprom)
    probes = lab.probes()
    port = probes[LIAR].ports[1]
    own = tuple(replace(one, carrier=True, neighbours=tuple(seen), methods=("frame",)) for one in port.functions)
    probes[LIAR] = replace(probes[LIAR], ports=(probes[LIAR].ports[0], replace(port, carrier=True, functions=own)))
    found = judge(read_map(probes, facts()), PLAN, probes).of_pair("pair_1")
    assert found is not None
    return found


@pytest.mark.parametrize("seen", [BLIND[:2], BLIND[:1], BLIND[2:]])
def test_two_plugs_of_one_cable_count_more_than_whom_a_third_desk_sees(seen: list[Neighbour]) -> None:
    cabling = of_the_blind(True, seen)
    assert cabling.proven and cabling.allowed and [item.code for item in cabling.findings if item.severity in ("fail", "unknown")] == []


@pytest.mark.parametrize("seen", [BLIND[:2], BLIND[:1], BLIND[2:]])
def test_what_a_third_desk_alone_says_of_a_cage_is_no_fault(seen: list[Neighbour]) -> None:
    cabling = of_the_blind(False, seen)
    [told] = [item for item in cabling.findings if item.code == "CABLE_ONE_SIDED"]
    assert not cabling.proven and {item.severity for item in cabling.findings} == {"unknown"}
    assert f"{LIAR} port 1 of pair pair_3 saw" in told.message and "Move" not in told.message and "plug" not in told.message


def test_a_desk_that_does_not_answer_keeps_the_mac_that_it_had_in_an_earlier_run() -> None:
    """Its partner sees it all the same, and no third desk is taken for it."""
    lent = (mac(1, 0, 0), mac(1, 0, 1))
    probes = {name: probe for name, probe in lied(1, [], lent).items() if name != DESKS[1]}
    known = {name: desk for name, desk in facts().items() if name != DESKS[1]}
    before = dict.fromkeys(lent, (DESKS[1], 0))
    found = judge(read_map(probes, known, {DESKS[1]: "no route to host"}, before), PLAN, probes).of_pair("pair_1")
    assert found is not None and {item.severity for item in found.findings} == {"unknown"}
    assert any(f"It may be {DESKS[1]}" in item.message for item in found.findings)


# ---- whatever one desk says ----------------------------------------------------------------------------------------------

MANY = [f"desk-{number:02d}" for number in range(1, 13)]
PAIRED = [PlannedCable("pair_1", MANY[0], MANY[1]), PlannedCable("pair_2", MANY[2], MANY[3])]
STACKED = [PlannedStack("ring_a", "ring", tuple(MANY[4:7])), PlannedStack("switch_a", "switch", tuple(MANY[7:10]))]
"""The last two desks are in no stack; one of them may be on the switch too."""
MEMBERS = {**{item.pair: {item.a, item.b} for item in PAIRED}, **{item.name: set(item.members) for item in STACKED}}


def sound(rng: Random) -> Lab:
    """Two pairs, a ring and three desks on a switch, as planned."""
    one, two, three = MANY[4:7]
    ring = [[End(one, 0), End(two, 1)], [End(two, 0), End(three, 1)], [End(three, 0), End(one, 1)]]
    lab = Lab(list(MANY), [[End(MANY[0], 0), End(MANY[1], 0)], [End(MANY[2], 1), End(MANY[3], 1)], *ring])
    lab.switches = [[End(name, 0) for name in (*MANY[7:10], *rng.choice([(), MANY[10:11]]))]]
    lab.lldp, lab.eeprom = rng.choice([None, "crs812"]), rng.random() < 0.6
    return lab


def anything(rng: Random, liar: str, plugs: Sequence[Eeprom | None]) -> CableProbe:
    """What a desk may say of its cages: hardware addresses and plugs of all others among it, those of one cage above all."""
    victim, cage = rng.randrange(len(MANY)), rng.randrange(2)

    def any_mac(twin: int | None = None) -> str | None:
        known = mac(rng.randrange(len(MANY)), rng.randrange(2), rng.randrange(2))
        aimed = mac(victim, cage, rng.randrange(2) if twin is None else twin)
        return rng.choice([known] * 3 + [aimed] * 9 + [None, "dc:2c:6e:00:00:01", "02:5a:99:00:00:01"])

    def neighbour() -> Neighbour:
        port = rng.choice([None, "0", "1", NAMES[0][0], NAMES[1][1]])
        return Neighbour(any_mac(), rng.choice(["ipv6", "lldp", "frame"]), rng.choice([None, "crs812", *MANY]), port, any_mac())

    def function(port: int, twin: int) -> ProbedFunction:
        own = mac(MANY.index(liar), port, twin)
        states = [rng.choice([True, True, False, None]) for _state in range(3)]
        seen = tuple(neighbour() for _other in range(rng.choice([0, 1, 1, 2, 6])))
        return ProbedFunction(
            NAMES[port][twin], rng.choice([own, any_mac(twin)]), *states, seen, rng.choice([(), ("ipv6",), ("lldp", "frame")])
        )

    ports = tuple(
        ProbedPort(
            port, rng.choice([True, False, None]), tuple(function(port, twin) for twin in range(rng.randrange(3))), rng.choice(plugs)
        )
        for port in rng.choice([(0, 1), (0,), (1,), ()])
    )
    states = [rng.choice([True, False, None]) for _state in range(3)]
    return CableProbe(liar, ports, rng.random() < 0.5, *states, rng.choice(["used", "not_needed", "needs_forks", "off", "failed"]))


def mapped(probes: dict[str, CableProbe]) -> tuple[CableMap, Judgement]:
    cables = read_map(probes, facts(MANY))
    return cables, judge(cables, PAIRED, probes, None, STACKED)


def told(found: Judgement) -> dict[str, tuple[bool, bool, list[tuple[str, str]]]]:
    """Stack to what is found of it, apart from remarks."""
    each = {**{item.pair: item for item in found.pairs}, **{item.stack: item for item in found.stacks}}
    loud = ("warn", "fail", "unknown")
    return {
        name: (item.proven, item.allowed, sorted((one.code, one.severity) for one in item.findings if one.severity in loud))
        for name, item in each.items()
    }


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(rng=st.randoms(use_true_random=False))
def test_whatever_one_desk_says_of_its_cages_all_other_stacks_are_judged_as_before(rng: Random) -> None:
    lab = sound(rng)
    probes, liar = lab.probes(), rng.choice(MANY)
    plugs = [None, *(port.eeprom for probe in probes.values() for port in probe.ports if port.eeprom)]
    before, honest = mapped(probes)
    after, found = mapped({**probes, liar: anything(rng, liar, plugs)})
    mine = next(({name} for name, members in MEMBERS.items() if liar in members), set())
    own = {liar}.union(*(MEMBERS[name] for name in mine))
    assert all(verdict == told(honest)[name] for name, verdict in told(found).items() if name not in mine)
    # Nobody is sent to the plugs of others, and no cable of theirs is told as moved.
    assert {end.desk for step in found.steps for plug in step.plugs for end in (plug.source, plug.target) if end} <= own
    places = [item.where for item in moved(snapshot(before, honest.edges), after, PAIRED, STACKED)]
    assert all(place.desk in own or place.pair in mine for place in places), places


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(rng=st.randoms(use_true_random=False))
def test_whatever_one_desk_says_no_fault_is_added_to_a_stack_that_sees_little(rng: Random) -> None:
    """Desks that see nobody, and a cable that is out: what is not known of them is not known, whoever says what."""
    lab = sound(rng)
    lab.eeprom = False
    lab.deaf |= set(rng.sample(MANY, rng.randrange(4)))
    if rng.random() < 0.3:
        lab.cables[1][rng.randrange(2)] = None
    probes, liar = lab.probes(), rng.choice(MANY)
    _before, honest = mapped(probes)
    _after, found = mapped({**probes, liar: anything(rng, liar, [None])})
    for name, (_proven, _allowed, listed) in told(found).items():
        faults = {code for code, severity in listed if severity == "fail"}
        assert liar in MEMBERS[name] or faults <= {code for code, severity in told(honest)[name][2] if severity == "fail"}, name
