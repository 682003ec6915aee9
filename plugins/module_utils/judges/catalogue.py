# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one list of codes: every domain's table joined, and the one way to make a finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.finding import SEVERITIES, Finding, Where
from .codes import cable, change, driver, enrol, history, identity, link, lock, onboard, pair, proof, run, system, update, workload
from .codes.code import Code

DOMAINS: dict[str, tuple[Code, ...]] = {
    "run": run.CODES,
    "identity": identity.CODES,
    "system": system.CODES,
    "driver": driver.CODES,
    "lock": lock.CODES,
    "link": link.CODES,
    "change": change.CODES,
    "cable": cable.CODES,
    "pair": pair.CODES,
    "proof": proof.CODES,
    "onboard": onboard.CODES,
    "enrol": enrol.CODES,
    "history": history.CODES,
    "update": update.CODES,
    "workload": workload.CODES,
}

CODES: dict[str, Code] = {code.code: code for codes in DOMAINS.values() for code in codes}


def finding(
    code: str,
    where: Where,
    message: str,
    *,
    evidence: Mapping[str, Any] | None = None,
    severity: str | None = None,
    remedy: str | None = None,
) -> Finding:
    """A finding of a listed code; severity and remedy come from the list unless they are given.

    Raises KeyError for a code that is not listed and ValueError for a severity that the code does not allow.
    """
    listed = CODES[code]
    chosen = severity or listed.severity
    if chosen not in SEVERITIES or chosen not in listed.allowed:
        raise ValueError(f"{code} cannot be {chosen}: it is one of {', '.join(listed.allowed)}")
    return Finding(code, chosen, where, message, remedy or listed.remedy, dict(evidence or {}))
