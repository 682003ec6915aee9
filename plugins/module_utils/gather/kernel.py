# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running kernel and the one that starts next."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ..desk import MISSING
from ..model.boot import menu_order
from ..model.driver import Kernel, KernelImage
from ..model.kernel_events import KernelEvents
from ..readers import grub, kernel_command_line, kernel_errors, modinfo, nvidia_version, uname
from ..readers.text import version_key
from . import kernel_log
from .ask import Ask
from .options import Options
from .packages import packages, upstream

KHO_PACKAGE = "nvidia-spark-grub-kho"
"""Adds kho=off to every start (in DGX OS update 26.09.2)."""

MODULES = ("/lib/modules", "/usr/lib/modules")
KERNELS_LIMIT = 32
_MODULE_FILES = ("nvidia.ko", "nvidia.ko.zst", "nvidia.ko.xz", "nvidia.ko.gz")


def gather(ask: Ask, options: Options) -> Kernel:
    """Releases from /proc, /boot and the module trees; the default entry of GRUB."""
    command_line = ask.text("/proc/cmdline")
    told = kernel_command_line.read(command_line.text or "")
    ask.told("kernel.command_line", told["line"], command_line)
    installed = _installed(ask)
    settings, environment = _settings(ask), _environment(ask)
    config = ask.text("/boot/grub/grub.cfg").text or ""
    wished, applied = settings["default"] or "0", grub.default_of(config)
    pending = (grub.chosen_entry(settings, environment | {"next_entry": None}) or "0") if applied not in (None, wished) else None
    # The boot reads grub.cfg alone: a choice in /etc/default/grub counts from the next update-grub on.
    settings["default"] = grub.place_of(wished if applied is None else applied, config)
    environment = {key: grub.place_of(value, config) for key, value in environment.items()}
    entries = grub.menu(config)
    written = grub.kho_of(grub.chosen_entry(settings, environment), entries)
    order = grub.order(settings)
    upcoming, reason = grub.next_release(menu_order([image.release for image in installed], order), settings, environment, entries)
    ask.told("kernel.next_boot", upcoming, reason, ask.listing("/boot"))
    return Kernel(
        running=running(ask),
        next_boot=upcoming,
        installed=installed,
        command_line=told["line"],
        kho=told["kho"],
        next_boot_kho=(settings["kho"] or ("off" if packages(ask).installed(KHO_PACKAGE) else None))
        if written is None
        else written or None,
        boot_entry=grub.chosen_entry(settings, environment),
        boot_entry_pending=pending,
        boot_order=order,
        events=_events(ask),
    )


def _events(ask: Ask) -> KernelEvents:
    """Errors of the kernel log; a recording's ``modprobe nvidia`` may tell why a module was refused where the log does not."""
    found = kernel_log.events(ask)
    for argv in ask.recorded("modprobe") if not found.refused_modules else ():
        refused = kernel_errors.refused_modules(ask.run(*argv).stderr)
        found = dataclasses.replace(found, refused_modules=tuple(refused))
    return found


def running(ask: Ask) -> str | None:
    """The release of the running kernel."""
    release = ask.word("/proc/sys/kernel/osrelease") or uname.read(ask.text("/proc/version").text or "")["release"]
    if release is None:
        answer = ask.run("uname", "-r")
        release = answer.stdout.strip()[:100] if answer.ok else None
    release = release or uname.read(ask.run("uname", "-a").stdout)["release"]
    return ask.told("kernel.running", release, ask.text("/proc/sys/kernel/osrelease"), ask.asked("uname", "-r"))


def _installed(ask: Ask) -> tuple[KernelImage, ...]:
    releases = grub.kernels(ask.names("/boot"))
    if not releases:
        database = packages(ask).by_name or {}
        found = [
            name.removeprefix("linux-image-")
            for name, item in database.items()
            if name.startswith("linux-image-") and item.state == "installed"
        ]
        releases = grub.kernels(f"vmlinuz-{name.removeprefix('unsigned-')}" for name in found)
    if not releases:
        names = {name for folder in MODULES for name in ask.names(folder)}
        releases = grub.kernels(f"vmlinuz-{name}" for name in names)
    if not releases:
        ask.miss("kernel.installed", ask.listing("/boot"))
    ramdisks = grub.ramdisks(ask.names("/boot"))
    images = (_image(ask, release) for release in sorted(releases, key=version_key, reverse=True)[:KERNELS_LIMIT])
    return tuple(dataclasses.replace(image, has_initrd=image.release in ramdisks) if ramdisks else image for image in images)


def _image(ask: Ask, release: str) -> KernelImage:
    """A kernel and its driver modules. The files decide; the package database alone can only rule a module out."""
    found: list[tuple[str, str]] = []
    seen = whole = False
    for root in MODULES:
        tree = f"{root}/{release}"
        top = ask.listing(tree)
        seen = seen or top.error is None
        whole = whole or bool(ask.names(f"{tree}/kernel"))
        found += [item for item in _modules(ask, tree, release) if item not in found]
        if top.error == MISSING and ask.names(root):
            seen = True
    first = _first(ask, release, found)
    if first is not None:
        found = [first, *(item for item in found if item != first)]
    kinds = tuple(dict.fromkeys(kind for kind, _path in found))[:8]
    path = next((path for kind, path in found[: 1 if first else None] if _is_ours(kind)), None)
    if path is not None:
        return KernelImage(release, True, path, kinds)
    if UNKNOWN in (kinds if first is None else kinds[:1]):
        place = next(path for kind, path in found if kind == UNKNOWN)
        ask.miss("kernel.installed", f"it is not known which driver {place} belongs to (modinfo -k {release} nvidia)")
        return KernelImage(release, None, place, kinds)
    if any(_is_ours(kind) for kind in kinds):
        return KernelImage(release, False, found[0][1], kinds)
    packaged = _packaged(ask, release)
    if packaged and not (seen and (whole or found)):
        ask.miss("kernel.installed", f"the package of the driver's module for {release} is installed, but the module's file was not seen")
        return KernelImage(release, None, None, kinds)
    return KernelImage(release, False if seen else packaged, None, kinds)


