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

from ..module_utils.gather.apt import LOCKS
from ..module_utils.gather.gpu import QUERY, SAME_COLUMNS
from ..module_utils.gather.limits import FOLDERS
from . import recording_kernel as of_kernel
from . import recording_key_files as of_key_files
from . import recording_names as names
from . import recording_programs as of_programs
from . import recording_reducers as reduce
from . import recording_smi as of_smi
from .recording_reducers import Reducer

_SYSFS = (
    r"/sys/(?:class|devices|bus)/(?:.*/)?(?:\d+|address|carrier\w*|operstate|speed|mtu|flags|type|phys_\w+|fw_ver|rate|state|link_layer"
    r"|(?:node|sys_image)_guid|(?:hw_)?counters/\w+|(?:current|max)_link_(?:speed|width)|vendor|device|class|hotplug_enabled|debug_state)"
)
_FILES: tuple[tuple[str, Reducer], ...] = (
    # Accounts, ssh, names.
    (r"/etc/passwd", reduce.passwd),
    (r"/etc/group", reduce.group),
    (r"/etc/security/limits(?:\.conf|\.d/[\w.-]+)", reduce.limits_conf),
    (r"/etc/(?:hostname|machine-id)", reduce.kept),
    (r"/etc/hosts", reduce.hosts),
    (r"/etc/ssh/ssh_host_(?:ed25519|ecdsa|rsa|dsa)_key\.pub", reduce.public_key),
    (r"/.+/\.ssh/authorized_keys", reduce.authorized_keys),
    (r"/.+/\.ssh/known_hosts", reduce.known_hosts),
    (r"/.+/\.ssh/id_ed25519_dgx_spark_pair\.pub", reduce.public_key),
    # Networks.
    (r"/(?:etc|run|lib|usr/lib)/netplan/[^/]+\.ya?ml", reduce.netplan),
    (r"/(?:etc|run)/NetworkManager/system-connections/[^/]+", of_key_files.key_file),
    (r"/(?:etc|run|usr/lib|usr/local/lib)/systemd/network/[^/]+", of_key_files.key_file),
    (r"/etc/ufw/ufw\.conf", of_programs.ufw_conf),
    # What this collection left.
    (r"/etc/dgx_spark/pair\.env", reduce.pair_env),
    (r"/etc/dgx_spark/hostfile", reduce.hostfile),
    (
        r"/etc/dgx_spark/(?:trust\.json|known_hosts)|/usr/local/bin/pair-(?:check|ssh)|/etc/systemd/system/dgx-spark-mpi\.service",
        reduce.presence,
    ),
    (r"/var/lib/dgx_spark/link/journal\.json", reduce.journal),
    (r"/var/lib/dgx_spark/driver_lock/lock\.json", reduce.driver_lock),
    (r"/var/lib/dgx_spark/update/journal\.json", reduce.update_journal),
    (r"/opt/dgx_spark/nccl/manifest\.json", reduce.manifest),
    # System, kernel, driver.
    (r"/(?:etc|usr/lib)/(?:dgx|fastos|os)-release", of_programs.release),
    (r"/etc/default/grub(?:\.d/[\w.-]+)?|/boot/grub/grubenv", of_kernel.grub),
    (r"/boot/grub/grub\.cfg", reduce.grub_menu),
    (r"/(?:etc|run|lib|usr/lib|usr/local/lib)/modprobe\.d/[\w.-]+\.conf", of_kernel.modprobe),
    (r"/etc/nvidia/cx7-hotplug-enabled|/var/lib/nvidia-spark-run-apt-upgrade-once/\w+", reduce.presence),
    (r"/(?:etc|usr/lib|lib)/systemd/system/[^/]+", reduce.unit_file),
    (r"/etc/apt/preferences\.d/[^/]+", of_programs.preferences),
    (r"/var/lib/(?:dpkg/status|apt/extended_states)", of_programs.stanzas),
    (r"/(?:var/)?run/reboot-required", reduce.lines_like(r"\*\*\* System restart required \*\*\*")),
    (r"/(?:var/)?run/reboot-required\.pkgs", reduce.lines_like(r"[a-z0-9][a-z0-9.+-]{1,120}")),
    (r"/(?:etc|run|var/run)/cdi/[\w.-]+", of_programs.cdi),
    (r"/usr/local/cuda(?:-[\d.]+)?/version\.json", reduce.cuda_version),
    (r"/proc/cmdline", of_kernel.command_line),
    (r"/proc/(?:\d+|self)/status", of_programs.process_status),
    (r"/proc/(?:\d+|self)/comm", of_programs.process_name),
    (r"/proc/(?:\d+|self)/limits", reduce.lines_like(r"[A-Z][\w ]{1,160}")),
    (r"/proc/modules", of_programs.modules),
    (r"/proc/driver/nvidia/gpus/[0-9a-f:.]+/information", of_programs.gpu_information),
    (r"/proc/version", of_programs.kernel_version),
    (r"/proc/locks", of_programs.held_locks),
    (r"/proc/(?:meminfo|loadavg|stat|uptime|driver/nvidia/version|(?:\d+/|self/)?net/(?:route|if_inet6))", reduce.kept),
    (r"/proc/sys/(?:kernel/(?:hostname|osrelease|arch|random/boot_id)|net/ipv[46]/[\w./-]+)", reduce.kept),
    (
        r"/proc/net/arp",
        reduce.lines_like(r"IP address +HW type .*", r"[0-9.]{7,15} +0x\w+ +0x\w+ +(?:[0-9a-f]{2}:){5}[0-9a-f]{2} +\S{1,15} +[\w.-]{1,15}"),
    ),
    (
        r"/sys/(?:class|devices/virtual)/dmi/id/(?:bios_(?:date|version)|(?:board|product)_(?:name|version|serial)|board_vendor|sys_vendor)",
        of_programs.one_line,
    ),
    (r"/sys/module/nvidia/version|/sys/firmware/efi/efivars/SecureBoot-[0-9a-f-]{36}", reduce.kept),
    (r"/sys/fs/cgroup/(?:[\w.@-]+/)*nvidia-persistenced\.service/cgroup\.procs", of_programs.numbers),
    (
        r"/sys/(?:class|devices|bus)/(?:.*/)?uevent",
        reduce.lines_like(
            r"(?:DRIVER|PCI_CLASS|PCI_ID|PCI_SUBSYS_ID|PCI_SLOT_NAME|MODALIAS|INTERFACE|IFINDEX|DEVTYPE|NAME)=[\w:.-]{0,120}"
        ),
    ),
    (_SYSFS, of_programs.one_line),
)

