# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a pip requirements file: requirements, and options that concern the index. What pip itself makes of a line is pip's."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

LINE_LIMIT = 1000
SIZE_LIMIT = 1 << 20
_OPTION = re.compile(r"(?:(?<!\s)\s+)?--(?:hash|config-settings|global-option)[= ]\S+")
"""With the blanks in front of it, which are looked for where they begin: a line may hold a million of them."""
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?)\s*(?=$|[\[<>=!~;@ (])")


@dataclass(frozen=True)
class Line:
    """One line, continued lines joined."""

    number: int
    text: str
    """Without comment and without --hash options."""
    project: str | None = None
    """Null for a path, a link without a name, and what is no requirement."""
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lines:
    """What the file holds."""

    requirements: tuple[Line, ...] = ()
    includes: tuple[tuple[str, str], ...] = ()
    """(-r or -c, file name)"""
    index: str | None = None
    extra_indexes: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """Lines that are left out, each with why."""


def lines(text: str) -> Lines:
    """The lines of a file."""
    requirements: list[Line] = []
    includes: list[tuple[str, str]] = []
    extra: list[str] = []
    links: list[str] = []
    problems: list[str] = []
    index = None
    for number, line in _joined(text[:SIZE_LIMIT]):
        if len(requirements) >= LINE_LIMIT:
            problems.append(f"only the first {LINE_LIMIT} requirements are looked at")
            break
        option = re.match(r"(-r|--requirement|-c|--constraint|-i|--index-url|--extra-index-url|-f|--find-links)[ =]?\s*(\S.*)", line)
        if option:
            name, value = option.group(1), option.group(2).strip()
            if name in ("-r", "--requirement", "-c", "--constraint"):
                includes.append(("-r" if name in ("-r", "--requirement") else "-c", value))
                continue
            # pip takes more options on the same line, which could name any file.
            value, *more = _words(value)
            if more:
                problems.append(f"line {number}: what follows the link of an index is not read; give each option a line of its own")
            if name in ("-i", "--index-url"):
                index = value
            elif name == "--extra-index-url":
                extra.append(value)
            else:
                links.append(value)
        elif line.startswith(("-e", "--editable")):
            problems.append(f"line {number}: an editable requirement is built on the desk and is not examined")
        elif line.startswith("-"):
            if not re.match(r"--(?:pre|no-binary|only-binary|prefer-binary|require-hashes|no-index|trusted-host|use-feature)\b", line):
                # The name alone: what stands behind it may be a proxy's password.
                named = re.split(r"[=\s]", line, maxsplit=1)[0][:60]
                problems.append(f"line {number}: {named!r} is not an option of a requirements file")
        else:
            hashes = tuple(re.findall(r"--hash[= ](\S+)", line))
            bare = _OPTION.sub("", line).strip()
            name_found = _NAME.match(bare)
            requirements.append(Line(number, bare, name_found.group(1) if name_found else None, hashes))
    return Lines(tuple(requirements), tuple(includes), index, tuple(extra), tuple(links), tuple(problems))


def _words(value: str) -> list[str]:
    """The words of an option's value as pip splits them; never none."""
    try:
        return shlex.split(value) or [""]
    except ValueError:
        return value.split()


def _joined(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    held, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(?:^|\s)#.*$", "", raw).rstrip()
        start = start or number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        whole = (held + line).strip()
        if whole:
            found.append((start, whole))
        held, start = "", 0
    if held.strip():
        found.append((start, held.strip()))
    return found
