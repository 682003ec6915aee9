# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ping of the link's whole MTU on each function, and whose MAC answered. Judged by ``judges.jumbo``; never a reason to undo a link."""

from __future__ import annotations

from ..desk import Answer, Desk
from ..model.jumbo import JumboAnswer
from ..model.link import Endpoint
from .common import neighbour_mac

HEADERS = 28
"""Bytes of the IPv4 and ICMP headers: an MTU of 9000 carries 8972 bytes of payload."""

SMALL = 56
"""Bytes of payload of an ordinary ping."""


def ask(side: Desk, end: Endpoint, other: Endpoint) -> tuple[JumboAnswer, ...]:
    """Ping ``other`` from ``end`` (whose desk ``side`` is) on each function, with don't-fragment set."""
    found = []
    for mine, theirs in zip(end.functions, other.functions, strict=False):
        big = _ping(side, mine.netdev, theirs.address, mine.mtu - HEADERS)
        full = _answered(big)
        small = _answered(_ping(side, mine.netdev, theirs.address, SMALL)) if full is False else None
        # iproute2 6.1 leaves "dev" out of the answer when it is asked for one device, so each device is asked alone.
        table = side.run(["ip", "-j", "neigh", "show", "to", theirs.address, "dev", mine.netdev])
        mac = neighbour_mac(table.stdout) if table.ok else None
        error = None if full is not None else (big.error or " ".join((big.stderr or big.stdout).split())[-200:] or f"exit {big.rc}")
        found.append(JumboAnswer(end.desk, other.desk, mine.netdev, theirs.address, mine.mtu, full, small, mac, error))
    return tuple(found)


def _ping(side: Desk, netdev: str, address: str, payload: int) -> Answer:
    argv = ["ping", "-n", "-q", "-M", "do", "-c", "3", "-i", "0.2", "-W", "1", "-s", str(payload), "-I", netdev, address]
    return side.run(argv, timeout=8.0)


def _answered(answer: Answer) -> bool | None:
    """ping ends with 0 when something came back and 1 when nothing did; "message too long" also ends with 1. Else it did not run."""
    if answer.error is not None:
        return None
    return {0: True, 1: False}.get(answer.rc if answer.rc is not None else 2)
