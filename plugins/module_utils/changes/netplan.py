# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our netplan file: what it says, always the same text for the same link."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..readers import netplan as reader
from .link_program.names import DHCP, NETWORK_MANAGER, NETWORKD

OUR_FILE = "/etc/netplan/90-dgx-spark-link.yaml"
OUR_MODE = 0o600
"""netplan warns about files that others may read."""

RENDERERS = (NETWORK_MANAGER, NETWORKD)

HEADER = "# Managed by labops.dgx_spark (cx7_link). playbooks/unstack_pair.yml removes it and restores what was here before.\n"


@dataclass(frozen=True)
class Interface:
    """One interface of ours."""

    netdev: str
    address: str
    """IPv4 with prefix length, or `DHCP` for what the DHCP server gives."""
    mtu: int
    """Bytes."""


def text(interfaces: Iterable[Interface], renderer: str) -> str:
    """The file. No gateway, no DNS, no router advertisements; IPv6 link-local stays, as the usual GID table has it.

    The renderer is named per interface: a desk whose NetworkManager works without netplan would otherwise get networkd.
    NetworkManager's ``ignore`` would leave router advertisements to the kernel, and netplan has no other word for link-local
    alone, hence the passthrough keys. Of what a DHCP server offers, the address alone is taken; of these words netplan tells
    NetworkManager only about routes. By the MAC (as NetworkManager does) the server knows a desk whose disk was copied from another.
    """
    lines = [HEADER, "network:\n", "  version: 2\n", "  ethernets:\n"]
    for item in sorted(interfaces, key=lambda item: item.netdev):
        lines += [
            f"    {item.netdev}:\n",
            f"      renderer: {renderer}\n",
            "      optional: true\n",
            f"      dhcp4: {'true' if item.address == DHCP else 'false'}\n",
            "      dhcp6: false\n",
            "      accept-ra: false\n",
            "      link-local: [ipv6]\n",
            f"      mtu: {item.mtu}\n",
        ]
        if item.address == DHCP:
            lines += ["      dhcp4-overrides: {use-routes: false, use-dns: false, use-ntp: false, use-mtu: false, use-hostname: false}\n"]
            lines += ["      dhcp-identifier: mac\n"] if renderer == NETWORKD else []
        else:
            lines += [f"      addresses: [{item.address}]\n"]
        if renderer == NETWORK_MANAGER:
            lines += [
                "      networkmanager:\n",
                "        passthrough:\n",
                '          ipv4.never-default: "true"\n',
                "          ipv6.method: link-local\n",
                "          ipv6.addr-gen-mode: eui64\n",
            ]
            lines += ['          ipv4.ignore-auto-dns: "true"\n'] if item.address == DHCP else []
    return "".join(lines)


def interfaces_of(content: str | None) -> tuple[Interface, ...]:
    """The interfaces that a text of ours names; none for no text or one that cannot be read."""
    if not content:
        return ()
    found = reader.read(content)
    return tuple(
        Interface(name, device["addresses"][0] if device["addresses"] else DHCP if device["dhcp4"] else "", device["mtu"] or 0)
        for name, device in sorted(found["ethernets"].items())
    )
