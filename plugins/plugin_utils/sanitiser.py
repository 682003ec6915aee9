# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace what names a desk, its owner or its network in a recording, the same name by the same stand-in everywhere. Pure.

What of a file or an output stays at all is decided before (`recording_policy`); here the names in it are replaced. First everything is
read (`learn`), then everything is written anew (`text`): a name that turns up in the last file is also replaced in the first. Relations
stay true: addresses of one network stay in one network with their host part, MACs of one adapter keep their
distance, a link-local address still carries its MAC, a GID still maps its IPv4 address, a fingerprint still fits its key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..module_utils.readers import netplan
from . import secret_shapes
from .address_map import ROUTE_FILE, AddressMap
from .one_pattern import literals
from .recording_boot import release_of, releases_in
from .recording_names import KERNELS_INTERFACE, plain, plain_interface, plain_profile
from .recording_packages import names_packages
from .recording_reducers import MARK, SECTIONS, networks
from .secret_shapes import REMOVED

GENERIC = frozenset(
    (
        *("root", "ubuntu", "nvidia", "nobody", "admin", "user", "localhost", "localdomain", "local", "linux", "spark", "dgx", "gx10"),
        *("desk", "host", "none", "unknown", "standin", "recorded", "lan", "home"),
    )
)
"""Names that say nothing about an owner. They are kept: replacing them would tear package names and paths apart."""

NO_SERIAL = frozenset(
    (
        "",
        "0",
        "none",
        "n/a",
        "[n/a]",
        "na",
        "null",
        "default string",
        "not specified",
        "not applicable",
        "unknown",
        "to be filled by o.e.m.",
    )
)
"""What firmware prints where there is no serial."""

_UUID = r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])"
_PRIVATE_KEY = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)"
_PUBLIC_KEY = r"(?<![A-Za-z0-9])AAAA[A-Za-z0-9+/]{30,}={0,2}"
_FINGERPRINT = r"SHA256:[A-Za-z0-9+/]{43}"
_UNIT = r"service|socket|timer|target|mount|automount|path|slice|scope|device|swap|conf"
_MAIL = rf"(?<![\w.+@-])[\w.+-]+@(?![\w.\\-]*\.(?:{_UNIT})\b|openssh\.com\b)[\w-]+(?:\.[\w-]+)*"
"""Also user@host in the comment of a key; a templated unit (getty@tty1.service) is no address, nor is an algorithm of OpenSSH's."""
_GUID = r"(?<![0-9A-Fa-f:])[0-9A-Fa-f]{4}(?::[0-9A-Fa-f]{4}){3}(?![0-9A-Fa-f:])"
_OCTETS = r"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){6,31}|(?:-[0-9A-Fa-f]{2}){7})(?![0-9A-Fa-f:-])"
"""Longer hardware addresses (a DHCP client, InfiniBand, with hyphens PCIe's serial number of a device) and fingerprints."""
_DIGITS = r"(?<![0-9A-Za-z])(?=[0-9]*[A-Fa-f])(?=[A-Fa-f]*[0-9])(?!fe80|ff0)[0-9A-Fa-f]{32,128}(?![0-9A-Za-z])"
"""Ids and digests. (32 digits that begin with fe80 or ff0 are an address in the kernel's own spelling.)"""
_NUMBER = r"(?<![0-9A-Za-z])0x(?=0*[1-9a-f])(?!f+\b)[0-9A-Fa-f]{12,40}(?![0-9A-Za-z])"
_OPAQUE = (
    *(("uuid", _UUID), ("key", _PUBLIC_KEY), ("fingerprint", _FINGERPRINT), ("guid", _GUID), ("mail", _MAIL)),
    *(("octets", _OCTETS), ("digits", _DIGITS), ("number", _NUMBER)),
)

