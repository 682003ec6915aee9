# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around a program's output by the time that it reaches us: quotes of a mail, the tags of a launcher or a journal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from html import unescape
from typing import Any

from . import text as _text

FRONT_LIMIT = 200
"""Characters of what a tool puts in front of a line."""
FRONTS = 16
LEAST, LEAST_NUMBERS = 2, 5
"""Lines that must begin alike before what they begin with is taken for a tool's: one may be half a row of the table, and one number alone
needs more of them."""

_XML = re.compile(r"<(std(?:out|err|diag))\b[^<>]{0,200}>(.*?)(?:</\1>|$)")
_XML_ALONE = re.compile(r"^</?(?:mpirun|map|host|process|std(?:out|err|diag))\b[^<>]{0,300}>$")
_MONTH = re.compile("(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)")
_KEYS = ("log", "message", "MESSAGE", "msg", "line")
"""Under which a container engine, a log shipper and ``journalctl -o json`` keep a line."""
_BACK = {'"': re.compile(r'",?\s*$'), "'": re.compile(r"',?\s*$"), "|": re.compile(r"\s*\|\s*$")}
"""What closes a line behind a front that ends with this sign: a list of texts, a key's value, a row of a table."""
_PART = re.compile(r"[0-9]+|[A-Za-z]+| +|.", re.DOTALL)


def bare(lines: Iterable[str]) -> list[str]:
    """The lines without the elements of ``mpirun --xml``, and out of a container engine's JSON."""
    found: list[str] = []
    for line in lines:
        start = line.lstrip()
        if start.startswith('{"'):
            told: Any = _text.json_value(start)
            said = next((told[key] for key in _KEYS if isinstance(told.get(key), str)), None) if isinstance(told, dict) else None
            if said is not None:
                found += said.removesuffix("\n").split("\n")
                continue
        if start.startswith("<") and ("<std" in start or _XML_ALONE.match(start)):
            found += _out_of_xml(start)
            continue
        found.append(line)
    return found


def _out_of_xml(line: str) -> list[str]:
    """The texts of mpirun's elements in a line; a line that is none of them stays."""
    if _XML_ALONE.match(line):
        return []
    pieces = [unescape(found.group(2)) for found in _XML.finditer(line) if found.group(0).startswith(f"<{found.group(1)} ")]
    return [part for piece in pieces for part in piece.rstrip("\n").split("\n")] if pieces else [line]


def without_fronts(lines: list[str], anchor: re.Pattern[str]) -> list[str]:
    """The lines without what a tool put in front of each: quotes, ranks, host names, the journal's time and unit.

    It is learned from lines whose own beginning is known (``anchor``): what stands before that, numbers and times apart, in at least
    `LEAST` of them. Nothing is taken away where those lines begin at once, as they do when nobody put anything there.
    """
    seen: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for line in lines:
        found = anchor.search(line[: FRONT_LIMIT + 64])
        front = line[: found.start()] if found else ""
        if front.strip() and not _like_figures(front):
            seen[_shape(front)] += 1
        elif len(front.split()) == 1:
            numbers[_shape(front)] += 1
    shapes = [shape for shape, count in seen.most_common(FRONTS) if count >= LEAST]
    shapes += [shape for shape, count in numbers.most_common(1) if count >= LEAST_NUMBERS]
    if not shapes:
        return lines
    fronts = re.compile("(?:" + "|".join(sorted(shapes, key=len, reverse=True)) + ")")
    return [_without(line, found) if (found := fronts.match(line)) else _trimmed(line, fronts) for line in lines]


def _without(line: str, front: re.Match[str]) -> str:
    """The line behind its front, and without what closes it where the front opened something."""
    back = _BACK.get(front.group().rstrip()[-1:])
    rest = line[front.end() :]
    return back.sub("", rest) if back else rest


def _trimmed(line: str, fronts: re.Pattern[str]) -> str:
    """An empty line of the output: its front has lost the blank at its end."""
    return "" if len(line) <= FRONT_LIMIT and fronts.fullmatch(line + " ") else line


def _shape(front: str) -> str:
    """A pattern for a front, in which numbers, blanks and the months of times may be others. The blanks at its end are those of the tool:
    more of them belong to the line. Digits of other scripts stand alone (`_PART`), and a number for each of them would have no end of
    ways to match a long one."""
    words = front.rstrip(" ")
    return "".join(
        _MONTH.pattern
        if _MONTH.fullmatch(part)
        else "[0-9]{1,20}"
        if part.isascii() and part.isdecimal()
        else " {1,8}"
        if not part.strip(" ")
        else re.escape(part)
        for part in _PART.findall(words)
    ) + re.escape(front[len(words) :])


def _like_figures(front: str) -> bool:
    """Whether it may be the beginning or the end of a row of the table: it begins with a figure, and holds no sign of a tool's."""
    first = front.split()[0]
    return (_text.to_float(first) is not None or first == "N/A") and not set(front) & set(":[]<>|\t")
