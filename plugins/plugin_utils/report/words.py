# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from desks made harmless, and numbers made readable. Pure.

A report is read on terminals, by browsers and by parsers, and it may come from somebody else's folder: each rendering passes its input
through here, whatever was checked before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

REPLACEMENT = "�"

LARGEST = 1 << 64
"""What a number must be below, its sign aside: counters of the kernel have 64 bits, and sums of such numbers stay finite."""

_BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_INVISIBLE = {0x00AD, 0x180E, 0x200B, 0x2028, 0x2029, 0x2060, *range(0x2061, 0x2066), *range(0x206A, 0x2070), 0xFEFF}


def _harmful(code: int) -> bool:
    """C0 (but tab and line feed), DEL, C1, what turns or hides text, surrogates, and what XML 1.0 and Unicode call no character."""
    return (
        (code < 0x20 and code not in (0x09, 0x0A))
        or 0x7F <= code <= 0x9F
        or code in _BIDI
        or code in _INVISIBLE
        or 0xD800 <= code <= 0xDFFF
        or 0xFDD0 <= code <= 0xFDEF
        or code & 0xFFFE == 0xFFFE
        or 0xE0000 <= code <= 0xE007F
        or 0xFFF9 <= code <= 0xFFFB
    )


def plain(text: object) -> str:
    """The text with every harmful character replaced; line feeds and tabs stay."""
    words = str(text)
    if words.isascii() and words.isprintable():
        return words
    return "".join(REPLACEMENT if _harmful(ord(char)) else char for char in words)


def line(text: object) -> str:
    """The text in one line."""
    return " ".join(plain(text).split())


def told(text: object) -> str:
    """A sentence in one line that says nothing twice: of a pair called pair_a no "pair pair_a"."""
    return _TWICE.sub(r"\2", line(text))


_TWICE = re.compile(r"\b(pair|stack) ((?i:pair|stack)[\w.-]+)")


def scrubbed(value: Any) -> Any:
    """Plain JSON data with every text (keys too) made harmless and numbers beyond `LARGEST` taken out; what is no JSON becomes text."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {plain(key): scrubbed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [scrubbed(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if -LARGEST < value < LARGEST else None
    return plain(value)


def items(value: Any) -> list[Any]:
    """The value's entries when it is a list, else none."""
    return list(value) if isinstance(value, (list, tuple)) else []


def number(value: Any) -> float | None:
    """The value when it is a number below `LARGEST`, else null: what a desk calls a figure may be anything."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not -LARGEST < value < LARGEST:
        return None
    known = float(value)  # 2**64 - 1 is no float, and its neighbour is too large
    return known if -LARGEST < known < LARGEST else None


def figure(value: Any, digits: int = 1) -> str:
    """A number for a table; a dash for none."""
    known = number(value)
    return "-" if known is None else f"{known:.{digits}f}"


def short(value: float) -> str:
    """A number as people say it: 392, 21.4."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


def size(count: Any) -> str:
    """Bytes as message sizes are told: 32 MiB, 4 GiB."""
    known = number(count)
    if known is None or known < 1:
        return "-"
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if known >= 1 << shift:
            return f"{known / (1 << shift):g} {unit}"
    return f"{known:g} B"


def duration(seconds: Any) -> str:
    """A time span: 4 s, 2 min 05 s, 1 h 03 min."""
    known = number(seconds)
    if known is None:
        return "-"
    whole = max(0, round(known))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def moment(text: Any) -> str:
    """An ISO time for people: 2026-11-23 10:15 UTC."""
    words = line(text)
    if len(words) >= 16 and words[4:5] == "-" and words[10:11] == "T":
        return f"{words[:10]} {words[11:16]} UTC"
    return words


def chosen(stages: Iterable[object]) -> str:
    """That a run had only some of its stages, in words."""
    named = ", ".join(map(line, stages))
    return f"Only these stages were asked for (spark_stages): {named}. The verdicts rest on them alone"
