# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a full-size ping across one function saw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JumboAnswer:
    """One function of one desk pinging the other desk's address on the same cable."""

    desk: str
    other: str
    netdev: str
    address: str
    """The other desk's IPv4 address."""
    mtu: int
    """Bytes."""
    full: bool | None
    """Whether a packet of the whole MTU, not to be fragmented, was answered; null when ping could not be run."""
    small: bool | None = None
    """Whether a packet of 84 bytes was answered; asked only where the full one was not."""
    mac: str | None = None
    """Whose MAC the neighbour table names for the address, null when nobody's."""
    error: str | None = None
    """Why ping could not be run."""
