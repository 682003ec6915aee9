# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for cables: which parts NVIDIA approves, and whose a MAC address is. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A cable that is known to work between two desks."""

    vendor: str
    number: str
    approved: bool
    """True: on NVIDIA's list. False: owners report that it works."""
    length_m: float | None = None
    source: str = ""


NVIDIA_LIST = "NVIDIA dgx-spark-playbooks, connect-two-sparks: approved QSFP cables"
OWNERS = "reports of owners"

PARTS: tuple[Part, ...] = (
    Part("Amphenol", "NJAAKK-N911", True, 0.4, NVIDIA_LIST),
    Part("Amphenol", "NJAAKK0006", True, 0.5, NVIDIA_LIST),
    Part("Luxshare", "LMTQF022-SD-R", True, 0.4, NVIDIA_LIST),
    Part("Amphenol", "NJAAKR-0006", False, None, OWNERS),
    Part("Lenovo", "4X91U42988", False, None, OWNERS),
    Part("Mellanox", "QSFP-200G-CU0.5M", False, 0.5, OWNERS),
)


def known_part(vendor: str | None, number: str | None) -> Part | None:
    """The listed part with this number (case, blanks and hyphens do not count). The vendor must agree when it was read.

    Speed and length fields of the plug's memory are not asked: an approved 0.4 m cable says "40G Base-CR4" and 1 m.
    """
    if not number:
        return None
    made_by = _plain(vendor or "")
    for part in PARTS:
        if _plain(part.number) == _plain(number) and (not made_by or _plain(part.vendor) in made_by or made_by in _plain(part.vendor)):
            return part
    return None


def _plain(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


VENDORS: dict[str, str] = {
    "00:02:c9": "Mellanox (NVIDIA)",
    "00:25:8b": "Mellanox (NVIDIA)",
    "04:3f:72": "Mellanox (NVIDIA)",
    "08:c0:eb": "Mellanox (NVIDIA)",
    "0c:42:a1": "Mellanox (NVIDIA)",
    "10:70:fd": "Mellanox (NVIDIA)",
    "1c:34:da": "Mellanox (NVIDIA)",
    "24:8a:07": "Mellanox (NVIDIA)",
    "50:6b:4b": "Mellanox (NVIDIA)",
    "7c:fe:90": "Mellanox (NVIDIA)",
    "90:0a:84": "Mellanox (NVIDIA)",
    "94:6d:ae": "Mellanox (NVIDIA)",
    "98:03:9b": "Mellanox (NVIDIA)",
    "9c:05:91": "Mellanox (NVIDIA)",
    "b8:3f:d2": "Mellanox (NVIDIA)",
    "b8:59:9f": "Mellanox (NVIDIA)",
    "b8:ce:f6": "Mellanox (NVIDIA)",
    "e4:1d:2d": "Mellanox (NVIDIA)",
    "e8:eb:d3": "Mellanox (NVIDIA)",
    "ec:0d:9a": "Mellanox (NVIDIA)",
    "f4:52:14": "Mellanox (NVIDIA)",
    "00:04:4b": "NVIDIA",
    "48:b0:2d": "NVIDIA",
    "00:0c:42": "MikroTik",
    "08:55:31": "MikroTik",
    "18:fd:74": "MikroTik",
    "2c:c8:1b": "MikroTik",
    "48:8f:5a": "MikroTik",
    "4c:5e:0c": "MikroTik",
    "64:d1:54": "MikroTik",
    "6c:3b:6b": "MikroTik",
    "74:4d:28": "MikroTik",
    "b8:69:f4": "MikroTik",
    "c4:ad:34": "MikroTik",
    "cc:2d:e0": "MikroTik",
    "d4:ca:6d": "MikroTik",
    "dc:2c:6e": "MikroTik",
    "e4:8d:8c": "MikroTik",
    "64:9d:99": "FS.com",
}
"""The first three bytes of a MAC address to its vendor, from the public IEEE OUI list; only vendors met around these desks:
network adapters of NVIDIA and the switches that owners use."""


def mac_vendor(mac: str) -> str:
    """Whose a MAC address is, in words."""
    vendor = VENDORS.get(mac[:8].lower())
    if vendor:
        return vendor
    try:
        local = bool(int(mac[:2], 16) & 2)
    except ValueError:
        return "not a MAC address"
    return "locally administered: virtual, or changed by software" if local else f"vendor {mac[:8].lower()} (not listed here)"
