# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ufw status``, /etc/ufw/ufw.conf and /etc/ufw/user.rules."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text


def read(text: str) -> dict[str, Any]:
    """Key active: true or false, null when the text does not tell."""
    for key, value in _text.key_values(text, ":"):
        if key == "Status":
            return {"active": {"active": True, "inactive": False}.get(value)}
    for key, value in _text.key_values(text):
        if key == "ENABLED":
            return {"active": {"yes": True, "no": False}.get(value.lower())}
    return {"active": None}


_TUPLE = re.compile(r"^### tuple ### allow any any 0\.0\.0\.0/0 any (\S+) in_(\S+) comment=([0-9a-f]+)$")


def allowed(text: str, comment: str) -> tuple[str, ...]:
    """The rules of /etc/ufw/user.rules with this comment that let an address in on one interface, as ``INTERFACE ADDRESS``, sorted.

    ufw keeps each rule there as a line of its own beside what iptables gets; the comment is in hexadecimal digits.
    """
    wanted = comment.encode().hex()
    found = (_TUPLE.match(line.rstrip()) for line in _text.lines(text))
    return tuple(sorted(f"{rule.group(2)} {rule.group(1).removesuffix('/32')}" for rule in found if rule and rule.group(3) == wanted))
