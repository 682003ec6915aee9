"""Rings of three and desks on a switch: closed ones are proven, every wrong plug is named, the movements end in the plan."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from random import Random

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_judge import Judgement, judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import read_map
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_moves import plan_moves
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_stacks import StackCabling
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_switch import switches
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import End, Neighbour, PlannedCable, PlannedStack
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.cable_report import discover
from cabled_lab import Lab, mac, plugs_moved, right
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Ends = list[End | str | None]
DESKS = ["desk-01", "desk-02", "desk-03"]
RING = PlannedStack("ring_a", "ring", tuple(DESKS))
CALM = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def official(members: Sequence[str]) -> list[Ends]:
    """NVIDIA's wiring: port 0 of each desk to port 1 of the next."""
    return [[End(one, 0), End(other, 1)] for one, other in zip(members, [*members[1:], members[0]], strict=True)]


def judged(lab: Lab, plan: Sequence[PlannedCable] = (), stacks: Sequence[PlannedStack] = (RING,)) -> Judgement:
    probes = lab.probes()
    return judge(read_map(probes, {}, lab.unread()), list(plan), probes, None, list(stacks))


def of(lab: Lab, stack: PlannedStack = RING, plan: Sequence[PlannedCable] = ()) -> StackCabling:
    return next(item for item in judged(lab, plan, [stack]).stacks if item.stack == stack.name)


def codes(cabling: StackCabling) -> dict[str, str]:
    return {item.code: item.severity for item in cabling.findings}


# ---- rings ---------------------------------------------------------------------------------------------------------------


def test_a_ring_wired_as_nvidia_does_is_proven_and_says_which_cage_leads_where() -> None:
    found = of(Lab(DESKS, official(DESKS)))
    assert codes(found) == {"CABLE_OK": "ok"} and found.proven and found.allowed
    assert found.ports == {
        "desk-01": {"desk-02": 0, "desk-03": 1},
        "desk-02": {"desk-01": 1, "desk-03": 0},
        "desk-03": {"desk-01": 0, "desk-02": 1},
    }
    assert {edge["verdict"] for edge in judged(Lab(DESKS, official(DESKS))).edges} == {"ok"}


@pytest.mark.parametrize("turned", [choice for choice in itertools.product((0, 1), repeat=3) if any(choice)])
def test_any_closed_ring_works(turned: tuple[int, ...]) -> None:
    at = dict(zip(DESKS, turned, strict=True))
    cables: list[Ends] = [[End(end.desk, end.port ^ at[end.desk]) for end in cable if isinstance(end, End)] for cable in official(DESKS)]
    found = of(Lab(DESKS, cables))
    assert found.allowed and set(codes(found)) <= {"CABLE_OK", "CABLE_RING_WIRING"} and set(codes(found).values()) <= {"ok", "note"}
    straight = any(len({end.port for end in cable if isinstance(end, End)}) == 1 for cable in cables)
    assert ("CABLE_RING_WIRING" in codes(found)) == straight


WRONG_RINGS: dict[str, tuple[Callable[[], Lab], dict[str, str], int]] = {
    "one_cable_missing": (lambda: Lab(DESKS, official(DESKS)[:2]), {"CABLE_MISSING": "fail"}, 2),
    "one_plug_out": (lambda: Lab(DESKS, [*official(DESKS)[:2], [End("desk-03", 0), None]], eeprom=True), {"CABLE_MISSING": "fail"}, 1),
    "doubled": (
        lambda: Lab(DESKS, [[End("desk-01", 0), End("desk-02", 0)], [End("desk-01", 1), End("desk-02", 1)]]),
        {"CABLE_DOUBLE": "fail", "CABLE_MISSING": "fail"},
        3,
    ),
    "looped": (
        lambda: Lab(DESKS, [[End("desk-01", 0), End("desk-01", 1)], [End("desk-02", 0), End("desk-03", 1)]]),
        {"CABLE_LOOPED": "fail", "CABLE_MISSING": "fail"},
        3,
    ),
    "stranger": (
        lambda: Lab(DESKS, [*official(DESKS)[:2], [End("desk-03", 0), "48:8f:5a:00:00:01"]]),
        {"CABLE_MISSING": "fail", "CABLE_UNKNOWN_PEER": "fail"},
        1,
    ),
    "leads_away": (
        lambda: Lab([*DESKS, "desk-09"], [*official(DESKS)[:2], [End("desk-03", 0), End("desk-09", 1)]]),
        {"CABLE_MISSING": "fail", "CABLE_WRONG_PEER": "fail"},
        1,
    ),
    "no_cables": (lambda: Lab(DESKS), {"CABLE_MISSING": "fail"}, 6),
}


