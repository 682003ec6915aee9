# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings that only earlier runs make possible."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="CX7_LINK_FLAPPED",
        title="The link went down between two runs",
        severity="warn",
        meaning="carrier_down_count of a function grew since the last run that the history knows, within one boot of all desks of the "
        "stack and although no stage of ours changed a link: the plug was moved, or the link is not stable.",
        remedy="Seat the cable firmly or change it, reboot both desks with the cable in, and measure again.",
        source="community (one report)",
    ),
    Code(
        code="PAIR_SLOWER_THAN_BEFORE",
        title="The pair is slower than it was",
        severity="warn",
        meaning="A figure of this run lies below the level that the same pair held before (the best median of three runs in a row), by "
        "more than its own spread from run to run and by at least two percent; or it fell in each of the last five runs, by three "
        "percent in all. The marks may still be reached: a slow decay is told before they are missed. At least three earlier runs are "
        "needed.",
        remedy="Look at what the message says has changed since. With nothing changed: reboot both desks with the cable in and measure "
        "again; if it stays, playbooks/isolate.yml finds out whether cable, desk or port is to blame.",
        source="this collection's rule",
    ),
    Code(
        code="DESK_CHANGED_SINCE",
        title="The desk is not as it was in an earlier run",
        severity="note",
        meaning="Versions, firmware, cable, MTU, start-up or identity of the desk differ from what an earlier run saw (audit_since chooses "
        "the run; the last one that read the desk by default). It is a fact, no fault.",
        remedy="Nothing, when the change was yours; otherwise find out who changed it.",
        source="this collection's rule",
    ),
)