_COLUMNS = "|".join(map(re.escape, sorted({*QUERY[1].partition("=")[2].split(","), *SAME_COLUMNS}, key=len, reverse=True)))
_LOG_OPTIONS = r"(?: (?:-[kbTxeHw]+|-b 0|--dmesg|--boot|--no-pager|--kernel|--ctime|-o [a-z-]+|--output[= ][a-z-]+|--time-format[= ]\w+))*"
_OUR_PATHS = r"(?: /(?:(?:etc|opt|var/lib)/dgx_spark|usr/local/bin/pair-[a-z]+|etc/systemd/system/dgx-spark-)[\w./+-]{0,160})+"
_UNIT = r"[\w@.-]{1,80}"

_COMMANDS: tuple[tuple[str, Reducer], ...] = (
    (
        r"nvidia-smi --query-compute-apps=pid,process_name,used_(?:gpu_)?memory --format=csv(?:,noheader)?(?:,nounits)?",
        of_smi.process_table,
    ),
    (rf"nvidia-smi --query-gpu=(?:{_COLUMNS})(?:,(?:{_COLUMNS})){{0,60}} --format=csv(?:,noheader)?(?:,nounits)?", of_smi.readings),
    (r"nvidia-smi (?:-q|--query)(?: -[di] [A-Za-z0-9_,:.]+)*", of_smi.process_list),
    (r"nvidia-smi --version", of_programs.versions),
    (r"nvidia-smi", of_smi.programs),
    (rf"(?:journalctl|dmesg){_LOG_OPTIONS}", of_kernel.kernel_log),
    (r"ip(?: -j| -br| -brief| -4| -6| -d| -details)* a(?:ddr(?:ess)?)?(?: show)?(?: dev [\w.-]+)?", reduce.ip_address),
    (r"ip -j route get [0-9.]+ from [0-9.]+", of_programs.route),
    (r"nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device(?: status)?", of_programs.connections),
    (r"timedatectl(?: show| status)?", of_programs.time_settings),
    (r"uname -[amrn]|hostname", of_programs.kernel_version),
    (r"modinfo(?: -F license| -k [\w.+~-]{1,100})? nvidia", of_programs.module_information),
    (
        rf"stat -c (?:(?:%d )?%i %n(?: (?:{'|'.join(LOCKS)}))+|%a %u %s %n --{_OUR_PATHS})|(?:ba)?sh -c ulimit [-\w ]+|ulimit [-\w ]+",
        of_programs.sizes,
    ),
    (rf"stat -f -c %a %S %d %c /|df -k --output=target,avail,iavail,itotal(?: (?:{'|'.join(FOLDERS)}))+", of_programs.room),
    (r"findmnt -n -o OPTIONS /", reduce.root_options),
    (rf"findmnt -n -o MAJ:MIN -T (?:{'|'.join(LOCKS)})", reduce.lines_like(r" *\d{1,9}:\d{1,9} *")),
    (rf"systemctl is-(?:active|enabled) {_UNIT}|dpkg --print-architecture|arch", of_programs.one_word),
    (rf"systemctl (?:show(?: -p [A-Za-z]+){{1,8}}|status(?: --no-pager)?) {_UNIT}", of_programs.unit_state),
    (r"rdma resource(?: show)? qp", of_programs.queue_pairs),
    (r"rdma (?:-j )?link(?: show)?", of_programs.rdma_links),
    (r"ibdev2netdev", reduce.lines_like(r"[\w-]{1,40} port \d+ ==> [\w.-]{1,40} \((?:Up|Down)\)")),
    (r"ethtool(?: -i)? [\w.@-]{1,40}", of_programs.interface_details),
    (r"lspci(?: -(?:D|nn|n|vv|v|k|Dnn|Dvv|nnvv|d 15b3:(?:[0-9a-f]{4})?|s [0-9a-f:.]{1,12}))*", of_programs.bus),
    (r"(?:nvidia-ctk|nvcc) --version", of_programs.versions),
    (r"dpkg-query .*|apt-mark showhold|dpkg --get-selections", of_programs.package_lines),
    (r"dpkg (?:-l|--list)(?: [\w.*+-]{1,80})*", of_programs.package_table),
    (r"dpkg (?:--audit|-C)", of_programs.audited),
    (r"lslocks(?: -J)?", of_programs.locks),
    (rf"fuser(?: (?:{'|'.join(LOCKS)}))+", of_programs.numbers),
    (r"ufw status", of_programs.ufw_status),
    (r"ip6?tables -w 5 -t mangle -S", of_programs.mpi_guard),
    (r"sshd -T -C \S+", reduce.sshd_config),
)
"""Whole command lines: one that is asked nowhere, or that a recording made by hand does not replay, is not recorded at all."""

