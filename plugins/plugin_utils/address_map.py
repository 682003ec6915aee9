# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for MAC, IPv4 and IPv6 addresses that keep how addresses relate. Pure.

Addresses of one network stay in one network with their host part, MACs of one adapter keep their distance, a link-local address still
carries its MAC, and a mapped IPv6 address (a GID) still maps its IPv4 address.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Iterable, Iterator

KEPT_NETWORKS = tuple(ipaddress.IPv4Network(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "172.17.0.0/16", "224.0.0.0/3"))
"""Addresses that are the same on every machine: any, loopback, Docker's default bridge, multicast and netmasks."""

CLASSES = tuple(ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"))
"""Blocks whose meaning (private, link-local) a stand-in keeps."""

PUBLIC_STAND_IN = ipaddress.IPv4Network("198.18.0.0/15")
"""Where stand-ins of public addresses come from (RFC 2544, benchmarking)."""

_MAC = (
    r"(?<![0-9A-Fa-f:.-])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])"
    r"|(?<![0-9A-Fa-f-])(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f-])"
)
_BARE_MAC = re.compile(
    r"(?<![0-9A-Za-z.:-])(?:(?:en|wl)x|0x)?(?=[0-9A-Fa-f]*[A-Fa-f])((?:[0-9A-Fa-f]{2}){6})(?![0-9A-Za-z.:-])"
    r"|(?<![0-9A-Za-z.])([0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![0-9A-Za-z]|\.\w)"
    r"|(?<![0-9A-Za-z_])((?:[0-9A-Fa-f]{2}[_]){5}[0-9A-Fa-f]{2})(?![0-9A-Za-z_])"
)
"""Without separators (with a letter: twelve decimal digits are a number), in groups of four, or with underscores."""
_ANY_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:._ -]?){5}[0-9A-Fa-f]{2}")
_IPV4 = r"(?<![A-Za-z0-9.])(?:\d{1,3}\.){3}\d{1,3}(?![A-Za-z0-9]|\.\d)"
_IPV6 = r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:]|\.\d)"
_HEX32 = r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])"
ROUTE_FILE = re.compile(r"^/proc/(?:\d+/|self/)?net/route$")
_ROUTE_WORD = re.compile(r"\b[0-9A-F]{8}\b")

_LOW = (1 << 64) - 1


class _Networks:
    """Networks of which it is soon known whether they hold or overlap another one: a desk may name thousands."""

    def __init__(self, networks: Iterable[ipaddress.IPv4Network]) -> None:
        self.listed: list[ipaddress.IPv4Network] = []
        self._places: set[tuple[int, int]] = set()
        self._above: set[tuple[int, int]] = set()
        """What holds one of them, by width and place."""
        for network in networks:
            self.add(network)

    def add(self, network: ipaddress.IPv4Network) -> None:
        place, width = int(network.network_address), network.prefixlen
        self.listed.append(network)
        self._places.add((width, place >> 32 - width))
        self._above.update((wider, place >> 32 - wider) for wider in range(width))

    def holds(self, network: ipaddress.IPv4Network) -> bool:
        """Whether one of them is the network, or a wider one around it."""
        place = int(network.network_address)
        return any((width, place >> 32 - width) in self._places for width in range(network.prefixlen + 1))

    def overlaps(self, network: ipaddress.IPv4Network) -> bool:
        place = int(network.network_address) >> 32 - network.prefixlen
        return (network.prefixlen, place) in self._above or self.holds(network)