@pytest.mark.parametrize("name", sorted(WRONG_RINGS))
def test_a_wrong_ring_is_never_linked_and_told_with_the_fewest_plugs(name: str) -> None:
    make, expected, plugs = WRONG_RINGS[name]
    lab = make()
    found = judged(lab)
    (cabling,) = found.stacks
    assert codes(cabling) == expected and not cabling.proven and not cabling.allowed
    assert plugs_moved(found.steps) == plugs
    text = " ".join(item.message for item in cabling.findings)
    assert all(text.count(step.sentence) == 1 for step in found.steps), "each movement is told once"
    lab.apply(found.steps)
    assert of(lab).allowed and judged(lab).steps == ()


def test_two_rings_with_two_plugs_exchanged() -> None:
    desks = [f"desk-{number:02d}" for number in range(1, 7)]
    rings = [PlannedStack("ring_a", "ring", tuple(desks[:3])), PlannedStack("ring_b", "ring", tuple(desks[3:]))]
    cables = [*official(desks[:3]), *official(desks[3:])]
    cables[0][1], cables[3][1] = cables[3][1], cables[0][1]
    lab = Lab(desks, cables)
    found = judged(lab, stacks=rings)
    assert [codes(item) for item in found.stacks] == [{"CABLE_MISSING": "fail", "CABLE_WRONG_PEER": "fail"}] * 2
    assert plugs_moved(found.steps) == 2 and not any(item.allowed for item in found.stacks)
    assert "of stack ring_b" in " ".join(item.message for item in found.stacks[0].findings)
    lab.apply(found.steps)
    assert all(item.allowed for item in judged(lab, stacks=rings).stacks)


def test_a_ring_with_a_desk_that_gives_no_answer_is_unknown_and_nothing_is_to_be_moved() -> None:
    lab = Lab(DESKS, official(DESKS), silent={"desk-03"})
    found = judged(lab)
    (cabling,) = found.stacks
    assert codes(cabling) == {"CABLE_NOT_SEEN": "unknown", "CABLE_UNKNOWN_PEER": "unknown"} and not cabling.allowed and found.steps == ()
    strangers = [item for item in cabling.findings if item.code == "CABLE_UNKNOWN_PEER"]
    assert all(item.evidence["follows_from"] == ["desk-03"] and "did not respond" not in item.message for item in strangers)


def test_a_ring_whose_desks_cannot_be_asked_is_unknown() -> None:
    found = of(Lab(DESKS, official(DESKS), deaf=set(DESKS)))
    assert set(codes(found).values()) == {"unknown"} and not found.allowed


def test_a_planned_ring_behind_a_switch_is_told_both_ways_out() -> None:
    lab = Lab(DESKS, switches=[[End(name, 0) for name in DESKS]])
    found = of(lab)
    assert codes(found)["CABLE_SWITCH"] == "fail" and not found.allowed
    message = next(item.message for item in found.findings if item.code == "CABLE_SWITCH")
    assert "spark_topology: switch" in message and "cable of their own" in message


# ---- switches ------------------------------------------------------------------------------------------------------------

FOUR = [f"desk-{number:02d}" for number in range(1, 5)]
SWITCH = PlannedStack("sw_a", "switch", tuple(FOUR))


