# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a file or an output a recording may keep: the keys and lines that a reader uses, each value of a known shape. Pure.

Everything else is left out, so a secret in a place that nobody thought of is left out too. Names and addresses that stay are replaced
afterwards (see `sanitiser`). A reducer takes the text and the names of the login user, and gives the text that stays.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Collection
from typing import Any

import yaml

from ..module_utils.changes.settings import FIRST_PROVEN, TITLE
from ..module_utils.readers import netplan as netplan_reader
from ..module_utils.readers import sshd_config as sshd_reader
from . import recording_names as names

Reducer = Callable[[str, Collection[str]], str]

MARK = "dgx_spark_pair"
"""Comment at the end of this collection's own lines in authorized_keys, known_hosts and hosts."""

UNPARSED = "{\n"
"""Stands for a file that cannot be parsed: it cannot be parsed either."""

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


_USUAL_KEYS = re.compile(
    r"(?:(?:%h|/root)/)?\.ssh/authorized_keys2?|/etc/ssh/(?:authorized_keys/)?%[uU]|/etc/ssh/authorized_keys(?:\.d/%[uU])?|none"
)
_METHOD = r"(?:publickey|password|keyboard-interactive|hostbased|gssapi-with-mic|none|any)(?::[a-z]{1,8})?"
_ALGORITHM = r"(?:sk-|webauthn-sk-)?(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp\d{3}|rsa-sha2-\d{3})(?:-cert-v0\d)?(?:@openssh\.com)?"
_SSHD_WORDS = {
    "pubkeyauthentication": r"yes|no|unbound|host-bound",
    "authenticationmethods": rf"{_METHOD}(?:[, ]{_METHOD}){{0,40}}",
    "pubkeyacceptedalgorithms": rf"[+^-]?{_ALGORITHM}(?:,{_ALGORITHM}){{0,40}}",
    "maxsessions": r"\d{1,6}",
    "maxstartups": r"[\d:]{1,20}",
    "port": r"\d{1,5}",
}


def sshd_config(text: str, logins: Collection[str]) -> str:
    """``sshd -T``: what decides over keys. Of files, commands, users and groups only what kind they are and whether the login user's is
    among them."""
    found = []
    for line in text.split("\n")[:4000]:
        keyword, _blank, value = line.strip().partition(" ")
        if keyword in _SSHD_WORDS and re.fullmatch(_SSHD_WORDS[keyword], value):
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
    host = networks(host)
    place = f"@{host}" if at and (_ADDRESS.fullmatch(host) or host == "*") else "@elsewhere.example" if at else ""
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
_NAME_KEYS = frozenset(("set-name", "link", "interfaces", "name"))
_WORDS_OF: dict[str, str] = {
    "renderer": r"networkd|NetworkManager|sriov",
    "mode": (
        r"balance-(?:rr|xor|tlb|alb)|active-backup|broadcast|802\.3ad|infrastructure|ap|adhoc|sit|ipip|gre|gretap|ip6gre|ip6gretap|ipip6|ip6ip6"
        r"|vti|vti6|isatap|wireguard|vxlan"
    ),
    "activation-mode": r"manual|off",
    "infiniband-mode": r"datagram|connected",
    "dhcp-identifier": r"mac|duid",
    "macaddress": r"[0-9A-Fa-f:*?]{1,60}|preserve|permanent|random|stable",
    "type": r"unicast|anycast|blackhole|broadcast|local|multicast|nat|prohibit|throw|unreachable|xresolve",
    "scope": r"global|link|host",
    "link-local": r"ipv4|ipv6",
    "uuid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
}
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
_DEVICE_KEYS = (_FLAG_KEYS | _NUMBER_KEYS | _NAME_KEYS | _ADDRESS_KEYS | {"driver", *_WORDS_OF}) - {
    *("name", "uuid", "type", "scope", "to", "via", "from")
}
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
    return str(yaml.safe_dump({"network": found}, sort_keys=False, default_flow_style=False, allow_unicode=True, width=140))


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
    if key in _WORDS_OF:
        return value if re.fullmatch(_WORDS_OF[key], value) else None
    if key == "name" and re.fullmatch(r"[\w .:*?\[\]-]{1,64}", value):
        return value
    return value if (key in _NAME_KEYS and _WORD.fullmatch(value)) or value.isdecimal() else None


