# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second door to the machine, beside ``desk.py``: raw Ethernet frames on the ConnectX-7 functions.

A socket is no file and no command, so it cannot pass through `Desk`. It is used only where neither IPv6 nor LLDP told who is at
the other end, needs root, and sends a few small broadcast frames that end at the other end of a direct cable. In tests a scripted
exchange takes its place.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from .model.frame import Heard, Speaker

ETHERTYPE = 0x88B6
"""IEEE 802 Local Experimental EtherType 2. NVIDIA's own discovery tool uses the first one, 0x88B5; the two do not meet."""

MAGIC = "labops.dgx_spark/cable/1"
BROADCAST = b"\xff" * 6
INTERVAL = 0.1
"""Seconds between two rounds of frames."""

GRACE = 0.3
"""Seconds to go on sending after everybody was heard, for a desk that began a moment later."""

PAYLOAD_LIMIT = 1400
MOST_HEARD = 40
"""MACs that one frame can name below the limit; behind a switch they go round."""
KEPT = 1024
"""Speakers that are kept of all that a neighbour may invent; a lab has 400 functions on one switch."""
PACKET_OUTGOING = 4
"""linux/if_packet.h: the kernel shows our own frames too, marked with this type."""


def encode(speaker: Speaker, desk: str, run: str, heard: Sequence[str]) -> bytes:
    """A whole frame. ``heard``: MACs that this function has heard already, so that both ends may stop early."""
    told = {"magic": MAGIC, "run": run[:64], "desk": desk[:100], "port": speaker.port, "heard": list(heard)[:MOST_HEARD]}
    payload = json.dumps(told, sort_keys=True).encode()
    head = BROADCAST + bytes.fromhex(speaker.mac.replace(":", "")) + struct.pack("!HH", ETHERTYPE, len(payload))
    return (head + payload).ljust(60, b"\0")


def decode(frame: bytes, run: str) -> tuple[str, str | None, int | None, tuple[str, ...]] | None:
    """(sender's MAC, told desk, told port, MACs that it has heard) of a frame of this run, null for any other bytes."""
    if len(frame) < 16 or len(frame) > 1600:
        return None
    ethertype, length = struct.unpack("!HH", frame[12:16])
    if ethertype != ETHERTYPE or length > PAYLOAD_LIMIT or length > len(frame) - 16:
        return None
    try:
        told: Any = json.loads(frame[16 : 16 + length].decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("magic") != MAGIC or told.get("run") != run[:64]:
        return None
    desk, port, heard = told.get("desk"), told.get("port"), told.get("heard")
    listed = tuple(item for item in heard[:MOST_HEARD] if isinstance(item, str)) if isinstance(heard, list) else ()
    mac = ":".join(f"{byte:02x}" for byte in frame[6:12])
    return (
        mac,
        desk[:100] if isinstance(desk, str) else None,
        port if isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 8 else None,
        listed,
    )


class LiveFrames:
    """AF_PACKET sockets of this machine."""

    def exchange(
        self, speakers: Sequence[Speaker], desk: str, run: str, seconds: float, partners: int = 1
    ) -> tuple[tuple[Heard, ...], str | None]:
        """See `Frames`. Ends early when every port heard as many other desks as there are, and was heard by them."""
        with contextlib.ExitStack() as stack:
            sockets: dict[socket.socket, Speaker] = {}
            for speaker in speakers:
                try:
                    opened = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE)))
                    opened.setblocking(False)
                    opened.bind((speaker.netdev, ETHERTYPE))
                except OSError as error:
                    return (), f"{speaker.netdev}: {error.strerror or error}"
                sockets[opened] = speaker
            return _converse(sockets, desk, run, seconds, partners)


def _converse(
    sockets: dict[socket.socket, Speaker], desk: str, run: str, seconds: float, partners: int = 1
) -> tuple[tuple[Heard, ...], str | None]:
    heard: dict[tuple[str, str], Heard] = {}
    mutual: set[int] = set()
    known: dict[int, set[str | None]] = {speaker.port: set() for speaker in sockets.values()}
    turn = 0
    ports = {speaker.port for speaker in sockets.values()}
    own = {speaker.mac: speaker.port for speaker in sockets.values()}
    end, next_round = time.monotonic() + seconds, 0.0
    error: str | None = None
    while (now := time.monotonic()) < end:
        if now >= next_round:
            next_round = now + INTERVAL
            turn += MOST_HEARD
            for opened, speaker in sockets.items():
                listed = [item.mac for item in heard.values() if item.netdev == speaker.netdev]
                listed = listed[turn % len(listed) :] + listed[: turn % len(listed)] if len(listed) > MOST_HEARD else listed
                try:
                    opened.send(encode(speaker, desk, run, listed))
                except OSError as problem:
                    error = f"{speaker.netdev}: {problem.strerror or problem}"
        if mutual == ports:
            end, mutual = min(end, now + GRACE), set()
            ports = {-1}  # everybody was heard; only the grace is left
        ready, _writable, _failed = select.select(list(sockets), [], [], max(0.0, min(next_round, end) - time.monotonic()))
        for opened in ready:
            speaker = sockets[opened]
            try:
                frame, sender = opened.recvfrom(2048)
            except OSError:
                continue
            told = decode(frame, run) if sender[2] != PACKET_OUTGOING else None
            if told is None or own.get(told[0]) == speaker.port or len(heard) >= KEPT:
                continue
            heard[speaker.netdev, told[0]] = Heard(speaker.netdev, told[0], told[1], told[2])
            if any(mac in told[3] for mac, port in own.items() if port == speaker.port):
                known[speaker.port].add(told[1])
                if len(known[speaker.port]) >= partners:
                    mutual.add(speaker.port)
    return tuple(heard.values()), None if heard else error
