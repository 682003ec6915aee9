# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health of apt and dpkg."""

from __future__ import annotations

import re

from ..desk import MISSING
from ..model.desk import Apt
from ..model.driver import Package
from ..readers import lslocks, proc_locks
from ..readers.text import to_int, word
from .ask import Ask, why
from .options import Options
from .packages import packages
from .units import FOLDER

LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock")
FILES = ("stat", "-c", "%d %i %n", *LOCKS)
MOUNT = ("findmnt", "-n", "-o", "MAJ:MIN", "-T")
FIRST_BOOT_UNIT = "nvidia-spark-run-apt-upgrade-once.service"
FIRST_BOOT_FOLDER = "/var/lib/nvidia-spark-run-apt-upgrade-once"
FIRST_BOOT_PACKAGE = "nvidia-spark-run-apt-upgrade"
UNIT_FOLDERS = ("/usr/lib/systemd/system", "/lib/systemd/system", FOLDER)
UPDATES = "/var/lib/dpkg/updates"
EXTENDED = "/var/lib/apt/extended_states"
SETTLED = ("installed", "config-files", "not-installed", "triggers-awaited", "triggers-pending")

_PLATFORM = re.compile(r"(?:dgx-|nv-|nvidia-|linux-nvidia|tpm2-tools$|kdump-tools$)")
"""Platform packages that an autoremove may take along (community report)."""


def gather(ask: Ask, options: Options) -> Apt:
    """Locks, half-configured packages, the first-boot upgrade, a wanted reboot."""
    database = packages(ask)
    if database.by_name is None:
        ask.miss("apt.broken_packages", database.source)
    broken = [item for item in (database.by_name or {}).values() if item.state not in SETTLED]
    if any(name.isdecimal() for name in ask.names(UPDATES)):
        # A run of dpkg was cut off before it wrote the database: apt refuses to work until it is finished.
        broken.append(Package("dpkg", database.version("dpkg") or "unknown", state="interrupted"))
    known = {item.name for item in broken}
    broken += [Package(name, database.version(name) or "unknown", state="half-configured") for name in _audited(ask) if name not in known]
    holder, readable, reason = lock_holder(ask)
    if readable is not True:
        ask.miss("apt.lock_holder", reason)
    required, reasons = _reboot(ask)
    return Apt(
        lock_holder=holder,
        lock_readable=readable,
        broken_packages=tuple(sorted(broken, key=lambda item: item.name)[:100]),
        first_boot_upgrade=_first_boot(ask),
        reboot_required=required,
        reboot_reasons=reasons,
        autoremove_platform=_automatic(ask),
        mlnx_fw_updater=database.version("mlnx-fw-updater"),
    )


def _audited(ask: Ask) -> list[str]:
    """Packages that a recording's ``dpkg --audit`` complains about; a live desk's database is read instead."""
    found = []
    for option in ("--audit", "-C"):
        for argv in ask.recorded("dpkg", option):
            found += re.findall(r"^ ([a-z0-9][a-z0-9.+-]{1,99})(?::[a-z0-9]+)?(?: |$)", ask.run(*argv).stdout[:65536], re.MULTILINE)
    return found


def lock_holder(ask: Ask) -> tuple[str | None, bool, str | None]:
    """Who holds a package lock (pid and name), whether that could be told, and why not."""
    file, files = ask.text("/proc/locks"), _lock_files(ask)
    reason = why(file) or why(ask.asked(*FILES))
    if file.text is not None and files:
        locks = proc_locks.read(file.text, files)
        held = [lock for lock in locks or () if lock["write"]]
        holder = next((lock["pid"] for lock in held if (lock["device"], lock["inode"]) in files), None)
        if holder is not None:
            return _process(ask, holder), True, None
        if locks is not None and not held:
            return None, True, None
        reason = "/proc/locks: too many locks" if locks is None else "/proc/locks: the file system of the locks has no known device"
    answer = ask.run("lslocks", "-J")
    told = lslocks.read(answer.stdout, LOCKS) if answer.ok else None
    if told is not None:
        return next((f"{item['pid']} {item['command'] or 'unknown'}" for item in told), None), True, None
    recorded = _recorded_holder(ask)
    if recorded is not None:
        return recorded or None, True, None
    return None, False, f"{reason}; {why(answer) or 'lslocks -J: no whole list'}"


