"""Switches of a lab: what they are, what each port is set to, and what a port does to the desk behind it. Pure.

A port's `speed` is 100 (Gb/s) until it is set: switches negotiate 100G with these desks where 200G-baseCR4 is not forced. `bridge` 1 is
the one that forwards in hardware; another bridge falls to the processor (4.85 Gb/s in place of 196 in a report about a MikroTik). `mtu` is
the largest packet that the port takes, `vlan` and `bridge` say with whom it is in one network, `dark` is a port that is switched off.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from sparklab.errors import LabError

DEFAULTS: dict[str, Any] = {"speed": 100, "mtu": 9216, "vlan": 1, "bridge": 1, "dark": False}
SPEEDS = (100, 200)
SECOND_BRIDGE_GBPS = 4.85
MOST_PORTS = 64


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


def parse(raw: Any, where: str) -> dict[str, SwitchSpec]:
    """The `switches` of a lab file: name -> ports (a number), lldp (a name), settings of all ports, and `set`, port -> settings."""
    switches: dict[str, SwitchSpec] = {}
    for index, (name, entry) in enumerate((raw or {}).items()):
        spot = f"{where}: switches.{name}"
        if not isinstance(entry, dict):
            raise LabError(f"{spot} must be a mapping (ports: 8, lldp: ...), not {entry!r}.")
        known = {"ports", "lldp", "set", *DEFAULTS}
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
        switches[str(name)] = SwitchSpec(str(name), index, ports, entry.get("lldp"), settings)
    return switches


def bridge_name(switch: SwitchSpec, settings: dict[str, Any]) -> str:
    """The kernel's bridge that stands for the network a port is in."""
    return f"s{switch.index}v{settings['vlan']}b{settings['bridge']}"