class AddressMap:
    """The addresses of one recording and what takes their place."""

    def __init__(self) -> None:
        self._macs: set[str] = set()
        self._ipv4: set[ipaddress.IPv4Address] = set()
        self._widths: set[ipaddress.IPv4Network] = set()
        self._ipv6: set[ipaddress.IPv6Address] = set()
        self._networks: list[tuple[ipaddress.IPv4Network, ipaddress.IPv4Network]] = []
        self._prefixes: dict[str, str] = {}
        self._routes: dict[int, int] = {}
        self._hosts: dict[int, int] = {}
        self._groups: dict[int, int] = {}

    def learn_macs(self, text: str) -> None:
        """Note the MACs in a text."""
        for match in re.finditer(_MAC, text):
            mac = match.group().lower().replace("-", ":")
            if _own_mac(mac):
                self._macs.add(mac)
        for match in _BARE_MAC.finditer(text):
            digits = re.sub(r"[._]", "", next(group for group in match.groups() if group)).lower()
            mac = ":".join(re.findall("..", digits))
            if _own_mac(mac):
                self._macs.add(mac)

    def learn_routes(self, text: str) -> None:
        """Note the addresses of the kernel's route table."""
        for line in text.splitlines()[1:]:
            words = line.split()
            if len(words) > 7 and all(_ROUTE_WORD.fullmatch(words[place]) for place in (1, 2, 7)):
                target, gateway, mask = (_reversed_ipv4(words[place]) for place in (1, 2, 7))
                width = bin(int(mask)).count("1")
                self.learn_text(f"{target}/{width} {gateway}")

    def learn_text(self, text: str) -> None:
        """Note the IPv4 and IPv6 addresses in a text; a width behind one tells its network."""
        for match in re.finditer(_IPV4 + r"(?:/(\d{1,2})(?!\d|\.\d))?", text):
            address = _ipv4(match.group().split("/")[0])
            if address is None or _kept(address):
                continue
            self._ipv4.add(address)
            width = int(match.group(1) or 32)
            if 16 <= width < 32:
                self._widths.add(ipaddress.IPv4Network((address, width), strict=False))
        for pattern in (_IPV6, _HEX32):
            for match in re.finditer(pattern, text):
                six = _ipv6(match.group())
                if six is None:
                    continue
                if six.ipv4_mapped is not None:
                    if not _kept(six.ipv4_mapped):
                        self._ipv4.add(six.ipv4_mapped)
                elif not _plain_ipv6(six) and (":" in match.group() or six.is_link_local or six.is_multicast):
                    self._ipv6.add(six)

    def choose(self, taken: Callable[[str], bool] = lambda _text: False) -> None:
        """Choose all stand-ins anew; ``taken`` tells what occurs in the original, in small letters."""
        self._choose_networks()
        self._choose_macs(taken)
        self._choose_ipv6()

    def patterns(self) -> Iterator[str]:
        """Regular expressions of everything that `replaced` takes, the most exact first."""
        for mac in sorted(self._macs):
            pairs = mac.split(":")
            yield "(?:" + "[:._ -]?".join(pairs) + ")"
        yield from (_IPV6, _HEX32, _IPV4)

    def replaced(self, found: str) -> str:
        """The stand-in of what a pattern found, in its spelling; itself when it is no address of the owner."""
        if _ANY_MAC.fullmatch(found):
            return _like(found, self._new_mac(found))
        four = _ipv4(found)
        if four is not None:
            return str(self._new_ipv4(four))
        six = _ipv6(found)
        if six is not None and "." in found and int(six) >> 32 == 0:
            return f"::{self._new_ipv4(ipaddress.IPv4Address(int(six)))}"
        if six is not None and (six in self._ipv6 or six.ipv4_mapped is not None):
            return _spelled(found, self._new_ipv6(six))
        return found

    def route_table(self, text: str) -> str:
        """The kernel's route table with its addresses replaced; they stand there as digits in reverse order."""
        return _ROUTE_WORD.sub(self._route_word, text)

    def leaks(self, text: str) -> list[str]:
        """Originals that are still in a text."""
        found = [mac for mac in self._macs if re.search(_spellings(mac.split(":")), text, re.IGNORECASE)]
        for address in self._ipv4:
            if re.search(rf"(?<![A-Za-z0-9.]){re.escape(str(address))}(?![A-Za-z0-9]|\.\d)", text):
                found.append(str(address))
        return found + [
            str(address) for address in self._ipv6 if not address.is_multicast and (str(address) in text or exploded(address) in text)
        ]

    def _choose_networks(self) -> None:
        """A stand-in network for each widest network that an address belongs to; /24 where no width is told."""
        self._networks = []
        # A /24 that is made for an address may hold a narrower network that was told.
        told = {network for network in self._widths if _room(network)}
        known = _Networks(told)
        told |= {ipaddress.IPv4Network((item, 24), strict=False) for item in self._ipv4 if not known.holds(ipaddress.IPv4Network(item))}
        every = _Networks(())
        for network in sorted(told, key=lambda item: item.prefixlen):
            if not every.holds(network):
                every.add(network)
        widest = sorted(every.listed)
        taken = _Networks((*widest, *KEPT_NETWORKS))
        # What was refused once is taken for good, so that each width goes on where the one before it ended.
        left: dict[tuple[ipaddress.IPv4Network, int], Iterator[ipaddress.IPv4Network]] = {}
        for network in widest:
            own = next((item for item in CLASSES if network.subnet_of(item)), PUBLIC_STAND_IN)
            blocks = [(block, max(network.prefixlen, block.prefixlen)) for block in (own, PUBLIC_STAND_IN, CLASSES[0])]
            candidates = (item for block, width in blocks for item in left.setdefault((block, width), block.subnets(new_prefix=width)))
            # Where nothing is free, for hundreds of wide networks, several share one stand-in: none of them is told.
            shared = ipaddress.IPv4Network((PUBLIC_STAND_IN.network_address, blocks[1][1]))
            chosen = next((item for item in candidates if not taken.overlaps(item)), shared)
            taken.add(chosen)
            self._networks.append((network, chosen))

    def _choose_macs(self, taken: Callable[[str], bool]) -> None:
        """A stand-in for the first five octets; the last octet stays, so that MACs of one adapter keep their distance."""
        self._prefixes = {}
        originals = {mac[:14] for mac in self._macs}
        numbers = itertools.count(1)
        for prefix in sorted(originals):
            for number in numbers:
                candidate = f"02:00:{number >> 16 & 0xFF:02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"
                if candidate not in originals and not taken(candidate):
                    self._prefixes[prefix] = candidate
                    break

    def _choose_ipv6(self) -> None:
        """Stand-ins of /64 networks and of interface identifiers that carry no MAC."""
        self._routes, self._hosts, self._groups = {}, {}, {}
        values = sorted(self._ipv6)
        networks = {int(item) >> 64 for item in values}
        hosts = {int(item) & _LOW for item in values}
        network_numbers, host_numbers = itertools.count(1), itertools.count(1)
        for item in values:
            network, host = int(item) >> 64, int(item) & _LOW
            if network not in self._routes and not item.is_link_local and not item.is_multicast:
                base = 0xFD00_0000_0000_0000 if item.is_private else 0x2001_0DB8_0000_0000
                self._routes[network] = next(base + number for number in network_numbers if base + number not in networks)
            if item.is_multicast:
                # Solicited-node groups end in the last digits of somebody's address.
                self._groups.setdefault(int(item) & 0xFFFFFF, 0xA00000 + len(self._groups))
            elif host not in self._hosts:
                self._hosts[host] = next(number for number in host_numbers if number not in hosts)

    def _new_mac(self, mac: str) -> str:
        pairs = re.findall("..", re.sub(r"[^0-9a-f]", "", mac.lower()))
        plain = ":".join(pairs)
        return self._prefixes[plain[:14]] + plain[14:] if plain in self._macs else plain

    def _new_ipv4(self, address: ipaddress.IPv4Address) -> ipaddress.IPv4Address:
        for network, chosen in self._networks:
            if address in network:
                return ipaddress.IPv4Address(int(chosen.network_address) + int(address) - int(network.network_address))
        return address

    def _new_ipv6(self, address: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
        if address.ipv4_mapped is not None:
            return ipaddress.IPv6Address(0xFFFF << 32 | int(self._new_ipv4(address.ipv4_mapped)))
        if _plain_ipv6(address):
            return address
        if address.is_multicast:
            return ipaddress.IPv6Address(int(address) >> 24 << 24 | self._groups[int(address) & 0xFFFFFF])
        network, host = int(address) >> 64, int(address) & _LOW
        mac = _mac_of(host)
        if mac is not None and mac in self._macs:
            host = _identifier(self._new_mac(mac))
        else:
            host = self._hosts.get(host, host)
        return ipaddress.IPv6Address(self._routes.get(network, network) << 64 | host)

    def _route_word(self, match: re.Match[str]) -> str:
        address = _reversed_ipv4(match.group())
        return match.group() if _kept(address) else f"{int.from_bytes(int(self._new_ipv4(address)).to_bytes(4, 'big'), 'little'):08X}"


def _spellings(octets: list[str]) -> str:
    """A pattern for a MAC with one separator or none, or in pairs of octets. With any mix of them the end of one and the beginning of
    the next would be a third."""
    first, *rest = octets
    pairs = "[._:-]".join(one + other for one, other in zip(octets[::2], octets[1::2], strict=True))
    return f"{first}(?P<between>[:._ -]?){'(?P=between)'.join(rest)}|{pairs}"


def _own_mac(mac: str) -> bool:
    """Whether a MAC belongs to one machine: not zero, not broadcast or multicast."""
    return mac != "00:00:00:00:00:00" and not int(mac[:2], 16) & 1


def _ipv4(text: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None


def _reversed_ipv4(word: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(word), "little"))


def _ipv6(text: str) -> ipaddress.IPv6Address | None:
    """An IPv6 address as text, or as 32 hex digits (the kernel's if_inet6)."""
    try:
        if re.fullmatch(r"[0-9a-f]{32}", text):
            return ipaddress.IPv6Address(int(text, 16))
        return ipaddress.IPv6Address(text) if ":" in text else None
    except ValueError:
        return None


def _kept(address: ipaddress.IPv4Address) -> bool:
    return any(address in network for network in KEPT_NETWORKS)


def _plain_ipv6(address: ipaddress.IPv6Address) -> bool:
    """Addresses that every machine has: any, loopback, bare prefixes, multicast groups but solicited-node ones."""
    if address.is_multicast:
        return int(address) >> 24 != 0xFF02_0000_0000_0000_0000_0001_FF
    return int(address) < 2 or (address.is_link_local and not int(address) & _LOW) or int(address) >> 96 == 0


def _room(network: ipaddress.IPv4Network) -> bool:
    """Whether another network of this width fits beside it into its block."""
    block = next((item for item in CLASSES if network.subnet_of(item)), PUBLIC_STAND_IN)
    return network.prefixlen >= block.prefixlen + 4


def _identifier(mac: str) -> int:
    """The interface identifier (EUI-64) that a MAC makes."""
    octets = [int(pair, 16) for pair in mac.split(":")]
    octets[0] ^= 2
    return int.from_bytes(bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]]), "big")


