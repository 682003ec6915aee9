# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's charts as SVG elements. Pure: numbers in, SVG out; colours come from the page's style sheet.

Each chart has a title for readers that do not see it; the page puts the same numbers in a table beside it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .figures import mark_at, rdma_paths, rows_of
from .words import line, number, short, size

WIDTH = 360
LEFT, RIGHT, TOP, BOTTOM = 34, 10, 12, 30
LABEL = 56
"""Room that the name of a message size takes, also in the larger letters of a phone."""


def nccl_chart(nccl: Mapping[str, Any]) -> str:
    """Bus bandwidth over message size (logarithmic), with the mark for each size drawn in; empty without a table."""
    rows = rows_of(nccl)
    if not rows:
        return ""
    height = 190
    marks = [(length, wanted.value) for length, _mean, _out, _in in rows if (wanted := mark_at(nccl, length)) is not None]
    top = _ceiling(max([mean for _length, mean, _out, _in in rows] + [value for _length, value in marks]))
    low, high = math.log2(rows[0][0]), math.log2(rows[-1][0])

    def x(length: int) -> float:
        share = 0.5 if high == low else (math.log2(length) - low) / (high - low)
        return LEFT + 10 + share * (WIDTH - LEFT - RIGHT - 20)

    def y(value: float) -> float:
        return TOP + (1 - value / top) * (height - TOP - BOTTOM)

    body = _grid(top, height, "GB/s")
    ticks: list[int] = []
    for length, *_rest in reversed(rows):
        # From the largest message on, as many labels as have room beside each other.
        if not ticks or x(ticks[-1]) - x(length) >= LABEL:
            ticks.append(length)
    for length in ticks:
        body.append(f'<text class="t" x="{x(length):.1f}" y="{height - 14}" text-anchor="middle">{size(length)}</text>')
    if len(marks) > 1:
        body.append(f'<polyline class="mark" points="{_points((x(length), y(value)) for length, value in marks)}"/>')
    elif marks:
        at = y(marks[0][1])
        body.append(f'<polyline class="mark" points="{LEFT},{at:.1f} {WIDTH - RIGHT},{at:.1f}"/>')
    body.append(f'<polyline class="line" points="{_points((x(length), y(mean)) for length, mean, _out, _in in rows)}"/>')
    known = dict(marks)
    for length, mean, _out, _in in rows:
        missed = length in known and mean < known[length]
        words = f"{size(length)}: {mean:.2f} GB/s" + (f", mark {known[length]:g}" if length in known else "")
        kind = "dot bad" if missed else "dot"
        body.append(f'<circle class="{kind}" cx="{x(length):.1f}" cy="{y(mean):.1f}" r="3.5"><title>{words}</title></circle>')
    body.append(f'<text class="t" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{height - 2}" text-anchor="middle">message size</text>')
    reached = f"{rows[-1][1]:.1f} GB/s at {size(rows[-1][0])}"
    against = f", mark {marks[-1][1]:g}" if marks else ", no mark for these sizes"
    return _svg(height, f"NCCL bus bandwidth by message size: {reached}{against}", body)


def rdma_chart(stack: Mapping[str, Any], figures: Sequence[Mapping[str, Any]]) -> str:
    """Bars of every RDMA figure by path, function and direction, each with its mark as a tick; empty without figures."""
    bars = [item for item in figures if item["id"].startswith("rdma.") and item["unit"] == "Gb/s"]
    if not bars:
        return ""
    several = len(rdma_paths(stack)) > 1
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for item in bars:
        parts = item["id"].split(".")
        name = "both functions" if parts[2] == "sum" else " / ".join(dict.fromkeys(item.get("devices") or [parts[2]]))
        groups.setdefault(f"{item['path']}: {name}" if several else name, []).append(item)
    top = _ceiling(max([item["value"] for item in bars] + [item["mark"]["value"] for item in bars if item["mark"]]))
    label, row, gap = 84, 15, 8
    height = TOP + sum(16 + row * len(listed) + gap for listed in groups.values()) + 18
    wide = WIDTH - label - 40

    def x(value: float) -> float:
        return label + value / top * wide

    body: list[str] = []
    at = float(TOP)
    for name, listed in groups.items():
        body.append(f'<text class="t strong" x="0" y="{at + 8:.0f}">{_escape(name)}</text>')
        at += 16
        for item in listed:
            against = item["mark"]["value"] if item["mark"] else None
            kind = "bar bad" if item["reached"] is False and item["mark"]["judged"] else "bar"
            words = _escape(f"{item['title']}: {item['value']:.1f} Gb/s" + (f", mark {against:g}" if against is not None else ""))
            body.append(f'<text class="t" x="{label - 5}" y="{at + 9:.0f}" text-anchor="end">{_way(item, stack)}</text>')
            body.append(
                f'<rect class="{kind}" x="{label}" y="{at:.0f}" width="{max(1.0, x(item["value"]) - label):.1f}" height="11" rx="2">'
                f"<title>{words}</title></rect>"
            )
            if against is not None:
                tick = "mark" if item["mark"]["judged"] else "mark soft"
                body.append(f'<line class="{tick}" x1="{x(against):.1f}" x2="{x(against):.1f}" y1="{at - 2:.0f}" y2="{at + 13:.0f}"/>')
            body.append(
                f'<text class="t" x="{max(x(item["value"]), x(against or 0)) + 5:.1f}" y="{at + 9:.0f}">{short(item["value"])}</text>'
            )
            at += row
        at += gap
    body.append(f'<text class="t" x="{label}" y="{height - 6}">Gb/s; a tick is the mark</text>')
    missed = [item for item in bars if item["reached"] is False and item["mark"]["judged"]]
    told = f"{len(missed)} of {len(bars)} below their marks" if missed else f"{len(bars)} figures, none below its mark"
    return _svg(height, f"RDMA by path, function and direction: {told}", body)


