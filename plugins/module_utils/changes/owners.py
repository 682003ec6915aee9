# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose files configure the ConnectX-7 interfaces besides ours. Pure.

Profiles that NetworkManager made by itself lie under /run and are nobody's: they are not looked at. Where NetworkManager keeps them
in netplan (Ubuntu), they are ``automatic``: moved aside without being asked, and given back.
"""

from __future__ import annotations

import configparser
import fnmatch
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..model.port import Function
from ..readers import netplan as reader
from .netplan import OUR_FILE

NETPLAN_FOLDER = "/etc/netplan"
PROFILE_FOLDER = "/etc/NetworkManager/system-connections"
_AUTOMATIC = re.compile(r"Wired connection [0-9]{1,3}")
"""The name that NetworkManager gives to a profile that it makes by itself."""


@dataclass(frozen=True)
class Owner:
    """A file that is not ours and configures interfaces of ours."""

    path: str
    netdevs: tuple[str, ...] = ()
    """Which of our interfaces."""
    ids: tuple[str, ...] = ()
    """The names under which netplan knows them."""
    others: tuple[str, ...] = ()
    """What else it configures; such a file cannot be moved aside."""
    error: str | None = None
    """Why it could not be read; then nothing is known about it."""
    automatic: bool = False
    """NetworkManager made it by itself."""
    by_pattern: bool = False
    """It fits our interfaces only because it fits many."""


def owners_of(functions: Iterable[Function], files: Mapping[str, str | None], errors: Mapping[str, str] | None = None) -> tuple[Owner, ...]:
    """The foreign owners among netplan files and NetworkManager profiles (path to text, null when not readable)."""
    wanted = [item for item in functions if item.netdev]
    found = []
    for path in sorted(files):
        content = files[path]
        if path == OUR_FILE:
            continue
        if content is None:
            found.append(Owner(path, error=(errors or {}).get(path, "not readable")))
            continue
        owner = _profile(path, content, wanted) if posixpath.dirname(path) == PROFILE_FOLDER else _netplan(path, content, wanted)
        # A file that is not understood matters only where it speaks of our interfaces at all.
        if owner is not None and (owner.error is None or _speaks_of(content, wanted)):
            found.append(owner)
    return tuple(found)


def _speaks_of(content: str, wanted: Iterable[Function]) -> bool:
    words = content.lower()
    return any(str(name).lower() in words for item in wanted for name in (item.netdev, item.mac) if name)


def _netplan(path: str, content: str, wanted: list[Function]) -> Owner | None:
    data = reader.read(content)
    if data["error"] is not None:
        return Owner(path, error=data["error"])
    ids, netdevs, others, automatic, patterns = [], [], [], [], []
    for name, device in data["ethernets"].items():
        here = [item for item in wanted if _matches(name, device, item)]
        if here:
            ids.append(name)
            netdevs += [str(item.netdev) for item in here]
            patterns.append(_is_pattern(device))
            automatic.append(bool(device["nm_name"] and _AUTOMATIC.fullmatch(device["nm_name"]) and not device["addresses"]))
            if patterns[-1]:
                others.append(f"{name} (matches by pattern)")
        else:
            others.append(name)
    for section in ("wifis", "vlans", "bonds", "bridges"):
        for name, device in data[section].items():
            members = [*device["interfaces"], *([device["link"]] if device["link"] else [])]
            if not members or any(item not in ids and item not in {function.netdev for function in wanted} for item in members):
                others.append(name)
                continue
            ids.append(name)
            netdevs += [str(item.netdev) for item in wanted if item.netdev in members]
    if not netdevs:
        return None
    return Owner(
        path,
        tuple(sorted(set(netdevs))),
        tuple(ids),
        tuple(others),
        automatic=bool(automatic) and all(automatic) and not others,
        by_pattern=bool(patterns) and all(patterns) and len(patterns) == len(ids),
    )


def _matches(name: str, device: Mapping[str, Any], function: Function) -> bool:
    if device["set_name"] == function.netdev:
        return True
    match = device["match"]
    if match is None:
        return name == function.netdev
    if not match:
        return True
    names = match.get("name")
    if names is not None and not any(
        fnmatch.fnmatchcase(str(function.netdev), str(item)) for item in (names if isinstance(names, list) else [names])
    ):
        return False
    mac = match.get("macaddress")
    if mac is not None and str(mac).lower() != (function.mac or "").lower():
        return False
    return names is not None or mac is not None


def _is_pattern(device: Mapping[str, Any]) -> bool:
    match = device["match"]
    if match is None or match.get("macaddress"):
        return False
    names = match.get("name")
    return names is None or any(sign in str(names) for sign in "*?[") or (isinstance(names, list) and len(names) > 1)


def _profile(path: str, content: str, wanted: list[Function]) -> Owner | None:
    parser = configparser.RawConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    try:
        parser.read_string(content)
    except configparser.Error as error:
        return Owner(path, error=" ".join(str(error).split())[:200])
    name = parser.get("connection", "interface-name", fallback="")
    mac = parser.get("ethernet", "mac-address", fallback=parser.get("802-3-ethernet", "mac-address", fallback="")).lower()
    here = [str(item.netdev) for item in wanted if item.netdev == name or (mac and (item.mac or "").lower() == mac)]
    if not here:
        return None
    automatic = _AUTOMATIC.fullmatch(parser.get("connection", "id", fallback="")) is not None
    return Owner(path, tuple(here), automatic=automatic and parser.get("ipv4", "method", fallback="auto") == "auto")
