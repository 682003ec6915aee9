"""Faults that somebody did to a desk's file system: they are done once, inside it, and undone when they are cleared.

They survive a restart, as on a real machine. `desk` is the number of the desk's first process on this machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparklab import archives, debs, desks
from sparklab.catalogue import branch
from sparklab.debs import Package
from sparklab.errors import LabError

Params = Mapping[str, Any]
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


def install(desk: int, packages: list[Package]) -> None:
    """Install packages by hand, as `dpkg --install` with force does, past apt and its holds."""
    folder = Path(f"/proc/{desk}/root/root/by-hand")
    folder.mkdir(exist_ok=True)
    names = []
    for package in packages:
        (folder / package.filename).write_bytes(debs.build(package))
        names.append(f"/root/by-hand/{package.filename}")
    desks.inside(desk, ["dpkg", "--force-all", "--install", *names], timeout=120)
    desks.inside(desk, ["rm", "-r", "/root/by-hand"])


def _package(params: Params, default: str) -> str:
    """The package that a fault is about. dpkg takes a name that begins with a dash for an option, and one of its options runs a command."""
    name = str(params.get("package", default))
    if not _PACKAGE.fullmatch(name):
        raise LabError(f"package={name!r} is not the name of a package.")
    return name


def _shelf(distribution: str) -> Any:
    return archives.catalogue(distribution)


def remove_repo_key(desk: int, params: Params, distribution: str) -> None:
    desks.inside(desk, ["dpkg", "--force-depends", "--remove", _package(params, "nvidia-spark-repo")])


def restore_repo_key(desk: int, params: Params, distribution: str) -> None:
    name = _package(params, "nvidia-spark-repo")
    found = archives.repositories(_shelf(distribution).arch).get(name)
    if found is None:
        raise LabError(f"{name!r} has no apt archive; those that do: {', '.join(archives.PINS)}.")
    install(desk, [found])


def remove_meta(desk: int, params: Params, distribution: str) -> None:
    desks.inside(desk, ["dpkg", "--force-depends", "--purge", str(archives.data()["metapackage"])])


def restore_meta(desk: int, params: Params, distribution: str) -> None:
    version = params.get("version", "26.09.2")
    install(desk, [_shelf(distribution).named(str(archives.data()["metapackage"]), {"version": str(version)})])


def half_configure(desk: int, params: Params, distribution: str) -> None:
    """Leave a package as an interrupted upgrade would."""
    name = _package(params, "nvidia-utils-580")
    path = Path(f"/proc/{desk}/root/var/lib/dpkg/status")
    text = path.read_text(encoding="utf-8")
    after, count = re.subn(rf"^(Package: {re.escape(name)}\nStatus: \S+ \S+) installed$", r"\1 half-configured", text, flags=re.M)
    if not count:
        raise LabError(f"package {name!r} is not installed on that desk.")
    path.write_text(after, encoding="utf-8")


def configure(desk: int, params: Params, distribution: str) -> None:
    desks.inside(desk, ["dpkg", "--configure", "-a"], check=False)


def upgrade_user_space(desk: int, params: Params, distribution: str) -> None:
    """The driver's user space moves on while the loaded module stays: what `apt upgrade` without a restart leaves."""
    shelf = _shelf(distribution)
    version = str(params.get("version", "580.190.02"))
    packages = shelf.driver(version, shelf.revision(version))
    install(desk, [one for one in packages if branch(version) in one.name])


def upgrade_package(desk: int, params: Params, distribution: str) -> None:
    """One package upgraded by hand, hold or not."""
    if "package" not in params or "version" not in params:
        raise LabError("upgraded_by_hand needs package=NAME and version=VERSION.")
    install(desk, [_shelf(distribution).plain(_package(params, ""), str(params["version"]))])


def fill_disk(desk: int, params: Params, distribution: str) -> None:
    place = str(params.get("path", "/var/cache/apt/archives"))
    desks.inside(desk, ["mkdir", "-p", place])
    desks.inside(desk, ["mount", "-t", "tmpfs", "-o", "size=64k", "full", place])
    desks.inside(desk, ["dd", "if=/dev/zero", f"of={place}/full", "bs=1k", "count=64"], check=False)


def empty_disk(desk: int, params: Params, distribution: str) -> None:
    desks.inside(desk, ["umount", str(params.get("path", "/var/cache/apt/archives"))], check=False)


def change_host_key(desk: int, params: Params, distribution: str) -> None:
    desks.inside(desk, ["find", "/etc/ssh", "-name", "ssh_host_*", "-delete"])
    desks.inside(desk, ["ssh-keygen", "-A"])
    desks.inside(desk, ["systemctl", "restart", "ssh.service"], check=False)


def nothing(desk: int, params: Params, distribution: str) -> None:
    """Cannot be undone in place: `simulator/lab reset DESK` makes the desk anew."""


Action = Callable[[int, Params, str], None]

# name -> (sentence, do, undo)
ACTIONS: dict[str, tuple[str, Action, Action]] = {
    "repo_key_missing": (
        "The package nvidia-spark-repo (or package=...) was removed: its key is gone, but its source stays (NO_PUBKEY).",
        remove_repo_key,
        restore_repo_key,
    ),
    "autoremove_bait": (
        "The OTA metapackage is gone: apt autoremove offers to remove the platform packages.",
        remove_meta,
        restore_meta,
    ),
    "half_configured": ("A package (package=nvidia-utils-580) is half configured.", half_configure, configure),
    "user_space_upgraded": (
        "The driver's user space was upgraded (version=580.190.02) but the desk was not rebooted; reset undoes it.",
        upgrade_user_space,
        nothing,
    ),
    "upgraded_by_hand": ("package=NAME was brought to version=VERSION by dpkg; reset undoes it.", upgrade_package, nothing),
    "full_disk": ("The disk below path=/var/cache/apt/archives is full (until a reboot).", fill_disk, empty_disk),
    "hostkey_changed": (
        "The desk has new ssh host keys; the lab's known_hosts keeps the old ones until this is cleared.",
        change_host_key,
        nothing,
    ),
}
