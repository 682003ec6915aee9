# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of nccl-tests (all_gather_perf and its kin) under mpirun, with NCCL's own log lines in between."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from . import text as _text

ROWS_LIMIT = 10_000
ERRORS_LIMIT = 50
STEPS_LIMIT = 10_000

_TAG = re.compile(r"\[[0-9]{1,6},[0-9]{1,6}\](?:<std(?:out|err|diag)>)?:? ?")
_LOG = re.compile(r"([A-Za-z][A-Za-z0-9.-]{0,252}):([0-9]{1,10}):([0-9]{1,10}) \[[0-9]{1,4}\]")
_LOG_ALONE = re.compile(r"([A-Za-z0-9][A-Za-z0-9.-]{0,252}):[0-9]{1,10}:[0-9]{1,10} \[[0-9]{1,4}\]")
_RANK = re.compile(
    r"#\s{1,16}Rank\s{1,8}([0-9]{1,6})(?:\s{1,8}Group\s{1,8}([0-9]{1,6}))?\s{1,8}Pid\s{1,16}([0-9]{1,10})\s{1,8}on\s{1,8}(\S{1,253})"
    r"\s{1,8}device\s{1,8}([0-9]{1,4})\s{1,8}\[([0-9a-fA-Fx:.]{1,32})\]\s{0,8}(.{0,100})"
)
_SIZES = re.compile(r"minBytes ([0-9]{1,18}) maxBytes ([0-9]{1,18}) step: ([0-9]{1,18})\((factor|bytes)\)")
_REDUCED = re.compile(r"# Reducing maxBytes to ([0-9]{1,18})")
_AVERAGE = re.compile(r"# Avg bus bandwidth\s{0,16}:\s{0,8}([0-9.eE+-]{1,24})")
_BOUNDS = re.compile(r"# Out of bounds values\s{0,16}:\s{0,8}([0-9]{1,18})\s{0,8}(\S{0,16})")
_STARTING = re.compile(r"# Collective test (?:starting|concluded): (\S{1,64})")
_PROGRAM = re.compile(r"\b([a-z_]{3,32})_perf\b")
_LIBRARY = re.compile(r"nccl-library=([0-9]{4,6})")
_VERSION = re.compile(r"NCCL version ([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})(\S{0,40})")
_HCA = re.compile(r"\[([0-9]{1,3})\]([A-Za-z0-9_.+-]{1,200}):([0-9]{1,3})/([A-Za-z]{1,16})")
_RETRY = re.compile(r"IBV_WC_RETRY_EXC_ERR|\bstatus=12\b|transport retry counter exceeded")
_MEMORY = ("Cannot allocate memory", "ENOMEM", "errno 12", "error 12")

_ERROR_PHRASES = (
    "NCCL WARN",
    "Test NCCL failure",
    "Test CUDA failure",
    "Test failure",
    "unhandled system error",
    "unhandled cuda error",
    "ncclSystemError",
    "ncclInternalError",
    "ncclRemoteError",
    "IBV_WC_",
    "Cannot allocate memory",
    "out of memory",
    "MPI_ABORT",
    "mpirun noticed that",
    "mpirun was unable",
    "mpirun detected that",
    "ORTE was unable",
    "ORTE daemon has unexpectedly",
    "PRTE has lost communication",
    "accepted a TCP connection",
    "cannot find a corresponding process entry",
    "Segmentation fault",
    "Host key verification failed",
    "Permission denied",
    "Connection refused",
    "No route to host",
    "Connection timed out",
    "error while loading shared libraries",
    "command not found",
    "All nodes which are allocated for this job are already filled",
    "not enough slots available",
)
_HARMLESS = ("Authorization required, but no authorization protocol specified",)


