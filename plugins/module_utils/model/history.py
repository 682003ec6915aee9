# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier runs saw, as the judges of trends take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Past:
    """One figure in one earlier run."""

    run: str
    started: str
    """UTC, ISO 8601."""
    value: float


@dataclass(frozen=True)
class Series:
    """One figure of one stack from run to run; larger is better."""

    id: str
    title: str
    unit: str
    now: float
    past: tuple[Past, ...] = ()
    """Oldest first, without this run."""


@dataclass(frozen=True)
class Difference:
    """One fact of a desk that is not what it was."""

    desk: str
    path: str
    title: str
    before: str | None
    now: str | None
    run: str = ""
    """The run that saw the new value first."""

    @property
    def told(self) -> str:
        """In words, with the run that saw it first where that was an earlier one."""
        first = f" (first seen in {self.run})" if self.run else ""
        return f"{self.desk}: {self.title} {self.before or 'unknown'} -> {self.now or 'unknown'}{first}"


@dataclass(frozen=True)
class Carrier:
    """How often each ConnectX-7 function of a desk had lost its link, as one run read it."""

    run: str
    started: str
    boot_id: str | None
    counts: Mapping[str, int] = field(default_factory=dict)
    """Netdev to carrier_down_count."""
