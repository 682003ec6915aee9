# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hardest step of an RDMA measurement proves about the easier ones, with the arithmetic. Pure.

The hardest step loads every function of a path in both directions at once. Two things carry its figures over to the easier steps:
what a function carries in one direction while everything else is in use, it carries at least when less is in use; and no function
carries more in one direction than its PCIe link or the cable can. Whatever does not follow from these is missing, and the nine steps
are measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..model.link import Endpoint
from ..model.proof import RdmaEvidence, RdmaRun
from .marks import at_speed, link_speed, mark
from .marks_data import MARKS, Mark
from .rdma_tables import counter_rows

FULL_WIDTH = 4
"""PCIe lanes of a function of a DGX Spark."""

PCIE_GBPS = 126.03
"""Gb/s one way that PCIe 5.0 with four lanes carries at most: 32 GT/s x 4 lanes x 128/130 (line code)."""

SUMS_AGREE = 0.02
"""Share by which the two directions together may differ from the tool's own sum; it rounds to 0.01 Gb/s."""


@dataclass(frozen=True)
class Implied:
    """One easier step and what it would have shown at least."""

    step: str
    at_least_gbps: float
    mark_gbps: float
    arithmetic: str


@dataclass(frozen=True)
class Weighed:
    """The hardest step, weighed: what follows from it, and what does not."""

    implied: tuple[Implied, ...] = ()
    missing: tuple[str, ...] = ()
    """Why an easier step does not follow, a sentence each."""

    @property
    def proven(self) -> bool:
        """Whether every easier step follows."""
        return bool(self.implied) and not self.missing


def weigh(ends: Sequence[Endpoint], evidence: RdmaEvidence, marks: Sequence[Mark] = MARKS) -> Weighed:
    """What the hardest step of a measurement says about the steps that it would spare."""
    if evidence.hardest is None:
        return Weighed()
    runs = evidence.hardest.runs
    missing = [f"{run.source_device}: {run.error or 'no figure'}" for run in runs if run.error is not None or run.gbps is None]
    if len(runs) < len(ends[0].functions):
        missing.append(f"{len(runs)} of {len(ends[0].functions)} functions were measured")
    missing += [f"{run.source_device}: no figure for each direction" for run in runs if not missing and not _told_apart(run)]
    missing += [
        f"{end.desk} {item.rdma_device}: {item.pcie_width} PCIe lanes of {FULL_WIDTH}"
        for end in ends
        for item in end.functions
        if item.pcie_width is not None and item.pcie_width < FULL_WIDTH
    ]
    if missing:
        return Weighed(missing=tuple(missing))
    implied = _implied(ends, runs, at_speed(marks, link_speed(ends)))
    missing = [
        f"{item.step}: {item.arithmetic}; {item.mark_gbps:.1f} was expected" for item in implied if item.at_least_gbps < item.mark_gbps
    ]
    return Weighed(tuple(implied), (*missing, *_counters(ends, evidence)))


def _told_apart(run: RdmaRun) -> bool:
    """Whether both directions have a figure of their own and make the tool's sum."""
    if run.gbps is None or run.sent_gbps is None or run.back_gbps is None:
        return False
    return abs(run.sent_gbps + run.back_gbps - run.gbps) <= SUMS_AGREE * run.gbps


def _implied(ends: Sequence[Endpoint], runs: Sequence[RdmaRun], marks: Sequence[Mark]) -> list[Implied]:
    """Each easier step with what it carries at least, beside what it must."""
    one = max(mark("rdma_one_function", marks).value, mark("rdma_25g", marks).value)
    two = mark("rdma_both_functions", marks).value
    least = mark("rdma_both_ways_least", marks).value
    twice = max(least, mark("rdma_both_ways_one_function", marks).value)
    speed = link_speed(ends)
    line = None if not speed or speed < 0 else speed / 1000
    most = PCIE_GBPS if line is None else min(PCIE_GBPS, line)
    found = []
    ways = ((f"{ends[0].desk} to {ends[1].desk}", True), (f"{ends[1].desk} to {ends[0].desk}", False))
    for run in runs:
        for way, forward in ways:
            share = _share(run, forward)
            found.append(Implied(f"{run.source_device} alone, {way}", share, one, f"{share:.1f} Gb/s beside all other traffic"))
        both = _share(run, True) + _share(run, False)
        words = f"{both:.1f} Gb/s beside all other traffic, one direction alone carries at most {most:.1f}"
        found.append(Implied(f"{run.source_device} alone, both directions", both, twice * most, f"{words}, times {twice:g}"))
    if len(runs) < 2:
        return found
    for way, forward in ways:
        shares = [_share(run, forward) for run in runs]
        words = " + ".join(f"{share:.1f}" for share in shares)
        found.append(Implied(f"all functions, {way}", sum(shares), two, f"{words} = {sum(shares):.1f} Gb/s beside the other direction"))
    total = sum(_share(run, forward) for run in runs for forward in (True, False))
    ceiling = len(runs) * most if line is None else min(len(runs) * most, line)
    words = f"{total:.1f} Gb/s measured, one direction alone carries at most {ceiling:.1f}"
    return [*found, Implied("all functions, both directions beside one", total, least * ceiling, f"{words}, times {least:g}")]


def _share(run: RdmaRun, forward: bool) -> float:
    return (run.sent_gbps if forward else run.back_gbps) or 0.0


def _counters(ends: Sequence[Endpoint], evidence: RdmaEvidence) -> list[str]:
    """Counters of the hardest step that do not show its bytes."""
    rows = counter_rows(ends, evidence.of_the_hardest, {item.desk: item for item in evidence.hardest_growth})
    return [f"{row['counter']} of {row['desk']} {row['function']}: {row['state']}" for row in rows if row["state"] != "fits"]