_OWN = r"(?:usr/(?:bin|sbin|lib|libexec)|opt/nvidia|bin|sbin|lib|proc|sys|dev)/"
"""Folders of the system, without the first slash."""

# Units ----------------------------------------------------------------------------------------------------------------------------


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
_SOURCES = r"[0-9A-Fa-f:.,/]{1,400}"
_STARRED = re.compile(r"(?<![\w.:*])(\d{1,3}(?:\.\d{1,3}){0,2})((?:\.\*)+)(?![\w.:*])")


def networks(text: str) -> str:
    """Patterns of addresses (10.77.3.*) as the networks that they are, which get a stand-in like any other."""

    def network(found: re.Match[str]) -> str:
        parts = found[1].split(".")
        return f"{'.'.join([*parts, '0', '0', '0'][:4])}/{8 * len(parts)}"

    return _STARRED.sub(network, text)


def authorized_keys(text: str, _logins: Collection[str]) -> str:
    """authorized_keys: the lines of this collection, without options of others."""
    return lines_like(rf'(?:restrict,)?(?:from="{_SOURCES}" )?{_KEY} {MARK}')(networks(text), ())


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


RUN_ID = r"\d{8}T\d{6}Z-[0-9a-f]{4}|unknown"
PAIR_SETTING = r"(?:(?:NCCL|UCX|OMPI|PRTE|GLOO|TP)_[A-Za-z0-9_]{1,60}|MN_IF_NAME)=[\w.,:=/^-]{0,200}"
_PAIR_ENV = lines_like(
    "|".join(re.escape(TITLE.replace("this pair", kind)) for kind in ("this pair", "this stack")),
    r"# (?:pair|stack) [\w.-]{1,64}",
    r"# desk [\w.-]{1,64} \((?:head|peer|rank \d{1,3})\)",
    rf"{FIRST_PROVEN}(?:{RUN_ID})",
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
        # As it was learned: escaped, a name that has an umlaut would not be found again.
        return json.dumps(_shaped(data, shape), indent=1, ensure_ascii=False) + "\n"

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
        **dict.fromkeys(("schema", "phase", "stack"), r"[\w./+~-]{1,100}"),
        **dict.fromkeys(("kernel_before", "kernel_after"), r"\d+\.\d+[\w.+~-]{0,90}"),
        "run_id": RUN_ID,
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
            **dict.fromkeys(("ifname", "link", "master"), r"[\w.@:-]{1,40}"),
            "qdisc": r"no(?:queue|op)|mq(?:prio)?|(?:fq|pfifo|bfifo|fq_codel|fq_pie|pfifo_fast|cake|codel|htb|tbf|sfq|prio|clsact|ingress)",
            "operstate": r"UP|DOWN|UNKNOWN|LOWERLAYERDOWN|DORMANT|NOTPRESENT|TESTING",
            "link_type": r"ether|loopback|infiniband|none|sit|ipip|gre6?|tunnel6?|can|ppp|[0-9]{1,5}",
            **dict.fromkeys(("parentbus", "parentdev"), r"(?:pci|usb|virtio|platform)|[0-9a-f:.-]{1,20}"),
            **dict.fromkeys(("ifindex", "link_index", "mtu", "txqlen", "link_netnsid"), r"\d{1,12}"),
            **dict.fromkeys(("address", "broadcast", "permaddr"), r"[0-9a-f:]{2,60}"),
            "flags": [r"[A-Z0-9_-]{1,40}"],
            "altnames": [names.KERNELS_INTERFACE],
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
        r"\s+(?:link/|inet6? |valid_lft )[\w .:/,-]{0,300}",
        rf"\s+altname (?:{names.KERNELS_INTERFACE})",
        r"[\w.@-]{1,40}\s+(?:UP|DOWN|UNKNOWN|LOWERLAYERDOWN|DORMANT|NOTPRESENT|TESTING)\b[\w .:/,<>-]{0,2000}",
    )
    return re.sub(r" (?:link-netns|alias) \S+", "", plain(text, ()))
