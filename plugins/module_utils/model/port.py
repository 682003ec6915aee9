# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ConnectX-7 of a desk: ports and their functions."""

from __future__ import annotations

from dataclasses import dataclass, field

from .kinds import Gid128, IpAddress, Ipv4, Mac, Netdev, PciAddress, RdmaDevice
from .owner import Owner


@dataclass(frozen=True)
class Gid:
    """One entry of a GID table."""

    index: int
    """Slot."""
    gid: Gid128
    """GID."""
    kind: str | None = None
    """``RoCE v2`` or ``IB/RoCE v1``; null when unknown."""
    ipv4: Ipv4 | None = None
    """IPv4 address that it maps; null when unknown."""


@dataclass(frozen=True)
class Address:
    """One address of an interface."""

    address: IpAddress
    """Address without prefix."""
    prefix_length: int
    """Length of the prefix."""
    family: str
    """``inet`` or ``inet6``."""
    scope: str | None = None
    """global, link or host; null when unknown."""
    dynamic: bool | None = None
    """Whether it was leased or advertised; null when unknown."""


@dataclass(frozen=True)
class Function:
    """One PCIe function: one netdev plus one RDMA device."""

    netdev: Netdev | None = None
    """Network interface; null when unknown."""
    rdma_device: RdmaDevice | None = None
    """RDMA device; null when unknown."""
    pci_address: PciAddress | None = None
    """PCI address, such as 0000:01:00.0; null when unknown."""
    pci_domain: int | None = None
    """PCI domain as a number; null when unknown."""
    pcie_width: int | None = None
    """Lanes in use, 4 on a healthy desk (current_link_width); null when unknown."""
    pcie_max_width: int | None = None
    """Lanes at most (max_link_width); null when unknown."""
    pcie_speed: str | None = None
    """Speed of a lane (current_link_speed); null when unknown."""
    mac: Mac | None = None
    """MAC address, lower case; null when unknown."""
    phys_port_name: str | None = None
    """p0 or p1 (sysfs); null when unknown."""
    phys_switch_id: str | None = None
    """Id of the adapter (sysfs); null when unknown."""
    mtu: int | None = None
    """MTU of the interface, in bytes; null when unknown."""
    admin_up: bool | None = None
    """Whether the interface is switched on (sysfs flags); null when unknown."""
    carrier: bool | None = None
    """Whether there is a link (sysfs carrier, else the flags of ``ip addr``); null when the interface is switched off."""
    operstate: str | None = None
    """State as the kernel names it; null when unknown."""
    speed_mbps: int | None = None
    """Speed in Mb/s (sysfs, else ethtool); null without a link."""
    addresses: tuple[Address, ...] = ()
    """Addresses (``ip -j addr show``)."""
    rdma_state: str | None = None
    """``ACTIVE``, ``DOWN``, ``INIT`` or ``ARMED`` (sysfs, else ``rdma link show``); null when unknown."""
    rdma_physical_state: str | None = None
    """``LINK_UP``, ``DISABLED``, ``POLLING`` ... (sysfs phys_state, else ``rdma link show``); null when unknown."""
    rdma_rate: str | None = None
    """Rate as sysfs says; null when unknown."""
    active_mtu: int | None = None
    """RoCE MTU in bytes that fits the interface's MTU; 1024 at 1500, 4096 at 9000 (computed as the kernel does, from sysfs mtu); null
    when unknown."""
    gids: tuple[Gid, ...] = ()
    """GID table without empty slots (sysfs gids and gid_attrs)."""
    roce_v2_ipv4_gid_index: int | None = None
    """Index of the first RoCE v2 GID of an IPv4 address that the interface has; null when unknown."""
    counters: dict[str, int] = field(default_factory=dict)
    """Name to raw value of the RDMA counters and hw_counters (sysfs)."""
    firmware: str | None = None
    """Firmware version (sysfs fw_ver, else ``ethtool -i IF``); null when unknown."""
    carrier_down_count: int | None = None
    """Link drops since the interface was made (sysfs); null when unknown."""
    renderer: str | None = None
    """``NetworkManager`` or ``networkd``, whichever manages it (``nmcli device``, else as for the box); null when unknown."""
    owner: str | None = None
    """File or profile that configures it (netplan files, NetworkManager's profiles, /etc/systemd/network); null when unknown."""
    owner_kind: str | None = None
    """``ours``, ``foreign``, ``auto`` (made by NetworkManager itself) or ``none``; from the same files; null when they could not be
    read."""
    driver: str | None = None
    """Kernel driver (sysfs uevent, else ``ethtool -i IF``); null when unknown."""
    master: str | None = None
    """The bond or bridge that the interface is a member of (``ip -j addr show``); null when it is in none."""
    master_addresses: tuple[Address, ...] = ()
    """Addresses of that bond or bridge (``ip -j addr show``)."""


@dataclass(frozen=True)
class Port:
    """One physical QSFP cage with its functions (two on a healthy desk, in PCI domain order)."""

    number: int | None = None
    """0 (next to RJ45) or 1 (sysfs phys_port_name); null when unknown."""
    phys_switch_id: str | None = None
    """Id of the adapter (sysfs); null when unknown."""
    functions: tuple[Function, ...] = ()
    """PCIe functions of the port, in PCI order; two on a healthy desk (/sys/class/net, /sys/class/infiniband and /sys/bus/pci/devices,
    joined by PCI address)."""
    carrier: bool | None = None
    """Whether any function of the port has carrier (sysfs, as for the functions); null when unknown."""
    speed_mbps: int | None = None
    """Lowest speed of its functions, in Mb/s (sysfs, else ethtool, as for the functions); null when unknown."""


@dataclass(frozen=True)
class ConnectX7:
    """The adapter."""

    hotplug_enabled: bool | None = None
    """Whether the adapter is removed without a cable (pcie_hotplug/hotplug_enabled); null when unknown."""
    powered: bool | None = None
    """Whether the hotplug driver sees a cable (pcie_hotplug/debug_state); null when unknown."""
    hotplug_marker: bool | None = None
    """Whether /etc/nvidia/cx7-hotplug-enabled is there; null when unknown."""
    ports: tuple[Port, ...] = ()
    """Physical QSFP cages with their functions, grouped by phys_port_name and phys_switch_id (sysfs)."""
    ungrouped: tuple[Function, ...] = ()
    """Functions whose port could not be read."""
    plugged_after_boot: bool | None = None
    """Whether the kernel log of this boot (``journalctl -k -b``, else ``dmesg``) shows a plug-in more than 60 s after the hotplug
    driver's start, or after a removal; null when unknown."""
    plug_events: tuple[str, ...] = ()
    """The lines of that log that say so, newest last, at most ten (``journalctl -k -b``, else ``dmesg``)."""
    firmware: str | None = None
    """Firmware version of the adapter (sysfs fw_ver, else ``ethtool -i``); null when unknown."""
    owners: tuple[Owner, ...] | None = None
    """Files that configure interfaces of the adapter and are not ours (/etc/netplan/, /etc/systemd/network/, /etc/NetworkManager/);
    null when they could not all be read."""

    @property
    def functions(self) -> tuple[Function, ...]:
        """All functions, port by port."""
        return tuple(item for port in self.ports for item in port.functions) + self.ungrouped
