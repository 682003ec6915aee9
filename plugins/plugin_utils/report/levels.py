# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an update moved on each desk, and what it would move on those that it left as they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .words import line


class Moved(NamedTuple):
    """A level of a desk that moved, or would."""

    desk: str
    what: str
    before: str
    after: str


def moved(report: Mapping[str, Any], made: bool) -> list[Moved]:
    """Levels that moved (``made``), or those that are only planned."""
    rows = []
    for desk in report["desks"]:
        levels = desk.get("levels") if bool(desk.get("levels_made")) == made else None
        for key, value in levels.items() if isinstance(levels, Mapping) else ():
            before, arrow, after = line(value).partition(" -> ")
            if arrow:
                rows.append(Moved(line(desk["name"]), line(key), before, after))
    return rows