_SERIAL_FIELD = re.compile(
    r"(?i)(?:serial(?:[ _-]?(?:number|no|num))?|\b(?:vendor )?sn|\basset[ _-]?tag|_sn)\b[\"']?[ \t]*[:=][ \t]*[\"']?([^\"'\n,}]*)"
)
_SERIAL_SAID = re.compile(
    r"(?:(?i:\bserial(?:[ _-]?(?:number|no))?|\basset tag)|\[SN\]|\bSN)[ \t]++(?=(?:[^0-9\s]{0,40}[0-9]){3})"
    r"([A-Z0-9][A-Z0-9_-]{5,40})(?![A-Za-z0-9])"
)
"""Behind the bare word: letters and digits in capitals."""
_SSID = (
    re.compile(r"(?im)^[ \t]*ssid[ \t]*[:=][ \t]*+\"?([^\"\n]++)\"?[ \t]*$"),
    re.compile(r"(?im)^[ \t]*access-points:[ \t]*\n[ \t]++\"?'?([^\"'\n]+?)\"?'?:"),
)
_DOMAIN = re.compile(r"(?m)^[ \t]*(?:search|domain)[ \t]++([^\n#;]+)$")
"""A line of resolv.conf. Prose has lines that begin so too ("search for ..."), so every word must be a dotted name."""
_DOTTED = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)+\.?")
_DOMAIN_SETTING = (
    re.compile(r"(?im)^[ \t]*(?:Domains|dns-search|ipv[46]\.dns-search)[ \t]*[=:][ \t]*+([^\n#]+)$"),
    re.compile(r"(?m)^[ \t]*search:[ \t]*\[([^\]\n]*)\]"),
    re.compile(r"(?m)^[ \t]*search:[ \t]*\n((?:[ \t]*-[ \t]+[^\n]+\n?)+)"),
)
"""Search domains of systemd-networkd and resolved, NetworkManager and netplan. One word may be a domain there."""
_RESOLVER_FILES = re.compile(r"/resolv\.conf$")
_PASSWD = re.compile(r"(?m)^([^:\n]{1,64}):[^:\n]*:(\d+):\d+:([^:\n]*):([^:\n]*):[^:\n]*$")
_HOME = re.compile(r"/home/([A-Za-z_][\w.-]*)")
_SSH_HOME = re.compile(r"(.*)/([^/]+)/\.ssh(?:/|$)")
_NET_FOLDER = re.compile(r"^/(?:sys/.*/(?:net|infiniband)|proc/sys/net/ipv[46]/(?:conf|neigh))/([^/]+)")
_NET_NAME = (
    re.compile(r"\"(?:ifname|link|master|netdev|dev)\": ?\"([\w.@:-]{1,40})\""),
    re.compile(r"(?m)(?:^\d{1,9}: (?=[^\n]*: <)| netdev )([\w.@-]{1,40})"),
    re.compile(r"(?m)^[ \t]*(?:Name|interface-name|OriginalName|Bridge|Bond|VLAN|VRF|master|controller)[ \t]*=[ \t]*([^\n=]{1,200})$"),
)
_NET_FILES = (
    (re.compile(r"/uevent$"), re.compile(r"(?m)^INTERFACE=(.{1,40})$")),
    (re.compile(r"/net/(?:arp|if_inet6)$"), re.compile(r"(?m)^[0-9a-f][^\n]*[ \t](\S{1,40})$")),
)
_NET_PROGRAMS = {
    "ibdev2netdev": re.compile(r"(?m)^(\S{1,40}) port \d{1,5} ==> (\S{1,40})"),
    "ethtool": re.compile(r"(?m)^Settings for (\S{1,40}):"),
    "rdma": re.compile(r"(?m)^(?:\d+/\d+: |link )([\w-]{1,40})/\d"),
}
"""Where interfaces and adapters are named, of files and of programs' outputs."""
_STACK = re.compile(r"\"stack\"\s*:\s*\"([\w.-]{1,64})\"")
_RELEASE_FILES = re.compile(
    r"^/(?:boot/grub/(?:grub\.cfg|grubenv)|etc/default/grub(?:\.d/.*)?|proc/(?:cmdline|version|sys/kernel/osrelease))$"
)
_RELEASE_SAID = re.compile(r"(?m)^.*(?:version magic|Linux version|BOOT_IMAGE=).*$")
_INTERFACE_SAID = re.compile(
    r"(?:renamed from |NETDEV WATCHDOG: |mlx5_core [0-9a-f:.]{6,12}[0-9a-f] (?=[\w.-]{1,15}(?:: | \(renamed )))([\w.-]{1,15})(?=[ :)\n]|$)"
)
"""An interface behind the address of its device; behind a colon the driver itself speaks."""
_UPDATED_KERNEL = re.compile(r"\"kernel_(?:before|after)\": ?\"([^\"]{1,100})\"")
_KERNEL_PACKAGE = re.compile(r"\blinux-[a-z0-9.-]{1,40}?-(\d+\.\d+\.\d+[-+~][\w.+~-]{1,80})")
_ID_USER = re.compile(r"\buid=\d+\(([^)\s]+)\)")
_SWITCH_ID = re.compile(r"""phys_switch_id["']?[\s:=]+["']?([0-9a-f]{12,40})\b""")

