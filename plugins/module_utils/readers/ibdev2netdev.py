# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ibdev2netdev``, plain or verbose (-v)."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

_LINE = re.compile(
    r"\bport\s{1,8}([0-9]{1,5})\s{1,8}(?:\(([A-Z]{1,16})\s{0,8}\)\s{1,8})?==>(?:\s{1,8}([^\s(]\S{0,63}))?(?:\s{1,8}\(([A-Za-z]{1,16})\s{0,8}\))?"
)


def read(text: str) -> list[dict[str, Any]]:
    """A list of: device, port (int), netdev (null when the device has none), up (bool, null when not told)."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        match = _LINE.search(line)
        if not match or len(found) >= 256:
            continue
        before = line[: match.start()].split()
        # -v starts with the PCI address, then the device.
        device = next((word for word in before if ":" not in word), None)
        if device is None:
            continue
        state = (match.group(4) or "").lower()
        found.append(
            {
                "device": _text.word(device, 64),
                "port": int(match.group(1)),
                "netdev": match.group(3),
                "up": {"up": True, "down": False}.get(state),
            }
        )
    return found
