# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of one project in a package index, as HTML (PEP 503) or JSON (PEP 691): its files."""

from __future__ import annotations

import html.parser
import json
import re
from dataclasses import dataclass
from typing import Any

FILE_LIMIT = 50_000
LINK_LIMIT = 4096
"""Characters of one link that are parsed; Python's parser takes the square of their number, in hours for a whole page."""
_LINK = re.compile(r"(?=<a\s)", re.IGNORECASE)
_ESCAPE = re.compile(r"%([0-7][0-9A-Fa-f])")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}")


@dataclass(frozen=True)
class IndexFile:
    """One file of a project."""

    filename: str
    url: str
    sha256: str | None = None
    size: int | None = None
    yanked: bool = False
    requires_python: str | None = None


class IndexPageError(ValueError):
    """The page is no project page."""


def files(kind: str, text: str) -> tuple[IndexFile, ...]:
    """The files of a page; ``kind`` is its content type. Links are as they stand there. Raises IndexPageError."""
    return _of_json(text) if kind.endswith("json") else _of_html(text)


def normal(name: str) -> str:
    """A project's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _of_json(text: str) -> tuple[IndexFile, ...]:
    try:
        data = json.loads(text)
        entries = data["files"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IndexPageError("the index gave no page of a project") from None
    found = []
    for item in entries[:FILE_LIMIT] if isinstance(entries, list) else ():
        if not isinstance(item, dict):
            continue
        hashes = item.get("hashes")
        made = _file(item.get("filename"), item.get("url"), hashes.get("sha256") if isinstance(hashes, dict) else None)
        size = item.get("size")
        if made is not None:
            whole = size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**50 else None
            python = item.get("requires-python")
            python = python[:200] if isinstance(python, str) else None
            found.append(IndexFile(made.filename, made.url, made.sha256, whole, bool(item.get("yanked")), python))
    return tuple(found)


def _of_html(text: str) -> tuple[IndexFile, ...]:
    page = _Page()
    try:
        for part in _LINK.split(text):
            page.reset()
            page.feed(part[:LINK_LIMIT])
    except (ValueError, AssertionError):
        raise IndexPageError("the index gave no page of a project") from None
    found = []
    for href, yanked, python in page.links[:FILE_LIMIT]:
        bare, _hash, fragment = href.partition("#")
        name = _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), bare.rpartition("/")[2])
        digest = re.match(r"sha256=([0-9a-f]{64})", fragment)
        made = _file(name, bare, digest.group(1) if digest else None)
        if made is not None:
            found.append(IndexFile(made.filename, made.url, made.sha256, None, yanked, python))
    return tuple(found)


def _file(name: Any, link: Any, sha256: Any) -> IndexFile | None:
    if (
        not isinstance(name, str)
        or not isinstance(link, str)
        or not _NAME.fullmatch(name)
        or not name.endswith((".whl", ".tar.gz", ".zip", ".tar.bz2"))
    ):
        return None
    digest = sha256 if isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256) else None
    return IndexFile(name, link[:4096], digest)


class _Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, bool, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" and len(self.links) < FILE_LIMIT:
            given = dict(attrs)
            if given.get("href"):
                python = given.get("data-requires-python")
                self.links.append((str(given["href"]), "data-yanked" in given, python[:200] if python else None))
