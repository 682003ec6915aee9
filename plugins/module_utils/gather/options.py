# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to gather and for whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SUBSETS = (
    "identity",
    "dgx_os",
    "kernel",
    "driver",
    "gpu",
    "memory",
    "toolkit",
    "cx7",
    "network",
    "apt",
    "limits",
    "clock",
    "busy",
    "setup",
)


@dataclass(frozen=True)
class Options:
    """Settings of one gathering."""

    subsets: tuple[str, ...] = SUBSETS
    login_user: str | None = None
    """The user that tests run as; null for the one that gathers."""
    ssh_port: int | None = None
    """Where the desk's sshd listens for the other desks; null when nobody told."""
    include_serial: bool = False
    judge_serial: bool = False
    """Whether the serial number is needed for what the facts are judged by; it goes no further than that."""
    run_id: str | None = None
    now: float | None = None
    """Seconds since 1970 when the gathering began; null when there is no live clock (a replay)."""
    session_address: str | None = None
    """The desk's address that the current ssh session came over, null when not over ssh or not known."""


def choose(wanted: Iterable[str]) -> tuple[str, ...]:
    """The subsets that a list of names means: ``all``, names, and ``!name`` to leave one out. Raises ValueError for an unknown name."""
    chosen: list[str] = []
    left_out: list[str] = []
    for item in wanted:
        name = item.removeprefix("!")
        if name != "all" and name not in SUBSETS:
            raise ValueError(f"unknown subset {item!r}; known subsets are all, {', '.join(SUBSETS)}")
        names = list(SUBSETS) if name == "all" else [name]
        if item.startswith("!"):
            left_out += names
        else:
            chosen += names
    if not chosen:
        chosen = list(SUBSETS)
    return tuple(name for name in SUBSETS if name in chosen and name not in left_out)
