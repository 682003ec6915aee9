# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key files with [sections]: systemd units and NetworkManager profiles."""

from __future__ import annotations

from . import text as _text

KEYS_LIMIT = 2000


def read(text: str) -> dict[str, dict[str, list[str]]]:
    """Section to key to values in order (a key may be given more than once)."""
    sections: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    count = 0
    for line in _text.lines(text):
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            current = sections.setdefault(stripped[1:-1][:100], {})
        elif "=" in stripped and not stripped.startswith(("#", ";")) and count < KEYS_LIMIT:
            count += 1
            key, _separator, value = stripped.partition("=")
            current.setdefault(key.strip()[:100], []).append(_text.word(value) or "")
    return sections
