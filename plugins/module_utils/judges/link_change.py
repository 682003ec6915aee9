# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a link may be changed, and what to say when it may not. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ..model.desk import Desk
from ..model.finding import Finding, Where
from ..model.port import Function, Port
from .catalogue import finding
from .common import edit_by_hand, named, routed_over, unread_reason


class OwnerLike(Protocol):
    """A foreign file (see ``changes.owners.Owner``)."""

    @property
    def path(self) -> str:
        """Where it lies."""

    @property
    def netdevs(self) -> tuple[str, ...]:
        """Interfaces of the link that it configures."""

    @property
    def others(self) -> tuple[str, ...]:
        """What else it configures."""

    @property
    def error(self) -> str | None:
        """Why it could not be read."""


class PlannedLike(Protocol):
    """A planned function (see ``changes.link_plan.PlannedFunction``)."""

    @property
    def netdev(self) -> str:
        """Interface name."""

    @property
    def address(self) -> str:
        """IPv4 with prefix length."""

    @property
    def port(self) -> int:
        """Port number."""


def refused(where: Where, reason: str, *, severity: str = "fail", evidence: dict[str, Any] | None = None) -> Finding:
    """CX7_CHANGE_REFUSED with its reason."""
    return finding(
        "CX7_CHANGE_REFUSED", where, f"The link was not changed: {reason}.", severity=severity, evidence=evidence or {"reason": reason}
    )


def resolve_port(desk: Desk, where: Where, number: int | None, needed: int) -> tuple[Port | None, list[Finding]]:
    """The port that is meant, with ``needed`` functions; null with findings when it is not certain or not complete."""
    ports = [item for item in desk.cx7.ports if item.number is not None]
    if not ports:
        return None, [_no_ports(desk, where)]
    if number is None:
        lit = [item for item in ports if item.carrier or any(function.carrier for function in item.functions)]
        if len(lit) > 1:
            names = named(f"port {item.number} ({named(function.netdev for function in item.functions)})" for item in lit)
            return None, [finding("CX7_PORT_AMBIGUOUS", where, f"No port was named, and {names} have a link.", evidence={"ports": names})]
        if not lit:
            off = [str(function.netdev) for item in ports for function in item.functions if function.admin_up is False]
            message = "No port was named, and none has a link"
            message += f" (switched off: {named(off)})." if off else "."
            return None, [finding("CX7_LINK_DOWN", where, message, severity="fail", evidence={"switched_off": off})]
        port = lit[0]
    else:
        chosen = [item for item in ports if item.number == number]
        if not chosen:
            message = f"Port {number} has none of its functions."
            return None, [finding("CX7_FUNCTION_MISSING", replace(where, port=number), message, evidence={"present": 0})]
        port = chosen[0]
    if len(port.functions) < needed:
        present = [f"{item.netdev} ({item.pci_address})" for item in port.functions]
        message = f"Port {port.number} has {len(present)} of the {needed} functions that the link needs ({named(present) or 'none'})."
        return None, [finding("CX7_FUNCTION_MISSING", replace(where, port=port.number), message, evidence={"present": present})]
    switches = {item.phys_switch_id for item in port.functions if item.phys_switch_id}
    if len(switches) > 1:
        message = f"the functions of port {port.number} belong to different adapters ({named(sorted(switches))})"
        return None, [refused(replace(where, port=port.number), message)]
    dark = [item for item in port.functions if item.carrier is False]
    if dark and number is not None and len(dark) == len(port.functions):
        message = f"Port {port.number} has no link on {named(item.netdev for item in dark)}; a dark link is not configured."
        return None, [finding("CX7_LINK_DOWN", replace(where, port=port.number), message, severity="fail")]
    return port, []


def _no_ports(desk: Desk, where: Where) -> Finding:
    reason = unread_reason(desk, "cx7.ports")
    if reason is not None or desk.cx7.ungrouped:
        why = reason or f"of {named(item.netdev or item.pci_address for item in desk.cx7.ungrouped)} the port could not be determined"
        return refused(where, f"the ports of the ConnectX-7 could not be read ({why})", severity="unknown")
    if desk.cx7.powered is False:
        message = "No ConnectX-7 function is present, because the hotplug driver sees no cable."
        return finding("CX7_ABSENT_NO_CABLE", where, message, severity="fail")
    message = "No ConnectX-7 function is present."
    return finding("CX7_ABSENT_FAULT", where, message, severity="fail" if desk.cx7.powered else "unknown")


def unusable_functions(desk: Desk, where: Where, functions: Sequence[Function]) -> list[Finding]:
    """Functions that cannot be configured: no name, or a dark twin of one that has a link."""
    found = []
    for item in functions:
        if item.carrier is False:
            message = f"{item.netdev} has no carrier."
            found.append(finding("CX7_LINK_DOWN", replace(where, function=item.netdev), message, severity="fail"))
    return found


BY_SERVER = (
    "On the DHCP server of the switch, reserve an address for each MAC address of the desk's ConnectX-7: one subnet for the lower "
    "function of a port, another for its twin, neither of them routed elsewhere on the desk. Or set pair_link_addresses to static. Then "
    "run again, after unstack.yml where the link is set up already: leases last until they end."
)
"""What to do about networks that a DHCP server chose."""


