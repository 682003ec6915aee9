# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a link is, function by function, as results carry it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..model.desk import Desk


def functions_of(desk: Desk, netdevs: Sequence[str]) -> list[dict[str, Any]]:
    """One entry for each named interface, in PCI domain order.

    Keys: port, netdev, rdma_device, pci_domain, mac, addresses (IPv4 with prefix length), mtu and active_mtu (bytes), gid_index
    (RoCE v2 for IPv4, read from the GID table), speed_mbps, pcie_width (lanes). Null is what could not be read.
    """
    found = []
    for port in desk.cx7.ports:
        for item in port.functions:
            if item.netdev not in netdevs:
                continue
            found.append(
                {
                    "port": port.number,
                    "netdev": item.netdev,
                    "rdma_device": item.rdma_device,
                    "pci_domain": item.pci_domain,
                    "mac": item.mac,
                    "addresses": [f"{held.address}/{held.prefix_length}" for held in item.addresses if held.family == "inet"],
                    "mtu": item.mtu,
                    "active_mtu": item.active_mtu,
                    "gid_index": item.roce_v2_ipv4_gid_index,
                    "speed_mbps": item.speed_mbps,
                    "pcie_width": item.pcie_width,
                }
            )
    return found
