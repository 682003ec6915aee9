# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt and dpkg print, as data. Pure; all in the C locale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.kinds import WORD


@dataclass(frozen=True)
class Choice:
    """What apt would choose for a package (``apt-cache policy``)."""

    package: str
    installed: str | None
    candidate: str | None


@dataclass(frozen=True)
class Simulated:
    """What a simulated ``apt-get`` would do."""

    installs: Mapping[str, str]
    """New packages: name to version."""
    upgrades: Mapping[str, tuple[str, str]]
    """Packages that would change: name to (from, to)."""
    removals: tuple[str, ...]
    removed: Mapping[str, str] = field(default_factory=dict)
    """Version of each package that would go, where apt tells it."""

    @property
    def nothing(self) -> bool:
        """Whether it would do nothing."""
        return not (self.installs or self.upgrades or self.removals)


@dataclass(frozen=True)
class Offer:
    """A package of a known version as an archive offers it (``apt-cache show NAME=VERSION``)."""

    package: str
    version: str
    architecture: str
    size: int
    """Bytes of the .deb file."""
    installed_size: int
    """Bytes on the disk."""

    @property
    def spec(self) -> str:
        """NAME=VERSION"""
        return f"{self.package}={self.version}"

    @property
    def file_name(self) -> str:
        """Name of the .deb as ``apt-get download`` writes it."""
        return f"{self.package}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


def policy(text: str) -> tuple[Choice, ...]:
    """Packages of ``apt-cache policy NAMES``."""
    found: list[Choice] = []
    name = installed = candidate = None
    for line in [*text.splitlines(), "end:"]:
        if line and not line[0].isspace() and line.rstrip().endswith(":"):
            if name:
                found.append(Choice(name, installed, candidate))
            name, installed, candidate = line.rstrip()[:-1].split(":")[0], None, None
        elif match := re.match(r"\s+(Installed|Candidate): (\S+)", line):
            value = None if match.group(2) == "(none)" else match.group(2)
            if match.group(1) == "Installed":
                installed = value
            else:
                candidate = value
    return tuple(found)


def simulated(text: str) -> Simulated:
    """Lines Inst and Remv of ``apt-get -s``."""
    installs: dict[str, str] = {}
    upgrades: dict[str, tuple[str, str]] = {}
    removals: list[str] = []
    removed: dict[str, str] = {}
    for line in text.splitlines():
        if match := re.match(r"Inst (\S+) (?:\[([^\]]+)\] )?\((\S+)", line):
            name = match.group(1).split(":")[0]
            if match.group(2) is None:
                installs[name] = match.group(3)
            elif match.group(2) != match.group(3):
                upgrades[name] = (match.group(2), match.group(3))
        elif match := re.match(r"(?:Remv|Purg) (\S+)(?: \[([^\]]+)\])?", line):
            name = match.group(1).split(":")[0]
            removals.append(name)
            if match.group(2):
                removed[name] = match.group(2)
    return Simulated(installs, upgrades, tuple(removals), removed)


def odd(would: Simulated) -> str | None:
    """The first package whose name or version is none: an archive may write anything there, and apt repeats it."""
    named = [
        *would.installs.items(),
        *would.removed.items(),
        *((name, version) for name, both in would.upgrades.items() for version in both),
    ]
    return next(
        (f"{name[:80]} {version[:80]}" for name, version in named if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version))), None
    )


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,254}")
_VERSION = re.compile(rf"(?=.{{1,256}}$){WORD}")
_SIZE = re.compile(r"[0-9]{1,12}")
"""Up to a terabyte."""


def offers(text: str) -> tuple[Offer, ...]:
    """Packages of ``apt-cache show`` that an archive has; a record without Filename is the dpkg database's own."""
    found: dict[tuple[str, str], Offer] = {}
    for block in re.split(r"\n\s*\n", text):
        fields = {
            key: value.strip() for key, colon, value in (line.partition(":") for line in block.splitlines()) if colon and key.strip() == key
        }
        name, version = fields.get("Package"), fields.get("Version")
        if name and version and fields.get("Filename"):
            size, installed = (int(said) if _SIZE.fullmatch(said := fields.get(key, "")) else 0 for key in ("Size", "Installed-Size"))
            found.setdefault((name, version), Offer(name, version, fields.get("Architecture", "all"), size, installed * 1024))
    return tuple(found.values())
