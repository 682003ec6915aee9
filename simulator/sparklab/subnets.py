"""Choosing a management subnet that nothing on this machine uses. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from sparklab.errors import LabError

PREFIX = 22
FIRST_DESK = 10


def choose(used: Iterable[str], wish: int | None = None) -> int:
    """Return N such that 10.N.0.0/22 overlaps none of the networks in use.

    :param used: routes and addresses in use, like `192.0.2.0/24`; `default` and IPv6 are passed over.
    :param wish: the N to take, when free.
    :raises LabError: when the wished one, or every one, is taken.
    """
    networks = []
    for text in used:
        if text == "default" or ":" in text:
            continue
        networks.append(ipaddress.ip_network(text, strict=False))
    # A route to everything (0.0.0.0/0, or its halves as VPN clients set them) is no use of the subnet.
    networks = [network for network in networks if network.prefixlen > 1]

    def free(number: int) -> bool:
        mine = subnet(number)
        return not any(mine.overlaps(network) for network in networks)

    if wish is not None:
        if not free(wish):
            raise LabError(f"subnet {subnet(wish)} is in use on this machine; choose another with --subnet.")
        return wish
    for number in [*range(77, 256), *range(1, 77)]:
        if free(number):
            return number
    raise LabError("no subnet 10.N.0.0/22 is free on this machine; remove a route or another lab first.")


def subnet(number: int) -> ipaddress.IPv4Network:
    """The management network of a lab."""
    return ipaddress.IPv4Network(f"10.{number}.0.0/{PREFIX}")


def server_address(number: int) -> str:
    """The lab's own address in its management network: DHCP, names, apt archives."""
    return f"10.{number}.0.1"


def host_address(number: int) -> str:
    """This machine's address in the lab's management network."""
    return f"10.{number}.3.254"


def desk_address(number: int, index: int) -> str:
    """The address that DHCP gives to the desk with this index (from 0)."""
    return str(subnet(number).network_address + FIRST_DESK + index)


MOVED = 890


def leases(indexes: Mapping[str, int], moved: Mapping[str, str | None]) -> dict[str, int]:
    """Which index of an address each desk is leased: its own, unless its lease moved (to nobody's address, or swapped)."""
    found = dict(indexes)
    for desk, other in moved.items():
        if other is None:
            found[desk] = MOVED + indexes[desk] % 90
        elif other in indexes:
            found[desk], found[other] = indexes[other], indexes[desk]
    return found
