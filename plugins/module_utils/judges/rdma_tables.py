# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An RDMA measurement as tables: Gb/s by function and direction, counters beside the bytes that they should have counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..model.link import Endpoint
from ..model.proof import Growth, RdmaEvidence
from .counters import COUNTERS, PHYSICAL, restarted, state_of


def _expected(evidence: RdmaEvidence, desk: str, place: int | None, sent: bool) -> tuple[int, int]:
    """Fewest and most bytes that a function (null: the whole port) of a desk should have sent or received."""
    low = high = 0
    for step in evidence.steps:
        for run in step.runs:
            if place is not None and run.function != place:
                continue
            both = step.kind == "both_ways"
            if not both and (run.source if sent else run.target) != desk:
                continue
            amounts = [item for item in (run.bytes, run.nominal_bytes) if item]
            low += min(amounts, default=0)
            high += max(amounts, default=0)
    return low, high


def counter_rows(ends: Sequence[Endpoint], evidence: RdmaEvidence, growth: dict[str, Growth]) -> list[dict[str, Any]]:
    """Every counter of the cabled functions beside the bytes it should have counted."""
    rows = []
    for end in ends:
        for place, function in enumerate(end.functions):
            for counter in COUNTERS:
                mine = growth.get(end.desk)
                grown = None if mine is None else mine.grown(function.netdev, counter.name)
                real = None if grown is None else grown * counter.unit
                spans = [_expected(evidence, end.desk, place, counter.sent)]
                if counter in PHYSICAL:
                    # A physical counter may count its function alone or the whole port.
                    spans.append(_expected(evidence, end.desk, None, counter.sent))
                states = [state_of(real, low, high) for low, high in spans]
                state = "fits" if "fits" in states else states[0]
                low, high = spans[states.index(state)]
                if state not in ("fits", "unread") and restarted(mine, function.netdev):
                    state, real = "backwards", None
                rows.append(
                    {
                        "desk": end.desk, "function": function.netdev, "counter": counter.name, "state": state,
                        "bytes": real, "expected_bytes": [low, high],
                    }
                )  # fmt: skip
    return rows


def speeds_of(evidence: RdmaEvidence) -> dict[str, Any]:
    """Gb/s per function and direction and their sums; null for what was not measured."""
    table: dict[int, dict[str, Any]] = {}
    sums: dict[str, float | None] = {"sum_forward_gbps": None, "sum_back_gbps": None, "sum_both_ways_gbps": None}
    for step in evidence.steps:
        values = [run.gbps for run in step.runs]
        total = None if any(value is None for value in values) else round(sum(value or 0.0 for value in values), 2)
        alone = len(step.runs) == 1
        if step.kind == "both_functions":
            sums[f"sum_{step.direction}_gbps"] = total
        elif step.kind == "both_ways" and not alone:
            sums["sum_both_ways_gbps"] = total
        for run in step.runs:
            ends = (run.target_device, run.source_device) if step.direction == "back" else (run.source_device, run.target_device)
            named = {"head_device": ends[0], "peer_device": ends[1]}
            row = table.setdefault(run.function, {**named, "forward_gbps": None, "back_gbps": None, "both_ways_gbps": None})
            if step.kind == "one_way":
                row[f"{step.direction}_gbps"] = run.gbps
            elif step.kind == "both_ways" and alone:
                row["both_ways_gbps"] = run.gbps
    return {"functions": [{"function": place, **table[place]} for place in sorted(table)], **sums}
