# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an NCCL measurement means: findings from evidence alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.finding import Finding, Where
from ..model.link import Endpoint, members
from ..model.proof import Locked, NcclEvidence, NcclOutput, Problem
from .catalogue import finding
from .counters import BAND, COUNTERS, RESTARTED, restarted, state_of
from .known_versions import evidence_of, known_bad, told
from .marks import at_speed, link_speed, mark, nccl_mark
from .marks_data import MARKS, Mark
from .nccl_failures import ONE_NAME, Cause, consequence, launch_cause, run_cause
from .rdma import no_memory, problems, wrong_peer

BUFFERS = 3
"""Buffers of the largest message size that nccl-tests allocates on each desk: send, receive, and the expected values for the check."""

RESERVE_KB = 4 * 1024 * 1024
"""Memory left to the desk: NCCL's own buffers, CUDA contexts, the desktop. A desk that runs out of memory freezes."""

LEAST_SHARE = 0.1
"""Share of a desk's bytes that each of two functions carries at least when both are in use."""

OFFICIAL_COLLECTIVE = "all_gather"
RING_MARK = "nccl_ring"


def memory_needed_kb(size: int) -> int:
    """Memory in kB that a run with messages up to ``size`` bytes needs on each desk."""
    return BUFFERS * size // 1024 + RESERVE_KB


def largest_size(available_kb: int) -> int:
    """The largest power of two (bytes) whose run fits; 0 when none does."""
    room = (available_kb - RESERVE_KB) * 1024 // BUFFERS
    return 1 << (room.bit_length() - 1) if room >= 1024 else 0


def size_text(size: int) -> str:
    """A message size in words."""
    if size < 1 << 20:
        return f"{size} bytes"
    return f"{size >> 30} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


def judge(
    stack: str,
    ends: Sequence[Endpoint],
    evidence: NcclEvidence,
    *,
    iterations: int,
    warmups: int,
    slow_13g: bool = False,
    marks: Sequence[Mark] = MARKS,
) -> list[Finding]:
    """Findings of a stack's NCCL measurement; an empty list is a pass with transport and counters proven.

    ``ends``: every end of every cable, head first; a member of a ring has two. ``slow_13g``: whether this run's RDMA measurement
    found the 13 Gb/s state.
    """
    found = _not_started(stack, evidence.problems)
    found += wrong_peer(stack, ends, evidence.neighbours, "NCCL_PEER_NOT_READY")
    if found:
        return found
    found = _ended_badly(stack, ends, evidence)
    if found:
        return found + _known_bad(stack, evidence.output)
    found = _drift(stack, evidence)
    path = _path(stack, ends, evidence, iterations, warmups)
    found += path
    if not any(item.severity == "fail" for item in path):
        found += _speed(stack, ends, evidence.output, slow_13g, marks)
    found += _reduced(stack, ends, evidence.output, marks)
    return [*found, *_known_bad(stack, evidence.output), *_notes(stack, evidence.output)]


def _known_bad(stack: str, said: NcclOutput) -> list[Finding]:
    """Whether reports of a fault name the NCCL that ran: a hang may be its own."""
    version = said.nccl_version or ""
    entry = known_bad("nccl", version)
    if entry is None:
        return []
    shown = evidence_of(entry, version)
    return [finding("VERSION_KNOWN_BAD", Where(pair=stack), told(entry, version), severity=entry.severity, evidence=shown)]


