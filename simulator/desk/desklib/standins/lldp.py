"""lldpctl: the neighbours of the cabled ports, where lldpd is switched on by the fault ``lldp``, and switches. lldpd 1.0.16, 1.0.18."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from . import common

RULE = "-" * 79
AGE = "0 day, 00:05:12"
DESCRIPTION = "Ubuntu 24.04.4 LTS Linux"
CAPABILITIES = (("Bridge", False), ("Router", False), ("Wlan", False), ("Station", True))
FORMATS = ("plain", "keyvalue", "json")


@dataclass(frozen=True)
class Neighbour:
    """One neighbour on one interface; ``rid`` counts the machines that are heard."""

    netdev: str
    rid: int
    name: str
    chassis: str
    mac: str
    port: str


def neighbours(context: common.Context, wanted: list[str]) -> list[Neighbour]:
    """Everybody that is heard, in the order of the interfaces: switches that send LLDP, and desks where the fault lets lldpd run.

    A cable joins the twins of a port too: each hears the other.
    """
    found: list[Neighbour] = []
    own = context.desk
    desks = own.fault("lldp") is not None
    for function in context.functions:
        peer = (own.cable(function.port) or {}).get("peer")
        if not peer or not function.carrier or (wanted and function.netdev not in wanted):
            continue
        if peer.get("switch"):
            if peer.get("lldp"):
                mac = str(peer["mac"])
                found.append(Neighbour(function.netdev, 1, str(peer["lldp"]), mac, mac, f"qsfp56-{peer['port']}-1"))
            continue
        if not desks:
            continue
        twins = [f for f in context.functions if f.port == function.port and f is not function and f.carrier]
        mine = str((own.data.get("management") or {}).get("mac", function.mac))
        found += [Neighbour(function.netdev, 1, own.hostname, mine, twin.mac, twin.netdev) for twin in twins]
        for far in peer.get("functions") or [{"netdev": f"enp1s0f{peer['port']}np{peer['port']}", "mac": ""}]:
            name, mac = str(peer.get("hostname") or peer["desk"]), str(far.get("mac", ""))
            rid = 2 if twins else 1
            found.append(Neighbour(function.netdev, rid, name, str(peer.get("mac") or mac), mac, str(far["netdev"])))
    return found


def lldpctl(argv: list[str]) -> int:
    """``lldpctl [-f FORMAT] [INTERFACE ...]``."""
    layout, wanted, rest = "plain", [], list(argv)
    while rest:
        word = rest.pop(0)
        if word == "-f" and rest:
            layout = rest.pop(0)
        elif word.startswith("-"):
            print(f"lldpctl: invalid option -- '{word[1:2]}'", file=sys.stderr)
            print("Usage:   lldpctl [OPTIONS ...] [COMMAND ...]\nVersion: lldpd 1.0.18", file=sys.stderr)
            return 1
        else:
            wanted.append(word)
    if layout not in FORMATS:
        _warn("lldpctl", f'unknown output format "{layout}"')
        layout = "plain"
    context = common.context()
    found = neighbours(context, wanted)
    if context.desk.fault("lldp") is None and not found:
        _warn("control", "unable to connect to socket /run/lldpd.socket: No such file or directory")
        return 1
    print({"plain": _plain, "keyvalue": _keys, "json": _json}[layout](found))
    return 0


def _warn(place: str, text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} [WARN/{place}] {text}", file=sys.stderr)


def _plain(found: list[Neighbour]) -> str:
    lines = [RULE, "LLDP neighbors:", RULE]
    for one in found:
        lines += [f"Interface:    {one.netdev}, via: LLDP, RID: {one.rid}, Time: {AGE}", "  Chassis:     "]
        lines += [f"    ChassisID:    mac {one.chassis}", f"    SysName:      {one.name}", f"    SysDescr:     {DESCRIPTION}"]
        lines += [f"    Capability:   {name}, {'on' if on else 'off'}" for name, on in CAPABILITIES]
        lines += ["  Port:        ", f"    PortID:       mac {one.mac}", f"    PortDescr:    {one.port}", "    TTL:          120", RULE]
    return "\n".join(lines)


def _keys(found: list[Neighbour]) -> str:
    lines = []
    for one in found:
        told = [("via", "LLDP"), ("rid", str(one.rid)), ("age", AGE), ("chassis.mac", one.chassis), ("chassis.name", one.name)]
        told += [("chassis.descr", DESCRIPTION)]
        told += [(f"chassis.{name}.enabled", "on" if on else "off") for name, on in CAPABILITIES]
        told += [("port.mac", one.mac), ("port.descr", one.port), ("port.ttl", "120")]
        lines += [f"lldp.{one.netdev}.{key}={value}" for key, value in told]
    return "\n".join(lines)


def _json(found: list[Neighbour]) -> str:
    rows: list[dict[str, Any]] = []
    for one in found:
        chassis = {"id": {"type": "mac", "value": one.chassis}, "descr": DESCRIPTION}
        chassis["capability"] = [{"type": name, "enabled": on} for name, on in CAPABILITIES]  # type: ignore[assignment]
        port = {"id": {"type": "mac", "value": one.mac}, "descr": one.port, "ttl": "120"}
        facts = {"via": "LLDP", "rid": str(one.rid), "age": AGE, "chassis": {one.name: chassis}, "port": port}
        rows.append({one.netdev: facts})
    # One neighbour stands alone, several in a list, and nobody is nothing.
    told = {"interface": rows[0] if len(rows) == 1 else rows} if rows else {}
    return json.dumps({"lldp": told}, indent=2) + "\n"
