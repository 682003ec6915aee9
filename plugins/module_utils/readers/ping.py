# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ping -6 ff02::1%IF``: who answered. The sender's own answer is among them; only the neighbour table tells whose is whose."""

from __future__ import annotations

import re

from . import text as _text

ANSWERS_LIMIT = 4096
_ANSWER = re.compile(r"^[0-9]{1,6} bytes from ([0-9a-f:.]{2,45})(?:%[^\s:]{1,32})?(?: \([^)]{1,80}\))?[:\s]", re.IGNORECASE)


def read(text: str) -> list[str]:
    """The addresses that answered, each once, in lower case without their interface."""
    found: dict[str, None] = {}
    for line in _text.lines(text):
        match = _ANSWER.match(line)
        if match and len(found) < ANSWERS_LIMIT:
            address = match.group(1).lower()
            found[address[:-1] if address.endswith(":") and not address.endswith("::") else address] = None
    return list(found)
