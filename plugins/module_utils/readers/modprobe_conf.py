# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of modprobe.d: what in it keeps the driver's module from being loaded."""

from __future__ import annotations

import re

from . import text as _text

LINES_LIMIT = 8

_BLOCKS = re.compile(r"(?:blacklist nvidia|alias nvidia (?:off|null)|install nvidia (?:(?:/usr)?/bin/)?(?:false|true))(?: .*)?")


def read(text: str) -> list[str]:
    """Lines that block the module ``nvidia``: blacklist, alias off, install with a command that does nothing."""
    lines = [" ".join(line.split())[:160] for line in _text.lines(text)]
    return [line for line in lines if _BLOCKS.fullmatch(line)][:LINES_LIMIT]
