"""Judges and measurements over more than two desks: a ring of three and three desks on a switch, on paper."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import session
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.common import all_right
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.nccl import NcclOptions, command
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import settings
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import nccl as nccl_judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import rdma as rdma_judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint, Path, members, paths_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.proof import Growth, NcclEvidence, NcclOutput, Neighbour
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import nccl_tests
from proof_samples import ENDS, GIB, end, function, nccl_moved, nccl_text, neighbours, rank, rdma_evidence

NETDEVS = {0: ("enp1s0f0np0", "enP2p1s0f0np0"), 1: ("enp1s0f1np1", "enP2p1s0f1np1")}
RDMA = {0: ("rocep1s0f0", "roceP2p1s0f0"), 1: ("rocep1s0f1", "roceP2p1s0f1")}


def ring_end(desk: int, port: int, cable: int, host: int) -> Endpoint:
    """One end of one of three cables; every cable has two networks of its own."""
    functions = tuple(
        function(
            desk,
            place,
            netdev=NETDEVS[port][place],
            rdma_device=RDMA[port][place],
            mac=f"02:00:5e:00:{desk}{port}:0{place}",
            address=f"10.0.{2 * cable + place}.{host}",
        )
        for place in (0, 1)
    )
    return end(desk, port=port, functions=functions)


# NVIDIA's wiring: port 0 of each desk to port 1 of the next.
RING = (
    ring_end(1, 0, 0, 1), ring_end(1, 1, 2, 2), ring_end(2, 0, 1, 1), ring_end(2, 1, 0, 2), ring_end(3, 0, 2, 1), ring_end(3, 1, 1, 2),
)  # fmt: skip
SWITCH = tuple(
    end(desk, functions=tuple(function(desk, place, mac=f"02:00:5e:01:0{desk}:0{place}") for place in (0, 1))) for desk in (1, 2, 3)
)


def asked(path: Path, wrong: str | None = None) -> tuple[Neighbour, ...]:
    first, second = path.ends
    return tuple(
        Neighbour(mine.desk, own.netdev, their.address, wrong or their.mac)
        for mine, other in ((first, second), (second, first))
        for own, their in zip(mine.functions, other.functions, strict=True)
    )


def test_paths_of_a_pair_a_ring_and_a_switch() -> None:
    assert [path.ends for path in paths_of(ENDS)] == [ENDS]
    assert [path.name for path in paths_of(RING)] == [
        "desk-01 port 0 - desk-02 port 1", "desk-01 port 1 - desk-03 port 0", "desk-02 port 0 - desk-03 port 1",
    ]  # fmt: skip
    assert len(paths_of(SWITCH)) == 3
    assert members(RING) == ["desk-01", "desk-02", "desk-03"]
    assert from_dict(Path, as_dict(paths_of(RING)[0])) == paths_of(RING)[0]


def test_where_the_members_meet() -> None:
    assert settings.meeting(ENDS).addresses == ("192.168.100.10", "192.168.100.11")
    assert settings.meeting(SWITCH).addresses == ("192.168.100.10", "192.168.100.11", "192.168.100.12")
    with pytest.raises(ValueError, match="bootstrap: management"):
        settings.meeting(RING)
    assert settings.meeting(RING, "management").addresses == ("10.0.0.11", "10.0.0.12", "10.0.0.13")
    assert settings.login_addresses(RING) == ("10.0.0.1", "10.0.0.2", "10.0.4.1")
    with pytest.raises(ValueError, match="cannot log in"):
        settings.login_addresses([*paths_of(RING)[0].ends, ring_end(3, 0, 1, 9)])
    assert settings.hostfile(settings.meeting(SWITCH)).count("slots=1") == 3
    assert settings.names(2) == ("pair-head", "pair-peer") and len(settings.names(3)) == 3


def test_ranks_follow_the_members() -> None:
    argv = command("/tmp/x", NcclOptions(), 3)
    assert argv[argv.index("-np") + 1] == "3"


def test_every_neighbour_of_a_ring_is_held_against_its_own_cable() -> None:
    seen = tuple(item for path in paths_of(RING) for item in asked(path))
    assert all_right(seen, RING) and rdma_judge.wrong_peer("ring", RING, seen, "NCCL_PEER_NOT_READY") == []
    # The right desk on the wrong cable: an address of desk 2 answered by another of its cages.
    other_cage = RING[2].functions[0].mac
    bent = tuple(dataclasses.replace(item, mac=other_cage) if item.address == "10.0.0.2" else item for item in seen)
    assert not all_right(bent, RING)
    assert {item.code for item in rdma_judge.wrong_peer("ring", RING, bent, "NCCL_PEER_NOT_READY")} == {"RDMA_WRONG_PEER"}


def ring_text(figures: dict[int, float]) -> str:
    text = nccl_text(figures, ranks=3)
    for number in (1, 2, 3):
        text = text.replace(
            f"spark-000{number}:410{number - 1}:410{number - 1} [0] NCCL INFO NET/IB : Using [0]rocep1s0f0:1/RoCE [1]roceP2p1s0f0:1/RoCE",
            f"spark-000{number}:410{number - 1}:410{number - 1} [0] NCCL INFO NET/IB : Using [0]rocep1s0f0:1/RoCE [1]rocep1s0f1:1/RoCE "
            "[2]roceP2p1s0f0:1/RoCE [3]roceP2p1s0f1:1/RoCE",
        )
    return text


def ring_growth(total: int, shares: dict[str, float]) -> tuple[Growth, ...]:
    """Counters of all four functions of three desks; ``shares``: netdev to its part of what is sent and received."""
    found = []
    for desk in ("desk-01", "desk-02", "desk-03"):
        before = {name: {"port_xmit_data": 0, "port_rcv_data": 0, "tx_bytes_phy": 0, "rx_bytes_phy": 0} for name in shares}
        after = {}
        for name, share in shares.items():
            amount = int(total * share * 1.1)
            after[name] = {
                "port_xmit_data": amount // 4, "port_rcv_data": amount // 4, "tx_bytes_phy": amount, "rx_bytes_phy": amount,
            }  # fmt: skip
        found.append(Growth(desk, before, after))
    return tuple(found)


EVEN = dict.fromkeys((*NETDEVS[0], *NETDEVS[1]), 0.25)


def ring_evidence(figures: dict[int, float], shares: dict[str, float], text: str | None = None, **changes: Any) -> NcclEvidence:
    return dataclasses.replace(
        NcclEvidence(
            argv=("mpirun",),
            rc=0,
            output=NcclOutput.of(nccl_tests.read(text or ring_text(figures))),
            ranks=(rank(1), rank(2), rank(3)),
            neighbours=tuple(item for path in paths_of(RING) for item in asked(path)),
            growth=ring_growth(nccl_moved(figures), shares),
        ),
        **changes,
    )


def codes(evidence: NcclEvidence) -> dict[str, str]:
    return {item.code: item.severity for item in nccl_judge.judge("ring_a", RING, evidence, iterations=20, warmups=5)}


def test_a_ring_is_judged_by_its_own_mark() -> None:
    assert codes(ring_evidence({16 * GIB: 11.5}, EVEN)) == {}
    assert codes(ring_evidence({16 * GIB: 9.2}, EVEN)) == {"NCCL_SLOW": "fail"}
    assert codes(ring_evidence({1 * GIB: 9.2}, EVEN)) == {"NCCL_SLOW": "warn"}


def test_a_ring_that_sends_one_way_round_is_whole() -> None:
    one_way = {NETDEVS[0][0]: 0.5, NETDEVS[0][1]: 0.5, NETDEVS[1][0]: 0.0, NETDEVS[1][1]: 0.0}
    assert codes(ring_evidence({16 * GIB: 11.5}, one_way)) == {}


def test_a_lame_function_of_a_ring_is_found() -> None:
    lame = {NETDEVS[0][0]: 0.5, NETDEVS[0][1]: 0.01, NETDEVS[1][0]: 0.25, NETDEVS[1][1]: 0.24}
    assert codes(ring_evidence({16 * GIB: 11.5}, lame)) == {"NCCL_ONE_HALF": "fail"}


def test_a_member_of_a_ring_must_use_all_its_functions() -> None:
    text = nccl_text({16 * GIB: 11.5}, ranks=3)
    assert codes(ring_evidence({16 * GIB: 11.5}, EVEN, text)) == {"NCCL_ONE_HALF": "fail"}


def test_a_rank_that_is_missing_makes_a_ring_incomplete() -> None:
    text = nccl_text({16 * GIB: 11.5}, ranks=2)
    assert codes(ring_evidence({16 * GIB: 11.5}, EVEN, text)) == {"NCCL_INCOMPLETE": "fail"}


def test_every_path_has_its_own_findings() -> None:
    good = (Path(*ENDS), rdma_evidence())
    assert rdma_judge.judge_paths("stack", [good]) == []
    bad = (Path(*ENDS), rdma_evidence(neighbours=tuple(dataclasses.replace(item, mac=None) for item in neighbours())))
    assert {item.code for item in rdma_judge.judge_paths("stack", [good, bad])} == {"RDMA_NOT_MEASURED"}


def test_a_side_that_cannot_be_opened_closes_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    class Scripted:
        def __init__(self, name: str, argv: list[str], token: str, limit: float) -> None:
            del token, limit
            if name == "desk-03":
                raise session.SideError(name, "refused", "connection refused")
            events.append(f"open {name} {'2222' if '2222' in argv else '22'}")
            self.name = name
            self.hello: dict[str, Any] = {}

        def close(self) -> None:
            events.append(f"close {self.name}")

    def right(side: Scripted, mine: Endpoint, theirs: Endpoint) -> tuple[Neighbour, ...]:
        events.append(f"ask {side.name}")
        return tuple(
            Neighbour(mine.desk, one.netdev, two.address, two.mac) for one, two in zip(mine.functions, theirs.functions, strict=True)
        )

    monkeypatch.setattr(session, "neighbours", right)
    monkeypatch.setattr(session, "wrong_routes", lambda side, mine, theirs: [])
    monkeypatch.setattr(session, "AgentSide", Scripted)
    monkeypatch.setattr(session, "home_of", lambda desk, user: "/home/lab")
    addresses = ("10.0.0.1", "10.0.0.2", "10.0.4.1")
    with pytest.raises(session.SideError), session.all_sides("rdma", "ring", "lab", RING, addresses, "0" * 16, 60.0, 2222):
        raise AssertionError("never entered")
    assert events == ["open desk-01 22", "ask desk-01", "ask desk-01", "open desk-02 2222", "close desk-02", "close desk-01"]
