# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/locks: which process locks which inode."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

_LINE = re.compile(
    r"[0-9]{1,9}: (->)? {0,4}(POSIX|FLOCK|OFDLCK) {1,8}\S{1,12} {1,8}(READ|WRITE) {1,8}(-?[0-9]{1,10}) "
    r"[0-9a-fA-F]{1,8}:[0-9a-fA-F]{1,8}:([0-9]{1,19}) "
)


def read(text: str) -> list[dict[str, Any]]:
    """A list of locks that are held (not those waited for): pid, inode, write (whether it excludes others)."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        match = _LINE.match(line)
        if match and match.group(1) is None and len(found) < 10_000:
            found.append({"pid": int(match.group(4)), "inode": int(match.group(5)), "write": match.group(3) == "WRITE"})
    return found
