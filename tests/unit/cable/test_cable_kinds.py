"""Labs that are no plain pairs: switches with strangers, bonds, rings, desks that were not reached."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_judge import Judgement, judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.cable_map import read_map
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import CableProbe, End, Neighbour, PlannedCable
from cabled_lab import Lab, mac, pairs, right

DESKS, PLAN = pairs(2)
A, B = (End(name, 0) for name in DESKS[:2])


def codes(judgement: Judgement, pair: str = "pair_1") -> dict[str, str]:
    found = judgement.of_pair(pair)
    assert found is not None
    return {item.code: item.severity for item in found.findings}


def with_neighbours(probe: CableProbe, port: int, *more: Neighbour, drop: bool = False) -> CableProbe:
    ports = tuple(
        dataclasses.replace(
            item, functions=tuple(dataclasses.replace(own, neighbours=(*(() if drop else own.neighbours), *more)) for own in item.functions)
        )
        if item.port == port
        else item
        for item in probe.ports
    )
    return dataclasses.replace(probe, ports=ports)


@pytest.mark.parametrize(
    "stranger",
    [
        Neighbour(None, "lldp", "MikroTik", "bridge/qsfp56-1-1", "dc:2c:6e:00:00:01"),
        Neighbour("dc:2c:6e:00:00:02", "lldp", "crs812", "qsfp56-1-1"),
        Neighbour("02:5a:77:01:00:00", "ipv6"),
        Neighbour("02:5a:77:01:00:00", "frame", "desk-99", "0"),
        Neighbour(None, "lldp", "lab-switch", "swp1"),
    ],
)
def test_a_stranger_beside_the_peer_is_a_switch(stranger: Neighbour) -> None:
    lab = Lab(DESKS, right(PLAN))
    probes = lab.probes()
    for desk in ("desk-01", "desk-02"):
        probes[desk] = with_neighbours(probes[desk], 0, stranger)
    found = judge(read_map(probes, {}), PLAN, probes)
    assert codes(found) == {"CABLE_SWITCH": "fail"}
    cabling = found.of_pair("pair_1")
    assert cabling is not None and not cabling.proven and not cabling.allowed
    assert codes(found, "pair_2") == {"CABLE_OK": "ok"}
    assert found.steps == ()


def test_one_end_that_sees_a_stranger_is_enough() -> None:
    probes = Lab(DESKS, right(PLAN)).probes()
    probes["desk-01"] = with_neighbours(probes["desk-01"], 0, Neighbour("dc:2c:6e:00:00:02", "lldp", "crs812", "q1"))
    assert "CABLE_OK" not in codes(judge(read_map(probes, {}), PLAN, probes))


def test_the_peer_told_by_its_name_or_another_of_its_functions_is_no_stranger() -> None:
    probes = Lab(DESKS, right(PLAN)).probes()
    told = Neighbour(None, "lldp", "desk-02", "enp1s0f0np0", "02:5a:99:00:00:00")
    probes["desk-01"] = with_neighbours(probes["desk-01"], 0, told)
    assert codes(judge(read_map(probes, {}), PLAN, probes)) == {"CABLE_OK": "ok"}


def bonded(probe: CableProbe, shared: str) -> CableProbe:
    """A bond over the first function of both cages: both carry one MAC, without link-local addresses of their own."""
    ports = tuple(
        dataclasses.replace(
            port,
            functions=tuple(
                dataclasses.replace(item, mac=shared, link_local=False) if place == 0 else item for place, item in enumerate(port.functions)
            ),
        )
        for port in probe.ports
    )
    return dataclasses.replace(probe, ports=ports)


def test_a_bonded_desk_is_known_by_what_its_frame_says() -> None:
    shared = mac(1, 0, 0)
    probes = Lab(DESKS, right(PLAN)).probes()
    probes["desk-01"] = with_neighbours(probes["desk-01"], 0, Neighbour(shared, "frame", "desk-02", "0"), drop=True)
    probes["desk-02"] = bonded(probes["desk-02"], shared)
    assert codes(judge(read_map(probes, {}), PLAN, probes)) == {"CABLE_OK": "ok"}


@pytest.mark.parametrize("told", [Neighbour(mac(1, 0, 0), "frame", "desk-03", "0"), Neighbour(mac(1, 0, 0), "ipv6")])
def test_a_bonded_desk_whose_cage_is_not_told_is_no_stranger(told: Neighbour) -> None:
    probes = Lab(DESKS, right(PLAN)).probes()
    probes["desk-01"] = with_neighbours(probes["desk-01"], 0, told, drop=True)
    probes["desk-02"] = with_neighbours(bonded(probes["desk-02"], mac(1, 0, 0)), 0, drop=True)
    found = judge(read_map(probes, {}), PLAN, probes)
    assert "CABLE_UNKNOWN_PEER" not in codes(found) and "CABLE_OK" not in codes(found)
    assert not any(step.kind in ("pull", "move") for step in found.steps)


RINGS = {
    "official": [[End("desk-01", 0), End("desk-02", 1)], [End("desk-02", 0), End("desk-03", 1)], [End("desk-03", 0), End("desk-01", 1)]],
    "other": [[End("desk-01", 0), End("desk-02", 0)], [End("desk-02", 1), End("desk-03", 1)], [End("desk-03", 0), End("desk-01", 1)]],
}


@pytest.mark.parametrize("kind", sorted(RINGS))
def test_the_other_cables_of_a_ring_stay(kind: str) -> None:
    desks = ["desk-01", "desk-02", "desk-03"]
    plan = [PlannedCable("pair_1", "desk-01", "desk-02")]
    lab = Lab(desks, [list(cable) for cable in RINGS[kind]])
    found = judge(read_map(lab.probes(), {}), plan, lab.probes())
    assert codes(found) == {"CABLE_OK": "ok", "CABLE_RING": "note"}
    assert found.steps == ()
    assert [edge["verdict"] for edge in found.edges].count("ok") == 1
    cabling = found.of_pair("pair_1")
    assert cabling is not None and cabling.proven and cabling.allowed
    ring = next(item for item in cabling.findings if item.code == "CABLE_RING")
    assert "desk-03" in ring.message and all(str(end) in ring.message for cable in RINGS[kind] for end in cable)


def test_a_ring_that_takes_a_desk_of_another_pair_is_wrong() -> None:
    desks, plan = pairs(2)
    lab = Lab(desks, [list(cable) for cable in RINGS["official"]])
    found = judge(read_map(lab.probes(), {}), plan, lab.probes())
    assert "CABLE_RING" not in codes(found)


def test_two_cables_of_a_broken_ring_are_told_as_before() -> None:
    lab = Lab(["desk-01", "desk-02", "desk-03"], [list(cable) for cable in RINGS["official"][:2]])
    found = judge(read_map(lab.probes(), {}), [PlannedCable("pair_1", "desk-01", "desk-02")], lab.probes())
    assert set(codes(found)) == {"CABLE_WRONG_PORT", "CABLE_UNPLANNED"}


def test_a_peer_that_was_not_reached_is_not_to_be_added_to_the_inventory() -> None:
    lab = Lab(DESKS, right(PLAN), silent={"desk-02"})
    probes = lab.probes()
    found = judge(read_map(probes, {}, {"desk-02": "becoming root with sudo does not work"}), PLAN, probes)
    item = next(item for item in found.of_pair("pair_1").findings if item.code == "CABLE_UNKNOWN_PEER")  # type: ignore[union-attr]
    assert item.severity == "unknown" and "desk-02" in item.message and "desk-02" in item.remedy
    assert "inventory" not in item.remedy
    assert "did not respond" not in f"{item.message} {item.remedy}", "it may have: as another machine, or with a refusal"
    assert item.evidence["follows_from"] == ["desk-02"]


def test_a_dark_cage_whose_peer_was_not_read_names_it_as_its_cause() -> None:
    lab = Lab(DESKS, right(PLAN)[1:], silent={"desk-02"})
    probes = lab.probes()
    found = judge(read_map(probes, {}, {"desk-02": "no route to host"}), PLAN, probes)
    told = {item.where.desk: item for item in found.of_pair("pair_1").findings}  # type: ignore[union-attr]
    assert told["desk-01"].code == "CABLE_NOT_SEEN" and told["desk-01"].evidence["follows_from"] == ["desk-02"]


def test_swapped_cables_are_told_once() -> None:
    a1, b1, a2, b2 = (End(name, 0) for name in DESKS)
    lab = Lab(DESKS, [[a1, a2], [b1, b2]])
    found = judge(read_map(lab.probes(), {}), PLAN, lab.probes())
    told = [item.message for pair in found.pairs for item in pair.findings if item.code == "CABLE_CROSSED"]
    assert len(told) == 2
    assert sum("Swap two plugs" in message for message in told) == 1
    assert "pair_1" in told[1] and all("exchange" not in message for message in told)
