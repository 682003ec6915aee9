# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/group."""

from __future__ import annotations

from typing import Any

from . import text as _text


def read(text: str) -> list[dict[str, Any]]:
    """A list of groups: name, gid, members (user names)."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        cells = line.split(":")
        gid = _text.to_int(cells[2]) if len(cells) >= 4 else None
        name = _text.word(cells[0], 64)
        if name and gid is not None and len(found) < 10_000:
            found.append({"name": name, "gid": gid, "members": [member for member in cells[3].split(",") if member]})
    return found
