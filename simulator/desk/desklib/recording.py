"""A desk that answers from a recording: its files over this desk's own, its commands before the stand-ins.

Somebody may have sent the recording, and root of a desk is not far from root of the machine that runs it: only what facts are read from
is taken over, and nothing of it that a program of the desk would run.

The lab leaves the recording in ``recording/`` of the state folder: ``files/`` as it was recorded and ``recording.json`` with
``commands`` (argv and responses), ``denied`` and ``missing``. What keeps the desk alive and reachable stays this desk's own: accounts,
keys, host name, machine id, processes, routes, the management interface, cgroups. Everything else is told as it was recorded and
does not move any more: cables, power save and counters are those of the recording.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import mounts
from .desk import RUN_DIR, STATE_DIR

FOLDER = STATE_DIR / "recording"
ASKED = RUN_DIR / "asked"
HANG = 3600.0

OWN = re.compile(
    r"^(?:etc/(?:passwd|group|shadow|gshadow|hosts|hostname|machine-id|resolv\.conf|fstab|ssh/|sudoers|NetworkManager/)"
    r"|etc/systemd/(?!system/[^/]+\.wants/nvidia)"
    r"|proc/(?:net/|self/|[0-9]+/|stat$|uptime$|sys/net/|sys/kernel/(?:hostname|random/))"
    r"|run/(?!reboot-required)|sys/(?:fs|class/net|bus/platform)/|sys/devices/(?:pci000[79]|virtual/net)|home/|root/|dev/)"
)
"""Paths that stay this desk's own, without the first slash."""
TAKEN = re.compile(
    r"etc/(?:\w+-release|default/grub(?:\.d/[^/]+)?|ufw/ufw\.conf|systemd/system/[^/]+\.wants/nvidia[^/]*"
    r"|(?:apt/preferences\.d|cdi|dgx_spark|netplan|nvidia|security/limits\.d)/[^/]+|security/limits\.conf)"
    r"|boot/.+|(?:usr/)?lib/(?:modules/.+|netplan/[^/]+|\w+-release|systemd/system/nvidia-[^/]+\.service|[^/]+/libnvidia-ml\.so[^/]*)"
    r"|usr/local/cuda[^/]*(?:/version\.json)?|run/(?:cdi/[^/]+|netplan/[^/]+|reboot-required[^/]*)|opt/dgx_spark/nccl/manifest\.json"
    r"|var/lib/(?:dpkg/(?:status|updates/[^/]+)|apt/extended_states|dgx_spark/(?:\w+/)?\w+\.json|nvidia-spark-run-apt-upgrade-once/[^/]+)"
)
"""Paths that are taken over, without the first slash: what recordings hold below the folders that are not covered as a whole."""
_SETTING = re.compile(r"(?:#.*|\w+=(?:\"[^\"`$\\]*\"|'[^']*'|[\w.,:/=^+@~%-]*))")
SHAPES = (
    # Shells read these.
    (re.compile(r"(?:etc|(?:usr/)?lib)/\w+-release|etc/default/grub.*|etc/dgx_spark/pair\.env"), _SETTING),
    (
        re.compile(r"(?:usr/)?lib/systemd/.*"),
        re.compile(r"\[\w+\]|(?:Description|Type|WantedBy|RemainAfterExit|Condition\w+)=[^\\]*"),
    ),
    # Only its name tells something.
    (re.compile(r".*/libnvidia-ml\.so.*"), re.compile(r"(?!)")),
)
"""Of such a file the lines that are taken over; a link there leads to its neighbour or is left out."""
REMOVABLE = re.compile(
    r"^/(?:boot/|lib/modules/|etc/(?:dgx-release|fastos-release|cdi|nvidia)|etc/apt/preferences\.d/|var/lib/nvidia-spark"
    r"|usr/local/cuda|run/reboot-required|usr/lib/systemd/system/nvidia-)"
)
"""Paths that are taken away when the recording says that they are not there."""
SYS_FOLDERS = ("class/infiniband", "class/dmi", "bus/pci", "devices/platform/MTKP0001:00", "devices/virtual/dmi/id")
ROOTS = re.compile(r"pci[0-9a-f]{4}:[0-9a-f]{2}")
PLACES = ("/usr/bin", "/usr/sbin", "/usr/local/cuda/bin")
"""Folders of programs."""
NEVER = frozenset(("systemctl", "uname", "sh", "bash", "env", "sudo", "cat", "ls", "test", "python3"))
"""Programs that the desk itself lives by; what they are asked is answered by the desk's state."""


