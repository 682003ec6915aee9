# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ethtool -m IF``: the EEPROM of the plugged cable.

The approved cables carry misleading speed and length fields (NVIDIA dgx-spark-playbooks; community EEPROM dump), so vendor name and
part number are what identifies a cable.
"""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

_LENGTH = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,4})?)\s?(m|km)")
_NO_MODULE = ("Input/output error", "Invalid argument", "No such device", "No data available", "module is not present")
"""Answers of a cage without a cable. A refusal (no root, no support by the driver) says nothing about one."""
_ERRORS = ("netlink error", "Cannot get module EEPROM", "Cannot get Module EEPROM", "Operation not permitted", "No data available")


def read(text: str) -> dict[str, Any]:
    """Keys: vendor_name, vendor_pn, vendor_rev, vendor_sn, identifier, connector, transceiver_type, technology, length_m (metres as
    the EEPROM says), present (whether a module is plugged; null when nobody was
    allowed to ask), error, values (every field, name to text). Null for what is not there."""
    values: dict[str, str] = {}
    error: str | None = None
    for line in _text.lines(text):
        if any(phrase in line for phrase in _ERRORS):
            error = error or _text.word(line)
            continue
        name, colon, value = line.partition(" : ")
        if not colon:
            name, colon, value = line.partition(":")
        name = " ".join(name.split())
        short = _text.word(value)
        if colon and short is not None and 0 < len(name) <= 80 and len(values) < 300:
            values.setdefault(name, short)
    length = _LENGTH.match(values.get("Length (Copper or Active cable)") or values.get("Cable assembly length") or "")
    return {
        "vendor_name": values.get("Vendor name"),
        "vendor_pn": values.get("Vendor PN"),
        "vendor_rev": values.get("Vendor rev") or values.get("Vendor Rev"),
        "vendor_sn": values.get("Vendor SN"),
        "identifier": values.get("Identifier"),
        "connector": values.get("Connector"),
        "transceiver_type": values.get("Transceiver type"),
        "technology": values.get("Transmitter technology"),
        "length_m": float(length.group(1)) * (1000 if length.group(2) == "km" else 1) if length else None,
        "present": _present(values, error),
        "error": error,
        "values": values,
    }


def _present(values: dict[str, str], error: str | None) -> bool | None:
    identifier = values.get("Identifier", "")
    if identifier.startswith("0x00"):
        return False
    if identifier or "Vendor PN" in values:
        return True
    return False if error and any(phrase in error for phrase in _NO_MODULE) else None
