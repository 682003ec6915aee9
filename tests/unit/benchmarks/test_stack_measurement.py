"""RDMA and NCCL across a ring and a switch, from the module's arguments to its result, with scripted desks."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import session
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.side import SideError
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import one_run
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint, paths_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.schema import of_documentation
from measured import TAKE, module
from proof_samples import end, function, nccl_text
from stack_side import StackSide, StackWorld, stack_world
from yaml import safe_load

NETDEVS = {0: ("enp1s0f0np0", "enP2p1s0f0np0"), 1: ("enp1s0f1np1", "enP2p1s0f1np1")}


def one_end(desk: int, port: int, networks: tuple[str, str], host: int) -> Endpoint:
    functions = tuple(
        function(
            desk,
            place,
            netdev=NETDEVS[port][place],
            rdma_device=f"roce{NETDEVS[port][place][2:]}",
            mac=f"02:00:5e:00:{desk}{port}:0{place}",
            address=f"{networks[place]}.{host}",
        )
        for place in (0, 1)
    )
    return end(desk, port=port, functions=functions, others=())


def nets(cable: int) -> tuple[str, str]:
    return f"192.168.{2 * cable}", f"192.168.{2 * cable + 1}"


RING = (
    one_end(1, 0, nets(0), 1), one_end(1, 1, nets(1), 1), one_end(2, 1, nets(0), 2), one_end(2, 0, nets(2), 1),
    one_end(3, 0, nets(1), 2), one_end(3, 1, nets(2), 2),
)  # fmt: skip
SWITCH = tuple(one_end(desk, 0, ("192.168.100", "192.168.101"), 9 + desk) for desk in (1, 2, 3, 4))


def asked(name: str, ends: Sequence[Endpoint], topology: str, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"pair": "lab_a", "user": "lab", "run_id": "r", "topology": topology, "bootstrap": "management", **more}
    if name == "rdma_pair":
        return {**told, "paths": [as_dict(path) for path in paths_of(ends)]}
    return {**told, "ends": [as_dict(item) for item in ends]}


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(name: str, world: StackWorld, topology: str, side: Any = None, **more: Any) -> dict[str, Any]:
        monkeypatch.setattr(one_run.lease, "take", functools.partial(TAKE, name=f"\0dgx_spark_test/{os.getpid()}"))
        monkeypatch.setattr(session, "home_of", lambda desk, user: f"/home/{user}")
        monkeypatch.setattr(session, "AgentSide", side or (lambda desk, argv, token, limit: StackSide(world, desk)))
        return module(name, asked(name, world.ends, topology, **more))

    return run


def codes(result: dict[str, Any]) -> dict[str, str]:
    return {item["code"]: item["severity"] for item in result["findings"]}


def test_a_ring_is_measured_cable_by_cable_and_then_at_once(measure: Any) -> None:
    world = stack_world(RING)
    result = measure("rdma_pair", world, "ring")
    assert codes(result) == {} and result["measured"] is True and result["verdict"] == "PASS"
    assert [item["path"] for item in result["paths"]] == [
        "desk-01 port 0 - desk-02 port 1", "desk-01 port 1 - desk-03 port 0", "desk-02 port 0 - desk-03 port 1",
    ]  # fmt: skip
    assert (
        all(item["gbps"] == pytest.approx(item["alone_gbps"] / 2, rel=0.01) for item in result["at_once"]) and len(result["at_once"]) == 3
    )
    assert world.most_at_once == 6, "all three cables with both functions"


def test_a_cable_that_carries_next_to_nothing_at_once_is_a_warning(measure: Any) -> None:
    result = measure("rdma_pair", stack_world(RING, shared=0.2), "ring")
    assert codes(result) == {"RDMA_SHARE_LOW": "warn"}


def test_one_bad_cable_of_a_ring_is_named(measure: Any) -> None:
    result = measure("rdma_pair", stack_world(RING, slow=frozenset({frozenset(("desk-01", "desk-03"))})), "ring")
    assert result["verdict"] == "FAIL"
    shared = next(item for item in result["findings"] if item["code"] == "STACK_SHARED_CAUSE")
    assert "desk-01 port 1 - desk-03 port 0 alone is bad" in shared["message"]
    slow = [item for item in result["findings"] if item["severity"] == "fail"]
    assert slow and all("desk-01 port 1 - desk-03 port 0" in item["message"] for item in slow)


def test_every_two_desks_on_a_switch_are_measured_two_pairs_at_a_time(measure: Any) -> None:
    world = stack_world(SWITCH)
    result = measure("rdma_pair", world, "switch")
    assert len(result["paths"]) == 6 and "at_once" not in result
    assert {frozenset(end["desk"] for end in item["ends"]) for item in result["paths"]} == {
        frozenset(path.ends[place].desk for place in (0, 1)) for path in paths_of(SWITCH)
    }


def test_a_desk_that_is_slow_to_all_others_is_blamed(measure: Any) -> None:
    slow = frozenset(frozenset(("desk-04", f"desk-0{other}")) for other in (1, 2, 3))
    result = measure("rdma_pair", stack_world(SWITCH, slow=slow), "switch")
    shared = next(item for item in result["findings"] if item["code"] == "STACK_SHARED_CAUSE")
    assert shared["where"].get("desk") == "desk-04" and result["verdict"] == "FAIL"


def test_a_plug_in_the_wrong_desk_keeps_everything_from_being_measured(measure: Any) -> None:
    world = stack_world(RING, stranger="enp1s0f1np1")
    for name in ("rdma_pair", "nccl_pair"):
        result = measure(name, world, "ring")
        assert result["measured"] is False and result["verdict"] in ("FAIL", "UNKNOWN") and "RDMA_WRONG_PEER" in codes(result)
    assert world.starts == 0


def test_nccl_runs_one_rank_on_each_member_of_a_ring(measure: Any) -> None:
    text = nccl_text({1 << 30: 13.5, 4 << 30: 13.6}, ranks=3)
    world = stack_world(RING, nccl=Answer(("mpirun",), 0, text))
    result = measure("nccl_pair", world, "ring")
    started = next(argv for desk, what, argv in world.log if what == "start" and argv[0] == "mpirun")
    assert started[started.index("-np") + 1] == "3"
    written = {desk: told["text"] for desk, what, told in world.log if what == "write_file" and told["path"].endswith("pair.env")}
    assert len(written) == 3 and all("NCCL_IB_SUBNET_AWARE_ROUTING=1" in env for env in written.values())
    hostfile = next(told["text"] for _desk, what, told in world.log if what == "write_file" and told["path"].endswith("hostfile"))
    assert hostfile.split() == ["10.0.0.11", "slots=1", "10.0.0.12", "slots=1", "10.0.0.13", "slots=1"]
    # The counters of this world stand still, so that the run is no proof whatever its table says.
    assert result["verdict"] != "PASS"


def test_what_a_stack_gives_passes_the_gate(measure: Any) -> None:
    from ansible_collections.labops.dgx_spark.plugins.modules import rdma_pair

    result = measure("rdma_pair", stack_world(RING), "ring")
    checks = of_documentation(safe_load(rdma_pair.RETURN))
    assert {"paths", "at_once"} <= set(checks)
    for name in ("paths", "at_once"):
        assert checks[name](result[name], name) == result[name]


def test_ports_of_ssh_that_differ_reach_every_member(measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[str]] = {}
    world = stack_world([dataclasses.replace(item) for item in RING])

    def side(desk: str, argv: list[str], token: str, limit: float) -> StackSide:
        seen[desk] = argv
        return StackSide(world, desk)

    measure("rdma_pair", world, "ring")
    monkeypatch.setattr(session, "AgentSide", side)
    module("rdma_pair", asked("rdma_pair", RING, "ring", ssh_ports={"desk-02": 2222, "desk-03": 22}))
    assert "2222" in seen["desk-02"] and "2222" not in seen["desk-03"]


@pytest.mark.parametrize("topology", ["switch", "direct"])
@pytest.mark.parametrize("narrow", [True, False])
def test_a_way_that_carries_small_packets_only_is_told_by_its_mtu(measure: Any, topology: str, narrow: bool) -> None:
    """An ssh connection over it begins and hangs with its first full packet."""
    world = stack_world(SWITCH if topology == "switch" else SWITCH[:2])

    class Head(StackSide):
        def run(self, argv: Sequence[str], **more: Any) -> Answer:
            if argv[0] == "ping":
                return Answer(tuple(argv), int(narrow and int(argv[argv.index("-s") + 1]) > 1472), "")
            return super().run(argv, **more)

    def side(desk: str, argv: Sequence[str], token: str, limit: float) -> StackSide:
        if "ssh" in argv:
            raise SideError(desk, "lost", "Connection reset by 192.168.100.11")
        return Head(world, desk)

    rdma = measure("rdma_pair", world, topology, side, bootstrap="fabric")
    nccl = measure("nccl_pair", world, topology, side, bootstrap="fabric")
    assert not rdma["measured"] and not nccl["measured"]
    assert codes(nccl) == {"NCCL_PEER_NOT_READY": "unknown"}
    assert codes(rdma) == ({"CX7_MTU_MISMATCH": "fail"} if narrow else {"RDMA_NOT_MEASURED": "unknown"})
    if narrow:
        told = rdma["findings"][0]
        assert ("9216" in told["remedy"]) == (topology == "switch") and told["where"]["desk"] == "desk-01"
