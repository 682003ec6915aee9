# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libraries that the loader knows: ``ldconfig -p``."""

from __future__ import annotations

import re

NAME_LIMIT = 20_000
_LINE = re.compile(r"^\s{1,8}(\S{1,255}) \(([^)]{0,100})\) => \S", re.MULTILINE)


def read(text: str) -> tuple[str, ...]:
    """Names of the 64-bit libraries, sorted; empty when the text is no such list."""
    names = {name for name, kind in _LINE.findall(text) if "AArch64" in kind or "x86-64" in kind}
    return tuple(sorted(names))[:NAME_LIMIT]
