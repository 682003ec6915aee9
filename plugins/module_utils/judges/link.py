# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ConnectX-7 of one desk: there, linked, fast, addressed, owned by nobody else, and not the way to the desk."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from ..model.desk import Desk
from ..model.finding import Finding, Where
from ..model.port import Address, Function, Port
from .catalogue import CODES, finding
from .common import TAKES_ALL, edit_by_hand, named, routed_over, unread_about, unread_reason, version_key
from .options import AUDIT, STACKED, JudgeOptions

FUNCTIONS = 4
"""PCIe functions of a healthy adapter: two ports, each with one function in two PCI domains (NVIDIA daqiri guide)."""

FULL_SPEED_MBPS = 200_000
"""Speed of a good link as ethtool names it (NVIDIA switch playbook)."""

HALF_SPEED_MBPS = 100_000
"""A link over a 100G cable, which NVIDIA's NIM guide for the Spark asks for."""

FULL_WIDTH = 4
"""PCIe lanes of a function (NVIDIA daqiri guide: Gen5 x4)."""

FULL_RATE = 32.0
"""GT/s of each lane."""

Network = ipaddress.IPv4Network


def judge_link(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """Findings about the ConnectX-7. Nothing but its absence is judged where it could not be listed."""
    functions = desk.cx7.functions
    if not functions:
        return absent(desk, where, options)
    return [
        *complete(desk, where),
        *carrier(desk, where, options),
        *speed(desk, where),
        *pcie(desk, where),
        *mtu(desk, where, options),
        *addresses(desk, where, options),
        *bonds(desk, where),
        *subnets(desk, where, options),
        *gids(desk, where, options),
        *owners(desk, where, options),
        *unmanaged(desk, where),
        *routes(desk, where, options),
        *overlaps(desk, where, options),
        *management(desk, where, options),
        *plugged(desk, where),
        *firmware(desk, where),
    ]


def name_of(function: Function) -> str:
    """The best name that a function has."""
    return function.netdev or function.rdma_device or function.pci_address or "unnamed function"


def listing_failed(desk: Desk) -> str | None:
    """Why the functions could not be listed; null when they could."""
    for path in ("cx7.ports", "cx7.functions"):
        reason = unread_reason(desk, path)
        if reason is not None:
            return reason
    return None


def absent(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """No function is there: by design without a cable, a fault otherwise, unknown when the hotplug driver could not be asked."""
    if listing_failed(desk) is not None or (desk.subsets and "cx7" not in desk.subsets and "all" not in desk.subsets):
        return []
    enabled, powered = desk.cx7.hotplug_enabled, desk.cx7.powered
    evidence = {"hotplug_enabled": enabled, "powered": powered, "functions": 0}
    if enabled is False:
        message = "No ConnectX-7 function is present, although hotplug power saving is off."
        return [finding("CX7_ABSENT_FAULT", where, message, evidence=evidence)]
    if powered is True:
        message = "No ConnectX-7 function is present, although the hotplug driver sees a cable and supplies power."
        return [finding("CX7_ABSENT_FAULT", where, message, evidence=evidence)]
    if powered is False:
        message = "No ConnectX-7 function is present, because the hotplug driver sees no cable."
        return [finding("CX7_ABSENT_NO_CABLE", where, message, severity=options.used("note"), evidence=evidence)]
    reason = unread_reason(desk, "cx7.powered") or "no answer"
    message = f"No ConnectX-7 function is present, and whether a cable is in could not be determined ({reason})."
    return [finding("CX7_ABSENT_FAULT", where, message, severity="unknown", evidence=evidence)]


def complete(desk: Desk, where: Where) -> list[Finding]:
    """CX7_FUNCTION_MISSING, port by port where the ports are known."""
    functions = desk.cx7.functions
    if len(functions) >= FUNCTIONS:
        return []
    present = [f"{name_of(item)} ({item.pci_address})" for item in functions]
    evidence = {"present": present, "expected": FUNCTIONS}
    if desk.cx7.ungrouped:
        message = f"{len(functions)} of {FUNCTIONS} functions are present: {named(present)}."
        return [finding("CX7_FUNCTION_MISSING", where, message, evidence=evidence)]
    found = []
    for number in (0, 1):
        here = [item for port in desk.cx7.ports if port.number == number for item in port.functions]
        if len(here) < 2:
            what = f"only {name_of(here[0])}" if here else "none"
            message = f"Port {number} has {len(here)} of its 2 functions ({what}); {len(functions)} of {FUNCTIONS} are present in total."
            found.append(finding("CX7_FUNCTION_MISSING", replace(where, port=number), message, evidence=evidence))
    return found


def linked(desk: Desk) -> Iterator[tuple[Port, tuple[Function, ...]]]:
    """The ports that have carrier, each with its functions that have."""
    for port in desk.cx7.ports:
        up = tuple(item for item in port.functions if item.carrier)
        if up:
            yield port, up


def carrier(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CX7_LINK_DOWN: no port linked, or one twin dark."""
    found = []
    for port, up in linked(desk):
        dark = [item for item in port.functions if not item.carrier and item.carrier is not None]
        for item in (*dark, *(item for item in port.functions if item.carrier is None and item.admin_up is False)):
            switched_off = item.admin_up is False
            message = f"{name_of(item)} has no carrier while its twin {named(name_of(twin) for twin in up)} has"
            message += "; it is switched off (administratively down)." if switched_off else "."
            severity = options.unset("note") if switched_off else options.used("warn")
            place = replace(where, port=port.number, function=name_of(item))
            found.append(finding("CX7_LINK_DOWN", place, message, severity=severity, evidence={"admin_up": item.admin_up}))
    functions = desk.cx7.functions
    if any(item.carrier for item in functions):
        return found
    if any(item.carrier is None and item.admin_up is not False for item in functions):
        return found
    off = [name_of(item) for item in functions if item.admin_up is False]
    evidence = {
        "hotplug_enabled": desk.cx7.hotplug_enabled,
        "powered": desk.cx7.powered,
        "switched_off": off,
    }
    sees_cable = bool(desk.cx7.hotplug_enabled and desk.cx7.powered)
    if off and len(off) == len(functions):
        message = f"No port has a link; all functions are switched off (administratively down): {named(off)}."
    elif sees_cable:
        message = "No port has a link although the hotplug driver sees a cable."
    else:
        message = "No port has a link: no cable is in, or the other desk is off."
    # Functions that are merely switched off are brought up by the link stage.
    severity = options.unset("note") if off else options.used("warn" if sees_cable else "note")
    return [finding("CX7_LINK_DOWN", where, message, severity=severity, evidence=evidence)]


def speed(desk: Desk, where: Where) -> list[Finding]:
    """CX7_SPEED_LOW of linked functions, one finding for each port: a warning for a whole 100 Gb/s link, as a cable of that class makes."""
    found = []
    for port, up in linked(desk):
        slow = {name_of(item): item.speed_mbps for item in up if item.speed_mbps is not None and 0 < item.speed_mbps < FULL_SPEED_MBPS}
        if slow:
            told = ", ".join(f"{name} {value // 1000} Gb/s" for name, value in slow.items() if value is not None)
            message = f"The link runs below {FULL_SPEED_MBPS // 1000} Gb/s: {told}."
            half = set(slow.values()) == {HALF_SPEED_MBPS} and len(slow) == len(up)
            message += " That is half the bandwidth, so the marks are halved." if half else ""
            severity = "warn" if half else "fail"
            place = replace(where, port=port.number)
            found.append(finding("CX7_SPEED_LOW", place, message, severity=severity, evidence={"speed_mbps": slow}))
    return found


def _rate(function: Function) -> float | None:
    """GT/s of a function's lanes, from a text such as ``32.0 GT/s PCIe``."""
    words = (function.pcie_speed or "").split()
    try:
        return float(words[0])
    except (IndexError, ValueError):
        return None


def pcie(desk: Desk, where: Where) -> list[Finding]:
    """CX7_PCIE_WIDTH_LOW."""
    found = []
    for port, item in _placed(desk):
        width, rate = item.pcie_width, _rate(item)
        narrow = width is not None and 0 < width < FULL_WIDTH
        slow = rate is not None and rate < FULL_RATE
        if not narrow and not slow:
            continue
        message = (
            f"{name_of(item)} ({item.pci_address}) runs on {'unknown' if width is None else width} PCIe lanes at "
            f"{item.pcie_speed or 'an unknown rate'}; {FULL_WIDTH} lanes at {FULL_RATE:g} GT/s were expected."
        )
        evidence = {"width": width, "maximum_width": item.pcie_max_width, "speed": item.pcie_speed, "pci_address": item.pci_address}
        place = replace(where, port=port, function=name_of(item))
        found.append(finding("CX7_PCIE_WIDTH_LOW", place, message, evidence=evidence))
    return found


def _placed(desk: Desk) -> Iterator[tuple[int | None, Function]]:
    for port in desk.cx7.ports:
        for item in port.functions:
            yield port.number, item
    for item in desk.cx7.ungrouped:
        yield None, item


def mtu(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CX7_MTU_MISMATCH between twins, and from the wanted MTU once the link is set up."""
    found = []
    for port, up in linked(desk):
        values = {name_of(item): item.mtu for item in up if item.mtu is not None}
        wanted = options.wanted_mtu if options.purpose == STACKED else None
        off = wanted is not None and any(value != wanted for value in values.values())
        if len(set(values.values())) < 2 and not off:
            continue
        told = ", ".join(f"{name} {value}" for name, value in values.items())
        message = f"MTUs are {told}; {wanted if wanted is not None else 'one value on both functions'} was expected."
        severity = options.unset("warn" if options.purpose == AUDIT else "note")
        evidence = {"mtu": values, "wanted": wanted}
        found.append(finding("CX7_MTU_MISMATCH", replace(where, port=port.number), message, severity=severity, evidence=evidence))
    return found


def own_networks(function: Function) -> list[Network]:
    """IPv4 networks of a function's addresses; link-local ones do not count."""
    return networks_of(function.addresses)


def networks_of(held: Iterable[Address]) -> list[Network]:
    """IPv4 networks of addresses; link-local ones do not count."""
    networks = []
    for item in held:
        if item.family != "inet":
            continue
        try:
            network = ipaddress.IPv4Interface(f"{item.address}/{item.prefix_length}").network
        except ValueError:
            continue
        if not network.is_link_local:
            networks.append(network)
    return networks


def addresses(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CX7_NO_ADDRESS of linked functions, one finding for each port."""
    if unread_about(desk, "cx7", ("address",)):
        return []
    found = []
    for port, up in linked(desk):
        empty = [item for item in up if not own_networks(item) and not networks_of(item.master_addresses)]
        bare = [name_of(item) for item in empty]
        if not bare:
            continue
        local = [f"{item.address}/{item.prefix_length}" for function in empty for item in function.addresses]
        message = f"{named(bare)} of the cabled port {'has' if len(bare) == 1 else 'have'} no IPv4 address"
        message += f" (only link-local: {named(local)})." if local else "."
        evidence = {"without": bare, "addresses": local}
        place = replace(where, port=port.number)
        found.append(finding("CX7_NO_ADDRESS", place, message, severity=options.unset("note"), evidence=evidence))
    return found


def bonds(desk: Desk, where: Where) -> list[Finding]:
    """CX7_BONDED, one finding for each bond or bridge."""
    members: dict[str, list[Function]] = {}
    for item in desk.cx7.functions:
        if item.master:
            members.setdefault(item.master, []).append(item)
    found = []
    for master, functions in members.items():
        held = [f"{item.address}/{item.prefix_length}" for item in functions[0].master_addresses if item.family == "inet"]
        names = [name_of(item) for item in functions]
        message = f"{named(names)} {'is a member' if len(names) == 1 else 'are members'} of {master}"
        message += f", which has {named(held)}." if held else ", which has no IPv4 address."
        found.append(finding("CX7_BONDED", where, message, evidence={"master": master, "members": names, "addresses": held}))
    return found


def subnets(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CX7_TWINS_SAME_SUBNET for every two functions whose networks overlap."""
    found = []
    for (port, one), (other_port, two) in combinations(_placed(desk), 2):
        shared = [f"{left} and {right}" for left in own_networks(one) for right in own_networks(two) if left.overlaps(right)]
        if not shared:
            continue
        message = f"{name_of(one)} and {name_of(two)} are in one network ({shared[0]}); each function needs its own."
        place = replace(where, port=port) if port == other_port else where
        severity = options.unset("warn")
        found.append(finding("CX7_TWINS_SAME_SUBNET", place, message, severity=severity, evidence={"networks": shared}))
    return found


def gids(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CX7_GID_MISSING of functions that are up and addressed."""
    if unread_about(desk, "cx7", ("gid", "rdma", "infiniband")):
        return []
    found = []
    for port, up in linked(desk):
        for item in up:
            if not own_networks(item) or item.roce_v2_ipv4_gid_index is not None:
                continue
            addressed = [f"{entry.address}/{entry.prefix_length}" for entry in item.addresses if entry.family == "inet"]
            if item.rdma_device is None:
                message = f"{name_of(item)} is up with {named(addressed)}, but has no RDMA device."
            else:
                message = f"{name_of(item)} is up with {named(addressed)}, but {item.rdma_device} has no RoCE v2 GID for it."
            evidence = {"rdma_device": item.rdma_device, "gids": [f"{gid.index} {gid.gid} {gid.kind}" for gid in item.gids]}
            place = replace(where, port=port.number, function=name_of(item))
            found.append(finding("CX7_GID_MISSING", place, message, severity=options.unset("warn"), evidence=evidence))
    return found


def owners(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CX7_FOREIGN_OWNER, one finding for each file or profile."""
    owned: dict[str, list[str]] = {}
    for item in desk.cx7.functions:
        if item.owner_kind == "foreign":
            owned.setdefault(item.owner or "an unnamed profile", []).append(name_of(item))
    also = {item.path: item.others for item in desk.cx7.owners or () if item.others}
    found = []
    for owner, names in owned.items():
        evidence: dict[str, Any] = {"owner": owner, "functions": names}
        if owner in also:
            message = (
                f"{owner} configures {named(names)}, but also {named(also[owner])}, so it cannot be set aside; "
                "this collection did not write it."
            )
            remedy = edit_by_hand(owner, names)
            evidence["also"] = list(also[owner])
            found.append(finding("CX7_FOREIGN_OWNER", where, message, severity=options.used("warn"), evidence=evidence, remedy=remedy))
            continue
        message = f"{owner} configures {named(names)}; this collection did not write it."
        if owner.endswith(".network"):
            # A file that networkd itself reads: neither netplan's nor NetworkManager's, which are all that is ever set aside.
            remedy = f"Move {owner} away by hand (and run sudo networkctl reload), or leave the desk out; then run again."
            found.append(finding("CX7_FOREIGN_OWNER", where, message, severity=options.used("warn"), evidence=evidence, remedy=remedy))
            continue
        severity = "note" if options.take_over else options.used("warn")
        found.append(finding("CX7_FOREIGN_OWNER", where, message, severity=severity, evidence=evidence))
    return found


def unmanaged(desk: Desk, where: Where) -> list[Finding]:
    """CX7_NOT_MANAGED: functions of our file that NetworkManager, which shall set them up, was told to leave alone."""
    ours = desk.setup.link_file or ""
    left = [item for item in desk.cx7.functions if item.netdev and item.renderer == "networkd" and f" {item.netdev}:" in ours]
    if desk.network.renderer != "NetworkManager" or not left:
        return []
    names = [name_of(item) for item in left]
    message = (
        f"NetworkManager, which manages this desk's network, is configured to leave {named(names)} unmanaged: the link is gone at its "
        "next start."
    )
    return [finding("CX7_NOT_MANAGED", where, message, evidence={"functions": names, "renderer": desk.network.renderer})]


def _netdevs(functions: Iterable[Function]) -> set[str]:
    return {item.netdev for item in functions if item.netdev}


def routes(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CX7_DEFAULT_ROUTE."""
    netdevs = _netdevs(desk.cx7.functions)
    wrong = [item for item in desk.network.default_routes if item.netdev in netdevs]
    if not wrong:
        return []
    told = [f"{item.netdev} via {item.gateway or 'no gateway'} (metric {item.metric})" for item in wrong]
    message = f"A default route leads into the ConnectX-7: {named(told)}."
    return [finding("CX7_DEFAULT_ROUTE", where, message, severity=options.unset("warn"), evidence={"routes": told})]


def overlaps(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CX7_ADDRESS_OVERLAP of the addresses that are there: a Docker bridge or VPN may have come after the link.

    A route of the same or a narrower network takes the link's traffic; a wider one does not (the longest prefix wins). What the twins
    share already has its finding: all of it is one mistake.
    """
    held = [network for _port, item in _placed(desk) for network in own_networks(item)]
    own = _netdevs(desk.cx7.functions) | {item.master for item in desk.cx7.functions if item.master}
    links = [
        (port, item, network) for port, up in linked(desk) for item in up for network in own_networks(item) if held.count(network) == 1
    ]
    found: dict[tuple[str, str], Finding] = {}
    """By function and the interface that takes its traffic: a route explains what the kernel answers when it is asked for the way."""
    led: dict[str, list[tuple[Port, Function, Network, Network]]] = {}
    """By that interface: one rule or table that leads all functions elsewhere is one mistake."""
    for route in (*desk.network.routed_networks, *desk.network.led_elsewhere):
        text, _separator, netdev = (word.strip() for word in route.partition(" dev "))
        routed = networks_of([Address(*_split(text), "inet")])
        for port, item, network in links if routed and netdev not in own else ():
            if not routed[0].subnet_of(network) or (name_of(item), netdev) in found:
                continue
            if route not in desk.network.routed_networks:
                if all(item is not other for _port, other, *_rest in led.get(netdev, ())):
                    led.setdefault(netdev, []).append((port, item, network, routed[0]))
                continue
            message = f"{network} of {name_of(item)} is also {routed_over(netdev)} ({routed[0]})."
            evidence = {"network": str(network), "routed": str(routed[0]), "interface": netdev}
            place = replace(where, port=port.number, function=item.netdev)
            severity = options.unset("warn")
            found[name_of(item), netdev] = finding("CX7_ADDRESS_OVERLAP", place, message, severity=severity, evidence=evidence)
    return [*found.values(), *(_led_elsewhere(netdev, taken, where, options) for netdev, taken in led.items())]


def _led_elsewhere(netdev: str, taken: Sequence[tuple[Port, Function, Network, Network]], where: Where, options: JudgeOptions) -> Finding:
    """What the kernel answered when it was asked for the way to the peer; ``taken``: the functions that it is another one for."""
    told = named([f"{asked.network_address} in {network} of {name_of(item)}" for _port, item, network, asked in taken])
    verb = "is" if len(taken) == 1 else "are"
    message = (
        f"{told} {verb} {routed_over(netdev)}."
        if netdev == "*"
        else f"{told} {verb} reached over {netdev}: ip rule and ip route show table all show what leads there."
    )
    evidence = {
        "network": ", ".join(str(network) for _port, _item, network, _asked in taken),
        "routed": ", ".join(str(asked) for *_rest, asked in taken),
        "interface": netdev,
    }
    place = replace(where, port=taken[0][0].number, function=taken[0][1].netdev if len(taken) == 1 else None)
    remedy = f"{CODES['CX7_ADDRESS_OVERLAP'].remedy} {TAKES_ALL}"
    return finding("CX7_ADDRESS_OVERLAP", place, message, severity=options.unset("warn"), evidence=evidence, remedy=remedy)


def _split(text: str) -> tuple[str, int]:
    address, _slash, length = text.strip().partition("/")
    return address, int(length) if length.isdecimal() else 32


def management(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CX7_IS_MANAGEMENT."""
    netdevs = _netdevs(desk.cx7.functions)
    ways = {"ssh session": desk.network.session_netdev, "management address": desk.network.management_netdev}
    over = {what: netdev for what, netdev in ways.items() if netdev in netdevs}
    if not over:
        return []
    told = ", ".join(f"{what} on {netdev}" for what, netdev in over.items())
    message = f"The desk is managed over its ConnectX-7 ({told})."
    return [finding("CX7_IS_MANAGEMENT", where, message, severity=options.used("warn"), evidence=over)]


def plugged(desk: Desk, where: Where) -> list[Finding]:
    """CX7_PLUGGED_AFTER_BOOT."""
    if not desk.cx7.plugged_after_boot:
        return []
    last = desk.cx7.plug_events[-1] if desk.cx7.plug_events else None
    message = "The kernel log of this boot shows a cable plugged in after start-up" + (f": {last}" if last else ".")
    return [finding("CX7_PLUGGED_AFTER_BOOT", where, message, evidence={"events": list(desk.cx7.plug_events)})]


def firmware(desk: Desk, where: Where) -> list[Finding]:
    """CX7_FIRMWARE_DRIFT between the functions of one desk."""
    known = {name_of(item): item.firmware for item in desk.cx7.functions if item.firmware}
    if len({version_key(version) for version in known.values()}) < 2:
        return []
    told = ", ".join(f"{name} {version}" for name, version in known.items())
    message = f"Functions of one adapter report different firmware: {told}."
    return [finding("CX7_FIRMWARE_DRIFT", where, message, evidence={"firmware": known})]
