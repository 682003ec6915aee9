# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/os-release and files like it (/etc/fastos-release)."""

from __future__ import annotations

from typing import Any

from . import text as _text

KEYS_LIMIT = 100


def read(text: str) -> dict[str, Any]:
    """Every key of the file in lower case; id, name, version, version_id, pretty_name and version_codename are always there,
    null when the file does not give them."""
    found: dict[str, Any] = dict.fromkeys(("id", "name", "version", "version_id", "pretty_name", "version_codename"))
    for line in _text.lines(text):
        # fastos-release writes its pairs on one line: NAME="..." VERSION="..."
        for key, value in _pairs(line):
            if len(found) < KEYS_LIMIT:
                found[key.lower()] = _text.word(value)
    return found


def _pairs(line: str) -> list[tuple[str, str]]:
    rest = line.strip()
    pairs: list[tuple[str, str]] = []
    while rest and not rest.startswith("#") and "=" in rest and len(pairs) < KEYS_LIMIT:
        key, _separator, rest = rest.partition("=")
        key = key.strip()
        if not key.isascii() or not key.replace("_", "").isalnum() or len(key) > 64:
            break
        if rest[:1] in ('"', "'"):
            quote = rest[0]
            value, _separator, rest = rest[1:].partition(quote)
        else:
            value, _separator, rest = rest.partition(" ") if "=" in rest else (rest, "", "")
        pairs.append((key, value))
        rest = rest.strip()
    return pairs