def _not_started(pair: str, seen: Sequence[Problem]) -> list[Finding]:
    memory = [item for item in seen if item.kind == "memory"]
    launch = [item for item in seen if item.kind in ("tool_missing", "library", "newer_system", "may_not_run", "mpi_ports")]
    found = problems(pair, [item for item in seen if item not in memory and item not in launch], "NCCL_PEER_NOT_READY")
    for item in launch:
        cause = {"tool_missing": "mpirun", "library": "library" if "missing" in item.evidence else "program"}.get(item.kind, item.kind)
        known = launch_cause([{"sign": "program" if cause == "mpirun" else cause}])
        where, evidence = Where(pair=pair, desk=item.desk), {"cause": cause, **item.evidence}
        text = f"{item.desk}: {item.text}"
        found.append(finding("NCCL_LAUNCH_FAILED", where, text, evidence=evidence, remedy=known[0].remedy if known else None))
    for item in memory:
        kb = item.evidence.get("available_kb")
        fits = largest_size(kb) if isinstance(kb, int) else 0
        text = f"{item.desk}: {item.text}" + (f"; the largest size that fits is {size_text(fits)}" if fits else "")
        where = Where(pair=pair, desk=item.desk)
        found.append(finding("NCCL_MEMORY_REFUSED", where, text, evidence={**item.evidence, "largest_bytes": fits}))
    return found


def _ended_badly(pair: str, ends: Sequence[Endpoint], evidence: NcclEvidence) -> list[Finding]:
    """Everything that makes the table unusable, told apart; at most one finding."""
    where = Where(pair=pair)
    said = evidence.output
    shown: dict[str, Any] = {"rc": evidence.rc, "rows": len(said.rows), "errors": list(said.errors[:4]), "last_lines": said.last_lines}
    wrong = _wrong(said)
    if said.worlds > 1:
        return [finding("NCCL_TWO_WORLDS", where, f"pair {pair}: {said.worlds} worlds of one rank each", evidence=shown)]
    if wrong:
        return [finding("NCCL_WRONG_RESULT", where, f"pair {pair}: {wrong} wrong values", evidence={**shown, "wrong": wrong})]
    if evidence.rc == 0 and evidence.error is None and said.complete and len(said.ranks) == len(members(ends)):
        return []
    versions = next((sign for sign in said.signs if sign["sign"] == "versions"), None)
    if versions is not None:
        return [_refused(pair, versions, evidence, shown)]
    if not said.ranks:
        launch = launch_cause(said.signs)
        if launch is not None:
            return [_caused(pair, ends, *launch, shown)]
    cause = run_cause(said.signs)
    if cause is not None and cause[0].name != "cuda":
        return [_caused(pair, ends, *cause, shown)]
    memory = _out_of_memory(pair, ends, evidence, shown)
    if memory is not None:
        return [memory]
    if cause is not None:
        return [_caused(pair, ends, *cause, shown)]
    if evidence.error == "timeout" and not said.ranks and (shared := _shared_name(ends)):
        return [_caused(pair, ends, ONE_NAME, {"sign": ONE_NAME.name, "hostname": shared}, shown)]
    if evidence.error == "timeout":
        reached = f"{len(said.rows)} rows of the table" if said.ranks else "before the first rank reported"
        return [finding("NCCL_TIMEOUT", where, f"pair {pair}: stopped at the time limit, reached {reached}", evidence=shown)]
    if drift := _drift(pair, evidence):
        return drift
    echo = consequence(said.signs)
    if echo is not None and (said.ranks or echo[0].name in ("crashed", "killed")):
        return [_caused(pair, ends, *echo, shown)]
    if evidence.rc != 0 and not said.ranks:
        message = f"pair {pair}: mpirun ended with {evidence.rc} before a rank reported"
        remedy = "The last lines in the evidence are what mpirun, the login and the test said. Fix what they name and run again."
        return [finding("NCCL_LAUNCH_FAILED", where, message, evidence={**shown, "cause": "unknown"}, remedy=remedy)]
    message = f"pair {pair}: {len(said.rows)} rows, {len(said.ranks)} ranks, exit code {evidence.rc}"
    return [finding("NCCL_INCOMPLETE", where, message, evidence={**shown, "cause": "unknown"})]


def _shared_name(ends: Sequence[Endpoint]) -> str | None:
    """The host name that two members have in common."""
    names = [next(end.hostname for end in ends if end.desk == desk) for desk in members(ends)]
    return next((name for name in names if name and names.count(name) > 1), None)


