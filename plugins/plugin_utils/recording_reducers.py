# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a file or an output a recording may keep: the keys and lines that a reader uses, each value of a known shape. Pure.

Everything else is left out, so a secret in a place that nobody thought of is left out too. Names and addresses that stay are replaced
afterwards (see `sanitiser`). A reducer takes the text and the names of the login user, and gives the text that stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import yaml

from ..module_utils.readers import kernel_command_line, nvidia_smi_error
from ..module_utils.readers import netplan as netplan_reader

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


sshd_config: Reducer = lines_like(
    r"authorizedkeysfile(?: [\w.%/-]{1,200}){1,8}",
    r"(?:pubkeyauthentication|authenticationmethods|pubkeyacceptedalgorithms|maxsessions|maxstartups|forcecommand|port) [\w@.,:+-]{1,2000}",
)
"""``sshd -T``: what decides over keys, and nobody's name."""


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
    "match": r"interface-name|driver|path|kernel-command-line",
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
        r"(?:Type|WantedBy|RemainAfterExit)=[\w@.:-]{0,120}",
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


def hosts(text: str, _logins: Collection[str]) -> str:
    """/etc/hosts: localhost, this collection's names (pair-...), and nothing of anybody else."""
    found = []
    for line in text.split("\n")[:10_000]:
        words = line.partition("#")[0].split()
        if len(words) < 2 or not _ADDRESS.fullmatch(words[0]):
            continue
        ours = line.rstrip().endswith(MARK)
        names = [name for name in words[1:] if re.fullmatch(r"pair-[a-z0-9-]{1,30}|(?:ip6-)?(?:localhost|loopback|localdomain)", name)]
        if names:
            found.append(f"{words[0]} {' '.join(names)}{f' # {MARK}' if ours else ''}\n")
    return "".join(found)


PAIR_SETTING = r"(?:NCCL|UCX|OMPI|PRTE|GLOO|TP|MN)_[A-Za-z0-9_]{1,60}=[\w.,:=/^-]{0,200}"
pair_env: Reducer = lines_like(
    r"# Settings that this pair was proven with\..{0,200}",
    r"# pair [\w.-]{1,64}",
    r"# desk [\w.-]{1,64} \((?:head|peer)\)",
    r"# first_proven_by [\w.:-]{1,80}",
    r"# boot_id [\w.-]{1,64} [0-9a-f-]{36}",
    r"# link_changes [\w.-]{1,64}(?: [\w.-]{1,20}=(?:\d{1,9}|None))*",
    PAIR_SETTING,
)
"""pair.env: the lines that this collection writes."""

hostfile: Reducer = lines_like(r"[0-9A-Fa-f.:]{2,45} slots=\d{1,3}")


# JSON -----------------------------------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[\w.+:@/=~-]{1,200}")


def json_like(shape: Any) -> Reducer:
    """A JSON text of which only what a shape names stays.

    A shape is a dict (allowed keys to shapes; the key `*` stands for every key that looks like a name), a list of one shape, or a
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
        "sources": [{"name": r"[\w.-]{1,40}", "tag": r"[\w.-]{1,60}", "commit": r"[0-9a-f]{7,64}"}],
        "files": {"*": r"(?:sha256:)?[0-9a-f]{64}"},
    }
)
cuda_version = json_like({"*": {"name": r"[\w. ()-]{1,80}", "version": r"[\w.-]{1,40}"}})
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
    return plain(text, ())


# Kernel ---------------------------------------------------------------------------------------------------------------------------


def command_line(text: str, _logins: Collection[str]) -> str:
    """The kernel's command line: the parameters that kernel, driver and boot loader know; an unknown one may be a token."""
    words = kernel_command_line.known(text)
    return " ".join(words) + "\n" if words else ""


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
    r"(?i)(?P<head>\bkilled process \d+ \()[^)]{1,64}(?=\))|(?P<name>\bname=)[^,'=]{1,64}(?=,|$)"
    r"|(?P<comm>\bcomm: ).{1,16}?(?= (?:Not tainted|Tainted|Kdump|Pid:|PID:|#)|$)|(?P<task>\btask ).{1,16}?(?=[:/]\d)"
    r"|(?P<lock>\bLockdown: ).{1,16}?(?=: )"
)
"""Names with blanks, which only what stands behind them ends."""
_IN_BRACKETS = re.compile(r"\[[^\]\[]{1,64}:(\d+)\]")
_GROUPS = re.compile(r"(?i)(\b(?:cpuset|oom_memcg|task_memcg)=|\bcgroup stats for )[^,\s]+")
"""Control groups: names of containers, pods and of units of people."""
_OTHERS_PATH = re.compile(r"(?<![\w./])/(?!(?:usr|bin|sbin|lib|proc|sys|dev|boot|run)\b)[A-Za-z_][^\s,'\")\]]*|\bnqn\.[\w.:-]+")
"""A path outside the folders of the system, and the name of a storage of a network, in which its owner's domain stands."""
_ODD = re.compile(r"[^\x20-\x7e]")


def kernel_log(text: str, _logins: Collection[str]) -> str:
    """The kernel log: lines of the subsystems that a desk's health depends on. Names of host and programs are left out."""
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
        if _SUBSYSTEM.fullmatch(said):
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

