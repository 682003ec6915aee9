# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of nccl-tests (all_gather_perf and its kin) under mpirun, with NCCL's own log lines in between."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from . import nccl_failures as _failures
from . import pasted as _pasted
from . import text as _text

ROWS_LIMIT = 10_000
ERRORS_LIMIT = 50
STEPS_LIMIT = 10_000
ROW_CELLS = 32
WIDTHS = (4, 8)
"""Columns of each half of a row: without and with the figures of single iterations."""

# mpirun --tag-output: 4.1 writes [1,0]<stdout>:, 5 writes [prterun-HOST-PID@1,0]<stdout>: (and [HOST:PID] behind it with tag-detailed);
# --timestamp-output puts the date in front, and alone makes it Thu Nov 26 10:00:00 2026<stdout>:.
_DATE = r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{1,2} [0-9:]{8} [0-9]{4}"
_TAG = re.compile(
    rf"{_DATE}<std(?:out|err|diag)>:? ?|(?:{_DATE} ?)?"
    r"\[[^\[\]<>\s]{1,300},[0-9]{1,8}\](?:\[[^\[\]<>\s]{1,300}\])?(?:<std(?:out|err|diag)>:? ?|: ?)"
)
_STAMP = r"(?:\[[^\[\]\n]{1,64}\] ?)?"
"""NCCL_DEBUG_TIMESTAMP_LEVELS puts a time in front, NCCL_DEBUG_TIMESTAMP_FORMAT says which; without brackets see ``_stamp``."""
_LOG = re.compile(_STAMP + r"([A-Za-z0-9][A-Za-z0-9._-]{0,252}):[0-9]{1,10}:[0-9]{1,10} \[[0-9]{1,4}\] ")
_HOST_END = re.compile(r"[A-Za-z][A-Za-z0-9._-]*$")
_SECONDS = re.compile(r"[0-9]{10}(?:\.[0-9]{1,9})?\s?")
"""A time in seconds since 1970, which NCCL writes for %s."""
_LEVELS = (" NCCL INFO ", " NCCL WARN ", " NCCL TRACE ", " NCCL ABORT ", " NCCL VERSION ")
_RANK = re.compile(
    r"#\s{1,32}Rank\s{1,32}([0-9]{1,6})(?:\s{1,32}Group\s{1,32}([0-9]{1,6}))?\s{1,32}Pid\s{1,32}([0-9]{1,10})\s{1,32}on\s{1,256}"
    r"(\S{1,253})\s{1,32}device\s{1,32}([0-9]{1,4})\s{1,32}\[([0-9a-fA-Fx:.]{1,32})\]\s{0,32}(.{0,100})"
)
_SIZES = re.compile(r"minBytes ([0-9]{1,18}) maxBytes ([0-9]{1,18}) step: ([0-9]{1,18})\((factor|bytes)\)")
_REDUCED = re.compile(r"# Reducing maxBytes to ([0-9]{1,18})")
_AVERAGE = re.compile(r"# Avg bus bandwidth\s{0,16}:\s{0,8}([0-9.eE+-]{1,24})")
_BOUNDS = re.compile(r"# Out of bounds values\s{0,16}:\s{0,8}([0-9]{1,18})\s{0,8}(\S{0,16})")
_STARTING = re.compile(r"# Collective test (?:starting|concluded): (\S{1,64})")
_PROGRAM = re.compile(r"\b([a-z_]{3,32})_perf\b")
_LIBRARY = re.compile(r"nccl-library=([0-9]{4,6})")
_VERSION = re.compile(r"NCCL version ([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})(\S{0,40})")
_ROW_FRONT = re.compile(
    r"\s{0,64}[0-9]{1,18}\s{1,64}[0-9]{1,18}\s{1,64}[a-z][a-z0-9_]{1,31}(?:\s{1,64}[a-z]{2,16})?"
    r"(?:\s{1,64}(?:-?[0-9][0-9.]{0,23}(?:e[+-]?[0-9]{1,3})?|N/A)){1,21}\s{0,64}"
)
"""The beginning of a row, which nccl-tests leaves without an end of line while it measures: whoever writes then writes behind it."""
_CUT = re.compile(r"[-+0-9.:/aefinAEFIN]{1,64}")
"""What may be left of a figure that is cut: of a number, N/A, nan or inf, or of the date that -S appends."""
# Device and port; rail and plane may follow (hca:port:rail:plane, each of which may be empty).
_HCA = re.compile(r"\[([0-9]{1,3})\]([A-Za-z0-9_.+-]{1,200}):([0-9]{1,3})(?::[0-9a-zA-Z_-]{0,16}){0,4}/([A-Za-z]{1,16})")
_ANCHOR = re.compile(
    r"#(?: nThread | nccl-tests version | Using devices|\s{1,32}Rank\s{1,32}[0-9]| Avg bus bandwidth| Out of bounds values"
    r"| Collective test |\s{1,32}size\s{1,32}count\s|$)"
)
"""Lines of nccl-tests that begin a line of its own output, whatever somebody's tool wrote in front of it."""
_TAG_OR_ANCHOR = re.compile(rf"{_TAG.pattern}|{_ANCHOR.pattern}")
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
    leading: int | None = None
    """Columns before the first time, as the table's header names them."""
    pending: str = ""
    """The beginning of a row whose rest has not come yet, as it was written."""
    averages: list[float | None] = field(default_factory=list)
    out_of_bounds: int | None = None
    reduced: int | None = None
    networks: dict[str, set[str]] = field(default_factory=dict)
    hcas: dict[str, list[str]] = field(default_factory=dict)
    channels: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    signs: list[dict[str, Any]] = field(default_factory=list)
    hosts: tuple[str, ...] = ()
    """Host names that ranks reported, longest first."""
    stamp: re.Pattern[str] | None = None
    """A time without brackets that NCCL puts in front of its lines."""


