# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of ``nvidia-smi --query-...=... --format=csv``, with or without the header and units."""

from __future__ import annotations

import re
from typing import Any

from . import nvidia_smi_error
from . import text as _text

ROWS_LIMIT = 10_000
COLUMNS_LIMIT = 200

_NULLS = frozenset(
    {"", "n/a", "[n/a]", "not supported", "[not supported]", "[unknown error]", "unknown error", "err!", "[insufficient permissions]"}
)
_UNITS = ("MiB", "W", "MHz", "%", "C", "KiB", "GiB", "us", "ms")
_HEADER_FIELD = re.compile(r"[a-z][a-z0-9_.]{0,63}(?: \[[A-Za-z%/]{1,8}\])?")
_HEADER_ROOTS = frozenset(
    "accounting addressing_mode bar1 clocks clocks_event_reasons clocks_throttle_reasons compute_cap compute_mode count cuda_umd_version "  # noqa: SIM905
    "cuda_version display_active driver_version ecc encoder fan fb_memory gom gpu gpu_bus_id gpu_name gpu_recovery_action gpu_serial "
    "gpu_uuid index inforom kmd_version memory mig name pci pcie "
    "persistence_mode pid power process_name pstate serial temperature timestamp used_gpu_memory used_memory utilization uuid "
    "vbios_version".split()
)
_TEXT_COLUMNS = frozenset(
    "name gpu_name driver_version vbios_version compute_cap uuid gpu_uuid serial gpu_serial pci.bus_id gpu_bus_id pci.bus "  # noqa: SIM905
    "process_name pstate persistence_mode inforom.img inforom.oem timestamp kmd_version cuda_umd_version cuda_version addressing_mode "
    "gpu_recovery_action".split()
)


def read(text: str) -> dict[str, Any]:
    """Keys: header (column names without units, null when the answer has none), units (per column, null without header), rows
    (lists of values: numbers without their unit, text, null for ``[N/A]`` and ``Not Supported``), records (rows as dicts, empty
    without header), error (what nvidia-smi said instead of an answer, else null), dead (words such as ``GPU requires reset`` that stand in
    place of readings, each once, in order).

    Versions stay text: a bare number with three decimals or one (580.142, compute capability 12.1) is taken as one,
    because nvidia-smi prints its measured values with none or two.
    """
    header: list[str] | None = None
    units: list[str | None] | None = None
    rows: list[list[Any]] = []
    dead: list[str] = []
    error = nvidia_smi_error.read(text)
    for line in _text.lines(text):
        if not line.strip() or len(rows) >= ROWS_LIMIT:
            continue
        if error is not None and nvidia_smi_error.read(line) is not None:
            continue
        fields = [field.strip() for field in line.split(",", COLUMNS_LIMIT)]
        names = [nvidia_smi_error.without_note(field) for field in fields]
        if header is None and _is_header(names):
            rows.clear()  # what a wrapper around nvidia-smi said before it
            header = [name.partition(" [")[0] for name in names]
            units = [name.partition(" [")[2].rstrip("]") or None for name in names]
            continue
        if _is_header(names):
            continue
        dead += [word for word in dict.fromkeys(map(nvidia_smi_error.dead, fields)) if word and word not in dead]
        if header is not None:
            fields = _rejoined(fields, header)
            rows.append([_value(field, header[number] if number < len(header) else None) for number, field in enumerate(fields)])
        elif error is None:
            rows.append([_value(field, None) for field in fields])
    records = [dict(zip(header, row, strict=False)) for row in rows] if header is not None else []
    return {"header": header, "units": units, "rows": rows, "records": records, "error": error, "dead": dead}


def _is_header(fields: list[str]) -> bool:
    return all(_HEADER_FIELD.fullmatch(field) for field in fields) and any(
        field.partition(".")[0].partition(" ")[0] in _HEADER_ROOTS for field in fields
    )


def _rejoined(fields: list[str], header: list[str]) -> list[str]:
    """nvidia-smi does not quote: a comma inside a process name makes more fields than columns."""
    spare = len(fields) - len(header)
    if spare <= 0 or "process_name" not in header:
        return fields
    place = header.index("process_name")
    return [*fields[:place], ", ".join(fields[place : place + spare + 1]), *fields[place + spare + 1 :]]


def _value(field: str, column: str | None) -> Any:
    field = nvidia_smi_error.without_note(field)
    if field.lower() in _NULLS or nvidia_smi_error.dead(field):
        return None
    if column in _TEXT_COLUMNS:
        return _text.word(field)
    number, _separator, unit = field.partition(" ")
    if unit and unit not in _UNITS:
        return _text.word(field)
    whole = _text.to_int(number)
    if whole is not None:
        return whole
    measured = _text.to_float(number)
    if measured is None or (not unit and column is None and len(number.partition(".")[2]) != 2):
        return _text.word(field)
    return measured