def _caused(pair: str, ends: Sequence[Endpoint], cause: Cause, sign: Mapping[str, Any], shown: Mapping[str, Any]) -> Finding:
    told = {key: value for key, value in sign.items() if key != "sign" and value is not None}
    node = sign.get("node") or _speaker(ends, str(sign.get("line") or ""))
    place = f" (on {node})" if node else ""
    return finding(
        cause.code,
        Where(pair=pair),
        f"pair {pair}: {cause.words}{place}",
        evidence={"cause": cause.name, **told, **shown},
        remedy=cause.remedy,
    )


def _speaker(ends: Sequence[Endpoint], line: str) -> str | None:
    """The desk whose rank said a line, as NCCL (HOST:PID:TID [GPU]) and nccl-tests (HOST: Test, HOST pid PID:) begin it."""
    named = {end.desk: re.escape((end.hostname or "").partition(".")[0]) for end in ends}
    said = {
        desk
        for desk, name in named.items()
        if name and re.search(rf"(?:^|[\s\]]){name}(?:\.[\w.-]{{1,253}})?(?::\d|: Test | pid \d)", line)
    }
    return said.pop() if len(said) == 1 else None


def _refused(pair: str, sign: Mapping[str, Any], evidence: NcclEvidence, shown: Mapping[str, Any]) -> Finding:
    """NCCL's own refusal of ranks of different versions."""
    desks = {str(item.rank): item.desk for item in evidence.ranks if item.rank is not None}
    seen = {desks.get(rank, f"rank {rank}"): version for rank, version in sign["versions"].items()}
    told = " and ".join(f"{version} on {name}" for name, version in sorted(seen.items())) or "versions differ"
    libraries = {item.desk: item.libnccl_sha256 for item in evidence.ranks if item.libnccl_sha256}
    message = f"pair {pair}: NCCL refuses ranks with different versions: {told}"
    return finding(
        "NCCL_VERSION_DRIFT",
        Where(pair=pair),
        message,
        evidence={"versions": seen, "line": sign["line"], "libnccl_sha256": libraries, **shown},
    )


def _out_of_memory(pair: str, ends: Sequence[Endpoint], evidence: NcclEvidence, shown: dict[str, Any]) -> Finding | None:
    signs = {sign["sign"]: str(sign["line"]) for sign in reversed(evidence.output.signs)}
    if "gpu_memory" in signs:
        desk = _speaker(ends, signs["gpu_memory"])
        place = f" on {desk}" if desk else ""
        return finding(
            "NCCL_ENOMEM", Where(pair=pair), f"pair {pair}: a rank{place} ran out of GPU memory (CUDA out of memory)",
            evidence={**shown, "cause": "gpu_memory", "available_kb": dict(evidence.available_kb)},
            remedy="Free memory on both desks (the GPU shares it with all other programs) or choose a smaller maximum size "
            "(pair_proof_nccl_max_bytes), then run again.",
        )  # fmt: skip
    if "registration" in signs:
        limits = [Locked(item.desk, item.locked_soft, item.locked_hard) for item in evidence.ranks]
        return no_memory("NCCL_ENOMEM", pair, ends, limits, shown)
    return None


def _wrong(said: NcclOutput) -> int:
    values = [row[half]["wrong"] or 0 for row in said.rows for half in ("out_of_place", "in_place")]
    return max(sum(values), said.out_of_bounds or 0)


WARNED: dict[str, tuple[str, str]] = {
    "gid_changed": (
        "the GID table of a function changed",
        "Find out what set an address during the run (DHCP, NetworkManager, another netplan file: journalctl -b), and run again.",
    ),
    "port_error": (
        "a function's port went down for a moment",
        "Look at the cable and at the link counters of both desks (CX7_LINK_FLAPPED), and run again.",
    ),
}
"""What a warning in a passing run means, and what to do."""