def read(text: str) -> dict[str, Any]:
    """Keys: collective (such as all_gather), nccl_version (such as 2.28.9, of the library), nccl_version_full (with the CUDA part
    when the log tells it), tests_version, ranks (rank, host, pid, device, bus_id, gpu), worlds (more than 1: every rank ran alone,
    built without MPI), rows, avg_busbw (GB/s, last average printed), out_of_bounds, transport (IB, Socket or null; Socket when
    any rank used it), networks (host to names), hcas (host to RDMA devices in use), channels_via (NET/IB, NET/Socket ...),
    plugin (a network of another maker that NCCL used, such as AWS Libfabric, else null), logged (whether any line of NCCL's own log is
    there), errors (list of texts), warnings (NCCL's WARN lines among them), signs (what is known of them, see readers/nccl_failures),
    last_lines (the end of the text without NCCL's log), retry_exceeded, out_of_memory (bool), reduced_to (bytes, when nccl-tests made the
    largest size smaller by itself), complete (every row and the average are there).

    A row has: bytes, count, type, redop, root, out_of_place and in_place, each with time_us, algbw, busbw (GB/s) and wrong (null for N/A).
    """
    state = _State()
    # A tool's front may stand before mpirun's tags, and behind them.
    tagged = _pasted.without_fronts(_pasted.bare(_text.lines(text)), _TAG_OR_ANCHOR)
    lines = _pasted.without_fronts([piece for line in tagged for piece in _untagged(line)], _ANCHOR)
    state.hosts = _hosts(lines)
    state.stamp = _stamp(lines, state.hosts)
    for line in lines:
        _take(state, line)
    state.half_rows += _begun(state.pending)
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
        "plugin": _plugin(state),
        "logged": bool(state.networks),
        "errors": state.errors,
        "warnings": state.warnings,
        "signs": state.signs,
        "last_lines": _last_lines(lines),
        "reduced_to": state.reduced,
        "retry_exceeded": any(sign.get("status") in ("RETRY_EXC_ERR", "RNR_RETRY_EXC_ERR") for sign in state.signs),
        "out_of_memory": any(phrase in joined for phrase in _MEMORY),
        "complete": _complete(state),
    }


def _last_lines(lines: list[str]) -> str:
    told = [line.strip() for line in lines[-400:] if line.strip() and " NCCL INFO " not in line]
    return _text.word("\n".join(told[-8:])[-700:]) or ""