_URL_HOST = re.compile(r"(?i)\b(?:https?|ftp|ldaps?|nfs|smb|ssh|git)://(?:[^\s/@]*@)?([a-z0-9][a-z0-9.-]{2,200})")
_PUBLIC_HOST = re.compile(
    r"(?i)(?:.*\.)?(?:nvidia|ubuntu|canonical|launchpad|debian|kernel|freedesktop|github|gnu|docker|example|mellanox|launchpadcontent"
    r"|systemd|die\.net|man7|w3)\.(?:com|org|net|io)"
)
_MARKED_NAME = re.compile(r"(?m)^# (?:desk|boot_id|link_changes) ([\w.-]{1,64})\b")
_PAIR_NAME = re.compile(r"(?m)^# (?:pair|stack) ([\w.-]{1,64})$")
_LINK_CHANGES = re.compile(r"(?m)^# link_changes \S+ (.*)$")
_OUR_HOSTS = re.compile(rf"(?m)^([^\s#@|]+) .* {MARK}$")
_NETPLAN_FILES = re.compile(r"/netplan/[^/]+\.ya?ml$")
_SPACED_PROFILE = re.compile(rf"netplan-(?:{KERNELS_INTERFACE})-(.+)")
_NO_NAME = re.compile(r"[\d.:]+|[\w.]*[*?\[][^/]*")
_WITH_UUID = re.compile(rf"(.+)-{_UUID}")

PROFILE_FILES = re.compile(r"/system-connections/([^/]+?)(?:\.nmconnection)?$")
SERIAL_FILES = re.compile(r"/(?:(?:product|board|chassis|system)_serial|[a-z]+_asset_tag|serial(?:_number)?)$")
HOSTNAME_FILES = re.compile(r"^/(?:etc/hostname|proc/sys/kernel/hostname)$")
MACHINE_ID_FILES = re.compile(r"/machine-id$")
SWITCH_ID_FILES = re.compile(r"/phys_switch_id$")
NO_ADDRESS_FILES = re.compile(r"^/(?:var/lib/dpkg/|usr/share/|sys/(?:class|devices/virtual)/dmi/|proc/version|lib/modules/|boot/)")
NO_ADDRESS_COMMANDS = frozenset(("dpkg-query", "dpkg", "apt-cache", "apt-mark", "apt-get", "modinfo", "fwupdmgr"))
"""Where dotted numbers are versions."""


