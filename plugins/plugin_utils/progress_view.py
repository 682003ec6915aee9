# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is doing, from what the callback hears: a line a stack, and how much is left. Pure: times come from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..module_utils.model.finding import SEVERITIES
from .report.words import duration, line


@dataclass
class StackLine:
    """One stack (or a desk that is in none)."""

    name: str
    desks: tuple[str, ...]
    running: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Desk to the stage that it is in, and since when."""
    last: str = ""
    """The stage that ended last."""
    worst: str = "ok"
    codes: list[str] = field(default_factory=list)
    """Findings that ask for something."""

    def stage(self, now: float) -> tuple[str, float | None]:
        """What the stack does, and for how many seconds; the stage that ended last when it waits."""
        if not self.running:
            return (f"{self.last} done" if self.last else "waiting"), None
        stage, since = min(self.running.values(), key=lambda item: item[1])
        return stage, now - since


class RunView:
    """The state of a run. ``known``: what each stage took in earlier runs, in seconds."""

    def __init__(self, now: float, known: Mapping[str, float] | None = None) -> None:
        self.began = now
        self.known = dict(known or {})
        self.stacks: dict[str, StackLine] = {}
        self._home: dict[str, str] = {}
        self._stages: dict[str, tuple[float, set[str], set[str]]] = {}
        """Stage to when it began, the desks that began it and those that ended it."""

    def plan(self, plan: Mapping[str, Any]) -> None:
        """Take the stacks of the run (the result of its first task)."""
        desks = {name: desk for name, desk in (plan.get("members") or {}).items() if desk.get("in_scope")}
        for stack in plan.get("stacks") or ():
            members = tuple(name for name in stack.get("members") or () if name in desks)
            if members and not stack.get("out_of_service"):
                self._add(str(stack["name"]), members)
        for name in desks:
            if name not in self._home and not desks[name].get("out_of_service"):
                self._add(name, (name,))

    def _add(self, name: str, members: tuple[str, ...]) -> None:
        self.stacks[name] = StackLine(line(name), members)
        self._home.update(dict.fromkeys(members, name))

    def begin(self, desk: str, stage: str, now: float) -> None:
        """A desk began a stage; hearing it again changes nothing."""
        home = self.stacks.get(self._home.get(desk, ""))
        if home is None or home.running.get(desk, ("", 0.0))[0] == stage:
            return
        home.running[desk] = (stage, now)
        self._stages.setdefault(stage, (now, set(), set()))[1].add(desk)

    def end(self, desk: str, stage: str, severities: Mapping[str, str], now: float) -> float | None:
        """A desk ended a stage with findings (code to severity); gives how long it took."""
        home = self.stacks.get(self._home.get(desk, ""))
        if home is None:
            return None
        running = home.running.pop(desk, None)
        home.last = stage
        for code, severity in severities.items():
            if severity in ("warn", "unknown", "fail") and code not in home.codes:
                home.codes.append(code)
            if severity in SEVERITIES and SEVERITIES.index(severity) > SEVERITIES.index(home.worst):
                home.worst = severity
        self._stages.setdefault(stage, (now, {desk}, set()))[2].add(desk)
        return now - running[1] if running and running[0] == stage else None

    def remaining(self, now: float) -> float | None:
        """Seconds that earlier runs would still have needed; null when there was none, or when this run is past what they know."""
        if not self.known or not any(stage in self.known for stage in self._stages or self.known):
            return None
        left = 0.0
        for stage, seconds in self.known.items():
            begun = self._stages.get(stage)
            if begun is None:
                if not self._passed(stage):
                    left += seconds
                continue
            since, started, ended = begun
            if started - ended:
                left += max(0.0, seconds - (now - since))
        return left

    def _passed(self, stage: str) -> bool:
        """Whether a later stage of earlier runs has begun already: this one is left out this time."""
        order = list(self.known)
        return any(other in self._stages for other in order[order.index(stage) + 1 :])

    def share(self, now: float) -> float | None:
        """How much of the run is done, from 0 to 1; null when nobody can know."""
        left = self.remaining(now)
        gone = now - self.began
        return None if left is None else gone / (gone + left) if gone + left > 0 else 0.0

    def told(self, now: float) -> str:
        """Time gone and time left, in words that promise nothing more than is known."""
        gone, left = f"running for {duration(now - self.began)}", self.remaining(now)
        if left is None:
            return f"{gone}; no earlier run shows how long it takes"
        return f"{gone}, about {duration(left)} left as in earlier runs" if left >= 1 else f"{gone}, longer than earlier runs"

    def rows(self, now: float, limit: int) -> list[tuple[str, str, str, str, str]]:
        """Stack, stage, time, worst severity, codes; those in trouble and those at work first, and how many more there are."""
        listed = sorted(self.stacks.values(), key=lambda item: (-SEVERITIES.index(item.worst), not item.running))
        rows = []
        for item in listed[:limit]:
            stage, seconds = item.stage(now)
            rows.append(
                (item.name, stage, duration(seconds) if seconds is not None else "", item.worst, ", ".join(map(line, item.codes[:3])))
            )
        if len(listed) > limit:
            rows.append((f"and {len(listed) - limit} more", "", "", "ok", ""))
        return rows
