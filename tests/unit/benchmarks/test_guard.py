"""Who uses the desks and who is at the other end, asked in the measurement itself: facts are minutes old by then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import common
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.side import classify_ssh
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from measured import measure
from proof_samples import nccl_text
from scripted_side import ScriptedSide, World

LATE = 99
STAGES = ("rdma_pair", "nccl_pair")


def world(name: str, **more: Any) -> World:
    return World(nccl=Answer(("mpirun",), 0, nccl_text()) if name == "nccl_pair" else None, **more)


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(("desk", "kind"), [("desk-01", "gpu"), ("desk-02", "gpu"), ("desk-01", "rdma"), ("desk-02", "rdma")])
def test_a_job_that_began_since_the_facts_is_not_measured_over(
    name: str, desk: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world(name, users=((desk, kind, 4711, "python3", 0),))
    seen = measure(name, job, tmp_path, monkeypatch)
    assert seen.codes == {"PAIR_BUSY": "unknown"} and not seen.result["measured"] and job.starts == 0
    told = seen.finding("PAIR_BUSY")
    assert told["where"]["desk"] == desk and "python3 (process 4711, user mara)" in told["message"]


@pytest.mark.parametrize("users", [(), (("desk-02", "gpu", 4711, "train.py", 0),)])
def test_an_answer_with_a_warning_behind_it_is_an_answer(users: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nvidia-smi ends with 14 then. Nobody could be measured there, since nobody knew who uses the GPU."""
    usual = ScriptedSide.run

    def run(side: ScriptedSide, argv: Sequence[str], **more: Any) -> Answer:
        answer = usual(side, argv, **more)
        warned = f"{answer.stdout}WARNING: infoROM is corrupted at gpu 000F:01:00.0\n"
        return Answer(answer.argv, 14, warned) if argv[0] == "nvidia-smi" else answer

    monkeypatch.setattr(ScriptedSide, "run", run)
    seen = measure("rdma_pair", world("rdma_pair", users=users), tmp_path, monkeypatch)
    assert seen.codes == ({"PAIR_BUSY": "unknown"} if users else {})


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(("since", "code"), [(0, "PAIR_BUSY"), (1, "PAIR_DISTURBED")])
def test_whoever_uses_a_desk_is_told_without_the_passwords_of_the_job(
    name: str, since: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = (("desk-02", "gpu", 4711, "python3 train.py --token s3cret", since),)
    seen = measure(name, world(name, users=users), tmp_path, monkeypatch)
    assert "python3 train.py (process 4711, user mara)" in seen.finding(code)["message"] and "s3cret" not in str(seen.result)


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(("since", "code"), [(0, "PAIR_BUSY"), (1, "PAIR_DISTURBED")])
def test_a_file_server_over_rdma_is_a_user_without_a_process(
    name: str, since: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = measure(name, world(name, users=(("desk-02", "rdma", 0, "rpcrdma", since),)), tmp_path, monkeypatch)
    assert seen.codes == {code: "unknown"} and not seen.result["measured"]
    told = seen.finding(code)
    assert "rpcrdma (the kernel's" in told["message"] and "process 0" not in told["message"] and told["where"]["desk"] == "desk-02"


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("desk", ["desk-01", "desk-02"])
def test_a_job_that_came_during_the_measurement_makes_it_unknown(
    name: str, desk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = measure(name, world(name, users=((desk, "gpu", 4711, "train.py", 1),)), tmp_path, monkeypatch)
    assert seen.codes == {"PAIR_DISTURBED": "unknown"} and not seen.result["measured"]
    assert "train.py (process 4711, user mara)" in seen.finding("PAIR_DISTURBED")["message"]


def test_a_bad_figure_of_a_disturbed_measurement_takes_no_proof_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = world("rdma_pair", one_way=13.0, dual=13.0, both=26.0, both_alone=26.0, users=(("desk-02", "rdma", 9, "ib_read_bw", 2),))
    seen = measure("rdma_pair", slow, tmp_path, monkeypatch)
    assert seen.codes == {"PAIR_DISTURBED": "unknown"}
    assert "RDMA_SLOW_13G (fail)" in str(seen.finding("PAIR_DISTURBED")["evidence"])


def test_with_force_a_user_is_a_warning_and_the_figures_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = world("rdma_pair", users=(("desk-01", "gpu", 7, "python3", 0), ("desk-02", "gpu", 8, "python3", 1)))
    seen = measure("rdma_pair", job, tmp_path, monkeypatch, {"force": True})
    assert seen.codes == {"PAIR_BUSY": "warn", "PAIR_DISTURBED": "warn"} and seen.result["measured"]


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("program", ["nvidia-smi", "rdma"])
def test_a_desk_that_does_not_say_who_uses_it_is_no_busy_desk(
    name: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = world(name, hangs=frozenset({("desk-02", program)}))
    seen = measure(name, hung, tmp_path, monkeypatch)
    assert seen.codes == {"BUSY_UNKNOWN": "unknown"} and hung.starts == 0
    assert "did not respond in time" in seen.finding("BUSY_UNKNOWN")["message"]
    assert seen.finding("BUSY_UNKNOWN")["evidence"]["timed_out"]


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("since", [0, 1])
@pytest.mark.parametrize(
    "said",
    [
        "No devices were found\n",
        "Unable to determine the device handle for GPU0: 000F:01:00.0: GPU is lost.  Reboot the system to recover this GPU\n",
        "[GPU requires reset]\n",
    ],
)
def test_a_gpu_that_is_gone_is_not_one_that_nobody_uses(
    name: str, since: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nvidia-smi says so with exit code 0 too."""
    usual = ScriptedSide.run

    def run(side: ScriptedSide, argv: Sequence[str], **more: Any) -> Answer:
        gone = argv[0] == "nvidia-smi" and side.name == "desk-02" and side.world.starts >= since
        return Answer(tuple(argv), 0, said) if gone else usual(side, argv, **more)

    monkeypatch.setattr(ScriptedSide, "run", run)
    seen = measure(name, world(name), tmp_path, monkeypatch)
    assert seen.codes == {"BUSY_UNKNOWN": "unknown"} and not seen.result["measured"]
    assert seen.finding("BUSY_UNKNOWN")["where"]["desk"] == "desk-02" and said.split()[-1] in seen.finding("BUSY_UNKNOWN")["message"]


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(("kind", "words"), [("no_route", "No route to host"), ("timed_out", "Connection timed out")])
def test_an_ssh_that_a_packet_filter_stops_is_told_as_that(
    name: str, kind: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules that reject ("admin-prohibited") make ssh say that there is no route, although the peer has just answered on the cable."""
    text = f"ssh: connect to host 192.168.100.11 port 22: {words}"
    assert classify_ssh(text) == kind
    seen = measure(name, world(name), tmp_path, monkeypatch, refuses={"desk-02": (kind, text)})
    (found,) = seen.result["findings"]
    assert found["severity"] == "unknown" and found["where"]["desk"] == "desk-02" and words in found["message"]
    assert "packet filter" in found["message"] and "sudo nft list ruleset" in found["message"]


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(
    ("words", "codes"),
    [("[Errno 113] No route to host", {"PAIR_FIREWALL_BLOCKS": "fail"}), ("[Errno 101] Network is unreachable", {})],
)
def test_a_filter_that_rejects_is_a_firewall(
    name: str, words: str, codes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ScriptedSide.ask

    def ask(side: ScriptedSide, operation: str, **more: Any) -> dict[str, Any]:
        rejects = operation == "connect" and side.name == "desk-01"
        return {"error": "OSError", "text": words} if rejects else usual(side, operation, **more)

    monkeypatch.setattr(ScriptedSide, "ask", ask)
    seen = measure(name, world(name), tmp_path, monkeypatch)
    found = {code: severity for code, severity in seen.codes.items() if code == "PAIR_FIREWALL_BLOCKS"}
    assert found == codes and not seen.result["measured"]


def test_a_quiet_pair_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = measure("rdma_pair", world("rdma_pair"), tmp_path, monkeypatch)
    assert seen.codes == {} and seen.result["measured"] and seen.opened == ["desk-01", "desk-02"]


@pytest.mark.parametrize("name", STAGES)
def test_a_plug_in_another_desk_is_told_as_that_and_not_as_its_key(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swapped = world(name, stranger="enp1s0f0np0")
    refused = {"desk-02": ("host_key", "Host key verification failed.")}
    seen = measure(name, swapped, tmp_path, monkeypatch, refuses=refused)
    assert seen.codes == {"RDMA_WRONG_PEER": "fail"} and seen.opened == ["desk-01"]


def route(text: str, code: int = 0, error: str | None = None) -> Answer:
    return Answer(("ip", "-j", "route", "get"), code, text if code == 0 else "", "" if code == 0 else text, error)


OTHER_WAYS = {
    "docker bridge": (
        route('[{"dst": "192.168.100.11", "dev": "br-5f1c0a9e7d21", "prefsrc": "192.168.100.1", "cache": []}]'),
        "br-5f1c0a9e7d21",
    ),
    "vpn": (route('[{"dst": "192.168.100.11", "dev": "wg0", "table": "51820", "cache": []}]'), "wg0"),
    "policy rule": (route('[{"dst": "192.168.100.11", "gateway": "10.0.0.1", "dev": "enP7s7", "table": "7", "cache": []}]'), "10.0.0.1"),
    "gateway on the link": (route('[{"dst": "192.168.100.11", "gateway": "192.168.100.1", "dev": "enp1s0f0np0"}]'), "192.168.100.1"),
    "unreachable": (route("RTNETLINK answers: Network is unreachable", 2), "Network is unreachable"),
    "prohibited": (route("RTNETLINK answers: Permission denied", 2), "Permission denied"),
}


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("desk", ["desk-01", "desk-02"])
@pytest.mark.parametrize("way", OTHER_WAYS)
def test_nothing_is_started_when_the_peer_is_routed_elsewhere(
    name: str, desk: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, told = OTHER_WAYS[way]
    elsewhere = world(name, routes={(desk, "enp1s0f0np0"): answer})
    seen = measure(name, elsewhere, tmp_path, monkeypatch)
    assert seen.codes == {"CX7_ADDRESS_OVERLAP": "fail"} and elsewhere.starts == 0
    found = seen.finding("CX7_ADDRESS_OVERLAP")
    assert found["where"]["desk"] == desk and told in found["message"] and "ip route get" in found["remedy"]


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("way", ["vpn", "unreachable"])
def test_what_leads_both_functions_elsewhere_is_told_once(name: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an exit node of a VPN does, whose table comes before the main one."""
    routes = dict.fromkeys((("desk-01", netdev) for netdev in ("enp1s0f0np0", "enP2p1s0f0np0")), OTHER_WAYS[way][0])
    seen = measure(name, world(name, routes=routes), tmp_path, monkeypatch)
    [found] = seen.result["findings"]
    assert found["code"] == "CX7_ADDRESS_OVERLAP" and "192.168.100.11" in found["message"] and "192.168.101.11" in found["message"]
    assert "leave the link's networks out" in found["remedy"]


GONE = {
    "peer switched off": {"operstates": {("desk-01", "enp1s0f0np0"): "down", ("desk-01", "enP2p1s0f0np0"): "down"}},
    "adapter lost": {"operstates": {("desk-01", "enp1s0f0np0"): None, ("desk-01", "enP2p1s0f0np0"): None}},
    "addresses taken away": {"bare": frozenset({("desk-01", "enp1s0f0np0"), ("desk-01", "enP2p1s0f0np0")})},
}


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(("gone", "routed"), [*((gone, False) for gone in GONE), ("peer switched off", True)])
def test_a_link_that_went_down_since_the_facts_is_no_matter_of_routes(
    name: str, gone: str, routed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The addresses go with the signal (networkd), and the kernel then says that the network is unreachable."""
    nowhere = (
        {} if routed else dict.fromkeys((("desk-01", netdev) for netdev in ("enp1s0f0np0", "enP2p1s0f0np0")), OTHER_WAYS["unreachable"][0])
    )
    odd = world(name, routes=nowhere, **GONE[gone])
    seen = measure(name, odd, tmp_path, monkeypatch)
    [found] = seen.result["findings"]
    assert found["code"] in ("RDMA_NOT_MEASURED", "NCCL_PEER_NOT_READY") and found["severity"] == "unknown" and odd.starts == 0
    assert "since the facts were read" in found["message"] and "enP2p1s0f0np0" in found["message"] and found["where"]["desk"] == "desk-01"


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("gone", [("192.168.100.11", "192.168.101.11"), ("192.168.101.11",)])
def test_a_peer_that_lost_its_addresses_is_told_once_with_what_to_look_at(
    name: str, gone: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a desktop that suspended by itself: the signal stays, and nobody answers."""
    usual = ScriptedSide.run

    def run(side: ScriptedSide, argv: Sequence[str], **more: Any) -> Answer:
        asleep = tuple(argv[:3]) == ("ip", "-j", "neigh") and argv[5] in gone
        return Answer(tuple(argv), 0, f'[{{"dst": "{argv[5]}", "state": ["FAILED"]}}]') if asleep else usual(side, argv, **more)

    monkeypatch.setattr(common, "NEIGHBOUR_SECONDS", 0.2)
    monkeypatch.setattr(ScriptedSide, "run", run)
    seen = measure(name, world(name), tmp_path, monkeypatch)
    [found] = seen.result["findings"]
    assert found["severity"] == "unknown" and all(address in found["message"] for address in gone) and "desk-02" in found["message"]
    assert "awake" in found["remedy"] and "ip -br addr" in found["remedy"]


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("command", ["ip", "ip neigh"])
def test_a_command_that_does_not_answer_is_told_as_that(name: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = {"rdma_pair": "RDMA_NOT_MEASURED", "nccl_pair": "NCCL_PEER_NOT_READY"}[name]
    seen = measure(name, world(name, hangs=frozenset({("desk-01", command)})), tmp_path, monkeypatch)
    assert seen.codes == {code: "unknown"}
    assert "timeout" in seen.finding(code)["message"] and "nobody answers" not in seen.finding(code)["message"]


@pytest.mark.parametrize(
    ("ldd", "cause", "told", "cure"),
    [
        ("\tlibmpi.so.40 => not found\n", "library", "libmpi.so.40", "pair_tools"),
        (
            "all_gather_perf: /lib/aarch64-linux-gnu/libc.so.6: version `GLIBC_2.43' not found (required by all_gather_perf)\n",
            "newer_system",
            "GLIBC_2.43",
            "nccl_bundle_builder",
        ),
    ],
)
def test_a_program_that_the_loader_cannot_start_is_told_before(
    ldd: str, cause: str, told: str, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = world("nccl_pair", ldd=ldd)
    seen = measure("nccl_pair", odd, tmp_path, monkeypatch)
    found = seen.finding("NCCL_LAUNCH_FAILED")
    assert set(seen.codes) == {"NCCL_LAUNCH_FAILED"} and odd.starts == 0
    assert found["evidence"]["cause"] == cause and told in found["message"] and found["where"]["desk"] and cure in found["remedy"]


PERF = "/opt/dgx_spark/nccl/bin/all_gather_perf"
OPEN = "drwxr-xr-x root /opt\ndrwxr-xr-x root /opt/dgx_spark\n"


@pytest.mark.parametrize(
    ("stat", "cause", "told", "cure"),
    [
        ("drwxr-x--- root /opt\n", "may_not_run", "may not enter /opt (drwxr-x--- root)", "namei -l"),
        (f"{OPEN}drwx------ root /opt/dgx_spark/nccl\n", "may_not_run", "may not enter /opt/dgx_spark/nccl", "chmod o+x"),
        (
            f"{OPEN}drwxr-xr-x root /opt/dgx_spark/nccl\ndrwxr-xr-x root /opt/dgx_spark/nccl/bin\n-rwxr-xr-x root {PERF}\n",
            "may_not_run",
            "noexec",
            "findmnt",
        ),
        (OPEN, "program", "does not exist", "stack_pair.yml"),
        ("", "program", "does not exist", "stack_pair.yml"),
    ],
)
def test_a_program_that_the_user_may_not_run_is_not_one_that_is_missing(
    stat: str, cause: str, told: str, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = world("nccl_pair", missing=frozenset({("desk-02", "program")}), stat=stat)
    seen = measure("nccl_pair", odd, tmp_path, monkeypatch)
    found = seen.finding("NCCL_LAUNCH_FAILED")
    assert set(seen.codes) == {"NCCL_LAUNCH_FAILED"} and odd.starts == 0
    assert found["evidence"]["cause"] == cause and told in found["message"] and cure in found["remedy"]
    assert found["where"]["desk"] == "desk-02"


@pytest.mark.parametrize("program", ["mpirun", "test", "ldd"])
def test_a_program_that_hangs_is_not_one_that_is_missing(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hung = world("nccl_pair", hangs=frozenset({("desk-02", program)}))
    seen = measure("nccl_pair", hung, tmp_path, monkeypatch)
    assert seen.codes == {"NCCL_PEER_NOT_READY": "unknown"} and hung.starts == 0
    assert "did not respond in time" in seen.finding("NCCL_PEER_NOT_READY")["message"]