def _notes(pair: str, said: NcclOutput) -> list[Finding]:
    """What a run that ended well should have said otherwise."""
    where = Where(pair=pair)
    found = []
    if said.warnings:
        known = next((WARNED[sign["sign"]] for sign in said.signs if sign["sign"] in WARNED), None)
        words = known[0] if known else said.warnings[0]
        message = f"pair {pair}: NCCL warned in a successful run: {words}"[:400]
        remedy = known[1] if known else None
        found.append(finding("NCCL_WARNED", where, message, evidence={"warnings": list(said.warnings[:4])}, remedy=remedy))
    if said.plugin is not None:
        message = f"pair {pair}: NCCL used the network {said.plugin}, not its own RDMA transport"
        found.append(finding("NCCL_TRANSPORT_UNSEEN", where, message, evidence={"networks": said.networks, "transport": said.transport}))
    elif said.transport is None:
        reason = "did not report its transport" if said.logged else "wrote no log into the test's output"
        message = f"pair {pair}: NCCL {reason}; only the counters show that RDMA carried the bytes"
        found.append(finding("NCCL_TRANSPORT_UNSEEN", where, message, evidence={"transport": None, "logged": said.logged}))
    return found


def _reduced(pair: str, ends: Sequence[Endpoint], said: NcclOutput, marks: Sequence[Mark]) -> list[Finding]:
    """Whether the speed was judged at all, and whether nccl-tests itself lowered the largest size: the verdict is for what was measured."""
    sizes = [row["bytes"] or 0 for row in said.rows]
    measured = size_text(max(sizes, default=0))
    marked = any(nccl_mark(size, at_speed(marks, link_speed(ends)), _mark_name(ends)) for size in sizes)
    if said.reduced_to is None:
        message = f"pair {pair}: the largest message was {measured}; there is no mark for such small sizes, so the speed was not judged"
        shown = {"measured_bytes": max(sizes, default=0)}
        return [] if marked else [finding("NCCL_SIZE_UNMARKED", Where(pair=pair), message, evidence=shown)]
    message = f"pair {pair}: nccl-tests lowered the largest size on its own for lack of memory; the verdict is for up to {measured}"
    if not marked:
        message += ", and there is no mark for such small sizes"
    shown = {"reduced_to": said.reduced_to, "measured_bytes": max(sizes, default=0)}
    severity = "note" if marked else "unknown"
    return [finding("NCCL_SIZE_REDUCED", Where(pair=pair), message, evidence=shown, severity=severity)]


def _mark_name(ends: Sequence[Endpoint]) -> str:
    """The table of marks: a ring of three and more has its own."""
    return "nccl_ring" if len(ends) > len(members(ends)) > 2 else "nccl"


def _drift(pair: str, evidence: NcclEvidence) -> list[Finding]:
    for name, words in (("libnccl_sha256", "the NCCL library"), ("program_sha256", "the test program")):
        seen = {item.desk: getattr(item, name) for item in evidence.ranks if getattr(item, name)}
        if len(set(seen.values())) > 1:
            message = f"pair {pair}: {words} differs between {' and '.join(sorted(seen))}"
            return [finding("NCCL_VERSION_DRIFT", Where(pair=pair), message, evidence=seen)]
    return []


