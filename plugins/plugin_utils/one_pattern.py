# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pattern that finds many literals, the longest first. Pure.

As a plain list of alternatives each place of a text would be held against every one of them, and a desk may name thousands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_DEPTH = 40
"""Characters that are told apart one by one: each may be a group within a group."""


def literals(values: Iterable[str]) -> str:
    """A pattern (to be compiled without regard to case) for any of the values; empty for none."""
    lowered = sorted({value if len(value.lower()) != len(value) else value.lower() for value in values if value})
    return _any(lowered, 0) if lowered else ""


def _any(values: Sequence[str], depth: int) -> str:
    """A pattern for what follows the characters that all values begin with."""
    if depth >= _DEPTH or len(values) == 1:
        rest = [re.escape(value[depth:]) for value in sorted(values, key=len, reverse=True)]
        return rest[0] if len(rest) == 1 else f"(?:{'|'.join(rest)})"
    whole = any(len(value) == depth for value in values)
    groups: dict[str, list[str]] = {}
    for value in values:
        if len(value) > depth:
            groups.setdefault(value[depth], []).append(value)
    parts = [re.escape(first) + _any(group, depth + 1) for first, group in groups.items()]
    if len(parts) == 1 and not whole:
        return parts[0]
    return f"(?:{'|'.join(parts)}){'?' if whole else ''}"
