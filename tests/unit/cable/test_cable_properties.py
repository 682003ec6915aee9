"""Random labs with random mis-cablings: the map is the truth, the verdicts follow it, and the moves end in the plan."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_judge import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import read_map
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_moves import plan_moves
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import End, PlannedCable
from cabled_lab import Lab, pairs, plugs_moved, right
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STRANGER = "48:8f:5a:00:00:01"
CODES_OF_OWN_CABLE = {"CABLE_OK", "CABLE_WRONG_PORT"}


@st.composite
def labs(draw: st.DrawFn, most: int = 100, silent: bool = True) -> tuple[Lab, list[PlannedCable]]:
    """2 to 200 desks; every cage may hold the plug of any cable, some cables are right, some desks do not answer."""
    count = draw(st.integers(1, most))
    desks, plan = pairs(count)
    rng = draw(st.randoms(use_true_random=False))
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    cables = [cable for cable in right(plan) if rng.random() >= share]
    used = {end for cable in cables for end in cable}
    free: list[End | str | None] = [end for desk in desks for port in (0, 1) if (end := End(desk, port)) not in used]
    rng.shuffle(free)
    lost = draw(st.sampled_from([0.0, 0.2, 0.7]))
    while len(free) >= 2:
        one, two = free.pop(), free.pop()
        if rng.random() >= lost:
            cables.append([one, two])
    # One cable may lead to a stranger, or hang out with one plug (which only the plug's memory tells).
    far = draw(st.sampled_from(["as it is", "stranger", "loose"]))
    lab = Lab(desks, cables, eeprom=far == "loose" or draw(st.booleans()))
    if far != "as it is":
        for cable in cables[:1]:
            cable[1] = STRANGER if far == "stranger" else None
    if silent and draw(st.booleans()):
        lab.silent = set(rng.sample(desks, rng.randint(0, max(1, len(desks) // 5))))
    return lab, plan


@given(labs())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_map_shows_every_cable_between_answering_desks_and_none_that_is_not_there(case: tuple[Lab, list[PlannedCable]]) -> None:
    lab, _plan = case
    found = {frozenset((edge.a, edge.b)) for edge in read_map(lab.probes(), {}, lab.unread()).edges}
    truth = {frozenset(cable) for cable in lab.cables if all(isinstance(end, End) and end.desk not in lab.silent for end in cable)}
    assert found == truth


@given(labs())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_pair_is_proven_exactly_when_a_cable_joins_its_desks(case: tuple[Lab, list[PlannedCable]]) -> None:
    lab, plan = case
    probes = lab.probes()
    judged = judge(read_map(probes, {}, lab.unread()), plan, probes)
    for planned in plan:
        pair = judged.of_pair(planned.pair)
        assert pair is not None
        own = [cable for cable in lab.cables if {end.desk for end in cable if isinstance(end, End)} == {planned.a, planned.b}]
        seen = [cable for cable in own if not lab.silent & {planned.a, planned.b}]
        codes = {item.code for item in pair.findings}
        severities = {item.severity for item in pair.findings}
        assert pair.proven == bool(seen)
        assert bool(codes & CODES_OF_OWN_CABLE) == bool(seen)
        if seen:
            assert pair.allowed
            assert [pair.ports[planned.a], pair.ports[planned.b]] in [
                [end.port for end in sorted(cable, key=lambda end: end.desk)]
                for cable in seen  # type: ignore[union-attr, arg-type]
            ]
        else:
            assert severities & {"fail", "unknown"}, codes
            strange = [cable for cable in lab.cables if cable not in own]
            wrong = [cable for cable in strange if any(isinstance(end, End) and end.desk == planned.a for end in cable)]
            known = [cable for cable in wrong if not any(isinstance(end, End) and end.desk in lab.silent for end in cable)]
            if known and planned.a not in lab.silent and not lab.silent:
                assert not pair.allowed and "fail" in severities


@given(labs(silent=False))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_moves_applied_to_the_cabling_end_in_the_plan(case: tuple[Lab, list[PlannedCable]]) -> None:
    lab, plan = case
    lab.apply(plan_moves(read_map(lab.probes(), {}, {}), plan))
    probes = lab.probes()
    after = judge(read_map(probes, {}, {}), plan, probes)
    for pair in after.pairs:
        codes = {item.code for item in pair.findings if item.severity in ("fail", "warn", "unknown")}
        assert pair.proven and not codes, (pair, lab.cables)
    assert after.steps == ()


@given(labs(most=20))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_with_silent_desks_the_moves_never_break_a_pair_and_mend_all_that_are_known(case: tuple[Lab, list[PlannedCable]]) -> None:
    lab, plan = case

    def whole() -> set[str]:
        return {
            item.pair
            for item in plan
            for cable in lab.cables
            if all(isinstance(end, End) for end in cable)
            and {end.desk for end in cable} == {item.a, item.b}  # type: ignore[union-attr]
            and len({end.port for end in cable}) == 1  # type: ignore[union-attr]
        }

    before = whole()
    strangers = any(isinstance(end, str) for cable in lab.cables for end in cable)
    lab.apply(plan_moves(read_map(lab.probes(), {}, lab.unread()), plan))
    assert before <= whole()
    if not strangers and not lab.silent:
        assert whole() == {item.pair for item in plan}


def fewest(lab: Lab, plan: list[PlannedCable]) -> int:
    """The fewest plugs put into a cage, by trying every way to give each pair a cable (small labs only)."""
    whole = [tuple(end for end in cable if isinstance(end, End)) for cable in lab.cables]
    best = 99
    for chosen in itertools.permutations([*range(len(whole)), *[None] * len(plan)], len(plan)):
        cost = 0
        for planned, index in zip(plan, chosen, strict=True):
            ends = () if index is None else whole[index]
            cost += min(sum(end not in ends for end in (End(planned.a, port), End(planned.b, port))) for port in (0, 1))
        best = min(best, cost)
    return best


@given(labs(most=3, silent=False))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_other_way_moves_fewer_plugs(case: tuple[Lab, list[PlannedCable]]) -> None:
    lab, plan = case
    steps = plan_moves(read_map(lab.probes(), {}, {}), plan)
    # Where both cables of a pair stay inside it on wrong cages, one exchange of two plugs leaves both right; with one of them
    # taken out a single plug would do, so this case may cost one plug more.
    inside = sum(
        sum({end.desk for end in cable if isinstance(end, End)} <= {item.a, item.b} for cable in lab.cables if None not in cable) == 2
        and not any({End(item.a, port), End(item.b, port)} == set(cable) for cable in lab.cables for port in (0, 1))
        for item in plan
    )
    assert fewest(lab, plan) <= plugs_moved(steps) <= fewest(lab, plan) + inside


# ---- kinds with a known verdict and a known number of plugs ------------------------------------------------------------

Ends = list[End | str | None]


@dataclass(frozen=True)
class Kind:
    """A way to cable wrongly: how many pairs it needs, what it does to them, which codes each gets, how many plugs mend it."""

    pairs: int
    cables: Callable[[Sequence[PlannedCable]], list[Ends]]
    codes: tuple[frozenset[str], ...]
    plugs: int
    steps: int


def codes(*names: str) -> frozenset[str]:
    return frozenset(names)


FINE = codes("CABLE_OK")
KINDS: dict[str, Kind] = {
    "right": Kind(1, lambda p: [[End(p[0].a, 0), End(p[0].b, 0)]], (FINE,), 0, 0),
    "right_on_port_1": Kind(1, lambda p: [[End(p[0].a, 1), End(p[0].b, 1)]], (FINE,), 0, 0),
    "double": Kind(1, lambda p: [[End(p[0].a, port), End(p[0].b, port)] for port in (0, 1)], (codes("CABLE_OK", "CABLE_DOUBLE"),), 0, 0),
    "crossed": Kind(
        2,
        lambda p: [[End(p[0].a, 0), End(p[1].a, 0)], [End(p[0].b, 0), End(p[1].b, 0)]],
        (codes("CABLE_CROSSED"), codes("CABLE_CROSSED")),
        2,
        1,
    ),
    "crossed_the_other_way_on_mixed_ports": Kind(
        2,
        lambda p: [[End(p[0].a, 0), End(p[1].b, 1)], [End(p[0].b, 0), End(p[1].a, 1)]],
        (codes("CABLE_CROSSED"), codes("CABLE_CROSSED")),
        2,
        # One plug into a free cage, then the next: an exchange is not needed, or not enough.
        0,
    ),
    "ring_of_three": Kind(
        3,
        lambda p: [[End(p[0].b, 0), End(p[1].a, 0)], [End(p[1].b, 0), End(p[2].a, 0)], [End(p[2].b, 0), End(p[0].a, 0)]],
        (codes("CABLE_WRONG_PEER"),) * 3,
        3,
        1,
    ),
    "wrong_port": Kind(1, lambda p: [[End(p[0].a, 0), End(p[0].b, 1)]], (codes("CABLE_WRONG_PORT"),), 1, 1),
    "looped": Kind(1, lambda p: [[End(p[0].a, 0), End(p[0].a, 1)]], (codes("CABLE_LOOPED", "CABLE_DARK"),), 1, 1),
    "two_loops": Kind(1, lambda p: [[End(p[0].a, 0), End(p[0].a, 1)], [End(p[0].b, 0), End(p[0].b, 1)]], (codes("CABLE_LOOPED"),), 2, 1),
    "no_cable": Kind(1, lambda p: [], (codes("CABLE_DARK"),), 2, 1),
    "one_plug_out": Kind(1, lambda p: [[End(p[0].a, 0), None]], (codes("CABLE_DARK"),), 1, 1),
    "unknown_device": Kind(1, lambda p: [[End(p[0].a, 0), STRANGER]], (codes("CABLE_UNKNOWN_PEER", "CABLE_DARK"),), 1, 1),
    "in_a_pair_that_is_right": Kind(
        2,
        lambda p: [[End(p[0].a, 0), End(p[1].b, 1)], [End(p[1].a, 0), End(p[1].b, 0)]],
        (codes("CABLE_WRONG_PEER", "CABLE_DARK"), codes("CABLE_OK", "CABLE_UNPLANNED")),
        1,
        1,
    ),
    "one_cable_for_two": Kind(
        # The first pair must leave the cable that both could use to the second, and take the one that only it can use.
        2,
        lambda p: [[End(p[0].a, 0), End(p[1].a, 0)], [End(p[0].b, 0), STRANGER]],
        (codes("CABLE_WRONG_PEER", "CABLE_UNKNOWN_PEER"), codes("CABLE_WRONG_PEER", "CABLE_DARK")),
        2,
        2,
    ),
    "one_too_many": Kind(
        2,
        lambda p: [[End(p[0].a, 0), End(p[0].b, 0)], [End(p[1].a, 0), End(p[1].b, 0)], [End(p[0].a, 1), End(p[1].a, 1)]],
        (codes("CABLE_OK", "CABLE_UNPLANNED"),) * 2,
        0,
        1,
    ),
}


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[Lab, list[PlannedCable], list[tuple[str, tuple[PlannedCable, ...]]]]:
    """1 to 100 pairs, each in one of the kinds, in random order."""
    desks, plan = pairs(draw(st.integers(1, 100)))
    rng = draw(st.randoms(use_true_random=False))
    wanted = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=20))
    left = list(plan)
    rng.shuffle(left)
    cables: list[Ends] = []
    placed: list[tuple[str, tuple[PlannedCable, ...]]] = []
    for name in [*wanted, *["right"] * len(plan)]:
        kind = KINDS[name]
        if len(left) >= kind.pairs:
            mine, left = tuple(left[: kind.pairs]), left[kind.pairs :]
            placed.append((name, mine))
            cables += [list(cable) for cable in kind.cables(mine)]
    rng.shuffle(cables)
    for cable in cables:
        rng.shuffle(cable)
    return Lab(desks, cables, eeprom=True), plan, placed


@given(mixtures())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_each_kind_gets_its_code_in_any_company_and_the_fewest_plugs_mend_all(
    case: tuple[Lab, list[PlannedCable], list[tuple[str, tuple[PlannedCable, ...]]]],
) -> None:
    lab, plan, placed = case
    probes = lab.probes()
    judged = judge(read_map(probes, {}, {}), plan, probes)
    for name, mine in placed:
        for planned, expected in zip(mine, KINDS[name].codes, strict=True):
            pair = judged.of_pair(planned.pair)
            assert pair is not None
            assert {item.code for item in pair.findings} == expected, (name, pair.findings)
            assert pair.allowed == bool(expected & CODES_OF_OWN_CABLE), name
    # A pair without any cable takes a whole cable that is of no use elsewhere, so kinds with one to spare are counted alone.
    assert plugs_moved(judged.steps) == sum(KINDS[name].plugs for name, _mine in placed)
    lab.apply(judged.steps)
    probes = lab.probes()
    after = judge(read_map(probes, {}, {}), plan, probes)
    assert after.steps == ()
    assert not {item.code for pair in after.pairs for item in pair.findings if item.severity not in ("ok", "note")}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_each_kind_alone_is_mended_by_the_known_number_of_steps(name: str) -> None:
    kind = KINDS[name]
    desks, plan = pairs(kind.pairs)
    lab = Lab(desks, [list(cable) for cable in kind.cables(plan)], eeprom=True)
    probes = lab.probes()
    judged = judge(read_map(probes, {}, {}), plan, probes)
    assert plugs_moved(judged.steps) == kind.plugs
    if name != "crossed_the_other_way_on_mixed_ports":
        assert len(judged.steps) == kind.steps
    sentences = [item.message for pair in judged.pairs for item in pair.findings]
    for planned in plan:
        told = [step.sentence for step in judged.steps if planned.pair in step.pairs]
        findings = judged.of_pair(planned.pair).findings  # type: ignore[union-attr]
        own = " ".join(item.message for item in findings)
        crossed = next((item for item in findings if item.code == "CABLE_CROSSED"), None)
        if crossed is not None and "whose finding says what to do" in crossed.message:
            other = crossed.evidence["other_pair"]
            assert f"pair {other}" in crossed.message
            own = " ".join(item.message for item in judged.of_pair(other).findings)  # type: ignore[union-attr]
        assert all(own.count(sentence) == 1 for sentence in told), "each movement is told once for each pair that it concerns"
    assert all(len(message) < 900 for message in sentences)


# ---- desks that cannot be asked ----------------------------------------------------------------------------------------


@given(labs(most=30), st.randoms(use_true_random=False), st.sampled_from([0.1, 0.5, 1.0]))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_cannot_be_asked_is_never_proven_and_never_guessed(case: tuple[Lab, list[PlannedCable]], rng: Random, share: float) -> None:
    """Desks without IPv6, LLDP and root: no cable is shown that is not there, and no pair is proven without a cable of its own."""
    lab, plan = case
    lab.deaf = {desk for desk in lab.desks if rng.random() < share}
    probes = lab.probes()
    cables = read_map(probes, {}, lab.unread())
    truth = {frozenset(cable) for cable in lab.cables if all(isinstance(end, End) for end in cable)}
    found = {frozenset((edge.a, edge.b)) for edge in cables.edges}
    assert found <= truth
    asked = {cable for cable in truth if not any(end.desk in lab.deaf | lab.silent for end in cable)}  # type: ignore[union-attr]
    assert asked <= found
    judged = judge(cables, plan, probes)
    for planned in plan:
        pair = judged.of_pair(planned.pair)
        assert pair is not None
        own = [cable for cable in found if {end.desk for end in cable} == {planned.a, planned.b}]  # type: ignore[union-attr]
        assert pair.proven == bool(own)
        if not own:
            assert {item.severity for item in pair.findings} & {"fail", "unknown"}
    # What is told to be moved is a cable that was seen, or one that the desk itself holds.
    held = {end for cable in lab.cables for end in cable if isinstance(end, End)}
    for step in judged.steps:
        for move in step.plugs:
            assert move.source is None or move.source in held
            assert move.anchor is None or move.anchor in held


@given(mixtures())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_every_cage_is_in_exactly_one_place_of_the_map(
    case: tuple[Lab, list[PlannedCable], list[tuple[str, tuple[PlannedCable, ...]]]],
) -> None:
    lab, _plan, _placed = case
    cables = read_map(lab.probes(), {}, {})
    told = [end for edge in cables.edges for end in edge.ends]
    told += [item.at for item in (*cables.strangers, *cables.shared, *cables.unseen)] + list(cables.dark)
    assert sorted(told) == sorted(End(desk, port) for desk in lab.desks for port in (0, 1))


# ---- time --------------------------------------------------------------------------------------------------------------


def test_two_hundred_desks_are_judged_in_less_than_a_second() -> None:
    desks, plan = pairs(100)
    cables: list[list[End | str | None]] = []
    # The worst kind: one ring through all pairs, and every second cage looped nowhere.
    for index, planned in enumerate(plan):
        cables.append([End(planned.b, 0), End(plan[(index + 1) % 100].a, 0)])
    lab = Lab(desks, cables, eeprom=True)
    probes = lab.probes()
    # Processor time: the machine that runs the tests may be busy with others. tests/bench/cables.py prints both.
    begun = time.process_time()
    judged = judge(read_map(probes, {}, {}), plan, probes)
    assert time.process_time() - begun < 1.0
    assert plugs_moved(judged.steps) == 100
