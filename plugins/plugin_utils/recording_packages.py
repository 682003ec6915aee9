# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for packages that a company made, and where a recording names packages. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..module_utils.gather.packages import FAMILIES
from .recording_names import plain, plain_words

_KEEPERS = re.compile(r"(?i)[@.](?:ubuntu|canonical|debian|nvidia|mellanox|docker|launchpad)\.(?:com|org|net)>?\s*$")
_PACKAGE = re.compile(r"(?<![\w.+-])[a-z0-9][a-z0-9.+-]+(?![\w.+-])")
_LISTED = re.compile(r"(?m)^(?:[a-zA-Z]{2,3}  | )?['\"]?([a-z0-9][a-z0-9.+-]+)")
_STANZA = re.compile(r"(?m)^Package: (\S+)\n(?:\S[^\n]*\n)*")
_VERSION = re.compile(r"(?m)^(Version: )(.*)$")
_PACKAGE_LINE = re.compile(r"(?m)^(?:Package|Source): .*$")
_VERSION_LISTED = re.compile(r"(?<=[\t =\"])\d[\w.+:~-]*")

LOCK = re.compile(r".*/driver_lock/lock\.json")
_JOURNAL = re.compile(r".*/update/journal\.json")
_LIST = re.compile(r"/(?:var/)?run/reboot-required\.pkgs")
_STANZAS = re.compile(r"/etc/apt/preferences\.d/.*|/var/lib/apt/extended_states")
STATUS = "/var/lib/dpkg/status"


def names_packages(path: str) -> bool:
    """Whether a file names packages."""
    return path == STATUS or any(pattern.fullmatch(path) for pattern in (LOCK, _JOURNAL, _LIST, _STANZAS))


def named_in(path: str, text: str) -> set[str]:
    """The packages that a file names, apart from the package manager's own database."""
    if _LIST.fullmatch(path):
        return set(_LISTED.findall(text))
    if _STANZAS.fullmatch(path):
        return {name for line in re.findall(r"(?m)^Package: (.*)$", text) for name in _PACKAGE.findall(line)}
    lock, journal = LOCK.fullmatch(path), _JOURNAL.fullmatch(path)
    try:
        data = json.loads(text) if lock or journal else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        return set()
    before, debs = (data[key] if isinstance(data.get(key), dict) else {} for key in ("before", "debs"))
    found = [before, data.get("target")] if journal else [before.get("versions"), data.get("packages"), before.get("holds"), *debs.values()]
    found += [data.get(key) for key in ("held", "protected", "conflicts", "added", "kept", "lost")]
    return {str(name).partition("=")[0] for item in found if isinstance(item, (dict, list)) for name in item}


def foreign_packages(status: str) -> set[str]:
    """Packages of a database whose maintainer is neither the distribution, NVIDIA nor Docker."""
    found: set[str] = set()
    for stanza in re.split(r"\n\s*\n", status):
        told = dict(re.findall(r"(?m)^(Package|Maintainer): (.*)$", stanza))
        if told.get("Maintainer") and not _KEEPERS.search(told["Maintainer"]):
            found.add(told.get("Package", "").strip())
    return found - {""}


@dataclass
class Packages:
    """Stand-ins for packages that a company made."""

    foreign: set[str] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)

    def learn(self, status: str) -> None:
        """Note the packages of a database whose maintainer is nobody of the usual ones."""
        self.foreign |= {name for name in foreign_packages(status) if FAMILIES.match(name) is None}
        self._known |= set(re.findall(r"(?m)^Package: (\S+)$", status))

    def learn_names(self, found: Iterable[str]) -> None:
        """Note packages of which nothing tells the maintainer, unless the database has them."""
        self.foreign |= {name for name in found if name not in self._known and FAMILIES.match(name) is None and not plain(name)}

    def learn_list(self, text: str) -> None:
        """Note the packages of a list that tells no maintainer."""
        self.learn_names(_LISTED.findall(text))

    def text(self, text: str, path: str = "") -> str:
        """A list of packages, or the file at a path, with stand-ins; the versions of what gets one tell nobody's name either."""
        if not self.foreign:
            return text
        numbers = {name: f"package{number}" for number, name in enumerate(sorted(self.foreign), start=1)}

        def renamed(line: str) -> str:
            return _PACKAGE.sub(lambda found: numbers.get(found.group(), found.group()), line)

        def listed(line: str) -> str:
            if self.foreign.isdisjoint(_PACKAGE.findall(line)):
                return line
            return _VERSION_LISTED.sub(lambda found: plain_words(found.group()), renamed(line))

        if path == STATUS or _STANZAS.fullmatch(path):
            text = _STANZA.sub(lambda found: _plain_version(found[0]) if found[1] in self.foreign else found[0], text)
            return _PACKAGE_LINE.sub(lambda found: renamed(found.group()), text)
        return "\n".join(map(listed, text.split("\n")))


def _plain_version(stanza: str) -> str:
    return _VERSION.sub(lambda found: found[1] + plain_words(found[2]), stanza)


def pins(text: str) -> list[str]:
    """The files of preferences that a driver lock names."""
    return re.findall(r'"([\w.-]{1,80})"', "".join(re.findall(r'(?s)"pins": \[(.*?)\]', text)))