def _mac_of(identifier: int) -> str | None:
    """The MAC inside an interface identifier, null when it is not made of one."""
    octets = list(identifier.to_bytes(8, "big"))
    if octets[3:5] != [0xFF, 0xFE]:
        return None
    octets[0] ^= 2
    return ":".join(f"{octet:02x}" for octet in octets[:3] + octets[5:])


def _like(original: str, mac: str) -> str:
    """A MAC in the spelling of the original: separators and case."""
    digits = iter(mac.replace(":", ""))
    spelled = "".join(next(digits) if re.match(r"[0-9A-Fa-f]", item) else item for item in original)
    return spelled.upper() if re.search("[A-F]", original) else spelled


def _spelled(original: str, address: ipaddress.IPv6Address) -> str:
    """An IPv6 address in the spelling of the original: bare digits, all digits, or short."""
    digits = f"{int(address):032x}"
    if ":" not in original:
        return digits
    if "." in original:
        return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else str(address)
    if re.fullmatch(r"(?:[0-9A-Fa-f]{4}:){7}[0-9A-Fa-f]{4}", original):
        return exploded(address)
    # Newer Pythons write the IPv4 part of a mapped address with dots.
    return f"::ffff:{int(digits[24:28], 16):x}:{int(digits[28:], 16):x}" if address.ipv4_mapped else str(address)


def exploded(address: ipaddress.IPv6Address) -> str:
    """All 32 digits in groups of four, whatever the Python version."""
    digits = f"{int(address):032x}"
    return ":".join(digits[place : place + 4] for place in range(0, 32, 4))
