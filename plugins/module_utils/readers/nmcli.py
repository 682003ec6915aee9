# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``nmcli -t -f FIELDS ...``: colon-separated fields, a colon inside a value is written with a backslash."""

from __future__ import annotations

from . import text as _text

ROWS_LIMIT = 1000


def read(text: str) -> list[list[str]]:
    """Rows of fields, unescaped."""
    rows: list[list[str]] = []
    for line in _text.lines(text):
        if line and len(rows) < ROWS_LIMIT:
            rows.append(_fields(line))
    return rows


def _fields(line: str) -> list[str]:
    fields, current, escaped = [], "", False
    for letter in line:
        if escaped:
            current, escaped = current + letter, False
        elif letter == "\\":
            escaped = True
        elif letter == ":":
            fields.append(current)
            current = ""
        else:
            current += letter
    fields.append(current)
    return [_text.word(field) or "" for field in fields]
