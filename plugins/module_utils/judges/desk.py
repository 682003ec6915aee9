# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All judges of one desk."""

from __future__ import annotations

import dataclasses
import re

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .busy import busy_findings
from .driver import judge_driver
from .gpu import judge_gpu
from .identity import judge_identity
from .kernel_log import judge_kernel_log
from .link import judge_link
from .login import judge_login
from .missing import judge_missing
from .options import AUDIT, JudgeOptions
from .system import judge_system
from .update import half_done


def judge(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """Every finding about one desk, in the order of the catalogue's domains. A healthy desk has none above ``note``.

    Of a machine that is no GB10 only its identity is judged: nothing else would mean anything there.
    """
    found = judge_identity(desk, where, options)
    if any(item.code == "DESK_NOT_GB10" for item in found):
        return found
    found += judge_system(desk, where, options)
    found += judge_driver(desk, where, options)
    found += judge_gpu(desk, where)
    found += judge_kernel_log(desk, where)
    found += judge_link(desk, where, options)
    found += half_done(desk, where, options)
    found += judge_login(desk, where, options)
    if options.purpose == AUDIT:
        found += busy_findings(desk, where, severity="note", require=False)
    return _first_the_next_boot(_of_one_kernel(found + judge_missing(desk, where, options, found)))


NO_GOOD_BOOT = ("NEXT_BOOT_KERNEL_WITHOUT_INITRD", "NEXT_BOOT_KERNEL_WITHOUT_DRIVER")
_RESTARTS = re.compile(r"\breboots?\b|\brestart|power supply|power the desk off|unplug it", re.IGNORECASE)


def _of_one_kernel(found: list[Finding]) -> list[Finding]:
    """A kernel without a driver that runs and would start again is one cause: DRIVER_MISSING says what to do, the other is a note."""
    if not any(item.code == "DRIVER_MISSING" and item.evidence.get("has_driver") is False for item in found):
        return found
    return [
        dataclasses.replace(item, severity="note")
        if item.code == "NEXT_BOOT_KERNEL_WITHOUT_DRIVER" and item.evidence["next_boot"] == item.evidence["running"]
        else item
        for item in found
    ]


def _first_the_next_boot(found: list[Finding]) -> list[Finding]:
    """Other findings' advice to restart, where the next boot would lose the driver or the desk: first things first."""
    blocked = [code for code in NO_GOOD_BOOT if any(item.code == code and item.severity == "fail" for item in found)]
    if any(item.code == NO_GOOD_BOOT[1] and item.severity == "note" for item in found):
        blocked.append("DRIVER_MISSING")
    if not blocked:
        return found
    first = f"Before any reboot, do what {' and '.join(blocked)} says. "
    return [
        dataclasses.replace(item, remedy=first + item.remedy)
        if item.code not in (*NO_GOOD_BOOT, *blocked) and item.severity in ("fail", "warn", "unknown") and _RESTARTS.search(item.remedy)
        else item
        for item in found
    ]
