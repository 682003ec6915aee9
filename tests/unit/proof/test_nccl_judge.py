"""Every NCCL code red and green, from evidence alone, and the transcripts of real pairs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.nccl import (
    RESERVE_KB,
    judge,
    largest_size,
    memory_needed_kb,
    summary,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.nccl_failures import launch_cause
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.proof import Growth, NcclEvidence, Problem
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import nccl_failures
from proof_samples import (
    DEVICES,
    ENDS,
    FIGURES,
    GIB,
    end,
    grown,
    nccl_evidence,
    nccl_growth,
    nccl_moved,
    nccl_text,
    neighbours,
    rank,
    shuffled,
)

TRANSCRIPTS = Path(__file__).resolve().parents[4] / "shared" / "domain" / "transcripts"


def found(evidence: NcclEvidence, ends=ENDS, slow_13g: bool = False):
    """Code to severity."""
    return {item.code: item.severity for item in judge("pair_a", ends, evidence, iterations=20, warmups=5, slow_13g=slow_13g)}


def slow(figure: float, **more) -> NcclEvidence:
    return nccl_evidence(nccl_text(dict.fromkeys(FIGURES, figure)), **more)


def stopped(text: str, **more) -> NcclEvidence:
    """A run that did not end well."""
    return nccl_evidence(nccl_text(end_at=1) + text, **{"rc": 1, "growth": (), **more})


def failed_launch(text: str) -> NcclEvidence:
    return nccl_evidence("", stderr=text, rc=1, ranks=(), growth=())


HANGS = {"rc": None, "error": "timeout"}
MEMORY = {"needed_kb": memory_needed_kb(16 * GIB), "available_kb": 30 << 20}


def turned_back(growth: tuple[Growth, ...], left: int = 5) -> tuple[Growth, ...]:
    """One function of the second desk was set to nothing while NCCL ran: its counters count from nothing again."""
    after = {name: dict(values) for name, values in growth[1].after.items()}
    last = sorted(after)[-1]
    after[last] = dict.fromkeys(after[last], left)
    return (growth[0], dataclasses.replace(growth[1], after=after))


RED = (
    ("NCCL_SOCKET_FALLBACK", "fail", nccl_evidence(nccl_text(dict.fromkeys(FIGURES, 1.2), transport="Socket"), growth=grown({}, {}))),
    ("NCCL_ONE_HALF", "fail", nccl_evidence(nccl_text(dict.fromkeys(FIGURES, 12.9), devices=DEVICES[:1]))),
    ("NCCL_ONE_HALF", "fail", nccl_evidence(nccl_text(devices=("rocep1s0f1", "roceP2p1s0f1")))),
    ("NCCL_ONE_HALF", "fail", nccl_evidence(growth=nccl_growth(nccl_moved(FIGURES), (0.99, 0.01)))),
    ("NCCL_SLOW", "fail", slow(11.2)),
    ("NCCL_SLOW", "warn", slow(18.5)),
    ("NCCL_SLOW", "fail", nccl_evidence(nccl_text({16 * GIB: 21.8}), growth=nccl_growth(nccl_moved({16 * GIB: 0})))),
    ("NCCL_SLOW", "fail", slow(2.82)),
    ("NCCL_RETRY_EXCEEDED", "fail", stopped("spark-0001:1:1 [0] NCCL WARN NET/IB: Got completion status=12 IBV_WC_RETRY_EXC_ERR(12)\n")),
    ("NCCL_WRONG_RESULT", "fail", nccl_evidence(nccl_text(wrong=512))),
    ("NCCL_TIMEOUT", "fail", nccl_evidence(nccl_text(end_at=1), **HANGS)),
    ("NCCL_TIMEOUT", "fail", nccl_evidence("", **HANGS)),
    ("NCCL_ENOMEM", "fail", stopped("spark-0001:1:1 [0] misc/ibvwrap.cc:277 NCCL WARN ibv_reg_mr_iova2 failed: Cannot allocate memory\n")),
    ("NCCL_ENOMEM", "fail", stopped("Test CUDA failure common.cu:1000 'out of memory'\n")),
    ("NCCL_TWO_WORLDS", "fail", nccl_evidence(nccl_text(ranks=1) + nccl_text(ranks=1))),
    ("NCCL_INCOMPLETE", "fail", nccl_evidence(nccl_text(end_at=1))),
    ("NCCL_INCOMPLETE", "fail", stopped("mpirun noticed that process rank 1 exited on signal 9 (Killed).\n")),
    ("NCCL_COUNTERS_STILL", "fail", nccl_evidence(growth=nccl_growth(0))),
    ("NCCL_COUNTERS_UNKNOWN", "unknown", nccl_evidence(growth=())),
    ("NCCL_COUNTERS_UNKNOWN", "unknown", nccl_evidence(growth=turned_back(nccl_growth(nccl_moved(FIGURES))))),
    ("NCCL_COUNTERS_UNKNOWN", "unknown", nccl_evidence(growth=nccl_growth(nccl_moved(FIGURES), wire=4.0))),
    ("NCCL_VERSION_DRIFT", "fail", nccl_evidence(ranks=(rank(1), rank(2, libnccl_sha256="another")))),
    ("NCCL_VERSION_DRIFT", "fail", nccl_evidence(ranks=(rank(1), rank(2, program_sha256="another")))),
    ("NCCL_LAUNCH_FAILED", "fail", failed_launch("Host key verification failed.\n")),
    ("NCCL_LAUNCH_FAILED", "fail", NcclEvidence(problems=(Problem("tool_missing", "desk-01", "no mpirun"),))),
    ("NCCL_LAUNCH_FAILED", "fail", NcclEvidence(problems=(Problem("library", "desk-01", "x", {"missing": ["libmpi.so.40"]}),))),
    ("NCCL_LAUNCH_FAILED", "fail", failed_launch("mpirun: something new\n")),
    ("NCCL_PEER_NOT_READY", "unknown", NcclEvidence(problems=(Problem("no_route", "desk-02", "no route"),))),
    ("NCCL_PEER_NOT_READY", "unknown", nccl_evidence(neighbours=(dataclasses.replace(neighbours()[0], mac=None), *neighbours()[1:]))),
    ("NCCL_MEMORY_REFUSED", "unknown", NcclEvidence(problems=(Problem("memory", "desk-02", "too little", MEMORY),))),
    ("PAIR_FIREWALL_BLOCKS", "fail", NcclEvidence(problems=(Problem("firewall", "desk-02", "dropped"),))),
    ("PAIR_TRUST_BROKEN", "fail", NcclEvidence(problems=(Problem("trust", "desk-02", "denied"),))),
    ("RDMA_WRONG_PEER", "fail", nccl_evidence(neighbours=(dataclasses.replace(neighbours()[0], mac="02:00:5e:00:09:01"),))),
)


@pytest.mark.parametrize(("code", "severity", "evidence"), RED)
def test_a_sick_run_has_its_code_and_no_other(code: str, severity: str, evidence: NcclEvidence) -> None:
    assert found(evidence) == {code: severity}


@pytest.mark.parametrize("left", [5, 1000 + 40, 3000 + 10])
def test_counters_that_started_again_are_told_as_that(left: int) -> None:
    """One of them hardly grew beside its other function: that is no half, and no route past the cable."""
    evidence = nccl_evidence(growth=turned_back(nccl_growth(nccl_moved(FIGURES)), left))
    [told] = judge("pair_a", ENDS, evidence, iterations=20, warmups=5)
    assert told.code == "NCCL_COUNTERS_UNKNOWN" and "Measure again" in told.remedy and "record.yml" not in told.remedy
    assert all(value is None or value >= 0 for row in told.evidence["counters"] for value in (row["bytes"], *row["by_function"].values()))


@pytest.mark.parametrize("names", [("spark", "spark"), ("spark", "spark-2"), (None, None)])
def test_a_launch_that_waits_for_ever_is_told_with_the_name_that_two_desks_share(names: tuple[str | None, str | None]) -> None:
    ends = tuple(dataclasses.replace(item, hostname=name) for item, name in zip(ENDS, names, strict=True))
    [told] = judge("pair_a", ends, nccl_evidence("", **HANGS), iterations=20, warmups=5)
    assert told.code == ("NCCL_LAUNCH_FAILED" if names == ("spark", "spark") else "NCCL_TIMEOUT")
    assert told.code == "NCCL_TIMEOUT" or "hostnamectl" in str(told.remedy)


def test_a_healthy_run_has_no_finding() -> None:
    assert found(nccl_evidence()) == {}


@pytest.mark.parametrize("seed", range(5))
def test_log_lines_within_the_table_change_nothing(seed: int) -> None:
    assert found(nccl_evidence(shuffled(nccl_text(), seed))) == {}


def test_harmless_lines_raise_nothing() -> None:
    noise = "Authorization required, but no authorization protocol specified\n\n" * 4
    log = "spark-0001:1:1 [0] NCCL INFO Assigned GIN plugin GIN_IB_GDAKI to comm\n"
    assert found(nccl_evidence(noise + log + nccl_text())) == {}


def test_slow_13g_needs_the_rdma_measurement_of_this_run() -> None:
    assert found(slow(2.82), slow_13g=True) == {"NCCL_SLOW_13G": "fail"}
    assert found(slow(2.82), slow_13g=False) == {"NCCL_SLOW": "fail"}
    assert found(slow(11.2), slow_13g=True) == {"NCCL_SLOW": "fail"}


def test_all_reduce_below_the_official_mark_of_all_gather_only_warns() -> None:
    text = nccl_text({16 * GIB: 21.8}, collective="all_reduce")
    moved = int(16 * GIB * 2 * 20)
    assert found(nccl_evidence(text, growth=nccl_growth(moved))) == {"NCCL_SLOW": "warn"}


def test_sizes_that_nobody_reported_have_no_mark() -> None:
    figures = {1 << 20: 3.0}
    assert found(nccl_evidence(nccl_text(figures), growth=nccl_growth(nccl_moved(figures)))) == {"NCCL_SIZE_UNMARKED": "warn"}


REDUCED = "# Reducing maxBytes to {size} due to memory limitation\n"


@pytest.mark.parametrize(("size", "busbw", "severity"), [(4 * GIB, 22.4, "note"), (1 << 20, 3.0, "unknown")])
def test_a_size_that_nccl_tests_lowered_is_told_and_a_speed_without_a_mark_is_unknown(size: int, busbw: float, severity: str) -> None:
    figures = {size: busbw}
    head, title, rest = nccl_text(figures).partition("# Using devices")
    head = head.replace(f"maxBytes {size}", f"maxBytes {32 * GIB}")
    growth = nccl_growth(nccl_moved(figures))
    whole = nccl_evidence(head + REDUCED.format(size=size) + title + rest, growth=growth)
    assert found(whole) == {"NCCL_SIZE_REDUCED": severity}
    assert found(nccl_evidence(nccl_text(figures), growth=growth)) == ({} if severity == "note" else {"NCCL_SIZE_UNMARKED": "warn"})


@pytest.mark.parametrize(
    ("ranks", "ends", "cause"),
    [
        ((rank(1), rank(2, locked_soft=65536)), ENDS, "memlock"),
        ((rank(1), rank(2)), (ENDS[0], end(2, cma_total_kb=0, cma_free_kb=9)), "kho"),
        ((rank(1), rank(2)), ENDS, "unknown"),
    ],
)
def test_enomem_tells_its_causes_apart(ranks, ends, cause: str) -> None:
    text = "spark-0001:1:1 [0] NCCL WARN ibv_reg_mr_iova2 failed: Cannot allocate memory\n"
    [item] = judge("pair_a", ends, stopped(text, ranks=ranks), iterations=20, warmups=5)
    assert item.evidence["cause"] == cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("accepted a TCP connection from 172.17.0.1, but cannot find a corresponding process entry for that peer", "docker0"),
        ("user@192.168.100.11: Permission denied (publickey).", "ssh"),
        ("/x/all_gather_perf: error while loading shared libraries: libnccl.so.2: cannot open shared object file", "library"),
        ("mpirun was unable to find the specified executable file, and therefore did not launch the job", "program"),
        ("There are not enough slots available in the system", "slots"),
        ("ORTE was unable to reliably start one or more daemons.", "daemon"),
    ],
)
def test_failed_launches_are_told_apart(text: str, cause: str) -> None:
    failure = launch_cause(nccl_failures.read(text))
    assert failure is not None and failure[0].name == cause


def test_a_healthy_text_is_no_failed_launch() -> None:
    assert nccl_failures.read(nccl_text()) == []


def test_the_refusal_names_the_largest_size_that_fits() -> None:
    [item] = judge("pair_a", ENDS, NcclEvidence(problems=(Problem("memory", "desk-02", "little", MEMORY),)), iterations=20, warmups=5)
    assert item.evidence["largest_bytes"] == 8 * GIB
    assert "8 GiB" in item.message
    assert memory_needed_kb(item.evidence["largest_bytes"]) <= MEMORY["available_kb"]


def test_nothing_fits_into_no_memory() -> None:
    assert largest_size(RESERVE_KB) == 0


def test_drift_is_found_beside_other_findings() -> None:
    evidence = dataclasses.replace(slow(11.2), ranks=(rank(1), rank(2, libnccl_sha256="x")))
    assert found(evidence) == {"NCCL_VERSION_DRIFT": "fail", "NCCL_SLOW": "fail"}


def test_the_summary_of_a_run() -> None:
    told = summary(ENDS, nccl_evidence(), iterations=20, warmups=5, environments={})
    assert (told["measured"], told["transport"], told["hcas"]["spark-0001"]) == (True, "IB", list(DEVICES))
    assert "rc" not in told  # Ansible would take it for the module's own


def transcript(name: str) -> str:
    path = TRANSCRIPTS / name
    if not path.is_file():
        pytest.skip("the real transcripts stand beside the project's own checkout only")
    return path.read_text(encoding="utf-8")


REAL = (("rocep1s0f1", "enp1s0f1np1"), ("roceP2p1s0f1", "enP2p1s0f1np1"))


def real_ends():
    """The two desks of the transcripts, measured on port 1."""
    ends = []
    for desk, host in ((1, "spark-fb97"), (2, "spark-4440")):
        functions = tuple(
            dataclasses.replace(item, rdma_device=device, netdev=netdev)
            for item, (device, netdev) in zip(ENDS[desk - 1].functions, REAL, strict=True)
        )
        ends.append(end(desk, port=1, hostname=host, functions=functions))
    return ends[0], ends[1]


def real_growth(total: int):
    return tuple(
        dataclasses.replace(
            item,
            before={REAL[place][1]: values for place, values in enumerate(item.before.values())},
            after={REAL[place][1]: values for place, values in enumerate(item.after.values())},
        )
        for item in nccl_growth(total)
    )


UNSEEN = {"NCCL_TRANSPORT_UNSEEN": "note"}


@pytest.mark.parametrize(
    ("name", "sizes", "iterations", "slow_13g", "expected"),
    [
        # No log line in it: the counters prove the way, a note says that the log does not.
        ("nccl-all_gather.good-1G-4G.mprg.txt", (GIB, 2 * GIB, 4 * GIB), 50, False, UNSEEN),
        ("nccl-all_gather.INFO-good-1G.mprg.txt", (GIB,), 1, False, {}),
        ("nccl-all_gather.degraded-cable-moved.mprg.txt", (GIB, 2 * GIB, 4 * GIB), 50, True, {"NCCL_SLOW_13G": "fail", **UNSEEN}),
        ("nccl-all_gather.degraded-cable-moved.mprg.txt", (GIB, 2 * GIB, 4 * GIB), 50, False, {"NCCL_SLOW": "fail", **UNSEEN}),
    ],
)
def test_real_transcripts(name: str, sizes: tuple[int, ...], iterations: int, slow_13g: bool, expected: dict[str, str]) -> None:
    moved = sum(size // 2 * 2 * iterations for size in sizes)
    ends = real_ends()
    seen = neighbours(ends)
    evidence = nccl_evidence(transcript(name), growth=real_growth(moved), neighbours=seen)
    findings = judge("pair_a", ends, evidence, iterations=iterations, warmups=1, slow_13g=slow_13g)
    assert {item.code: item.severity for item in findings} == expected


def test_a_good_transcript_without_log_lines_is_no_pass_without_counters() -> None:
    evidence = nccl_evidence(transcript("nccl-all_gather.good-1G-4G.mprg.txt"), growth=())
    assert found(evidence, real_ends())["NCCL_COUNTERS_UNKNOWN"] == "unknown"


def test_a_version_that_reports_name_is_told_beside_what_was_seen() -> None:
    assert found(nccl_evidence(nccl_text().replace("23007", "23004"))) == {"VERSION_KNOWN_BAD": "note"}
    hung = nccl_evidence(nccl_text(end_at=1).replace("23007", "23004"), **HANGS)
    assert found(hung) == {"NCCL_TIMEOUT": "fail", "VERSION_KNOWN_BAD": "note"}
    [note] = [item for item in judge("pair_a", ENDS, hung, iterations=20, warmups=5) if item.code == "VERSION_KNOWN_BAD"]
    assert "2.30.4" in note.message and note.where.pair == "pair_a" and note.evidence["grade"] == "single"
    assert found(nccl_evidence(nccl_text().replace("23007", "23003"))) == {}


@pytest.mark.parametrize("hostname", ["spark", "SPARK-ROOM-7", "a" * 63, "spark.lab.example"])
def test_two_desks_with_one_host_name_are_not_taken_for_one_half(hostname: str) -> None:
    """The devices of the two desks have names of their own; NCCL's log calls both desks the same, cut at the first dot."""
    other = dataclasses.replace(
        ENDS[1], functions=tuple(dataclasses.replace(item, rdma_device=f"mlx5_{place}") for place, item in enumerate(ENDS[1].functions))
    )
    ends = tuple(dataclasses.replace(end, hostname=hostname) for end in (ENDS[0], other))
    names = [item.rdma_device for end in ends for item in end.functions]
    evidence = nccl_evidence()
    for used, expected in ((names, {}), (names[:2], {"NCCL_ONE_HALF": "fail"})):
        output = dataclasses.replace(evidence.output, hcas={hostname.partition(".")[0]: used})
        assert found(dataclasses.replace(evidence, output=output), ends) == expected
