# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of perftest's bandwidth and latency tests (ib_write_bw, ib_write_lat and their kin)."""

from __future__ import annotations

import re
from typing import Any

from . import pasted as _pasted
from . import text as _text

ROWS_LIMIT = 100_000
ERRORS_LIMIT = 20

MEBIBYTES_TO_GIGABITS = 1048576 * 8 / 1e9
"""perftest's MB/sec counts 2^20 bytes (perftest source, BW_REPORT_MB)."""

_COLUMN = re.compile(
    r"#bytes|#iterations|BW peak ?\[[^\]]{1,12}\]|BW average ?\[[^\]]{1,12}\]|MsgRate ?\[[^\]]{1,12}\]|CPU_Util ?\[[^\]]{1,4}\]"
    r"|t_[a-z]{3,8}\[[a-z]{3,8}\]|tps average|[0-9.]{2,5}% percentile ?\[[a-z]{3,8}\]"
)
_LATENCY = {"t_min": "t_min_us", "t_max": "t_max_us", "t_typical": "t_typical_us", "t_avg": "t_avg_us", "t_stdev": "t_stdev_us"}
_FACT = re.compile(r"([A-Za-z_][A-Za-z0-9_*. ]{1,40}?)\s{0,24}: ?(\S.{0,80})")
_END = re.compile(r"\s{0,8}(local|remote) address:")
_GID = re.compile(r"\bGID:\s{0,24}([0-9]{2,3}(?::[0-9]{2,3}){15})")
_ANCHOR = re.compile(r"-{60,200}| ?#bytes\s")
"""Lines that begin a line of perftest's own output, whatever somebody's tool wrote in front of it."""
_SECTION = re.compile(r"(Local|Remote) results\s{0,8}:?")
_STATUS = re.compile(r"Failed status(?: (\d{1,3})\b|\s?-?\s?[^()\n]{0,80}\((\d{1,3})\))")

COMPLETION_STATUS = {
    1: "local_length",
    2: "local_queue_pair",
    4: "local_protection",
    5: "flushed",
    6: "memory_window_bind",
    7: "bad_response",
    8: "local_access",
    9: "remote_invalid_request",
    10: "remote_access",
    11: "remote_operation",
    12: "retry",
    13: "receiver_not_ready",
}
"""Names of a work completion's status (enum ibv_wc_status of libibverbs); 12 is the transport's retry counter, 13 the receiver's."""

_ERROR_PHRASES = (
    "Couldn't",
    "Unable to",
    "Failed to",
    "Failed status",
    "Completion with error",
    "Cannot allocate memory",
    "Unexpected CM event",
    "Problems with warm up",
    "Invalid MTU",
    "not found",
    "Connection refused",
    "No route to host",
    "error while loading shared libraries",
)


