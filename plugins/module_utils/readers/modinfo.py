# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``modinfo nvidia``, or the one line of ``modinfo -F license nvidia``."""

from __future__ import annotations

from typing import Any

from . import text as _text

_KEYS = ("filename", "version", "license", "srcversion", "vermagic", "firmware")


def read(text: str) -> dict[str, Any]:
    """Keys: filename, version, license, srcversion, vermagic, firmware; null for what is absent. A text of one line without a key is a
    licence."""
    result: dict[str, Any] = dict.fromkeys(_KEYS)
    if "modinfo: ERROR" in text[:65536]:
        return result
    for key, value in _text.key_values(text, ":"):
        if key in _KEYS and result[key] is None:
            result[key] = _text.word(value)
    only = [line for line in _text.lines(text) if line.strip()]
    if len(only) == 1 and ":" not in only[0]:
        result["license"] = _text.word(only[0], 80)
    return result
