# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ConnectX-7 of a desk: ports and their functions."""

from __future__ import annotations

from dataclasses import dataclass, field

from .owner import Owner


@dataclass(frozen=True)
class Gid:
    """One entry of a GID table."""

    index: int
    gid: str
    kind: str | None = None
    """``RoCE v2`` or ``IB/RoCE v1``, as the kernel names it."""
    ipv4: str | None = None
    """The IPv4 address when the GID maps one."""


@dataclass(frozen=True)
class Address:
    """One address of an interface."""

    address: str
    prefix_length: int
    family: str
    """inet or inet6"""
    scope: str | None = None
    dynamic: bool | None = None


@dataclass(frozen=True)
class Function:
    """One PCIe function: one netdev plus one RDMA device."""

    netdev: str | None = None
    rdma_device: str | None = None
    pci_address: str | None = None
    pci_domain: int | None = None
    pcie_width: int | None = None
    """Lanes in use, 4 on a healthy desk."""
    pcie_max_width: int | None = None
    pcie_speed: str | None = None
    """As sysfs says, such as 32.0 GT/s PCIe."""
    mac: str | None = None
    phys_port_name: str | None = None
    phys_switch_id: str | None = None
    mtu: int | None = None
    """Bytes."""
    admin_up: bool | None = None
    carrier: bool | None = None
    operstate: str | None = None
    speed_mbps: int | None = None
    addresses: tuple[Address, ...] = ()
    rdma_state: str | None = None
    """ACTIVE, DOWN, INIT, ARMED"""
    rdma_physical_state: str | None = None
    rdma_rate: str | None = None
    active_mtu: int | None = None
    """RoCE MTU in bytes that fits the netdev's MTU (1024 at 1500, 4096 at 9000)."""
    gids: tuple[Gid, ...] = ()
    roce_v2_ipv4_gid_index: int | None = None
    """Index of the first RoCE v2 GID that maps an IPv4 address of this netdev; read, never assumed."""
    counters: dict[str, int] = field(default_factory=dict)
    """Raw values of the counters that could be read, by name (units: counter table of the judges)."""
    firmware: str | None = None
    carrier_down_count: int | None = None
    renderer: str | None = None
    """NetworkManager or networkd, whichever manages it."""
    owner: str | None = None
    """File or profile that configures this interface (netplan file, NetworkManager profile), null when none."""
    owner_kind: str | None = None
    """ours, foreign, auto (a profile that NetworkManager made by itself), none."""
    driver: str | None = None
    master: str | None = None
    """The bond or bridge that the interface is a member of."""
    master_addresses: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Port:
    """One physical QSFP cage with its functions (two on a healthy desk, in PCI domain order)."""

    number: int | None = None
    """0 (next to RJ45) or 1; from phys_port_name."""
    phys_switch_id: str | None = None
    functions: tuple[Function, ...] = ()
    carrier: bool | None = None
    speed_mbps: int | None = None


@dataclass(frozen=True)
class ConnectX7:
    """The adapter."""

    hotplug_enabled: bool | None = None
    powered: bool | None = None
    """debug_state of the hotplug driver: true when powered (cable seen)."""
    hotplug_marker: bool | None = None
    """Whether /etc/nvidia/cx7-hotplug-enabled exists."""
    ports: tuple[Port, ...] = ()
    ungrouped: tuple[Function, ...] = ()
    """Functions whose port could not be read."""
    plugged_after_boot: bool | None = None
    """Whether the kernel log of this boot tells of a cable plugged in after start-up; null when not readable."""
    plug_events: tuple[str, ...] = ()
    """The lines that say so, newest last, at most ten."""
    firmware: str | None = None
    owners: tuple[Owner, ...] | None = None
    """Files below /etc that configure interfaces of the adapter and are not ours; null when they could not all be read."""

    @property
    def functions(self) -> tuple[Function, ...]:
        """All functions, port by port."""
        return tuple(item for port in self.ports for item in port.functions) + self.ungrouped
