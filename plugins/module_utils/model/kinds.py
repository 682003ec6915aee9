# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a text of the model may be. The controller's gate holds what a desk says against the kind that its field is annotated with.

A plain ``str`` is one line of any text, see `LINE`. What names a thing that later goes into a file, a command or a comparison has a
kind of its own: no spaces, quotes, line ends or patterns of ssh get into those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Kind:
    """One kind of text."""

    name: str
    """In words, with its article: ``an interface name``."""
    pattern: str = ""
    """What the whole text must match; empty for any text."""
    limit: int = 4096
    """Characters at most. This collection's own number, far above what a desk has shown."""
    lines: bool = False
    """Whether it may have line ends."""


LARGEST = 1 << 64
"""What a whole number must be below, its sign aside: counters of the kernel have 64 bits."""
MOST_ENTRIES = 4096
"""Entries of one list or mapping. This collection's own number: a GID table has 256 slots, a desk some hundred held packages."""

LINE = Kind("one line of text")
BLOCK = Kind("a text", limit=1 << 18, lines=True)

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
IPV6 = r"(?=[0-9A-Fa-f]*:[0-9A-Fa-f.:]*:)[0-9A-Fa-f:.]{2,45}"
KEY_TYPES = r"(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
PUBLIC_KEY = rf"{KEY_TYPES} [A-Za-z0-9+/]{{2,8192}}={{0,2}}"
WORD = r"[A-Za-z0-9_][A-Za-z0-9._+:~@-]*"

Block = Annotated[str, BLOCK]
Netdev = Annotated[str, Kind("an interface name", r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,14}")]
RdmaDevice = Annotated[str, Kind("the name of an RDMA device", r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")]
Mac = Annotated[str, Kind("a MAC address", r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")]
PciAddress = Annotated[str, Kind("a PCI address", r"(?:[0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]")]
Uuid = Annotated[str, Kind("a UUID", r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")]
Sha256 = Annotated[str, Kind("a SHA-256", r"[0-9a-f]{64}")]
Ipv4 = Annotated[str, Kind("an IPv4 address", IPV4)]
IpAddress = Annotated[str, Kind("an IP address without a scope", rf"(?:{IPV4}|{IPV6})")]
Gid128 = Annotated[str, Kind("a GID", r"[0-9A-Fa-f:]{2,39}")]
PublicKey = Annotated[str, Kind("an ssh public key (type and base64)", PUBLIC_KEY)]
PublicKeyLine = Annotated[
    str, Kind("an ssh public key (type, base64, comment)", rf"{PUBLIC_KEY}(?: [^\x00-\x1f\x7f-\x9f\u2028\u2029]{{1,256}})?\n?")
]
Fingerprint = Annotated[str, Kind("a fingerprint of an ssh key", r"SHA256:[A-Za-z0-9+/]{43}=?")]
HostName = Annotated[str, Kind("a host name", r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})|\(none\))")]
UserName = Annotated[str, Kind("a user name", r"[A-Za-z0-9_](?:[A-Za-z0-9._@\\-]{0,255}\$?)")]
AbsolutePath = Annotated[str, Kind("an absolute path", r"/[^\x00-\x1f\x7f-\x9f'\"`$;&|<>*?]{0,4095}")]
Version = Annotated[str, Kind("a version", rf"(?:{WORD})?", 256)]
PackageName = Annotated[str, Kind("a package name", r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,254}(?::[a-z0-9-]{1,32})?")]
