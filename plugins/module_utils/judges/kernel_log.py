# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel log says about the ConnectX-7's PCIe links and plugs, and about processors that hung."""

from __future__ import annotations

from ..model.desk import Desk
from ..model.finding import Finding, Where
from ..model.kernel_events import PcieError
from .catalogue import finding
from .common import named, times

CX7_DOMAINS = frozenset({"0000", "0002"})
"""PCI domains of the adapter's root ports 0000:00:00.0 and 0002:00:00.0 on every desk (NVIDIA's topology)."""

SEVERE = ("fatal", "failed", "start", "mlx5")
KINDS = {
    "fatal": "fatal PCIe errors",
    "nonfatal": "PCIe errors that are not fatal",
    "mlx5": "errors of the adapter's driver",
    "failed": "a recovery that failed",
    "start": "that the adapter's driver did not start",
    "stalled": "that the adapter did not send or answer in time",
}
"""What an event is in words; recovered ones are told apart."""

COOL = (
    "Let it cool: keep the openings below and behind the desk free and do not stack desks. An optical plug gives off twice the heat of a "
    "passive copper cable; use one of the approved cables (Amphenol NJAAKK-N911 or NJAAKK0006, Luxshare LMTQF022-SD-R)."
)
POWER = (
    "The plug needs more power than its cage gives: use a passive copper cable (Amphenol NJAAKK-N911 or NJAAKK0006, Luxshare "
    "LMTQF022-SD-R)."
)


def judge_kernel_log(desk: Desk, where: Where) -> list[Finding]:
    """CX7_PCIE_ERRORS, CX7_PLUG_ERROR and KERNEL_LOCKUP."""
    return [*pcie(desk, where), *plugs(desk, where), *lockups(desk, where)]


def plugs(desk: Desk, where: Where) -> list[Finding]:
    """CX7_PLUG_ERROR: what the adapter says of a plug or of its temperature."""
    events = desk.kernel.events.plug_errors
    if not events:
        return []
    told = named(dict.fromkeys(f"{item.about}: {item.error} ({times(item.count)})" for item in events))
    said = " ".join(item.error.lower() for item in events)
    remedy = COOL if "temperature" in said else POWER if "power" in said else None
    evidence = {"lines": [item.line for item in events][:8]}
    return [
        finding("CX7_PLUG_ERROR", where, f"The ConnectX-7 has complained since this boot about {told}.", evidence=evidence, remedy=remedy)
    ]


def pcie(desk: Desk, where: Where) -> list[Finding]:
    """CX7_PCIE_ERRORS, also after the link came back: only a reboot cured it where it was reported."""
    events = [item for item in desk.kernel.events.pcie_errors if _domain(item.address) in _domains(desk)]
    severe = [item for item in events if item.kind in SEVERE]
    if not any(item.kind in KINDS for item in events):
        return []
    failed = any(item.kind == "failed" for item in events)
    again = {_domain(item.address) for item in events if item.kind == "recovered"}
    # Each half of the adapter recovers by itself.
    recovered = bool(again) and not failed and {_domain(item.address) for item in severe} <= again
    ports = sorted({item.address for item in events})
    told = f"The kernel logged {_kinds(events)} at {named(ports)} (the ConnectX-7 and its root ports) since this boot."
    if failed:
        told += " Its recovery failed."
    elif recovered:
        told += " It recovered."
    if desk.kernel.events.lockups:
        told += " CPUs, or a device's way to memory, also hung."
    stalled = any(item.kind == "stalled" for item in events)
    wedged = (severe and not recovered) or (stalled and desk.kernel.events.lockups)
    severity = "fail" if wedged else "warn" if severe or stalled else "note"
    evidence = {
        "lines": [item.line for item in events][:8],
        "count": {f"{item.address} {item.kind}": item.count for item in events},
        "lockups": list(desk.kernel.events.lockups)[:2],
    }
    return [finding("CX7_PCIE_ERRORS", where, told, evidence=evidence, severity=severity)]


def _domain(address: str) -> str:
    return address.partition(":")[0]


def _domains(desk: Desk) -> frozenset[str]:
    """Where the adapter is: where its functions were found, and where every desk has it."""
    return CX7_DOMAINS | {item.pci_address.partition(":")[0] for item in desk.cx7.functions if item.pci_address}


def _kinds(events: list[PcieError]) -> str:
    return named(dict.fromkeys(KINDS[item.kind] for item in events if item.kind in KINDS))


def lockups(desk: Desk, where: Where) -> list[Finding]:
    """KERNEL_LOCKUP; told with the PCIe errors where those are the cause."""
    lines = desk.kernel.events.lockups
    if not lines or pcie(desk, where):
        return []
    what = "A device's way to memory (its SMMU) has" if "CMD_SYNC" in lines[0] else "CPUs have"
    message = f"{what} hung since this boot: {lines[0]}"
    return [finding("KERNEL_LOCKUP", where, message, evidence={"lines": list(lines)})]
