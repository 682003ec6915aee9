# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording may hold: a path or a command that is not listed here is not recorded. Pure.

A new question to the desks needs a line here, or its answer is missing in recordings; a unit test holds every question of the facts
against these tables.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Sequence

from . import recording_reducers as reduce
from .recording_reducers import Reducer

_FILES: tuple[tuple[str, Reducer], ...] = (
    # Accounts, ssh, names.
    (r"/etc/passwd", reduce.passwd),
    (r"/etc/group", reduce.group),
    (r"/etc/security/limits(?:\.conf|\.d/[\w.-]+)", reduce.limits_conf),
    (r"/etc/(?:hostname|machine-id)", reduce.kept),
    (r"/etc/hosts", reduce.hosts),
    (r"/etc/ssh/ssh_host_\w+_key\.pub", reduce.public_key),
    (r"/.+/\.ssh/authorized_keys", reduce.authorized_keys),
    (r"/.+/\.ssh/known_hosts", reduce.known_hosts),
    (r"/.+/\.ssh/id_ed25519_dgx_spark_pair\.pub", reduce.public_key),
    # Networks.
    (r"/(?:etc|run|lib|usr/lib)/netplan/[^/]+\.ya?ml", reduce.netplan),
    (r"/(?:etc|run)/NetworkManager/system-connections/[^/]+", reduce.key_file),
    (r"/(?:etc|run|usr/lib|usr/local/lib)/systemd/network/[^/]+", reduce.key_file),
    (r"/etc/ufw/ufw\.conf", reduce.ufw_conf),
    # What this collection left.
    (r"/etc/dgx_spark/pair\.env", reduce.pair_env),
    (r"/etc/dgx_spark/hostfile", reduce.hostfile),
    (r"/etc/dgx_spark/[\w.-]+|/usr/local/bin/pair-[a-z]+", reduce.presence),
    (r"/var/lib/dgx_spark/link/journal\.json", reduce.journal),
    (r"/var/lib/dgx_spark/driver_lock/lock\.json", reduce.driver_lock),
    (r"/var/lib/dgx_spark/update/journal\.json", reduce.update_journal),
    (r"/opt/dgx_spark/nccl/manifest\.json", reduce.manifest),
    # System, kernel, driver.
    (r"/(?:etc|usr/lib)/(?:dgx|fastos|os)-release", reduce.release),
    (r"/etc/default/grub(?:\.d/[\w.-]+)?|/boot/grub/grubenv", reduce.grub),
    (r"/boot/grub/grub\.cfg", reduce.grub_menu),
    (r"/(?:etc|run|lib|usr/lib|usr/local/lib)/modprobe\.d/[\w.-]+\.conf", reduce.modprobe),
    (r"/etc/nvidia/cx7-hotplug-enabled|/var/lib/nvidia-spark-run-apt-upgrade-once/\w+", reduce.presence),
    (r"/(?:etc|usr/lib|lib)/systemd/system/[^/]+", reduce.unit_file),
    (r"/etc/apt/preferences\.d/[^/]+", reduce.preferences),
    (r"/var/lib/(?:dpkg/status|apt/extended_states)", reduce.stanzas),
    (r"/(?:var/)?run/reboot-required", reduce.lines_like(r"\*\*\* System restart required \*\*\*")),
    (r"/(?:var/)?run/reboot-required\.pkgs", reduce.lines_like(r"[a-z0-9][a-z0-9.+-]{1,120}")),
    (r"/(?:etc|run|var/run)/cdi/[\w.-]+", reduce.cdi),
    (r"/usr/local/cuda(?:-[\d.]+)?/version\.json", reduce.cuda_version),
    (r"/proc/cmdline", reduce.command_line),
    (r"/proc/(?:\d+|self)/status", reduce.process_status),
    (r"/proc/(?:\d+|self)/comm", reduce.lines_like(r"[\w.:+-]{1,15}")),
    (r"/proc/(?:\d+|self)/limits", reduce.lines_like(r"[A-Z][\w ]{1,160}")),
    (
        r"/proc/(?:version|meminfo|loadavg|modules|stat|uptime|locks|driver/nvidia/.+|sys/.+|(?:\d+/|self/)?net/(?:route|if_inet6))",
        reduce.kept,
    ),
    (
        r"/proc/net/arp",
        reduce.lines_like(r"IP address +HW type .*", r"[0-9.]{7,15} +0x\w+ +0x\w+ +(?:[0-9a-f]{2}:){5}[0-9a-f]{2} +\S{1,15} +[\w.-]{1,15}"),
    ),
    (r"/sys/(?:class|devices|bus|module|fs/cgroup|kernel|firmware)/(?:.*/)?(?!ifalias$)[^/]+", reduce.kept),
)

