# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``apt list --installed`` and ``apt list --upgradable``, as somebody pastes them; a live desk's database is read instead."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text
from .dpkg_status import PACKAGES_LIMIT, entry

_LINE = re.compile(r"([a-z0-9][a-z0-9+.-]{1,99})/\S{1,200} (\S{1,200}) (\S{1,32}) \[([^\]]{1,200})\]")
_OLD = re.compile(r"upgradable from: (\S{1,200})")


def read(text: str, only_installed: bool = False) -> list[dict[str, Any]]:
    """A list of the installed packages with the keys of `dpkg_status`. The wanted action is not told (null). Of a package that could be
    upgraded the version that is installed counts. ``only_installed``: apt was asked for nothing else, so a state in another language is
    this one."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        row = _LINE.match(line)
        if row is None or len(found) >= PACKAGES_LIMIT:
            continue
        old = _OLD.search(row.group(4))
        if old or only_installed or row.group(4).startswith("installed"):
            version = old.group(1) if old else row.group(2)
            found += [item | {"want": None} for item in entry(row.group(1), version, row.group(3), "unknown ok installed")]
    return found