def _path(pair: str, ends: Sequence[Endpoint], evidence: NcclEvidence, iterations: int, warmups: int) -> list[Finding]:
    """Which way the bytes took: the transport lines first, then the counters."""
    where = Where(pair=pair)
    said = evidence.output
    if said.transport == "Socket":
        shown: dict[str, Any] = {"networks": said.networks, "channels": list(said.channels_via)}
        return [finding("NCCL_SOCKET_FALLBACK", where, f"pair {pair}: NCCL used the socket transport", evidence=shown)]
    for desk in members(ends):
        mine = [end for end in ends if end.desk == desk]
        used = said.hcas.get(_logged_name(mine[0], said))
        # Desks with one host name write one log: what they used together is all that it tells.
        logged = [end for end in ends if _logged_name(end, said) == _logged_name(mine[0], said)]
        wanted = list(dict.fromkeys(function.rdma_device for end in logged for function in end.functions))
        if used is not None and set(used) != set(wanted):
            message = f"{desk}: NCCL used {', '.join(used) or 'no device'}, the cabled port has {' and '.join(wanted)}"
            place = Where(pair=pair, desk=desk, port=mine[0].port if len(mine) == 1 else None)
            return [finding("NCCL_ONE_HALF", place, message, evidence={"used": list(used), "wanted": wanted})]
    rows = counter_rows(ends, evidence, iterations, warmups)
    silent = [row for row in rows if row["state"] == "still"]
    halves = [row for row in rows if row["state"] == "one_half"]
    if silent:
        return [
            finding("NCCL_COUNTERS_STILL", where, f"pair {pair}: the counters did not move while NCCL ran", evidence={"counters": silent})
        ]
    if halves:
        message = f"{halves[0]['desk']}: nearly all bytes went over one function"
        return [finding("NCCL_ONE_HALF", Where(pair=pair, desk=halves[0]["desk"]), message, evidence={"counters": halves})]
    doubtful = [row for row in rows if row["state"] != "fits"]
    if doubtful:
        names = ", ".join(f"{row['counter']} of {row['desk']} ({row['state']})" for row in doubtful[:4])
        shown = {"counters": doubtful, "band": list(BAND), "transport": said.transport}
        message = f"pair {pair}: counters do not confirm the bytes: {names}"
        remedy = RESTARTED if any(row["state"] == "backwards" for row in doubtful) else None
        return [finding("NCCL_COUNTERS_UNKNOWN", where, message, evidence=shown, remedy=remedy)]
    return []


def _logged_name(end: Endpoint, said: NcclOutput) -> str:
    """The name under which the desk's rank writes its log: NCCL cuts a host name at the first dot."""
    name = end.hostname or ""
    return name if name in said.hcas else name.partition(".")[0]


def moved(said: NcclOutput, iterations: int, warmups: int) -> tuple[int, int]:
    """Fewest and most bytes that each desk sent (and received): bus bandwidth times time is what crosses the link one way."""
    low = 0.0
    for row in said.rows:
        for half in ("out_of_place", "in_place"):
            low += (row[half]["busbw"] or 0.0) * (row[half]["time_us"] or 0.0) * 1000.0 * iterations
    return int(low), int(low * (iterations + warmups + 2) / max(1, iterations))


def counter_rows(ends: Sequence[Endpoint], evidence: NcclEvidence, iterations: int, warmups: int) -> list[dict[str, Any]]:
    """Every counter of every desk, summed over its cabled functions, beside the bytes that NCCL moved."""
    low, high = moved(evidence.output, iterations, warmups)
    growth = {item.desk: item for item in evidence.growth}
    rows = []
    for desk in members(ends):
        mine = [end for end in ends if end.desk == desk]
        names = [function.netdev for end in mine for function in end.functions]
        for counter in COUNTERS:
            seen = growth.get(desk)
            grown = [None if seen is None else seen.grown(name, counter.name) for name in names]
            known = [value * counter.unit for value in grown if value is not None]
            total = sum(known) if len(known) == len(grown) and known else None
            state = state_of(total, low, high)
            if counter.physical and state == "outside" and any(state_of(value, low, high) == "fits" for value in known):
                state, total = "fits", max(known)  # each function shows the whole port
            elif state in ("fits", "outside") and not counter.physical and total and _lame(mine, known, total):
                state = "one_half"
            # What went backwards must not hide in a sum.
            if min(known, default=0) < 0 or (state not in ("fits", "unread") and any(restarted(seen, name) for name in names)):
                state, total = "backwards", None
            rows.append(
                {
                    "desk": desk, "counter": counter.name, "state": state, "bytes": total, "expected_bytes": [low, high],
                    "by_function": {name: None if (value or 0) < 0 else value for name, value in zip(names, grown, strict=True)},
                }
            )  # fmt: skip
    return rows


