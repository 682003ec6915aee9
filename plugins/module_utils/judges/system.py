# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages, reboot, clock, memory, limits and known-bad versions of one desk."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..model.desk import Desk, Room
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named, same_version
from .known_versions import evidence_of, matches
from .known_versions import told as told_of_version
from .options import AUDIT, STACK, STACKED, JudgeOptions

GIB_KB = 1024 * 1024
"""kB (1024 bytes) in one GiB."""

FULL_MEMORY_GIB = 112.0
"""GiB below which a 128 GB desk misses memory: about 121.6 are visible, on some boxes 2 less (public reports of MemTotal)."""

HALF_MEMORY_GIB = (52.0, 64.0)
"""GiB between which memory fits the 64 GB model. No report of its MemTotal was found: the visible share of the 128 GB model, halved."""

LEAST_ROOM_KB, LEAST_INODES = 256 * 1024, 1000
"""Below these a root file system is as good as full: apt's lists, a kernel's log or mpirun's folder no longer fit."""

KERNEL_OR_DRIVER = re.compile(r"^(linux-|nvidia|libnvidia)")


def judge_system(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """Findings about everything between DGX OS and the driver."""
    return [
        *packages(desk, where, options),
        *reboot(desk, where, options),
        *clock(desk, where),
        *memory(desk, where, options),
        *room(desk, where),
        *memlock(desk, where, options),
        *firewall(desk, where),
        *known_bad(desk, where),
        *container_devices(desk, where),
    ]


def packages(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """FIRST_BOOT_UPGRADE_PENDING, DPKG_LOCKED, DPKG_BROKEN and MLNX_FW_UPDATER_PRESENT."""
    apt = desk.apt
    found = []
    if apt.first_boot_upgrade == "pending":
        message = "The first-boot upgrade has not set its done flag; the desk will upgrade and reboot on its own."
        severity = "warn" if options.purpose == AUDIT else "fail"
        found.append(finding("FIRST_BOOT_UPGRADE_PENDING", where, message, severity=severity, evidence={"state": apt.first_boot_upgrade}))
    if apt.lock_holder is not None:
        message = f"The package lock is held by {apt.lock_holder}."
        found.append(finding("DPKG_LOCKED", where, message, evidence={"holder": apt.lock_holder}))
    if apt.broken_packages:
        states = [f"{item.name} ({item.state})" for item in apt.broken_packages]
        message = f"{len(states)} {'package is' if len(states) == 1 else 'packages are'} half installed: {named(states)}."
        found.append(finding("DPKG_BROKEN", where, message, evidence={"packages": states}))
    if apt.mlnx_fw_updater is not None:
        message = f"mlnx-fw-updater {apt.mlnx_fw_updater} is installed; it flashes ConnectX-7 firmware other than that of DGX OS."
        found.append(finding("MLNX_FW_UPDATER_PRESENT", where, message, evidence={"version": apt.mlnx_fw_updater}))
    return found


def reboot(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """REBOOT_REQUIRED; a failure in a stacking run unless only other packages than kernel and driver asked for it."""
    if not desk.apt.reboot_required:
        return []
    reasons = desk.apt.reboot_reasons
    touches = not reasons or any(KERNEL_OR_DRIVER.match(item) for item in reasons)
    severity = "fail" if touches and options.purpose in (STACK, STACKED) else "warn"
    message = f"A reboot is required by {named(reasons) or 'packages that are not named'}."
    evidence = {"packages": list(reasons), "kernel_running": desk.kernel.running, "kernel_next_boot": desk.kernel.next_boot}
    return [finding("REBOOT_REQUIRED", where, message, severity=severity, evidence=evidence)]


def clock(desk: Desk, where: Where) -> list[Finding]:
    """CLOCK_UNSYNCED."""
    if desk.clock.synchronized is not False:
        return []
    message = f"The clock is not synchronised (time service: {desk.clock.source or 'none seen'})."
    return [finding("CLOCK_UNSYNCED", where, message, evidence={"source": desk.clock.source})]


def memory(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """MEMORY_SHORT, which knows that a 64 GB model exists."""
    if desk.memory.total_kb is None:
        return []
    size = desk.memory.total_kb / GIB_KB
    wanted = options.minimum_memory_gib
    evidence = {"total_kb": desk.memory.total_kb, "gib": round(size, 1), "minimum_gib": wanted}
    if wanted is not None:
        if size >= wanted:
            return []
        message = f"{size:.1f} GiB of memory are visible; at least {wanted:g} GiB were expected."
        return [finding("MEMORY_SHORT", where, message, severity="fail", evidence=evidence)]
    if size >= FULL_MEMORY_GIB:
        return []
    if HALF_MEMORY_GIB[0] <= size <= HALF_MEMORY_GIB[1]:
        message = f"{size:.1f} GiB of memory are visible, as on the 64 GB model: large messages will not fit."
        return [finding("MEMORY_SHORT", where, message, severity="note", evidence=evidence)]
    message = f"{size:.1f} GiB of memory are visible; about 121 GiB were expected (or about 60 on the 64 GB model)."
    return [finding("MEMORY_SHORT", where, message, evidence=evidence)]


def room(desk: Desk, where: Where) -> list[Finding]:
    """ROOT_READ_ONLY; DISK_FULL, as a warning: nothing is written by reading a desk, and what has to write fails for itself."""
    if desk.limits.root_read_only:
        message = "The root file system is mounted read-only: nothing can be changed, installed or logged on the desk."
        return [finding("ROOT_READ_ONLY", where, message, evidence={"path": "/"})]
    rooms = (Room("/", desk.limits.root_free_kb, desk.limits.root_free_inodes), *desk.limits.other_room)
    return [_full(where, item, left) for item in rooms if (left := _lack(item))]


def _lack(item: Room) -> list[tuple[str, str]]:
    """What is used up of a file system, and what shows it."""
    left, path = [], item.path
    if item.free_kb is not None and item.free_kb < LEAST_ROOM_KB:
        left.append((f"{item.free_kb // 1024} MiB", f"df -h {path} shows it, sudo du -xhd1 {path} what takes the space"))
    if item.free_inodes is not None and item.free_inodes < LEAST_INODES:
        inodes = f"{item.free_inodes} inodes (files that can still be made)"
        left.append((inodes, f"df -i {path} shows it, sudo du -x --inodes -d2 {path} in which folders"))
    return left


def _full(where: Where, item: Room, left: Sequence[tuple[str, str]]) -> Finding:
    place = "The root file system" if item.path == "/" else f"The file system of {item.path}"
    message = f"{place} is full: {named([what for what, _how in left])} left."
    usual = "Kernels that nobody boots" if item.path == "/boot" else "Caches of pip, conda, npm, containers and models"
    remedy = f"Free some: {'; '.join(how for _what, how in left)}. {usual} are the usual ones."
    evidence = {"path": item.path, "free_kb": item.free_kb, "free_inodes": item.free_inodes}
    return finding("DISK_FULL", where, message, severity="warn", evidence=evidence, remedy=remedy)


def memlock(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """MEMLOCK_LOW of the login user; -1 stands for unlimited."""
    limits = desk.limits
    least = options.minimum_memlock_mib * 1024 * 1024

    def low(value: int | None) -> bool:
        return value is not None and value != -1 and value < least

    if not low(limits.memlock_soft) and not low(limits.memlock_hard):
        return []
    severity = "warn" if low(limits.memlock_hard) or limits.memlock_hard is None else "note"
    message = (
        f"The user {limits.user or '(unknown)'} may lock {_size(limits.memlock_soft)} (hard limit {_size(limits.memlock_hard)}) of memory; "
        f"{_size(least)} or more were expected."
    )
    evidence = {"user": limits.user, "soft": limits.memlock_soft, "hard": limits.memlock_hard, "minimum": least}
    return [finding("MEMLOCK_LOW", where, message, severity=severity, evidence=evidence)]


def _size(value: int | None) -> str:
    if value is None:
        return "an unknown amount"
    if value == -1:
        return "any amount"
    return f"{value // 1024} KiB" if value < 1024 * 1024 else f"{value // (1024 * 1024)} MiB"


def firewall(desk: Desk, where: Where) -> list[Finding]:
    """FIREWALL_ACTIVE."""
    if not desk.network.ufw_active:
        return []
    return [finding("FIREWALL_ACTIVE", where, "ufw is active.")]


def known_bad(desk: Desk, where: Where) -> list[Finding]:
    """VERSION_KNOWN_BAD for each entry of the table that speaks about this desk and has no judge of its own raised."""
    found = []
    for entry, version in matches(desk):
        if entry.own_code == "KERNEL_ROCE_ENOMEM" and cma_exhausted(desk):
            continue
        evidence = evidence_of(entry, version)
        found.append(finding("VERSION_KNOWN_BAD", where, told_of_version(entry, version), severity=entry.severity, evidence=evidence))
    return found


def cma_exhausted(desk: Desk) -> bool:
    """The signature of the KHO bug: no contiguous memory at all, and yet some of it is free."""
    return desk.memory.cma_total_kb == 0 and (desk.memory.cma_free_kb or 0) > 0


def _managing(path: str) -> bool:
    """Whether a description is of management.nvidia.com/gpu, for programs that manage GPUs; other programs are not given it."""
    return path.rpartition("/")[2].startswith("management.nvidia.com")


def container_devices(desk: Desk, where: Where) -> list[Finding]:
    """CDI_STALE, naming every description that is of another driver."""
    installed = desk.driver.user_space_version
    specs = desk.toolkit.cdi_specs or ({"/etc/cdi/nvidia.yaml": desk.toolkit.cdi_spec_driver} if desk.toolkit.cdi_spec_driver else {})
    stale = {path: version for path, version in specs.items() if version and not same_version(version, installed)}
    if installed is None or not stale:
        return []
    told = named(f"{path} names libraries of driver {version}" for path, version in stale.items())
    message = f"{told}; {installed} is installed."
    if len({"/run/" in path for path in specs}) > 1:
        message += f" The description read last ({list(specs)[-1]}) wins where two describe the same device."
    steps = []
    fresh = next((path for path in specs if path not in stale and not _managing(path)), None)
    for path in stale:
        if _managing(path):
            # What nvidia-ctk generates by itself is no such description: in its place it would clash with nvidia.yaml.
            steps.append(f"sudo rm {path} (the toolkit of NVIDIA's GPU operator left it, and writes it again where it runs)")
        elif "/run/" in path:
            gone = "" if path.endswith("/nvidia.yaml") else f"sudo rm {path}; "
            steps.append(f"{gone}sudo systemctl restart nvidia-cdi-refresh (it writes /var/run/cdi/nvidia.yaml)")
        elif fresh is not None:
            steps.append(f"sudo rm {path} ({fresh} describes the same devices)")
        else:
            steps.append(f"sudo nvidia-ctk cdi generate --output={path}")
            fresh = path
    evidence = {"described": stale, "installed": installed, "order": list(specs)}
    return [finding("CDI_STALE", where, message, evidence=evidence, remedy="; ".join(steps) + ".")]
