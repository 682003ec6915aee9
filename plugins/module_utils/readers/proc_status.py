# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/PID/status."""

from __future__ import annotations

from typing import Any

from . import text as _text


def read(text: str) -> dict[str, Any]:
    """Keys: name, uid (effective), parent (pid). Null for what is absent."""
    values = dict(_text.key_values(text, ":"))
    uids = values.get("Uid", "").split()
    return {
        "name": _text.word(values.get("Name"), 64),
        "uid": _text.to_int(uids[1]) if len(uids) > 1 else None,
        "parent": _text.to_int(values.get("PPid")),
    }
