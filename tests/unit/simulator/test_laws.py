"""Cables, power and hotplug: the laws that sick states depend on."""

from __future__ import annotations

import pytest
from sparklab import describe, figures, laws, spec
from sparklab.errors import LabError
from sparklab.laws import Wiring
from sparklab.spec import End

LAB = spec.parse(
    {
        "desks": {"a": {}, "b": {}, "c": {}},
        "cables": {"x": {"ends": ["a/0", "b/0"]}, "y": {"ends": ["c/1", None]}},
    }
)
MODEL = {"name": "m"}


def on(*desks: str) -> Wiring:
    wiring = laws.initial(LAB)
    for desk in desks:
        wiring = laws.started(wiring, desk)
    return wiring


def gbps(wiring: Wiring, desk: str = "a", port: str = "0", faults: dict | None = None) -> float:
    faults = faults or {}
    lists = {name: describe.functions(one, MODEL, faults.get(name, {})) for name, one in LAB.desks.items()}
    found = describe.ports(desk, wiring, LAB.cables, lists, faults)[port]["figures"]
    return float(found["one_way_gbps"])


def test_plugged_before_boot_is_healthy() -> None:
    assert gbps(on("a", "b")) == figures.HEALTHY["one_way_gbps"]


def test_a_plug_after_boot_gives_13_until_both_desks_start_again() -> None:
    wiring = on("a", "b")
    wiring = laws.plugged(laws.pulled(wiring, "x"), "x", (End("a", 0), End("b", 0)))
    assert gbps(wiring) == gbps(wiring, "b") == figures.REPLUG_GBPS
    one = laws.started(laws.stopped(wiring, "a"), "a")
    assert gbps(one) == figures.REPLUG_GBPS, "one restarted desk is not enough"
    both = laws.started(laws.stopped(one, "b"), "b")
    assert gbps(both) == gbps(both, "b") == figures.HEALTHY["one_way_gbps"]


def test_one_end_pulled_and_put_back_is_enough_for_the_trap() -> None:
    wiring = laws.plugged(laws.pulled(on("a", "b"), "x", End("a", 0)), "x", (End("a", 0),))
    assert wiring.stale == {End("a", 0)}
    assert gbps(wiring, "b") == figures.REPLUG_GBPS


def test_a_restart_with_the_cable_out_does_not_help() -> None:
    wiring = laws.pulled(on("a", "b"), "x")
    for desk in ("a", "b"):
        wiring = laws.started(laws.stopped(wiring, desk), desk)
    assert gbps(laws.plugged(wiring, "x", (End("a", 0), End("b", 0)))) == figures.REPLUG_GBPS


def test_plugging_while_both_are_off_is_healthy() -> None:
    wiring = laws.plugged(laws.pulled(on(), "x"), "x", (End("a", 0), End("b", 0)))
    for desk in ("a", "b"):
        wiring = laws.started(wiring, desk)
    assert gbps(wiring) == figures.HEALTHY["one_way_gbps"]


def test_carrier_needs_a_running_desk_at_the_other_end() -> None:
    assert laws.carrier(on("a", "b"), End("a", 0))
    assert not laws.carrier(on("a"), End("a", 0))
    assert not laws.carrier(on("a", "b"), End("a", 1))
    assert not laws.carrier(laws.pulled(on("a", "b"), "x", End("b", 0)), End("a", 0))


def test_the_adapter_leaves_only_without_any_plug_and_with_hotplug() -> None:
    wiring = on("a", "b", "c")
    assert laws.nic_present(wiring, "c", True), "a plug whose other end is loose keeps the adapter"
    gone = laws.pulled(wiring, "x")
    assert not laws.nic_present(gone, "a", True)
    assert laws.nic_present(gone, "a", False)


def test_moving_to_another_desk_crosses_pairs() -> None:
    wiring = laws.moved(on("a", "b", "c"), "x", End("b", 0), End("c", 0))
    assert wiring.peer(End("a", 0)) == End("c", 0)
    assert wiring.peer(End("b", 0)) is None
    assert wiring.stale == {End("c", 0)}


