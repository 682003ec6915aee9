# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A listing of one RDMA device's GID table, in any of the layouts that people paste.

``gid[3]=0000:...:0a00:0001 type=RoCE v2`` (a loop over sysfs), ``.../ports/1/gids/3:0000:...`` with ``.../gid_attrs/types/3:RoCE v2``
(grep over sysfs), ``GID[  3]: ::ffff:10.0.0.1, RoCE v2`` (ibv_devinfo -v), ``3: 0000:... RoCE v2``, and the table of ``show_gids``.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from . import text as _text

ENTRIES_LIMIT = 4096

_GID = r"(?P<gid>[0-9a-fA-F:.]{2,45})(?![0-9a-zA-Z:.])"
_KIND = re.compile(r"\b(?:(?:IB/)?RoCE )?v([12])\b", re.IGNORECASE)
_ENTRY = re.compile(r"\bgid\s{0,4}\[\s{0,4}(?P<index>[0-9]{1,5})\s{0,4}\]\s{0,8}[=:]\s{0,16}" + _GID + r"(?P<rest>.{0,128})", re.IGNORECASE)
_PATH = re.compile(
    r"(?:infiniband/(?P<device>[^/\s]{1,64})/\S{0,64}|^|/)gids/(?P<index>[0-9]{1,5})\s{0,4}[:=]\s{0,8}" + _GID + r"(?P<rest>.{0,128})"
)
_TYPE = re.compile(
    r"(?:infiniband/(?P<device>[^/\s]{1,64})/\S{0,64}|^|/)gid_attrs/types/(?P<index>[0-9]{1,5})\s{0,4}[:=]\s{0,8}(?P<rest>.{1,128})"
)
_NUMBERED = re.compile(r"\s{0,32}(?P<index>[0-9]{1,5})\s{0,4}[:=\s]\s{0,16}" + _GID + r"(?P<rest>.{0,128})")
_TABLE = re.compile(
    r"(?P<device>\S{1,64})\s{1,32}[0-9]{1,5}\s{1,32}(?P<index>[0-9]{1,5})\s{1,32}(?P<gid>[0-9a-fA-F:]{39})\s(?P<rest>.{0,128})"
)
_KINDS = {"1": "IB/RoCE v1", "2": "RoCE v2"}


def read(text: str) -> list[dict[str, Any]]:
    """A list of used entries: index (int), gid (eight groups of four digits), type (``RoCE v2`` or ``IB/RoCE v1`` as the kernel
    names it, null when not told), ipv4 (when the GID maps one, else null), device and netdev (only some layouts tell them). Empty
    slots are left out, and so are entries that were cut off."""
    found: list[dict[str, Any]] = []
    kinds: dict[tuple[str | None, int], str | None] = {}
    for line in _text.lines(text):
        if len(found) >= ENTRIES_LIMIT:
            break
        typed = _TYPE.search(line)
        if typed and len(kinds) < ENTRIES_LIMIT:
            kinds[_text.word(typed.group("device")), int(typed.group("index"))] = _kind(typed.group("rest"))
            continue
        table = _TABLE.match(line.strip())
        entry = table or _ENTRY.search(line) or _PATH.search(line) or _NUMBERED.match(line)
        gid = full(entry.group("gid")) if entry else None
        if entry is None or gid is None or not gid.strip("0:"):
            continue
        named = entry.groupdict()
        found.append(
            {
                "index": int(named["index"]),
                "gid": gid,
                "type": _kind(named["rest"]),
                "ipv4": ipv4_of(gid),
                "device": _text.word(named.get("device")),
                "netdev": _netdev(named["rest"]) if table else None,
            }
        )
    return [entry | {"type": entry["type"] or kinds.get((entry["device"], entry["index"]))} for entry in found]


def _kind(rest: str) -> str | None:
    named = _KIND.search(rest)
    return _KINDS[named.group(1)] if named else None


def _netdev(rest: str) -> str | None:
    words = rest.split()
    return _text.word(words[-1]) if words and words[-1].lower() not in ("v1", "v2") else None


def full(gid: str) -> str | None:
    """A GID as the kernel prints it (eight groups of four lower-case digits), null for what is no whole GID."""
    try:
        digits = ipaddress.IPv6Address(gid.strip()).packed.hex()
    except ValueError:
        return None
    return ":".join(digits[place : place + 4] for place in range(0, 32, 4))


def ipv4_of(gid: str) -> str | None:
    """The IPv4 address of a GID of the form ::ffff:a.b.c.d, null for other GIDs."""
    try:
        mapped = ipaddress.IPv6Address(gid.strip()).ipv4_mapped
    except ValueError:
        return None
    return str(mapped) if mapped is not None else None
