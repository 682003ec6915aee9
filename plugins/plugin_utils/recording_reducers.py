# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a file or an output a recording may keep: the keys and lines that a reader uses, each value of a known shape. Pure.

Everything else is left out, so a secret in a place that nobody thought of is left out too. Names and addresses that stay are replaced
afterwards (see `sanitiser`). A reducer takes the text and the names of the login user, and gives the text that stays.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import yaml

from ..module_utils.desk import INFOROM
from ..module_utils.gather.apt import LOCKS
from ..module_utils.gather.driver import NOT_LOADED
from ..module_utils.gather.limits import FOLDERS
from ..module_utils.readers import kernel_command_line, kernel_errors, nvidia_smi_error, nvidia_smi_q, uname
from ..module_utils.readers import kernel_log as plug_log
from ..module_utils.readers import netplan as netplan_reader
from ..module_utils.readers import sshd_config as sshd_reader
from . import recording_names as names

Reducer = Callable[[str, Collection[str]], str]

MARK = "dgx_spark_pair"
"""Comment at the end of this collection's own lines in authorized_keys, known_hosts and hosts."""

UNPARSED = "{\n"
"""Stands for a file that cannot be parsed: it cannot be parsed either."""

PLAIN_PROFILE = re.compile(
    r"(?i)(?:netplan-(?:en|wl|eth)\w{0,12}|(?:wired|ethernet) connection(?: \d+)?|lo|docker\d*|br-[0-9a-f]+|(?:en|wl|eth)\w{1,13})"
)
"""Names of NetworkManager profiles that say nothing. Others are often the name of a wireless network."""

PLAIN_GROUPS = frozenset(
    (
        *("root", "daemon", "sys", "adm", "tty", "disk", "lp", "mail", "dialout", "cdrom", "floppy", "sudo", "audio", "dip", "video"),
        *("plugdev", "staff", "users", "input", "kvm", "render", "crontab", "netdev", "lpadmin", "sambashare", "lxd", "docker", "rdma"),
        *("wheel", "systemd-journal", "nogroup", "ubuntu", "nvidia", "admin", "bluetooth", "scanner", "libvirt", "nvidia-persistenced"),
    )
)
"""Groups that every Ubuntu or DGX OS has. Others may be named after a project or a customer."""

_WORD = re.compile(r"[A-Za-z0-9*?._:@+\[\]!/-]{1,64}")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/\d{1,3})?")
_FLAG = frozenset(("yes", "no", "true", "false", "on", "off", "y", "n"))


def kept(text: str, _logins: Collection[str]) -> str:
    """For what the kernel, the firmware or a package wrote: all of it."""
    return text


def lines_like(*patterns: str, flags: int = 0) -> Reducer:
    """Only lines that are wholly one of the patterns; an empty pattern keeps empty lines, which part stanzas."""
    wanted = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), flags)

    def reduce(text: str, _logins: Collection[str]) -> str:
        lines = text.removesuffix("\n").split("\n") if text else []
        return "".join(f"{line}\n" for line in lines if wanted.fullmatch(line.rstrip("\r")))

    return reduce


_MENU = re.compile(r"(\s*)(menuentry|submenu) ('[\w ,.()/+~-]{1,200}').*?( \$menuentry_id_option '[\w./+~-]{1,200}')? \{")
_KERNEL = re.compile(r"(\s*linux(?:efi)?\s+(?:/boot)?/vmlinuz-[\w.+~-]{1,80})(?:\s.*)?")

_PLACE = r"[\w ,.()/+~>-]{1,300}"
_MENU_DEFAULT = re.compile(
    rf"""\s*set default="(?:{_PLACE}|\$\{{(?:next|saved)_entry\}})"|\s*if \[ "x\$default" = '{_PLACE}' \]; then default='{_PLACE}'; fi;"""
)


def grub_menu(text: str, _logins: Collection[str]) -> str:
    """/boot/grub/grub.cfg: titles and ids of the menu, which kernel each starts and which is the default; no password, no command line."""
    found = []
    for line in text.split("\n")[:20_000]:
        entry, kernel = _MENU.fullmatch(line.rstrip()), _KERNEL.fullmatch(line.rstrip())
        if entry:
            found.append(f"{entry.group(1)}{entry.group(2)} {entry.group(3)}{entry.group(4) or ''} {{")
        elif kernel:
            kept = re.findall(r"(?<=\s)(?:ro|kho=\w{1,16})(?=\s|$)", line)
            found.append(" ".join((kernel.group(1), *kept)))
        elif line.strip() == "}" or _MENU_DEFAULT.fullmatch(line.rstrip()):
            found.append(line.rstrip())
    return "".join(f"{line}\n" for line in found)


_SSHD_VALUE = re.compile(r"[\w@.,:+*-]{1,2000}")
_USUAL_KEYS = re.compile(
    r"(?:(?:%h|/root)/)?\.ssh/authorized_keys2?|/etc/ssh/(?:authorized_keys/)?%[uU]|/etc/ssh/authorized_keys(?:\.d/%[uU])?|none"
)
_SSHD_WORDS = ("pubkeyauthentication", "authenticationmethods", "pubkeyacceptedalgorithms", "maxsessions", "maxstartups", "port")


def sshd_config(text: str, logins: Collection[str]) -> str:
    """``sshd -T``: what decides over keys. Of files, commands, users and groups only what kind they are and whether the login user's is
    among them."""
    found = []
    for line in text.split("\n")[:4000]:
        keyword, _blank, value = line.strip().partition(" ")
        if keyword in _SSHD_WORDS and _SSHD_VALUE.fullmatch(value):
            found.append(f"{keyword} {value}")
        elif keyword == "authorizedkeysfile":
            found.append(f"{keyword} {' '.join(_keys_file(item, logins) for item in value.split()[:16])}")
        elif keyword == "forcecommand":
            found.append(f"{keyword} {'none' if value.lower() == 'none' else 'program'}")
        elif keyword in sshd_reader.WORDS:
            found += [f"{keyword} {_who(item, logins, keyword.endswith('users'))}" for item in value.split()[:64]]
    return "".join(f"{line}\n" for line in found)


def _keys_file(path: str, logins: Collection[str]) -> str:
    own = re.sub("|".join([re.escape(name) for name in logins] or ["(?!)"]), "%u", path)
    return path if _USUAL_KEYS.fullmatch(path) or re.fullmatch(r"/home/%u/\.ssh/authorized_keys2?", own) else "/etc/ssh/other/%u"


