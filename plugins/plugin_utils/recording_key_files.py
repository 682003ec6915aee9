# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording may keep of NetworkManager's profiles and systemd-networkd's files (see `recording_reducers`). Pure.

Each key has the shape of its values, and what is of another one is left out: a word that somebody chose may stand behind any key. Names
of interfaces and profiles stay, for the sanitiser replaces them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from . import recording_names as names

_SECTION_KEYS: Mapping[str, str] = {
    "connection": r"id|uuid|type|interface-name|autoconnect|autoconnect-priority|master|slave-type|controller|port-type",
    "ipv4": r"method|address\d*|addresses|gateway|route\d*|routes|never-default|may-fail|route-metric|link-local",
    "ipv6": r"method|address\d*|addresses|gateway|route\d*|routes|never-default|may-fail|route-metric|addr-gen-mode",
    "ethernet": r"mtu|mac-address|cloned-mac-address",
    "802-3-ethernet": r"mtu|mac-address|cloned-mac-address",
    "match": r"interface-name|driver|path",
    "Match": r"Name|Driver|Type|MACAddress|PermanentMACAddress|Path|Kind|OriginalName",
    "Network": r"DHCP|Address|Gateway|LinkLocalAddressing|IPv6AcceptRA|ConfigureWithoutCarrier|Bond|Bridge|VLAN|VRF",
    "Link": r"MTUBytes|RequiredForOnline|ActivationPolicy|Unmanaged|ARP|Name|NamePolicy|MACAddressPolicy",
    "Address": r"Address|Scope",
    "Route": r"Destination|Gateway|Metric|Table|Scope",
    "NetDev": r"Name|Kind|MTUBytes|MACAddress",
}

_KIND = (
    r"!?(?:802-3-ethernet|802-11-wireless|ether(?:net)?|wifi|wlan|wwan|gsm|loopback|none|bond|bridge|dummy|vlan|vrf|team|tun|tap|veth|vpn"
    r"|wireguard|infiniband|ip-tunnel|ipvlan|macvlan|macvtap|vxlan|vcan|can|gre|gretap|ip6gre|ip6tnl|ipip|sit|geneve|ifb|macsec)"
)
_WORD = (
    r"!?(?:yes|no|true|false|on|off|ipv4|ipv6|both|auto|manual|disabled|enabled|ignore|link-local|shared|dhcp|default|none|up|down|always-up"
    r"|always-down|bound|routable|degraded|carrier|no-carrier|off|eui64|stable-privacy|default-or-eui64|kernel|database|onboard|slot|path|mac"
    r"|keep|persistent|random|global|link|host|main|local|unspec)"
)
_MAC = r"(?i:[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5})"
_PATH = r"!?(?:(?:pci|usb|acpi|platform)-[0-9a-f:.*?-]{1,40}|\*)"
_ADDRESS = r"[0-9A-Fa-f:.]{1,45}(?:/\d{1,3})?"

_NAMES = re.compile(r"!?[\w.@*?\[\]-]{1,64}")
_SHAPES = tuple(
    (re.compile(keys), word if isinstance(word, re.Pattern) else re.compile(word))
    for keys, word in (
        (r"uuid", r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
        (r"(?:slave-|port-)?type|Type|Kind", _KIND),
        (r"interface-name|master|controller|Name|OriginalName|Bond|Bridge|VLAN|VRF", _NAMES),
        (r"autoconnect-priority|mtu|MTUBytes|[mM]etric|route-metric", r"-?\d{1,9}[KMG]?"),
        (r"Table", r"\d{1,10}|main|local|default"),
        (r"address\d*|addresses|gateway|routes?\d*|Address|Gateway|Destination", _ADDRESS),
        (r"(?:cloned-)?mac-address|(?:Permanent)?MACAddress", rf"{_MAC}|preserve|permanent|random|stable|none"),
        (r"[pP]ath", _PATH),
        (
            (
                r"autoconnect|method|never-default|may-fail|link-local|addr-gen-mode|DHCP|LinkLocalAddressing|IPv6AcceptRA"
                r"|ConfigureWithoutCarrier|RequiredForOnline|ActivationPolicy|Unmanaged|ARP|NamePolicy|MACAddressPolicy|Scope"
            ),
            rf"{_WORD}|\d{{1,3}}",
        ),
    )
)
_TITLE = re.compile(r"[\w .,:;/*?!+\[\]~-]{0,200}")
_BETWEEN = re.compile(r"([\s;,]+)")


def key_file(text: str, _logins: Collection[str]) -> str:
    """A NetworkManager profile or a file of systemd-networkd: which interface it is for and how it is addressed."""
    found: list[str] = []
    section = ""
    for line in text.split("\n")[:4000]:
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            section = stripped[1:-1]
            found += [stripped] if section in _SECTION_KEYS else []
            continue
        key, equals, value = (part.strip() for part in stripped.partition("="))
        if equals and section in _SECTION_KEYS and re.fullmatch(_SECTION_KEYS[section], key):
            kept = _kept(key, value[:1000], section.lower() == "match")
            found += [f"{key}={kept}"] if kept is not None else []
    return "".join(f"{line}\n" for line in found)


def _kept(key: str, value: str, matches: bool) -> str | None:
    """What of a value stays; null when it is not of the shape that its key asks for. What a file is matched by is never left out, for
    without it the file would be for every interface."""
    if key == "id":
        return value if _TITLE.fullmatch(value) else None
    if key in ("driver", "Driver"):
        return names.plain_words(value) if _TITLE.fullmatch(value) else "other"
    shape = next(shape for keys, shape in _SHAPES if keys.fullmatch(key))
    parts = _BETWEEN.split(value.rstrip(" ;,"))
    fitting = [place % 2 == 1 or shape.fullmatch(part) is not None for place, part in enumerate(parts)]
    if not all(fitting) and not matches:
        return None
    kept = [part if fits else "!other" if part.startswith("!") else "other" for part, fits in zip(parts, fitting, strict=True)]
    return "".join(map(names.interface_pattern, kept) if shape is _NAMES else kept)
