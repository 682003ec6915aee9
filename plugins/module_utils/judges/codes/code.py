# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One listed code of a finding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A stable code, what it means and what to do about it."""

    code: str
    title: str
    severity: str
    """The severity it has unless a judge says otherwise."""
    meaning: str
    """What was seen, why it matters, when the severity differs. One or two sentences."""
    remedy: str
    """What the admin does next, as an instruction."""
    other_severities: tuple[str, ...] = ()
    follows_from: tuple[str, ...] = ()
    """Codes that say why, on the same desk or (of a stack) on one of its desks: what is to be done is then told once, with them."""
    source: str = ""
    """Where the knowledge comes from: NVIDIA (official), community reports (how many), or this collection's own rule."""

    @property
    def allowed(self) -> tuple[str, ...]:
        """Every severity that a finding of this code may have."""
        return (self.severity, *self.other_severities)