def trend_chart(values: Sequence[tuple[str, float]], unit: str, title: str, against: float | None) -> str:
    """A figure from run to run (label, value), oldest first; the last one is this run. Empty with fewer than two."""
    known = [(name, found) for name, value in values if (found := number(value)) is not None]
    if len(known) < 2:
        return ""
    height = 120
    numbers = [value for _name, value in known]
    # Not from zero: what matters here is a few percent. The axis is labelled, and the table beside it has the numbers.
    low, high = min(numbers), max(numbers)
    room = max((high - low) * 0.25, high * 0.02, 0.1)
    low, high = max(0.0, low - room), max(high + room, 0.1)

    def x(place: int) -> float:
        return LEFT + 8 + place / (len(known) - 1) * (WIDTH - LEFT - RIGHT - 16)

    def y(value: float) -> float:
        return 10 + (1 - (value - low) / (high - low)) * (height - 10 - 20)

    body = []
    for value in (low, (low + high) / 2, high):
        body.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        body.append(f'<text class="t" x="{LEFT - 4}" y="{y(value) + 3:.1f}" text-anchor="end">{short(value)}</text>')
    if against is not None and low <= against <= high:
        body.append(f'<polyline class="mark" points="{LEFT},{y(against):.1f} {WIDTH - RIGHT},{y(against):.1f}"/>')
    body.append(f'<polyline class="line runs" points="{_points((x(place), y(value)) for place, value in enumerate(numbers))}"/>')
    body.append(f'<circle class="dot now" cx="{x(len(known) - 1):.1f}" cy="{y(numbers[-1]):.1f}" r="3.5"/>')
    body.append(f'<text class="t" x="{LEFT}" y="{height - 3}">{_escape(known[0][0])}</text>')
    body.append(f'<text class="t" x="{WIDTH - RIGHT}" y="{height - 3}" text-anchor="end">this run, {_escape(unit)}</text>')
    return _svg(height, f"{title} from run to run: {numbers[0]:.1f} to {numbers[-1]:.1f} {unit}", body)


def _way(item: Mapping[str, Any], stack: Mapping[str, Any]) -> str:
    if item.get("direction") == "both_ways":
        return "both ways"
    # The names stand in the table and in the tooltip; here there is room for their order only.
    del stack
    return "head to peer" if item.get("direction") == "forward" else "peer to head"


def _ceiling(value: float) -> float:
    """A round number above the value."""
    if value < 0.001:
        return 1.0
    step = 10 ** math.floor(math.log10(value))
    return next(step * factor for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12) if step * factor >= value * 1.04)


def _grid(top: float, height: int, unit: str) -> list[str]:
    body = []
    for share in (0.0, 0.5, 1.0):
        at = TOP + (1 - share) * (height - TOP - BOTTOM)
        body.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        body.append(f'<text class="t" x="{LEFT - 4}" y="{at + 3:.1f}" text-anchor="end">{top * share:g}</text>')
    body.append(f'<text class="t" x="{LEFT + 4}" y="{TOP + 9}">{_escape(unit)}</text>')
    return body


def _points(listed: Any) -> str:
    return " ".join(f"{left:.1f},{top:.1f}" for left, top in listed)


def _escape(text: str) -> str:
    return html.escape(line(text))


def _svg(height: float, title: str, body: Sequence[str]) -> str:
    words = _escape(title)
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{words}"><title>{words}</title>{"".join(body)}</svg>'
