# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/passwd."""

from __future__ import annotations

from typing import Any

from . import text as _text


def read(text: str) -> list[dict[str, Any]]:
    """A list of users: name, uid, gid, home."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        cells = line.split(":")
        uid, gid = (_text.to_int(cells[2]), _text.to_int(cells[3])) if len(cells) >= 7 else (None, None)
        name = _text.word(cells[0], 64)
        if name and uid is not None and len(found) < 10_000:
            found.append({"name": name, "uid": uid, "gid": gid, "home": _text.word(cells[5])})
    return found
