# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an NCCL measurement means: findings from evidence alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model.finding import Finding, Where
from ..model.link import Endpoint
from ..model.proof import Locked, NcclEvidence, Problem
from ..readers import nccl_tests as nccl_reader
from .catalogue import finding
from .counters import BAND, COUNTERS
from .marks import mark, nccl_mark
from .marks_data import MARKS, Mark
from .rdma import no_memory, problems, state_of, wrong_peer

BUFFERS = 3
"""Buffers of the largest message size that nccl-tests allocates on each desk: send, receive, and the expected values for the check."""

RESERVE_KB = 4 * 1024 * 1024
"""Memory left to the desk: NCCL's own buffers, CUDA contexts, the desktop. A desk that runs out of memory freezes."""

LEAST_SHARE = 0.1
"""Share of a desk's bytes that each of two functions carries at least when both are in use."""

OFFICIAL_COLLECTIVE = "all_gather"

LAUNCH_SIGNS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "docker0",
        ("accepted a tcp connection", "cannot find a corresponding process entry"),
        "a container bridge with the same address on both desks (docker0 trap) got into Open MPI's way",
    ),
    ("ssh", ("host key verification failed", "permission denied (", "ssh: connect to host"), "mpirun's ssh to the peer failed"),
    (
        "library",
        ("error while loading shared libraries", "cannot open shared object file"),
        "a shared library of the test is missing",
    ),
    (
        "program",
        (
            "could not access or execute", "unable to find the specified executable", "no such file or directory", "command not found",
            "unable to launch the specified application",
        ),
        "a program was not found on a desk",
    ),
    ("slots", ("not enough slots",), "mpirun was given too few slots"),
    (
        "daemon",
        ("unable to reliably start one or more daemons", "orte daemon has unexpectedly failed", "prte daemon", "daemons/servers"),
        "Open MPI's daemon on the peer did not start",
    ),
)  # fmt: skip


def memory_needed_kb(size: int) -> int:
    """Memory in kB that a run with messages up to ``size`` bytes needs on each desk."""
    return BUFFERS * size // 1024 + RESERVE_KB


def largest_size(available_kb: int) -> int:
    """The largest power of two (bytes) whose run fits; 0 when none does."""
    room = (available_kb - RESERVE_KB) * 1024 // BUFFERS
    return 1 << (room.bit_length() - 1) if room >= 1024 else 0


def size_text(size: int) -> str:
    """A message size in words."""
    return f"{size >> 30} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


def judge(
    pair: str,
    ends: tuple[Endpoint, Endpoint],
    evidence: NcclEvidence,
    *,
    iterations: int,
    warmups: int,
    slow_13g: bool = False,
    marks: Sequence[Mark] = MARKS,
) -> list[Finding]:
    """Findings of a pair's NCCL measurement; an empty list is a pass with transport and counters proven.

    ``slow_13g``: whether this run's RDMA measurement found the 13 Gb/s state.
    """
    found = _not_started(pair, evidence.problems)
    found += wrong_peer(pair, ends, evidence.neighbours, "NCCL_PEER_NOT_READY")
    if found:
        return found
    read = nccl_reader.read(evidence.stdout + "\n" + evidence.stderr)
    found = _ended_badly(pair, ends, evidence, read)
    if found:
        return found
    found = _drift(pair, evidence)
    path = _path(pair, ends, evidence, read, iterations, warmups)
    found += path
    if not any(item.severity == "fail" for item in path):
        found += _speed(pair, read, slow_13g, marks)
    return found


def _not_started(pair: str, seen: Sequence[Problem]) -> list[Finding]:
    memory = [item for item in seen if item.kind == "memory"]
    launch = [item for item in seen if item.kind in ("tool_missing", "library")]
    found = problems(pair, [item for item in seen if item not in memory and item not in launch], "NCCL_PEER_NOT_READY")
    for item in launch:
        cause = "mpirun" if item.kind == "tool_missing" else "library" if "missing" in item.evidence else "program"
        where = Where(pair=pair, desk=item.desk)
        found.append(finding("NCCL_LAUNCH_FAILED", where, f"{item.desk}: {item.text}", evidence={"cause": cause, **item.evidence}))
    for item in memory:
        kb = item.evidence.get("available_kb")
        fits = largest_size(kb) if isinstance(kb, int) else 0
        text = f"{item.desk}: {item.text}" + (f"; the largest size that fits is {size_text(fits)}" if fits else "")
        where = Where(pair=pair, desk=item.desk)
        found.append(finding("NCCL_MEMORY_REFUSED", where, text, evidence={**item.evidence, "largest_bytes": fits}))
    return found


