# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lldpctl -f json``: neighbours told by LLDP. No answer of a real desk was public; the layout is lldpd's own (json and json0 differ
in whether a single item is wrapped in a list, so both are read)."""

from __future__ import annotations

from typing import Any

from . import text as _text

NEIGHBOURS_LIMIT = 256


def read(text: str) -> list[dict[str, Any]]:
    """A list of: netdev (ours), chassis_id, chassis_name, port_id, port_description, macs (every MAC the neighbour names, lower case)."""
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


def _neighbour(netdev: Any, interface: dict[str, Any]) -> dict[str, Any]:
    chassis_name, chassis = _chassis(interface.get("chassis"))
    port = next((item for item in _listed(interface.get("port")) if isinstance(item, dict)), {})
    ids = [_identifier(chassis.get("id")), _identifier(port.get("id"))]
    macs = sorted({value.lower() for kind, value in ids if kind == "mac" and value})
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
