# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose files configure the ConnectX-7 interfaces besides ours. Pure; the rule itself is in ``model.ownership``.

Profiles that NetworkManager made by itself lie under /run and are nobody's: they are not looked at. Where NetworkManager keeps them
in netplan (Ubuntu), they are ``automatic``: moved aside without being asked, and given back.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping

from ..model.owner import Owner
from ..model.ownership import netplan_owner, profile_owner
from ..model.port import Function
from ..readers import key_file
from ..readers import netplan as reader
from .netplan import OUR_FILE

NETPLAN_FOLDER = "/etc/netplan"
PROFILE_FOLDER = "/etc/NetworkManager/system-connections"


def owners_of(
    functions: Iterable[Function],
    files: Mapping[str, str | None],
    errors: Mapping[str, str] | None = None,
    others: Collection[str] | None = None,
) -> tuple[Owner, ...]:
    """The foreign owners among netplan files and NetworkManager profiles (path to text, null when not readable).

    ``functions``: all of the adapter; ``others``: names of the desk's other interfaces, null when they are not known.
    """
    wanted = [item for item in functions if item.netdev]
    found = []
    for path in sorted(files):
        content = files[path]
        if path == OUR_FILE:
            continue
        if content is None:
            found.append(Owner(path, error=(errors or {}).get(path, "not readable")))
            continue
        owner = _owner(path, content, wanted, others)
        # A file that is not understood matters only where it speaks of our interfaces at all.
        if owner is not None and (owner.error is None or _speaks_of(content, wanted)):
            found.append(owner)
    return tuple(found)


def _owner(path: str, content: str, wanted: list[Function], others: Collection[str] | None) -> Owner | None:
    if posixpath.dirname(path) == PROFILE_FOLDER:
        sections = key_file.read(content)
        return profile_owner(path, sections, wanted, others) if sections else Owner(path, error="not a key file")
    data = reader.read(content)
    return Owner(path, error=data["error"]) if data["error"] is not None else netplan_owner(path, data, wanted, others)


def _speaks_of(content: str, wanted: Iterable[Function]) -> bool:
    words = content.lower()
    return any(str(name).lower() in words for item in wanted for name in (item.netdev, item.mac) if name)
