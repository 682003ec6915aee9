# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an update (/var/lib/dgx_spark/update/journal.json)."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

SCHEMA = "labops.dgx_spark/update/1"
MOST = 4096
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,254}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_-]{0,254}")
_RELEASE = re.compile(r"[A-Za-z0-9._+~-]{1,100}")


def read(text: str) -> dict[str, Any] | None:
    """The journal's values, what is no name or version left out; null for a text that is no journal of this schema."""
    data = _text.json_value(text)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        return None
    phase = _text.word(data.get("phase"), 32)
    if phase is None:
        return None
    return {
        "phase": phase,
        "run_id": _text.word(data.get("run_id"), 100),
        "stack": _text.word(data.get("stack"), 200),
        "before": _versions(data.get("before")),
        "target": _versions(data.get("target")),
        "added": _names(data.get("added")),
        "kept": _specs(data.get("kept")),
        "lost": _specs(data.get("lost")),
        "kernel_before": _release(data.get("kernel_before")),
        "kernel_after": _release(data.get("kernel_after")),
        "firmware": [name for item in _list(data.get("firmware")) if (name := _text.word(item, 200))],
    }


def _list(value: Any) -> list[Any]:
    return value[:MOST] if isinstance(value, list) else []


def _versions(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    items = list(value.items())[:MOST]
    return {name: version for name, version in items if _is(_NAME, name) and _is(_VERSION, version)}


def _names(value: Any) -> list[str]:
    return [item for item in _list(value) if _is(_NAME, item)]


def _specs(value: Any) -> list[str]:
    found = []
    for item in _list(value):
        name, equals, version = item.partition("=") if isinstance(item, str) else ("", "", "")
        if equals and _is(_NAME, name) and _is(_VERSION, version):
            found.append(item)
    return found


def _release(value: Any) -> str | None:
    return value if isinstance(value, str) and _is(_RELEASE, value) else None


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
