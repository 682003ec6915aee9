# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names say nothing about an owner, and stand-ins for names of files of settings that keep their order. Pure.

A name is plain when each of its words is one that the distribution, NVIDIA or this collection uses. Whatever else somebody named, a file,
a program, a unit, an entry of GRUB's menu or a kernel, may name a company, a project or a person. A word that is missing here costs a
readable name and nothing else: no verdict depends on this list.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_USUAL_WORDS = """
aarch account admin advanced all alsa alternatives always amd apparmor apps apt aptd arm aspm ath audio authorized auto aws azure
backports base bash basic bin bionic blacklist bluefield bookworm boot build by cdi cfg cgroup chrome chromium chrony chronyd
cloud cluster cm code codename coll compute conf config containerd containers core countdown cuda custom cx d data dbus dc debian
default defaults desk desktop dev dgx disk dkms docker dockerd done dpkg driver drivers drm edition efi engine enginecore entry
env esm etc ethernet example export extra fallback false fbdev firefox firewire firmware flannel focal for framebuffer fs fwupd
gcp gdm generic get getty gjs gnome gnu gnulinux gpu graph graphical group grub grubenv gsp hca headers hidden home homes hotplug
hwe ib ibm ifname igx image img info infra init initrd installer intel iser isert iwlwifi jammy java journald json jupyter k
kernel keys kho kvm kwin lab label landlock lib libc libcuda libexec libnvidia limits link links linux llama local lock lockdown
login logind lowlatency lts madvise main manager map mapper mdadm memlock memory memtest menu mesa microcode ml mlx mode modeset
modesetting modules mount mpi mpirun multi multiverse mutter nccl net netdev netif netplan network networkd networkmanager never next
nfs nm nmconnection no noaer noble node none notebook nouveau null numbat nvidia nvme nvreg ob oem off ollama once online open opt
options oracle orted orterun os oss ota other package packagekitd pair partuuid path pcie peermem performance perftest perl
persiste persistenced person pin plasmashell platform pref preferences pro proc program proposed prte prted python rare raspi ray
rc rdma realtime recorded recovery release remote removed reserved resolved restricted ring roce root run saved sbin scope
security self selinux server service session settings sglang sh shell shim signed simple site slice smack snap snapd so socket
source spark src srp srv ssh sshd standin submenu subsys sudo sync synchronized sysinit system systemd target tcp tegra test timer
timesync timesyncd title tomoyo unified toolkit torchrun trace tree triton tritonserver trixie trtllm true trusty tty ttyama ttys ubuntu
ud udevd uefi umad unattended uninstalled universe unknown unsigned updates upgr upgrade upgrades usb user users usr uts uuid uvm
var version video vllm vmlinux vmlinuz wants warn watchdog weak wifi wireless with wlan worker x xorg xwayland yama yaml yes yml zz
"""
_WORDS = frozenset(_USUAL_WORDS.split())
_LETTERS = re.compile(r"[^\W\d_]+")


def plain(text: str) -> bool:
    """Whether every word of a name is one of the distribution's, NVIDIA's or ours."""
    return len(text) <= 200 and all(word.lower() in _WORDS for word in _LETTERS.findall(text)) and not re.search(r"\d{9}", text)


def odd_words(text: str) -> list[str]:
    """The words of a name that are none of these."""
    return [word for word in _LETTERS.findall(text) if word.lower() not in _WORDS]


def plain_words(text: str, instead: str = "other") -> str:
    """The text with every word that is none of these replaced; what has nine digits and more goes too."""
    return re.sub(r"\d{9,}", "0", _LETTERS.sub(lambda found: found.group() if found.group().lower() in _WORDS else instead, text))


