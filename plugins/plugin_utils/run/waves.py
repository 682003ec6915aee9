# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order the pairs of a run are changed, so that a change that loses a desk is not carried on to the others. Pure.

A wave chooses which desks a stage runs on; every desk stays in the play. The unit is a pair, or a desk that is in no pair.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .model import Run
from .store import DONE, FAILED, Part, Wave

ONE_FIRST: tuple[Any, ...] = (1, "100%")
"""Waves where nobody wished otherwise and nothing shows that the stage works on these desks."""
ALL_AT_ONCE: tuple[Any, ...] = ("100%",)

LOSSES = frozenset(
    {
        "AUTH_FAILED",
        "BECOME_FAILED",
        "CX7_CHANGE_UNCONFIRMED",
        "DESK_ANSWER_INVALID",
        "DESK_IDENTITY_WRONG",
        "DESK_UNREACHABLE",
        "REBOOT_FAILED",
        "STAGE_TIMEOUT",
    }
)
"""Findings of a changing stage after which the desk cannot be reached, entered or used. A link change that was taken back counts as
well when nobody could confirm it or the undo failed, but not when a step of it failed: then the desk was reachable all the time."""

PERCENT = re.compile(r"([0-9]{1,3})\s*%")
NUMBER = re.compile(r"[0-9]{1,6}")


FORM = 'use a YAML or JSON list, such as -e \'{"spark_waves": [1, "25%"]}\''


class WaveError(ValueError):
    """The wished waves cannot be read; the text is for the admin."""


def wished(given: Any) -> list[Any] | None:
    """The wish of an admin as a list, None where nothing was wished; one number or percentage is a list of one.

    :raises WaveError: see :func:`sizes`.
    """
    if given is None:
        return None
    wish = list(given) if isinstance(given, list | tuple) else [given]
    sizes(wish, 1)
    return wish


def sizes(wish: Sequence[Any], units: int) -> list[int]:
    """How many units each wave takes; the last wish repeats until all are taken.

    :param wish: whole numbers of at least 1, or percentages of all units (``"25%"``, rounded up).
    :raises WaveError: naming the entry that is neither.
    """
    if not wish:
        raise WaveError(f"spark_waves is empty; {FORM}")
    counts = [_count(entry, units) for entry in wish]
    taken: list[int] = []
    while sum(taken) < units:
        taken.append(min(counts[min(len(taken), len(counts) - 1)], units - sum(taken)))
    return taken


def _count(entry: Any, units: int) -> int:
    text = str(entry).strip()
    percent = PERCENT.fullmatch(text)
    if percent and 1 <= int(percent[1]) <= 100:
        return max(1, -(-units * int(percent[1]) // 100))
    if not isinstance(entry, bool) and NUMBER.fullmatch(text) and int(text) >= 1:
        return int(text)
    raise WaveError(f"spark_waves: {entry!r} is neither a number of pairs (1 or more) nor a percentage of them (1% to 100%); {FORM}")


def units_of(run: Run) -> list[tuple[str, ...]]:
    """The desks that go together: the stacks of the run in the inventory's order, then each desk that is in none."""
    scope = set(run.scope)
    stacks = [tuple(member for member in stack.members if member in scope) for stack in run.stacks]
    return [unit for unit in stacks if unit] + [(name,) for name in run.scope if run.members[name].stack is None]


def waves(units: Sequence[Sequence[str]], ready: Iterable[Sequence[str]], wish: Sequence[Any]) -> list[Wave]:
    """The waves.

    Only units that are ready are counted: a stack that is skipped proves nothing to those that wait for it. The others come with the
    first wave, where each is told why it is skipped; nobody waits for them.

    :raises WaveError: see :func:`sizes`.
    """
    counted = list(ready)
    idle = [desk for unit in units if unit not in counted for desk in unit]
    found: list[Wave] = []
    position = 0
    for size in sizes(wish, len(counted)) or [0]:
        before = [desk for unit in counted[:position] for desk in unit]
        desks = [desk for unit in counted[position : position + size] for desk in unit]
        found.append(Wave(len(found) + 1, tuple(desks + ([] if found else idle)), tuple(before)))
        position += size
    return found


def linked_before(units: Iterable[Sequence[str]], facts: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a whole pair carries our link (facts of this run): half a pair is what a lost desk leaves behind."""
    return any(all((facts.get(desk, {}).get("setup") or {}).get("link_file") for desk in unit) for unit in units if len(unit) > 1)


def loss(parts: Mapping[str, Part | None]) -> str:
    """The first desk (name to part) that a wave lost, with the codes; empty when it lost none. One that left no part is lost."""
    for desk, part in parts.items():
        if part is None:
            return f"{desk} (it left no result)"
        if part.state != FAILED:
            continue
        codes = sorted({str(item["code"]) for item in part.findings if item.get("severity") == "fail" and _out_of_reach(item)})
        if codes:
            return f"{part.desk} ({', '.join(codes)})"
    return ""


def unproven(parts: Mapping[str, Part | None]) -> str:
    """The first desk (name to part of the proof) that did not end well, with the codes; empty when all did."""
    for desk, part in parts.items():
        if part is None:
            return f"{desk} (it left no result)"
        codes = sorted({str(item["code"]) for item in part.findings if item.get("severity") in ("fail", "unknown")})
        if part.state != DONE or codes:
            return f"{desk} ({', '.join(codes) or part.reason or part.state})"
    return ""


def _out_of_reach(item: Mapping[str, Any]) -> bool:
    evidence = item.get("evidence") or {}
    taken_back = item["code"] == "CX7_CHANGE_UNDONE" and (evidence.get("unconfirmed") or evidence.get("state") == "undo_failed")
    return item["code"] in LOSSES or bool(taken_back)
