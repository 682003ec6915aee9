# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/driver/nvidia/gpus/*/information."""

from __future__ import annotations

from typing import Any

from . import text as _text


def read(text: str) -> dict[str, Any]:
    """Keys: model, firmware (GSP firmware version), vbios, bus_id. Null for what is absent or shown as question marks."""
    values = dict(_text.key_values(text, ":"))
    names = {"model": "Model", "firmware": "GPU Firmware", "vbios": "Video BIOS", "bus_id": "Bus Location"}
    found = {key: _text.word(values.get(name), 100) for key, name in names.items()}
    return {key: None if value is None or "?" in value or value == "N/A" else value for key, value in found.items()}
