# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package database, for every subset that asks for packages."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from ..model.driver import Package
from ..readers import apt_list, dpkg_query, dpkg_status
from .ask import Ask, Source

STATUS = "/var/lib/dpkg/status"
FULL = ("dpkg-query", "-W", r"-f=${Package}\t${Version}\t${Architecture}\t${Status}\n")
SHORT = ("dpkg-query", "-W", r"-f=${Package}\t${Version}\n")
HOLDS = ("apt-mark", "showhold")

FAMILIES = re.compile(
    r"(?:linux-(?:image|headers|modules|tools|nvidia)|linux-.*-nvidia|nvidia-|libnvidia-|libxnvctrl|xserver-xorg-video-nvidia"
    r"|cuda-|libnccl|nv-|dgx-|mlnx-|perftest$|openmpi|libopenmpi|docker-ce$|rdma-core$|libibverbs1$|lldpd$|fwupd$|ethtool$|netplan\.io$)"
)
"""Packages that the facts keep: the driver, kernel, NCCL, DGX and RDMA families."""


@dataclass(frozen=True)
class Packages:
    """Every package, by name."""

    by_name: dict[str, Package] | None
    """Null when the database could not be read."""
    holds_known: bool
    source: Source | None

    def installed(self, name: str) -> Package | None:
        """The package when it is installed (also half)."""
        package = (self.by_name or {}).get(name)
        return package if package is not None and package.state not in ("config-files", "not-installed") else None

    def version(self, name: str) -> str | None:
        """The version of an installed package."""
        package = self.installed(name)
        return package.version if package else None


def packages(ask: Ask) -> Packages:
    """The package database: the file, else dpkg-query with or without status."""
    return ask.memo("packages", lambda: _read(ask))


def _read(ask: Ask) -> Packages:
    file = ask.text(STATUS)
    entries = dpkg_status.read(file.text) if file.text else []
    source: Source | None = file
    if not entries:
        answer = ask.first_answer(FULL, SHORT)
        entries = (dpkg_query.read(answer.stdout) if answer.rc == 0 else []) or _recorded(ask)
        source = answer
    if not entries:
        return Packages(None, False, source)
    known = any(entry["want"] is not None for entry in entries)
    held: set[str] = set()
    if not known:
        answer = ask.run(*HOLDS)
        known = answer.ok
        held = set(answer.stdout.split()) if answer.ok else set()
        for argv in ask.recorded("dpkg", "--get-selections") if not known else ():
            pairs = [line.split() for line in ask.run(*argv).stdout.split("\n")[:50_000]]
            held |= {pair[0].partition(":")[0] for pair in pairs if pair[1:] == ["hold"]}
            known = known or any(pair[1:] for pair in pairs)
    by_name: dict[str, Package] = {}
    for entry in entries:
        name = entry["name"]
        want = entry["want"] or "install"
        package = Package(
            name=name,
            version=entry["version"],
            held=want == "hold" or name in held,
            state="reinstreq" if entry["error"] == "reinstreq" else entry["state"],
            want="hold" if name in held else want,
            architecture=entry["architecture"],
        )
        present = by_name.get(name)
        # Two architectures of one library may be listed: the installed one counts.
        if present is None or (present.state != "installed" and package.state == "installed"):
            by_name[name] = dataclasses.replace(package, held=package.held or bool(present and present.held))
    return Packages(by_name, known, None)


def _recorded(ask: Ask) -> list[dict[str, Any]]:
    """The packages that a recording's other questions name (dpkg-query with another format or for single packages, dpkg -l); a live
    desk's database is read instead."""
    entries: list[dict[str, Any]] = []
    for argv in (*ask.recorded("dpkg-query"), *ask.recorded("dpkg", "-l"), *ask.recorded("dpkg", "--list")):
        form = None
        for place, word in enumerate(argv):
            option, _equals, value = word.partition("=")
            if option in ("-f", "--showformat"):
                form = value or next(iter(argv[place + 1 :]), "")
            elif word.startswith("-f"):
                form = word[2:]
        # An answer about single packages may end with 1 because one of them is not there, and still names the others.
        entries += dpkg_query.read(ask.run(*argv).stdout, form.strip("'\"") if form else None)
    for argv in ask.recorded("apt", "list") if not entries else ():
        entries += apt_list.read(ask.run(*argv).stdout, only_installed="--installed" in argv)
    return entries


def upstream(version: str | None) -> str | None:
    """The part of a Debian version that the maker gave: 580.159.03 of 580.159.03-0ubuntu0.24.04.1."""
    if not version:
        return None
    return version.rpartition(":")[2].partition("-")[0].partition("+")[0] or None
