# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lslocks -J``: held file locks with their paths."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from . import text as _text

LIMIT = 1000


def read(text: str, paths: Collection[str] | None = None) -> list[dict[str, Any]] | None:
    """A list of: command, pid, path. ``paths``: only locks of these files.

    Null for what is no list of locks, and where not all of them were looked at. Without a single lock lslocks prints nothing.
    """
    data = _text.json_value(text) if text.strip() else {"locks": []}
    locks = data.get("locks") if isinstance(data, dict) else None
    if not isinstance(locks, list):
        return None
    found: list[dict[str, Any]] = []
    for item in locks:
        pid = _text.to_int(item.get("pid")) if isinstance(item, dict) else None
        path = _text.word(item.get("path")) if isinstance(item, dict) else None
        if pid is None or path is None or (paths is not None and path not in paths):
            continue
        if len(found) == LIMIT:
            return None
        found.append({"command": _text.word(item.get("command"), 64), "pid": pid, "path": path})
    return found