class Sanitiser:
    """The stand-ins of one recording."""

    def __init__(self, standin: str, hostnames: Iterable[str] = (), users: Iterable[str] = ()) -> None:
        """``standin`` takes the place of the host name; ``hostnames`` and ``users`` are names known beforehand (inventory, login user)."""
        self._standin = standin
        self._kinds: dict[str, list[str]] = {}
        self._noted: set[str] = set()
        self._addresses = AddressMap()
        self._opaque: dict[str, set[str]] = {kind: set() for kind, _pattern in _OPAQUE}
        self._corpus: list[str] = []
        self._secrets: set[str] = set()
        self._map: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._originals: tuple[re.Pattern[str], re.Pattern[str]] | None = None
        self._keys: dict[str, str] = {}
        self.logins = frozenset(name for name in users if name)
        """Names of the login user."""
        for name in hostnames:
            self._host(name)
        for name in self.logins:
            self._note("user", name)

    @property
    def learned(self) -> int:
        """How many names were found."""
        return len(self._noted)

    # Learning ---------------------------------------------------------------------------------------------------------------------

    def learn_file(self, path: str, text: str) -> None:
        """Find what must be replaced in a file and in its name."""
        self._learn(path)
        text = networks(_spelled_out(text)) if path.endswith("/authorized_keys") else _spelled_out(text)
        content = text.strip()
        self._path(path)
        if SERIAL_FILES.search(path):
            self._note("serial", content, sure=True)
        elif HOSTNAME_FILES.search(path):
            self._host(content)
        elif MACHINE_ID_FILES.search(path):
            self._note("id", content)
        elif SWITCH_ID_FILES.search(path):
            self._note("switch", content)
        if _RELEASE_FILES.search(path):
            self._releases(text)
        if ROUTE_FILE.search(path):
            for line in text.split("\n")[1:4000]:
                self._interface(line.split("\t")[0].strip())
            self._addresses.learn_routes(text)
        self._learn(text, addresses=not NO_ADDRESS_FILES.search(path), resolver=bool(_RESOLVER_FILES.search(path)))
        if path.endswith("/update/journal.json"):
            for match in _STACK.finditer(text):
                self._note("pair", match.group(1))
            for match in _UPDATED_KERNEL.finditer(text):
                self._release(match.group(1))
        for files, pattern in _NET_FILES:
            for match in pattern.finditer(text) if files.search(path) else ():
                self._interface(match.group(1))
        if names_packages(path):
            self._kernel_packages(text)
        if re.search(r"/systemd/network/|/system-connections/", path):
            for match in _NET_NAME[2].finditer(text):
                for name in re.split(r"[\s;,!]+", match.group(1)):
                    self._interface(name)
        if path.endswith("/passwd"):
            self._accounts(text)
        if path.endswith("/pair.env"):
            for match in _MARKED_NAME.finditer(text):
                self._host(match.group(1))
            for match in _PAIR_NAME.finditer(text):
                self._note("pair", match.group(1))
            for match in _LINK_CHANGES.finditer(text):
                for word in match.group(1).split():
                    self._interface(word.partition("=")[0])
        if path.endswith("/known_hosts"):
            for match in _OUR_HOSTS.finditer(text):
                for name in match.group(1).split(","):
                    if not re.fullmatch(r"[\d.:a-f\[\]]+|pair-(?:head|peer\d*)|stack-\d+", name):
                        self._host(name.strip("[]").partition("]")[0])
        if _NETPLAN_FILES.search(path):
            self._netplan(text)
        if PROFILE_FILES.search(path):
            for match in re.finditer(r"(?m)^[ \t]*id[ \t]*=[ \t]*(.+)$", text):
                self._profile(match.group(1))

    def _profile(self, name: str) -> None:
        """A profile's name: often that of a wireless network, alone or behind the interface's."""
        name = name.strip()
        for wrapped in (_WITH_UUID, _SPACED_PROFILE):
            match = wrapped.fullmatch(name)
            name = match.group(1) if match else name
        if not plain_profile(name):
            self._note("ssid", name)

    def _netplan(self, text: str) -> None:
        """Names and secrets of a netplan file, whatever its style; most of it is left out of the recording, but may stand elsewhere."""
        data, error = netplan.load(text)
        waiting: list[tuple[str, Any]] = [] if error else [("", data)]
        for _step in range(20_000):
            if not waiting:
                break
            key, value = waiting.pop()
            if isinstance(value, dict):
                if key == "access-points":
                    for name in value:
                        self._note("ssid", str(name))
                if key in SECTIONS:
                    for name in value:
                        self._interface(str(name))
                waiting += [(str(name), item) for name, item in value.items()]
            elif isinstance(value, list):
                waiting += [(key, item) for item in value]
            elif isinstance(value, (str, int)) and not isinstance(value, bool):
                self._netplan_value(key, str(value))

    def _netplan_value(self, key: str, value: str) -> None:
        if key == "name":
            self._profile(value)
        elif key in ("set-name", "link", "interfaces"):
            self._interface(value)
        elif "ssid" in key.lower():
            self._note("ssid", value)
        elif key in ("identity", "anonymous-identity"):
            self._note("user", value)
        elif secret_shapes.telling_key(key) and not secret_shapes.common(value):
            self._secrets.add(value)

    def learn_command(self, argv: Iterable[str], stdout: str, stderr: str) -> None:
        """Find what must be replaced in a command and its output."""
        words, stdout = list(argv), _spelled_out(stdout)
        program = words[0].rsplit("/", 1)[-1] if words else ""
        for word in words:
            self._learn(word)
        if program in ("hostname", "hostnamectl", "uname") and stdout.strip():
            fields = stdout.split()
            if program == "hostname" or words[1:] == ["-n"]:
                self._host(stdout.strip())
            elif program == "uname" and fields[0] == "Linux" and len(fields) > 2:
                self._host(fields[1])
            for match in re.finditer(r"(?im)^[ \t]*(?:static )?hostname:[ \t]*(\S+)", stdout):
                self._host(match.group(1))
        if program in ("uname", "modinfo"):
            self._releases(stdout + " ".join(["", *words]))
        if program in ("dpkg", "dpkg-query", "apt-mark"):
            self._kernel_packages(stdout)
        if program in ("journalctl", "dmesg"):
            for match in _INTERFACE_SAID.finditer(stdout):
                self._interface(match.group(1))
            for match in _RELEASE_SAID.finditer(stdout):
                self._releases(match.group())
        if program == "ethtool":
            self._interface(words[-1])
        for match in _NET_PROGRAMS[program].finditer(stdout) if program in _NET_PROGRAMS else ():
            for name in match.groups():
                self._interface(name)
        if program in ("ip", "rdma"):
            for pattern in _NET_NAME[:2]:
                for match in pattern.finditer(stdout):
                    self._interface(match.group(1))
        if program == "sshd":
            self._learn(networks(stdout))
        if program == "nmcli":
            for line in stdout.splitlines():
                fields = re.split(r"(?<!\\):", line)
                self._interface(fields[0])
                if len(fields) >= 4:
                    self._profile(fields[3].replace("\\:", ":"))
        if program == "getent" and "passwd" in words:
            self._accounts(stdout)
        for text in (stdout, stderr):
            self._learn(text, addresses=program not in NO_ADDRESS_COMMANDS)

    def learn_path(self, path: str) -> None:
        """Find what must be replaced in a path or the target of a link."""
        self._learn(path)
        self._path(path)

    def _path(self, path: str) -> None:
        home, interface, profile = _SSH_HOME.match(path), _NET_FOLDER.match(path), PROFILE_FILES.search(path)
        if profile:
            self._profile(profile.group(1))
        if home and home.group(2) != "root":
            self._note("user", home.group(2))
            self._homes(home.group(1))
        if interface:
            self._interface(interface.group(1))
        if path.startswith(("/boot/", "/lib/modules/", "/usr/lib/modules/", "/usr/src/")):
            for part in path.split("/"):
                self._release(part)

    def _release(self, name: str) -> None:
        release = release_of(name)
        if release:
            self._note("release", release)

    def _releases(self, text: str) -> None:
        for release in releases_in(text):
            self._note("release", release)

    def _kernel_packages(self, text: str) -> None:
        for match in _KERNEL_PACKAGE.finditer(text):
            self._release(match.group(1))

    def _host(self, name: str) -> None:
        short, _dot, domain = name.strip().partition(".")
        self._note("host", short)
        if domain:
            self._note("domain", domain)

    def _domains(self, names: Iterable[str]) -> None:
        for name in names:
            plain = name.strip("\"'~-.")
            if re.fullmatch(r"[A-Za-z0-9_.-]+", plain):
                self._note("domain", plain)

    def _accounts(self, text: str) -> None:
        for match in _PASSWD.finditer(text):
            name, number, comment, home = match.groups()
            if (int(number) >= 1000 and int(number) != 65534) or int(number) == 0:
                self._note("user", name)
                self._note("person", comment.split(",")[0])
                self._homes(home.rpartition("/")[0])

    def _homes(self, folder: str) -> None:
        """Folders above homes: the name of a domain, a company or a room."""
        for part in folder.split("/"):
            if not plain(part):
                self._note("home", part)

    def _interface(self, name: str) -> None:
        for part in (name.partition("@")[0], name.partition("@")[0].rpartition(".")[0]):
            if part and not plain_interface(part) and not _NO_NAME.fullmatch(part):
                self._note("interface", part)

    def _note(self, kind: str, value: str, sure: bool = False) -> None:
        value = value.strip()
        if len(value) < 2 or value.lower() in GENERIC or value.lower() in NO_SERIAL or not re.search(r"\w", value):
            return
        if not set(value) - set("0-. ") or (kind == "serial" and (len(value) < 4 or not (sure or re.search(r"\d", value)))):
            return
        if value.lower() not in self._noted:
            self._noted.add(value.lower())
            self._originals = None
            self._kinds.setdefault(kind, []).append(value)

    def _learn(self, text: str, addresses: bool = True, resolver: bool = False) -> None:
        self._pattern = self._originals = None
        self._corpus.append(text.lower())
        self._addresses.learn_macs(text)
        for kind, pattern in _OPAQUE:
            for match in re.finditer(pattern, text):
                self._opaque[kind].add(match.group())
        for match in re.finditer(_PRIVATE_KEY, text, re.DOTALL):
            self._secrets.add(match.group())
        # A common word (disabled, required) is removed where it stands, not everywhere.
        self._secrets.update(secret for secret in secret_shapes.values(text) if not secret_shapes.common(secret))
        for match in _URL_HOST.finditer(text):
            if not _PUBLIC_HOST.fullmatch(match.group(1)) and not re.fullmatch(r"[\d.]+", match.group(1)):
                self._note("domain", match.group(1))
        if addresses:
            self._addresses.learn_text(text)
        for serials in (_SERIAL_FIELD, _SERIAL_SAID):
            for match in serials.finditer(text):
                self._note("serial", match.group(1))
        for network in _SSID:
            for match in network.finditer(text):
                self._note("ssid", match.group(1))
        for match in _DOMAIN.finditer(text):
            names = match.group(1).split()
            if resolver or all(_DOTTED.fullmatch(name) for name in names):
                self._domains(names)
        for setting in _DOMAIN_SETTING:
            for match in setting.finditer(text):
                self._domains(re.split(r"[\s,;]+", match.group(1).replace("\n", " ")))
        for account in (_HOME, _ID_USER):
            for match in account.finditer(text):
                self._note("user", match.group(1))
        for match in _SWITCH_ID.finditer(text):
            self._note("switch", match.group(1))

    # Stand-ins --------------------------------------------------------------------------------------------------------------------

    def _prepare(self) -> re.Pattern[str]:
        """Choose all stand-ins and build the one pattern that finds everything in a single pass."""
        if self._pattern is not None:
            return self._pattern
        self._map.clear()
        corpus = "\n".join(self._corpus)
        for name in list(self._kinds.get("host", ())):
            # What makes a name of a host's doubles its hyphens (a volume group), or has underscores for them.
            for form in (name.replace("-", "--"), name.replace("-", "_")):
                if form.lower() in corpus:
                    self._note("host", form)
        originals = {name for name in self._noted if len(name) > 3}
        self._addresses.choose(lambda text: text in corpus)
        makers: dict[str, Callable[[int, str], str]] = {
            "host": lambda number, _old: self._standin if number == 1 else f"{self._standin}-{number}",
            "user": lambda number, _old: f"account{number}",
            "person": lambda number, _old: f"Person {number}",
            "serial": lambda number, _old: f"S{number:011d}",
            "id": lambda number, _old: f"{number:032x}",
            "switch": lambda number, _old: f"{0x02 << 56 | number:016x}",
            "ssid": lambda number, _old: f"wireless{number}",
            "pair": lambda number, _old: f"pair{number}",
            "home": lambda number, _old: f"homes{number}",
            "interface": lambda number, _old: f"net{number}",
            "release": lambda number, old: f"{''.join(re.findall(r'^[0-9.]+(?:-[0-9]+)?', old))}-custom{number}",
            "domain": lambda number, _old: f"site{number}.example",
            "uuid": lambda number, _old: f"00000000-0000-4000-8000-{number:012x}",
            "guid": lambda number, _old: f"0200:0000:{number >> 16:04x}:{number & 0xFFFF:04x}",
            "mail": lambda number, _old: f"person{number}@example.org",
            "octets": lambda number, old: old[2].join(re.findall("..", f"02{number:0{len(old) // 3 * 2}x}")),
            "digits": lambda number, old: _many_digits(number, len(old)),
            "number": lambda number, old: f"0x02{number:0{len(old) - 4}x}",
        }
        given: set[str] = set()
        sources = {**self._kinds, **{kind: sorted(self._opaque[kind]) for kind in ("uuid", "guid", "mail", "octets", "digits", "number")}}
        for kind, values in sources.items():
            numbers = itertools.count(1)
            for value in values:
                if kind in ("guid", "octets") and not set(value) - set("0:-"):
                    continue
                if value.lower() in self._map:
                    continue
                # A stand-in is never a value of the original: what is replaced could not be told from what was there.
                candidate = next(
                    text
                    for text in (makers[kind](number, value) for number in numbers)
                    if text.lower() not in given
                    and not any(part in originals for part in _parts(text.lower()))
                    and text.lower() not in corpus
                )
                given.add(candidate.lower())
                self._map[value.lower()] = candidate
        for number, key in enumerate(sorted(self._opaque["key"]), start=1):
            self._map[key.lower()] = self._keys[key] = _stand_in_key(key, number)
        fits = {_fingerprint(key): _fingerprint(self._keys[key]) for key in self._opaque["key"]}
        for number, print_ in enumerate(sorted(self._opaque["fingerprint"]), start=1):
            invented = "SHA256:" + base64.b64encode(hashlib.sha256(f"fingerprint {number}".encode()).digest()).decode().rstrip("=")
            self._map[print_.lower()] = fits.get(print_, invented)
        self._pattern = re.compile("|".join(filter(None, self._alternatives())), re.DOTALL | re.IGNORECASE)
        return self._pattern

    def _alternatives(self) -> Iterator[str]:
        yield from _bounded(self._secrets)
        yield _PRIVATE_KEY
        yield literals(value for kind in ("key", "fingerprint", "mail", "octets", "digits", "number") for value in self._opaque[kind])
        yield from _bounded(self._noted)
        yield _UUID
        yield _GUID
        yield from self._addresses.patterns()

    # Writing ----------------------------------------------------------------------------------------------------------------------

    def file(self, path: str, text: str) -> str:
        """A file's text with every learned original replaced; the kernel's route table holds addresses as digits in reverse order."""
        text = self.text(text)
        return self._addresses.route_table(text) if ROUTE_FILE.search(path) else text

    def text(self, text: str) -> str:
        """The text with every learned original replaced."""
        pattern = self._prepare()
        return pattern.sub(self._replace, secret_shapes.cut(text))

    def _replace(self, match: re.Match[str]) -> str:
        found = match.group()
        known = self._map.get(found.lower())
        if known is not None:
            return known
        if found in self._secrets or found.startswith("-----BEGIN"):
            return REMOVED
        return self._addresses.replaced(found)

    def leaks(self, text: str) -> list[str]:
        """Originals that are still in a text (kinds and places of a mistake in this file, never expected)."""
        if self._originals is None:
            self._originals = (_any_of(self._noted), _any_of(self._secrets))
        found = self._originals[0].findall(text)
        opaque = ("uuid", "key", "fingerprint", "mail", "octets", "digits", "number")
        found += [value for kind in opaque for value in self._opaque[kind] if value in text and set(value) - set("0:-")]
        found += [secret for secret in self._originals[1].findall(text) if secret in self._secrets]
        return found + self._addresses.leaks(text) + secret_shapes.found(text)