_COMMANDS: tuple[tuple[str, Reducer], ...] = (
    (r"nvidia-smi\b.* ?--query-(?:compute|accounted)-apps\b.*", reduce.process_table),
    (r"nvidia-smi\b.* -q\b.*", reduce.process_list),
    (r"nvidia-smi\b.*", reduce.programs),
    (r"(?:journalctl|dmesg)\b.*", reduce.kernel_log),
    (r"ip(?: -j| -br| -brief| -4| -6| -d| -details)* a(?:ddr(?:ess)?)?(?: show)?(?: dev [\w.-]+)?", reduce.ip_address),
    (r"ip -j route get [0-9.]+ from [0-9.]+", reduce.kept),
    (r"nmcli -t .*\bdevice(?: status)?", reduce.kept),
    (r"timedatectl(?: show| status)?", reduce.time_settings),
    (r"(?:uname -[amrn]|hostname|modinfo .*|stat -c \S+ \S+ .*|systemctl is-(?:active|enabled) [\w@.-]+)", reduce.kept),
    (r"stat -f -c %a %S %d %c /", reduce.kept),
    (r"findmnt -n -o OPTIONS /", reduce.root_options),
    (r"systemctl show -p SubState -p NRestarts [\w@.-]+", reduce.kept),
    (r"rdma (?:-j )?(?:resource|link|dev)(?: show)?(?: \w+)?", reduce.kept),
    (r"(?:ethtool|ibdev2netdev|lspci|lsmod|nvidia-ctk|ulimit)\b.*|(?:ba)?sh -c ulimit [-\w ]+", reduce.kept),
    (r"(?:dpkg-query|dpkg|apt-mark|apt-cache)\b.*", reduce.kept),
    (r"(?:lslocks|fuser)\b.*", reduce.programs),
    (r"ufw status", reduce.ufw_status),
    (r"sshd -T -C \S+", reduce.sshd_config),
)

_ANY = r"[^/]+"
_FOLDERS: tuple[tuple[str, str], ...] = (
    (r"/(?:sys|proc|lib/modules|usr/lib/modules)(?:/.*)?", _ANY),
    (r"/boot(?:/grub)?", r"(?:vmlinuz|vmlinux|initrd\.img|config|System\.map)[\w.+~-]*|grub|efi|grubenv|grub\.cfg"),
    (r"/etc/ssh", r"ssh_host_\w+_key(?:\.pub)?|sshd?_config(?:\.d)?"),
    (r"/etc/systemd/system", r"(?:(?:multi-user|graphical|basic|sysinit|network-online)\.target\.(?:wants|requires)|nvidia-[\w.-]+)"),
    (r"/(?:etc|usr/lib|lib)/systemd/system/[\w.-]+\.(?:wants|requires)", r"(?:nvidia|dgx|NetworkManager|systemd|ssh|chrony)[\w@.-]*"),
    (r"/run/(?:NetworkManager|chrony|systemd(?:/\w+)*)", r"[a-z.-]{1,40}|\d{1,6}"),
    (r"/var/lib/(?:dpkg/updates|nvidia-spark-run-apt-upgrade-once)", r"[\w.-]{1,60}"),
    (r"/home|/root|/", r"(?!)"),
    (r"/.+/\.ssh", r"authorized_keys|known_hosts|id_ed25519_dgx_spark_pair(?:\.pub)?"),
    (r"/opt/dgx_spark(?:/nccl)?|/var/lib/dgx_spark(?:/\w+)?", r"[\w.-]{1,60}"),
)
"""Folders and which of their names are recorded; elsewhere the names of files that a rule above names."""