def _lock_files(ask: Ask) -> set[tuple[str | None, int]]:
    """The lock files as /proc/locks names them: the device of the mount and the inode. An inode's number alone is anybody's to have.

    On btrfs and overlayfs, which have no device of their own (major number 0), stat tells a subvolume's or layer's device instead of the
    mount's; where the mount's is not known, as in a recording that has the inodes alone, the device is null.
    """
    found: set[tuple[str | None, int]] = set()
    told = [ask.run(*FILES), *(ask.run(*argv) for argv in ask.recorded("stat", "-c", "%i %n"))]
    for line in "\n".join(answer.stdout for answer in told).split("\n")[:100]:
        match = re.fullmatch(r"(?:([0-9]{1,19}) )?([0-9]{1,19}) (/.{1,200})", line)
        if match is None:
            continue
        devices = [proc_locks.device(int(match.group(1)))] if match.group(1) else []
        if devices and devices[0].startswith("0:"):
            devices = re.findall(r"(?m)^ *([0-9]{1,9}:[0-9]{1,9}) *$", ask.run(*MOUNT, match.group(3)).stdout[:4096])
        found |= {(device, int(match.group(2))) for device in devices or (None,)}
    return found


def _recorded_holder(ask: Ask) -> str | None:
    """Who holds a package lock as a recording's lslocks, fuser or lsof tells; empty for nobody, null when none was recorded."""
    found: str | None = None
    for argv in ask.recorded("lslocks"):
        for line in ask.run(*argv).stdout.split("\n")[:2000]:
            words = line.split()
            if len(words) > 3 and words[-1] in LOCKS and to_int(words[1]) is not None:
                return f"{words[1]} {words[0][:64]}"
        found = ""
    for argv in (*ask.recorded("fuser"), *ask.recorded("lsof")):
        if not set(LOCKS) & set(argv):
            continue
        answer = ask.run(*argv)
        if answer.error is not None:
            continue
        found = ""
        for line in answer.stdout.split("\n")[:200]:
            words = line.split()
            if argv[0] == "lsof" and len(words) > 8 and words[-1] in LOCKS and to_int(words[1]) is not None:
                return f"{words[1]} {words[0][:64]}"
            pids = [word.rstrip("ceFfrm") for word in words] if argv[0] == "fuser" else []
            if pids and to_int(pids[0]) is not None:
                return _process(ask, to_int(pids[0]) or 0)
    return found


def _process(ask: Ask, pid: int) -> str:
    name = ask.word(f"/proc/{pid}/comm") if pid > 0 else None
    return f"{pid} {name or 'unknown'}"


def _first_boot(ask: Ask) -> str | None:
    """State of the one-shot upgrade that reboots by itself: done, pending, absent (this desk has no such service)."""
    folder = ask.listing(FIRST_BOOT_FOLDER)
    if "done" in folder.names or ask.exists(f"{FIRST_BOOT_FOLDER}/done"):
        return "done"
    units = [ask.exists(f"{place}/{FIRST_BOOT_UNIT}") for place in UNIT_FOLDERS]
    installed = packages(ask).installed(FIRST_BOOT_PACKAGE) is not None
    absent = folder.error is None or folder.error == MISSING or ask.exists(f"{FIRST_BOOT_FOLDER}/done") is False
    if absent and (True in units or installed):
        return "pending"
    if absent and units and all(unit is False for unit in units) and not installed:
        return "absent"
    for name in (FIRST_BOOT_UNIT, FIRST_BOOT_UNIT.removesuffix(".service")):
        # A one-shot that is done says inactive, so only one that runs or failed tells anything.
        if any(ask.run(*argv).stdout.strip() in ("activating", "failed") for argv in ask.recorded("systemctl", "is-active", name)):
            return "pending"
    if _whole(ask) and not installed and FIRST_BOOT_PACKAGE not in (packages(ask).by_name or {}) and not any(units):
        return "absent"
    ask.miss("apt.first_boot_upgrade", ask.listing(FIRST_BOOT_FOLDER))
    return None


def _whole(ask: Ask) -> bool:
    """Whether the package list is a whole database and not an excerpt."""
    return all(name in (packages(ask).by_name or {}) for name in ("dpkg", "apt", "libc6"))


def _reboot(ask: Ask) -> tuple[bool | None, tuple[str, ...]]:
    for folder in ("/run", "/var/run"):
        there = ask.exists(f"{folder}/reboot-required")
        if there:
            text = ask.text(f"{folder}/reboot-required.pkgs").text or ""
            names = [name for name in (word(line, 200) for line in text.split("\n")[:400]) if name]
            return True, tuple(sorted(set(names))[:100])
        if there is False:
            return False, ()
    ask.miss("apt.reboot_required", ask.text("/run/reboot-required"))
    return None, ()


def _automatic(ask: Ask) -> tuple[str, ...]:
    """Installed platform packages that apt marks as automatically installed."""
    found, name = [], ""
    for line in (ask.text(EXTENDED).text or "").split("\n")[:200_000]:
        if line.startswith("Package: "):
            name = line[9:209].strip()
        elif line.startswith("Auto-Installed: 1") and _PLATFORM.match(name) and packages(ask).installed(name):
            found.append(name)
    return tuple(sorted(set(found))[:100])