def _who(pattern: str, logins: Collection[str], user: bool) -> str:
    """A pattern of users or groups: whether it is the login user's stays, and from which addresses."""
    bare, at, host = pattern.lstrip("!").partition("@") if user else (pattern.lstrip("!"), "", "")
    negated = "!" if pattern.startswith("!") else ""
    place = f"@{host}" if at and re.fullmatch(r"[0-9A-Fa-f.:/*?]+", host) else "@elsewhere.example" if at else ""
    if user:
        mine = next((name for name in sorted(logins) if fnmatch.fnmatchcase(name, bare)), None)
        return f"{negated}{'*' if bare == '*' else mine or 'other'}{place}"
    return f"{negated}{bare if bare == '*' or bare in PLAIN_GROUPS or bare in logins or re.fullmatch('group[0-9]+', bare) else 'other'}"


def root_options(text: str, _logins: Collection[str]) -> str:
    """Whether the root file system may be written to: the other options may hold names of volumes and servers."""
    return text[:2] if re.match(r"r[ow](?:,|\s|$)", text) else ""


def presence(text: str, _logins: Collection[str]) -> str:
    """For a file of which only the presence tells something."""
    return "# Its content was not recorded.\n" if text else ""


# netplan --------------------------------------------------------------------------------------------------------------------------

SECTIONS = (
    *("ethernets", "wifis", "bonds", "bridges", "vlans", "tunnels", "vrfs", "dummy-devices", "virtual-ethernets", "modems"),
    "nm-devices",
)
_FLAG_KEYS = frozenset(
    ("dhcp4", "dhcp6", "optional", "critical", "accept-ra", "wakeonlan", "ignore-carrier", "on-link", "use-routes", "use-dns")
)
_NUMBER_KEYS = frozenset(("mtu", "id", "table", "metric", "route-metric", "priority", "mark", "port"))
_WORD_KEYS = frozenset(
    (
        *("set-name", "link", "renderer", "mode", "activation-mode", "infiniband-mode", "dhcp-identifier", "macaddress", "driver", "type"),
        *("scope", "interfaces", "link-local", "uuid", "name"),
    )
)
_ADDRESS_KEYS = frozenset(("gateway4", "gateway6", "local", "remote", "addresses", "to", "via", "from"))
_INNER = {
    "match": ("name", "macaddress", "driver"),
    "routes": ("to", "via", "from", "metric", "table", "type", "scope", "on-link", "mtu"),
    "routing-policy": ("from", "to", "table", "priority", "mark"),
    "nameservers": ("addresses",),
    "networkmanager": ("name", "uuid"),
    "dhcp4-overrides": ("use-routes", "use-dns", "route-metric"),
    "dhcp6-overrides": ("use-routes", "use-dns", "route-metric"),
    "parameters": ("mode",),
}
_DEVICE_KEYS = (_FLAG_KEYS | _NUMBER_KEYS | _WORD_KEYS | _ADDRESS_KEYS) - {"name", "uuid", "type", "scope", "to", "via", "from"}
LIST_LIMIT = 256


def netplan(text: str, _logins: Collection[str]) -> str:
    """A netplan file: how its interfaces are found and addressed; never an access point, a key or a password."""
    data, error = netplan_reader.load(text)
    if error is not None:
        return UNPARSED
    network = data.get("network") if isinstance(data, dict) else None
    if not isinstance(network, dict):
        # Read as "no network section", "not a netplan file", or nothing at all.
        return yaml.safe_dump(
            {"network": []} if isinstance(data, dict) and "network" in data else {} if isinstance(data, dict) else data and []
        )
    found: dict[str, Any] = {key: network[key] for key in ("version", "renderer") if _plain(key, network.get(key)) is not None}
    for section in SECTIONS:
        devices = network.get(section)
        if isinstance(devices, dict):
            named = [(name, device) for name, device in list(devices.items())[:LIST_LIMIT] if isinstance(name, str)]
            found[section] = {
                name if _WORD.fullmatch(name) else f"device{number}": _device(device)
                for number, (name, device) in enumerate(named, start=1)
            }
    return str(yaml.safe_dump({"network": found}, sort_keys=False, default_flow_style=False, width=140))


