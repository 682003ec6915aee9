# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lspci -D``, with or without numbers (-n, -nn)."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

_LINE = re.compile(r"([0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]) (.{1,300})")
_IDS = re.compile(r"\b([0-9a-f]{4}):([0-9a-f]{4})\b")


def read(text: str) -> list[dict[str, Any]]:
    """A list of: pci_address (lower case), description, vendor and device (hexadecimal without 0x, null when not printed)."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        match = _LINE.match(line.strip())
        if not match or len(found) >= 1024:
            continue
        ids = _IDS.search(match.group(2))
        found.append(
            {
                "pci_address": match.group(1).lower(),
                "description": _text.word(match.group(2)),
                "vendor": ids.group(1) if ids else None,
                "device": ids.group(2) if ids else None,
            }
        )
    return found
