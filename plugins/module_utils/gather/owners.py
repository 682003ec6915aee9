# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who configures an interface: a netplan file, a NetworkManager profile or a networkd file."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..desk import MISSING
from ..model.owner import Owner as File
from ..model.ownership import DRIVER, netplan_owner, profile_owner
from ..model.port import Function
from ..readers import key_file, nmcli
from .ask import Ask
from .links import Netplan, netplan_files

OURS = "/etc/netplan/90-dgx-spark-link.yaml"
"""The netplan file of this collection."""

PROFILES = ("/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections")
MANAGEMENT_PATH = "pci-0007:01:00.0"
"""Where the RJ45 port is on every desk, as udev names it."""
NETWORKD = ("/etc/systemd/network", "/usr/local/lib/systemd/network")
_FIELDS = ("nmcli", "-t", "-f", "DEVICE,TYPE,STATE,CONNECTION", "device")
DEVICES = (_FIELDS, (*_FIELDS, "status"))

_AUTO = re.compile(r"Wired connection [0-9]{1,3}")
"""The name that NetworkManager gives to a profile that it makes by itself."""


@dataclass(frozen=True)
class Owner:
    """Who configures one interface."""

    name: str | None
    kind: str | None
    """ours, foreign, auto, none; null when it could not be told."""
    reason: str | None = None
    """Why it could not be told."""


def manager_runs(ask: Ask) -> bool | None:
    """Whether NetworkManager runs on the desk: it keeps a folder in /run."""
    listing = ask.listing("/run/NetworkManager")
    if listing.error is None:
        return True
    return False if listing.error == MISSING else None


def devices(ask: Ask) -> dict[str, tuple[str, str]]:
    """Netdev to state and connection, as NetworkManager tells; empty when it does not run or was not asked."""
    return ask.memo("nm-devices", lambda: _devices(ask))


def _devices(ask: Ask) -> dict[str, tuple[str, str]]:
    if manager_runs(ask) is False:
        return {}
    answer = ask.first_answer(*DEVICES)
    return {row[0]: (row[2], row[3]) for row in nmcli.read(answer.stdout) if len(row) >= 4} if answer.ok else {}


def renderer_of(ask: Ask, netdev: str) -> str | None:
    """Which of the two manages an interface now."""
    state = devices(ask).get(netdev)
    if state is not None:
        return "networkd" if state[0].startswith("unmanaged") else "NetworkManager"
    return box_renderer(ask)


def box_renderer(ask: Ask) -> str | None:
    """Which of the two owns the box's interfaces: netplan's global renderer, else the one that runs."""
    named = netplan_files(ask).renderer
    if named is not None:
        return {"networkmanager": "NetworkManager", "networkd": "networkd"}.get(named.lower(), named)
    if manager_runs(ask):
        return "NetworkManager"
    if ask.names("/run/systemd/netif/links") or ask.names("/run/systemd/network"):
        return "networkd"
    return None


def foreign_files(ask: Ask, functions: Sequence[Function], others: tuple[str, ...]) -> tuple[File, ...] | None:
    """The files below /etc that configure interfaces of the adapter and are not ours; null when one could not be read."""
    found: list[File | None] = []
    plan = netplan_files(ask)
    wanted = [item for item in functions if item.netdev]
    if not plan.listed and not (plan.source is not None and plan.source.error == MISSING):
        return None
    for file in plan.files:
        if file.path == OURS or not file.path.startswith("/etc/"):
            continue
        if file.data is None:
            return None
        found.append(netplan_owner(file.path, file.data, wanted, others))
    profiles, whole = _profiles(ask)
    if not whole:
        return None
    found += [profile_owner(path, sections, wanted, others) for path, sections in profiles if path.startswith("/etc/")]
    return tuple(item for item in found if item is not None)