def on_switch(*ports: int, **more: object) -> Lab:
    return Lab(FOUR, switches=[[End(name, port) for name, port in zip(FOUR, ports, strict=False)]], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("lldp", [None, "lab-switch"])
def test_desks_that_all_see_each_other_are_on_a_switch(lldp: str | None) -> None:
    found = of(on_switch(0, 0, 0, 0, lldp=lldp), SWITCH)
    assert found.allowed and codes(found)["CABLE_OK"] == "ok" and set(codes(found).values()) <= {"ok", "note"}
    assert found.ports["desk-02"] == {"desk-01": 0, "desk-03": 0, "desk-04": 0}
    assert (lldp or "over a switch") in found.findings[0].message


def test_a_mikrotik_is_told_its_rule_and_another_cage_is_a_note() -> None:
    found = of(on_switch(0, 0, 1, 0, lldp="MikroTik"), SWITCH)
    assert codes(found) == {"CABLE_OK": "ok", "CABLE_WRONG_PORT": "note", "CABLE_SWITCH_BRIDGE": "note"} and found.allowed


def test_two_desks_on_a_switch_that_says_nothing() -> None:
    two = PlannedStack("sw_a", "switch", tuple(FOUR[:2]))
    lab = Lab(FOUR[:2], switches=[[End(FOUR[0], 0), End(FOUR[1], 0)]])
    found = of(lab, two)
    assert codes(found) == {"CABLE_OK": "ok"} and found.allowed and "direct cable" in found.findings[0].message


@pytest.mark.parametrize("off", ["no signal", "switched off"])
def test_a_desk_outside_has_seen_no_cage_that_cannot_be_seen(off: str) -> None:
    """It may know the hardware address of every cage of a lab; its word alone would keep the stack and the pair from being linked."""
    names = [*FOUR, "desk-05", "desk-06", "desk-07"]
    pair = PlannedCable("pair_a", "desk-05", "desk-06")
    lab = Lab(names, [[End("desk-05", 0), End("desk-06", 0)]], switches=[[End(name, 0) for name in FOUR]])
    probes = lab.probes()
    for victim in (FOUR[0], "desk-05"):
        down = [dataclasses.replace(item, admin_up=False, carrier=None) for item in probes[victim].ports[1].functions]
        other = dataclasses.replace(probes[victim].ports[1], carrier=None, functions=tuple(down))
        if off == "switched off":
            probes[victim] = dataclasses.replace(probes[victim], ports=(probes[victim].ports[0], other))
    honest = judge(read_map(probes, {}), [pair], probes, None, [SWITCH])
    lies = []
    for port, victim in ((0, FOUR[0]), (1, "desk-05")):
        seen = (Neighbour(mac(names.index(victim), 1, 0), "ipv6"),)
        functions = [dataclasses.replace(item, carrier=True, neighbours=seen) for item in probes["desk-07"].ports[port].functions]
        lies.append(dataclasses.replace(probes["desk-07"].ports[port], carrier=True, functions=tuple(functions)))
    probes["desk-07"] = dataclasses.replace(probes["desk-07"], ports=tuple(lies))
    found = judge(read_map(probes, {}), [pair], probes, None, [SWITCH])
    assert (found.stacks, found.pairs) == (honest.stacks, honest.pairs) and found.pairs[0].allowed
    assert found.stacks[0].allowed is (off == "no signal")


APART: dict[str, tuple[Callable[[], Lab], dict[str, str]]] = {
    "another_vlan": (
        lambda: Lab(FOUR, switches=[[End(name, 0) for name in FOUR[:3]], [End(FOUR[3], 0)]], lldp="sw"),
        {"CABLE_SWITCH_APART": "fail"},
    ),
    "two_and_two": (
        lambda: Lab(FOUR, switches=[[End(name, 0) for name in FOUR[:2]], [End(name, 0) for name in FOUR[2:]]], lldp="sw"),
        {"CABLE_SWITCH_APART": "fail"},
    ),
    "dark": (lambda: on_switch(0, 0, 0), {"CABLE_DARK": "fail"}),
    "both_cages": (
        lambda: Lab(FOUR, switches=[[*(End(name, 0) for name in FOUR), End(FOUR[1], 1)]]),
        {"CABLE_DOUBLE": "fail"},
    ),
    "direct_beside": (
        lambda: Lab([*FOUR, "desk-09"], [[End(FOUR[0], 1), End("desk-09", 0)]], switches=[[End(name, 0) for name in FOUR]]),
        {"CABLE_MIXED": "fail"},
    ),
    "direct_in_place_of_it": (
        lambda: Lab(FOUR, [[End(FOUR[2], 0), End(FOUR[3], 0)]], switches=[[End(name, 0) for name in FOUR[:2]]], lldp="sw"),
        {"CABLE_MIXED": "fail", "CABLE_SWITCH_APART": "fail"},
    ),
    "no_answer": (lambda: on_switch(0, 0, 0, 0, silent={"desk-04"}), {"CABLE_NOT_SEEN": "unknown"}),
}


@pytest.mark.parametrize("name", sorted(APART))
def test_a_desk_that_is_not_with_the_others_keeps_the_stack_from_being_linked(name: str) -> None:
    make, expected = APART[name]
    found = of(make(), SWITCH)
    assert {code: severity for code, severity in codes(found).items() if severity not in ("ok", "note")} == expected
    assert not found.allowed


def test_a_desk_that_the_others_do_not_see_is_half_a_proof() -> None:
    lab = on_switch(0, 0, 0, 0)
    lab.deaf = {"desk-04"}
    found = of(lab, SWITCH)
    assert not found.allowed and set(codes(found).values()) & {"unknown", "fail"}


@pytest.mark.parametrize("lldp", [None, "lab-switch"])
def test_a_desk_that_was_late_is_no_desk_on_a_wrong_port(lldp: str | None) -> None:
    found = of(on_switch(0, 0, 0, 0, lldp=lldp, late={"desk-04"}), SWITCH)
    assert not found.allowed and codes(found) == {"CABLE_ONE_SIDED": "unknown"}


def test_other_desks_on_the_switch_are_noted() -> None:
    lab = Lab([*FOUR, "desk-09"], switches=[[End(name, 0) for name in (*FOUR, "desk-09")]])
    found = of(lab, SWITCH)
    assert codes(found) == {"CABLE_OK": "ok", "CABLE_SWITCH_SHARED": "note"} and found.allowed
    assert "desk-09" in found.findings[1].message


def test_a_planned_pair_on_a_switch_is_told_both_ways_out_in_one_sentence() -> None:
    plan = [PlannedCable("pair_a", FOUR[0], FOUR[1])]
    lab = on_switch(0, 0, 0, 0)
    found = judged(lab, plan, []).of_pair("pair_a")
    assert found is not None and not found.allowed
    message = next(item.message for item in found.findings if item.code == "CABLE_SWITCH")
    assert "spark_topology: switch" in message and "join the two with a cable of their own" in message
    assert ". " not in message


# ---- mixed labs ------------------------------------------------------------------------------------------------------------


@st.composite
def labs(draw: st.DrawFn) -> tuple[Lab, list[PlannedCable], list[PlannedStack]]:
    """2 to 200 desks in pairs, rings and stacks on switches, all cabled as planned; any closed wiring of a ring, any cage at a switch."""
    rng: Random = draw(st.randoms(use_true_random=False))
    wanted = draw(st.integers(1, 40))
    lldp = draw(st.sampled_from([None, "lab-switch", "MikroTik"]))
    plan: list[PlannedCable] = []
    stacks: list[PlannedStack] = []
    lab = Lab([], lldp=lldp)
    for number in range(wanted):
        kind = rng.choice(("pair", "ring", "switch"))
        size = {"pair": 2, "ring": 3}.get(kind) or rng.randint(2, 8)
        if len(lab.desks) + size > 200:
            break
        mine = [f"desk-{len(lab.desks) + place + 1}" for place in range(size)]
        lab.desks += mine
        if kind == "pair":
            plan.append(PlannedCable(f"pair_{number}", *mine))
            lab.cables += right([plan[-1]], rng.randint(0, 1))
        elif kind == "ring":
            stacks.append(PlannedStack(f"ring_{number}", "ring", tuple(mine)))
            turned = {name: rng.randint(0, 1) for name in mine}
            lab.cables += [
                [End(end.desk, end.port ^ turned[end.desk]) for end in cable if isinstance(end, End)] for cable in official(mine)
            ]
        else:
            stacks.append(PlannedStack(f"sw_{number}", "switch", tuple(mine)))
            lab.switches.append([End(name, rng.randint(0, 1)) for name in mine])
    return lab, plan, stacks


@given(labs())
@CALM
def test_every_kind_is_proven_in_any_company(case: tuple[Lab, list[PlannedCable], list[PlannedStack]]) -> None:
    lab, plan, stacks = case
    found = judged(lab, plan, stacks)
    assert found.steps == ()
    assert all(item.proven and item.allowed for item in (*found.pairs, *found.stacks))
    assert {item.severity for owner in (*found.pairs, *found.stacks) for item in owner.findings} <= {"ok", "note"}


@given(labs())
@CALM
def test_discovery_finds_what_is_cabled(case: tuple[Lab, list[PlannedCable], list[PlannedStack]]) -> None:
    lab, plan, stacks = case
    seen = discover(read_map(lab.probes(), {}, {}), lab.desks, {})
    assert {frozenset(pair) for pair in seen.pairs.values()} >= {frozenset((item.a, item.b)) for item in plan}
    found = {(topology, frozenset(members)) for topology, members in seen.stacks.values()}
    for stack in stacks:
        silent_two = stack.topology == "switch" and len(stack.members) == 2 and lab.lldp is None
        if silent_two:
            # Two desks on a switch that says nothing cannot be told from two on a cable.
            assert frozenset(stack.members) in {frozenset(pair) for pair in seen.pairs.values()}
        else:
            assert (stack.topology, frozenset(stack.members)) in found
    assert seen.unsure == {}


@given(labs(), st.randoms(use_true_random=False), st.sampled_from([0.05, 0.3, 1.0]))
@CALM
def test_with_plugs_mixed_up_nothing_wrong_is_allowed_and_the_moves_mend_pairs_and_rings(
    case: tuple[Lab, list[PlannedCable], list[PlannedStack]], rng: Random, share: float
) -> None:
    lab, plan, stacks = case
    plugs = [(cable, index) for cable in lab.cables for index in (0, 1) if rng.random() < share]
    ends = [cable[index] for cable, index in plugs]
    rng.shuffle(ends)
    for (cable, index), end in zip(plugs, ends, strict=True):
        cable[index] = end
    if lab.cables and rng.random() < 0.3:
        lab.cables.pop(rng.randrange(len(lab.cables)))
    found = judged(lab, plan, stacks)
    truth = {frozenset(cable) for cable in lab.cables}
    for cabling, stack in zip(found.stacks, stacks, strict=True):
        if stack.topology == "ring":
            inside = [cable for cable in truth if {end.desk for end in cable if isinstance(end, End)} <= set(stack.members)]
            joined = {frozenset(end.desk for end in cable if isinstance(end, End)) for cable in inside}
            closed = len(inside) == 3 and joined == {frozenset(two) for two in itertools.combinations(stack.members, 2)}
            assert cabling.allowed == closed
    lab.apply(plan_moves(read_map(lab.probes(), {}, {}), plan, stacks))
    after = judged(lab, plan, stacks)
    assert after.steps == ()
    rings = {stack.name for stack in stacks if stack.topology == "ring"}
    assert all(item.proven for item in after.pairs) and all(item.allowed for item in after.stacks if item.stack in rings)


@given(labs())
@CALM
def test_every_cage_on_a_switch_is_with_its_switch(case: tuple[Lab, list[PlannedCable], list[PlannedStack]]) -> None:
    lab, _plan, _stacks = case
    found = {frozenset(item.ends) for item in switches(read_map(lab.probes(), {}, {}))}
    told = {frozenset(group) for group in lab.switches if len(group) > 2 or lab.lldp}
    assert found == told
