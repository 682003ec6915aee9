"""Switches of a lab: what they are, what each port is set to, and what a port does to the desk behind it. Pure.

A port's `speed` is 100 (Gb/s) until it is set: switches negotiate 100G with these desks where 200G-baseCR4 is not forced. `bridge` 1 is
the one that forwards in hardware; another bridge falls to the processor (4.85 Gb/s in place of 196 in a report about a MikroTik). `mtu` is
the largest packet that the port takes, `vlan` and `bridge` say with whom it is in one network, `dark` is a port that is switched off.

A switch with `dhcp` has a DHCP server in VLAN 1: the function in the lower PCI domain gets an address of the first subnet, its twin one of
the second, or of the same where only one is named. It offers a router and an MTU as well, as such servers do.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import Any

from sparklab.errors import LabError

DEFAULTS: dict[str, Any] = {"speed": 100, "mtu": 9216, "vlan": 1, "bridge": 1, "dark": False}
SPEEDS = (100, 200)
SECOND_BRIDGE_GBPS = 4.85
MOST_PORTS = 64
LEASE_SECONDS = 120
"""The shortest that dnsmasq knows."""


@dataclass(frozen=True)
class SwitchSpec:
    """A switch as described."""

    name: str
    index: int
    ports: int
    lldp: str | None
    """What it calls itself, None for one that sends no LLDP."""
    settings: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Port to all its settings."""
    dhcp: tuple[str, ...] = ()
    """Subnets of its DHCP server, one for each twin or one for both; empty without a server."""

    @property
    def mac(self) -> str:
        """Its own address, which is the chassis id of its LLDP: of MikroTik where it calls itself so."""
        body = hashlib.sha256(f"switch {self.name}".encode()).digest()
        first = "dc:2c:6e" if "mikrotik" in (self.lldp or "").lower() else "02:5c:00"
        return f"{first}:{body[0]:02x}:{body[1]:02x}:{body[2]:02x}"


def checked(settings: dict[str, Any], where: str) -> dict[str, Any]:
    """Settings of a port, each of its kind.

    :raises LabError: naming the setting and what it may be.
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in DEFAULTS:
            raise LabError(f"{where}: unknown setting {key!r}; settings of a port: {', '.join(DEFAULTS)}.")
        if key == "dark":
            if value not in (True, False, "true", "false", "yes", "no"):
                raise LabError(f"{where}: dark must be true or false, not {value!r}.")
            found[key] = value in (True, "true", "yes")
            continue
        if not str(value).isdecimal() or not 1 <= int(value) <= 9999:
            raise LabError(f"{where}: {key} must be a number, not {value!r}.")
        found[key] = int(value)
        if key == "speed" and found[key] not in SPEEDS:
            raise LabError(f"{where}: speed is {value}; it must be one of {', '.join(map(str, SPEEDS))} (Gb/s).")
    return found


def subnets(words: Any, where: str) -> tuple[str, ...]:
    """The subnets of a DHCP server; `off` or nothing for none.

    :raises LabError: naming what is no subnet.
    """
    listed = words if isinstance(words, list) else [] if words in (None, "off") else str(words).split(",")
    try:
        found = [ipaddress.IPv4Network(str(word)) for word in listed]
    except ValueError as error:
        raise LabError(f"{where}: dhcp: {error}.") from error
    if len(found) > 2 or any(network.prefixlen > 29 for network in found) or (len(found) == 2 and found[0].overlaps(found[1])):
        raise LabError(f"{where}: dhcp names one subnet, or two that do not overlap, each of /29 or larger, not {listed}.")
    return tuple(map(str, found))


def server_addresses(of: tuple[str, ...]) -> list[str]:
    """The addresses of a switch's DHCP server, with prefix length: the first of each subnet."""
    networks = map(ipaddress.IPv4Network, of)
    return [f"{network.network_address + 1}/{network.prefixlen}" for network in networks]


def server_arguments(of: tuple[str, ...]) -> list[str]:
    """What tells dnsmasq of the subnets. The upper half of each is given away."""
    argv = ["--dhcp-option=option:mtu,1400"]
    for number, network in enumerate(map(ipaddress.IPv4Network, of)):
        tag = f"tag:twin{number}," if len(of) > 1 else ""
        first, last = network.network_address + network.num_addresses // 2, network.broadcast_address - 1
        argv += [f"--dhcp-range={tag}{first},{last},{network.netmask},{LEASE_SECONDS}"]
        argv += [f"--dhcp-option={tag}option:router,{network.network_address + 1}"]
    return argv


def server_hosts(functions: list[dict[str, Any]]) -> str:
    """Which twin each MAC of a desk is, as dnsmasq reads it."""
    lines = []
    for port in sorted({int(function["port"]) for function in functions}):
        twins = sorted((function for function in functions if function["port"] == port), key=lambda function: str(function["pci"]))
        lines += [f"{function['mac']},set:twin{number}\n" for number, function in enumerate(twins)]
    return "".join(lines)


def parse(raw: Any, where: str) -> dict[str, SwitchSpec]:
    """The `switches` of a lab file: name -> ports (a number), lldp (a name), settings of all ports, and `set`, port -> settings."""
    switches: dict[str, SwitchSpec] = {}
    for index, (name, entry) in enumerate((raw or {}).items()):
        spot = f"{where}: switches.{name}"
        if not isinstance(entry, dict):
            raise LabError(f"{spot} must be a mapping (ports: 8, lldp: ...), not {entry!r}.")
        known = {"ports", "lldp", "set", "dhcp", *DEFAULTS}
        unknown = next((key for key in entry if key not in known), None)
        if unknown is not None:
            raise LabError(f"{spot}: unknown key {unknown!r}; known keys: {', '.join(sorted(known))}.")
        ports = entry.get("ports", 8)
        if not isinstance(ports, int) or not 1 <= ports <= MOST_PORTS:
            raise LabError(f"{spot}: ports must be a number from 1 to {MOST_PORTS}, not {ports!r}.")
        every = {**DEFAULTS, **checked({key: entry[key] for key in DEFAULTS if key in entry}, spot)}
        settings = {number: dict(every) for number in range(1, ports + 1)}
        for number, own in (entry.get("set") or {}).items():
            if number not in settings:
                raise LabError(f"{spot}: it has the ports 1 to {ports}, not {number}.")
            settings[number].update(checked(dict(own or {}), f"{spot}: port {number}"))
        switches[str(name)] = SwitchSpec(str(name), index, ports, entry.get("lldp"), settings, subnets(entry.get("dhcp"), spot))
    return switches


def bridge_name(switch: SwitchSpec, settings: dict[str, Any]) -> str:
    """The kernel's bridge that stands for the network a port is in."""
    return f"s{switch.index}v{settings['vlan']}b{settings['bridge']}"
