# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One netplan file.

PyYAML is imported only when a file is read: DGX OS ships python3-yaml (netplan itself needs it), a desk without it gives an error
instead of data.
"""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

SIZE_LIMIT = 65536
"""Characters; netplan files are a few hundred. More is an error, because reading YAML is slow."""

DEVICES_LIMIT = 256
_SECTIONS = ("ethernets", "wifis", "bonds", "bridges", "vlans")


def read(text: str) -> dict[str, Any]:
    """Keys: renderer, version, ethernets, wifis, bonds, bridges, vlans (each name to device), other_sections (such as tunnels, vrfs,
    dummy-devices, nm-devices: section to the names in it), other_members
    (interfaces that those use, by the name of the user), error (why nothing could be read, else
    null). A device has: addresses (list of texts), dhcp4, dhcp6, optional (bool or null), mtu (int or null), link_local (list or
    null), set_name, match (dict of texts or null), interfaces (members of a bond or bridge), link (of a VLAN), renderer,
    gateway (whether it sets a default route), nm_name and nm_uuid (of a NetworkManager profile kept in netplan)."""
    result: dict[str, Any] = {"renderer": None, "version": None, "error": None, "other_sections": {}, "other_members": {}}
    result |= {section: {} for section in _SECTIONS}
    data, error = load(text)
    if error is not None:
        return result | {"error": error}
    if data is None:
        return result
    network = data.get("network") if isinstance(data, dict) else None
    if network is None and isinstance(data, dict):
        return result | {"error": "no network section"}
    if not isinstance(network, dict):
        return result | {"error": "not a netplan file"}
    result["renderer"] = _text.word(network.get("renderer"))
    result["version"] = _text.to_int(network.get("version"))
    for section in _SECTIONS:
        devices = network.get(section)
        if isinstance(devices, dict):
            for name, device in list(devices.items())[:DEVICES_LIMIT]:
                if isinstance(name, str):
                    result[section][_text.word(name) or ""] = _device(device if isinstance(device, dict) else {})
    for key, value in list(network.items())[:DEVICES_LIMIT]:
        if isinstance(key, str) and key not in (*_SECTIONS, "renderer", "version") and value:
            names = [_text.word(name) for name in list(value)[:DEVICES_LIMIT]] if isinstance(value, dict) else []
            result["other_sections"][_text.word(key, 64) or "unnamed"] = [name for name in names if name] or ["settings"]
            result["other_members"] |= _members(value)
    return result


def _members(section: Any) -> dict[str, list[str]]:
    """Interfaces that the devices of a section are made of: members, what they are set upon, what a NetworkManager profile names."""
    found: dict[str, list[str]] = {}
    for name, device in list(section.items())[:DEVICES_LIMIT] if isinstance(section, dict) else []:
        device = device if isinstance(device, dict) else {}
        manager = device.get("networkmanager")
        passed = manager.get("passthrough") if isinstance(manager, dict) else None
        passed = passed if isinstance(passed, dict) else {}
        told = [
            device.get("link"),
            passed.get("connection.interface-name"),
            *(passed.get(f"{kind}.parent") for kind in ("vlan", "macvlan")),
        ]
        members = [*_words(device.get("interfaces")), *_words(told)]
        if members:
            found[_text.word(name) or "unnamed"] = members
    return found


def load(text: str) -> tuple[Any, str | None]:
    """The YAML value of a short text, and why there is none. Merge keys (``<<``) are refused: they can grow without bound."""
    if len(text) > SIZE_LIMIT:
        return None, f"longer than {SIZE_LIMIT} characters"
    try:
        import yaml
    except ImportError:
        return None, "python3-yaml is not installed"

    class Loader(yaml.SafeLoader):
        def flatten_mapping(self, node: Any) -> None:
            if any(getattr(key, "tag", "") == "tag:yaml.org,2002:merge" for key, _value in node.value):
                raise yaml.MarkedYAMLError(problem="merge keys are not read")

    try:
        return yaml.load(text.lstrip("\ufeff"), Loader=Loader), None
    except RecursionError:
        return None, "nested too deeply"
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError) as error:
        # PyYAML's constructors let several built-in errors through on hostile scalars (dates, tags, unhashable keys).
        return None, f"not valid YAML: {_wrong(error)}"


def _wrong(error: Exception) -> str:
    """Where and what is wrong, without a word of the file: PyYAML shows the line, and it may be the one with a password."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    said = re.sub(r"'[^']*'?|\"[^\"]*\"?", "...", problem)[:120] if isinstance(problem, str) else ""
    return ": ".join(part for part in (place, said) if part) or type(error).__name__


def _device(device: dict[Any, Any]) -> dict[str, Any]:
    match = device.get("match")
    manager = device.get("networkmanager")
    manager = manager if isinstance(manager, dict) else {}
    routes = device.get("routes")
    local = device.get("link-local")
    return {
        "addresses": _addresses(device.get("addresses")),
        "dhcp4": _flag(device.get("dhcp4")),
        "dhcp6": _flag(device.get("dhcp6")),
        "optional": _flag(device.get("optional")),
        "mtu": _text.to_int(device.get("mtu")),
        "link_local": _words(local) if isinstance(local, list) else None,
        "set_name": _text.word(device.get("set-name")),
        "match": {str(key)[:64]: _match(value) for key, value in list(match.items())[:16] if isinstance(key, str)}
        if isinstance(match, dict)
        else None,
        "interfaces": _words(device.get("interfaces")),
        "link": _text.word(device.get("link")),
        "renderer": _text.word(device.get("renderer")),
        "gateway": any(key in device for key in ("gateway4", "gateway6"))
        or (
            isinstance(routes, list)
            and any(isinstance(route, dict) and route.get("to") in ("default", "0.0.0.0/0", "::/0") for route in routes[:64])
        ),
        "nm_name": _text.word(manager.get("name")),
        "nm_uuid": _text.word(manager.get("uuid")),
    }


def _match(value: Any) -> Any:
    return _words(value) if isinstance(value, list) else _text.word(value)


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    short = (_text.word(value, 16) or "").lower()
    return {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}.get(short)


def _words(value: Any) -> list[str]:
    return [found for found in (_text.word(item) for item in value[:DEVICES_LIMIT]) if found] if isinstance(value, list) else []


def _addresses(value: Any) -> list[str]:
    if not isinstance(value, list):
        return []
    found = []
    for item in value[:DEVICES_LIMIT]:
        # An address with options is a mapping of one key: {10.0.0.1/24: {lifetime: 0}}
        name = next(iter(item), None) if isinstance(item, dict) else item
        short = _text.word(name)
        if short:
            found.append(short)
    return found