def _ended_badly(pair: str, ends: tuple[Endpoint, Endpoint], evidence: NcclEvidence, read: Mapping[str, Any]) -> list[Finding]:
    """Everything that makes the table unusable, told apart; at most one finding."""
    where = Where(pair=pair)
    text = evidence.stdout + "\n" + evidence.stderr
    shown: dict[str, Any] = {"rc": evidence.rc, "rows": len(read["rows"]), "errors": read["errors"][:4], "last_lines": last_lines(text)}
    launch = None if read["ranks"] else launch_failure(text)
    wrong = _wrong(read)
    if read["worlds"] > 1:
        return [finding("NCCL_TWO_WORLDS", where, f"pair {pair}: {read['worlds']} worlds of one rank each", evidence=shown)]
    if wrong:
        return [finding("NCCL_WRONG_RESULT", where, f"pair {pair}: {wrong} wrong values", evidence={**shown, "wrong": wrong})]
    if launch is not None:
        message = f"pair {pair}: {launch[1]}"
        return [finding("NCCL_LAUNCH_FAILED", where, message, evidence={**shown, "cause": launch[0]})]
    if evidence.error == "timeout":
        reached = f"{len(read['rows'])} rows of the table" if read["ranks"] else "before the first rank reported"
        return [finding("NCCL_TIMEOUT", where, f"pair {pair}: stopped at the time limit, reached {reached}", evidence=shown)]
    if read["retry_exceeded"]:
        return [finding("NCCL_RETRY_EXCEEDED", where, f"pair {pair}: a send gave up (IBV_WC_RETRY_EXC_ERR)", evidence=shown)]
    low = text.lower()
    if "out of memory" in low:
        message = f"pair {pair}: a rank ran out of GPU memory"
        shown |= {"cause": "gpu_memory", "available_kb": dict(evidence.available_kb)}
        return [finding("NCCL_ENOMEM", where, message, evidence=shown)]
    if read["out_of_memory"]:
        limits = [Locked(item.desk, item.locked_soft, item.locked_hard) for item in evidence.ranks]
        return [no_memory("NCCL_ENOMEM", pair, ends, limits, shown)]
    if evidence.rc != 0 and not read["ranks"]:
        message = f"pair {pair}: mpirun ended with {evidence.rc} before a rank reported"
        return [finding("NCCL_LAUNCH_FAILED", where, message, evidence={**shown, "cause": "unknown"})]
    if evidence.rc != 0 or not read["complete"] or len(read["ranks"]) != len(ends):
        message = f"pair {pair}: {len(read['rows'])} rows, {len(read['ranks'])} ranks, exit code {evidence.rc}"
        return [finding("NCCL_INCOMPLETE", where, message, evidence=shown)]
    return []


def _wrong(read: Mapping[str, Any]) -> int:
    values = [row[half]["wrong"] or 0 for row in read["rows"] for half in ("out_of_place", "in_place")]
    return max(sum(values), read["out_of_bounds"] or 0)


def launch_failure(text: str) -> tuple[str, str] | None:
    """Cause and sentence of a failed launch, from what mpirun and ssh said; null when nothing known was said."""
    low = text.lower()
    return next(((cause, words) for cause, signs, words in LAUNCH_SIGNS if any(sign in low for sign in signs)), None)


