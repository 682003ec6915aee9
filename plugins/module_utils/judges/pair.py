# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the two desks of a pair agree?"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..model.desk import Desk
from ..model.finding import Finding, Where
from ..model.port import Function
from .catalogue import finding
from .common import fact, older, same_version, version_key
from .driver import driver_absent
from .known_versions import matches
from .link import linked
from .options import AUDIT, JudgeOptions

MUST_AGREE = {
    "driver module": "driver.module_version",
    "driver user space": "driver.user_space_version",
    "NCCL": "toolkit.nccl",
}
"""Facts whose difference makes a pair unusable for NCCL."""

SHOULD_AGREE = {"kernel": "kernel.running", "DGX OS": "dgx_os.version"}
"""Facts whose difference is told and measured anyway."""


def judge_pair(name: str, head: Desk, peer: Desk, options: JudgeOptions, members: tuple[str, str] | None = None) -> list[Finding]:
    """Findings about the pair ``name``. ``members`` are the inventory names of head and peer, else their host names are used."""
    names = members or (head.identity.hostname or "head", peer.identity.hostname or "peer")
    where = Where(pair=name)
    return [
        *drift(where, names, head, peer),
        *login_user(where, names, head, peer),
        *mtu(where, names, head, peer, options),
        *speed(where, names, head, peer),
    ]


def _differences(head: Desk, peer: Desk, paths: dict[str, str]) -> dict[str, tuple[Any, Any]]:
    """Label to both values where both are known and differ."""
    found = {}
    for label, path in paths.items():
        one, two = fact(head, path), fact(peer, path)
        # NVML leaves out the last part of the driver's version.
        if one is not None and two is not None and one != two and not (path.startswith("driver.") and same_version(one, two)):
            found[label] = (one, two)
    return found


UPDATE_BOTH = (
    "Update both, past the version that reports name: playbooks/onboard.yml --limit PAIR -e driver_lock_state=paused opens the lock on "
    "both; update both desks (DGX Dashboard, or apt dist-upgrade) and reboot them with the cable in; playbooks/stack_pair.yml --limit "
    "PAIR then locks and measures."
)

RELEASE = (
    "The releases of DGX OS differ, which no lock file moves (lock_from.yml takes driver, kernel and NCCL alone): playbooks/update.yml "
    "--limit PAIR brings both desks to the newest one, with the lock, reboots and measurements (playbooks/update_plan.yml shows first what "
    "would come). Where a board's vendor has not published it yet (UPDATE_WAITS_FOR_VENDOR), the desks differ until then."
)

REBOOT = (
    "Nothing has to be installed: reboot {desk} with the cable in when it is free (playbooks/onboard.yml --limit {desk} -e "
    "desk_reboot_policy=always does that), then run again."
)


def _ahead(one: Any, two: Any) -> int | None:
    """Which of two versions is the later one (0 or 1). The kernel with large pages is no later one."""
    left, right = (str(value).removesuffix("-64k") for value in (one, two))
    return 1 if older(left, right) else 0 if older(right, left) else None


def _told(names: tuple[str, str], differences: dict[str, tuple[Any, Any]], comparable: bool = True, bad: Collection[str] = ()) -> str:
    """``comparable``: whether the versions are of one series, so that one of them can be behind. ``bad``: versions that reports name."""
    parts = []
    for label, both in differences.items():
        ahead = _ahead(*both) if comparable else None
        more = "" if ahead is None or both[ahead] not in bad else ", and VERSION_KNOWN_BAD speaks of the later version"
        hint = "" if ahead is None else f" ({names[1 - ahead]} is behind{more})"
        parts.append(f"{label} {both[0]} on {names[0]}, {both[1]} on {names[1]}{hint}")
    return "; ".join(parts)


def _reboot(names: tuple[str, str], desks: tuple[Desk, Desk], differences: dict[str, tuple[Any, Any]]) -> str | None:
    """The remedy where the next boot of the desk that is behind brings the other one's kernel, and nothing else differs."""
    kernels = differences.get("kernel")
    ahead = _ahead(*kernels) if kernels and len(differences) == 1 else None
    if kernels is None or ahead is None:
        return None
    late = desks[1 - ahead].kernel
    bare = any(image.release == late.next_boot and image.has_driver is False for image in late.installed)
    return REBOOT.format(desk=names[1 - ahead]) if late.next_boot == kernels[ahead] and not bare else None


