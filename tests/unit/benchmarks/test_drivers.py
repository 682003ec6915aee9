"""The drivers against two scripted desks: what they run, what they see, and what they do not run."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import nccl, rdma
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import settings
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import nccl as nccl_judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import rdma as rdma_judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model import mpi_guard
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Path
from proof_samples import ENDS, end, function, nccl_text
from scripted_side import ScriptedSide, World


def measure_rdma(world: World):
    return rdma.measure((ScriptedSide(world, 0), ScriptedSide(world, 1)), Path(*world.ends), rdma.RdmaOptions())


def rdma_codes(world: World) -> dict[str, str]:
    return {item.code: item.severity for item in rdma_judge.judge("pair_a", world.ends, measure_rdma(world))}


def started(world: World) -> list[tuple[str, tuple[str, ...]]]:
    return [(desk, argv) for desk, what, argv in world.log if what == "start"]


def test_each_function_alone_both_ways_then_both_then_both_ways() -> None:
    evidence = measure_rdma(World())
    assert [(step.kind, step.direction, len(step.runs)) for step in evidence.steps] == [
        ("one_way", "forward", 1),
        ("one_way", "back", 1),
        ("both_ways", "both", 1),
        ("one_way", "forward", 1),
        ("one_way", "back", 1),
        ("both_ways", "both", 1),
        ("both_functions", "forward", 2),
        ("both_functions", "back", 2),
        ("both_ways", "both", 2),
    ]
    assert len(evidence.steps) == rdma.STEPS and evidence.latency_us == 1.47


def test_a_healthy_pair_passes() -> None:
    assert rdma_codes(World()) == {}


def test_each_desk_uses_its_own_device_names_and_gid() -> None:
    renamed = end(2, functions=(function(2, 0, rdma_device="mlx5_0"), function(2, 1, rdma_device="mlx5_2")))
    world = World(ends=(ENDS[0], renamed))
    measure_rdma(world)
    for desk, argv in started(world):
        own = {item.rdma_device for item in world.ends[0 if desk == "desk-01" else 1].functions}
        assert argv[argv.index("-d") + 1] in own
        assert argv[argv.index("-x") + 1] == "3"


def test_the_client_starts_only_after_the_server_listens() -> None:
    world = World()
    measure_rdma(world)
    order = [(desk, "." in argv[-1]) for desk, argv in started(world)]
    assert order[:4] == [("desk-02", False), ("desk-01", True), ("desk-01", False), ("desk-02", True)]


OTHER_END = "ethernet_read_keys: Couldn't read remote address\n Unable to read from socket/rdma_cm\n Failed to exchange data"
"""perftest 25.01 of a client whose server was killed in the middle, on soft-RoCE."""


@pytest.mark.parametrize(
    ("world", "code"),
    [
        (World(missing=frozenset({("desk-02", "ib_write_bw")})), "RDMA_TOOL_MISSING"),
        (World(no_gid="roceP2p1s0f0"), "RDMA_GID_WRONG"),
        (World(blocked="desk-02"), "PAIR_FIREWALL_BLOCKS"),
        (World(stranger="enP2p1s0f0np0"), "RDMA_WRONG_PEER"),
        (World(one_way=13.0, dual=13.0, both=26.0, both_alone=26.0), "RDMA_SLOW_13G"),
        (World(both=26.0, both_alone=26.0), "RDMA_BIDIR_DEGRADED"),
        (World(both_alone=119.0), "RDMA_BIDIR_DEGRADED"),
        (World(counting=False), "RDMA_COUNTERS_STILL"),
        (World(perftest_fails=("roceP2p1s0f0", " Failed status 12: wr_id 0 syndrom 0x81")), "RDMA_ONE_HALF"),
        (World(perftest_fails=("roceP2p1s0f0", OTHER_END)), "RDMA_NOT_MEASURED"),
        (World(perftest_fails=("roceP2p1s0f0", "Couldn't send local address\n Unable to write to socket/rdma_cm")), "RDMA_NOT_MEASURED"),
        (World(perftest_fails=("rocep1s0f0", "Couldn't allocate MR: Cannot allocate memory")), "RDMA_ENOMEM"),
    ],
)
def test_sick_pairs(world: World, code: str) -> None:
    assert set(rdma_codes(world)) == {code}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Couldn't connect to 192.168.100.11:18515\n Unable to open file descriptor", "Couldn't connect to 192.168.100.11:18515"),
        (" Port number 1 state is Down\n Couldn't set the link layer\n", "Couldn't set the link layer"),
        ("ib_write_bw: error while loading shared libraries: libibverbs.so.1: cannot open shared object file", "libibverbs.so.1"),
        ("/bin/sh: 1: exec: ib_write_bw: Exec format error\n", "Exec format error"),
    ],
)
def test_what_perftest_said_is_in_the_message(said: str, told: str) -> None:
    world = World(perftest_fails=("all", said))
    (found,) = rdma_judge.judge("pair_a", world.ends, measure_rdma(world))
    assert (found.code, found.severity) == ("RDMA_NOT_MEASURED", "unknown") and told in found.message


def test_a_queue_pair_that_perftest_could_not_connect_sends_to_the_path() -> None:
    world = World(perftest_fails=("all", "Failed to modify QP 434 to RTR\n Unable to Connect the HCA's through the link\n"))
    (found,) = rdma_judge.judge("pair_a", world.ends, measure_rdma(world))
    assert (found.code, found.severity) == ("RDMA_NOT_MEASURED", "unknown")
    assert "queue pair" in found.message and "cable_map.yml" in found.remedy


@pytest.mark.parametrize("world", [World(blocked="desk-01"), World(stranger="enp1s0f0np0"), World(no_gid="rocep1s0f0")])
def test_nothing_is_launched_towards_a_peer_that_is_not_proven_or_not_reached(world: World) -> None:
    measure_rdma(world)
    assert started(world) == []


def test_no_further_steps_after_enomem() -> None:
    evidence = measure_rdma(World(perftest_fails=("rocep1s0f0", "Cannot allocate memory")))
    assert len(evidence.steps) == 1


def test_a_peer_lost_on_the_way_keeps_what_was_measured() -> None:
    world = World(lose_after=5)
    evidence = measure_rdma(world)
    assert len(evidence.steps) == 2
    assert {item.code for item in rdma_judge.judge("pair_a", ENDS, evidence)} == {"RDMA_NOT_MEASURED"}


def test_a_port_that_is_taken_is_not_used() -> None:
    world = World()
    world.listening["desk-02"].add(18515)
    measure_rdma(world)
    assert all(argv[argv.index("-p") + 1] != "18515" for desk, argv in started(world) if desk == "desk-02" and "." not in argv[-1])


def test_ports_of_another_users_program_are_told_and_prove_nothing() -> None:
    """Whoever listens there may answer the client with any figure."""
    world = World(takes_ports="desk-02")
    (found,) = rdma_judge.judge("pair_a", world.ends, measure_rdma(world))
    assert (found.code, found.severity, found.where.desk) == ("RDMA_NOT_MEASURED", "unknown", "desk-02")
    assert "another user listens on TCP port 18515" in found.message and "sudo ss" in found.message
    assert [argv for _desk, argv in started(world) if "." in argv[-1]] == []


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((1, "Couldn't listen to port 18515\n"), "desk-02: Couldn't listen to port 18515 (exit 1)"),
        ((-9, ""), "desk-02: no message (exit -9)"),
        ((None, ""), "desk-02: no message (exit None)"),
    ],
)
def test_a_figure_whose_server_did_not_end_well_counts_for_nothing(ends: tuple[int | None, str], told: str) -> None:
    world = World(server_ends={"desk-02": ends})
    evidence = measure_rdma(world)
    assert evidence.latency_us is None
    (found,) = rdma_judge.judge("pair_a", world.ends, evidence)
    assert (found.code, found.severity) == ("RDMA_NOT_MEASURED", "unknown") and told in found.message


def measure_nccl(world: World, **options: object):
    meet = settings.meeting(world.ends)
    envs = [
        settings.pair_env("pair_a", world.ends, which, settings.settings([item], meet, which), "run-1")
        for which, item in enumerate(world.ends)
    ]
    sides = (ScriptedSide(world, 0), ScriptedSide(world, 1))
    launch = nccl.Launch(tuple(envs), settings.hostfile(meet), settings.values_of(envs[0]))
    return nccl.measure(sides, world.ends, launch, "0123456789abcdef", nccl.NcclOptions(**options))  # type: ignore[arg-type]


def nccl_codes(world: World, **options: object) -> dict[str, str]:
    found = nccl_judge.judge("pair_a", world.ends, measure_nccl(world, **options), iterations=20, warmups=5)
    return {item.code: item.severity for item in found}


def good_run() -> Answer:
    return Answer(("mpirun",), 0, nccl_text())


def test_mpirun_runs_once_on_the_head_with_lists_only() -> None:
    world = World(nccl=good_run())
    evidence = measure_nccl(world)
    [(desk, argv)] = started(world)
    assert desk == "desk-01"
    assert argv[:3] == ("mpirun", "-np", "2")
    assert "--bind-to" in argv and argv[argv.index("--bind-to") + 1] == "none"
    assert [(item.desk, item.rank) for item in evidence.ranks] == [("desk-01", 0), ("desk-02", 1)]


def test_mpirun_keeps_its_session_where_no_other_user_can_make_it_first() -> None:
    """Open MPI takes /tmp/ompi.HOST.UID from whoever made it, follows a link in it and removes what lies there at its end."""
    world = World(nccl=good_run())
    measure_nccl(world)
    [environment], [(_desk, argv)] = world.environments, started(world)
    folder = argv[argv.index("--hostfile") + 1].removesuffix("/hostfile")
    # By the environment for the head; by settings of Open MPI, which mpirun hands on, for the daemon on the other desk.
    names = ("TMPDIR", "OMPI_MCA_orte_tmpdir_base", "PRTE_MCA_prte_tmpdir_base")
    assert [environment.get(name) for name in names] == [folder] * len(names)


def ports_in(value: str) -> list[int]:
    return [int(port) for port in value.split("-")]


def test_every_port_of_open_mpi_is_in_the_guarded_range() -> None:
    """Its daemons run what anybody who connects to them asks for."""
    world = World(nccl=good_run())
    measure_nccl(world)
    [environment] = world.environments
    first, last = map(int, mpi_guard.PORTS.split(":"))
    settings = mpi_guard.settings(first + 8)
    assert settings.items() <= environment.items()
    assert all(first <= port <= last for name, value in settings.items() if "range" not in name for port in ports_in(value))
    for family in ("v4", "v6"):
        begins, count = (int(environment[f"OMPI_MCA_btl_tcp_port_{name}_{family}"]) for name in ("min", "range"))
        assert begins + count <= last + 1


def test_a_port_that_a_program_of_either_desk_has_is_not_pmixs() -> None:
    """Open MPI aborts over one that is taken."""
    world = World(nccl=good_run(), listening={"desk-01": {28408}, "desk-02": {28409, 28400}})
    evidence = measure_nccl(world)
    assert [environment["PMIX_MCA_ptl_base_ipv4_port"] for environment in world.environments] == ["28410"] and not evidence.problems


@pytest.mark.parametrize("ports", [mpi_guard.PMIX, mpi_guard.DAEMONS, mpi_guard.RANKS])
def test_a_desk_whose_programs_have_all_of_the_ports_is_named(ports: range) -> None:
    world = World(nccl=good_run(), listening={"desk-01": set(), "desk-02": set(ports)})
    [found] = nccl_judge.judge("pair_a", ENDS, measure_nccl(world), iterations=20, warmups=5)
    assert started(world) == []
    assert (found.code, found.where.desk, found.evidence["cause"]) == ("NCCL_LAUNCH_FAILED", "desk-02", "mpi_ports")
    assert f"from {ports[0]} to {ports[-1]}" in found.message and "ss -ltnp" in (found.remedy or "")


def test_a_largest_size_below_the_smallest_one_is_measured_alone() -> None:
    """As the remedies advise: choose a smaller maximum size."""
    world = World(nccl=good_run())
    measure_nccl(world, max_bytes=1 << 28)
    [(_desk, argv)] = started(world)
    assert argv[argv.index("-b") + 1] == argv[argv.index("-e") + 1] == str(1 << 28)


def test_both_desks_get_their_own_settings_file_before_the_start() -> None:
    world = World(nccl=good_run())
    measure_nccl(world)
    written = [(desk, call["path"].rsplit("/", 1)[1]) for desk, what, call in world.log if what == "write_file"]
    assert sorted(written) == sorted((desk, name) for desk in ("desk-01", "desk-02") for name in ("pair.env", "hostfile", "launch.py"))


def test_what_is_left_is_ended_on_both_desks() -> None:
    world = World(nccl=good_run())
    measure_nccl(world)
    assert [desk for desk, what, _call in world.log if what == "end_marked"] == ["desk-01", "desk-02"]


@pytest.mark.parametrize(
    ("world", "options", "code"),
    [
        (World(available_kb=20 << 20), {"max_bytes": 16 << 30}, "NCCL_MEMORY_REFUSED"),
        (World(missing=frozenset({("desk-01", "mpirun")})), {}, "NCCL_LAUNCH_FAILED"),
        (World(missing=frozenset({("desk-02", "program")})), {}, "NCCL_LAUNCH_FAILED"),
        (World(ldd="\tlibmpi.so.40 => not found\n"), {}, "NCCL_LAUNCH_FAILED"),
        (World(stranger="enp1s0f0np0"), {}, "RDMA_WRONG_PEER"),
        (World(blocked="desk-02"), {}, "PAIR_FIREWALL_BLOCKS"),
    ],
)
def test_nothing_is_started_when_a_condition_is_not_met(world: World, options: dict[str, object], code: str) -> None:
    assert set(nccl_codes(world, **options)) == {code}
    assert started(world) == []


def test_a_hung_run_is_stopped_at_the_limit() -> None:
    assert nccl_codes(World(nccl=None)) == {"NCCL_TIMEOUT": "fail"}


def test_counters_that_did_not_move_are_seen_although_the_log_says_ib() -> None:
    assert nccl_codes(World(nccl=good_run())) == {"NCCL_COUNTERS_STILL": "fail"}


def test_a_meeting_at_management_addresses_needs_them() -> None:
    with pytest.raises(ValueError, match="management address"):
        settings.meeting((ENDS[0], dataclasses.replace(ENDS[1], management_address=None)), "management")
