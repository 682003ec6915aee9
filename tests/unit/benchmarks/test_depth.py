"""Adaptive depth against full depth: the same verdict on every sick state, fewer steps on a healthy pair."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import common, rdma
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import rdma as judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks import with_lab_marks
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.rdma_hardest import PCIE_GBPS, weigh
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Path as CablePath
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.proof import RdmaEvidence, RdmaStep
from measured import measure
from proof_samples import ENDS, NETDEVS, bytes_of, end, function, grown, rdma_evidence, run, steps
from scripted_side import ScriptedSide, World
from sparklab.figures import FIGURE_FAULTS, FULL_WIDTH, EndState, figures, speed_mbps
from test_rdma_judge import RED, at_speed


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common.time, "sleep", lambda _seconds: None)


def fresh(world: World) -> World:
    """A world in which nothing has happened yet."""
    return dataclasses.replace(world, log=[], octets={}, listening={"desk-01": set(), "desk-02": set()}, starts=0)


def measured(world: World, depth: str, marks=judge.MARKS) -> RdmaEvidence:
    world = fresh(world)
    options = rdma.RdmaOptions(depth=depth)
    return rdma.measure((ScriptedSide(world, 0), ScriptedSide(world, 1)), CablePath(*world.ends), options, marks)


def codes(world: World, evidence: RdmaEvidence) -> dict[str, str]:
    return {item.code: item.severity for item in judge.judge("pair_a", world.ends, evidence)}


def test_a_healthy_pair_is_proven_by_the_hardest_step_alone() -> None:
    world = World()
    evidence = measured(world, "adaptive")
    assert evidence.steps == () and evidence.latency_us == 1.47
    assert evidence.hardest is not None and (evidence.hardest.kind, len(evidence.hardest.runs)) == ("both_ways", 2)
    assert codes(world, evidence) == {} == codes(world, measured(world, "full"))


@pytest.mark.parametrize("depth", ["adaptive", "full"])
@pytest.mark.parametrize(
    ("world", "told"),
    [
        (World(takes_ports="desk-02"), "another user listens on TCP port"),
        (World(server_ends={"desk-02": (1, "Couldn't listen to port 18515\n")}), "Couldn't listen to port 18515"),
    ],
)
def test_what_was_no_server_of_ours_to_its_end_proves_no_pair(
    world: World, told: str, depth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clients print a healthy pair's figures all the same."""
    seen = measure("rdma_pair", fresh(world), tmp_path, monkeypatch, {"depth": depth})
    assert (seen.result["verdict"], seen.codes) == ("UNKNOWN", {"RDMA_NOT_MEASURED": "unknown"})
    assert told in seen.finding("RDMA_NOT_MEASURED")["message"]


def test_the_result_tells_each_easier_step_with_its_arithmetic() -> None:
    told = judge.summary(ENDS, measured(World(), "adaptive"))
    assert told["measured"] is True and told["sum_both_ways_gbps"] == 392.0
    # What was not measured is not told as measured.
    assert told["sum_forward_gbps"] is None and all(row["forward_gbps"] is None for row in told["functions"])
    assert told["hardest"]["proves_all"] is True and told["hardest"]["measured_because"] == []
    assert told["hardest"]["functions"][0] == {"function": 0, "device": "rocep1s0f0", "forward_gbps": 98.0, "back_gbps": 98.0}
    implied = {item["step"]: item for item in told["hardest"]["implied"]}
    assert len(implied) == rdma.STEPS
    assert implied["all functions, desk-01 to desk-02"]["arithmetic"].startswith("98.0 + 98.0 = 196.0 Gb/s")
    assert implied["rocep1s0f0 alone, both directions"]["mark_gbps"] == pytest.approx(1.5 * PCIE_GBPS)
    assert {row["state"] for row in told["counters"]} == {"fits"}
    json.dumps(told)


def test_full_depth_measures_every_step_and_tells_nothing_implied() -> None:
    told = judge.summary(ENDS, measured(World(), "full"))
    assert "hardest" not in told and told["sum_forward_gbps"] == 196.0


def test_what_the_hardest_step_does_not_prove_is_measured_and_said() -> None:
    evidence = measured(World(both=150.0), "adaptive")
    told = judge.summary(ENDS, evidence)
    assert len(evidence.steps) == rdma.STEPS
    assert told["hardest"]["implied"] == [] and any("75.0 Gb/s" in item for item in told["hardest"]["measured_because"])