_LINKS = re.compile(r"/(?:sys|proc|lib|usr|bin|sbin|boot|run|var/run|var/lock|etc/systemd/system|etc/cdi|etc/netplan)(?:/.*)?")
"""Links whose targets the system chose. Others stay when something recorded lies behind them."""

_PLACES = re.compile(r"/(?:sys|proc|lib|usr|opt|boot|run|var/lib|var/run|var/cache/apt|etc)/.*|/.+/\.ssh(?:/.*)?")

_FOLDER_RULES = tuple((re.compile(pattern), re.compile(names)) for pattern, names in _FOLDERS)
_FILE_RULES = tuple((re.compile(pattern), reducer) for pattern, reducer in _FILES)
_COMMAND_RULES = tuple((re.compile(pattern), reducer) for pattern, reducer in _COMMANDS)

_TARGETS = re.compile(
    r"/(?:sys|proc|dev|lib|bin|sbin|boot|run|var/(?:run|lock)|etc/(?:alternatives|systemd|netplan|cdi)|opt/(?:nvidia|dgx_spark)"
    r"|usr/(?:bin|sbin|lib|share|local/cuda[\w.-]*|src/(?:linux|nvidia)[\w.+-]*))(?:/.*)?"
)
"""Where links of the system lead; elsewhere an admin laid it, and the folders' names say who that is."""

STDERR_LIMIT = 600
"""Characters of an error output that are looked at."""


def file_rule(path: str) -> Reducer | None:
    """How a file is reduced; null when it is not recorded."""
    plain = posixpath.normpath(path)
    return next((reducer for pattern, reducer in _FILE_RULES if pattern.fullmatch(plain)), None)


def reduced_names(folder: str, names: Iterable[str]) -> list[str]:
    """Which names of a folder are recorded."""
    plain = posixpath.normpath(folder)
    rule = next((wanted for pattern, wanted in _FOLDER_RULES if pattern.fullmatch(plain)), None)
    if rule is not None:
        return [name for name in names if rule.fullmatch(name)]
    return [name for name in names if file_rule(f"{plain}/{name}") is not None]


def keeps_link(path: str, target: str, recorded: Collection[str]) -> bool:
    """Whether a link is recorded; ``recorded`` are the paths of what is."""
    return _LINKS.fullmatch(path) is not None or _leads_to(path, target, recorded)


def keeps_target(path: str, target: str, recorded: Collection[str]) -> bool:
    """Whether it is recorded where a link leads, and not only that it is there."""
    return _TARGETS.fullmatch(_place(path, target)) is not None or _leads_to(path, target, recorded)


def _place(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _leads_to(path: str, target: str, recorded: Collection[str]) -> bool:
    place = _place(path, target)
    return any(item == place or item.startswith(place + "/") for item in recorded)


def keeps_path(path: str) -> bool:
    """Whether it is recorded that a path is not there or may not be read."""
    return _PLACES.fullmatch(path) is not None or file_rule(path) is not None


def command_rule(argv: Sequence[str]) -> Reducer | None:
    """How the output of a command is reduced; null when it is not recorded."""
    words = list(argv)
    if words[:1] == ["sudo"]:
        words = [word for word in words[1:] if word != "-n"]
    if not words:
        return None
    line = " ".join([posixpath.basename(words[0]), *words[1:]])
    return next((reducer for pattern, reducer in _COMMAND_RULES if pattern.fullmatch(line)), None)


def reduced_file(path: str, text: str, logins: Collection[str]) -> str | None:
    """What of a file is recorded, null for nothing."""
    rule = file_rule(path)
    return None if rule is None else rule(text, logins)


def reduced_errors(text: str) -> str:
    """What of a command's error output is recorded."""
    return reduce.errors(text[:STDERR_LIMIT], ())


def reduced_output(argv: Sequence[str], text: str, logins: Collection[str]) -> str | None:
    """What of a command's output is recorded, null for nothing."""
    rule = command_rule(argv)
    return None if rule is None else rule(text, logins)
