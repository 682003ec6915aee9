# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ip route show``, as JSON (-j) or plain, and /proc/net/route."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

ROUTES_LIMIT = 4096

_NOWHERE = ("unreachable", "blackhole", "prohibit", "throw")
_KINDS = (*_NOWHERE, "unicast", "local", "broadcast", "multicast", "anycast", "nat")
"""Kinds of routes (ip-route(8)), which stand before the destination where they are not the usual one."""


def read(text: str) -> list[dict[str, Any]]:
    """A list of IPv4 routes: destination (``default`` or CIDR), netdev, gateway, metric (0 when not told), scope, protocol."""
    stripped = text.lstrip()
    if stripped[:1] == "[":
        return _from_json(_text.json_value(text))
    if stripped.startswith("Iface"):
        return _from_proc(text)
    routes: list[dict[str, Any] | None] = []
    destination: str | None = None
    """Of the route whose next hops stand in the lines below it."""
    for line in _text.lines(text):
        words = line.split()
        if words[:1] == ["nexthop"] and destination is not None:
            words = [destination, *words[1:]]
        kind = words.pop(0) if len(words) > 1 and words[0] in _KINDS else "unicast"
        destination = words[0] if words else None
        facts = {key: words[place + 1] for place, key in enumerate(words[:-1]) if key in ("dev", "via", "metric", "scope", "proto")}
        if words and "dev" in facts and len(routes) < ROUTES_LIMIT and kind not in _NOWHERE:
            routes.append(_route(words[0], facts["dev"], facts.get("via"), facts.get("metric"), facts.get("scope"), facts.get("proto")))
    return [route for route in routes if route is not None]


def _from_json(data: Any) -> list[dict[str, Any]]:
    found = []
    for item in data[:ROUTES_LIMIT] if isinstance(data, list) else []:
        if not isinstance(item, dict) or item.get("type") in _NOWHERE:
            continue
        hops = item.get("nexthops")
        for hop in [hop for hop in hops[:64] if isinstance(hop, dict)] if isinstance(hops, list) and hops else [{}]:
            told = item | hop
            found.append(_route(*(told.get(key) for key in ("dst", "dev", "gateway", "metric", "scope", "protocol"))))
    return [route for route in found if route is not None]


def _route(destination: Any, netdev: Any, gateway: Any, metric: Any, scope: Any, protocol: Any) -> dict[str, Any] | None:
    target, device = _text.word(destination, 64), _text.word(netdev, 64)
    if target is None or device is None:
        return None
    if target == "0.0.0.0/0":
        target = "default"
    if target != "default" and "/" not in target:
        target += "/32"
    return {
        "destination": target,
        "netdev": device,
        "gateway": _text.word(gateway, 64),
        "metric": _text.to_int(metric) or 0,
        "scope": _text.word(scope, 16),
        "protocol": _text.word(protocol, 16),
    }


def _from_proc(text: str) -> list[dict[str, Any]]:
    """Addresses in /proc/net/route are hexadecimal with the bytes in reverse order, the interface ``*`` leads nowhere."""
    found: list[dict[str, Any] | None] = []
    for line in _text.lines(text)[1:]:
        cells = line.split()
        if len(cells) < 8 or not all(re.fullmatch(r"[0-9A-Fa-f]{8}", cells[place]) for place in (1, 2, 7)):
            continue
        flags = _text.hex_int(cells[3]) or 0
        length = bin(int(cells[7], 16)).count("1")
        if not flags & 1 or (cells[0] == "*" and length == 0) or len(found) >= ROUTES_LIMIT:
            continue
        target = "default" if length == 0 else f"{_dotted(cells[1])}/{length}"
        gateway = _dotted(cells[2]) if flags & 2 else None
        found.append(_route(target, cells[0], gateway, cells[6], None if gateway else "link", None))
    return [route for route in found if route is not None]


def _dotted(word: str) -> str:
    number = int(word, 16)
    return ".".join(str(number >> shift & 255) for shift in (0, 8, 16, 24))
