# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ip neigh show``, as JSON (-j) or plain. iproute2 6.1 leaves ``dev`` out of the JSON when asked for one device (NVIDIA NemoClaw
issue 8519), so the caller must know which device it asked about."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

NEIGHBOURS_LIMIT = 4096
STATES = ("REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "INCOMPLETE", "PERMANENT", "NOARP", "NONE")


def read(text: str) -> list[dict[str, Any]]:
    """A list of: address, netdev (null when not told), mac (lower case, null when not resolved), state (upper case, null when not told)."""
    found: list[dict[str, Any]] = []
    if text.lstrip()[:1] == "[":
        data = _text.json_value(text)
        for item in data[:NEIGHBOURS_LIMIT] if isinstance(data, list) else []:
            if isinstance(item, dict):
                states = item.get("state")
                state = states[0] if isinstance(states, list) and states else states
                found += _neighbour(item.get("dst"), item.get("dev"), item.get("lladdr"), state)
        return found
    for line in _text.lines(text):
        words = line.split()
        if not words or len(found) >= NEIGHBOURS_LIMIT or not re.fullmatch(r"[0-9a-fA-F.:]{2,45}", words[0]):
            continue
        facts = {key: words[place + 1] for place, key in enumerate(words[:-1]) if key in ("dev", "lladdr")}
        found += _neighbour(words[0], facts.get("dev"), facts.get("lladdr"), words[-1] if words[-1] in STATES else None)
    return found


def _neighbour(address: Any, netdev: Any, mac: Any, state: Any) -> list[dict[str, Any]]:
    target = _text.word(address, 64)
    if target is None:
        return []
    lower = (_text.word(mac, 64) or "").lower()
    known = lower if re.fullmatch(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", lower) else None
    upper = (_text.word(state, 32) or "").upper()
    return [{"address": target, "netdev": _text.word(netdev, 64), "mac": known, "state": upper if upper in STATES else None}]