def simulated(first: EndState, second: EndState) -> World:
    """A cable of the simulator's own model, as its ib_write_bw shows it."""
    found = figures((first, second))
    dual = min(found["one_way_gbps"], found["dual_sum_gbps"] / 2)
    both, alone = (min(found["both_ways_gbps"], 2 * value) for value in (dual, found["one_way_gbps"]))
    narrow = [min(widths) for widths in zip(first.link_widths, second.link_widths, strict=True)]
    told = min(speed_mbps(first), speed_mbps(second))
    functions = [tuple(function(desk, place, pcie_width=narrow[place], speed_mbps=told) for place in (0, 1)) for desk in (1, 2)]
    ends = (end(1, functions=functions[0]), end(2, functions=functions[1]))
    return World(ends=ends, one_way=found["one_way_gbps"], dual=dual, both=both, both_alone=alone)


def state(faults: dict[str, dict[str, object]] | None = None, replugged: bool = False, widths: tuple[int, int] = (4, 4)) -> EndState:
    return EndState(0, widths, replugged, faults or {})


SIMULATED = {
    **{name: simulated(state(), state({name: {}})) for name in FIGURE_FAULTS},
    "bidir_119": simulated(state({"bidir_degraded": {"both_ways_gbps": 119}}), state()),
    "bidir_180": simulated(state({"bidir_degraded": {"both_ways_gbps": 180}}), state()),
    "one_way_90": simulated(state({"slow_13g": {"one_way_gbps": 90}}), state()),
    "one_way_93": simulated(state({"slow_13g": {"one_way_gbps": 93}}), state()),
    "replugged": simulated(state(replugged=True), state()),
    "half_width": simulated(state(widths=(FULL_WIDTH, 2)), state()),
}
SCRIPTED = {
    "counters_still": World(counting=False),
    "one_half": World(perftest_fails=("roceP2p1s0f0", " Failed status 12: wr_id 0 syndrom 0x81")),
    "enomem": World(perftest_fails=("rocep1s0f0", "Couldn't allocate MR: Cannot allocate memory")),
    "no_tool": World(missing=frozenset({("desk-02", "ib_write_bw")})),
    "no_gid": World(no_gid="roceP2p1s0f0"),
    "blocked": World(blocked="desk-02"),
    "stranger": World(stranger="enP2p1s0f0np0"),
    "lost at once": World(lose_after=0),
    "lost in a step": World(lose_after=3, both=26.0),
    "13g": World(one_way=13.0, dual=13.0, both=26.0, both_alone=26.0),
    "bidir": World(both=26.0, both_alone=26.0),
    "bidir warns": World(both=119.0, both_alone=119.0),
    "narrow": World(ends=(ENDS[0], end(2, functions=(function(2, 0), function(2, 1, pcie_width=2))))),
    "100g": World(ends=at_speed(100_000), one_way=47.0, dual=30.0, both=60.0, both_alone=90.0),
    "mtu 1500": World(ends=tuple(end(desk, functions=tuple(function(desk, place, mtu=1500) for place in (0, 1))) for desk in (1, 2))),
    "no figure for each direction": World(tells_each_way=False),
    "no figure for each direction, sick": World(tells_each_way=False, both=26.0, both_alone=26.0),
}


@pytest.mark.parametrize("name", [*SIMULATED, *SCRIPTED])
def test_both_depths_have_one_verdict(name: str) -> None:
    world = {**SIMULATED, **SCRIPTED}[name]
    adaptive, full = measured(world, "adaptive"), measured(world, "full")
    assert codes(world, adaptive) == codes(world, full)
    if any(severity != "note" for severity in codes(world, full).values()) and not full.problems:
        assert len(adaptive.steps) == len(full.steps), "a sick path is diagnosed to the end"


def test_most_of_these_states_are_sick() -> None:
    well = {name for name, world in {**SIMULATED, **SCRIPTED}.items() if not codes(world, measured(world, "full"))}
    assert well == {"no figure for each direction", "bidir_180", "speed_100g"}


@pytest.mark.parametrize(("lean", "both", "sick"), [(35.0, 196.0, True), (3.5, 196.0, True), (2.0, 196.0, False), (-35.0, 196.0, True)])
def test_a_fault_of_one_direction_does_not_hide_in_the_sum(lean: float, both: float, sick: bool) -> None:
    evidence = measured(World(lean=lean, both=both), "adaptive")
    assert bool(evidence.steps) == sick