_STANZA = re.compile(r"(?:Package|Status|Architecture|Version|Source|Multi-Arch|Auto-Installed): [\w .+:~()-]{1,200}")


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
_OTHERS_ARCHIVE = re.compile(r"(?<=[ ,])([ol])=(?!(?:NVIDIA|DGX|CUDA|Ubuntu|Debian|Canonical|Mellanox|Docker)\b)[^,\n]+")


def preferences(text: str, logins: Collection[str]) -> str:
    """A file of apt's preferences; an archive that is none of the usual ones is called after its owner."""
    return _OTHERS_ARCHIVE.sub(r"\1=other", _PINNED(text, logins))


_FOREIGN_PATH = re.compile(rf"(?<![\w.])/(?!{_OWN})(?:[^\s/,|]{{1,255}}/){{1,64}}([\w.+-]{{1,64}})[^\s,|]*(?: [^\s,|]+)*")
_OWN_PATH = re.compile(rf"(?<![\w.])(/{_OWN}[^\s,|]+)(?: [^\s,|]+)+")
_ARGUMENTS = re.compile(r"(?<=, )([\w.+-]{1,64}) -[^,|\n]*(?=,)")


_TABLE_ROW = re.compile(r"(?m)^(\|(?: {1,20}(?:\d{1,10}|N/A)){2,5} {1,20}[CGM+]{1,4} {1,20})(\S.*?)(?= +\S+ *\|$)")
"""A process of plain ``nvidia-smi``: what stands before its name, and the name."""
_TABLE_NAME = re.compile(rf"/{_OWN}\S+|(?:[^\s/]{{0,255}}/){{0,64}}([\w.+:-]{{1,64}})")


def _table_row(match: re.Match[str]) -> str:
    found = _TABLE_NAME.match(match.group(2))
    return match.group(1) + (found.group(1) or found.group() if found else "-").ljust(len(match.group(2)))


def programs(text: str, _logins: Collection[str]) -> str:
    """An answer of nvidia-smi or another program that names processes: names without folders of people and without arguments."""
    text = _TABLE_ROW.sub(_table_row, text)
    for pattern in (_FOREIGN_PATH, _OWN_PATH, _ARGUMENTS):
        text = pattern.sub(r"\1", text)
    return text


_NAME_LINE = re.compile(r"(?m)^([ \t]+Name[ \t]+: )(?:[^\s/]{0,255}/){0,64}([\w.+-]{1,64}).*$")
_PLAIN_CELL = re.compile(r"\d[\w. %]{0,30}|\[[\w /]{1,30}\]|")
_FIRST_WORD = re.compile(r"(?:[^\s/]{0,255}/){0,64}([\w.+-]{1,64})")


def process_list(text: str, _logins: Collection[str]) -> str:
    """`nvidia-smi -q`: of each process its name without folders and without arguments, which may hold a key."""
    return programs(_NAME_LINE.sub(r"\1\2", text), ())


def _process_cell(cell: str) -> str:
    """A number, or the name of a program without folders and without arguments."""
    if _PLAIN_CELL.fullmatch(cell):
        return cell
    word = _FIRST_WORD.match(cell)
    return word.group(1) if word else "-"


def process_table(text: str, _logins: Collection[str]) -> str:
    """`nvidia-smi --query-compute-apps`: numbers, and of each process its name alone."""
    found = []
    for place, row in enumerate(text.split("\n")[:20_000]):
        cells = [cell.strip() for cell in row.split(",")]
        if place == 0 and all(re.fullmatch(r"[a-z_]{1,40}(?: \[\w+\])?", cell) for cell in cells):
            found.append(row)
            continue
        found.append(", ".join(_process_cell(cell) for cell in cells))
    return "\n".join(found)


process_status: Reducer = lines_like(r"(?:Name|State|Pid|PPid|Tgid|Uid|Gid|NoNewPrivs|Seccomp):\t[\w \t().+/-]{0,120}")
cdi: Reducer = lines_like(
    r"(?:cdiVersion|kind): ['\"]?[\w./-]{1,60}['\"]?",
    r"\s*-? ?\s*(?:hostPath|containerPath|path): ['\"]?/(?:usr|lib|opt/nvidia|dev|run/nvidia)[\w./+-]{0,160}['\"]?",
    r"\s*[\"](?:cdiVersion|kind|hostPath|containerPath|path)[\"]: ?[\"][\w./+-]{1,160}[\"],?",
)
release: Reducer = lines_like(
    r"",
    r"DGX_(?:NAME|PRETTY_NAME|SWBUILD_DATE|SWBUILD_VERSION|COMMIT_ID|PLATFORM|SERIAL_NUMBER|OTA_VERSION|OTA_DATE)=.{0,120}",
    r"(?:PRETTY_NAME|NAME|VERSION|VERSION_ID|VERSION_CODENAME|ID|ID_LIKE|BUILD_TYPE|UBUNTU_CODENAME|BUILD_ID)=.{0,120}",
)
time_settings: Reducer = lines_like(
    r"(?:LocalRTC|CanNTP|NTP|NTPSynchronized)=(?:yes|no)", r"\s*(?:System clock synchronized|NTP service): [\w/]{1,20}"
)
ufw_conf: Reducer = lines_like(r"\s*ENABLED=\"?(?:yes|no)\"?\s*")
ufw_status: Reducer = lines_like(r"Status: (?:active|inactive)")