class Recording:
    """The recording that this desk answers from."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        data: dict[str, Any] = json.loads((folder / "recording.json").read_text(encoding="utf-8"))
        self.commands: list[dict[str, Any]] = data.get("commands") or []
        self.missing: list[str] = data.get("missing") or []

    def programs(self) -> set[str]:
        """Names of the programs that were asked."""
        return {os.path.basename(entry["argv"][0]) for entry in self.commands}

    def hidden(self) -> set[str]:
        """Programs that the recorded desk does not have."""
        there = {
            os.path.basename(entry["argv"][0]) for entry in self.commands if any(one["error"] != "missing" for one in entry["responses"])
        }
        return self.programs() - there

    def find(self, argv: list[str]) -> tuple[int, dict[str, Any]] | None:
        """The first entry for a command line, with its number."""
        for number, entry in enumerate(self.commands):
            words = entry["argv"]
            if [os.path.basename(words[0]), *words[1:]] == [os.path.basename(argv[0]), *argv[1:]]:
                return number, entry
        return None

    def text(self, path: str) -> str | None:
        """A recorded file."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (self.files / path).read_text(encoding="utf-8")
        return None

    def own_files(self) -> Iterator[str]:
        """Recorded files and links outside /sys and /proc, without the first slash."""
        for here, folders, names in os.walk(self.files):
            base = os.path.relpath(here, self.files)
            if base == ".":
                folders[:] = [name for name in folders if name not in ("sys", "proc")]
            links = [name for name in folders if os.path.islink(os.path.join(here, name))]
            for name in sorted([*names, *links]):
                path = name if base == "." else f"{base}/{name}"
                if not OWN.match(path) and TAKEN.fullmatch(path):
                    yield path


def load(folder: Path = FOLDER) -> Recording | None:
    """The recording of this desk; None for an ordinary one."""
    try:
        return Recording(folder)
    except (OSError, ValueError):
        return None


def answer(argv: list[str], folder: Path = FOLDER, asked: Path = ASKED) -> int | None:
    """Say what was recorded for a command line; its exit code, None when it was not recorded."""
    recording = load(folder)
    found = recording.find(argv) if recording else None
    if found is None:
        return None
    number, entry = found
    responses = entry["responses"]
    response = responses[min(_turn(asked / str(number)) if len(responses) > 1 else 0, len(responses) - 1)]
    if response["error"] == "timeout":
        time.sleep(HANG)
        return 124
    if response["error"] is not None:
        print(f"{argv[0]}: {'Permission denied' if response['error'] == 'denied' else 'command not found'}", file=sys.stderr)
        return 126 if response["error"] == "denied" else 127
    sys.stdout.write(response["stdout"])
    sys.stderr.write(response["stderr"])
    return int(response["rc"])


def _turn(counter: Path) -> int:
    """How often this was asked before."""
    try:
        with open(counter, "a+", encoding="ascii") as file:
            file.seek(0)
            before = len(file.read())
            file.write(".")
        return before
    except OSError:
        return 0


def kernel(recording: Recording) -> str | None:
    """The running kernel of the recording."""
    text = recording.text("proc/sys/kernel/osrelease")
    return text.strip() if text else None


def write_files(recording: Recording, management: str, root: Path = Path("/")) -> None:
    """The recorded files outside /sys and /proc, and none that the recording knows to be absent."""
    if (recording.files / "boot").is_dir():
        for pattern in ("boot/vmlinuz-*", "boot/initrd.img-*", "boot/config-*", "lib/modules/*"):
            for old in root.glob(pattern):
                _remove(old)
    for path in recording.missing:
        if REMOVABLE.match(path):
            _remove(root / path.lstrip("/"))
    for path in recording.own_files():
        source, target = recording.files / path, root / path
        if not _harmless(path, source, management):
            continue
        with contextlib.suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            # A folder of the desk may be a link to another one.
            place = os.path.relpath(os.path.realpath(target.parent), os.path.realpath(root))
            if not TAKEN.fullmatch(f"{place}/{target.name}"):
                continue
            shape = next((lines for places, lines in SHAPES if places.fullmatch(path)), None)
            leads = os.readlink(source) if source.is_symlink() else None
            if leads is not None and shape is not None and "/" in leads:
                continue
            if target.is_symlink() or (leads is not None and target.is_file()):
                target.unlink()
            if leads is not None:
                if not target.exists():
                    target.symlink_to(leads)
            elif not target.is_dir():
                target.write_bytes(_part(source.read_bytes(), shape))
                shutil.copymode(source, target)


def _part(data: bytes, shape: re.Pattern[str] | None) -> bytes:
    """The lines of a file that are taken over; all of it where no shape is given."""
    if shape is None:
        return data
    return "".join(f"{line}\n" for line in data.decode("utf-8", "replace").split("\n") if shape.fullmatch(line.strip())).encode()


