# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ethtool -i IF``."""

from __future__ import annotations

from typing import Any

from . import text as _text


def read(text: str) -> dict[str, Any]:
    """Keys: driver, version, firmware (number alone), board_id (PSID), bus_info (PCI address). Null for what is absent."""
    values = dict(_text.key_values(text, ":"))
    firmware, _separator, board = values.get("firmware-version", "").partition(" (")
    return {
        "driver": _text.word(values.get("driver")),
        "version": _text.word(values.get("version")),
        "firmware": _text.word(firmware),
        "board_id": _text.word(board.rstrip(")")),
        "bus_info": _text.word(values.get("bus-info")),
    }