def subnet_findings(where: Where, planned: Sequence[PlannedLike]) -> list[Finding]:
    """CX7_TWINS_SAME_SUBNET for wanted or leased addresses that share a network."""
    found = []
    for index, item in enumerate(planned):
        for other in planned[index + 1 :]:
            if ipaddress.IPv4Interface(item.address).network.overlaps(ipaddress.IPv4Interface(other.address).network):
                message = f"{item.netdev} ({item.address}) and {other.netdev} ({other.address}) are in one network; each needs its own."
                place = replace(where, port=item.port)
                found.append(finding("CX7_TWINS_SAME_SUBNET", place, message, severity="fail"))
    return found


PRIVATE = tuple(
    ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
)
"""Blocks that networks of one's own lie in; a route wider than its block stands for the rest of the world."""


def _catches_all(routed: ipaddress.IPv4Network, wanted: ipaddress.IPv4Network) -> bool:
    """Whether a route is a default route or a piece of one, as VPNs set them (0.0.0.0/1 and 128.0.0.0/1): it leads to everything that
    no narrower route leads to, and the link's own network is such a narrower one."""
    block = next((item for item in PRIVATE if wanted.subnet_of(item)), None)
    return wanted.subnet_of(routed) and (routed.prefixlen < 8 or (block is not None and routed.prefixlen < block.prefixlen))


def overlap_findings(desk: Desk, where: Where, planned: Sequence[PlannedLike], ours: Collection[str], fresh: bool = False) -> list[Finding]:
    """CX7_ADDRESS_OVERLAP against the main routing table and, for a link that is set already, what the kernel answers.

    ``ours``: interfaces of our own file, whose routes will go. Beside an address that is there already a wider route takes nothing (the
    longest prefix wins), as the facts' own check has it: a link that is still to be made keeps clear of it, and so does one whose
    addresses came with the change that is being confirmed (``fresh``).
    """
    reason = unread_reason(desk, "network.routed_networks")
    if reason is not None:
        return [refused(where, f"the desk's routes could not be read ({reason})", severity="unknown")]
    mine = {item.netdev for item in planned} | set(ours)
    held = {(item.netdev, f"{address.address}/{address.prefix_length}") for item in desk.cx7.functions for address in item.addresses}
    found: dict[tuple[str, str], Finding] = {}
    """By function and the interface that takes its traffic: a route explains what the kernel answers when it is asked for the way."""
    for route in (*desk.network.routed_networks, *desk.network.led_elsewhere):
        network, _separator, netdev = route.partition(" dev ")
        netdev = netdev.strip()
        try:
            routed = ipaddress.ip_network(network.strip(), strict=False)
        except ValueError:
            continue
        if netdev in mine or not isinstance(routed, ipaddress.IPv4Network):
            continue
        for item in planned:
            wanted = ipaddress.IPv4Interface(item.address).network
            if not fresh and (item.netdev, item.address) in held and not routed.subnet_of(wanted):
                continue
            if wanted.overlaps(routed) and not _catches_all(routed, wanted) and (item.netdev, netdev) not in found:
                message = f"{wanted} for {item.netdev} overlaps {routed}, which is {routed_over(netdev)}."
                evidence = {"wanted": str(wanted), "routed": str(routed), "interface": netdev}
                place = replace(where, function=item.netdev)
                found[item.netdev, netdev] = finding("CX7_ADDRESS_OVERLAP", place, message, evidence=evidence)
    return list(found.values())


def management_findings(desk: Desk, where: Where) -> list[Finding]:
    """CX7_IS_MANAGEMENT, as a failure: such a change is always refused."""
    names = {item.netdev for item in desk.cx7.functions if item.netdev}
    found = []
    for what, netdev in (("the ssh session", desk.network.session_netdev), ("the management address", desk.network.management_netdev)):
        if netdev in names:
            message = f"The link was not changed, because {what} of the desk is on {netdev}, a ConnectX-7 function."
            found.append(finding("CX7_IS_MANAGEMENT", where, message, severity="fail", evidence={"interface": netdev}))
            break
    return found


def owner_finding(where: Where, owner: OwnerLike, set_aside: bool) -> Finding:
    """CX7_FOREIGN_OWNER: a failure unless the file is set aside."""
    evidence = {"file": owner.path, "interfaces": list(owner.netdevs), "also": list(owner.others)}
    if owner.error is not None:
        message = f"Could not determine whether {owner.path} configures the link ({owner.error})."
        return finding("CX7_FOREIGN_OWNER", where, message, severity="fail", evidence={**evidence, "error": owner.error})
    if set_aside:
        message = f"{owner.path} configures {named(owner.netdevs)}; it is set aside, and unstack_pair.yml restores it."
        return finding("CX7_FOREIGN_OWNER", where, message, severity="note", evidence=evidence)
    if owner.others:
        message = f"{owner.path} configures {named(owner.netdevs)}, but also {named(owner.others)}, so it cannot be set aside."
        remedy = edit_by_hand(owner.path, owner.netdevs)
        return finding("CX7_FOREIGN_OWNER", where, message, severity="fail", evidence=evidence, remedy=remedy)
    message = f"{owner.path} configures {named(owner.netdevs)} and take_over is not set."
    return finding("CX7_FOREIGN_OWNER", where, message, severity="fail", evidence=evidence)
