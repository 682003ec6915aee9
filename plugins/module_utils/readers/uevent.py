# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sysfs ``uevent`` file: KEY=value lines about a device."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text


def read(text: str) -> dict[str, Any]:
    """Keys: driver, pci_address (lower case), pci_vendor and pci_device (hexadecimal, lower case). Null for what is absent."""
    values = dict(_text.key_values(text))
    vendor, _separator, device = values.get("PCI_ID", "").lower().partition(":")
    slot = values.get("PCI_SLOT_NAME", "").lower()
    return {
        "driver": _text.word(values.get("DRIVER"), 64),
        "pci_address": slot if re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", slot) else None,
        "pci_vendor": vendor if re.fullmatch(r"[0-9a-f]{4}", vendor) else None,
        "pci_device": device if re.fullmatch(r"[0-9a-f]{4}", device) else None,
    }
