"""Real frames between two desks: what stands for RDMA payload on the wire.

RDMA bypasses the kernel's firewall, so the frames are written and read below it, by the hardware daemon: UDP to port
4791 (RoCE v2) with a token that names the transfer.  They go to whoever answers ARP for the peer's address on that
very function, so a cable that leads elsewhere carries them elsewhere.
"""

from __future__ import annotations

import os
import socket
import struct
import time

ETH_P_IP, ETH_P_ARP = 0x0800, 0x0806
ROCE_PORT = 4791
_BROADCAST = b"\xff" * 6


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _open(netdev: str, protocol: int, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    # SO_RCVBUFFORCE: a burst must not overrun the default buffer.
    for option, size in ((33, 32 << 20), (socket.SO_RCVBUF, 4 << 20)):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
            break
        except OSError:
            continue
    sock.bind((netdev, protocol))
    sock.settimeout(timeout)
    return sock


def resolve(netdev: str, own_mac: str, own_ip: str, peer_ip: str, timeout: float = 1.5) -> str | None:
    """MAC of whoever owns an IPv4 address on this function's wire, or None when nobody answers."""
    own = mac_bytes(own_mac)
    request = (
        _BROADCAST
        + own
        + struct.pack("!H", ETH_P_ARP)
        + struct.pack("!HHBBH", 1, ETH_P_IP, 6, 4, 1)
        + own
        + socket.inet_aton(own_ip)
        + bytes(6)
        + socket.inet_aton(peer_ip)
    )
    with _open(netdev, ETH_P_ARP, 0.3) as sock:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            sock.send(request)
            pause = time.monotonic() + 0.3
            while time.monotonic() < pause:
                try:
                    frame = sock.recv(2048)
                except TimeoutError:
                    break
                if len(frame) >= 42 and frame[20:22] == b"\0\2" and frame[28:32] == socket.inet_aton(peer_ip):
                    return frame[22:28].hex(":")
    return None


def send(netdev: str, own_mac: str, peer_mac: str, own_ip: str, peer_ip: str, token: bytes, payload: int, octets: int) -> int:
    """Send about ``octets`` of payload in frames of ``payload`` octets.  Returns what was sent."""
    body = token + os.urandom(max(0, payload - len(token)))
    udp = struct.pack("!HHHH", 49152 + token[0], ROCE_PORT, 8 + len(body), 0) + body
    source = socket.inet_aton(own_ip) if ":" not in own_ip else b"\xa9\xfe\0\1"
    target = socket.inet_aton(peer_ip) if ":" not in peer_ip else b"\xa9\xfe\0\2"
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + source + target
    words = struct.unpack("!10H", head)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    head = head[:10] + struct.pack("!H", checksum) + head[12:]
    frame = mac_bytes(peer_mac) + mac_bytes(own_mac) + struct.pack("!H", ETH_P_IP) + head + udp
    sent = 0
    with _open(netdev, ETH_P_IP, 5) as sock:
        for number in range(max(1, octets // max(1, len(body)))):
            sock.send(frame)
            sent += len(body)
            if number % 64 == 63:
                time.sleep(0.001)
    return sent


class Receiver:
    """Counts the frames of one transfer on one function."""

    def __init__(self, netdev: str, own_mac: str, token: bytes) -> None:
        self._socket = _open(netdev, ETH_P_IP, 0.2)
        self._own, self._token = mac_bytes(own_mac), token

    def wait(self, timeout: float) -> int:
        """Octets received until the flow pauses after its first frame, or 0 when ``timeout`` seconds bring none."""
        deadline = time.monotonic() + timeout
        got = 0
        start = 42
        while time.monotonic() < deadline:
            try:
                frame = self._socket.recv(65536)
            except TimeoutError:
                if got:
                    break
                continue
            if frame[:6] == self._own and frame[start : start + len(self._token)] == self._token:
                got += len(frame) - start
        return got

    def close(self) -> None:
        self._socket.close()