def _harmless(path: str, file: Path, management: str) -> bool:
    """Whether a netplan file leaves the way to the desk alone (it names neither the management interface nor a pattern), and a link's
    journal holds nothing to write."""
    if not path.startswith(("etc/netplan/", "var/lib/dgx_spark/link/")):
        return True
    with contextlib.suppress(OSError, ValueError, RecursionError):
        text = file.read_text(encoding="utf-8")
        if path.startswith("etc/netplan/"):
            return management not in text and "match:" not in text
        return set(json.loads(text)) <= {"state", "schema"}
    return False


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def cover_proc(recording: Recording) -> None:
    """The recorded files over /proc."""
    driver = recording.files / "proc/driver"
    if not driver.is_dir() and any(path.startswith("/proc/driver") for path in recording.missing):
        driver = RUN_DIR / "no-driver"
        driver.mkdir(exist_ok=True)
    if driver.is_dir():
        mounts.bind(driver, Path("/proc/driver"))
    for here, folders, names in os.walk(recording.files / "proc"):
        base = os.path.relpath(here, recording.files)
        folders[:] = [name for name in folders if f"{base}/{name}" != "proc/driver"]
        for name in names:
            path = f"{base}/{name}"
            target = Path("/") / path
            if not OWN.match(path) and target.is_file() and not os.path.islink(os.path.join(here, name)):
                mounts.bind(Path(here) / name, target)


def cover_sys(recording: Recording, management: str, tree: Path) -> None:
    """The recorded adapter, bus and firmware over /sys. ``tree`` is what hardwared shows there."""
    here = recording.files / "sys"
    folders = [folder for folder in SYS_FOLDERS if (here / folder).is_dir()]
    if (here / "devices").is_dir():
        folders += [
            f"devices/{one.name}"
            for one in (here / "devices").iterdir()
            if ROOTS.fullmatch(one.name) and not OWN.match(f"sys/devices/{one.name}")
        ]
    for folder in folders:
        target = Path("/sys") / folder
        if not target.is_dir():
            (tree / folder).mkdir(parents=True, exist_ok=True)
        mounts.bind(here / folder, target)
    net = here / "class/net"
    if net.is_dir():
        merged = RUN_DIR / "recorded-net"
        shutil.rmtree(merged, ignore_errors=True)
        merged.mkdir()
        own = (management, "lo")
        for source, chosen in ((net, lambda name: name not in own), (tree / "class/net", lambda name: name in own)):
            for entry in sorted(source.iterdir()) if source.is_dir() else ():
                if not chosen(entry.name):
                    continue
                if entry.is_symlink():
                    (merged / entry.name).symlink_to(os.readlink(entry))
                else:
                    shutil.copytree(entry, merged / entry.name, symlinks=True)
        mounts.bind(merged, Path("/sys/class/net"))


def install(recording: Recording, standins: dict[str, str], real: Path, run: Path = Path("/opt/desk/standins/run")) -> None:
    """Let every recorded program answer from the recording, and hide those that the recorded desk does not have."""
    ASKED.mkdir(exist_ok=True)
    ASKED.chmod(0o1777)
    hidden = recording.hidden()
    for name in sorted(recording.programs() - NEVER):
        there = [Path(folder) / name for folder in PLACES if os.path.lexists(Path(folder) / name)]
        for target in there:
            is_standin = target.is_symlink() and os.readlink(target).startswith("/opt/desk")
            if is_standin and name not in hidden and _answers(target):
                continue
            if is_standin:
                target.unlink()
            else:
                _keep(target, real / name)
            if name not in hidden:
                target.symlink_to(run)
        if not there and name not in hidden and name not in standins:
            (Path(PLACES[0]) / name).symlink_to(run)


def _answers(standin: Path) -> bool:
    """Whether a stand-in is the program that looks into the recording first (the one for ip is a script of its own)."""
    with contextlib.suppress(OSError):
        return standin.read_bytes().startswith(b"#!/usr/bin/python3")
    return False


def _keep(target: Path, real: Path) -> None:
    """Move a real program away."""
    real.parent.mkdir(parents=True, exist_ok=True)
    if real.exists() or real.is_symlink():
        target.unlink()
    elif target.is_symlink():
        real.symlink_to(target.resolve())
        target.unlink()
    else:
        shutil.move(target, real)


def units(recording: Recording, known: Callable[[str], bool], folder: Path = Path("/etc/systemd/system")) -> None:
    """Let systemd start the units that the recording calls active, and leave out those that it does not."""
    for entry in recording.commands:
        argv = entry["argv"]
        if argv[:2] != ["systemctl", "is-active"] or len(argv) != 3:
            continue
        name = argv[2] if argv[2].endswith(".service") else f"{argv[2]}.service"
        link = folder / "multi-user.target.wants" / name
        if not known(name):
            continue
        if entry["responses"][-1]["stdout"].strip() != "active":
            _remove(link)
        elif not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"/usr/lib/systemd/system/{name}")