def _lame(ends: Sequence[Endpoint], by_function: Sequence[int], total: int) -> bool:
    """Whether a function of a port that was in use carried next to nothing.

    A ring may send over one cable and receive over the other, so a port that stood still as a whole is not lame.
    """
    rest = list(by_function)
    for end in ends:
        mine, rest = rest[: len(end.functions)], rest[len(end.functions) :]
        if mine and (len(ends) == 1 or sum(mine) >= LEAST_SHARE * total) and min(mine) < LEAST_SHARE * sum(mine):
            return True
    return False


def busbw(row: Mapping[str, Any]) -> float:
    """Mean of the two bus bandwidths of a row, as nccl-tests averages them."""
    return ((row["out_of_place"]["busbw"] or 0.0) + (row["in_place"]["busbw"] or 0.0)) / 2


def mark_name(ends: Sequence[Endpoint]) -> str:
    """Which marks the bus bandwidth is held against: those of a ring where each member has two ends."""
    return RING_MARK if len(ends) > len(members(ends)) > 2 else "nccl"


def _speed(pair: str, ends: Sequence[Endpoint], said: NcclOutput, slow_13g: bool, marks: Sequence[Mark]) -> list[Finding]:
    where = Where(pair=pair)
    marks = at_speed(marks, link_speed(ends))
    ring = mark_name(ends) == RING_MARK
    floor, trap = mark("nccl_one_function", marks), mark("nccl_13g", marks)
    judged = []
    for row in said.rows:
        wanted = nccl_mark(row["bytes"] or 0, marks, _mark_name(ends))
        if wanted is not None and busbw(row) < wanted.value:
            judged.append((row, wanted))
    if not judged:
        return []
    row, wanted = max(judged, key=lambda item: item[0]["bytes"])
    reached = busbw(row)
    shown = {
        "busbw": round(reached, 2), "mark": wanted.value, "bytes": row["bytes"], "source": wanted.source, "reports": wanted.reports,
        "collective": said.collective,
    }  # fmt: skip
    message = f"pair {pair}: {reached:.2f} GB/s at {size_text(row['bytes'])}; {wanted.value:g} was expected"
    if slow_13g and reached < trap.value:
        return [finding("NCCL_SLOW_13G", where, message, evidence=shown)]
    official = wanted.may_fail and said.collective == OFFICIAL_COLLECTIVE
    # What one function alone gives between two desks is more than NVIDIA's mark for a ring.
    severity = "fail" if official or (reached < floor.value and not ring) else "warn"
    return [finding("NCCL_SLOW", where, message, evidence=shown, severity=severity)]


def summary(
    ends: Sequence[Endpoint], evidence: NcclEvidence, *, iterations: int, warmups: int, environments: Mapping[str, Any]
) -> dict[str, Any]:
    """The measurement as results and reports carry it."""
    said = evidence.output
    return {
        "measured": bool(evidence.rc == 0 and said.complete and len(said.ranks) == len(members(ends)) and said.worlds == 1),
        "collective": said.collective,
        **({"mark_name": mark_name(ends)} if mark_name(ends) == RING_MARK else {}),
        "nccl_version": said.nccl_version,
        "ranks": [item.__dict__ for item in evidence.ranks],
        "rows": list(said.rows),
        "avg_busbw": said.avg_busbw,
        "transport": said.transport,
        "hcas": dict(said.hcas),
        "errors": list(said.errors[:10]),
        "counters": counter_rows(ends, evidence, iterations, warmups) if evidence.growth else [],
        "available_kb": dict(evidence.available_kb),
        "left_running": dict(evidence.left_running),
        "command": list(evidence.argv),
        "environment": environments,
        # Ansible takes a result with rc other than 0 for a failed task.
        "exit_code": evidence.rc,
        "seconds": evidence.seconds,
    }
