# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording may keep of the kernel's command line and log, of GRUB, and of error outputs (see `recording_reducers`). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from ..module_utils.desk import INFOROM
from ..module_utils.gather.driver import NOT_LOADED
from ..module_utils.readers import kernel_command_line, kernel_errors, nvidia_smi_error
from ..module_utils.readers import kernel_log as plug_log
from . import recording_boot as boot
from . import recording_names as names
from .recording_reducers import Reducer, lines_like


def command_line(text: str, _logins: Collection[str]) -> str:
    """The kernel's command line: the parameters that kernel, driver and boot loader know; an unknown one may be a token."""
    words = []
    for word in kernel_command_line.known(text):
        name, _equals, value = word.partition("=")
        words.append(f"{name}={_parameter(value)}" if value else word)
    return " ".join(words) + "\n" if words else ""


def _parameter(value: str) -> str:
    """A value with every word replaced that is no usual one; ids, numbers with a unit and places of devices stay."""
    parts = enumerate(_ID_OR_SIZE.split(value))
    return "".join(part if place % 2 and _tells_a_release(part) else names.plain_words(part) for place, part in parts)


def _tells_a_release(part: str) -> bool:
    """Whether the kernel's release in a part is one that is replaced later; true for what is no release."""
    return not re.fullmatch(boot.RELEASE, part) or part in boot.releases_in(part)


_ID_OR_SIZE = re.compile(
    rf"([0-9A-Fa-f]{{8}}(?:-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}|{boot.RELEASE}"
    r"|(?<![A-Za-z0-9])(?:0x[0-9a-f]{1,16}"
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
    r"(?i)(\b(?:module |insert )['\"])(?!nvidia)[\w-]{1,64}(?=['\"])|(\bmodule )(?!nvidia|event:)[\w-]{2,64}(?=:)"
    r"|(\bLoading of )(?!nvidia|unsigned)[\w-]{1,64}"
)
_LISTED = re.compile(r"(?<=\bModules linked in:).*|(?<=\bBad cable part).*|(?<=\bpending:).*")
_TAINTING = re.compile(r"\b(?!nvidia)[A-Za-z][\w-]{1,64}(?=\([A-Z]{1,5}\))")
"""What others' modules, cables and work queues are called."""
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
            said = _TAINTING.sub("module", _LISTED.sub("", said))
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
ERROR = re.compile(
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
    found = ((line, ERROR.search(line)) for line in text.split("\n")[:20])
    return "".join(f"{match.group() if match else _UNKNOWN_ERROR}\n" for line, match in found if line.strip())
