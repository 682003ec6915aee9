# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces as they are now, and what makes the renderer change them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import steps
from .files import Desk
from .names import DHCP, GENERATED_FOLDERS, NETWORK_MANAGER, NMCLI_WAIT, NMCLI_WAIT_DHCP
from .stage import is_ours
from .steps import ChangeError

NMCLI_WAITED = 3
"""How nmcli ends when it has waited long enough."""
SETTLE = 1.0
"""Seconds before the first look at leases."""


def live(desk: Desk, netdevs: Sequence[str], renderer: str) -> dict[str, dict[str, Any]]:
    """How each interface is now: up, mtu (bytes), addresses (IPv4 that nobody leased), leased, and NetworkManager's active profile."""
    code, text = desk.run("ip", "-j", "addr", "show", note=False)
    try:
        links = json.loads(text) if code == 0 else []
    except ValueError:
        links = []
    found: dict[str, dict[str, Any]] = {}
    for link in links:
        name = link.get("ifname")
        if name not in netdevs:
            continue
        held = [item for item in link.get("addr_info", []) if item.get("family") == "inet"]
        found[name] = {
            "up": "UP" in link.get("flags", []),
            "mtu": link.get("mtu"),
            "addresses": [f"{item['local']}/{item['prefixlen']}" for item in held if not item.get("dynamic")],
            "leased": [f"{item['local']}/{item['prefixlen']}" for item in held if item.get("dynamic")],
            "profile": None,
        }
    if renderer == NETWORK_MANAGER:
        code, text = desk.run("nmcli", "-t", "-f", "UUID,DEVICE", "connection", "show", "--active", note=False)
        for line in text.splitlines() if code == 0 else []:
            uuid, _separator, device = line.partition(":")
            if device in found:
                found[device]["profile"] = uuid
    return found


def missing(desk: Desk, wanted: Sequence[Mapping[str, Any]], renderer: str, ours: Sequence[str], unleased: list[str]) -> list[str]:
    """What is not yet as wanted, in words. ``ours``: addresses that our file had set; ``unleased`` gets the interfaces without a lease."""
    now = live(desk, [item["netdev"] for item in wanted], renderer)
    lacks = []
    unleased.clear()
    for item in wanted:
        state = now.get(item["netdev"])
        if state is None:
            lacks.append(f"{item['netdev']} is not there")
            continue
        if item["address"] == DHCP:
            # An endless lease looks like an address that somebody set.
            if not state["leased"] and not set(state["addresses"]) - set(ours):
                unleased.append(item["netdev"])
                lacks.append(f"{item['netdev']} got no address from a DHCP server")
        elif item["address"] not in state["addresses"]:
            lacks.append(f"{item['netdev']} lacks {item['address']}")
        if state["mtu"] != item["mtu"]:
            lacks.append(f"{item['netdev']} has MTU {state['mtu']}, not {item['mtu']}")
        if not state["up"]:
            lacks.append(f"{item['netdev']} is down")
    return lacks


def activate(desk: Desk, change: dict[str, Any], touched: Sequence[str]) -> None:
    """Tell the renderer about our interfaces alone; interfaces that got no lease stand in the change's ``unleased`` then. Raises
    ChangeError."""
    wanted = {item["netdev"]: item["address"] for item in change["wanted"]}
    begun = time.monotonic()
    if change["renderer"] == NETWORK_MANAGER:
        # Not only what was touched: NetworkManager may have forgotten a profile whose file is as it was.
        profiles = sorted({*profile_files(touched), *(path for path in standing_profiles(desk, list(wanted)))})
        if profiles:
            desk.must("nmcli", "connection", "load", *profiles)
            steps.after_step("load")
        for netdev, address in wanted.items():
            up = ("connection", "up", "id", f"netplan-{netdev}", "ifname", netdev)
            if address == DHCP:
                desk.must("nmcli", "--wait", NMCLI_WAIT_DHCP, *up, timeout=40, also=(NMCLI_WAITED,))
            else:
                desk.must("nmcli", "--wait", NMCLI_WAIT, *up, timeout=40)
            steps.after_step(f"up {netdev}")
        if not wanted:
            previous_profiles(desk, change.get("baseline_live") or {})
    else:
        desk.must("networkctl", "reload")
        steps.after_step("reload")
        for netdev in wanted:
            desk.must("networkctl", "reconfigure", netdev)
            steps.after_step(f"reconfigure {netdev}")
    for netdev, values in (change.get("sysctl") or {}).items():
        for key, value in values.items():
            desk.must("sysctl", "-q", "-w", f"net/ipv4/conf/{netdev}/{key}={value}")
    if not wanted:
        settle_live(desk, change["renderer"], change.get("baseline_live") or {}, change.get("ours", []))
    if DHCP in wanted.values():
        # What the interface was leased before may still be there for a moment.
        time.sleep(SETTLE)
    else:
        begun = time.monotonic()
    deadline = begun + change.get("patience", 20)
    unleased = change.setdefault("unleased", [])
    while lacks := missing(desk, change["wanted"], change["renderer"], change.get("ours", []), unleased):
        if time.monotonic() > deadline:
            raise ChangeError(f"not as wanted: {'; '.join(lacks)}")
        time.sleep(0.25)


def profile_files(paths: Iterable[str]) -> list[str]:
    """The files that NetworkManager reads."""
    return sorted(path for path in paths if "/NetworkManager/system-connections/" in path)


def standing_profiles(desk: Desk, netdevs: Sequence[str]) -> list[str]:
    """Profiles that netplan made for these interfaces and that lie there."""
    folder = GENERATED_FOLDERS[1]
    try:
        names = os.listdir(desk.path(folder))
    except OSError:
        return []
    return [f"{folder}/{name}" for name in sorted(names) if is_ours(f"{folder}/{name}", netdevs)]


def previous_profiles(desk: Desk, before: Mapping[str, Mapping[str, Any]], again: bool = False) -> None:
    """Bring back the profile that was active on each interface, without waiting for it (it may wait for DHCP for long).

    ``again``: also where the same profile is active, because its file has changed under it.
    """
    now = live(desk, list(before), NETWORK_MANAGER)
    for netdev, state in before.items():
        profile = state.get("profile")
        if netdev not in now or (now[netdev]["profile"] == profile and not (again and profile)):
            continue
        if profile:
            desk.run("nmcli", "--wait", "0", "connection", "up", "uuid", profile, "ifname", netdev)
        else:
            desk.run("nmcli", "--wait", "10", "device", "disconnect", netdev)


def settle_live(desk: Desk, renderer: str, before: Mapping[str, Mapping[str, Any]], ours: Sequence[str]) -> None:
    """What the renderer leaves behind: MTU, addresses of ours, leases, addresses somebody had set by hand, the interface's up flag."""
    now = live(desk, list(before), renderer)
    for netdev, state in before.items():
        current = now.get(netdev)
        if current is None:
            continue
        leased = current["leased"] if state.get("leased") == [] else []
        for address in (*current["addresses"], *leased):
            if address in leased or (address in ours and address not in state["addresses"]):
                desk.run("ip", "address", "delete", address, "dev", netdev)
        if state["mtu"] and current["mtu"] != state["mtu"]:
            desk.run("ip", "link", "set", "dev", netdev, "mtu", str(state["mtu"]))
        if state["up"] != current["up"]:
            desk.run("ip", "link", "set", "dev", netdev, "up" if state["up"] else "down")
        for address in state["addresses"]:
            if address not in current["addresses"]:
                desk.run("ip", "address", "add", address, "dev", netdev)
