# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ethtool IF``: what the link has negotiated."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

_SPEED = re.compile(r"([0-9]{1,9})\s?(Mb/s|Gb/s)")


def read(text: str) -> dict[str, Any]:
    """Keys: interface, speed_mbps (null when unknown), link (bool), link_reason (text behind "no", such as No cable), autoneg
    (bool), duplex, port, lanes, error. Null for what is not there. Only the first interface of the text is read."""
    result: dict[str, Any] = dict.fromkeys(
        ("interface", "speed_mbps", "link", "link_reason", "autoneg", "duplex", "port", "lanes", "error")
    )
    for line in _text.lines(text):
        stripped = line.strip()
        if stripped.startswith("Settings for "):
            if result["interface"] is not None:
                break
            result["interface"] = _text.word(stripped.removeprefix("Settings for ").rstrip(":"))
            continue
        if stripped.startswith(("netlink error:", "Cannot get device", "No data available")):
            result["error"] = result["error"] or _text.word(stripped)
            continue
        name, _separator, value = stripped.partition(":")
        value = value.strip()
        if name == "Speed":
            found = _SPEED.fullmatch(value)
            if found:
                result["speed_mbps"] = int(found.group(1)) * (1000 if found.group(2) == "Gb/s" else 1)
        elif name == "Link detected":
            answer, _separator, reason = value.partition(" ")
            result["link"] = {"yes": True, "no": False}.get(answer)
            result["link_reason"] = _text.word(reason.strip("() "))
        elif name == "Auto-negotiation":
            result["autoneg"] = {"on": True, "off": False}.get(value)
        elif name in ("Duplex", "Port"):
            result[name.lower()] = None if value.startswith("Unknown") else _text.word(value)
        elif name == "Lanes":
            result["lanes"] = _text.to_int(value)
    return result
