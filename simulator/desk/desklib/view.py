"""What the ConnectX-7 of a desk looks like right now, made from the desk's description and its live links.

Pure: desk.json + links -> one ``Function`` per PCI function.  Shapes follow public reports of GB10 machines
(state and rate of a cabled and an empty port, order of the GID table).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from .desk import Desk
from .netlink import Link


@dataclass(frozen=True)
class Gid:
    """One entry of a GID table."""

    index: int
    value: str  # eight groups of four hex digits
    kind: str  # "IB/RoCE v1" or "RoCE v2"


@dataclass(frozen=True)
class Function:
    """One PCI function of the ConnectX-7: a netdev and an RDMA device."""

    netdev: str
    rdma: str
    pci: str
    port: int
    port_name: str
    mac: str
    width: int
    link_speed: str
    speed_mbps: int
    live: bool  # is the netdev in this desk
    up: bool
    carrier: bool
    mtu: int
    addresses: tuple[str, ...]
    gids: tuple[Gid, ...]
    net_rx_bytes: int
    net_tx_bytes: int
    net_rx_packets: int
    net_tx_packets: int

    @property
    def active(self) -> bool:
        return self.carrier

    @property
    def state(self) -> str:
        return "4: ACTIVE" if self.active else "1: DOWN"

    @property
    def phys_state(self) -> str:
        return "5: LinkUp" if self.active else "3: Disabled"

    @property
    def rate(self) -> str:
        if not self.active:
            return "40 Gb/sec (4X QDR)"
        # 2X at 200 Gb/s is normal on this machine; how 100 Gb/s reads there was not captured.
        return "200 Gb/sec (2X NDR)" if self.speed_mbps >= 200000 else "100 Gb/sec (2X HDR)"

    @property
    def roce_mtu(self) -> int:
        """RoCE path MTU in octets: the largest step that fits the netdev's MTU with its headers."""
        for step in (4096, 2048, 1024, 512):
            if self.mtu >= step + 60:
                return step
        return 256

    @property
    def ipv4(self) -> str | None:
        return next((a for a in self.addresses if ":" not in a), None)

    @property
    def root(self) -> str:
        """Address of the root port above this function."""
        return f"{self.pci.split(':')[0]}:00:00.0"


def _expand(address: str) -> str:
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        raw = bytes(10) + b"\xff\xff" + parsed.packed
    else:
        raw = parsed.packed
    return ":".join(raw[i : i + 2].hex() for i in range(0, 16, 2))


def gid_table(addresses: tuple[str, ...]) -> tuple[Gid, ...]:
    """The GID table of a function: link-local first where there is one, then IPv4, then other IPv6; v1 before v2."""
    local = [a for a in addresses if a.lower().startswith("fe80")]
    four = [a for a in addresses if ":" not in a]
    rest = [a for a in addresses if ":" in a and a not in local]
    table: list[Gid] = []
    for address in [*local[:1], *four, *rest]:
        for kind in ("IB/RoCE v1", "RoCE v2"):
            table.append(Gid(len(table), _expand(address), kind))
    return tuple(table)


def functions(desk: Desk, links: dict[str, Link]) -> list[Function]:
    """All functions that are on the PCI bus, in the order of desk.json."""
    by_mac = {link.mac: link for link in links.values()}
    found = []
    for item in desk.data.get("functions", []):
        if not desk.present(item):
            continue
        link = links.get(item["netdev"]) or by_mac.get(str(item["mac"]).lower())
        addresses = tuple(link.addresses) if link else ()
        found.append(
            Function(
                netdev=link.name if link else item["netdev"],
                rdma=item["rdma"],
                pci=item["pci"],
                port=int(item["port"]),
                port_name=item["phys_port_name"],
                mac=link.mac if link else str(item["mac"]).lower(),
                width=desk.link_width(item),
                link_speed=str(item.get("link_speed", "32.0 GT/s PCIe")),
                speed_mbps=desk.speed_mbps(int(item["port"])),
                live=link is not None,
                up=bool(link and link.up),
                carrier=bool(link and link.carrier),
                mtu=link.mtu if link else 1500,
                addresses=addresses,
                gids=gid_table(addresses) if link and link.up else (),
                net_rx_bytes=link.rx_bytes if link else 0,
                net_tx_bytes=link.tx_bytes if link else 0,
                net_rx_packets=link.rx_packets if link else 0,
                net_tx_packets=link.tx_packets if link else 0,
            )
        )
    return found