_ANY = r"[^/]+"
_MODULE_TREE = (
    r"\d+\.\d+[\w.+~-]*|kernel|drivers|video|updates|dkms|extra|weak-updates|nvidia-\d{3}(?:-server|srv)?(?:-open)?"
    r"|nvidia(?:[-_](?:uvm|drm|modeset|peermem|fs))?\.ko(?:\.\w{2,3})?"
)
_FOLDERS: tuple[tuple[str, str], ...] = (
    (r"/(?:usr/)?lib/modules(?:/.*)?", _MODULE_TREE),
    (
        r"/sys/fs/cgroup(?:/.*)?",
        r"(?:system|user|init)\.(?:slice|scope)|systemd|unified|(?:nvidia|systemd|dbus|ssh|NetworkManager|chrony|docker)[a-z-]{0,24}\.service",
    ),
    (r"/sys/module", of_programs.MODULES),
    (r"/(?:sys|proc)(?:/.*)?", _ANY),
    (r"/boot(?:/grub)?", r"(?:vmlinuz|vmlinux|initrd\.img|config|System\.map)(?:\.old|-\d+\.\d+[\w.+~-]*)?|grub|efi|grubenv|grub\.cfg"),
    (r"/etc/ssh", r"ssh_host_(?:ed25519|ecdsa|rsa|dsa)_key(?:\.pub)?|sshd?_config(?:\.d)?"),
    (r"/etc/systemd/system", r"(?:(?:multi-user|graphical|basic|sysinit|network-online)\.target\.(?:wants|requires)|nvidia-[\w.-]+)"),
    (r"/(?:etc|usr/lib|lib)/systemd/system/[\w.-]+\.(?:wants|requires)", r"(?:nvidia|dgx|NetworkManager|systemd|ssh|chrony)[\w@.-]*"),
    (r"/run/(?:NetworkManager|chrony|systemd(?:/\w+)*)", r"[a-z.-]{1,40}|\d{1,6}"),
    (r"/var/lib/dpkg/updates", r"\d{1,6}"),
    (r"/var/lib/nvidia-spark-run-apt-upgrade-once", r"[a-z]{1,12}"),
    (r"/home|/root|/", r"(?!)"),
    (r"/.+/\.ssh", r"authorized_keys|known_hosts|id_ed25519_dgx_spark_pair(?:\.pub)?"),
    (r"/etc/dgx_spark", r"pair\.env|hostfile|trust\.json|known_hosts"),
    (
        r"/opt/dgx_spark(?:/nccl)?|/var/lib/dgx_spark(?:/\w+)?",
        r"(?:nccl|bin|lib|link|driver_lock|update|manifest\.json|(?:journal|lock)\.json|keys?)",
    ),
)
"""Folders and which of their names are recorded; elsewhere the names of files that a rule above names."""

