# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small tools of the readers: bounded lines and numbers from any text. Nothing here raises on any text."""

from __future__ import annotations

import json
import re
from typing import Any

TEXT_LIMIT = 16 * 1024 * 1024
"""Characters looked at in one text."""

LINE_LIMIT = 4096
"""Characters kept of one line; real lines of every source are far shorter."""

LINES_LIMIT = 200_000
"""Lines looked at in one text."""

VALUE_LIMIT = 1024
"""Characters kept of one value."""

_INT = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?")


_COLOUR = re.compile(r"(?:\x1b|\^\[|#033)(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)?)")
"""What colours a terminal or names its window; logs write the escape out, as ^[ or #033."""


def lines(text: str, limit: int = LINE_LIMIT) -> list[str]:
    """The lines of a text without line ends, NULs and colours, each cut at ``limit`` characters."""
    text = text[:TEXT_LIMIT]
    if "\x1b" in text or "^[" in text or "#033" in text:
        text = _COLOUR.sub("", text)
    parts = text.lstrip("\ufeff").split("\n", LINES_LIMIT)[:LINES_LIMIT]
    return [part[:limit].replace("\x00", "").rstrip("\r") for part in parts]


def to_int(text: Any) -> int | None:
    """A decimal integer, null for anything else."""
    if isinstance(text, bool):
        return None
    if isinstance(text, int):
        return text if abs(text) < 10**19 else None
    word = text.strip() if isinstance(text, str) and len(text) < 64 else ""
    return int(word) if _INT.fullmatch(word) else None


def to_float(text: Any) -> float | None:
    """A decimal number, null for anything else (also for nan and inf)."""
    if isinstance(text, bool):
        return None
    if isinstance(text, (int, float)):
        return float(text) if abs(text) < 10**30 else None
    word = text.strip() if isinstance(text, str) and len(text) < 64 else ""
    return float(word) if _FLOAT.fullmatch(word) else None


def hex_int(text: str | None) -> int | None:
    """A hexadecimal number such as 0x1003, null for anything else."""
    word = (text or "").strip()[:32]
    return int(word, 16) if re.fullmatch(r"(?:0x)?[0-9a-fA-F]{1,16}", word) else None


def word(value: Any, limit: int = VALUE_LIMIT) -> str | None:
    """A short text that can be written as UTF-8, null for what is not text or is empty."""
    if not isinstance(value, str):
        return None
    short = value[:limit].replace("\x00", "").strip()
    return short.encode("utf-8", "replace").decode() or None


def first_line(text: str | None) -> str | None:
    """The first line of a text that is not empty."""
    for line in lines((text or "")[: 4 * LINE_LIMIT]):
        if line.strip():
            return word(line)
    return None


def json_value(text: str) -> Any:
    """The JSON value of a text, null when it is not JSON."""
    if len(text) > TEXT_LIMIT:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def key_values(text: str, separator: str = "=", keep_quotes: bool = False) -> list[tuple[str, str]]:
    """``KEY=value`` lines in order; quotes around the value are optional, also when only one survived a truncation. With
    ``keep_quotes`` the value stays as written, for readers that must know whether it is whole."""
    found = []
    for line in lines(text):
        stripped = line.strip()
        if not stripped or stripped.startswith("#") or separator not in stripped:
            continue
        key, _separator, value = stripped.partition(separator)
        found.append((key.strip(), value.strip() if keep_quotes else unquoted(value)))
    return found


def unquoted(value: str) -> str:
    """A value without the quotes around it."""
    value = value.strip()
    for quote in ('"', "'"):
        if value.startswith(quote):
            return value[1:].partition(quote)[0]
    return value.rstrip('"')


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that orders versions as people do: numbers as numbers, 6.17.0-9 before 6.17.0-1021."""
    parts = re.findall(r"[0-9]+|[^0-9]+", version[:200])
    return tuple((1, int(part), "") if part[0] in "0123456789" else (0, 0, part) for part in parts)
