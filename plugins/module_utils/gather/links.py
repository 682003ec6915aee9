# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, routes and the netplan files, for every subset that asks for them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..model.port import Address
from ..readers import ip_addr, ip_route, netplan
from .ask import Ask, Source

NET = "/sys/class/net"
ADDRESSES = (
    ("ip", "-j", "addr", "show"),
    ("ip", "-j", "addr"),
    ("ip", "addr", "show"),
    ("ip", "addr"),
    ("ip", "a"),
    ("ip", "-br", "addr", "show"),
    ("ip", "-br", "addr"),
)
ROUTES = (("ip", "-j", "route", "show"), ("ip", "-j", "route"), ("ip", "route", "show"), ("ip", "route"), ("ip", "r"))
ARP = "/proc/net/arp"
PEERS_LIMIT = 4
"""Addresses of one network whose way is asked for."""
NETPLAN = ("/usr/lib/netplan", "/lib/netplan", "/etc/netplan", "/run/netplan")


@dataclass(frozen=True)
class Interfaces:
    """What ``ip addr`` told, by netdev; null when nothing did."""

    by_name: dict[str, dict[str, Any]] | None
    source: Source | None = None

    def facts(self, netdev: str | None) -> dict[str, Any]:
        """One interface's facts, empty when it was not told."""
        return (self.by_name or {}).get(netdev or "", {})


def interfaces(ask: Ask) -> Interfaces:
    """All interfaces with their addresses."""
    return ask.memo("interfaces", lambda: _interfaces(ask))


def _interfaces(ask: Ask) -> Interfaces:
    # ``ip link`` knows no addresses: taking it for an answer would make every interface bare.
    forms = [argv for argv in ask.recorded("ip") if {"addr", "address", "a"} & set(argv) and not {"add", "del", "-6"} & set(argv)]
    answer = ask.first_answer(*ADDRESSES, *(argv for argv in forms if argv[-1] in ("addr", "address", "a", "show", "list", "ls")))
    found = {item["netdev"]: item for item in ip_addr.read(answer.stdout)} if answer.error is None else {}
    if found:
        return Interfaces(found)
    # A recording may hold the question for single interfaces only.
    for argv in forms if answer.error else ():
        for item in ip_addr.read(ask.run(*argv).stdout):
            found.setdefault(item["netdev"], item)
    return Interfaces(found or None, None if found else answer)


def addresses_of(facts: dict[str, Any]) -> tuple[Address, ...]:
    """The addresses of one interface."""
    return tuple(Address(**item) for item in facts.get("addresses", ()))


def routes(ask: Ask) -> tuple[list[dict[str, Any]] | None, Source | None]:
    """The IPv4 routes of the main table, and what failed when there is no answer."""
    return ask.memo("routes", lambda: _routes(ask))


def _routes(ask: Ask) -> tuple[list[dict[str, Any]] | None, Source | None]:
    file = ask.text("/proc/net/route")
    if file.text is not None and file.text.lstrip().startswith("Iface"):
        return ip_route.read(file.text), None
    forms = [argv for argv in ask.recorded("ip") if {"route", "r"} & set(argv) and not {"get", "add", "del", "-6"} & set(argv)]
    answer = ask.first_answer(*ROUTES, *forms)
    return (ip_route.read(answer.stdout), None) if answer.ok else (None, answer)


def led_elsewhere(ask: Ask, netdevs: Iterable[str]) -> list[str]:
    """Addresses in the networks of ``netdevs`` that the kernel reaches over another interface, as it answers when asked; over ``*``
    those for which it has no way.

    Policy rules and tables other than the main one show only so. Asked for the neighbours that the interface knows, else for one
    address of its network. One that is switched off has no routes of its own, which says nothing about its network.
    """
    found = []
    known = [words for line in (ask.text(ARP).text or "").splitlines() if len(words := line.split()) >= 6]
    for netdev in netdevs:
        told = interfaces(ask).facts(netdev)
        for held in addresses_of(told) if not told.get("flags") or "UP" in told["flags"] else ():
            try:
                mine = ipaddress.IPv4Interface(f"{held.address}/{held.prefix_length}")
            except ValueError:
                continue  # IPv6, or no length
            seen = [words[0] for words in known if words[5] == netdev and _within(words[0], mine.network)]
            for peer in seen[:PEERS_LIMIT] or [str(other) for other in _others(mine)]:
                answer = ask.run("ip", "-j", "route", "get", peer, "from", str(mine.ip))
                chosen = ip_route.read(answer.stdout) if answer.ok else []
                if chosen and chosen[0]["netdev"] != netdev:
                    found.append(f"{peer}/32 dev {chosen[0]['netdev']}")
                elif answer.error is None and "RTNETLINK answers" in answer.stderr:
                    found.append(f"{peer}/32 dev *")
    return found


def _within(address: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.IPv4Address(address) in network
    except ValueError:
        return False


def _others(mine: ipaddress.IPv4Interface) -> list[ipaddress.IPv4Address]:
    """An address of the network that is not one's own."""
    first = mine.network.network_address + (mine.network.prefixlen < 31)
    others = (address for address in (first, first + 1) if address != mine.ip and address in mine.network)
    return list(others)[:1]


@dataclass(frozen=True)
class NetplanFile:
    """One netplan file; ``data`` is null when it could not be read."""

    path: str
    data: dict[str, Any] | None
    error: str | None


@dataclass(frozen=True)
class Netplan:
    """All netplan files in the order in which they count: a file with a later name wins, /run over /etc over /usr/lib for one name."""

    files: tuple[NetplanFile, ...]
    listed: bool
    source: Source | None

    @property
    def unreadable(self) -> tuple[NetplanFile, ...]:
        """Files that are there and could not be read."""
        return tuple(item for item in self.files if item.data is None)

    @property
    def renderer(self) -> str | None:
        """The global renderer that counts."""
        named = [item.data["renderer"] for item in self.files if item.data and item.data["renderer"]]
        return named[-1] if named else None


def netplan_files(ask: Ask) -> Netplan:
    """The netplan files of the desk."""
    return ask.memo("netplan", lambda: _netplan_files(ask))


def _netplan_files(ask: Ask) -> Netplan:
    paths: dict[str, str] = {}
    for folder in NETPLAN:
        for name in ask.names(folder)[:200]:
            if name.endswith(".yaml") and not name.startswith("."):
                paths[name] = f"{folder}/{name}"
    found = []
    for name in sorted(paths):
        file = ask.text(paths[name])
        read = netplan.read(file.text) if file.text is not None else None
        error = file.error if read is None else read["error"]
        found.append(NetplanFile(paths[name], read if error is None else None, error))
    listing = ask.listing("/etc/netplan")
    return Netplan(tuple(found), listing.error is None, listing if listing.error else None)