def _first(ask: Ask, release: str, found: list[tuple[str, str]]) -> tuple[str, str] | None:
    """The file that modprobe takes where modules of several kinds are there: the one that modinfo names, else one below updates, which
    Ubuntu's depmod puts before all others. Null when it cannot be told, or where there is no choice."""
    if len({kind for kind, _path in found}) < 2:
        return None
    named = _modinfo(ask, release)["filename"]
    told = (item for item in found if named and _in_tree(item[1]) == _in_tree(named))
    return next(told, None) or next((item for item in found if "/updates/" in item[1]), None)


def _modinfo(ask: Ask, release: str) -> dict[str, Any]:
    answer = ask.run("modinfo", "-k", release, "nvidia")
    return modinfo.read(answer.stdout if answer.ok else "")


def _in_tree(path: str) -> str:
    """A module's path below the module trees, which are at /lib and at /usr/lib."""
    return path.partition("/lib/modules/")[2]


UNKNOWN = "unknown"
"""Kind of a module file whose driver could not be told."""
BRANCH = "580"

_PREBUILT = re.compile(r"nvidia-([0-9]{3})(-server|srv)?(-open)?")
"""Folders of prebuilt modules; Ubuntu names those of the server build 580srv."""


def _is_ours(kind: str) -> bool:
    """Whether a kind of module is R580's open one (its server build too)."""
    return kind in (f"{BRANCH}-open", f"{BRANCH}-server-open", f"{BRANCH}srv-open")


def _modules(ask: Ask, tree: str, release: str) -> list[tuple[str, str]]:
    """Kind and path of each file of the driver itself in a module tree: prebuilt, whose folder names branch and kind, or built on the
    desk (DKMS, the .run installer), where the file is asked. nvidia-uvm, nvidia-fs and their like are not the driver."""
    found = []
    named = [name for name in ask.names(f"{tree}/kernel") if _PREBUILT.fullmatch(name)]
    for name in named[:16] or [f"nvidia-{BRANCH}-open"]:
        file = _file(ask, f"{tree}/kernel/{name}")
        if file is not None:
            found.append((name.removeprefix("nvidia-"), file))
    for folder in (f"{tree}/updates/dkms", f"{tree}/updates", f"{tree}/extra", f"{tree}/weak-updates", f"{tree}/kernel/drivers/video"):
        file = _file(ask, folder)
        if file is not None:
            found.append((_built(ask, release, file), file))
    return found


def _file(ask: Ask, folder: str) -> str | None:
    return next((f"{folder}/{name}" for name in ask.names(folder) if name in _MODULE_FILES), None)


def _built(ask: Ask, release: str, file: str) -> str:
    """The kind of a module that was built on the desk: what its file says, else the packages it is built from, else what is loaded."""
    told = _modinfo(ask, release)
    of_another = _in_tree(told["filename"] or "") not in ("", _in_tree(file))
    if told["version"] and not of_another:
        return _kind(told["version"], told["license"] != "NVIDIA")
    if "/updates/dkms/" in file:
        database = packages(ask)
        here = [item for item in (database.by_name or {}).values() if database.installed(item.name)]
        sources = {_kind(upstream(item.version) or "", item.name.endswith("-open")) for item in here if item.name.startswith("nvidia-dkms")}
        library = {_kind(upstream(item.version) or "", True) for item in here if re.match(r"libnvidia-compute(?:-[0-9]|$)", item.name)}
        for kinds in (sources, library):
            if len(kinds) == 1:
                return kinds.pop()
    if release == running(ask):
        loaded = nvidia_version.read(ask.text("/proc/driver/nvidia/version").text or "")
        if loaded["version"]:
            return _kind(loaded["version"], loaded["open"] is not False)
    return UNKNOWN


def _kind(version: str, is_open: bool) -> str:
    branch = version.partition(".")[0]
    return (f"{branch}-open" if is_open else branch) if branch.isdecimal() else UNKNOWN


def _packaged(ask: Ask, release: str) -> bool | None:
    """Whether a package of R580's open module is installed for a kernel; null when the database does not tell."""
    database = packages(ask)
    if database.by_name is None:
        return None
    if any(database.installed(f"linux-modules-nvidia-{BRANCH}{kind}-open-{release}") for kind in ("", "-server")):
        return True
    # A list that names no kernel at all is only an excerpt of the database.
    whole = any(name.startswith("linux-image-") for name in database.by_name) and any(
        name.startswith("linux-modules-nvidia-") and name.removesuffix("-nvidia")[-1:].isdecimal() for name in database.by_name
    )
    built = any(name.startswith("nvidia-dkms-") for name in database.by_name)
    return False if whole and not built else None


def _settings(ask: Ask) -> dict[str, str | None]:
    """GRUB's settings; a file in grub.d that is read later wins."""
    settings: dict[str, str | None] = dict(grub.read(ask.text("/etc/default/grub").text or ""))
    for name in ask.names("/etc/default/grub.d"):
        if name.endswith(".cfg"):
            found = grub.read(ask.text(f"/etc/default/grub.d/{name}").text or "")
            settings |= {key: value for key, value in found.items() if value is not None}
    return settings


def _environment(ask: Ask) -> dict[str, str | None]:
    return grub.read(ask.text("/boot/grub/grubenv").text or "")
