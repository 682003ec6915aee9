# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing the mark that applies: the shipped table, a lab's own marks over it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
            raise MarksError(f"marks[{number}]: {mark.name!r} is no mark; one of {', '.join(sorted(names))}")
        if not math.isfinite(mark.value) or mark.value <= 0:
            raise MarksError(f"marks[{number}]: {mark.name} is {mark.value}, a number above 0 was expected")
        chosen[(mark.name, mark.bytes)] = mark
    return tuple(chosen.values())


def mark(name: str, marks: Sequence[Mark] = MARKS) -> Mark:
    """The mark of that name."""
    return next(item for item in marks if item.name == name)


def nccl_mark(size: int, marks: Sequence[Mark] = MARKS) -> Mark | None:
    """The bus bandwidth that a message of ``size`` bytes should reach; null below the smallest size that anybody reported.

    Between two sizes the mark is interpolated over the logarithm of the size and is only as sure as the weaker of the two.
    """
    listed = sorted((item for item in marks if item.name == "nccl" and item.bytes), key=lambda item: item.bytes or 0)
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