_LINKS = re.compile(r"/(?:sys|proc|lib|usr|bin|sbin|boot|run|var/run|var/lock|etc/systemd/system|etc/cdi|etc/netplan)(?:/.*)?")
"""Links whose targets the system chose. Others stay when something recorded lies behind them."""

_SYSTEM = ("/lib", "/usr", "/opt", "/boot", "/run", "/var", "/etc", "/bin", "/sbin", "/home", "/root", "/dev")

_FOLDER_RULES = tuple((re.compile(pattern), re.compile(names)) for pattern, names in _FOLDERS)
_FILE_RULES = tuple((re.compile(pattern), reducer) for pattern, reducer in _FILES)
_COMMAND_RULES = tuple((re.compile(pattern), reducer) for pattern, reducer in _COMMANDS)

_TARGETS = re.compile(
    r"/(?:sys|proc|dev|lib|bin|sbin|boot|run|var/(?:run|lock)|etc/(?:alternatives|systemd|netplan|cdi)|opt/(?:nvidia|dgx_spark)"
    r"|usr/(?:bin|sbin|lib|share|local/cuda[\w.-]*|src/(?:linux|nvidia)[\w.+-]*))(?:/.*)?"
)
"""Where links of the system lead; elsewhere an admin laid it, and the folders' names say who that is."""

_CGROUPS = "/sys/fs/cgroup"

STDERR_LIMIT = 600
"""Characters of an error output that are looked at."""


def file_rule(path: str) -> Reducer | None:
    """How a file is reduced; null when it is not recorded."""
    plain = posixpath.normpath(path)
    if plain.startswith(_CGROUPS) and not _plain_group(plain):
        return None
    if "/systemd/system/" in plain and not names.plain(posixpath.basename(plain)):
        return None
    return next((reducer for pattern, reducer in _FILE_RULES if pattern.fullmatch(plain)), None)