def last_lines(text: str) -> str:
    """The last lines that are not NCCL's log."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and " NCCL INFO " not in line]
    return "\n".join(lines[-8:])[-700:]


def _drift(pair: str, evidence: NcclEvidence) -> list[Finding]:
    for name, words in (("libnccl_sha256", "the NCCL library"), ("program_sha256", "the test program")):
        seen = {item.desk: getattr(item, name) for item in evidence.ranks if getattr(item, name)}
        if len(set(seen.values())) > 1:
            message = f"pair {pair}: {words} differs between {' and '.join(sorted(seen))}"
            return [finding("NCCL_VERSION_DRIFT", Where(pair=pair), message, evidence=seen)]
    return []


def _path(
    pair: str, ends: tuple[Endpoint, Endpoint], evidence: NcclEvidence, read: Mapping[str, Any], iterations: int, warmups: int
) -> list[Finding]:
    """Which way the bytes took: the transport lines first, then the counters."""
    where = Where(pair=pair)
    if read["transport"] == "Socket":
        shown = {"networks": read["networks"], "channels": read["channels_via"]}
        return [finding("NCCL_SOCKET_FALLBACK", where, f"pair {pair}: NCCL used the socket transport", evidence=shown)]
    for end in ends:
        used = read["hcas"].get(end.hostname or "")
        wanted = [function.rdma_device for function in end.functions]
        if used is not None and set(used) != set(wanted):
            message = f"{end.desk}: NCCL used {', '.join(used) or 'no device'}, the cabled port has {' and '.join(wanted)}"
            place = Where(pair=pair, desk=end.desk, port=end.port)
            return [finding("NCCL_ONE_HALF", place, message, evidence={"used": used, "wanted": wanted})]
    rows = counter_rows(ends, evidence, read, iterations, warmups)
    silent = [row for row in rows if row["state"] == "still"]
    halves = [row for row in rows if row["state"] == "one_half"]
    if silent:
        return [finding("NCCL_COUNTERS_STILL", where, f"pair {pair}: counters stood still while NCCL ran", evidence={"counters": silent})]
    if halves:
        message = f"{halves[0]['desk']}: nearly all bytes went over one function"
        return [finding("NCCL_ONE_HALF", Where(pair=pair, desk=halves[0]["desk"]), message, evidence={"counters": halves})]
    doubtful = [row for row in rows if row["state"] != "fits"]
    if doubtful:
        names = ", ".join(f"{row['counter']} of {row['desk']} ({row['state']})" for row in doubtful[:4])
        shown = {"counters": doubtful, "band": list(BAND), "transport": read["transport"]}
        return [finding("NCCL_COUNTERS_UNKNOWN", where, f"pair {pair}: counters do not confirm the bytes: {names}", evidence=shown)]
    return []


def moved(read: Mapping[str, Any], iterations: int, warmups: int) -> tuple[int, int]:
    """Fewest and most bytes that each desk sent (and received): bus bandwidth times time is what crosses the link one way."""
    low = 0.0
    for row in read["rows"]:
        for half in ("out_of_place", "in_place"):
            low += (row[half]["busbw"] or 0.0) * (row[half]["time_us"] or 0.0) * 1000.0 * iterations
    return int(low), int(low * (iterations + warmups + 2) / max(1, iterations))


def counter_rows(
    ends: tuple[Endpoint, Endpoint], evidence: NcclEvidence, read: Mapping[str, Any], iterations: int, warmups: int
) -> list[dict[str, Any]]:
    """Every counter of every desk, summed over the cabled functions, beside the bytes that NCCL moved."""
    low, high = moved(read, iterations, warmups)
    growth = {item.desk: item for item in evidence.growth}
    rows = []
    for end in ends:
        for counter in COUNTERS:
            mine = growth.get(end.desk)
            grown = [None if mine is None else mine.grown(function.netdev, counter.name) for function in end.functions]
            known = [value * counter.unit for value in grown if value is not None]
            total = sum(known) if len(known) == len(grown) and known else None
            state = state_of(total, low, high)
            if counter.physical and state == "outside" and any(state_of(value, low, high) == "fits" for value in known):
                state, total = "fits", max(known)  # each function shows the whole port
            elif state in ("fits", "outside") and not counter.physical and total and min(known) < LEAST_SHARE * total:
                state = "one_half"
            rows.append(
                {
                    "desk": end.desk, "counter": counter.name, "state": state, "bytes": total, "expected_bytes": [low, high],
                    "by_function": dict(zip([function.netdev for function in end.functions], grown, strict=True)),
                }
            )  # fmt: skip
    return rows


def busbw(row: Mapping[str, Any]) -> float:
    """Mean of the two bus bandwidths of a row, as nccl-tests averages them."""
    return ((row["out_of_place"]["busbw"] or 0.0) + (row["in_place"]["busbw"] or 0.0)) / 2


def _speed(pair: str, read: Mapping[str, Any], slow_13g: bool, marks: Sequence[Mark]) -> list[Finding]:
    where = Where(pair=pair)
    floor, trap = mark("nccl_one_function", marks), mark("nccl_13g", marks)
    judged = []
    for row in read["rows"]:
        wanted = nccl_mark(row["bytes"] or 0, marks)
        if wanted is not None and busbw(row) < wanted.value:
            judged.append((row, wanted))
    if not judged:
        return []
    row, wanted = max(judged, key=lambda item: item[0]["bytes"])
    reached = busbw(row)
    shown = {
        "busbw": round(reached, 2), "mark": wanted.value, "bytes": row["bytes"], "source": wanted.source, "reports": wanted.reports,
        "collective": read["collective"],
    }  # fmt: skip
    message = f"pair {pair}: {reached:.2f} GB/s at {size_text(row['bytes'])}, {wanted.value:g} was expected"
    if slow_13g and reached < trap.value:
        return [finding("NCCL_SLOW_13G", where, message, evidence=shown)]
    official = wanted.may_fail and read["collective"] == OFFICIAL_COLLECTIVE
    severity = "fail" if official or reached < floor.value else "warn"
    return [finding("NCCL_SLOW", where, message, evidence=shown, severity=severity)]


def summary(
    ends: tuple[Endpoint, Endpoint], evidence: NcclEvidence, *, iterations: int, warmups: int, environments: Mapping[str, Any]
) -> dict[str, Any]:
    """The measurement as results and reports carry it."""
    read = nccl_reader.read(evidence.stdout + "\n" + evidence.stderr)
    return {
        "measured": bool(evidence.rc == 0 and read["complete"] and len(read["ranks"]) == len(ends) and read["worlds"] == 1),
        "collective": read["collective"],
        "nccl_version": read["nccl_version"],
        "ranks": [item.__dict__ for item in evidence.ranks],
        "rows": read["rows"],
        "avg_busbw": read["avg_busbw"],
        "transport": read["transport"],
        "hcas": read["hcas"],
        "errors": read["errors"][:10],
        "counters": counter_rows(ends, evidence, read, iterations, warmups) if evidence.growth else [],
        "available_kb": dict(evidence.available_kb),
        "left_running": dict(evidence.left_running),
        "command": list(evidence.argv),
        "environment": environments,
        # Ansible takes a result with rc other than 0 for a failed task.
        "exit_code": evidence.rc,
        "seconds": evidence.seconds,
    }
