# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which earlier run an admin means: ``last``, a run's id, a date or time, or a weekday. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from ..report.timing import epoch

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LAST, NEVER = "last", "never"


class SinceError(ValueError):
    """What was asked for cannot be understood; the text says what can."""


def chosen(since: str, runs: Sequence[tuple[str, str]], now: datetime.datetime) -> str | None:
    """The id of the run to compare with, of ``runs`` (id and ISO start, oldest first, all before ``now``); null when there is none.

    A day means its first run; where it had none the last run before it, where there is none of those the first one after it. Times without
    a zone are those of the controller (the zone of ``now``). Raises SinceError.
    """
    if since == NEVER or not runs:
        moment_of(since, now, runs)
        return None
    if since == LAST:
        return runs[-1][0]
    if any(run == since for run, _started in runs):
        return since
    begin, end = moment_of(since, now, runs)
    # Of a report that somebody sent the time may be anything.
    times = [(run, datetime.datetime.fromtimestamp(at, datetime.UTC)) for run, started in runs if (at := epoch(started)) is not None]
    if not times:
        return None
    within = [run for run, started in times if begin <= started < end]
    before = [run for run, started in times if started < begin]
    return within[0] if within else before[-1] if before else times[0][0]


def moment_of(since: str, now: datetime.datetime, runs: Sequence[tuple[str, str]] = ()) -> tuple[datetime.datetime, datetime.datetime]:
    """The span that ``since`` names: a whole day, or a moment. Raises SinceError."""
    if since in (LAST, NEVER):
        return now, now
    day = datetime.timedelta(days=1)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    word = since.strip().lower()
    if word in WEEKDAYS:
        begin = midnight - day * ((midnight.weekday() - WEEKDAYS.index(word)) % 7)
        return begin, begin + day
    if word in ("today", "yesterday"):
        begin = midnight - (day if word == "yesterday" else 0 * day)
        return begin, begin + day
    try:
        found = datetime.datetime.fromisoformat(since.strip().replace("Z", "+00:00"))
    except ValueError:
        known = f"; the last runs are {', '.join(run for run, _started in runs[-3:])}" if runs else "; no runs are known yet"
        raise SinceError(
            f"{since!r} is not a run, day or time: use last, never, a run's id, a weekday, 2026-11-23 or 2026-11-23T10:15{known}"
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
    return (found, found + day) if len(since.strip()) == 10 else (found, found)
