"""Judges and measurements over more than two desks: a ring of three and three desks on a switch, on paper."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import session
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.common import all_right
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.nccl import NcclOptions, command
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.rdma import rounds
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import pair_files, settings, trust
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import nccl as nccl_judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import rdma as rdma_judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.jumbo import judge_jumbo
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.marks_data import MARKS
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Limits, Network, Setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Finding, Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.jumbo import JumboAnswer
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint, Path, members, paths_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.proof import (
    Growth,
    NcclEvidence,
    NcclOutput,
    Neighbour,
    RdmaRun,
    RdmaStep,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import nccl_tests
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.figures import figures_of
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


SWITCH4 = tuple(
    end(desk, functions=tuple(function(desk, place, mac=f"02:00:5e:01:0{desk}:0{place}") for place in (0, 1))) for desk in (1, 2, 3, 4)
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
    assert settings.names(2) == ("pair-head", "pair-peer") and settings.names(3, "ring") == ("stack-1", "stack-2", "stack-3")


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
    monkeypatch.setattr(session, "wrong_ways", lambda side, mine, theirs: [])
    monkeypatch.setattr(session, "AgentSide", Scripted)
    monkeypatch.setattr(session, "home_of", lambda desk, user: "/home/lab")
    addresses = ("10.0.0.1", "10.0.0.2", "10.0.4.1")
    with pytest.raises(session.SideError), session.all_sides("rdma", "ring", "lab", RING, addresses, "0" * 16, 60.0, 2222):
        raise AssertionError("never entered")
    assert events == ["open desk-01 22", "ask desk-01", "ask desk-01", "open desk-02 2222", "close desk-02", "close desk-01"]


def test_a_rings_figures_stand_beside_a_rings_mark() -> None:
    evidence = ring_evidence({1 << 30: 13.4}, {})
    told = nccl_judge.summary(RING, evidence, iterations=20, warmups=5, environments={})
    figure = next(item for item in figures_of({"members": [], "nccl": told}) if item.get("bytes"))
    assert figure["mark"]["value"] == 10.0 and figure["reached"] is True
    pair = nccl_judge.summary(ENDS, evidence, iterations=20, warmups=5, environments={})
    assert "mark_name" not in pair


# ---- settings and logins -----------------------------------------------------------------------------------------------


def test_a_ring_runs_with_all_functions_subnet_aware_and_logins_of_the_head() -> None:
    meet = settings.meeting(RING, "management")
    proven = settings.proven("ring_a", RING, meet, "run-1", "ring")
    assert list(proven["addresses"]) == ["stack-1", "stack-2", "stack-3"]
    for place, (desk, told) in enumerate(proven["desks"].items()):
        values = settings.values_of(told["pair_env"])
        assert values["NCCL_IB_HCA"] == "=rocep1s0f0,roceP2p1s0f0,rocep1s0f1,roceP2p1s0f1"
        assert values["NCCL_IB_SUBNET_AWARE_ROUTING"] == "1" and values["NCCL_NET_PLUGIN"] == "none"
        assert values["OMPI_MCA_plm_rsh_no_tree_spawn"] == values["PRTE_MCA_plm_ssh_no_tree_spawn"] == "1"
        assert values["NCCL_SOCKET_IFNAME"] == f"={meet.netdevs[place]}"
        lines = told["pair_env"].splitlines()
        assert lines[1:3] == ["# stack ring_a", f"# desk {desk} ({'head' if not place else f'rank {place}'})"]
        assert sum(line.startswith("# link_changes") for line in lines) == 3 and "pair" not in lines[0].replace("pair.env", "")
        pair_files.plan(pair_files.Have(), pair_files.Wanted((pair_files.WantedFile(settings.PAIR_ENV, told["pair_env"]),)))


def test_a_switch_runs_like_a_pair_with_more_ranks() -> None:
    proven = settings.proven("sw_a", SWITCH, settings.meeting(SWITCH), "run-1", "switch")
    values = settings.values_of(proven["desks"]["desk-02"]["pair_env"])
    assert values["NCCL_IB_SUBNET_AWARE_ROUTING"] == "1" and "NCCL_NET_PLUGIN" not in values
    assert values["OMPI_MCA_btl_tcp_if_include"] == "192.168.100.0/24"


def test_a_pair_keeps_its_settings_word_for_word() -> None:
    text = settings.proven("pair_a", ENDS, settings.meeting(ENDS), "run-1")["desks"]["desk-01"]["pair_env"]
    assert not any(word in text for word in ("SUBNET_AWARE", "no_tree_spawn", "NET_PLUGIN", "stack"))
    assert "# pair pair_a\n# desk desk-01 (head)\n" in text


def member(number: int, **changes: Any) -> Desk:
    limits = Limits(user="labadmin", uid=1000, gid=1000, home="/home/labadmin")
    setup = Setup(trust_public_key=f"ssh-ed25519 AAAA{number} k", host_public_keys=(f"ssh-ed25519 HOST{number}",))
    return dataclasses.replace(Desk(limits=limits, setup=setup, network=Network(ufw_active=True)), **changes)


def others(number: int) -> list[trust.Other]:
    found = []
    for path in paths_of(RING):
        ends = {end.desk: end for end in path.ends}
        if f"desk-0{number}" in ends:
            mine = ends.pop(f"desk-0{number}")
            (theirs,) = ends.values()
            found.append(trust.Other(theirs.desk, member(int(theirs.desk[-1])), mine, theirs))
    return found


def lines_of(arguments: dict[str, Any], name: str) -> list[str]:
    return next(item["lines"] for item in arguments["lines"] if item["path"].endswith(name))


def written(arguments: dict[str, Any], path: str) -> str | None:
    found: str | None = next(item["content"] for item in arguments["files"] if item["path"] == path)
    return found


def test_only_the_head_logs_in() -> None:
    head = trust.wanted_in_stack(("desk-01", member(1)), others(1), "desk-01", bootstrap="management")
    assert lines_of(head, "authorized_keys") == []
    known = str(written(head, trust.KNOWN_HOSTS))
    assert "10.0.0.12" in known and "10.0.0.13" in known and "HOST2" in known and "HOST3" in known
    for number in (2, 3):
        arguments = trust.wanted_in_stack((f"desk-0{number}", member(number)), others(number), "desk-01", bootstrap="management")
        (line,) = lines_of(arguments, "authorized_keys")
        assert "AAAA1" in line and line.startswith("restrict,from=") and "10.0.0.11" in line
        assert written(arguments, trust.KNOWN_HOSTS) is None
        sources = {rule["source"] for rule in arguments["rules"]}
        assert {f"10.0.0.1{other}" for other in (1, 2, 3) if other != number} <= sources and len(arguments["rules"]) == 6
    assert "the pair" not in str(written(head, trust.PAIR_SSH))


def test_members_with_one_home_want_the_same_line_in_its_one_file() -> None:
    def shared(number: int) -> list[str]:
        own = [dataclasses.replace(item, facts=member(1)) for item in others(number)]
        return lines_of(trust.wanted_in_stack((f"desk-0{number}", member(1)), own, "desk-01", bootstrap="management"), "authorized_keys")

    line = 'restrict,from="10.0.0.11" ssh-ed25519 AAAA1 dgx_spark_pair'
    assert [shared(number) for number in (1, 2, 3)] == [[line]] * 3


def test_a_head_without_a_key_and_a_member_without_host_keys_are_named() -> None:
    bare = [dataclasses.replace(item, facts=member(9, setup=Setup())) for item in others(1)]
    with pytest.raises(trust.TrustError, match="desk-02: its ssh host keys"):
        trust.wanted_in_stack(("desk-01", member(1)), bare, "desk-01")
    bare = [dataclasses.replace(item, facts=member(9, setup=Setup())) for item in others(2)]
    with pytest.raises(trust.TrustError, match="desk-01: the stack's public key"):
        trust.wanted_in_stack(("desk-02", member(2)), bare, "desk-01")


# ---- RDMA over many paths ------------------------------------------------------------------------------------------------


def test_rounds_have_no_desk_twice_and_every_path_once() -> None:
    many = [end(desk, functions=tuple(function(desk, place) for place in (0, 1))) for desk in range(1, 9)]
    paths = [Path(one, other) for one, other in itertools.combinations(many, 2)]
    found = rounds(paths)
    assert sorted(path.name for group in found for path in group) == sorted(path.name for path in paths)
    assert all(len({item.desk for path in group for item in path.ends}) == 2 * len(group) for group in found)
    assert len(found) == 7 and [len(group) for group in found] == [4] * 7
    five = [Path(one, other) for one, other in itertools.combinations(many[:5], 2)]
    assert [len(group) for group in rounds(five)] == [2] * 5
    assert [len(group) for group in rounds(list(paths_of(RING)))] == [1, 1, 1]


def bad(path: Path) -> Finding:
    return finding("RDMA_SLOW", Where(pair="s"), "slow", severity="fail")


@pytest.mark.parametrize(
    ("ends", "wrong", "words"),
    [
        (RING, [0], ["desk-01 port 0 - desk-02 port 1 alone", "that cable"]),
        (RING, [0, 1], ["share desk-01"]),
        (SWITCH4, [0, 1, 2], ["share desk-01 port 0"]),
        (SWITCH4, [0], ["alone is bad although its cages are good", "on the switch"]),
    ],
)
def test_who_all_bad_paths_have_in_common(ends: tuple[Endpoint, ...], wrong: list[int], words: list[str]) -> None:
    judged = [(path, [bad(path)] if place in wrong else []) for place, path in enumerate(paths_of(ends))]
    (found,) = rdma_judge.shared_cause("s", judged)
    assert found.code == "STACK_SHARED_CAUSE" and found.severity == "note"
    for word in words:
        assert word in found.message


def test_nothing_is_blamed_where_all_or_none_are_bad() -> None:
    assert rdma_judge.shared_cause("s", [(path, []) for path in paths_of(RING)]) == []
    assert rdma_judge.shared_cause("s", [(path, [bad(path)]) for path in paths_of(RING)]) == []


def at_once(gbps: float | None) -> list[RdmaStep]:
    runs = [RdmaRun(0, "desk-01", "desk-02", "rocep1s0f0", "rocep1s0f1", gbps=gbps, error=None if gbps else "retry") for _way in (0, 1)]
    return [RdmaStep("both_ways", "both", tuple(runs))] * 3


@pytest.mark.parametrize(("gbps", "codes"), [(213.0 / 2, set()), (60.0, {"RDMA_SHARE_LOW"}), (None, {"RDMA_NOT_MEASURED"})])
def test_three_cables_at_once_share_the_desks(gbps: float | None, codes: set[str]) -> None:
    measured = [(path, rdma_evidence(neighbours=asked(path))) for path in paths_of(RING)]
    found = rdma_judge._at_once("s", measured, at_once(gbps), MARKS)
    assert {item.code for item in found} == codes
    assert all(item.severity == ("warn" if item.code == "RDMA_SHARE_LOW" else "unknown") for item in found)


@pytest.mark.parametrize(("topology", "word"), [("direct", "its MTU is smaller"), ("switch", "the switch's MTU")])
def test_a_switch_of_the_default_mtu_is_told_what_to_set(topology: str, word: str) -> None:
    answer = JumboAnswer("desk-01", "desk-02", "enp1s0f0np0", "192.168.100.11", 9000, False, True, None, None)
    (found,) = judge_jumbo("s", [answer], {}, topology)
    assert found.code == "CX7_MTU_MISMATCH" and word in found.message
    assert ("l2mtu 9216" in found.remedy) == (topology == "switch")
