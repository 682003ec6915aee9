# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/locks: which process locks which file."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from . import text as _text

LIMIT = 1000
"""Locks of a list at most; of the files that are asked for an honest desk has a handful."""

_LINE = re.compile(
    r"[0-9]{1,9}: (->)? {0,4}(POSIX|FLOCK|OFDLCK) {1,8}\S{1,12} {1,8}(READ|WRITE) {1,8}(-?[0-9]{1,10}) "
    r"([0-9a-fA-F]{1,8}):([0-9a-fA-F]{1,8}):([0-9]{1,19}) "
)


def device(number: int) -> str:
    """A device as ``stat -c %d`` prints it, in the form of a mount's MAJ:MIN."""
    major = (number >> 8 & 0xFFF) | (number >> 32 & ~0xFFF)
    return f"{major}:{(number & 0xFF) | (number >> 12 & 0xFFFFFF00)}"


def read(text: str, files: Collection[tuple[str | None, int]] | None = None) -> list[dict[str, Any]] | None:
    """A list of locks that are held (not those waited for): pid, device (as a mount's MAJ:MIN), inode, write (whether it excludes others).

    ``files``: only locks of these, each a device and an inode; device null is any. Everybody may take as many locks as they like, so only
    those count against the limit. Null where not all of them were looked at: nobody can tell then who holds a file.
    """
    if len(text) > _text.TEXT_LIMIT or text.count("\n") > _text.LINES_LIMIT:
        return None
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        match = _LINE.match(line)
        if match is None or match.group(1) is not None:
            continue
        place, inode = f"{int(match.group(5), 16)}:{int(match.group(6), 16)}", int(match.group(7))
        if files is not None and (place, inode) not in files and (None, inode) not in files:
            continue
        if len(found) == LIMIT:
            return None
        found.append({"pid": int(match.group(4)), "device": place, "inode": inode, "write": match.group(3) == "WRITE"})
    return found
