# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A listing of one RDMA device's GID table: ``gid[3]=0000:...:0a00:0001 type=RoCE v2``, or the table of ``show_gids``."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

_ENTRY = re.compile(r"gid\[([0-9]{1,5})\]\s{0,8}=\s{0,8}([0-9a-fA-F:]{2,39})(?:\s{1,16}type\s{0,8}=\s{0,8}(.{0,64}))?")
_TABLE = re.compile(r"(\S{1,64})\s{1,32}([0-9]{1,5})\s{1,32}([0-9]{1,5})\s{1,32}([0-9a-fA-F:]{39})\s(.{0,128})")
_VERSIONS = {"v1": "IB/RoCE v1", "v2": "RoCE v2"}


def read(text: str) -> list[dict[str, Any]]:
    """A list of used entries: index (int), gid, type (``RoCE v2`` or ``IB/RoCE v1`` as the kernel names it, null when not told),
    ipv4 (when the GID maps one, else null), device and netdev (only ``show_gids`` tells them). Empty slots are left out."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        if len(found) >= 4096:
            break
        entry = _ENTRY.search(line)
        table = None if entry else _TABLE.match(line.strip())
        if entry:
            found += _entry(int(entry.group(1)), entry.group(2), _text.word(entry.group(3)), None, None)
        elif table:
            rest = table.group(5).split()
            kind = next((_VERSIONS[word.lower()] for word in rest if word.lower() in _VERSIONS), None)
            netdev = rest[-1] if rest and rest[-1].lower() not in _VERSIONS else None
            found += _entry(int(table.group(3)), table.group(4), kind, table.group(1), netdev)
    return found


def _entry(index: int, gid: str, kind: str | None, device: str | None, netdev: str | None) -> list[dict[str, Any]]:
    if not gid.replace("0", "").replace(":", ""):
        return []
    return [{"index": index, "gid": gid.lower(), "type": kind, "ipv4": ipv4_of(gid), "device": device, "netdev": netdev}]


def ipv4_of(gid: str) -> str | None:
    """The IPv4 address of a GID of the form ::ffff:a.b.c.d as the kernel prints it, null for other GIDs."""
    groups = gid.lower().split(":")
    if len(groups) != 8 or any(group.strip("0") for group in groups[:5]) or groups[5] != "ffff":
        return None
    if not all(re.fullmatch(r"[0-9a-f]{1,4}", group) for group in groups[6:]):
        return None
    high, low = int(groups[6], 16), int(groups[7], 16)
    return f"{high >> 8}.{high & 255}.{low >> 8}.{low & 255}"
