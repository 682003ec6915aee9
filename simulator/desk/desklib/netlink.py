"""Links and addresses of this network namespace, read through a route netlink socket (no subprocess)."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 18, 20, 22
_GROUPS = 0x1 | 0x10 | 0x100  # links, IPv4 addresses, IPv6 addresses
IFF_UP = 0x1
IFA_F_TENTATIVE = 0x40


@dataclass
class Link:
    """One network interface as the kernel has it now."""

    name: str
    index: int
    up: bool
    carrier: bool
    mtu: int
    mac: str
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0
    addresses: list[str] = field(default_factory=list)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("HH", data, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _dump(kind: int) -> Iterator[tuple[int, bytes]]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(5)
        sock.bind((0, 0))
        # NLM_F_REQUEST | NLM_F_DUMP
        sock.send(struct.pack("IHHII", 16 + 16, kind, 0x301, 1, 0) + bytes(16))
        while True:
            data = sock.recv(1 << 17)
            offset = 0
            while offset + 16 <= len(data):
                length, message, _flags, _seq, _pid = struct.unpack_from("IHHII", data, offset)
                if message == 3 or length < 16:  # NLMSG_DONE
                    return
                if message == 2:  # NLMSG_ERROR
                    code = struct.unpack_from("i", data, offset + 16)[0]
                    raise OSError(-code, os.strerror(-code))
                yield message, data[offset + 16 : offset + length]
                offset += (length + 3) & ~3


def links() -> dict[str, Link]:
    """All interfaces by name, with their usable addresses in the kernel's order."""
    found: dict[int, Link] = {}
    for message, body in _dump(RTM_GETLINK):
        if message != RTM_NEWLINK:
            continue
        _family, _type, index, flags, _change = struct.unpack_from("BxHiII", body)
        attributes = dict(_attributes(body[16:]))
        stats = struct.unpack_from("4Q", attributes[23]) if 23 in attributes else (0, 0, 0, 0)
        up = bool(flags & IFF_UP)
        found[index] = Link(
            name=attributes[3].rstrip(b"\0").decode(),
            index=index,
            up=up,
            carrier=up and bool(attributes.get(33, b"\0")[0]),
            mtu=struct.unpack("I", attributes[4])[0] if 4 in attributes else 0,
            mac=attributes.get(1, b"").hex(":"),
            rx_packets=stats[0],
            tx_packets=stats[1],
            rx_bytes=stats[2],
            tx_bytes=stats[3],
        )
    for message, body in _dump(RTM_GETADDR):
        if message != RTM_NEWADDR:
            continue
        family, _prefix, _flags, _scope, index = struct.unpack_from("BBBBI", body)
        attributes = dict(_attributes(body[8:]))
        flags = struct.unpack("I", attributes[8])[0] if 8 in attributes else _flags
        raw = attributes.get(2) or attributes.get(1)
        if raw and index in found and not flags & IFA_F_TENTATIVE:
            found[index].addresses.append(socket.inet_ntop(family, raw))
    return {link.name: link for link in found.values()}


def subscribe() -> socket.socket:
    """A non-blocking socket that becomes readable when a link or an address changes."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((0, _GROUPS))
    sock.setblocking(False)
    return sock


def drain(sock: socket.socket) -> None:
    """Forget what is queued; an overrun only means that something changed."""
    while True:
        try:
            if not sock.recv(1 << 17):
                return
        except BlockingIOError:
            return
        except OSError:
            continue
