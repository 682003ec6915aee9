# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw frames between cages: who sends, what was heard, and the shape of the exchange (``frames.py`` is the real one)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Speaker:
    """One of our functions that sends and listens."""

    netdev: str
    mac: str
    port: int


@dataclass(frozen=True)
class Heard:
    """A frame of this collection that came in. Only ``mac``, the frame's sender, is evidence; the rest is what it told."""

    netdev: str
    mac: str
    desk: str | None
    port: int | None


class Frames(Protocol):
    """Sends and listens for a while."""

    def exchange(
        self, speakers: Sequence[Speaker], desk: str, run: str, seconds: float, partners: int = 1
    ) -> tuple[tuple[Heard, ...], str | None]:
        """What was heard within ``seconds``, and an error text when frames could not be used. ``partners``: how many other desks are
        expected behind each cage."""