def test_a_cable_may_join_both_ports_of_a_desk() -> None:
    wiring = laws.plugged(on("a", "b", "c"), "y", (End("c", 0),))
    assert wiring.peer(End("c", 0)) == End("c", 1) and wiring.peer(End("c", 1)) == End("c", 0)
    assert laws.carrier(wiring, End("c", 0)) and laws.carrier(wiring, End("c", 1))
    assert not laws.carrier(laws.stopped(wiring, "c"), End("c", 0))


def test_home_is_where_the_description_has_it() -> None:
    wiring = laws.pulled(on(), "x", End("b", 0))
    assert laws.home(LAB.cables["x"], wiring) == (End("b", 0),)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda w: laws.pulled(w, "z"), "no cable 'z'; cables: x, y"),
        (lambda w: laws.pulled(w, "x", End("c", 0)), "x is not in c/0"),
        (lambda w: laws.pulled(laws.pulled(w, "x"), "x"), "already unplugged"),
        (lambda w: laws.plugged(w, "x", (End("c", 0),)), "no loose end"),
        (lambda w: laws.plugged(w, "y", (End("a", 0),)), "already holds x"),
        (lambda w: laws.plugged(w, "y", (End("c", 1),)), "already holds y"),
        (lambda w: laws.moved(w, "x", End("b", 0), End("c", 1)), "already holds y"),
    ],
)
def test_impossible_moves_are_named(act, words: str) -> None:
    with pytest.raises(LabError) as caught:
        act(on("a", "b", "c"))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("faults", "key", "value"),
    [
        ({"b": {"slow_13g": {}}}, "one_way_gbps", 13.1),
        ({"b": {"link_25g": {}}}, "one_way_gbps", 25.0),
        ({"b": {"tx_capped": {}}}, "dual_sum_gbps", 25.4),
        ({"b": {"bidir_degraded": {}}}, "one_way_gbps", 109.0),
        ({"b": {"bidir_degraded": {}}}, "both_ways_gbps", 26.0),
        ({"b": {"half_width": {}}}, "one_way_gbps", 109.0),
        ({"b": {"half_width": {}}}, "dual_sum_gbps", 147.07),
        ({"b": {"slow_13g": {"port": 1}}}, "one_way_gbps", 109.0),
    ],
)
def test_faults_show_at_both_ends(faults: dict, key: str, value: float) -> None:
    wiring = on("a", "b")
    lists = {name: describe.functions(one, MODEL, faults.get(name, {})) for name, one in LAB.desks.items()}
    for desk in ("a", "b"):
        found = describe.ports(desk, wiring, LAB.cables, lists, faults)["0"]
        assert found["figures"][key] == pytest.approx(value)


def test_the_trap_shows_in_no_status() -> None:
    wiring = laws.plugged(laws.pulled(on("a", "b"), "x"), "x", (End("a", 0), End("b", 0)))
    lists = {name: describe.functions(one, MODEL, {}) for name, one in LAB.desks.items()}
    port = describe.ports("a", wiring, LAB.cables, lists, {})["0"]
    assert (port["speed_mbps"], port["carrier"], port["plugged_after_boot"]) == (200000, True, True)


def test_macs_are_unique_and_local() -> None:
    macs = [one["mac"] for desk in LAB.desks.values() for one in describe.functions(desk, MODEL, {})]
    macs += [describe.management_mac(desk) for desk in LAB.desks.values()]
    assert len(set(macs)) == len(macs)
    assert all(mac.startswith("02:") for mac in macs)


def test_nic_missing_and_twin_missing() -> None:
    desk = LAB.desks["a"]
    gone = [one["netdev"] for one in describe.functions(desk, MODEL, {"twin_missing": {}}) if not one["present"]]
    assert gone == ["enP2p1s0f0np0"]
    assert not any(one["present"] for one in describe.functions(desk, MODEL, {"nic_missing": {}}))