def test_one_dead_counter_goes_on_to_the_steps() -> None:
    evidence = of_the_hardest_only(rdma_evidence())
    assert weigh(ENDS, evidence).proven
    for desk in (0, 1):
        for netdev in evidence.hardest_growth[desk].before:
            for name in evidence.hardest_growth[desk].before[netdev]:
                growth = list(evidence.hardest_growth)
                after = {place: dict(values) for place, values in growth[desk].after.items()}
                after[netdev][name] = growth[desk].before[netdev][name]
                growth[desk] = dataclasses.replace(growth[desk], after=after)
                weighed = weigh(ENDS, dataclasses.replace(evidence, hardest_growth=tuple(growth)))
                assert not weighed.proven and any(name in item and "still" in item for item in weighed.missing)


def test_a_labs_own_mark_counts_at_both_depths() -> None:
    marks = with_lab_marks([{"name": "rdma_one_function", "value": 108.85}])
    evidence = measured(World(), "adaptive", marks)
    assert len(evidence.steps) == rdma.STEPS
    assert judge.judge("pair_a", ENDS, evidence, marks) == judge.judge("pair_a", ENDS, measured(World(), "full", marks), marks) == []


def test_a_hardest_step_alone_that_proves_too_little_is_no_measurement() -> None:
    evidence = dataclasses.replace(measured(World(both=150.0), "adaptive"), steps=(), growth=())
    assert {item.code for item in judge.judge("pair_a", ENDS, evidence)} == {"RDMA_NOT_MEASURED"}
    assert judge.summary(ENDS, evidence)["measured"] is False


def of_the_hardest_only(evidence: RdmaEvidence) -> RdmaEvidence:
    """What adaptive depth would have seen first on a path with these steps: no function carries more than in any easier step."""
    most: dict[tuple[int, str], float] = {}
    errors = {item.function: item for step in evidence.steps for item in step.runs if item.error is not None}
    for step in evidence.steps:
        for item in step.runs:
            share = (item.gbps or 0.0) * (0.5 if step.kind == "both_ways" else 1.0)
            for way in ("forward", "back") if step.kind == "both_ways" else (step.direction,):
                most[(item.function, way)] = min(share, most.get((item.function, way), share))
    runs = []
    for place in sorted({place for place, _way in most}):
        sent, back = most[(place, "forward")], most[(place, "back")]
        one = dataclasses.replace(run(place, 1, 2, sent + back, 0.5), sent_gbps=sent, back_gbps=back)
        failed = errors.get(place)
        runs.append(one if failed is None else dataclasses.replace(one, gbps=None, error=failed.error))
    hardest = RdmaStep("both_ways", "both", tuple(runs))
    # Counters that showed another share of the bytes over the nine steps show that share over the hardest one.
    growth = ()
    if evidence.growth:
        shown, right = (item.growth[0].grown(NETDEVS[0], "port_xmit_data") or 0 for item in (evidence, rdma_evidence(evidence.steps)))
        growth = grown(*bytes_of((hardest,), wire=1.03 * shown / max(1, right)))
    return dataclasses.replace(evidence, hardest=hardest, hardest_growth=growth, steps=(), growth=())


MEASURED = [row for row in RED if row[1] != "note" and row[2].steps and not row[2].problems]
"""Of the others nothing was measured, at either depth."""


@pytest.mark.parametrize(("code", "severity", "evidence", "ends"), MEASURED)
def test_the_sick_samples_of_the_judge_are_never_proven(code: str, severity: str, evidence: RdmaEvidence, ends) -> None:
    del code, severity
    assert not weigh(ends, of_the_hardest_only(evidence)).proven


def test_whatever_is_proven_would_have_passed_every_step() -> None:
    """Paths at random near every mark: the hardest step at its best never proves a path that the nine steps would find fault with."""
    chance = random.Random(14)
    proven = 0
    for _number in range(4000):
        forward, back = ((chance.uniform(94, 126), chance.uniform(94, 126)) for _way in (0, 1))
        dual = chance.uniform(91, 100)
        alone = tuple(chance.uniform(1.45, 2.0) * max(forward[place], back[place]) for place in (0, 1))
        listed = steps(forward, back, dual, chance.uniform(182, 2 * dual), (alone[0], alone[1]))
        evidence = rdma_evidence(listed)
        if weigh(ENDS, of_the_hardest_only(evidence)).proven:
            proven += 1
            assert judge.judge("pair_a", ENDS, evidence) == []
    assert 100 < proven < 3000
