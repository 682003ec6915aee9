# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from a desk, just before it is changed, what the plan of the driver lock rests on.

Only that: the whole of the facts takes more commands and more time, and the lock may run when half of the driver is missing.
"""

from __future__ import annotations

import re

from ..desk import MISSING
from ..desk import Desk as Door
from ..model.desk import Apt, Busy, Desk, Identity, Setup
from ..model.driver import Driver, GpuProcess, Kernel, KernelImage, Package
from . import apt_preferences, lock_record
from .debian_version import compare
from .driver_group import DEAD_STATES, MODPROBE, belongs, is_other_branch, is_platform
from .driver_plan import sha256

FIRST_BOOT_FOLDER = "/var/lib/nvidia-spark-run-apt-upgrade-once"
FIRST_BOOT_UNITS = (
    "/lib/systemd/system/nvidia-spark-run-apt-upgrade-once.service",
    "/etc/systemd/system/nvidia-spark-run-apt-upgrade-once.service",
)
WHOLE_STATES = frozenset({"installed", *DEAD_STATES})
DPKG_QUERY = ("dpkg-query", "-W", "-f", "${Package}\\t${Version}\\t${db:Status-Want}\\t${db:Status-Status}\\t${Architecture}\\n")
COMPUTE_APPS = ("nvidia-smi", "--query-compute-apps=pid,process_name", "--format=csv,noheader")


def observe(desk: Door, branch: int) -> Desk:
    """The parts of the facts that `driver_plan.plan` reads. What could not be read stands in ``unread``."""
    unread: dict[str, str] = {}
    packages = _packages(desk, unread)
    whole = [item for item in packages if item.state == "installed"]
    family = tuple(item for item in packages if belongs(item.name, branch) or is_other_branch(item.name, branch) or item.name == MODPROBE)
    return Desk(
        identity=Identity(hostname=(desk.read_text("/proc/sys/kernel/hostname").text or "").strip() or None),
        kernel=_kernel(desk, branch),
        driver=Driver(
            packages=family,
            holds=tuple(item.name for item in packages if item.held),
            pins=desk.list_dir("/etc/apt/preferences.d").names,
        ),
        apt=Apt(
            broken_packages=tuple(item for item in packages if item.state not in WHOLE_STATES),
            first_boot_upgrade=_first_boot(desk, unread),
            autoremove_platform=_automatic(desk, frozenset(item.name for item in whole)),
        ),
        busy=_busy(desk),
        setup=_setup(desk, unread),
        unread=unread,
    )


def _packages(desk: Door, unread: dict[str, str]) -> tuple[Package, ...]:
    answer = desk.run(DPKG_QUERY, timeout=30)
    if not answer.ok:
        unread["driver.packages"] = answer.error or answer.stderr.strip()[:200] or f"dpkg-query ended with {answer.rc}"
        return ()
    found = []
    for line in answer.stdout.splitlines():
        words = line.split("\t")
        if len(words) == 5:
            name, version, want, state, architecture = words
            found.append(Package(name, version, want == "hold", state, want, architecture))
    return tuple(found)


def _automatic(desk: Door, installed: frozenset[str]) -> tuple[str, ...]:
    text = desk.read_text("/var/lib/apt/extended_states").text or ""
    found = set()
    for block in re.split(r"\n\s*\n", text):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if fields.get("Auto-Installed", "").strip() == "1":
            found.add(fields.get("Package", "").strip())
    return tuple(sorted(name for name in found if name in installed and is_platform(name)))


def _first_boot(desk: Door, unread: dict[str, str]) -> str | None:
    listing = desk.list_dir(FIRST_BOOT_FOLDER)
    if listing.error is None and "done" in listing.names:
        return "done"
    if any(desk.read_text(path).error is None for path in FIRST_BOOT_UNITS):
        return "pending"
    if listing.error in (None, MISSING):
        return "absent"
    unread["apt.first_boot_upgrade"] = listing.error or "not read"
    return None


def _kernel(desk: Door, branch: int) -> Kernel:
    running = (desk.read_text("/proc/sys/kernel/osrelease").text or "").strip() or None
    names = [item.removeprefix("vmlinuz-") for item in desk.list_dir("/boot").names if re.match(r"vmlinuz-\d", item)]
    ordered: list[str] = []
    for name in names:
        place = next((index for index, other in enumerate(ordered) if compare(name, other) > 0), len(ordered))
        ordered.insert(place, name)
    images = tuple(KernelImage(name, _has_driver(desk, name, branch)) for name in ordered)
    return Kernel(running=running, next_boot=ordered[0] if ordered else None, installed=images)


def _has_driver(desk: Door, release: str, branch: int) -> bool | None:
    root = desk.list_dir(f"/lib/modules/{release}")
    if root.error not in (None, MISSING):
        return None
    for folder in (f"kernel/nvidia-{branch}-open", "updates/dkms"):
        if any(re.match(r"nvidia\.ko(\.\w+)?$", name) for name in desk.list_dir(f"/lib/modules/{release}/{folder}").names):
            return True
    return False


def _busy(desk: Door) -> Busy:
    """Processes that compute on the GPU, and RDMA queue pairs of processes. A desk without a working driver has neither."""
    answer = desk.run(COMPUTE_APPS, timeout=15)
    processes = []
    for line in answer.stdout.splitlines() if answer.ok else ():
        pid, _comma, name = (item.strip() for item in line.partition(","))
        if pid.isdigit():
            processes.append(GpuProcess(int(pid), name, "C"))
    users = {}
    for line in desk.run(("rdma", "resource", "show", "qp"), timeout=15).stdout.splitlines():
        match = re.search(r"\bpid (\d+)\b.*?\bcomm (\S+)", line)
        if match:
            users[int(match.group(1))] = GpuProcess(int(match.group(1)), match.group(2))
    return Busy(tuple(processes), tuple(users.values()), readable=answer.error in (None, MISSING))


def _setup(desk: Door, unread: dict[str, str]) -> Setup:
    record = desk.read_text(lock_record.PATH)
    ours = desk.read_text(apt_preferences.PATH)
    for answer, fact in ((record, "setup.driver_lock"), (ours, "setup.pair_files")):
        if answer.error not in (None, MISSING):
            unread[fact] = f"{answer.path}: {answer.error}"
    return Setup(driver_lock=record.text, pair_files={} if ours.text is None else {apt_preferences.PATH: sha256(ours.text)})
