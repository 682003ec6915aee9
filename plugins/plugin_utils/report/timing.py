# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long stages took and what they changed, from their parts. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from ..run.store import SKIPPED, Part

COMMAND_LIMIT = 40
"""Commands of one stage that the report repeats; the desk's journal has all."""


def epoch(text: Any) -> float | None:
    """Seconds since 1970 of an ISO time in UTC; null when it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def seconds_between(started: Any, ended: Any) -> float | None:
    """Seconds from one ISO time to another; null when one of them is none."""
    first, last = epoch(started), epoch(ended)
    return None if first is None or last is None else round(max(0.0, last - first), 1)


def finished_stages(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Each stage in the order in which they began, with the seconds in which a desk was at it.

    Facts that are read again after a change are the same stage: what ran between the two readings is not theirs.
    """
    spans: dict[str, list[tuple[float, float]]] = {}
    for part in parts:
        first, last = epoch(part.started), epoch(part.ended)
        if part.state != SKIPPED and first is not None and last is not None:
            spans.setdefault(part.stage, []).append((first, last))
    found = []
    for stage, listed in sorted(spans.items(), key=lambda item: min(item[1])):
        seconds, reached = 0.0, 0.0
        for first, last in sorted(listed):
            seconds += max(0.0, last - max(first, reached))
            reached = max(reached, last)
        found.append({"stage": stage, "seconds": round(seconds, 1), "desks": len(listed)})
    return found


def changed_on(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """What was changed: one entry for each desk and stage, with the commands that the stage tells of."""
    found = []
    for part in parts:
        if not part.changed:
            continue
        commands = part.data.get("commands")
        listed = list(commands) if isinstance(commands, (list, tuple)) else []
        entry: dict[str, Any] = {"desk": part.desk, "stage": part.stage}
        if listed:
            entry["commands"] = [_command(item) for item in listed[:COMMAND_LIMIT]]
        if len(listed) > COMMAND_LIMIT:
            entry["more_commands"] = len(listed) - COMMAND_LIMIT
        found.append(entry)
    return sorted(found, key=lambda item: (str(item["desk"]), str(item["stage"])))


def _command(item: Any) -> str:
    return " ".join(map(str, item)) if isinstance(item, (list, tuple)) else str(item)