def read(text: str) -> dict[str, Any]:
    """Keys: test (as the banner says), device (of the first run in the text, null in rows-only texts), devices, rows, bw_average_gbps
    (mean of the rows, null without rows), local_rows and remote_rows (the two directions of a run with -b --report-both, whose rows are
    their sum), bw_peak_measured, mtu (bytes of the path MTU), gid_index, qps, link_type, connection_type,
    local_address and remote_address (IPv4 of the GIDs), errors (list), completion_statuses (numbers, see COMPLETION_STATUS).

    A row has: bytes, iterations, bw_peak_gbps, bw_average_gbps, msg_rate_mpps, and from a latency test t_min_us, t_max_us,
    t_typical_us, t_avg_us, t_stdev_us; null for what the table does not hold. Rows that were cut off are left out, and so are rows
    that no header names: their unit is not known.
    """
    columns: list[str] = []
    rows: list[dict[str, Any]] = []
    parts: dict[str, list[dict[str, Any]]] = {"local": [], "remote": []}
    statuses: list[int] = []
    section: str | None = None
    facts: dict[str, str] = {}
    devices: list[str] = []
    addresses: dict[str, str | None] = {}
    end = ""
    errors: list[str] = []
    peak_measured: bool | None = None
    test: str | None = None
    for line in _pasted.without_fronts(_pasted.bare(_text.lines(text)), _ANCHOR):
        stripped = line.strip()
        if not stripped:
            continue
        if "#bytes" in line:
            columns = _COLUMN.findall(line)
            continue
        if stripped[0] in "0123456789":
            row = _row(columns, stripped.split())
            place = rows if section is None else parts[section]
            if row is not None and len(place) < ROWS_LIMIT:
                place.append(row)
            continue
        part = _SECTION.fullmatch(stripped)
        if part:
            section = part.group(1).lower()
            continue
        status = _STATUS.search(line)
        if status and len(statuses) < ERRORS_LIMIT:
            number = int(status.group(1) or status.group(2))
            statuses += [] if number in statuses else [number]
        if "BW peak won't be measured" in line:
            peak_measured = False
        elif any(phrase in line for phrase in _ERROR_PHRASES):
            short = _text.word(stripped, 300)
            if short and short not in errors and len(errors) < ERRORS_LIMIT:
                errors.append(short)
        elif stripped.endswith((" BW Test", " Latency Test", " Lat Test", " Test")) and ":" not in stripped:
            test = test or _text.word(stripped, 80)
            section = None  # another run begins
        ended = _END.match(line)
        end = ended.group(1) if ended else end
        gid = _GID.search(line)
        if gid:
            # Each queue pair has a line of its own; a pasted end of the output has no word of whose it is.
            addresses.setdefault(end or ("remote" if "local" in addresses else "local"), _ipv4(gid.group(1)))
            continue
        for name, value in _facts(stripped):
            facts.setdefault(name, value)
            if name == "Device" and value not in devices and len(devices) < 64:
                devices.append(value)
    # A duration run prints 0.00 for a peak that it did not measure.
    rows, local, remote = (
        [row | {"bw_peak_gbps": None} if row["bw_average_gbps"] and not row["bw_peak_gbps"] else row for row in table]
        for table in (rows, parts["local"], parts["remote"])
    )
    if not rows:
        rows = _sums(local, remote)
    averages = [row["bw_average_gbps"] for row in rows if row["bw_average_gbps"] is not None]
    return {
        "test": test,
        "device": devices[0] if devices else None,
        "devices": devices,
        "rows": rows,
        "bw_average_gbps": round(sum(averages) / len(averages), 6) if averages else None,
        "local_rows": local,
        "remote_rows": remote,
        "bw_peak_measured": peak_measured,
        "mtu": _text.to_int(facts.get("Mtu", "").partition("[")[0]),
        "gid_index": _text.to_int(facts.get("GID index")),
        "qps": _text.to_int(facts.get("Number of qps")),
        "link_type": facts.get("Link type"),
        "connection_type": facts.get("Connection type"),
        "local_address": addresses.get("local"),
        "remote_address": addresses.get("remote"),
        "errors": errors,
        "completion_statuses": statuses,
    }


def _sums(local: list[dict[str, Any]], remote: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both directions together, where the table of the sum was cut off."""
    return [
        mine | {"bw_average_gbps": round(mine["bw_average_gbps"] + theirs["bw_average_gbps"], 6)}
        for mine, theirs in zip(local, remote, strict=False)
        if mine["bytes"] == theirs["bytes"] and mine["bw_average_gbps"] is not None and theirs["bw_average_gbps"] is not None
    ]


def _facts(line: str) -> list[tuple[str, str]]:
    """``Name : value`` pairs; the banner writes two of them on one line, far apart."""
    if ":" not in line:
        return []
    pairs = []
    for part in re.split(r"(?: {3,}| {0,8}\t[ \t]{0,32})(?=[A-Za-z])", line[:300]):
        found = _FACT.fullmatch(part.strip())
        if found:
            pairs.append((found.group(1).strip(), found.group(2).strip()))
    if not pairs:
        found = _FACT.fullmatch(line[:140])
        if found:
            pairs.append((found.group(1).strip(), found.group(2).strip()))
    return pairs


def _row(columns: list[str], cells: list[str]) -> dict[str, Any] | None:
    if len(columns) < 3 or len(cells) != len(columns):
        return None
    numbers = [number for number in (_text.to_float(cell) for cell in cells) if number is not None]
    if len(numbers) != len(columns):
        return None
    row: dict[str, Any] = dict.fromkeys(("bytes", "iterations", "bw_peak_gbps", "bw_average_gbps", "msg_rate_mpps", *_LATENCY.values()))
    for column, number in zip(columns, numbers, strict=True):
        name, _separator, unit = column.partition("[")
        name, unit = name.strip(), unit.rstrip("]")
        if name in ("#bytes", "#iterations"):
            row[name[1:]] = int(number)
        elif name in ("BW peak", "BW average"):
            key = "bw_peak_gbps" if name == "BW peak" else "bw_average_gbps"
            if unit == "Gb/sec":
                row[key] = number
            elif unit in ("MB/sec", "MiB/sec"):
                row[key] = round(number * MEBIBYTES_TO_GIGABITS, 6)
        elif name == "MsgRate":
            row["msg_rate_mpps"] = number
        elif name in _LATENCY:
            row[_LATENCY[name]] = number
    return row


def _ipv4(gid: str) -> str | None:
    """perftest prints a GID as sixteen decimal bytes; an IPv4 address sits in the last four behind 255:255."""
    parts = [int(part) for part in gid.split(":")]
    if any(parts[:10]) or parts[10:12] != [255, 255] or max(parts) > 255:
        return None
    return ".".join(str(part) for part in parts[12:])
