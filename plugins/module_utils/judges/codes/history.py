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
        meaning="carrier_down_count of a function grew, or began again, since the last run in the history, although no desk of the stack "
        "was rebooted and no stage of this collection changed a link: the plug was moved, or the link is not stable.",
        remedy="Seat the cable firmly or replace it, reboot both desks with the cable in, and measure again.",
        follows_from=("CABLE_DARK", "CX7_LINK_DOWN"),
        source="community (one report)",
    ),
    Code(
        code="PAIR_SLOWER_THAN_BEFORE",
        title="The pair is slower than it was",
        severity="warn",
        meaning="A figure of this run is below the level that the same pair held before (the best median of three runs in a row), by "
        "more than its usual spread from run to run and by at least two percent; or it fell in each of the last five runs, by three "
        "percent in total. The marks may still be reached: a slow decline is reported before they are missed. At least three earlier "
        "runs are needed.",
        remedy="Look at what has changed since, according to the message. If nothing has: reboot both desks with the cable in and "
        "measure again; if the pair is still slow, playbooks/isolate.yml finds out whether cable, desk or port is to blame.",
        source="this collection's rule",
    ),
    Code(
        code="DESK_CHANGED_SINCE",
        title="The desk is not as it was in an earlier run",
        severity="note",
        meaning="Versions, firmware, cable, MTU, boot settings or identity of the desk differ from what an earlier run saw (audit_since "
        "chooses the run; by default the last one that read the desk). It is a fact, not a fault.",
        remedy="Nothing, if the change was yours; otherwise find out who made it.",
        source="this collection's rule",
    ),
)