def owner(ask: Ask, function: Function, others: tuple[str, ...]) -> Owner:
    """Who configures an interface; ``others`` are interfaces that are no ConnectX-7 function (a pattern that also fits one of
    them was not written for this one)."""
    netdev, mac, driver = str(function.netdev), function.mac, function.driver or DRIVER
    plan = netplan_files(ask)
    found = _in_netplan(plan, netdev, mac, driver, others)
    if found is not None:
        return found
    for path, sections in _profiles(ask)[0]:
        if (sections.get("connection", {}).get("id") or [""])[-1].startswith("netplan-"):
            continue
        profile = profile_owner(path, sections, [function], others)
        if profile is not None:
            return Owner(path, "auto" if _named_by_itself(sections) or profile.by_pattern else "foreign")
    connection = devices(ask).get(netdev, ("", ""))[1]
    if connection and not connection.startswith("netplan-"):
        return Owner(connection, "auto" if _AUTO.fullmatch(connection) else "foreign")
    for folder in NETWORKD:
        for name in ask.names(folder)[:200]:
            match = key_file.read(ask.text(f"{folder}/{name}").text or "").get("Match", {}) if name.endswith(".network") else {}
            if _in_networkd(match, netdev, mac, driver, f"pci-{function.pci_address}"):
                generic = any(_in_networkd(match, other, None, None, MANAGEMENT_PATH) for other in others)
                return Owner(f"{folder}/{name}", "auto" if generic else "foreign")
    if connection:
        return Owner(connection, None, f"{connection} is made from a netplan file that could not be read")
    if plan.unreadable:
        unreadable = plan.unreadable[0]
        return Owner(None, None, f"{unreadable.path}: {unreadable.error}")
    if not plan.listed and plan.source is not None and plan.source.error != MISSING:
        return Owner(None, None, f"/etc/netplan: {plan.source.error}")
    return Owner(None, "none")


def _in_networkd(match: Mapping[str, Sequence[str]], netdev: str, mac: str | None, driver: str | None, path: str) -> bool:
    """Whether a [Match] of a .network file fits an interface; words that say nothing about which one are left out."""
    values = {"Name": netdev, "MACAddress": mac, "PermanentMACAddress": mac, "Driver": driver, "Path": path}
    tests = []
    for key, value in values.items():
        words = [word for line in match.get(key, []) for word in line.split()]
        if words and "MAC" in key:
            tests.append(value in [word.lower() for word in words])
        elif words:
            inverted = words[0].startswith("!")
            fits = any(fnmatch.fnmatchcase(value or "", word.removeprefix("!")) for word in words)
            tests.append(fits != inverted)
    return bool(tests) and all(tests)


def _in_netplan(plan: Netplan, netdev: str, mac: str | None, driver: str | None, others: tuple[str, ...]) -> Owner | None:
    """The last file that names the interface, because a later file wins."""
    found: Owner | None = None
    for file in plan.files:
        data = file.data or {}
        identifiers = set()
        for identifier, device in data.get("ethernets", {}).items():
            if not _fits(identifier, device, netdev, mac, driver):
                continue
            identifiers.add(identifier)
            generic = any(_fits(identifier, device, other, None, None) for other in others) and identifier != netdev
            automatic = generic or bool(device["nm_name"] and _AUTO.fullmatch(device["nm_name"]) and not device["addresses"])
            found = Owner(file.path, "ours" if file.path == OURS else "auto" if automatic else "foreign")
        for section in ("bonds", "bridges"):
            for device in data.get(section, {}).values():
                if netdev in device["interfaces"] or identifiers & set(device["interfaces"]):
                    found = Owner(file.path, "foreign")
    return found


def _fits(identifier: str, device: dict[str, Any], netdev: str, mac: str | None, driver: str | None) -> bool:
    match = device["match"]
    if not match:
        return identifier == netdev
    tests = []
    if match.get("name"):
        names = match["name"] if isinstance(match["name"], list) else [match["name"]]
        tests.append(any(fnmatch.fnmatchcase(netdev, str(item)[:200]) for item in names) or device["set_name"] == netdev)
    if match.get("macaddress"):
        tests.append(mac is not None and str(match["macaddress"]).lower() == mac)
    if match.get("driver"):
        drivers = match["driver"] if isinstance(match["driver"], list) else [match["driver"]]
        tests.append(driver is not None and any(fnmatch.fnmatchcase(driver, str(item)[:200]) for item in drivers))
    return bool(tests) and all(tests)


def _named_by_itself(sections: Mapping[str, Mapping[str, Sequence[str]]]) -> bool:
    return _AUTO.fullmatch((sections.get("connection", {}).get("id") or [""])[-1]) is not None


Profile = tuple[str, dict[str, dict[str, list[str]]]]
"""Path and sections of a NetworkManager profile."""


def _profiles(ask: Ask) -> tuple[list[Profile], bool]:
    """NetworkManager's profiles (readable by root only), and whether these are all."""
    return ask.memo("nm-profiles", lambda: _read_profiles(ask))


def _read_profiles(ask: Ask) -> tuple[list[Profile], bool]:
    found: list[Profile] = []
    whole = True
    for folder in PROFILES:
        whole = whole and ask.listing(folder).error in (None, MISSING)
        for name in ask.names(folder)[:200]:
            file = ask.text(f"{folder}/{name}")
            if file.text is None:
                whole = whole and name.startswith(".")
            else:
                found.append((f"{folder}/{name}", key_file.read(file.text)))
    return found, whole
