# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lldpctl`` in each of its forms (json, json0, keyvalue, xml, plain): neighbours told by LLDP. The layouts are those of lldpd 1.0.16 to
1.0.18; json and json0 differ in whether a single item is wrapped in a list. No answer of a DGX Spark was public."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

NEIGHBOURS_LIMIT = 256
_PLAIN = re.compile(r"[ \t]{0,8}(Interface|ChassisID|SysName|PortID|PortDescr):[ \t]{1,32}(.{1,300})")
_KEY = re.compile(r"lldp\.([^=\s]{1,64}?)\.(chassis|port)\.([a-z]{1,16})=(.{0,300})")
_XML = re.compile(r"<(interface|id|name|descr)\b([^<>]{0,300})>(?:([^<>]{0,300})</(?:id|name|descr)>)?|<(/?)(chassis|port)\b")
_ATTRIBUTE = re.compile(r'([a-z]{1,16})="([^"]{0,253})"')
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
"""A neighbour may call any number of bytes a MAC address, and lldpd shows them all."""
_PLAIN_NAMES = {"ChassisID": "chassis_id", "SysName": "chassis_name", "PortID": "port_id", "PortDescr": "port_description"}
_TOLD = {
    ("chassis", "id"): "chassis_id",
    ("chassis", "name"): "chassis_name",
    ("port", "id"): "port_id",
    ("port", "descr"): "port_description",
}


def read(text: str) -> list[dict[str, Any]]:
    """A list of: netdev (ours), chassis_id, chassis_name, port_id, port_description, macs (every MAC the neighbour names, lower case)."""
    begun = text.lstrip()[:64]
    if begun.startswith(("<?xml", "<lldp")):
        return _of_xml(text)
    if begun.startswith("lldp."):
        return _of_keys(text)
    if not begun.startswith("{"):
        return _of_plain(text)
    data = _text.json_value(text)
    root = data.get("lldp") if isinstance(data, dict) else None
    found: list[dict[str, Any]] = []
    for part in _listed(root):
        for interface in _listed(part.get("interface") if isinstance(part, dict) else None):
            if not isinstance(interface, dict) or len(found) >= NEIGHBOURS_LIMIT:
                continue
            # json: {"enp1s0f0np0": {...}}; json0: {"name": "enp1s0f0np0", ...}
            named = interface.get("name")
            pairs = [(named, interface)] if isinstance(named, str) else list(interface.items())[:NEIGHBOURS_LIMIT]
            found += [_neighbour(name, value) for name, value in pairs if isinstance(value, dict)]
    return found[:NEIGHBOURS_LIMIT]


def _of_plain(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        match = _PLAIN.match(line)
        if match is None:
            continue
        name, value = match.group(1), match.group(2).strip()
        if name == "Interface" and len(found) < NEIGHBOURS_LIMIT:
            found.append(_empty(value.partition(",")[0]))
        elif name != "Interface" and found:
            kind, _space, rest = value.partition(" ")
            _put(found[-1], _PLAIN_NAMES[name], kind if name.endswith("ID") else "", rest if name.endswith("ID") else value)
    return found


def _of_keys(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        match = _KEY.match(line)
        if match is None:
            continue
        netdev, part, key, value = match.groups()
        # A second neighbour of the same interface begins with its chassis.
        first = part == "chassis" and key not in ("name", "descr")
        if not found or found[-1]["netdev"] != netdev or (first and found[-1]["chassis_id"] is not None):
            if len(found) >= NEIGHBOURS_LIMIT:
                break
            found.append(_empty(netdev))
        name = _TOLD.get((part, key if key in ("name", "descr", "ttl") else "id"))
        if name is not None and found[-1][name] is None:
            _put(found[-1], name, key, value)
    return found


def _of_xml(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    inside = ""
    for match in _XML.finditer(text[: _text.TEXT_LIMIT]):
        element, attributes, value, _end, part = match.groups()
        told = dict(_ATTRIBUTE.findall(attributes or ""))
        if part:
            inside = part
        elif element == "interface" and len(found) < NEIGHBOURS_LIMIT:
            found.append(_empty(told.get("name", "")))
        elif found and value is not None and (inside, element) in _TOLD:
            _put(found[-1], _TOLD[inside, element], told.get("type", ""), value)
    return found


def _empty(netdev: str) -> dict[str, Any]:
    told = dict.fromkeys(_TOLD.values())
    return {"netdev": _text.word(netdev, 64), **told, "macs": []}


def _put(neighbour: dict[str, Any], name: str, kind: str, value: str) -> None:
    neighbour[name] = _text.word(value, 253)
    if kind == "mac":
        neighbour["macs"] = sorted({*neighbour["macs"], *_macs(neighbour[name])})


def _macs(value: str | None) -> list[str]:
    return [value.lower()] if value and _MAC.fullmatch(value.lower()) else []


def _neighbour(netdev: Any, interface: dict[str, Any]) -> dict[str, Any]:
    chassis_name, chassis = _chassis(interface.get("chassis"))
    port = next((item for item in _listed(interface.get("port")) if isinstance(item, dict)), {})
    ids = [_identifier(chassis.get("id")), _identifier(port.get("id"))]
    macs = sorted({mac for kind, value in ids if kind == "mac" for mac in _macs(value)})
    return {
        "netdev": _text.word(netdev, 64),
        "chassis_id": ids[0][1],
        "chassis_name": chassis_name,
        "port_id": ids[1][1],
        "port_description": _plain(port.get("descr")),
        "macs": macs,
    }


def _chassis(value: Any) -> tuple[str | None, dict[str, Any]]:
    for item in _listed(value):
        if not isinstance(item, dict):
            continue
        if "id" in item:
            return _plain(item.get("name")), item
        for name, inner in list(item.items())[:8]:
            if isinstance(inner, dict):
                return _text.word(name, 253), inner
    return None, {}


def _identifier(value: Any) -> tuple[str | None, str | None]:
    for item in _listed(value):
        if isinstance(item, dict):
            return _text.word(item.get("type"), 32), _plain(item.get("value"))
    return None, None


def _plain(value: Any) -> str | None:
    for item in _listed(value):
        if isinstance(item, dict):
            return _text.word(item.get("value"), 253)
        return _text.word(item, 253)
    return None


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value[:NEIGHBOURS_LIMIT] if isinstance(value, list) else [value]
