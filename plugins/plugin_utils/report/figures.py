# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every measured figure of a stack beside the mark that it was held against. Pure.

A figure is ``{id, title, value, unit, mark, reached}`` with what applies of ``path``, ``function``, ``devices``,
``direction`` and ``bytes``.
``mark`` is null where there is none; else ``{value, unit, source, reports, official, judged}``: ``judged`` is false for a mark that is
shown for comparison and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...module_utils.judges.marks import mark, nccl_mark
from ...module_utils.judges.marks_data import MARKS, Mark
from .words import items, line, number, size

DIRECTIONS = ("forward", "back", "both_ways")
WAYS = {"forward": "{0} to {1}", "back": "{1} to {0}", "both_ways": "both directions at once"}


def figures_of(stack: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All figures of a stack (or pair) as the report carries it: RDMA by path, function and direction, then NCCL by message size."""
    found: list[dict[str, Any]] = []
    for number_, (ends, data) in enumerate(rdma_paths(stack)):
        found += _rdma(number_, ends, data, _marks(data))
    nccl = stack.get("nccl")
    if isinstance(nccl, Mapping):
        found += _nccl(nccl, _marks(nccl))
    return found


def rdma_paths(stack: Mapping[str, Any]) -> list[tuple[tuple[str, str], Mapping[str, Any]]]:
    """Each measured path: its two desks and what was measured. A pair has one; other stacks list theirs under ``paths``."""
    rdma = stack.get("rdma")
    if not isinstance(rdma, Mapping):
        return []
    members = [line(member.get("desk")) for member in items(stack.get("members")) if isinstance(member, Mapping)]
    paths = rdma.get("paths")
    if isinstance(paths, (list, tuple)):
        found = []
        for item in paths:
            if isinstance(item, Mapping):
                ends = [line(end.get("desk") if isinstance(end, Mapping) else end) for end in items(item.get("ends")) or members]
                found.append(((*ends, "?", "?")[:2], item))
        return [((ends[0], ends[1]), item) for ends, item in found]
    return [(((*members, "?", "?")[0], (*members, "?", "?")[1]), rdma)]


def headline(figures: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """The ids of the two figures that stand for a stack: RDMA with everything in use (the lowest path), NCCL at its largest message."""
    listed = list(figures)
    whole = [item for item in listed if item["id"].startswith("rdma.") and item["id"].endswith(".sum.both_ways")]
    one_way = [item for item in listed if item["id"].startswith("rdma.") and ".sum." in item["id"]]
    rdma = min(whole or one_way, key=lambda item: item["value"], default=None)
    sized = [item for item in listed if item["id"].startswith("nccl.") and item.get("bytes")]
    marked = [item for item in sized if item["mark"]]
    nccl = max(marked or sized, key=lambda item: item["bytes"], default=None)
    nccl = nccl or next((item for item in listed if item["id"].endswith(".average")), None)
    return {"rdma": rdma["id"] if rdma else None, "nccl": nccl["id"] if nccl else None}


def _marks(data: Mapping[str, Any]) -> tuple[Mark, ...]:
    """The marks that the measurement used, when it says so, else the shipped ones."""
    found = []
    for item in items(data.get("marks")):
        if isinstance(item, Mapping) and number(item.get("value")) is not None and item.get("name"):
            length = number(item.get("bytes"))
            found.append(
                Mark(
                    line(item["name"]),
                    float(item["value"]),
                    line(item.get("unit") or ""),
                    line(item.get("source") or "this lab"),
                    int(number(item.get("reports")) or 0),
                    item.get("official") is True,
                    int(length) if length else None,
                )
            )
    names = {item.name for item in found}
    return (*found, *(item for item in MARKS if item.name not in names))


def _told(item: Mark, value: float | None = None, source: str | None = None, judged: bool = True) -> dict[str, Any] | None:
    """A mark as a figure carries it; null where a product of what a desk said is no figure any more."""
    known = number(item.value if value is None else value)
    if known is None:
        return None
    return {
        "value": round(known, 3),
        "source": source or item.source,
        "reports": item.reports,
        "official": item.official,
        "fails": judged and item.may_fail,
        "judged": judged,
    }


def _figure(id_: str, title: str, value: float, unit: str, against: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    reached = None if against is None else value >= against["value"]
    found = {"id": id_, "title": title, "value": round(value, 3), "unit": unit, "mark": against, "reached": reached, **more}
    return {key: item for key, item in found.items() if item is not None or key in ("mark", "reached")}


def _rdma(place: int, ends: tuple[str, str], data: Mapping[str, Any], marks: Sequence[Mark]) -> list[dict[str, Any]]:
    found = []
    path = f"{ends[0]} - {ends[1]}"
    both, alone, twice = mark("rdma_both_functions", marks), mark("rdma_one_function", marks), mark("rdma_both_ways_one_function", marks)
    for direction in DIRECTIONS:
        value = number(data.get(f"sum_{direction}_gbps"))
        if value is None:
            continue
        against = _told(both)
        if direction == "both_ways":
            against = _told(both, 2 * both.value, f"twice the mark for one direction, shown for comparison ({both.source})", judged=False)
        title = f"RDMA, both functions, {WAYS[direction].format(*ends)}"
        found.append(_figure(f"rdma.{place}.sum.{direction}", title, value, "Gb/s", against, path=path, direction=direction))
    for row in items(data.get("functions")):
        if not isinstance(row, Mapping):
            continue
        function = int(number(row.get("function")) or 0)
        devices = [line(row[key]) for key in ("head_device", "peer_device") if row.get(key)]
        one_way = [value for key in ("forward_gbps", "back_gbps") if (value := number(row.get(key))) is not None]
        for direction in DIRECTIONS:
            value = number(row.get(f"{direction}_gbps"))
            if value is None:
                continue
            told = _told(alone)
            if direction == "both_ways":
                source = f"{twice.value:g} times one direction ({twice.source})"
                told = _told(twice, twice.value * max(one_way), source) if one_way else None
            title = f"RDMA, function {function} alone, {WAYS[direction].format(*ends)}"
            more = {"path": path, "function": function, "devices": devices or None, "direction": direction}
            found.append(_figure(f"rdma.{place}.function{function}.{direction}", title, value, "Gb/s", told, **more))
    latency = number(data.get("latency_us"))
    if latency is not None:
        found.append(_figure(f"rdma.{place}.latency", "RDMA, latency of a small write", latency, "us", None, path=path))
    return found


def rows_of(nccl: Mapping[str, Any]) -> list[tuple[int, float, float | None, float | None]]:
    """NCCL's table: message size in bytes, mean bus bandwidth, out of place, in place (GB/s); rows without a figure are left out."""
    rows = []
    for row in items(nccl.get("rows")):
        if not isinstance(row, Mapping):
            continue
        length = number(row.get("bytes"))
        parts = [part if isinstance(part := row.get(half), Mapping) else {} for half in ("out_of_place", "in_place")]
        halves = [number(part.get("busbw")) for part in parts]
        known = [value for value in halves if value is not None]
        if length is not None and length >= 1 and known:
            rows.append((int(length), sum(known) / len(known), halves[0], halves[1]))
    return sorted(rows)


def mark_at(nccl: Mapping[str, Any], length: int) -> Mark | None:
    """The mark for a message of that many bytes; marks are made for all_gather, another collective is compared with the same."""
    return nccl_mark(length, _marks(nccl), _mark_name(nccl))


def _mark_name(nccl: Mapping[str, Any]) -> str:
    """Which marks the measurement was held against, those of a ring or of two desks and a switch."""
    told = str(nccl.get("mark_name"))
    return told if any(item.name == told for item in MARKS) else "nccl"


def _nccl(nccl: Mapping[str, Any], marks: Sequence[Mark]) -> list[dict[str, Any]]:
    found = []
    collective = line(nccl.get("collective") or "all_gather")
    for length, mean, _out, _in in rows_of(nccl):
        wanted = nccl_mark(length, marks, _mark_name(nccl))
        against = None if wanted is None else _told(wanted)
        title = f"NCCL {collective}, {size(length)}, bus bandwidth"
        found.append(_figure(f"nccl.{collective}.{length}", title, mean, "GB/s", against, bytes=length))
    average = number(nccl.get("avg_busbw"))
    if average is not None:
        found.append(_figure(f"nccl.{collective}.average", f"NCCL {collective}, average bus bandwidth", average, "GB/s", None))
    return found
