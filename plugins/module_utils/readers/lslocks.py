# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lslocks -J``: held file locks with their paths."""

from __future__ import annotations

from typing import Any

from . import text as _text


def read(text: str) -> list[dict[str, Any]]:
    """A list of: command, pid, path."""
    data = _text.json_value(text)
    locks = data.get("locks") if isinstance(data, dict) else None
    found = []
    for item in locks[:10_000] if isinstance(locks, list) else []:
        pid = _text.to_int(item.get("pid")) if isinstance(item, dict) else None
        path = _text.word(item.get("path")) if isinstance(item, dict) else None
        if pid is not None and path is not None:
            found.append({"command": _text.word(item.get("command"), 64), "pid": pid, "path": path})
    return found