def _device(device: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in device.items() if isinstance(device, dict) else ():
        if key in _INNER and isinstance(value, (dict, list)):
            items = [
                {name: _plain(name, item[name]) for name in _INNER[key] if name in item and _plain(name, item[name]) is not None}
                for item in (value if isinstance(value, list) else [value])[:LIST_LIMIT]
                if isinstance(item, dict)
            ]
            found[key] = items if isinstance(value, list) else items[0]
        elif key in _DEVICE_KEYS:
            plain = _plain(key, value)
            if plain is not None:
                found[key] = plain
    return found


def _plain(key: str, value: Any) -> Any:
    """The value when it has the shape that its key asks for, else null."""
    if isinstance(value, list):
        items = [_plain(key, next(iter(item), None) if isinstance(item, dict) else item) for item in value[:LIST_LIMIT]]
        return [item for item in items if item is not None]
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**32 else None
    if not isinstance(value, str):
        return None
    if key in _FLAG_KEYS:
        return value if value.lower() in _FLAG else None
    if key in _ADDRESS_KEYS:
        return value if _ADDRESS.fullmatch(value) or value == "default" else None
    if key == "driver":
        return names.plain_words(value) if _WORD.fullmatch(value) else None
    if key == "name" and re.fullmatch(r"[\w .:*?\[\]-]{1,64}", value):
        return value
    return value if _WORD.fullmatch(value) or (key == "version" and value.isdecimal()) else None


_OWN = r"(?:usr/(?:bin|sbin|lib|libexec)|opt/nvidia|bin|sbin|lib|proc|sys|dev)/"
"""Folders of the system, without the first slash."""

# Key files ------------------------------------------------------------------------------------------------------------------------

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
_FREE = re.compile(r"[\w .,:;/*?!+\[\]~-]{0,200}")


def key_file(text: str, _logins: Collection[str]) -> str:
    """A NetworkManager profile or a file of systemd-networkd: which interface it is for and how it is addressed."""
    found: list[str] = []
    allowed: re.Pattern[str] | None = None
    for line in text.split("\n")[:4000]:
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            name = stripped[1:-1]
            allowed = re.compile(_SECTION_KEYS[name]) if name in _SECTION_KEYS else None
            found += [stripped] if allowed else []
            continue
        key, equals, value = stripped.partition("=")
        if allowed is not None and equals and allowed.fullmatch(key.strip()) and _FREE.fullmatch(value.strip()):
            found.append(f"{key.strip()}={value.strip()}")
    return "".join(f"{line}\n" for line in found)


def unit_file(text: str, _logins: Collection[str]) -> str:
    """A systemd unit: that it is there and how it is grouped, never what it runs or is given."""
    return lines_like(
        r"\[(?:Unit|Service|Install)\]",
        r"Type=(?:simple|exec|forking|oneshot|dbus|notify|idle)|RemainAfterExit=\w{1,5}|WantedBy=(?:multi-user|graphical|basic|sysinit)\.target",
        rf"Condition(?:Path|File|Directory)\w+=[!|]{{0,2}}/(?:{_OWN}|etc/nvidia/|var/lib/nvidia)[\w@.:/-]{{0,120}}",
    )(text, ())


# Accounts -------------------------------------------------------------------------------------------------------------------------


def passwd(text: str, _logins: Collection[str]) -> str:
    """/etc/passwd: root and people's accounts with name, numbers and home; no comment, no other account."""
    found = []
    for line in text.split("\n")[:20_000]:
        cells = line.split(":")
        if len(cells) >= 7 and cells[2].isdecimal() and cells[3].isdecimal() and (cells[2] == "0" or 1000 <= int(cells[2]) < 60_000):
            name = cells[0]
            home = cells[5] if re.fullmatch(r"/[\w./-]{0,100}", cells[5]) and cells[5].rstrip("/").endswith("/" + name) else f"/home/{name}"
            found.append(f"{name}:x:{cells[2]}:{cells[3]}::{'/root' if cells[2] == '0' else home}:/bin/bash\n")
    return "".join(found)


def group(text: str, logins: Collection[str]) -> str:
    """/etc/group: the groups of the login user; a name that not every Ubuntu has is replaced, other members are left out."""
    found = []
    for line in text.split("\n")[:20_000]:
        cells = line.split(":")
        if len(cells) < 4 or not cells[2].isdecimal():
            continue
        members = [member for member in cells[3].split(",") if member in logins]
        own = cells[0] in logins
        if members or own or cells[0] in ("rdma", "docker", "video", "render"):
            found.append(f"{group_name(cells[0], cells[2], logins)}:x:{cells[2]}:{','.join(members)}\n")
    return "".join(found)


def group_name(name: str, number: str, logins: Collection[str]) -> str:
    """What a recording calls a group."""
    return name if name in PLAIN_GROUPS or name in logins else f"group{number}"


def limits_conf(text: str, logins: Collection[str]) -> str:
    """limits.conf: the memlock lines for everybody, the login user and well-known groups."""
    found = []
    for line in text.split("\n")[:4000]:
        words = line.partition("#")[0].split()
        if len(words) != 4 or words[2] != "memlock" or not re.fullmatch(r"soft|hard|-", words[1]) or not re.fullmatch(r"-?\w+", words[3]):
            continue
        domain = words[0]
        if domain in ("*", "root", "%") or domain in logins or (domain.startswith("@") and domain[1:] in PLAIN_GROUPS):
            found.append(" ".join(words) + "\n")
    return "".join(found)


# ssh and names --------------------------------------------------------------------------------------------------------------------

_KEY = r"(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp\d{3}|sk-[\w@.-]{1,60}) [A-Za-z0-9+/]{20,2000}={0,3}"
_SOURCES = r"[0-9A-Fa-f:.,/*]{1,400}"


def authorized_keys(text: str, _logins: Collection[str]) -> str:
    """authorized_keys: the lines of this collection, without options of others."""
    return lines_like(rf'(?:restrict,)?(?:from="{_SOURCES}" )?{_KEY} {MARK}')(text, ())


def known_hosts(text: str, _logins: Collection[str]) -> str:
    """known_hosts: the lines of this collection."""
    return lines_like(rf"[\w.:,\[\]-]{{1,400}} {_KEY} {MARK}")(text, ())


def public_key(text: str, _logins: Collection[str]) -> str:
    """A public key without its comment, which often is a name."""
    found = re.match(_KEY, text.strip())
    return f"{found.group()}\n" if found else ""


_KNOWN_HOST = re.compile(r"pair-(?:head|peer\d*)|stack-\d{1,3}|(?:ip6-)?(?:localhost|loopback|localdomain)")


def hosts(text: str, _logins: Collection[str]) -> str:
    """/etc/hosts: localhost, this collection's names (pair-...), and nothing of anybody else."""
    found = []
    for line in text.split("\n")[:10_000]:
        words = line.partition("#")[0].split()
        if len(words) < 2 or not _ADDRESS.fullmatch(words[0]):
            continue
        ours = line.rstrip().endswith(MARK)
        known = [name for name in words[1:] if _KNOWN_HOST.fullmatch(name)]
        if known:
            found.append(f"{words[0]} {' '.join(known)}{f' # {MARK}' if ours else ''}\n")
    return "".join(found)


PAIR_SETTING = r"(?:(?:NCCL|UCX|OMPI|PRTE|GLOO|TP)_[A-Za-z0-9_]{1,60}|MN_IF_NAME)=[\w.,:=/^-]{0,200}"
_PAIR_ENV = lines_like(
    r"# Settings that this pair was proven with\..{0,200}",
    r"# pair [\w.-]{1,64}",
    r"# desk [\w.-]{1,64} \((?:head|peer)\)",
    r"# first_proven_by [\w.:-]{1,80}",
    r"# boot_id [\w.-]{1,64} [0-9a-f-]{36}",
    r"# link_changes [\w.-]{1,64}(?: [\w.-]{1,20}=(?:\d{1,9}|None))*",
    PAIR_SETTING,
)


def pair_env(text: str, logins: Collection[str]) -> str:
    """pair.env: the lines that this collection writes; a value that names nothing of NCCL's, UCX's or the network's is left out."""
    return "".join(f"{_setting(line)}\n" for line in _PAIR_ENV(text, logins).split("\n") if line)


def _setting(line: str) -> str:
    name, equals, value = line.partition("=")
    if line.startswith("#") or not equals:
        return line
    parts = re.split(r"([,:=^/])", value)
    return f"{name}={''.join(part if _usual(part) else 'other' for part in parts)}"


def _usual(part: str) -> bool:
    return names.plain_interface(part) or re.fullmatch(r"[\d.]*|[,:=^/]", part) is not None


hostfile: Reducer = lines_like(r"[0-9A-Fa-f.:]{2,45} slots=\d{1,3}")


# JSON -----------------------------------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[a-z0-9][a-z0-9.+:-]{1,120}")


def json_like(shape: Any) -> Reducer:
    """A JSON text of which only what a shape names stays.

    A shape is a dict (allowed keys to shapes; the key `*` stands for every key that looks like a package), a list of one shape, or a
    pattern that a text or number must wholly match; true and null always may.
    """

    def reduce(text: str, _logins: Collection[str]) -> str:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return UNPARSED
        return json.dumps(_shaped(data, shape), indent=1) + "\n"

    return reduce


def _shaped(value: Any, shape: Any) -> Any:
    if isinstance(shape, dict) and isinstance(value, dict):
        pairs = [
            (key, shape.get(key, shape.get("*"))) for key in list(value)[:20_000] if key in shape or ("*" in shape and _NAME.fullmatch(key))
        ]
        return {key: _shaped(value[key], inner) for key, inner in pairs}
    if isinstance(shape, list) and isinstance(value, list):
        return [found for found in (_shaped(item, shape[0]) for item in value[:20_000]) if found is not None]
    if isinstance(shape, str) and (value is None or isinstance(value, bool)):
        return value
    if isinstance(shape, str) and isinstance(value, (str, int, float)):
        return value if re.fullmatch(shape, str(value)) else None
    return None


_PACKAGE = r"[a-z0-9][a-z0-9.+:-]{0,120}(?:=[\w.+:~-]{1,120})?"
_VERSION = r"[\w.+:~-]{1,120}"
journal = json_like({"state": r"[a-z_]{1,32}", "schema": r"[\w./]{1,60}"})
"""The journal of a link change: only its state; the rest is the files from before, as base64."""

driver_lock = json_like(
    {
        **dict.fromkeys(("schema", "phase", "state", "branch", "level"), r"[\w./-]{1,60}"),
        **{key: [_PACKAGE] for key in ("held", "protected", "conflicts")},
        "packages": {"*": _VERSION},
        "pins": [r"[\w.-]{1,80}"],
        "preferences_sha256": r"[0-9a-f]{64}",
        "before": {"holds": [_PACKAGE], "versions": {"*": _VERSION}},
        "debs": {"kept": [_PACKAGE], "missing": [_PACKAGE], "wanted": ""},
    }
)
update_journal = json_like(
    {
        **dict.fromkeys(("schema", "phase", "run_id", "stack", "kernel_before", "kernel_after"), r"[\w./+~-]{1,100}"),
        **{key: {"*": _VERSION} for key in ("before", "target")},
        **{key: [_PACKAGE] for key in ("added", "kept", "lost")},
        "firmware": [r"[\w .()-]{1,80}"],
    }
)
manifest = json_like(
    {
        **dict.fromkeys(("schema", "key", "gencode"), r"[\w./ ,=-]{1,200}"),
        "sources": [{"name": r"[\w.-]{1,40}", "tag": r"v?[\d.]{1,20}(?:-\d{1,3})?(?:\+cuda[\d.]{1,8})?", "commit": r"[0-9a-f]{7,64}"}],
        "files": {},
    }
)
cuda_version = json_like({key: {"name": r"CUDA(?: SDK| NVCC| Toolkit)?", "version": r"[\d.]{1,40}"} for key in ("cuda", "cuda_nvcc")})
_ADDRESS_INFO = {
    **dict.fromkeys(("local", "broadcast", "peer", "address"), r"[0-9A-Fa-f:.]{2,45}"),
    **dict.fromkeys(("family", "scope", "prefixlen", "valid_life_time", "preferred_life_time", "protocol"), r"[\w-]{1,40}"),
    **dict.fromkeys(("dynamic", "noprefixroute", "temporary", "deprecated", "tentative", "dadfailed", "mngtmpaddr"), ""),
}
ip_address_json = json_like(
    [
        {
            **dict.fromkeys(("ifname", "link", "master", "qdisc", "operstate", "link_type", "parentbus", "parentdev"), r"[\w.@:-]{1,40}"),
            **dict.fromkeys(("ifindex", "link_index", "mtu", "txqlen", "link_netnsid"), r"\d{1,12}"),
            **dict.fromkeys(("address", "broadcast", "permaddr"), r"[0-9a-f:]{2,60}"),
            "flags": [r"[A-Z0-9_-]{1,40}"],
            "altnames": [r"en\w{1,20}|wl\w{1,20}"],
            "addr_info": [_ADDRESS_INFO],
        }
    ]
)
"""`ip -j addr`: not the alias, which is the admin's own text."""


def ip_address(text: str, logins: Collection[str]) -> str:
    """`ip addr`, as JSON or plain."""
    if text.lstrip()[:1] in ("[", "{"):
        return ip_address_json(text, logins)
    plain = lines_like(
        r"\d{1,9}: [\w.@:-]{1,40}: <[A-Z0-9_,-]{0,300}> mtu \d{1,7}[\w .-]{0,300}",
        r"\s+(?:link/|inet6? |altname (?:en|wl)|valid_lft )[\w .:/,-]{0,300}",
        r"[\w.@-]{1,40}\s+(?:UP|DOWN|UNKNOWN|LOWERLAYERDOWN|DORMANT|NOTPRESENT|TESTING)\b[\w .:/,<>-]{0,2000}",
    )
    return re.sub(r" (?:link-netns|alias) \S+", "", plain(text, ()))


# Kernel ---------------------------------------------------------------------------------------------------------------------------


def command_line(text: str, _logins: Collection[str]) -> str:
    """The kernel's command line: the parameters that kernel, driver and boot loader know; an unknown one may be a token."""
    words = []
    for word in kernel_command_line.known(text):
        name, _equals, value = word.partition("=")
        words.append(f"{name}={_parameter(value)}" if value else word)
    return " ".join(words) + "\n" if words else ""


def _parameter(value: str) -> str:
    """A value with every word replaced that is no usual one; ids, numbers with a unit and places of devices stay."""
    return "".join(part if place % 2 else names.plain_words(part) for place, part in enumerate(_ID_OR_SIZE.split(value)))


_ID_OR_SIZE = re.compile(
    r"([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|\d+\.\d+(?:\.\d+)?-\d+-[a-z]+|(?<![A-Za-z0-9])(?:0x[0-9a-f]{1,16}"
    r"|\d{1,9}[KMGkmgns]?|\d{1,3}n\d{1,3}p\d{1,3}|[oyn]{1,3}|r[ow])(?![A-Za-z0-9]))"
)

grub: Reducer = lines_like(
    r"# GRUB Environment Block",
    r"(?:GRUB_(?:DEFAULT|SAVEDEFAULT|FLAVOUR_ORDER|TOP_LEVEL|TIMEOUT(?:_STYLE)?)|saved_entry|next_entry|recordfail"
    r"|initrdless_boot_fallback_triggered)=[\w \"'>.,():/+~-]{0,300}",
)
"""What GRUB starts; not its command line, superusers or passwords."""

modprobe: Reducer = lines_like(
    r"\s*(?:blacklist\s+(?:nvidia|nouveau)|alias\s+nvidia\s+(?:off|null)|install\s+nvidia\s+(?:(?:/usr)?/bin/)?(?:false|true))\s*"
)
"""Whether a module is blocked from loading; not what else a lab sets for its modules."""

_TIME = (
    r"(?:<\d+>)?(?:\[[ \d]+\.\d+\]|\[\w{3} \w{3} +\d+ [\d:]+ \d{4}\]|\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?"
    r"|\w{3} +\d+ [\d:]{8}|[\d:]{8}(?:\.\d+)?)"
)
_LOG_LINE = re.compile(rf"(?P<time>{_TIME})(?P<host> [\w.-]+)?(?P<kernel> kernel:)? ?(?P<text>.*)")
_SUBSYSTEM = re.compile(
    r"(?:\w+ )?(?:cx7-pcie-hotplug|mlx5_core|mlx5_ib|pcieport|pci|nvidia|nvidia-\w+|nvidia_\w+|nvme|nvme\d\w*|arm-smmu\w*|EDAC|mce|thermal|"
    r"MTKP0001|r8127|r8169|mt7925e)\b.*"
    r"|(?:NVRM|AER|DMI|Linux version|Booting Linux|Memory|cma|CMA|KHO|OOM|Out of memory|oom-kill|oom_reaper|Xid|watchdog|BUG|rcu|INFO: task"
    r"|INFO: rcu|soft lockup|Kernel panic|Modules linked in|Tainted|secureboot|Secure boot|Lockdown|EXT4-fs|Hardware name|PCI|ACPI Error"
    r"|RmInitAdapter|module|mlx5|efi|smp|CPU)\b.*"
)
_PROGRAM = re.compile(r"(?i)\b(name|comm|task|process|killed process \d+|lockdown)([=: ]+\(?)('?)(?!\d+\b)[^\s,')]{1,64}")
_SPACED_PROGRAM = re.compile(
    r"(?i)(?P<head>\bkilled process \d+ \()(?:.{1,64}(?=\)(?:,| total-vm|$))|[^)]{1,64}(?=\)))|(?P<name>\bname=)[^'=]{1,64}?(?=, |$)"
    r"|(?P<oom>\btask=).{1,16}?(?=,pid=)"
    r"|(?P<comm>\bcomm: ).{1,16}?(?= (?:Not tainted|Tainted|Kdump|Pid:|PID:|#)|$)|(?P<task>\btask ).{1,16}?(?=[:/]\d)"
    r"|(?P<lock>\bLockdown: ).{1,16}?(?=: )|(?P<reaped>\breaped process \d+ \()[^)]{1,64}(?=\))"
    r"|(?P<symbol>\b(?:Unknown symbol|version of symbol) )\S{1,128}"
)
"""Names with blanks, commas and brackets, which only what stands behind them ends."""
_IN_BRACKETS = re.compile(r"\[[^\]\[]{1,64}:(\d+)\]")
_GROUPS = re.compile(r"(?i)(\b(?:cpuset|oom_memcg|task_memcg)=|\bcgroup stats for )[^,\s]+")
"""Control groups: names of containers, pods and of units of people."""
_OTHERS_PATH = re.compile(r"(?<![\w./])/(?!(?:usr|bin|sbin|lib|proc|sys|dev|boot|run)\b)[A-Za-z_][^\s,'\")\]]*|\bnqn\.[\w.:-]+")
"""A path outside the folders of the system, and the name of a storage of a network, in which its owner's domain stands."""
_OTHERS_MODULE = re.compile(
    r"(?i)(\b(?:module |insert )['\"])(?!nvidia)[\w-]{1,64}(?=['\"])|(\bmodule )(?!nvidia)[\w-]{2,64}(?=:)"
    r"|(\bLoading of )(?!nvidia|unsigned)[\w-]{1,64}"
)
_ODD = re.compile(r"[^\x20-\x7e]")


def _of_use(line: str) -> bool:
    """Whether the readers of the kernel log find something in a line."""
    told = kernel_errors.read(line) | {"lines": 0, "events": [], "hotplug_started": False}
    plugs = plug_log.read(line)
    return any(value not in (None, 0, [], {}) for value in told.values()) or bool(plugs["events"] or plugs["hotplug_started"])


def kernel_log(text: str, _logins: Collection[str]) -> str:
    """The kernel log: the lines that its readers find something in. Names of host, programs, modules and folders are left out."""
    found = []
    for line in text.split("\n"):
        match = _LOG_LINE.fullmatch(line[:2000].rstrip("\r")) if line else None
        if match is None:
            continue
        said = match["text"]
        if not match["kernel"] and match["host"] and _SUBSYSTEM.fullmatch(f"{match['host'].strip()} {said}"):
            # `dmesg` tells no host: the first word is the subsystem's.
            said, middle = f"{match['host'].strip()} {said}", ""
        else:
            middle = " spark kernel:" if match["kernel"] else ""
        if re.match(r"(?:Kernel )?command line|printk: ", said, re.IGNORECASE):
            continue
        if _SUBSYSTEM.fullmatch(said) and _of_use(line):
            said = _OTHERS_MODULE.sub(lambda found: f"{found[found.lastindex or 0]}module", said)
            said = _SPACED_PROGRAM.sub(lambda found: f"{found[found.lastgroup or 0]}program", said)
            said = _IN_BRACKETS.sub(r"[program:\1]", _PROGRAM.sub(_program, said))
            said = _OTHERS_PATH.sub("/path", _GROUPS.sub(r"\1group", said))
            found.append(f"{match['time']}{middle} {_ODD.sub('?', said)}\n")
        elif not found:
            # The first line tells when the log begins.
            found.append(f"{match['time']}{middle} not recorded\n")
    return "".join(found)


def _program(match: re.Match[str]) -> str:
    return f"{match.group(1)}{match.group(2)}{match.group(3)}program"


_UNKNOWN_ERROR = "an error that is not recorded"
_SAID = (
    "no such (?:file or directory|device|process)|permission denied|operation not permitted|operation not supported|not found"
    "|connection refused|(?:device or )?resource busy|input/output error|invalid argument|timed out|cannot allocate memory"
    "|no space left on device|a password is required|not running"
)
_ERROR = re.compile(
    "|".join(
        (
            r"Field \"[\w.]{1,80}\" is not a valid field to query",
            *(re.escape(phrase) for phrase in nvidia_smi_error.PHRASES if not phrase.endswith('"')),
            *(re.escape(phrase) for phrase in NOT_LOADED),
            re.escape(INFOROM),
            r"NVML library version: [\d.]{1,20}",
            r"RTNETLINK answers: (?:Network is unreachable|No route to host|Invalid argument|Operation not permitted)",
            r"No journal files were opened due to insufficient permissions",
            r"Module (?:nvidia\w{0,20}|nouveau|mlx5_\w{1,10}) not found",
            f"(?i:{_SAID})",
        )
    )
)


def errors(text: str, _logins: Collection[str]) -> str:
    """An error output: of each line the words that tell what kind of error it is. What else stands there may be anybody's name."""
    found = ((line, _ERROR.search(line)) for line in text.split("\n")[:20])
    return "".join(f"{match.group() if match else _UNKNOWN_ERROR}\n" for line, match in found if line.strip())


# Packages and programs ------------------------------------------------------------------------------------------------------------

_STANZA = re.compile(r"(?:Package|Status|Architecture|Version|Multi-Arch|Auto-Installed): [\w .+:~()-]{1,200}")


def stanzas(text: str, _logins: Collection[str]) -> str:
    """A file of the package manager: name, state, architecture and version of each package; no maintainer, address or description."""
    found = [line for line in text.split("\n") if not line or _STANZA.fullmatch(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(found))


_PINNED: Reducer = lines_like(
    r"Package: [\w .*?+:/-]{1,4000}",
    r"Pin: (?:version|release) [\w .,*=+:~/-]{1,200}",
    r"Pin: origin \"?(?:[\w.-]+\.)?(?:nvidia|ubuntu|debian)\.(?:com|org)\"?",
    r"Pin-Priority: -?\d{1,6}",
    r"",
)
_PINNED_TO = re.compile(r"(?m)^(Pin: (?:version|release) )(.*)$")
_OF_ARCHIVE = re.compile(r"([a-z]=)?([^,\n]*)")


def preferences(text: str, logins: Collection[str]) -> str:
    """A file of apt's preferences; what is not the usual of an archive or a version is left out."""

    def usual(found: re.Match[str]) -> str:
        return found[1] + _OF_ARCHIVE.sub(lambda part: (part[1] or "") + names.plain_words(part[2]), found[2])

    return _PINNED_TO.sub(usual, _PINNED(text, logins))


_TABLE_ROW = re.compile(r"(?m)^(\|(?: {1,20}(?:\d{1,10}|N/A)){2,5} {1,20}[CGM+]{1,4} {1,20})(\S.*?)(?= +\S+ *\|$)")
"""A process of plain ``nvidia-smi``: what stands before its name, and the name."""


def _table_row(match: re.Match[str]) -> str:
    return match.group(1) + names.program(match.group(2)).ljust(len(match.group(2)))


_TABLE_LINE = re.compile(r"[|+][^\n]{0,300}|\w{3} \w{3} [\d :]{10,20}|")


def programs(text: str, _logins: Collection[str]) -> str:
    """Plain `nvidia-smi`: its table, each program called as everybody knows it or `program`; of errors their kind."""
    lines = _TABLE_ROW.sub(_table_row, text).split("\n")[:4000]
    return "\n".join(line if _TABLE_LINE.fullmatch(line) else _said(line) for line in lines)


def _said(line: str) -> str:
    return ": ".join(found.group() for found in _ERROR.finditer(line))


_DETAIL = re.compile(r"([ \t]*)([A-Z][\w /().-]{0,60}?)([ \t]*:[ \t]?)(.*)")
_HEADING = re.compile(r"([ \t]*)([A-Z][\w /().-]{0,60}?)[ \t]*")
_READ_KEYS = frozenset(("Attached GPUs", "Process ID", "Type", "Used GPU Memory", "Processes", *nvidia_smi_q.FIELDS))
_READING = re.compile(r"[\w .,:/%()\[\]+-]{0,120}")


def process_list(text: str, _logins: Collection[str]) -> str:
    """`nvidia-smi -q`: the fields that are read; of each process its program, without folders and without arguments."""
    found = []
    for line in text.split("\n")[:20_000]:
        field, heading = _DETAIL.fullmatch(line), _HEADING.fullmatch(line)
        if re.fullmatch(r"GPU [0-9A-Fa-f:.]{7,20}|=+[\w =-]{0,60}", line) or (field is None and heading and heading[2] in _READ_KEYS):
            found.append(line)
        elif field is None:
            found.append(_said(line) or (f"{heading[1]}Section" if heading else ""))
        elif field[2] == "Name":
            found.append(f"{field[1]}{field[2]}{field[3]}{names.program(field[4])}")
        elif (field[2] in _READ_KEYS or nvidia_smi_error.dead(field[4])) and _READING.fullmatch(field[4]):
            name = field[2] if field[2] in _READ_KEYS else "Reading"
            found.append(f"{field[1]}{name}{field[3]}{field[4]}")
        elif not field[4]:
            found.append(f"{field[1]}Section")
        elif _said(line):
            found.append(_said(line))
    return "\n".join(found)


_PLAIN_CELL = re.compile(r"\d{0,9}(?:\.\d{1,9})?(?: ?(?:MiB|%))?|\[[\w /]{1,30}\]")


def process_table(text: str, _logins: Collection[str]) -> str:
    """`nvidia-smi --query-compute-apps`: numbers, and of each process its program."""
    found = []
    for place, row in enumerate(text.split("\n")[:20_000]):
        cells = [cell.strip() for cell in row.split(",")]
        if place == 0 and all(re.fullmatch(r"(?:pid|process_name|used_gpu_memory|used_memory)(?: \[\w+\])?", cell) for cell in cells):
            found.append(row)
            continue
        found.append(", ".join(cell if _PLAIN_CELL.fullmatch(cell) else names.program(cell) for cell in cells))
    return "\n".join(found)


readings: Reducer = lines_like(r"[\w .,:/%()\[\]+-]{0,600}")
"""Columns of `nvidia-smi --query-gpu`, all of them of the known ones (see the policy)."""


def queue_pairs(text: str, _logins: Collection[str]) -> str:
    """`rdma resource show qp`: each queue pair with the program that has it; a service of the kernel is told as one."""
    found = []
    for line in text.split("\n")[:20_000]:
        words = line.split()
        if words[:1] != ["link"] or len(words) < 2:
            continue
        front = [item for pair in itertools.pairwise(words) if pair[0] in ("lqpn", "type", "state", "pid") for item in pair]
        name = line.partition(" comm ")[2].strip()
        if name.startswith("["):
            name = name if re.fullmatch(r"\[(?:ib|mlx5|rdma|nvme|nvmet|smc|rpc|svc|isert|srp)\w{0,12}\]", name) else "[service]"
        else:
            name = names.program(name)
        if all(re.fullmatch(r"[\w/-]{1,40}", word) for word in (words[1], *front)):
            found.append(" ".join(("link", words[1], *front, "comm", name)) + "\n")
    return "".join(found)


def locks(text: str, _logins: Collection[str]) -> str:
    """`lslocks`: who holds a lock of the package manager."""
    if text.lstrip()[:1] != "{":
        lines = [line.split() for line in text.split("\n")[:2000]]
        held = [words for words in lines if len(words) > 3 and words[1].isdecimal() and words[-1] in LOCKS]
        return "".join(f"{names.program(words[0])} {words[1]} - {words[-1]}\n" for words in held)
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return UNPARSED
    rows = told.get("locks") if isinstance(told, dict) else None
    found = [item for item in rows if isinstance(item, dict) and item.get("path") in LOCKS] if isinstance(rows, list) else []
    kept = [{"command": names.program(str(item.get("command"))), "pid": item.get("pid"), "path": item["path"]} for item in found]
    return json.dumps({"locks": [item for item in kept if re.fullmatch(r"\d{1,9}", str(item["pid"]))]}) + "\n"


def connections(text: str, _logins: Collection[str]) -> str:
    """`nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device`: rows of four fields. (Names of profiles that tell something are replaced.)"""
    field = r"(?:[^:\\\n]|\\.)"
    return lines_like(rf"{field}{{1,60}}:[\w-]{{1,40}}:[\w ()-]{{1,60}}:{field}{{0,120}}")(text, ())


module_information: Reducer = lines_like(
    r"filename: +/(?:usr/)?lib/modules/[\w./+~-]{1,200}",
    r"(?:version|srcversion|license|firmware): +[\w ./()-]{0,120}",
    r"vermagic: +[\w .+~-]{1,160}",
    r"(?:NVIDIA|(?:Dual )?[A-Z][A-Z/]{2,12}(?: v2)?)",
)
"""`modinfo`: what is read of it; no signer, no signature, no parameter."""

loaded_modules: Reducer = lines_like(
    r"(?:nvidia\w{0,20}|nouveau|mlx5_\w{1,12}|ib_\w{1,12}|rdma_\w{1,12}) \d{1,12} [\w, ()-]{0,400}(?: 0x[0-9a-f]+)?[ ()A-Z]{0,12}"
)


def modules(text: str, logins: Collection[str]) -> str:
    """/proc/modules: the modules that are looked for, and who uses them of these."""
    others = re.compile(r"(?<=[ ,])(?!nvidia|nouveau|mlx5_|ib_|rdma_|Live\b|Loading\b|Unloading\b)[a-z]\w*,")
    return others.sub("", loaded_modules(text, logins))


bus: Reducer = lines_like(
    r"[0-9a-fA-F:.]{7,12} [^\n]{0,60}?\[[0-9a-f]{4}\]: [^\n]{0,200}",
    r"[0-9a-fA-F:.]{7,12} (?:[\w /-]{3,50}(?: \[[0-9a-f]{4}\])?:|\"|[0-9a-f]{4}:) ?[\w \[\]():,./&+-]{0,200}",
    r"\s+Lnk(?:Cap|Sta)2?:\s[\w ,.#:/+()<>=-]{0,300}",
    r"",
)
"""`lspci`: the devices, and with -vv the width of their links; no serial number, no product data."""

audit: Reducer = lines_like(r" [a-z0-9][a-z0-9.+-]{1,99}(?::[a-z0-9]+)?(?: .*)?")


def audited(text: str, logins: Collection[str]) -> str:
    """`dpkg --audit`: the packages, not what their makers say about them."""
    return "".join(f" {line.split()[0]}\n" for line in audit(text, logins).split("\n") if line.strip())


def package_table(text: str, _logins: Collection[str]) -> str:
    """`dpkg -l`: state, name, version and architecture; not the description."""
    found = []
    for line in text.split("\n")[:50_000]:
        words = line.split()
        if re.match(r"\+\+\+-|Desired=|\|", line):
            found.append(
                "||/ Name Version Architecture Description" if line.startswith("||/") else re.sub(r"[^|/=?()\w+-]", " ", line)[:200]
            )
        elif len(words) > 3 and re.fullmatch(r"[a-zA-Z]{2,3}", words[0]) and re.fullmatch(r"[\w.+:-]{2,120}", words[1]):
            found.append("  ".join([*words[:4], "-"]))
    return "".join(f"{line}\n" for line in found)


package_lines: Reducer = lines_like(r"['\"]?[a-z0-9][a-z0-9.+-]{1,120}(?::[a-z0-9]+)?(?:[ \t=][\w.+:~\t '\"|/-]{0,200})?")
"""`dpkg-query` in any format, `apt-mark showhold`, `dpkg --get-selections`: names, versions, architectures, states."""


def one_word(text: str, _logins: Collection[str]) -> str:
    """An answer of one word of systemd, dpkg or uname."""
    return lines_like(r"[a-z][\w-]{1,32}")(text, ())


def unit_state(text: str, logins: Collection[str]) -> str:
    """`systemctl status` or `show`: the state and whether it is started at boot."""
    kept = lines_like(
        r"(?:SubState|NRestarts|ActiveState|UnitFileState|LoadState)=[\w-]{0,40}",
        r"\s*Active: [a-z]+(?: \([\w-]{1,30}\))?.*",
        r"\s*Loaded: [a-z]+ .*",
    )(text, logins)
    kept = re.sub(r"(?m)^(\s*Active: [a-z]+(?: \([\w-]{1,30}\))?).*$", r"\1", kept)
    return re.sub(r"(?m)^(\s*Loaded: [a-z]+ \()[^;\n]*(;\s*[a-z-]+)?.*$", r"\1path\2)", kept)


_VERSION_TOLD = re.compile(
    r"((?i:NVIDIA-SMI|NVML|DRIVER|KMD|CUDA(?: UMD)?) +[Vv]ersion *: *)(\d[\d.]{0,31}(?!\S))?.*"
    r"|(Cuda compilation tools, release [\d.]{1,16}, V[\d.]{1,16}|NVIDIA Container Toolkit CLI version \d[\d.]{0,20}).*"
)


def versions(text: str, _logins: Collection[str]) -> str:
    """`nvidia-ctk --version`, `nvcc --version`, `nvidia-smi --version`: the versions, and of errors their kind. A program that was put
    before one of them may greet in the name of whoever did."""
    found = ((line, _VERSION_TOLD.fullmatch(line.rstrip())) for line in text.split("\n")[:200])
    kept = (told[3] or f"{told[1]}{told[2] or ''}" if told else _said(line) for line, told in found)
    return "\n".join(kept)


room: Reducer = lines_like(r"(?:\d{1,20} ){3}\d{1,20}", rf"(?:{'|'.join(FOLDERS)})(?: +(?:\d{{1,20}}|-)){{3}}")
"""What is left on file systems, of folders that every desk has."""

sizes: Reducer = lines_like(
    rf"\d{{1,20}} (?:{'|'.join(LOCKS)})",
    r"\d{3,4} \d{1,9} \d{1,15} /(?:etc/dgx_spark|opt/dgx_spark|var/lib/dgx_spark|usr/local/bin/pair-)[\w./+-]{0,160}",
    r"unlimited|\d{1,20}",
)
"""`stat` of the package locks and of our files, `ulimit -l`."""


def process_name(text: str, _logins: Collection[str]) -> str:
    """/proc/PID/comm."""
    return names.program(text.split("\n")[0].strip()) + "\n" if text.strip() else ""


_STATUS_LINES = lines_like(r"(?:State|Pid|PPid|Tgid|Uid|Gid|NoNewPrivs|Seccomp):\t[\w \t().+/-]{0,120}")


def process_status(text: str, logins: Collection[str]) -> str:
    """/proc/PID/status: whose process it is, and the program."""
    found = re.search(r"(?m)^Name:\t(.*)$", text)
    return (f"Name:\t{names.program(found.group(1))}\n" if found else "") + _STATUS_LINES(text, logins)


_CDI_PART = re.compile(
    r"^(?:cdiVersion|kind): ['\"]?(?:[\d.]{1,12}|nvidia\.com/gpu)['\"]?"
    r"|[\"](?:cdiVersion|kind)[\"]: ?[\"](?:[\d.]{1,12}|nvidia\.com/gpu)[\"]"
    r"|\b(?:hostPath|containerPath|path)\"?: ?['\"]?/(?:usr/|lib/|opt/nvidia/)[\w./+-]{0,160}?"
    r"/lib(?:cuda|nvidia-[a-z0-9-]{1,40})\.so[\d.]{0,20}['\"]?",
    re.MULTILINE,
)
_CDI_FOLDER = re.compile(r"/(?:[\w.+-]+/)+(?=lib(?:cuda|nvidia-))")


def cdi(text: str, _logins: Collection[str]) -> str:
    """A CDI specification: the driver's libraries that it names, for their versions; folders that are not the system's go."""
    parts = (found.group() for found in itertools.islice(_CDI_PART.finditer(text), 4000))
    return "".join(f"{_CDI_FOLDER.sub('/usr/lib/aarch64-linux-gnu/', part)}\n" for part in parts)


_RELEASE_LINES = lines_like(
    r"",
    r"DGX_(?:NAME|PRETTY_NAME|SWBUILD_DATE|SWBUILD_VERSION|COMMIT_ID|PLATFORM|SERIAL_NUMBER|OTA_VERSION|OTA_DATE)=.{0,120}",
    r"(?:PRETTY_NAME|NAME|VERSION|VERSION_ID|VERSION_CODENAME|ID|ID_LIKE|BUILD_TYPE|UBUNTU_CODENAME|BUILD_ID)=.{0,120}",
)
_DATE = re.compile(r"(?m)^(DGX_(?:SWBUILD_DATE|OTA_DATE|COMMIT_ID)=)(.*)$")
_DATE_WORD = re.compile(
    r"(?!(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|UTC|CES?T|[EP][SD]T|GMT|[AP]M)\b)[^\W\d]{2,}"
)
_HEXADECIMAL = re.compile(r"\"?[0-9a-f-]{4,64}\"?")
_FREE_NAME = re.compile(r"(?m)^((?!DGX_(?:SWBUILD_DATE|OTA_DATE|COMMIT_ID|SERIAL_NUMBER)=)[A-Z_]+=)(.*)$")


def release(text: str, logins: Collection[str]) -> str:
    """os-release, dgx-release and the like: names and versions of the system; a word that is not the distribution's is left out."""
    kept = _RELEASE_LINES(text, logins)
    kept = _DATE.sub(lambda found: found[1] + (found[2] if _HEXADECIMAL.fullmatch(found[2]) else _DATE_WORD.sub("other", found[2])), kept)
    return _FREE_NAME.sub(lambda found: found[1] + names.plain_words(found[2]), kept)


time_settings: Reducer = lines_like(
    r"(?:LocalRTC|CanNTP|NTP|NTPSynchronized)=(?:yes|no)", r"\s*(?:System clock synchronized|NTP service): [\w/]{1,20}"
)
ufw_conf: Reducer = lines_like(r"\s*ENABLED=\"?(?:yes|no)\"?\s*")
mpi_guard: Reducer = lines_like(
    r"-A (?:INPUT|OUTPUT|FORWARD) -p tcp(?: -m tcp| --dport [\d:]{1,11}| --syn| --tcp-flags [A-Z,]{3,40} [A-Z,]{3,40}){1,8}"
    r" -j dgx-spark-mpi-(?:in|out|through)",
    r"-A dgx-spark-mpi-(?:in|out|through) (?:-i lo |-[sd] [0-9a-f.:]{2,45}(?:/\d{1,3})? |-m owner --uid-owner \d{1,10} )?"
    r"-j (?:RETURN|DROP)",
)
"""Rules of others say which networks the admin knows."""
ufw_status: Reducer = lines_like(r"Status: (?:active|inactive)")
numbers: Reducer = lines_like(r"[ \t]*(?:(?<!\d)\d{1,10}[a-zA-Z]{0,5}[ \t]*)*")
"""Process ids, with the letters of `fuser` behind them."""


def one_line(text: str, _logins: Collection[str]) -> str:
    """A file of sysfs: its first lines, of the characters that the kernel and firmware write."""
    return lines_like(r"[\x20-\x7e]{0,200}")(text, ())


route = json_like(
    [
        {
            **dict.fromkeys(("dst", "from", "gateway", "prefsrc", "src"), r"[0-9A-Fa-f:./]{2,49}|default"),
            **dict.fromkeys(("dev", "scope", "protocol", "type"), r"[\w.@-]{1,40}"),
            "table": r"\d{1,10}|local|main|default",
            **dict.fromkeys(("uid", "metric"), r"\d{1,10}"),
            "flags": [r"[a-z_]{1,20}"],
            "cache": [r"[a-z_]{1,20}"],
        }
    ]
)
_RDMA_LINK = json_like(
    [
        {
            **dict.fromkeys(("ifname", "netdev", "state", "physical_state"), r"[\w.@:-]{1,40}"),
            **dict.fromkeys(("ifindex", "port", "netdev_index"), r"\d{1,9}"),
        }
    ]
)


def rdma_links(text: str, logins: Collection[str]) -> str:
    """`rdma link`, as JSON or plain."""
    if text.lstrip()[:1] in ("[", "{"):
        return _RDMA_LINK(text, logins)
    return lines_like(r"(?:\d+/\d+: |link )[\w-]{1,40}(?:/\d+:?)? (?:\w+ [\w.@:-]{1,60} ?){1,12}")(text, ())


interface_details: Reducer = lines_like(
    r"Settings for [\w.@-]{1,40}:",
    r"\s*(?:Speed|Duplex|Port|PHYAD|Transceiver|Auto-negotiation|Link detected"
    r"|driver|version|firmware-version|expansion-rom-version|bus-info): .{0,60}",
)
"""`ethtool` and `ethtool -i`."""


def kernel_version(text: str, _logins: Collection[str]) -> str:
    """/proc/version or `uname`: the release and the machine, not who built it where."""
    words = text.split("\n")[0].split()
    if words[:2] == ["Linux", "version"]:
        return f"Linux version {' '.join(words[2:3])}\n"
    if words[:1] == ["Linux"] and len(words) > 3:
        return " ".join((*words[:3], *(word for word in words[3:] if word in uname.MACHINES), "GNU/Linux")) + "\n"
    return f"{words[0]}\n" if len(words) == 1 else ""


held_locks: Reducer = lines_like(
    r"\d{1,9}: (?:-> )? *[A-Z]{3,8} +[A-Z]{3,12} +(?:READ|WRITE) +-?\d{1,10} [0-9a-fA-F:]{3,18}:\d{1,19} [\dEOF ]{1,60}"
)
gpu_information: Reducer = lines_like(
    r"(?:Model|GPU Firmware|Video BIOS|Bus Location|Bus Type|Device Minor|DMA Size|IRQ):\s*[\w .:()-]{0,80}"
)
