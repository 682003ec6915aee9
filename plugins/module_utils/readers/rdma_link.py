# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rdma link show``, plain or as JSON (-j)."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

LINKS_LIMIT = 256
_NAME = re.compile(r"([A-Za-z0-9_.+-]{1,64})/([0-9]{1,5}):?")


def read(text: str) -> list[dict[str, Any]]:
    """A list of links: device, port (int), state (ACTIVE, DOWN ...), physical_state (LINK_UP, DISABLED ...), netdev; null for what is
    not told."""
    if text.lstrip()[:1] == "[":
        return _from_json(_text.json_value(text))
    links: list[dict[str, Any]] = []
    for line in _text.lines(text):
        words = line.split()
        # iproute2 writes "link DEV/PORT ..." since 4.20 and wrote "1/1: DEV/PORT: ..." before.
        names = [(number, _NAME.fullmatch(word)) for number, word in enumerate(words[:3])]
        named = [(number, found) for number, found in names if found and not found.group(1).isdecimal()]
        if not named or len(links) >= LINKS_LIMIT:
            continue
        number, found = named[0]
        rest = words[number + 1 :]
        facts = {key: rest[place + 1] for place, key in enumerate(rest[:-1]) if key in ("state", "physical_state", "netdev")}
        if "state" not in facts:
            continue
        links.append(_link(found.group(1), _text.to_int(found.group(2)), facts))
    return links


def _from_json(data: Any) -> list[dict[str, Any]]:
    if not isinstance(data, list):
        return []
    found = []
    for item in data[:LINKS_LIMIT]:
        if isinstance(item, dict) and _text.word(item.get("ifname")):
            found.append(_link(_text.word(item.get("ifname")), _text.to_int(item.get("port")), item))
    return found


def _link(device: str | None, port: int | None, facts: Any) -> dict[str, Any]:
    return {
        "device": device,
        "port": port,
        "state": _text.word(facts.get("state")),
        "physical_state": _text.word(facts.get("physical_state")),
        "netdev": _text.word(facts.get("netdev")),
    }
