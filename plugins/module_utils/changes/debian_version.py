# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare version numbers of Debian packages as dpkg does. Pure."""

from __future__ import annotations

import re
from itertools import zip_longest


def compare(left: str, right: str) -> int:
    """-1 when ``left`` is older, 0 when they are equal, 1 when it is newer (deb-version(7))."""
    epoch_left, upstream_left, revision_left = _split(left)
    epoch_right, upstream_right, revision_right = _split(right)
    if epoch_left != epoch_right:
        return 1 if epoch_left > epoch_right else -1
    return _part(upstream_left, upstream_right) or _part(revision_left, revision_right)


def _split(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdecimal():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return int(epoch), (upstream if dash else rest), (revision if dash else "")


def _part(left: str, right: str) -> int:
    chunks_left, chunks_right = (re.findall(r"(\D*)(\d*)", text) for text in (left, right))
    for (words_left, digits_left), (words_right, digits_right) in zip_longest(chunks_left, chunks_right, fillvalue=("", "")):
        for one, other in zip_longest(words_left, words_right, fillvalue=""):
            if _weight(one) != _weight(other):
                return 1 if _weight(one) > _weight(other) else -1
        one_number, other_number = int(digits_left or 0), int(digits_right or 0)
        if one_number != other_number:
            return 1 if one_number > other_number else -1
    return 0


def _weight(character: str) -> int:
    if character == "~":
        return -1
    if not character:
        return 0
    return ord(character) if character.isalpha() else ord(character) + 256