def program(name: str) -> str:
    """A program as a recording calls it: without folders that are not the system's, ``program`` for one that is not everybody's."""
    first = name.split(" ")[0]
    if re.fullmatch(r"/(?:[\w.+-]{1,64}/){1,12}[\w.+-]{1,64}", first) and plain(first):
        return first
    last = posixpath.basename(first.rstrip("/"))
    return last if last and re.fullmatch(r"[\w.:+-]{1,64}", last) and plain(last) else "program"


# Network interfaces ---------------------------------------------------------------------------------------------------------------

_BY_PLACE = r"(?:P\d{1,5})?(?:(?:[opsfdbuvic]|np|npf|vf)\d{1,5}){1,8}"
"""After the domain: bus, slot, function, port and the like, each with its number. A letter alone may begin a surname."""
KERNELS_INTERFACE = rf"(?:en|wl|ww|ib|sl)(?:x[0-9a-f]{{12}}|{_BY_PLACE})|roce(?:x[0-9a-f]{{12}}|{_BY_PLACE})|(?:eth|wlan|wwan|ib)\d{{1,4}}"
"""Names that the kernel and systemd give."""
_INTERFACE = re.compile(
    rf"{KERNELS_INTERFACE}|lo|br-[0-9a-f]{{12}}|(?:veth|cali)[0-9a-f]{{4,11}}|docker_gwbridge"
    r"|(?:docker|br|bond|dummy|vlan|tun|tap|wg|team|vrf|gre|gretap|sit|virbr|lxcbr|lxdbr|cni|usb|can|ifb|wwan|wlan|tailscale|podman|vxlan"
    r"|fabric|cx|mgmt|rdma|roce|port|net|flannel|tunl|mlx)(?:[-_.:][a-z]?\d{0,5}|[a-z]?\d{1,5}){0,2}"
)
_PROFILE = re.compile(
    rf"(?:netplan-)?(?:{KERNELS_INTERFACE})|lo|docker\d*|br-[0-9a-f]{{12}}|(?i:(?:wired|ethernet) connection(?: \d{{1,3}})?)"
)


def plain_profile(name: str) -> bool:
    """Whether a profile of NetworkManager has a name that a program gave it. Others are often that of a wireless network."""
    return _PROFILE.fullmatch(name) is not None


def plain_interface(name: str) -> bool:
    """Whether a network interface has a name that the kernel, systemd or a well-known program gives, or that tells only its use."""
    base = name.partition("@")[0].strip("*")
    return _INTERFACE.fullmatch(base) is not None or plain(base) or (base.startswith("p2p-dev-") and plain_interface(base[8:]))


_BEFORE_A_GLOB = re.compile(
    r"(?:en|wl|ww|ib|sl|eth|roce|wlan|veth|br-|docker)?(?:P\d{1,5})?(?:(?:[opsfdbuvic]|np|npf|vf)\d{1,5}){0,8}(?:[Popsfdbuvicn]|np)?"
)


def interface_pattern(word: str) -> str:
    """A pattern of names of interfaces with `net` for letters that somebody chose; a whole name stays, for it gets its own stand-in."""
    if not re.search(r"[*?\[]", word):
        return word
    front, rest = re.split(r"(?=[*?\[])", word.removeprefix("!"), maxsplit=1)
    odd = not (_BEFORE_A_GLOB.fullmatch(front) or plain_interface(front) or not front)
    rest = re.sub(r"[^*?\[\]\d]", "", rest) if odd or not re.fullmatch(r"[*?\[\]\dnpsfdvo-]*", rest) else rest
    return f"{'!' if word.startswith('!') else ''}{'net' if odd else front}{rest}"


# Files of settings ----------------------------------------------------------------------------------------------------------------

