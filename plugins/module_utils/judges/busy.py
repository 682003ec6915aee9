# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a desk now: the one guard of everything that disturbs (link change, measurement, driver repair, reboot)."""

from __future__ import annotations

from ..model.desk import Desk
from ..model.driver import GpuProcess
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named, unread_reason


def compute_users(desk: Desk) -> list[tuple[str, GpuProcess]]:
    """Processes that a measurement would disturb, each with what it uses. Graphics clients (type G alone) do not count."""
    users = [("GPU", item) for item in desk.busy.gpu_processes if (item.kind or "C").upper() != "G"]
    return users + [("RDMA", item) for item in desk.busy.rdma_users]


def busy_findings(desk: Desk, where: Where, *, severity: str = "unknown", require: bool = True) -> list[Finding]:
    """PAIR_BUSY when somebody computes or uses RDMA, naming process and user.

    ``severity`` is note in an audit and warn where the admin forced the run. With ``require`` a desk that could not be asked stops the
    run too (BUSY_UNKNOWN): what may be disturbed must be known first.
    """
    users = compute_users(desk)
    if users:
        told = [f"{item.name} (process {item.pid}, user {item.user or 'unknown'}) on {what}" for what, item in users]
        return [finding("PAIR_BUSY", where, f"In use: {named(told)}.", severity=severity, evidence={"users": told})]
    if require and desk.busy.readable is not True:
        reason = unread_reason(desk, "busy.gpu_processes") or unread_reason(desk, "busy.rdma_users") or "no answer"
        late = "timeout" in reason
        message = f"Whether somebody uses the desk could not be read{': a command did not answer in time' if late else ''} ({reason})."
        evidence = {"reason": reason, "timed_out": late}
        return [finding("BUSY_UNKNOWN", where, message, evidence=evidence, severity="warn" if severity == "warn" else "unknown")]
    return []
