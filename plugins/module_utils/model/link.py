# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stack's links are wanted to be and what they are: ends of cables, and the paths between them."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

KNOWN_HOSTS = "/etc/dgx_spark/known_hosts"
"""Host keys of the stack's other desks, for the ssh between them alone: an address that a desk only says is its own misleads no other."""


@dataclass(frozen=True)
class WantedFunction:
    """One function as it shall be. Chosen by PCI domain within the port, never by name."""

    pci_domain: int
    address: str
    """IPv4 with prefix, such as 192.168.100.10/24."""
    mtu: int = 9000


@dataclass(frozen=True)
class WantedLink:
    """One cabled port as it shall be."""

    port: int
    functions: tuple[WantedFunction, ...]


@dataclass(frozen=True)
class EndpointFunction:
    """One function of an endpoint."""

    netdev: str
    rdma_device: str
    pci_domain: int
    mac: str
    address: str
    """IPv4 without prefix."""
    gid_index: int | None
    mtu: int
    speed_mbps: int | None
    pcie_width: int | None
    prefix_length: int = 24
    carrier_down_count: int | None = None


@dataclass(frozen=True)
class OtherFunction:
    """A function of the desk that the cable under test does not use; its counters must stay still."""

    netdev: str
    rdma_device: str


@dataclass(frozen=True)
class Endpoint:
    """One desk's end of a cable, with its own names: what measurements need. A member of a ring has two."""

    desk: str
    port: int
    management_address: str | None
    functions: tuple[EndpointFunction, ...]
    """The functions of the cabled port in PCI domain order."""
    others: tuple[OtherFunction, ...] = ()
    hostname: str | None = None
    management_netdev: str | None = None
    management_network: str | None = None
    """CIDR of the management address."""
    boot_id: str | None = None
    kernel: str | None = None
    kho: str | None = None
    cma_total_kb: int | None = None
    cma_free_kb: int | None = None
    ufw_active: bool | None = None
    perftest: str | None = None
    open_mpi: str | None = None
    nccl: str | None = None
    nccl_bundle: str | None = None
    """SHA-256 of the bundle's manifest."""
    pair_env: str | None = None
    """Content of the desk's pair.env."""
    plugged_after_boot: bool | None = None


@dataclass(frozen=True)
class Path:
    """Two members' ends that share networks, function by function: what RDMA is measured on and neighbours are proven over."""

    first: Endpoint
    second: Endpoint

    @property
    def ends(self) -> tuple[Endpoint, Endpoint]:
        """Both ends, the one that forward starts from first."""
        return self.first, self.second

    @property
    def name(self) -> str:
        """Such as desk-01 port 0 - desk-02 port 0."""
        return f"{self.first.desk} port {self.first.port} - {self.second.desk} port {self.second.port}"


def members(ends: Iterable[Endpoint]) -> list[str]:
    """The desks of the ends, each once, in order; the head is the first."""
    return list(dict.fromkeys(end.desk for end in ends))


def paths_of(ends: Iterable[Endpoint]) -> tuple[Path, ...]:
    """Every two ends of different desks whose functions share networks: one for a pair, three for a ring of three."""
    return tuple(
        Path(first, second)
        for first, second in itertools.combinations(ends, 2)
        if first.desk != second.desk and bool(first.functions) and _joined(first, second)
    )


def _joined(first: Endpoint, second: Endpoint) -> bool:
    return all(_network(mine) == _network(theirs) for mine, theirs in zip(first.functions, second.functions, strict=False))


def _network(function: EndpointFunction) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_interface(f"{function.address}/{function.prefix_length}").network
