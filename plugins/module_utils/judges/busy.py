# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a desk now: the one guard of everything that disturbs (link change, measurement, driver repair, reboot)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..model.desk import Busy, Desk
from ..model.driver import GpuProcess
from ..model.finding import Finding, Where
from ..model.proof import DeskUse
from .catalogue import finding
from .common import named, unread_reason


def compute_users(busy: Busy) -> list[tuple[str, GpuProcess]]:
    """Processes that a measurement would disturb, each with what it uses. Graphics clients (type G alone) do not count."""
    users = [("GPU", item) for item in busy.gpu_processes if (item.kind or "C").upper() != "G"]
    return users + [("RDMA", item) for item in busy.rdma_users]


def busy_findings(desk: Desk, where: Where, *, severity: str = "unknown", require: bool = True) -> list[Finding]:
    """What a desk's facts say; see `use_findings`."""
    reason = unread_reason(desk, "busy.gpu_processes") or unread_reason(desk, "busy.rdma_users")
    return use_findings(desk.busy, where, reason, severity=severity, require=require)


def use_findings(busy: Busy, where: Where, reason: str | None, *, severity: str = "unknown", require: bool = True) -> list[Finding]:
    """PAIR_BUSY when somebody computes or uses RDMA, naming process and user.

    ``severity`` is note in an audit and warn where the admin forced the run. With ``require`` a desk that could not be asked
    (``reason`` says why) stops the run too (BUSY_UNKNOWN): what may be disturbed must be known first.
    """
    users = compute_users(busy)
    if users:
        told = [_told(what, item) for what, item in users]
        return [finding("PAIR_BUSY", where, f"In use: {named(told)}.", severity=severity, evidence={"users": told})]
    if require and busy.readable is not True:
        reason = reason or "no answer"
        late = "timeout" in reason
        message = f"Could not determine whether the desk is in use{': a command did not respond in time' if late else ''} ({reason})."
        evidence = {"reason": reason, "timed_out": late}
        return [finding("BUSY_UNKNOWN", where, message, evidence=evidence, severity="warn" if severity == "warn" else "unknown")]
    return []


def before_measurement(stack: str, uses: Sequence[DeskUse], force: bool) -> list[Finding]:
    """Who uses the desks right before a measurement; anything but a warning keeps it from being made."""
    severity = "warn" if force else "unknown"
    return [item for use in uses for item in use_findings(use.busy, Where(pair=stack, desk=use.desk), use.reason, severity=severity)]


def after_measurement(stack: str, before: Sequence[DeskUse], after: Sequence[DeskUse], force: bool) -> list[Finding]:
    """Who came while a measurement was made: its figures are then nobody's (PAIR_DISTURBED)."""
    known = {(use.desk, what, item.pid, _service(item)) for use in before for what, item in compute_users(use.busy)}
    severity = "warn" if force else "unknown"
    found = []
    for use in after:
        where = Where(pair=stack, desk=use.desk)
        came = [_told(what, item) for what, item in compute_users(use.busy) if (use.desk, what, item.pid, _service(item)) not in known]
        if came:
            message = f"{use.desk}: started during the measurement: {named(came)}."
            found.append(finding("PAIR_DISTURBED", where, message, severity=severity, evidence={"users": came}))
        elif use.busy.readable is not True:
            found += use_findings(use.busy, where, use.reason, severity=severity)
    return found


def settled(stack: str, before: Sequence[DeskUse], after: Sequence[DeskUse], force: bool, measured: Sequence[Finding]) -> list[Finding]:
    """The findings of a measurement with who used the desks beside it: figures of a disturbed one are neither good nor bad."""
    guard = before_measurement(stack, before, force)
    if stops(guard):
        return guard
    came = after_measurement(stack, before, after, force)
    if not stops(came):
        return [*guard, *came, *measured]
    said = [f"{item.code} ({item.severity}): {item.message}" for item in measured]
    return [*guard, *(dataclasses.replace(item, evidence={**item.evidence, "would_have_said": said}) for item in came)]


def stops(found: Sequence[Finding]) -> bool:
    """Whether findings of the guard keep a measurement from being made or from counting."""
    return any(item.severity not in ("warn", "note") for item in found)


def _service(item: GpuProcess) -> str:
    """The name of one of the kernel's, which is no process."""
    return "" if item.pid else item.name


def _told(what: str, item: GpuProcess) -> str:
    if not item.pid:
        return f"{item.name} (the kernel's, such as NFS or NVMe over RDMA) on {what}"
    return f"{item.name} (process {item.pid}, user {item.user or 'unknown'}) on {what}"
