# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters that prove that bytes crossed the cable: one table of names, units and how sure we are of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.proof import Growth

BAND = (0.5, 2.0)
"""Measured growth over expected bytes that still counts as the same bytes.

Headers add 1 to 7 percent and perftest sends a little outside the span that it averages over. A wrong unit would be off by
4 (words against bytes), so a factor of 2 tells the two apart. Outside the band is unknown, not a failure: the units were not
confirmed on a GB10.
"""

STILL = 0.001
"""Share of the expected bytes below which a counter stood still; neighbour discovery and the tools' own TCP lie far below it."""

UNCONFIRMED = "documented, not confirmed on a GB10"


@dataclass(frozen=True)
class Counter:
    """One counter of a function."""

    name: str
    sent: bool
    """True: counts what the function sends; false: what it receives."""
    unit: int
    """Bytes that one count stands for."""
    physical: bool
    """True: counted at the physical port (both functions of a port may see the port's sum); false: per function."""
    path: str
    """Below the RDMA device's folder, or ``ethtool -S``."""
    source: str
    grade: str = UNCONFIRMED


COUNTERS: tuple[Counter, ...] = (
    Counter(
        "port_xmit_data", True, 4, False, "ports/1/counters/port_xmit_data",
        "Linux kernel, Documentation/ABI/stable/sysfs-class-infiniband: data octets divided by 4",
    ),
    Counter(
        "port_rcv_data", False, 4, False, "ports/1/counters/port_rcv_data",
        "Linux kernel, Documentation/ABI/stable/sysfs-class-infiniband: data octets divided by 4",
    ),
    Counter("tx_bytes_phy", True, 1, True, "ethtool -S", "Linux kernel, mlx5 counters.rst: bytes sent on the physical port"),
    Counter("rx_bytes_phy", False, 1, True, "ethtool -S", "Linux kernel, mlx5 counters.rst: bytes received on the physical port"),
)  # fmt: skip

SYSFS = tuple(item for item in COUNTERS if not item.physical)
PHYSICAL = tuple(item for item in COUNTERS if item.physical)


def state_of(real: int | None, low: int, high: int) -> str:
    """unread, backwards, still, fits or outside: a counter's growth in bytes beside the fewest and most bytes expected.

    A counter that went backwards was set to nothing meanwhile (driver loaded anew, function reset): it tells nothing of the bytes.
    """
    if real is None:
        return "unread"
    if real < 0:
        return "backwards"
    if real < STILL * low:
        return "still"
    return "fits" if BAND[0] * low <= real <= BAND[1] * high else "outside"


RESTARTED = (
    "These counters started again from zero during the measurement: the adapter's driver was loaded again, or the adapter was reset or "
    "went away for a moment (as it does when the cable is moved). journalctl -k of the desk shows when. Measure again; if it happens "
    "again, see CX7_LINK_FLAPPED and CX7_PCIE_ERRORS of the desk."
)
"""Remedy where counters went backwards."""


def restarted(growth: Growth | None, netdev: str) -> bool:
    """Whether a function's counters started again in between. What starts one of them again does so to all, so none of them tells how
    many bytes went."""
    grown = [None if growth is None else growth.grown(netdev, item.name) for item in COUNTERS]
    return any(value is not None and value < 0 for value in grown)
