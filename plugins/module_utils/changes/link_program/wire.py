# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has an address, asked on the wire."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

from .names import ETH_P_ARP

MOST = 16
"""MACs that are told: a neighbour may answer with as many as it likes."""


def probe(netdev: str, address: str, seconds: float = 1.5) -> dict[str, Any]:
    """Ask the wire who has an IPv4 address (ARP probe, RFC 5227): the MACs that answered."""
    found: set[str] = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as wire:
        wire.bind((netdev, ETH_P_ARP))
        mine = wire.getsockname()[4]
        target = socket.inet_aton(address)
        packet = struct.pack("!6s6sHHHBBH6s4s6s4s", b"\xff" * 6, mine, ETH_P_ARP, 1, 0x0800, 6, 4, 1, mine, b"\0" * 4, b"\0" * 6, target)
        deadline = time.monotonic() + seconds
        wire.settimeout(0.2)
        sent = 0
        while time.monotonic() < deadline:
            if sent < 3 and time.monotonic() >= deadline - seconds + sent * seconds / 3:
                wire.send(packet)
                sent += 1
            try:
                frame = wire.recv(128)
            except TimeoutError:
                continue
            if len(found) < MOST and len(frame) >= 42 and frame[20:22] == b"\0\2" and frame[28:32] == target:
                found.add(":".join(f"{byte:02x}" for byte in frame[22:28]))
    return {"ok": True, "macs": sorted(found)}