def _spelled_out(text: str) -> str:
    """A JSON text with its letters in place of escapes, as a recording has it."""
    if "\\u" not in text or text.lstrip()[:1] not in ("[", "{"):
        return text
    try:
        return f"{text}\n{json.dumps(json.loads(text), ensure_ascii=False)}"
    except (ValueError, RecursionError):
        return text


def _many_digits(number: int, length: int) -> str:
    """Digits of an id or digest that mean nothing."""
    return "".join(hashlib.sha256(f"digits {number} {part}".encode()).hexdigest() for part in range(2))[:length]


def _bounded(values: Iterable[str]) -> list[str]:
    """Patterns for literals: anywhere when they are long or odd enough, as whole words when they are short ones."""
    anywhere: list[str] = []
    words: list[str] = []
    for value in values:
        (anywhere if len(value) >= 8 or (len(value) >= 6 and not value.isdecimal()) else words).append(value)
    short = literals(words)
    return [pattern for pattern in (literals(anywhere), short and rf"(?<![A-Za-z0-9]){short}(?![A-Za-z0-9])") if pattern]


def _any_of(values: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(_bounded(values)) or "(?!)", re.IGNORECASE)


def _parts(text: str) -> Iterator[str]:
    """Every part of a short text."""
    return (text[start:end] for start in range(len(text)) for end in range(start + 1, len(text) + 1))


def _fingerprint(key: str) -> str:
    """SHA256 fingerprint of a base64 public key, as ssh-keygen prints it."""
    try:
        blob = base64.b64decode(key + "=" * (-len(key) % 4))
    except (binascii.Error, ValueError):
        blob = key.encode()
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _stand_in_key(key: str, number: int) -> str:
    """A public key of the same type whose bytes mean nothing."""
    kind = b"ssh-ed25519"
    try:
        blob = base64.b64decode(key + "=" * (-len(key) % 4))
        length = int.from_bytes(blob[:4], "big")
        if 0 < length <= 64 and len(blob) > 4 + length:
            kind = blob[4 : 4 + length]
    except (binascii.Error, ValueError):
        pass
    body = hashlib.sha256(f"key {number}".encode()).digest()
    return base64.b64encode(len(kind).to_bytes(4, "big") + kind + len(body).to_bytes(4, "big") + body).decode()
