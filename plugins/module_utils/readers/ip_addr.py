# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ip addr show``, as JSON (-j) or plain. The short form of -br knows states and addresses only."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

LINKS_LIMIT = 1024
_STATES = ("UP", "DOWN", "UNKNOWN", "LOWERLAYERDOWN", "DORMANT", "NOTPRESENT", "TESTING")
ADDRESSES_LIMIT = 256
_HEAD = re.compile(r"([0-9]{1,9}): ([^\s:@]{1,32})(?:@\S{1,32})?: <([A-Z0-9_,-]{0,300})> mtu ([0-9]{1,7})(.{0,300})")


def read(text: str) -> list[dict[str, Any]]:
    """A list of interfaces: netdev, index, flags (list), mtu (bytes), operstate, mac, addresses (address, prefix_length, family inet or
    inet6, scope, dynamic)."""
    if text.lstrip()[:1] == "[":
        return _from_json(_text.json_value(text))
    links: list[dict[str, Any]] = []
    for line in _text.lines(text):
        stripped = line.strip()
        head = _HEAD.match(stripped)
        brief = stripped.split() if not head and not line.startswith((" ", "\t")) else []
        if len(brief) > 1 and brief[1] in _STATES and len(links) < LINKS_LIMIT:
            links.append(_brief(brief))
            continue
        if head:
            if len(links) >= LINKS_LIMIT:
                break
            words = head.group(5).split()
            state = words[words.index("state") + 1] if "state" in words[:-1] else None
            links.append(_link(head.group(2), int(head.group(1)), head.group(3).split(","), int(head.group(4)), state, None))
            links[-1]["master"] = _text.word(words[words.index("master") + 1], 64) if "master" in words[:-1] else None
        elif links and stripped.startswith("link/"):
            words = stripped.split()
            links[-1]["mac"] = _mac(words[1]) if len(words) > 1 else None
        elif links and stripped.startswith(("inet ", "inet6 ")):
            words = stripped.split()
            local, _separator, prefix = words[1].partition("/") if len(words) > 1 else ("", "", "")
            scope = words[words.index("scope") + 1] if "scope" in words[:-1] else None
            length = _text.to_int(prefix) if prefix else (32 if words[0] == "inet" else 128)
            _add(links[-1], local, length, words[0], scope, "dynamic" in words)
    return links


def _brief(words: list[str]) -> dict[str, Any]:
    """A line of ``ip -br``: name, state, then a MAC with flags, or addresses."""
    flags = next((word.strip("<>").split(",") for word in words[2:] if word.startswith("<")), [])
    link = _link(words[0].partition("@")[0][:64], None, flags, None, words[1], next((_mac(word) for word in words[2:] if _mac(word)), None))
    for word in words[2:]:
        local, slash, prefix = word.partition("/")
        length = _text.to_int(prefix)
        if slash and length is not None and ("." in local or ":" in local):
            _add(link, _text.word(local, 64) or "", length, "inet6" if ":" in local else "inet", None, False)
    return link


def _from_json(data: Any) -> list[dict[str, Any]]:
    links = []
    for item in data[:LINKS_LIMIT] if isinstance(data, list) else []:
        name = _text.word(item.get("ifname"), 64) if isinstance(item, dict) else None
        if name is None:
            continue
        flags = item.get("flags")
        names = [flag for flag in flags[:64] if isinstance(flag, str)] if isinstance(flags, list) else []
        link = _link(
            name,
            _text.to_int(item.get("ifindex")),
            [_text.word(flag, 32) or "" for flag in names],
            _text.to_int(item.get("mtu")),
            _text.word(item.get("operstate"), 32),
            _mac(item.get("address")),
        )
        link["master"] = _text.word(item.get("master"), 64)
        infos = item.get("addr_info")
        for info in infos[:ADDRESSES_LIMIT] if isinstance(infos, list) else []:
            if isinstance(info, dict):
                family = _text.word(info.get("family"), 8) or ""
                length = _text.to_int(info.get("prefixlen"))
                _add(
                    link,
                    _text.word(info.get("local"), 64) or "",
                    length,
                    family,
                    _text.word(info.get("scope"), 32),
                    info.get("dynamic") is True,
                )
        links.append(link)
    return links


def _link(name: str, index: int | None, flags: list[str], mtu: int | None, state: str | None, mac: str | None) -> dict[str, Any]:
    return {"netdev": name, "index": index, "flags": flags, "mtu": mtu, "operstate": state, "mac": mac, "master": None, "addresses": []}


def _mac(value: Any) -> str | None:
    short = (_text.word(value, 64) or "").lower()
    return short if re.fullmatch(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5,19}", short) else None


def _add(link: dict[str, Any], local: str, length: int | None, family: str, scope: str | None, dynamic: bool) -> None:
    if local and length is not None and family in ("inet", "inet6") and len(link["addresses"]) < ADDRESSES_LIMIT:
        link["addresses"].append({"address": local, "prefix_length": length, "family": family, "scope": scope, "dynamic": dynamic})