def _untagged(line: str) -> list[str]:
    """The line without mpirun's tags; a tag within a line begins another one (a rank's text without an end of line came before)."""
    if "<std" not in line and ("]" not in line or "," not in line):
        return [line]
    found = [tag for tag in _TAG.finditer(line) if tag.start() == 0 or tag.group().rstrip(" :").endswith(">")]
    if not found:
        return [line]
    begins = [0, *(tag.end() for tag in found)]
    ends = [*(tag.start() for tag in found), len(line)]
    pieces = [line[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return [piece for piece in pieces if piece.strip()] or [""]


def _hosts(lines: list[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for line in lines:
        rank = _RANK.match(line.strip()) if line.lstrip().startswith("#") else None
        if rank and len(found) < 64:
            found.add(rank.group(4))
    return tuple(sorted(found, key=len, reverse=True))


def _stamp(lines: list[str], hosts: tuple[str, ...]) -> re.Pattern[str] | None:
    """What stands in front of most of NCCL's lines, digits and letters apart, if it may be a time: it must not be taken for a half row."""
    seen: Counter[str] = Counter()
    for line in lines:
        front = _split_log(line, hosts)[0] if " NCCL " in line else ""
        if 0 < len(front) <= 64 and not front[0].isspace() and (set(front) & set(":/-") or _SECONDS.fullmatch(front)):
            seen[re.sub("[0-9]", "[0-9]", re.sub("[A-Za-z]", "[A-Za-z]", re.escape(front)))] += 1
    shape, count = seen.most_common(1)[0] if seen else ("", 0)
    return re.compile(f"{shape}$") if count > 1 else None


def _take(state: _State, line: str) -> None:
    table, host, message = _split_log(line, state.hosts)
    if message is not None:
        _take_log(state, host, message, line[len(table) :])
        line = state.stamp.sub("", table) if state.stamp else table
    for phrase in _HARMLESS:  # It may stand in the middle of a row.
        line = line.replace(phrase, "")
    stripped = line.strip()
    if not stripped:
        return
    if stripped.startswith("#"):
        _take_comment(state, stripped)
        return
    if message is None and not stripped[0].isdecimal():
        known = _add_signs(state, stripped)
        if known or any(phrase in line for phrase in _ERROR_PHRASES):
            _add_error(state, stripped)
    _take_cells(state, line)


def _split_log(line: str, hosts: tuple[str, ...]) -> tuple[str, str | None, str | None]:
    """The line without NCCL's log part, the host that logged, and the message. A log line may stick to half a table row."""
    places = [place for place in (line.find(level) for level in _LEVELS) if place >= 0]
    if not places:
        return line, None, None
    place = min(places)
    found = None
    for candidate in _LOG.finditer(line, max(0, place - 600), place + 1):
        found = candidate
    if found is None:
        return "", None, line[place + 1 :]
    begin, host = found.start(), found.group(1)
    if begin == found.start(1):
        # No time between the table and the name: the row's last number runs into the host's name.
        known = next((name for name in hosts if host.endswith(name)), None)
        if known is None and begin > 0:
            letters = _HOST_END.search(host)
            known = letters.group() if letters and not host[0].isalpha() else None
        if known is not None:
            begin, host = found.end(1) - len(known), known
    return line[:begin], host, line[place + 1 :]


def _take_log(state: _State, host: str | None, message: str, line: str) -> None:
    kind, _separator, said = message.removeprefix("NCCL ").partition(" ")
    if kind in ("WARN", "ABORT") or "IBV_WC_" in said or "Cannot allocate memory" in said:
        _add_error(state, line.strip())
        _add_signs(state, line.strip())
    if kind == "WARN":
        short = _text.word(said, 400)
        if short and short not in state.warnings and len(state.warnings) < ERRORS_LIMIT:
            state.warnings.append(short)
    version = _VERSION.search(message)
    if version:
        state.nccl = state.nccl or version.group(1)
        state.nccl_full = state.nccl_full or version.group(1) + version.group(2)
    networks = state.networks.setdefault(host or "unknown", set()) if len(state.networks) < 64 else set()
    # Without a device the line reads "NET/IB : Using [RO]; OOB ...".
    devices = list(_HCA.finditer(said.partition("; OOB")[0])) if said.startswith("NET/IB : Using [") else []
    if devices:
        networks.add("IB")
        names = state.hcas.setdefault(host or "unknown", [])
        for found in devices:
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
    names = line.lstrip("# ").split()
    if names[:3] == ["size", "count", "type"] and "time" in names:
        state.leading = names.index("time")
    sizes = _SIZES.search(line)
    if sizes and len(state.expected) < 1000:
        low, high, step = (int(sizes.group(number)) for number in (1, 2, 3))
        state.expected.append((low, high, step, sizes.group(4) == "factor"))
    reduced = _REDUCED.match(line)
    if reduced and state.expected:
        low, _high, step, factor = state.expected[-1]
        state.reduced = int(reduced.group(1))
        state.expected[-1] = (min(low, state.reduced), state.reduced, step, factor)
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
    if state.collective is None:
        named = _PROGRAM.search(line[:2000])
        state.collective = named.group(1) if named else None
    # A row may be cut anywhere, also within a number, by lines that other ranks write meanwhile.
    candidates = [item for item in ((state.pending + line, line) if state.pending else (line,)) if len(item) <= _text.LINE_LIMIT]
    for candidate in candidates:
        if _like_a_row(candidate.split()):
            _take_row(state, candidate, candidate is line)
            return
    for candidate in candidates:
        front = _ROW_FRONT.match(candidate)
        said = candidate[front.end() :].strip() if front is not None else ""
        if front is not None and said and not said[0].isdecimal() and front.end() > len(candidate) - len(line):
            _take_row(state, front.group(), candidate is line)
            _take(state, said)
            return


def _take_row(state: _State, text: str, anew: bool) -> None:
    """A row or its beginning; ``anew``: it does not go on with the one that was begun."""
    if anew:
        state.half_rows += _begun(state.pending)
    row = _row(text.split(), state.leading)
    state.pending = "" if row is not None else text
    if row is not None and len(state.rows) < ROWS_LIMIT:
        state.rows.append(row)


def _like_a_row(cells: list[str]) -> bool:
    """Whether the cells may be a row or the beginning of one: two whole numbers, a type, then figures."""
    return (
        0 < len(cells) <= ROW_CELLS
        and all(cell.isdecimal() for cell in cells[:2])
        and all(cell[0].isalpha() for cell in cells[2:3])
        and all(_number(cell) or cell[0].isalpha() for cell in cells[3:4])
        and all(_number(cell) or cell in ("N/A", "N", "N/") for cell in cells[4:-1])
        and all(_CUT.fullmatch(cell) and not cell.endswith("--") for cell in cells[4:][-1:])
    )


def _begun(pending: str) -> bool:
    """Whether a row was begun for certain; a line that is only a number may be anything."""
    return len(pending.split()) >= 3


def _number(cell: str) -> bool:
    return _text.to_float(cell) is not None or cell.lstrip("+-").lower() in ("nan", "inf")


def _row(cells: list[str], leading: int | None) -> dict[str, Any] | None:
    """A whole row: size, count, type, then redop and root where the version prints them, then twice time, algbw, busbw, #wrong and,
    with -I 1, four figures of the single iterations."""
    if len(cells) > 2 and len(cells[-1]) == 8 and cells[-1].count(":") == 2:
        cells = cells[:-2]  # -S appends date and time
    named = cells[3:4] if len(cells) > 3 and cells[3][0].isalpha() and cells[3] not in ("N/A", "nan", "inf") else []
    begin = 3 + len(named)
    begin += leading - begin if leading is not None else (len(cells) - begin) % 2
    root = _text.to_int(cells[3 + len(named)]) if begin == 4 + len(named) and len(cells) > begin else None
    width = (len(cells) - begin) // 2
    if width not in WIDTHS or len(cells) != begin + 2 * width or begin not in (3 + len(named), 4 + len(named)):
        return None
    if (root is None) != (begin == 3 + len(named)) or cells[begin][0] == "-":
        return None
    halves = cells[begin : begin + width], cells[begin + width :]
    if not all(_number(cell) or (cell == "N/A" and place >= 3) for half in halves for place, cell in enumerate(half)):
        return None
    return {
        "bytes": _text.to_int(cells[0]),
        "count": _text.to_int(cells[1]),
        "type": _text.word(cells[2], 32),
        "redop": named[0] if named else None,
        "root": root,
        "out_of_place": _half(halves[0]),
        "in_place": _half(halves[1]),
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


def _plugin(state: _State) -> str | None:
    """The first network that is neither NCCL's own RDMA nor its sockets."""
    names = sorted(set().union(*state.networks.values()) - {"IB", "Socket"}) if state.networks else []
    return names[0] if names else None


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


def _add_signs(state: _State, line: str) -> bool:
    """Whether something known was said in the line."""
    found = _failures.of_line(line)
    for sign in found:
        if sign not in state.signs and len(state.signs) < _failures.SIGNS_LIMIT:
            state.signs.append(sign)
    return bool(found)
