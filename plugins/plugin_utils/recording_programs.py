# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recording may keep of packages and of what programs print (see `recording_reducers`). Pure."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection

from ..module_utils.gather.apt import LOCKS
from ..module_utils.gather.limits import FOLDERS
from ..module_utils.readers import uname
from . import recording_names as names
from .recording_boot import RELEASE
from .recording_reducers import UNPARSED, Reducer, json_like, lines_like
from .recording_smi import said

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


_PACKAGE_PATTERNS = re.compile(r"(?m)^(Package: )(.*)$")
_PACKAGE_PATTERN = re.compile(r"(?:src:)?[a-z0-9.*?+:-]+|/[a-z0-9.*?+-]+/")


def preferences(text: str, logins: Collection[str]) -> str:
    """A file of apt's preferences; what is not the usual of an archive or a version is left out."""

    def usual(found: re.Match[str]) -> str:
        return found[1] + _OF_ARCHIVE.sub(lambda part: (part[1] or "") + names.plain_words(part[2]), found[2])

    def patterns(found: re.Match[str]) -> str:
        return found[1] + " ".join(word if _PACKAGE_PATTERN.fullmatch(word) else "other" for word in found[2].split())

    return _PACKAGE_PATTERNS.sub(patterns, _PINNED_TO.sub(usual, _PINNED(text, logins)))


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


_MODULE_VALUE = re.compile(r"((?:filename|version|srcversion|license|firmware|vermagic): +)(.{1,200})")
_LICENSE = re.compile(r"NVIDIA|(?:Dual )?[A-Z][A-Z/]{2,12}(?: v2)?")
_MODULE_WORD = re.compile(
    r"Dual|SMP|preempt|mod_unload|modversions|aarch64|GPL|MIT|BSD|[0-9A-F]{16,40}|gsp_[a-z0-9]{1,10}\.bin"
    rf"|nvidia(?:[-_](?:uvm|drm|modeset|peermem|fs))?\.ko(?:\.\w{{2,3}})?|{RELEASE}"
)


def module_information(text: str, _logins: Collection[str]) -> str:
    """`modinfo`: what is read of it; no signer, no signature, no parameter."""
    found = []
    for line in text.split("\n")[:4000]:
        told = _MODULE_VALUE.fullmatch(line.rstrip())
        if told:
            parts = re.split(r"([ /])", told[2])
            found.append(told[1] + "".join(part if _MODULE_WORD.fullmatch(part) else names.plain_words(part) for part in parts))
        elif _LICENSE.fullmatch(line):
            found.append(line)
    return "".join(f"{line}\n" for line in found)


MODULES = (
    r"nouveau|nvidia(?:_(?:uvm|drm|modeset|peermem|fs|vgpu_vfio|cspmu|ffa_ec))?|mlx5_(?:core|ib|vdpa|fwctl|dpll)"
    r"|ib_(?:core|uverbs|umad|cm|ipoib|iser|isert|srpt?|mad|sa)|rdma_(?:u?cm|rxe)"
)
loaded_modules: Reducer = lines_like(rf"(?:{MODULES}) \d{{1,12}} [\w, ()-]{{0,4000}}(?: 0x[0-9a-f]+)?[ ()A-Z]{{0,12}}")
_USERS = re.compile(r"(?<=[ ,])[\w-]+,")


def modules(text: str, logins: Collection[str]) -> str:
    """/proc/modules: the modules that are looked for, and who uses them of these."""
    return _USERS.sub(lambda user: user.group() if re.fullmatch(MODULES, user.group()[:-1]) else "", loaded_modules(text, logins))


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


_PACKAGE_LINE = re.compile(r"(['\"]?[a-z0-9][a-z0-9.+-]{1,120}(?::[a-z0-9]+)?)([ \t=][\w.+:~\t '\"|/-]{0,200})?")
_PACKAGE_FIELD = re.compile(
    r"\d[\w.+:~-]{0,120}|install|deinstall|purge|hold|ok|reinst-?required|not-installed|config-files|half-(?:installed|configured)|unpacked"
    r"|triggers-(?:awaited|pending)|installed|[uirph][ncHUFWti]R?|arm64|amd64|all|armhf|[-|/=]?"
)


def package_lines(text: str, _logins: Collection[str]) -> str:
    """`dpkg-query` in any format, `apt-mark showhold`, `dpkg --get-selections`: names, versions, architectures, states."""
    found = []
    for line in text.removesuffix("\n").split("\n"):
        told = _PACKAGE_LINE.fullmatch(line.rstrip("\r"))
        if told:
            fields = re.split(r"([ \t='\"|/])", told[2] or "")
            found.append(
                told[1] + "".join(part if place % 2 or _PACKAGE_FIELD.fullmatch(part) else "other" for place, part in enumerate(fields))
            )
    return "".join(f"{line}\n" for line in found)


_ONE_WORD = lines_like(
    r"(?:in)?active|(?:de)?activating|reloading|failed|maintenance|unknown|not-found|bad|alias|static|indirect|generated|transient"
    r"|(?:enabled|linked|masked)(?:-runtime)?|disabled|arm64|amd64|aarch64|x86_64|armhf"
)


def one_word(text: str, _logins: Collection[str]) -> str:
    """An answer of one word of systemd or dpkg."""
    return _ONE_WORD(text, ())


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
    kept = (told[3] or f"{told[1]}{told[2] or ''}" if told else said(line) for line, told in found)
    return "\n".join(kept)


room: Reducer = lines_like(r"(?:\d{1,20} ){3}\d{1,20}", rf"(?:{'|'.join(FOLDERS)})(?: +(?:\d{{1,20}}|-)){{3}}")
"""What is left on file systems, of folders that every desk has."""

sizes: Reducer = lines_like(
    rf"(?:\d{{1,20}} )?\d{{1,20}} (?:{'|'.join(LOCKS)})",
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
    detail = r"(?:physical_)?state [A-Z_]{2,30}|netdev [\w.@:-]{1,40}|netdev_index \d{1,9}"
    return lines_like(rf"(?:\d+/\d+: |link )[\w-]{{1,40}}(?:/\d+:?)? (?:(?:{detail}) ?){{1,4}}")(text, ())


_INTERFACE_DETAILS: Reducer = lines_like(
    r"Settings for [\w.@-]{1,40}:",
    r"\s*(?:Speed: (?:\d{1,7}Mb/s|Unknown!.{0,20})|Duplex: (?:Full|Half|Unknown!.{0,20})|PHYAD: \d{1,3}|Auto-negotiation: (?:on|off))",
    r"\s*Link detected: (?:yes|no)",
    r"\s*Port: (?:Twisted Pair|AUI|MII|FIBRE|BNC|Direct Attach Copper|None|Other)|\s*Transceiver: (?:internal|external)",
    r"(?:driver|version|firmware-version): .{0,60}|bus-info: [0-9a-f:.]{0,16}",
)
_DRIVER_DETAIL = re.compile(r"(?m)^((?:driver|version|firmware-version): )(.*)$")
_DRIVER_WORD = re.compile(rf"({MODULES}|r8127|r8169|mt7925e|MT_\d{{10}}|NVD\d{{10}}|rtl_nic|rtl\w{{4,9}}-\d)")


def interface_details(text: str, logins: Collection[str]) -> str:
    """`ethtool` and `ethtool -i`."""

    def usual(found: re.Match[str]) -> str:
        parts = enumerate(_DRIVER_WORD.split(found[2]))
        return found[1] + "".join(part if place % 2 else names.plain_words(part) for place, part in parts)

    return _DRIVER_DETAIL.sub(usual, _INTERFACE_DETAILS(text, logins))


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
