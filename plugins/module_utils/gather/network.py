# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk's network apart from the ConnectX-7."""

from __future__ import annotations

import ipaddress

from ..model.desk import Network, Route
from ..readers import ufw
from . import sshd
from .ask import Ask
from .functions import functions
from .links import NET, addresses_of, interfaces, led_elsewhere, netplan_files, routes
from .options import Options
from .owners import box_renderer

ROUTES_LIMIT = 256


def gather(ask: Ask, options: Options) -> Network:
    """Routes, the management interface, netplan files, the firewall."""
    table, failed = routes(ask)
    if table is None:
        ask.miss("network.default_routes", failed)
    fabric = {item.netdev for item in functions(ask).found}
    defaults = sorted((route for route in table or [] if route["destination"] == "default"), key=lambda route: route["metric"])
    session = session_netdev(ask, options.session_address)
    management = next((route["netdev"] for route in defaults if route["netdev"] not in fabric), None) or session
    known = interfaces(ask)
    if management is None:
        ask.miss("network.management_netdev", failed or "no default route outside the ConnectX-7 and no known session")
    elif known.by_name is None:
        ask.miss("network.management_addresses", known.source)
    told = known.facts(management)
    plan = netplan_files(ask)
    if not plan.listed:
        ask.miss("network.netplan_files", plan.source)
    elif plan.unreadable:
        ask.miss("network.netplan_contents", *(f"{item.path}: {item.error}" for item in plan.unreadable[:3]))
    linked = [route for route in table or [] if route["destination"] != "default"]
    return Network(
        management_netdev=management,
        management_mac=(ask.word(f"{NET}/{management}/address") if management else None) or told.get("mac"),
        management_addresses=addresses_of(told),
        default_routes=tuple(Route(route["netdev"], route["gateway"], route["metric"]) for route in defaults[:32]),
        routed_networks=tuple(f"{route['destination']} dev {route['netdev']}" for route in linked[:ROUTES_LIMIT]),
        led_elsewhere=tuple(led_elsewhere(ask, sorted(netdev for netdev in fabric if netdev))),
        renderer=ask.told("network.renderer", box_renderer(ask), plan.source),
        netplan_files=tuple(item.path for item in plan.files),
        session_netdev=session,
        arp_ignore=ask.number("/proc/sys/net/ipv4/conf/all/arp_ignore"),
        arp_announce=ask.number("/proc/sys/net/ipv4/conf/all/arp_announce"),
        ufw_active=_firewall(ask),
        sshd=sshd.gather(ask, options),
    )


def session_netdev(ask: Ask, address: str | None) -> str | None:
    """The interface that holds an address."""
    wanted = _address(address)
    for name, facts in (interfaces(ask).by_name or {}).items() if wanted is not None else ():
        if any(_address(item["address"]) == wanted for item in facts["addresses"]):
            return name
    return None


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _firewall(ask: Ask) -> bool | None:
    """Whether ufw is on: its configuration file, which any user may read, else ``ufw status``."""
    file = ask.text("/etc/ufw/ufw.conf")
    active: bool | None = ufw.read(file.text or "")["active"]
    if active is None:
        if ask.exists("/etc/ufw/ufw.conf") is False:
            return False
        answer = ask.run("ufw", "status")
        active = ufw.read(answer.stdout)["active"] if answer.ok else None
        return ask.told("network.ufw_active", active, file, answer)
    return active