def reduced_names(folder: str, found: Iterable[str]) -> list[str]:
    """Which names of a folder are recorded."""
    plain = posixpath.normpath(folder)
    rule = next((wanted for pattern, wanted in _FOLDER_RULES if pattern.fullmatch(plain)), None)
    if rule is not None:
        return [name for name in found if rule.fullmatch(name) and _is_plain(plain, name)]
    return [name for name in found if file_rule(f"{plain}/{name}") is not None]


def _is_plain(folder: str, name: str) -> bool:
    """Names of units, of their control groups and below /run may be anybody's, whatever they begin with."""
    return not ("/systemd/" in folder or folder.startswith(("/run/", _CGROUPS))) or names.plain(name)


def _plain_group(path: str) -> bool:
    return names.plain(path.removeprefix(_CGROUPS).removesuffix("/cgroup.procs"))


def keeps_link(path: str, target: str, recorded: Collection[str]) -> bool:
    """Whether a link is recorded; ``recorded`` are the paths of what is."""
    return (_LINKS.fullmatch(path) is not None and keeps_path(path)) or _leads_to(path, target, recorded)


def keeps_target(path: str, target: str, recorded: Collection[str]) -> bool:
    """Whether it is recorded where a link leads, and not only that it is there."""
    return _TARGETS.fullmatch(_place(path, target)) is not None or _leads_to(path, target, recorded)


def shown_target(path: str, target: str, recorded: Collection[str]) -> str:
    """Where a link leads, as it is recorded: a folder of the system that somebody named is called ``other``."""
    plain = target.startswith(("/sys/", "/proc/")) or path.startswith(("/sys/", "/proc/")) or _leads_to(path, target, recorded)
    if plain or file_rule(_place(path, target)) is not None:
        return target
    return "/".join(part if names.plain(part) or re.fullmatch(_MODULE_TREE, part) else _other(part) for part in target.split("/"))


def _other(part: str) -> str:
    library = re.fullmatch(r"(lib(?:nvidia-[a-z0-9-]{1,30}|cuda))(\.so[\d.]*)", part)
    kernel = re.fullmatch(
        r"(?:vmlinu[xz]|initrd\.img|config|System\.map|linux-headers)-\d+\.\d+[\w.+~-]*|aarch64-linux-gnu|cuda(?:-[\d.]+)?", part
    )
    return part if library or kernel else "other"


def _place(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _leads_to(path: str, target: str, recorded: Collection[str]) -> bool:
    place = _place(path, target)
    return any(item == place or item.startswith(place + "/") for item in recorded)


def keeps_path(path: str) -> bool:
    """Whether it is recorded that a path is not there or may not be read."""
    plain = posixpath.normpath(path)
    if plain.startswith(_CGROUPS):
        return _plain_group(plain)
    if file_rule(plain) is not None or re.fullmatch(r"/(?:sys|proc)(?:/.*)?|/(?:[\w.-]+/)+\.ssh", plain):
        return True
    parts = [part for part in plain.split("/") if not re.fullmatch(_MODULE_TREE, part)]
    return plain.startswith(_SYSTEM) and names.plain("/".join(parts))


def command_rule(argv: Sequence[str]) -> Reducer | None:
    """How the output of a command is reduced; null when it is not recorded."""
    words = list(argv)
    if words[:1] == ["sudo"]:
        words = [word for word in words[1:] if word != "-n"]
    if not words:
        return None
    line = " ".join([posixpath.basename(words[0]), *words[1:]])
    if posixpath.basename(words[0]) == "systemctl" and not names.plain(words[-1]):
        return None
    return next((reducer for pattern, reducer in _COMMAND_RULES if pattern.fullmatch(line)), None)


def reduced_file(path: str, text: str, logins: Collection[str]) -> str | None:
    """What of a file is recorded, null for nothing."""
    rule = file_rule(path)
    return None if rule is None else rule(text, logins)


def reduced_errors(text: str) -> str:
    """What of a command's error output is recorded."""
    return of_kernel.errors(text[:STDERR_LIMIT], ())


def reduced_output(argv: Sequence[str], text: str, logins: Collection[str]) -> str | None:
    """What of a command's output is recorded, null for nothing."""
    rule = command_rule(argv)
    return None if rule is None else rule(text, logins)