_FOLDERS: Sequence[re.Pattern[str]] = tuple(
    re.compile(pattern)
    for pattern in (
        r"/(?:etc|run|lib|usr/lib)/netplan",
        r"/(?:etc|run|usr/lib|usr/local/lib)/systemd/network",
        r"/(?:etc|run|lib|usr/lib|usr/local/lib)/modprobe\.d",
        r"/etc/apt/preferences\.d",
        r"/etc/security/limits\.d",
        r"/etc/default/grub\.d",
        r"/(?:etc|run|var/run)/cdi",
    )
)
"""Folders of which one program reads every file, by the order of their names; one line is one program."""
_ENDINGS = r"\.(?:ya?ml|json|conf|cfg|network|netdev|link|pref)"
_NAME = re.compile(
    rf"(?P<dot>\.?)(?P<number>\d{{0,3}})(?P<dash>[-_]?)(?P<rest>.*?)(?P<ending>(?:{_ENDINGS})?)(?P<off>(?:\.[\w-]{{1,12}}|~)?)", re.DOTALL
)
_NETWORK_MANAGERS = re.compile(r"90-NM-[0-9a-f-]{36}\.yaml")
_OF_INTERFACE = re.compile(rf"(?<![A-Za-z0-9])(?:{KERNELS_INTERFACE})(?![A-Za-z0-9])")


def _plain_file(name: str) -> bool:
    return plain(_OF_INTERFACE.sub("", name)) or _NETWORK_MANAGERS.fullmatch(name) is not None


@dataclass
class SettingFiles:
    """Stand-ins for names of files of settings. A file that is read after another one is read after it in the recording too."""

    _found: dict[int, set[str]] = field(default_factory=dict)
    _map: dict[int, dict[str, str]] = field(default_factory=dict)

    def learn(self, path: str) -> None:
        """Note a file of settings."""
        path = posixpath.normpath(path)
        place = _family(posixpath.dirname(path))
        if place is not None:
            self._found.setdefault(place, set()).add(posixpath.basename(path))
            self._map.clear()

    def path(self, path: str) -> str:
        """A path with its stand-in."""
        folder, name = posixpath.split(path)
        return posixpath.join(folder, self.name(folder, name))

    def target(self, path: str, target: str) -> str:
        """Where a link leads, with its stand-in."""
        place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        return posixpath.join(posixpath.dirname(target), self.name(*posixpath.split(place)))

    def name(self, folder: str, name: str) -> str:
        """The stand-in of a name in a folder."""
        place = _family(folder)
        if place is None:
            return name
        if place not in self._map:
            self._map[place] = _in_order(sorted(self._found.get(place, set())))
        return self._map[place].get(name, name)


def _family(folder: str) -> int | None:
    return next((number for number, pattern in enumerate(_FOLDERS) if pattern.fullmatch(folder)), None)


def _in_order(names: Sequence[str]) -> dict[str, str]:
    """A stand-in for each name that is not plain, between those of its neighbours."""
    behind: list[str | None] = []
    later: str | None = None
    for name in reversed(names):
        behind.append(later)
        later = name if _plain_file(name) else later
    found: dict[str, str] = {}
    anchor = before = ""
    for name, limit in zip(names, reversed(behind), strict=True):
        anchor = name if _plain_file(name) else anchor
        found[name] = before = name if _plain_file(name) else _between(before, limit, anchor, name, len(found) + 1)
    return found


def _between(before: str, behind: str | None, anchor: str, name: str, number: int) -> str:
    """A stand-in behind the one before and before the next plain name; ``anchor`` is the plain name before."""
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ValueError("the pattern takes any text")
    ending = parts["ending"] + (".bak" if parts["off"] else "")
    front = f"{parts['dot']}{parts['number']}{parts['dash'] or ('-' if parts['number'] else '')}"
    stem = anchor.partition(".")[0] or anchor
    fronts = (*(f"{one}settings" for one in (front, f"{front}z", f"{stem}-", f"{anchor}-")), "+", "!", " ")
    choices = [f"{one}{number:05}{ending}" for one in fronts]
    return next((one for one in choices if before < one and (behind is None or one < behind)), f"{before}-{number:05}{ending}")


# Other names that stand in several places -------------------------------------------------------------------------------------------
