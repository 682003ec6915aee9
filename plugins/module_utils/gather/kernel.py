# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running kernel and the one that starts next."""

from __future__ import annotations

from ..desk import MISSING
from ..model.driver import Kernel, KernelImage
from ..readers import grub, kernel_command_line, uname
from ..readers.text import version_key
from .ask import Ask
from .options import Options
from .packages import packages

MODULES = ("/lib/modules", "/usr/lib/modules")
KERNELS_LIMIT = 32
_MODULE_FILES = ("nvidia.ko", "nvidia.ko.zst", "nvidia.ko.xz", "nvidia.ko.gz")


def gather(ask: Ask, options: Options) -> Kernel:
    """Releases from /proc, /boot and the module trees; the default entry of GRUB."""
    command_line = ask.text("/proc/cmdline")
    told = kernel_command_line.read(command_line.text or "")
    ask.told("kernel.command_line", told["line"], command_line)
    installed = _installed(ask)
    upcoming, reason = grub.next_release([image.release for image in installed], _settings(ask), _environment(ask))
    ask.told("kernel.next_boot", upcoming, reason, ask.listing("/boot"))
    return Kernel(
        running=running(ask),
        next_boot=upcoming,
        installed=installed,
        command_line=told["line"],
        kho=told["kho"],
    )


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
    return tuple(_image(ask, release) for release in sorted(releases, key=version_key, reverse=True)[:KERNELS_LIMIT])


def _image(ask: Ask, release: str) -> KernelImage:
    path, seen = None, False
    for root in MODULES:
        tree = f"{root}/{release}"
        top = ask.listing(tree)
        seen = seen or top.error is None
        path = path or _module(ask, tree)
        if top.error == MISSING and ask.names(root):
            seen = True
    if path is not None:
        return KernelImage(release, True, path)
    packaged = _packaged(ask, release)
    if seen and packaged:
        ask.miss("kernel.installed", f"the package of the driver's module for {release} is installed, the module's file is not there")
        return KernelImage(release)
    return KernelImage(release, False if seen else packaged)


def _module(ask: Ask, tree: str) -> str | None:
    """The driver's module file in a module tree: prebuilt, else built by DKMS."""
    prebuilt = [f"{tree}/kernel/{name}" for name in ask.names(f"{tree}/kernel") if name.startswith("nvidia-")] or [
        f"{tree}/kernel/nvidia-580-open"
    ]
    for folder in (*prebuilt[:8], f"{tree}/updates/dkms", f"{tree}/updates"):
        for name in ask.names(folder):
            if name in _MODULE_FILES:
                return f"{folder}/{name}"
    return None


def _packaged(ask: Ask, release: str) -> bool | None:
    """Whether a package brings the driver's module for a kernel, when its module tree could not be read."""
    database = packages(ask)
    if database.by_name is None:
        return None
    names = [name for name in database.by_name if name.startswith("linux-modules-nvidia-") and name.endswith(f"-{release}")]
    if any(database.installed(name) for name in names):
        return True
    # A list that names no kernel at all is only an excerpt of the database.
    whole = any(name.startswith("linux-image-") for name in database.by_name) and any(
        name.startswith("linux-modules-nvidia-") and name.removesuffix("-nvidia")[-1:].isdecimal() for name in database.by_name
    )
    built = any(name.startswith("nvidia-dkms-") for name in database.by_name)
    return False if whole and not built else None


def _settings(ask: Ask) -> dict[str, str | None]:
    """GRUB_DEFAULT; a file in grub.d that is read later wins."""
    settings: dict[str, str | None] = dict(grub.read(ask.text("/etc/default/grub").text or ""))
    for name in ask.names("/etc/default/grub.d"):
        if name.endswith(".cfg"):
            found = grub.read(ask.text(f"/etc/default/grub.d/{name}").text or "")
            settings["default"] = found["default"] or settings["default"]
    return settings


def _environment(ask: Ask) -> dict[str, str | None]:
    return grub.read(ask.text("/boot/grub/grubenv").text or "")
