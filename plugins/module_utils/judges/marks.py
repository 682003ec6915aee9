# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing the mark that applies: the shipped table, a lab's own marks over it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.link import Endpoint
from .marks_data import MARKS, Mark

LAB_REPORTS = 3
"""A lab's own marks come from pairs that its admin called good, so they count like three reports."""


class MarksError(ValueError):
    """A lab's marks cannot be used; the text names the entry."""


def with_lab_marks(lab: Iterable[Mapping[str, Any]]) -> tuple[Mark, ...]:
    """The shipped marks with a lab's own in place of those of the same name and size. Raises MarksError."""
    chosen = {(mark.name, mark.bytes): mark for mark in MARKS}
    names = {mark.name for mark in MARKS}
    for number, entry in enumerate(lab, start=1):
        try:
            mark = Mark(
                name=str(entry["name"]),
                value=float(entry["value"]),
                unit=str(entry.get("unit") or ("GB/s" if str(entry["name"]).startswith("nccl") else "Gb/s")),
                source=str(entry.get("source") or "this lab"),
                reports=int(entry.get("reports", LAB_REPORTS)),
                bytes=None if entry.get("bytes") is None else int(entry["bytes"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise MarksError(f"marks[{number}]: {error!r}; a mark has name, value and, for nccl, bytes") from error
        if mark.name not in names:
            raise MarksError(f"marks[{number}]: {mark.name!r} is not a mark; known marks are {', '.join(sorted(names))}")
        if not math.isfinite(mark.value) or mark.value <= 0:
            raise MarksError(f"marks[{number}]: {mark.name} is {mark.value}; a number above 0 was expected")
        chosen[(mark.name, mark.bytes)] = mark
    return tuple(chosen.values())


def mark(name: str, marks: Sequence[Mark] = MARKS) -> Mark:
    """The mark of that name."""
    return next(item for item in marks if item.name == name)


def nccl_mark(size: int, marks: Sequence[Mark] = MARKS, name: str = "nccl") -> Mark | None:
    """The bus bandwidth that a message of ``size`` bytes should reach; null below the smallest size that anybody reported.

    Between two sizes the mark is interpolated over the logarithm of the size and is only as sure as the weaker of the two.
    """
    listed = sorted((item for item in marks if item.name == name and item.bytes), key=lambda item: item.bytes or 0)
    if not listed or size < (listed[0].bytes or 0):
        return None
    for low, high in itertools.pairwise(listed):
        if size == low.bytes:
            return low
        if low.bytes and high.bytes and low.bytes < size < high.bytes:
            share = math.log(size / low.bytes) / math.log(high.bytes / low.bytes)
            value = round(low.value + share * (high.value - low.value), 3)
            return dataclasses.replace(
                low,
                value=value,
                bytes=size,
                reports=min(low.reports, high.reports),
                official=low.official and high.official,
                source=f"between {low.bytes >> 20} MiB ({low.source}) and {high.bytes >> 20} MiB ({high.source})",
            )
    return listed[-1]


FULL_SPEED_MBPS = 200_000

BY_SPEED = ("rdma_both_functions", "rdma_one_function", "nccl", "nccl_ring", "nccl_one_function")
"""Marks that follow the speed of the link; the figures of the 13 Gb/s state and ratios do not."""


def link_speed(ends: Sequence[Endpoint]) -> int | None:
    """The speed in Mb/s that every function of every end tells alike; null when one is unread or differs."""
    seen = {function.speed_mbps for end in ends for function in end.functions}
    return next(iter(seen)) if len(seen) == 1 else None


def at_speed(marks: Sequence[Mark], speed: int | None) -> tuple[Mark, ...]:
    """The marks for a link that runs below 200 Gb/s at both ends, as with a 100 Gb/s cable. A lab's own marks stay as they are."""
    if speed is None or not 0 < speed < FULL_SPEED_MBPS:
        return tuple(marks)
    share = speed / FULL_SPEED_MBPS
    told = f", times {share:g} for a link of {speed // 1000} Gb/s"
    return tuple(
        dataclasses.replace(item, value=round(item.value * share, 3), source=item.source + told)
        if item in MARKS and item.name in BY_SPEED
        else item
        for item in marks
    )


LEAST_MEASUREMENTS = 3
"""Measurements that a lab's mark needs, as many as reports for a mark that may fail."""

BELOW = 0.95
"""A lab's mark lies this far below the slowest of its good measurements."""


def calibrated(rdma: Sequence[Mapping[str, Any]], nccl: Sequence[Mapping[str, Any]], source: str) -> list[dict[str, Any]]:
    """A lab's own marks from the results of rdma_pair and nccl_pair on pairs that its admin calls good. Raises MarksError.

    Marks for states that nobody may call good (the 13 Gb/s state, one function) cannot be calibrated away.
    """
    # What was only shown to be enough has no figure to set a mark from.
    whole = [rdma_figures(item) for item in rdma if item.get("measured") and not _only_enough(item)]
    tables = [nccl_figures(item) for item in nccl if item.get("measured") and item.get("collective") == "all_gather"]
    if len(whole) < LEAST_MEASUREMENTS or len(tables) < LEAST_MEASUREMENTS:
        raise MarksError(
            f"{len(whole)} RDMA (with pair_proof_depth full) and {len(tables)} NCCL measurements are too few for a mark; "
            f"{LEAST_MEASUREMENTS} of each are needed; raise calibrate_runs or use more pairs"
        )
    found: list[dict[str, Any]] = []
    for place, name in enumerate(("rdma_one_function", "rdma_both_functions")):
        known = [value for item in whole for value in item[place]]
        if known:
            found.append({"name": name, "value": round(min(known) * BELOW, 2), "reports": len(whole), "source": source})
    # A size that only some measured would be their word alone, and sizes between two marks are judged by both.
    sizes = set.intersection(*(set(table) for table in tables))
    if not sizes:
        raise MarksError("the NCCL measurements have no message size in common; measure all pairs alike (pair_proof_nccl_max_bytes)")
    for size in sorted(sizes):
        value = round(min(table[size] for table in tables) * BELOW, 3)
        found.append({"name": "nccl", "bytes": size, "value": value, "reports": len(tables), "source": source})
    shipped = {(item.name, item.bytes): item for item in MARKS}
    for entry in found:
        floor = shipped[("nccl_one_function", None)] if entry["name"] == "nccl" else shipped[("rdma_25g", None)]
        if entry["value"] <= floor.value:
            raise MarksError(f"{entry['name']} would be {entry['value']}: {floor.source}; such a pair is not good and cannot set a mark")
    return found


def _only_enough(item: Mapping[str, Any]) -> bool:
    """Whether the hardest step alone proved everything."""
    hardest = item.get("hardest")
    return isinstance(hardest, Mapping) and bool(hardest.get("proves_all"))


def rdma_figures(item: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """What a result of rdma_pair reached on each function alone, and on both. Raises MarksError: a head may answer anything."""
    try:
        alone = [row[key] for row in item["functions"] for key in ("forward_gbps", "back_gbps")]
        sums = [item[key] for key in ("sum_forward_gbps", "sum_back_gbps")]
        return [float(value) for value in alone if value is not None], [float(value) for value in sums if value is not None]
    except (KeyError, TypeError, ValueError):
        raise MarksError("an RDMA measurement whose figures cannot be read") from None


def nccl_figures(item: Mapping[str, Any]) -> dict[int, float]:
    """The bus bandwidth that a result of nccl_pair reached, by message size (of one that comes twice, the lower). Raises MarksError."""
    found: dict[int, float] = {}
    try:
        for row in item["rows"]:
            mean = ((row["out_of_place"]["busbw"] or 0.0) + (row["in_place"]["busbw"] or 0.0)) / 2
            size = int(row["bytes"])
            found[size] = min(mean, found.get(size, mean))
    except (KeyError, TypeError, ValueError):
        raise MarksError("an NCCL measurement whose figures cannot be read") from None
    return found
