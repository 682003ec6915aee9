# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ethtool -S IF``: the counters of an interface."""

from __future__ import annotations

from . import text as _text

COUNTERS_LIMIT = 5000


def read(text: str) -> dict[str, int]:
    """Counter name to value."""
    found: dict[str, int] = {}
    for key, value in _text.key_values(text, ":"):
        number = _text.to_int(value)
        if number is not None and 0 < len(key) <= 100 and len(found) < COUNTERS_LIMIT:
            found.setdefault(key, number)
    return found
