# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels and entries of GRUB's menu that somebody named: how they are found in texts, and stand-ins for titles. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from . import recording_names as names

RELEASE = r"(?<![\w.])\d{1,4}\.\d{1,5}(?:\.\d{1,5})?[-+~][\w.+~-]{1,80}"
"""A kernel release within a text."""
_RELEASE = re.compile(RELEASE)
_AFTER_IT = re.compile(r"-(?:advanced|recovery|simple|fallback)(?:-.*|$)|\.(?:old|bak|efi|signed|sig|dpkg-\w+)$|[.+~-]+$")
"""What GRUB's ids and names of /boot put behind a release."""
_IN_A_NAME = re.compile(r"(?:(?:vmlinu[xz]|initrd\.img|config|System\.map|linux-headers)-)?(\d+\.\d+[\w.+~-]*)")


def release_of(name: str) -> str | None:
    """The kernel release that a name of /boot or of a folder of modules carries, if somebody else than the distribution named it."""
    found = _IN_A_NAME.fullmatch(name)
    release = _AFTER_IT.sub("", found.group(1)) if found else ""
    return release if len(release) > 4 and not names.plain(release) else None


def releases_in(text: str) -> Iterator[str]:
    """The kernel releases in a text that somebody else than the distribution named."""
    for found in _RELEASE.finditer(text):
        release = release_of(_AFTER_IT.sub("", found.group()))
        if release:
            yield release


_TITLE = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|(?<==)[^\n\"']+")
_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LETTERS = re.compile(r"[^\W\d_]+")


def retitled(texts: Mapping[str, str]) -> dict[str, str]:
    """GRUB's files with each word that somebody chose for a title replaced, the same word by the same stand-in in all of them."""
    chosen: set[str] = set()
    for text in texts.values():
        for title in _TITLE.findall(text):
            chosen.update(names.odd_words(_ID.sub("", title)))
    numbers = {word: f"title{number}" for number, word in enumerate(sorted(chosen), start=1)}

    def words(title: str) -> str:
        kept, places = _ID.split(title), [*_ID.findall(title), ""]
        return "".join(
            _LETTERS.sub(lambda found: numbers.get(found.group(), found.group()), part) + place
            for part, place in zip(kept, places, strict=True)
        )

    return {path: _TITLE.sub(lambda found: words(found.group()), text) for path, text in texts.items()}