@dataclass
class _State:
    collective: str | None = None
    nccl: str | None = None
    nccl_full: str | None = None
    library: str | None = None
    tests_version: str | None = None
    ranks: list[dict[str, Any]] = field(default_factory=list)
    blocks: int = 0
    expected: list[tuple[int, int, int, bool]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    half_rows: int = 0
    pending: list[str] = field(default_factory=list)
    averages: list[float | None] = field(default_factory=list)
    out_of_bounds: int | None = None
    networks: dict[str, set[str]] = field(default_factory=dict)
    hcas: dict[str, list[str]] = field(default_factory=dict)
    channels: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


def read(text: str) -> dict[str, Any]:
    """Keys: collective (such as all_gather), nccl_version (such as 2.28.9, of the library), nccl_version_full (with the CUDA part
    when the log tells it), tests_version, ranks (rank, host, pid, device, bus_id, gpu), worlds (more than 1: every rank ran alone,
    built without MPI), rows, avg_busbw (GB/s, last average printed), out_of_bounds, transport (IB, Socket or null; Socket when
    any rank used it), networks (host to names), hcas (host to RDMA devices in use), channels_via (NET/IB, NET/Socket ...),
    errors (list of texts), retry_exceeded, out_of_memory (bool), complete (every row and the average are there).

    A row has: bytes, count, type, redop, root, out_of_place and in_place, each with time_us, algbw, busbw (GB/s) and wrong (null for N/A).
    """
    state = _State()
    for line in _text.lines(text):
        _take(state, line)
    if state.pending:
        state.half_rows += 1
    worlds = _worlds(state)
    if worlds > 1:
        _add_error(state, f"{worlds} separate worlds of one rank each: every process ran alone (nccl-tests built without MPI)")
    joined = "\n".join(state.errors)
    return {
        "collective": state.collective,
        "nccl_version": state.nccl or state.library,
        "nccl_version_full": state.nccl_full or state.nccl or state.library,
        "tests_version": state.tests_version,
        "ranks": state.ranks,
        "worlds": worlds,
        "rows": state.rows,
        "avg_busbw": state.averages[-1] if state.averages else None,
        "out_of_bounds": state.out_of_bounds,
        "transport": _transport(state),
        "networks": {host: sorted(names) for host, names in state.networks.items()},
        "hcas": state.hcas,
        "channels_via": sorted(state.channels),
        "errors": state.errors,
        "retry_exceeded": bool(_RETRY.search(joined)),
        "out_of_memory": any(phrase in joined for phrase in _MEMORY),
        "complete": _complete(state),
    }


def _take(state: _State, line: str) -> None:
    tag = _TAG.match(line)
    if tag:
        line = line[tag.end() :]
    table, host, message = _split_log(line)
    if message is not None:
        _take_log(state, host, message, line)
        line = table
    stripped = line.strip()
    if not stripped:
        return
    if stripped.startswith("#"):
        _take_comment(state, stripped)
        return
    if (
        message is None
        and not stripped[0].isdecimal()
        and any(phrase in line for phrase in _ERROR_PHRASES)
        and not any(phrase in line for phrase in _HARMLESS)
    ):
        _add_error(state, stripped)
    _take_cells(state, stripped)


def _split_log(line: str) -> tuple[str, str | None, str | None]:
    """The line without NCCL's log part, the host that logged, and the message. A log line may stick to half a table row."""
    places = [place for place in (line.find(" NCCL INFO "), line.find(" NCCL WARN "), line.find(" NCCL TRACE ")) if place >= 0]
    if not places:
        return line, None, None
    place = min(places)
    alone = _LOG_ALONE.match(line)
    if alone:
        return "", alone.group(1), line[place + 1 :]
    begin = max(0, place - 400)
    found = None
    for candidate in _LOG.finditer(line, begin, place + 1):
        found = candidate
    if found is None:
        return "", None, line[place + 1 :]
    return line[: found.start()], found.group(1), line[place + 1 :]


def _take_log(state: _State, host: str | None, message: str, line: str) -> None:
    kind, _separator, said = message.removeprefix("NCCL ").partition(" ")
    if kind == "WARN" or "IBV_WC_" in said or "Cannot allocate memory" in said:
        _add_error(state, line.strip())
    version = _VERSION.search(message)
    if version:
        state.nccl = state.nccl or version.group(1)
        state.nccl_full = state.nccl_full or version.group(1) + version.group(2)
    networks = state.networks.setdefault(host or "unknown", set()) if len(state.networks) < 64 else set()
    if said.startswith("NET/IB : Using ["):
        networks.add("IB")
        names = state.hcas.setdefault(host or "unknown", [])
        for found in _HCA.finditer(said.partition("; OOB")[0]):
            # A merged device is named first+second.
            for name in found.group(2).split("+"):
                if name and name not in names and len(names) < 64:
                    names.append(name)
    elif said.startswith("NET/Socket : Using ["):
        networks.add("Socket")
    elif said.startswith("Using network "):
        networks.add(_text.word(said.removeprefix("Using network "), 64) or "unknown")
    elif " via NET/" in said:
        via = said.partition(" via ")[2].split("/")
        if len(via) > 1 and len(state.channels) < 16:
            state.channels.add(f"NET/{via[1][:32]}")


def _take_comment(state: _State, line: str) -> None:
    if line.startswith("# nccl-tests version"):
        state.tests_version = state.tests_version or _text.word(line.removeprefix("# nccl-tests version").split(" nccl-")[0], 40)
    library = _LIBRARY.search(line)
    if library:
        code = int(library.group(1))
        state.library = state.library or f"{code // 10000}.{code // 100 % 100}.{code % 100}" if code >= 20000 else None
    version = _VERSION.search(line)
    if version:
        state.nccl = state.nccl or version.group(1)
    started = _STARTING.match(line)
    if started:
        state.collective = state.collective or started.group(1).removesuffix("_perf")
    sizes = _SIZES.search(line)
    if sizes and len(state.expected) < 1000:
        low, high, step = (int(sizes.group(number)) for number in (1, 2, 3))
        state.expected.append((low, high, step, sizes.group(4) == "factor"))
    reduced = _REDUCED.match(line)
    if reduced and state.expected:
        low, _high, step, factor = state.expected[-1]
        state.expected[-1] = (low, int(reduced.group(1)), step, factor)
    if line.startswith("# Using devices"):
        state.blocks += 1
    rank = _RANK.match(line)
    if rank and len(state.ranks) < 4096:
        state.ranks.append(
            {
                "rank": int(rank.group(1)),
                "host": rank.group(4),
                "pid": int(rank.group(3)),
                "device": int(rank.group(5)),
                "bus_id": rank.group(6),
                "gpu": _text.word(rank.group(7)),
            }
        )
    bounds = _BOUNDS.match(line)
    if bounds:
        state.out_of_bounds = max(state.out_of_bounds or 0, int(bounds.group(1)))
        if bounds.group(2) == "FAILED":
            _add_error(state, line)
    average = _AVERAGE.match(line)
    if average:
        state.averages.append(_text.to_float(average.group(1)))


def _take_cells(state: _State, line: str) -> None:
    cells = line.split()
    if state.collective is None:
        named = _PROGRAM.search(line[:2000])
        state.collective = named.group(1) if named else None
    if len(cells) > 32:
        return
    fresh = len(cells) >= 3 and cells[0].isdecimal() and cells[1].isdecimal() and cells[2][0].isalpha()
    if fresh:
        state.half_rows += bool(state.pending)
        candidate = cells
    elif state.pending and all(_number(cell) or cell == "N/A" for cell in cells):
        candidate = [*state.pending, *cells]
    else:
        return
    row = _row(candidate)
    state.pending = [] if row is not None else candidate[:32]
    if row is not None and len(state.rows) < ROWS_LIMIT:
        state.rows.append(row)


def _number(cell: str) -> bool:
    return _text.to_float(cell) is not None or cell.lstrip("+-").lower() in ("nan", "inf")


def _row(cells: list[str]) -> dict[str, Any] | None:
    """A whole row: size, count, type, then redop and root where the version prints them, then twice time, algbw, busbw, #wrong."""
    if len(cells) > 2 and len(cells[-1]) == 8 and cells[-1].count(":") == 2:
        cells = cells[:-2]  # -S appends date and time
    head = next((place for place, cell in enumerate(cells) if place > 2 and _number(cell) and "." in cell), None)
    if not 11 <= len(cells) <= 13 or (head is None and len(cells) != 13):
        return None
    numbers = cells[-8:]
    if not all(_number(cell) or (cell == "N/A" and place % 4 == 3) for place, cell in enumerate(numbers)):
        return None
    names = cells[3:-8]
    redop = next((name for name in names if name[0].isalpha()), None)
    root = next((name for name in names if _text.to_int(name) is not None), None)
    return {
        "bytes": _text.to_int(cells[0]),
        "count": _text.to_int(cells[1]),
        "type": _text.word(cells[2], 32),
        "redop": redop,
        "root": _text.to_int(root),
        "out_of_place": _half(numbers[:4]),
        "in_place": _half(numbers[4:]),
    }


def _half(cells: list[str]) -> dict[str, Any]:
    wrong = _text.to_float(cells[3])
    return {
        "time_us": _text.to_float(cells[0]),
        "algbw": _text.to_float(cells[1]),
        "busbw": _text.to_float(cells[2]),
        "wrong": int(wrong) if wrong is not None else None,
    }


def _worlds(state: _State) -> int:
    firsts = sum(1 for rank in state.ranks if rank["rank"] == 0)
    alone = all(rank["rank"] == 0 for rank in state.ranks)
    if firsts > 1 and alone:
        return firsts
    return min(1, state.blocks or len(state.ranks))


def _transport(state: _State) -> str | None:
    names = set().union(*state.networks.values()) if state.networks else set()
    if "Socket" in names or "NET/Socket" in state.channels:
        return "Socket"
    if any(name.startswith("IB") for name in names) or any(name.startswith("NET/IB") for name in state.channels):
        return "IB"
    return None


def _complete(state: _State) -> bool:
    wanted = sum(_steps(*sizes) for sizes in state.expected)
    tables = max(1, len(state.expected))
    measured = all(row["out_of_place"]["busbw"] is not None and row["in_place"]["busbw"] is not None for row in state.rows)
    averaged = len(state.averages) >= tables and all(average is not None for average in state.averages)
    return bool(state.rows) and measured and averaged and not state.half_rows and len(state.rows) >= wanted


def _steps(low: int, high: int, step: int, factor: bool) -> int:
    """Rows that a table from ``low`` to ``high`` bytes has."""
    count, size = 0, low
    while size <= high and count < STEPS_LIMIT:
        count += 1
        larger = size * step if factor and step > 1 else size + step
        if larger <= size:
            break
        size = larger
    return count


def _add_error(state: _State, line: str) -> None:
    short = _text.word(line, 400)
    if short and short not in state.errors and len(state.errors) < ERRORS_LIMIT:
        state.errors.append(short)
