# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier runs tell about this one: slower than before, links that were lost in between, desks that changed. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..model.finding import Finding, Where
from ..model.history import Carrier, Difference, Past, Series
from .catalogue import finding
from .common import named, times

LEAST_RUNS = 3
"""Earlier runs without which nothing is said: fewer show no spread."""

LEAST_FALL = 0.02
"""Share of the former level that is never worth a warning: reports of good pairs differ by as much from run to run."""

FALLING_RUNS = 5
"""Runs in a row (this one included), each below the one before, that are a decay: by chance alone it happens once in 120 times."""

LEAST_DECAY = 0.03
"""Share that such a decay must have lost in all."""

WIDTHS = {3: 10.0, 4: 7.0, 5: 6.0, 6: 5.0, 7: 5.0}
ENOUGH = 4.0
"""How many times the spread the fall must be, by the number of earlier runs. A spread made of few runs is itself uncertain, so more is
asked of it: with these numbers one in a hundred healthy runs with a spread of one percent is warned of (random series in the tests)."""

MANY_STEPS, TRIMMED = 5, 1.4
"""From so many steps on the largest one is taken for an event, not for spread; what is left looks smaller than it is by this factor."""


@dataclass(frozen=True)
class Fall:
    """A figure that fell."""

    series: Series
    level: float
    """What it was held against."""
    since: Past
    """The last run that was at that level."""
    spread: float
    """From run to run, one standard deviation."""
    steady: bool
    """Whether it fell in each of the last runs instead of at once."""

    @property
    def share(self) -> float:
        """How much was lost, from 0 to 1."""
        return 1.0 - self.series.now / self.level


def spread(values: Sequence[float]) -> float:
    """How much a figure differs from one run to the next, as one standard deviation; a steady slope and one single step do not count."""
    steps = [later - earlier for earlier, later in itertools.pairwise(values)]
    if len(steps) < 2:
        return 0.0
    middle = statistics.median(steps)
    apart = sorted(abs(step - middle) for step in steps)
    robust = 1.4826 * statistics.median(apart)
    factor = 1.0
    if len(apart) >= MANY_STEPS:
        apart, factor = apart[:-1], TRIMMED
    plain = factor * (sum(step**2 for step in apart) / (len(apart) - 1)) ** 0.5
    return float(max(robust, plain) / 2**0.5)


def fall_of(series: Series) -> Fall | None:
    """Whether the figure of this run lies below what the stack held before; null when not, or when that cannot be said yet."""
    past = series.past
    if len(past) < LEAST_RUNS:
        return None
    values = [item.value for item in past]
    medians = [statistics.median(values[place : place + LEAST_RUNS]) for place in range(len(values) - LEAST_RUNS + 1)]
    level = max(medians)
    wide = spread(values)
    limit = max(LEAST_FALL * level, WIDTHS.get(len(values), ENOUGH) * wide)
    recent = [*values[-(FALLING_RUNS - 1) :], series.now]
    steady = len(recent) == FALLING_RUNS and all(later < earlier for earlier, later in itertools.pairwise(recent))
    if level > 0 and series.now < level - limit:
        since = next(item for item in reversed(past) if item.value >= level - limit / 2 or item.value >= level)
        return Fall(series, level, since, wide, steady)
    if steady and recent[0] > 0 and series.now < (1 - LEAST_DECAY) * recent[0]:
        return Fall(series, recent[0], past[-(FALLING_RUNS - 1)], wide, True)
    return None


def judge_slower(stack: str, series: Sequence[Series], changes: Callable[[str], Sequence[Difference]]) -> list[Finding]:
    """PAIR_SLOWER_THAN_BEFORE for the figure that lost most; the others are in its evidence.

    ``changes`` gives what is different on the stack's desks since a run (by its id).
    """
    falls = sorted((fall for item in series if (fall := fall_of(item)) is not None), key=lambda fall: -fall.share)
    if not falls:
        return []
    worst = falls[0]
    # Of a decay the whole way counts: what changed after its first run.
    first = min((fall.since for fall in falls), key=lambda past: past.started)
    since = list(changes(first.run))
    what = worst.series
    way = f", falling for {FALLING_RUNS} runs" if worst.steady else ""
    told = named((item.told for item in since), 4) if since else "nothing on record has changed since"
    message = (
        f"stack {stack}: {what.title} {what.now:.1f} {what.unit}, it held {worst.level:.1f} before (-{100 * worst.share:.1f} %{way}; "
        f"spread from run to run {worst.spread:.2f}), last in {first.run}; since then: {told}"
    )
    evidence = {
        "figures": {
            fall.series.id: {
                "now": round(fall.series.now, 2),
                "before": round(fall.level, 2),
                "spread": round(fall.spread, 3),
                "earlier": [round(item.value, 2) for item in fall.series.past[-8:]],
            }
            for fall in falls[:4]
        },
        "since": first.run,
        "since_started": first.started,
        "changed": [item.told for item in since[:12]],
    }
    return [finding("PAIR_SLOWER_THAN_BEFORE", Where(pair=stack), message, evidence=evidence)]


def judge_flaps(desk: str, before: Carrier, now: Carrier) -> list[Finding]:
    """CX7_LINK_FLAPPED for each function that lost its link between two runs; nothing across a start-up, where counts begin anew."""
    if before.boot_id is None or before.boot_id != now.boot_id:
        return []
    found = []
    for netdev, count in sorted(now.counts.items()):
        grown = count - before.counts.get(netdev, count)
        if grown == 0:
            continue
        message = f"{netdev} lost its link {times(grown)} since run {before.run} ({before.started})."
        if grown < 0:
            # The kernel takes a function away with its cable, and counts anew when it comes back.
            message = f"{netdev} went away and came back since run {before.run} ({before.started}); its count of lost links began again."
        evidence = {"before": before.counts[netdev], "now": count, "run": before.run}
        found.append(finding("CX7_LINK_FLAPPED", Where(desk=desk, function=netdev), message, evidence=evidence))
    return found


def judge_changed(desk: str, run: str, started: str, differences: Sequence[Difference]) -> list[Finding]:
    """DESK_CHANGED_SINCE with everything that is different."""
    if not differences:
        return []
    told = named((f"{item.title} {item.before or 'unknown'} -> {item.now or 'unknown'}" for item in differences), 8)
    evidence = {"run": run, "started": started, "differences": {item.path: [item.before, item.now] for item in differences}}
    return [finding("DESK_CHANGED_SINCE", Where(desk=desk), f"{desk}: since run {run} ({started}): {told}", evidence=evidence)]
