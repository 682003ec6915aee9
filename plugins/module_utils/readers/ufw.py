# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ufw status`` and /etc/ufw/ufw.conf."""

from __future__ import annotations

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