def _evidence(names: tuple[str, str], differences: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {label: {names[0]: one, names[1]: two} for label, (one, two) in differences.items()}


def drift(where: Where, names: tuple[str, str], head: Desk, peer: Desk) -> list[Finding]:
    """PAIR_DRIFT, one finding for each weight, and CX7_FIRMWARE_DRIFT between the desks."""
    found = []
    # A desk without a driver is no model for the other one; DRIVER_MISSING says what becomes of its kernel.
    lost = driver_absent(head) or driver_absent(peer)
    bad = frozenset(version for desk in (head, peer) for _entry, version in matches(desk))
    should = {} if lost else SHOULD_AGREE
    apart = RELEASE if "DGX OS" in _differences(head, peer, should) else None
    for paths, severity in ((MUST_AGREE, "fail"), (should, "warn")):
        differences = _differences(head, peer, paths)
        if differences:
            message = f"The desks differ: {_told(names, differences, bad=bad)}."
            later = [both[ahead] for both in differences.values() if (ahead := _ahead(*both)) is not None]
            remedy = apart or _reboot(names, (head, peer), differences)
            if any(version in bad for version in later):
                remedy = UPDATE_BOTH
            found.append(finding("PAIR_DRIFT", where, message, severity=severity, evidence=_evidence(names, differences), remedy=remedy))
    vendors = (vendor(head), vendor(peer))
    across = None not in vendors and vendors[0] != vendors[1]
    severity = "note" if across else "warn"
    ending = f" (vendors {vendors[0]} and {vendors[1]}: releases differ by design)" if across else ""
    differences = _differences(head, peer, {"system firmware": "identity.bios_version"})
    if differences:
        message = f"System firmware differs: {_told(names, differences, not across)}{ending}."
        found.append(finding("PAIR_DRIFT", where, message, severity=severity, evidence=_evidence(names, differences)))
    firmware = (cx7_firmware(head), cx7_firmware(peer))
    if None not in firmware and version_key(firmware[0]) != version_key(firmware[1]):
        both = {"ConnectX-7 firmware": (firmware[0], firmware[1])}
        message = f"ConnectX-7 firmware differs: {_told(names, both, not across)}{ending}."
        found.append(finding("CX7_FIRMWARE_DRIFT", where, message, severity=severity, evidence=_evidence(names, both)))
    return found


def cx7_firmware(desk: Desk) -> str | None:
    """Firmware of the adapter, null where no function tells it."""
    return desk.cx7.firmware or next((item.firmware for item in desk.cx7.functions if item.firmware), None)


def vendor(desk: Desk) -> str | None:
    """Who made the board: the board's vendor decides, as in NVIDIA's OTA checker; the system's where that is not known."""
    told = desk.identity.board_vendor or desk.identity.vendor
    return None if told is None else told.strip().upper()


def login_user(where: Where, names: tuple[str, str], head: Desk, peer: Desk) -> list[Finding]:
    """PAIR_USER_MISMATCH: another name fails, the same name with other numbers warns."""
    one, two = head.limits, peer.limits
    if one.user is None or two.user is None:
        return []
    evidence = {
        names[0]: {"user": one.user, "uid": one.uid, "gid": one.gid},
        names[1]: {"user": two.user, "uid": two.uid, "gid": two.gid},
    }
    if one.user != two.user:
        message = f"The login user is {one.user} on {names[0]} and {two.user} on {names[1]}; the same name was expected."
        return [finding("PAIR_USER_MISMATCH", where, message, evidence=evidence)]
    numbers = {
        label: (left, right)
        for label, left, right in (("uid", one.uid, two.uid), ("gid", one.gid, two.gid))
        if left is not None and right is not None and left != right
    }
    if not numbers:
        return []
    told = "; ".join(f"{label} {left} on {names[0]}, {right} on {names[1]}" for label, (left, right) in numbers.items())
    message = f"The login user {one.user} has different ids: {told}."
    return [finding("PAIR_USER_MISMATCH", where, message, severity="warn", evidence=evidence)]


def mtu(where: Where, names: tuple[str, str], head: Desk, peer: Desk, options: JudgeOptions) -> list[Finding]:
    """CX7_MTU_MISMATCH between the ends, PCI domain by PCI domain, where each desk has exactly one linked port."""
    ends = [list(linked(desk)) for desk in (head, peer)]
    if any(len(end) != 1 for end in ends):
        return []
    one, two = (_by_domain(end[0][1]) for end in ends)
    differing = {
        f"PCI domain {domain}": (one[domain].mtu, two[domain].mtu)
        for domain in sorted(set(one) & set(two))
        if one[domain].mtu is not None and two[domain].mtu is not None and one[domain].mtu != two[domain].mtu
    }
    if not differing:
        return []
    told = "; ".join(f"{label}: {left} on {names[0]}, {right} on {names[1]}" for label, (left, right) in differing.items())
    severity = options.unset("warn" if options.purpose == AUDIT else "note")
    message = f"The ends of the link have different MTUs: {told}."
    return [finding("CX7_MTU_MISMATCH", where, message, severity=severity, evidence=_evidence(names, differing))]


def speed(where: Where, names: tuple[str, str], head: Desk, peer: Desk) -> list[Finding]:
    """CX7_SPEED_LOW between the ends of a direct cable, where each desk has exactly one linked port: they cannot differ on a sound one."""
    ends = [list(linked(desk)) for desk in (head, peer)]
    if any(len(end) != 1 for end in ends):
        return []
    speeds = [{item.speed_mbps for item in end[0][1] if item.speed_mbps} for end in ends]
    if not all(speeds) or speeds[0] == speeds[1]:
        return []
    told = "; ".join(
        f"{' and '.join(f'{value // 1000} Gb/s' for value in sorted(seen))} on {name}" for name, seen in zip(names, speeds, strict=True)
    )
    evidence = {name: sorted(seen) for name, seen in zip(names, speeds, strict=True)}
    return [finding("CX7_SPEED_LOW", where, f"The ends of the link report different speeds: {told}.", severity="fail", evidence=evidence)]


def _by_domain(functions: tuple[Function, ...]) -> dict[int, Function]:
    return {item.pci_domain: item for item in functions if item.pci_domain is not None}
