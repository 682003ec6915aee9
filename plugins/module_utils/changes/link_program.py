# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that changes a desk's link and takes the change back. Self-contained: standard library only, nothing of this collection.

The module copies this very text to ``/var/lib/dgx_spark/link/undo.py`` before a change. From then on the desk can restore itself
without a controller, without Ansible and after a reboot. Order of a change, and why it is fixed:

1. ``stage``: the whole netplan is generated in a temporary root with and without the change. What comes out for any other interface
   must be equal, else the change is refused before anything is written.
2. ``prepare``: the journal (everything as it was, the files' content included) is on the disk, then the undo timer runs and the
   boot-time undo is linked, then both are looked at. Only now may anything be written.
3. ``apply``: files first, then the renderer is told about the ConnectX-7 interfaces alone. ``netplan apply`` is never used: it blips
   the management link. Generated files of our interfaces are taken from the staged root, so that a management interface's generated
   file keeps its inode and time stamp and networkd sees no reason to reconfigure it.
4. ``confirm``: the state is set first and made durable, then the timer is stopped: a timer that fires in between does nothing.

Any failure, the timer, or a boot while armed leads to ``undo``, which restores from the journal and may be repeated.
Every command prints one JSON object.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

HOME = "/var/lib/dgx_spark/link"
PROGRAM = f"{HOME}/undo.py"
JOURNAL = f"{HOME}/journal.json"
LAST = f"{HOME}/last.json"
BASELINE = f"{HOME}/baseline.json"
RESERVE = f"{HOME}/reserve"
LOCK = f"{HOME}/lock"
RESERVE_BYTES = 262144
"""Bytes set aside before a change and freed first by the undo, so that a disk that ran full cannot stop it."""

UNIT = "dgx-spark-link-undo"
SERVICE = f"/etc/systemd/system/{UNIT}.service"
TIMER = f"/etc/systemd/system/{UNIT}.timer"
BOOT_LINK = f"/etc/systemd/system/sysinit.target.wants/{UNIT}.service"

NETPLAN_FOLDERS = ("/lib/netplan", "/etc/netplan", "/run/netplan")
GENERATED_FOLDERS = ("/run/systemd/network", "/run/NetworkManager/system-connections")
UDEV_RULES = "/run/udev/rules.d/90-netplan.rules"
INDIFFERENT = (
    "/run/systemd/system/netplan-ovs-cleanup.service",
    "/run/systemd/system/systemd-networkd.service.wants/netplan-ovs-cleanup.service",
    "/run/systemd/system/systemd-networkd-wait-online.service.d/10-netplan.conf",
)
"""Generated files that say nothing about an interface."""

UNSETTLED = ("prepared", "armed", "applying", "applied", "undoing", "undo_failed")
NETWORK_MANAGER, NETWORKD = "NetworkManager", "networkd"
ETH_P_ARP = 0x0806

SERVICE_TEXT = f"""[Unit]
Description=Take back an unconfirmed change of the ConnectX-7 link
DefaultDependencies=no
RequiresMountsFor={HOME}
After=local-fs.target systemd-remount-fs.service
Wants=network-pre.target
Before=network-pre.target NetworkManager.service systemd-networkd.service
ConditionPathExists={JOURNAL}
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 {PROGRAM} undo
TimeoutStartSec=180
Restart=on-failure
RestartSec=30
"""

TIMER_TEXT = """[Unit]
Description=Wait for the confirmation of a change of the ConnectX-7 link

[Timer]
OnActiveSec={seconds}
AccuracySec=1s
"""


class ChangeError(Exception):
    """The change cannot go on; the text says why in one line."""


def after_step(name: str) -> None:
    """Called after each step that leaves a trace. Tests put a crash here."""


# ---- files --------------------------------------------------------------------------------------------------------------


def digest(entry: Mapping[str, Any] | None) -> str | None:
    """What a file's entry holds, as one comparable word; null for a file that is not there."""
    if entry is None:
        return None
    if "link" in entry:
        return f"link:{entry['link']}"
    return hashlib.sha256(base64.b64decode(entry["content"])).hexdigest()


def text_entry(text: str, mode: int) -> dict[str, Any]:
    """The entry of a file of root's with this text."""
    return {"content": base64.b64encode(text.encode()).decode(), "mode": mode, "uid": 0, "gid": 0, "mtime_ns": None}


class Desk:
    """The desk's files and commands, below ``root`` (``/`` except in tests)."""

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")
        self.commands: list[dict[str, Any]] = []

    def path(self, path: str) -> str:
        """Where a path of the desk lies."""
        return self.root + path

    def entry(self, path: str) -> dict[str, Any] | None:
        """What is at a path: content, mode, owner and time stamp, or the target of a symbolic link; null when nothing is."""
        here = self.path(path)
        try:
            about = os.lstat(here)
            if stat.S_ISLNK(about.st_mode):
                return {"link": os.readlink(here)}
            with open(here, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        return {
            "content": base64.b64encode(content).decode(),
            "mode": stat.S_IMODE(about.st_mode),
            "uid": about.st_uid,
            "gid": about.st_gid,
            "mtime_ns": about.st_mtime_ns,
        }

    def put(self, path: str, entry: Mapping[str, Any] | None) -> None:
        """Make a path what the entry says, so that a crash leaves the old or the new. Raises OSError."""
        here = self.path(path)
        folder, name = os.path.split(here)
        temporary = os.path.join(folder, f".{name}.dgx-spark-new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if entry is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(here)
        else:
            os.makedirs(folder, exist_ok=True)
            try:
                self._fill(temporary, entry)
                os.replace(temporary, here)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
        if os.path.isdir(folder):
            _sync(folder)

    @staticmethod
    def _fill(temporary: str, entry: Mapping[str, Any]) -> None:
        if "link" in entry:
            os.symlink(entry["link"], temporary)
            return
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64decode(entry["content"]))
            file.flush()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), entry["uid"], entry["gid"])
            os.fchmod(file.fileno(), entry["mode"])
            os.fsync(file.fileno())
        if entry.get("mtime_ns") is not None:
            os.utime(temporary, ns=(entry["mtime_ns"], entry["mtime_ns"]))

    def read_json(self, path: str) -> dict[str, Any] | None:
        """A JSON object of ours; null when it is not there. Raises ChangeError when it is damaged."""
        try:
            with open(self.path(path), encoding="utf-8") as file:
                data = json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ChangeError(f"{path} cannot be read: {error}") from error
        return data if isinstance(data, dict) else None

    def write_json(self, path: str, data: Mapping[str, Any]) -> None:
        """Write a JSON object of ours, readable by root alone. Raises OSError."""
        self.put(path, text_entry(json.dumps(data, indent=1, sort_keys=True), 0o600))

    def run(self, *argv: str, timeout: float = 30.0, note: bool = True) -> tuple[int, str]:
        """Run a command: return code (124 at the time limit, 127 when it is missing) and what it printed."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        if self.root:
            path = f"{self.root}/usr/bin:{path}"
        environment = {**os.environ, "LC_ALL": "C", "LANG": "C", "PATH": path}
        try:
            # This file also runs by itself on the desk (the undo), where Ansible is not.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                [shutil.which(argv[0], path=path) or argv[0], *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                env=environment,
                check=False,
                start_new_session=True,
            )
            code, text = done.returncode, done.stdout.decode("utf-8", "replace").strip()
        except subprocess.TimeoutExpired:
            code, text = 124, f"no end within {timeout:.0f} s"
        except OSError as error:
            code, text = 127, str(error)
        if note:
            self.commands.append({"argv": list(argv), "rc": code, **({"output": text[-400:]} if code else {})})
        return code, text

    def must(self, *argv: str, timeout: float = 30.0) -> str:
        """Run a command that has to succeed. Raises ChangeError."""
        code, text = self.run(*argv, timeout=timeout)
        if code:
            raise ChangeError(f"{' '.join(argv)} ended with {code}: {' '.join(text.split())[-300:] or 'no output'}")
        return text

    @contextlib.contextmanager
    def lock(self, patience: float, on_busy: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only one who changes the link. Raises ChangeError when somebody else is for longer than ``patience`` seconds."""
        os.makedirs(self.path(HOME), mode=0o700, exist_ok=True)
        descriptor = os.open(self.path(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline, asked = time.monotonic() + patience, False
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        if on_busy is None or asked:
                            raise ChangeError("another change of the link is running on this desk") from None
                        on_busy()
                        asked, deadline = True, time.monotonic() + patience
                    time.sleep(0.1)
            yield
        finally:
            os.close(descriptor)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---- stage: the combined netplan in a temporary root --------------------------------------------------------------------


def stage(desk: Desk, change: Mapping[str, Any], files: Mapping[str, Mapping[str, Any] | None]) -> dict[str, dict[str, Any] | None]:
    """Generate the combined netplan with ``files`` in a temporary root; the live files of our interfaces that have to change.

    Raises ChangeError when netplan refuses it or when anything but our interfaces would change.
    """
    os.makedirs(desk.path("/run"), exist_ok=True)
    work = tempfile.mkdtemp(prefix="dgx-spark-link-", dir=desk.path("/run"))
    try:
        before, after = os.path.join(work, "before"), os.path.join(work, "after")
        for root in (before, after):
            _copy_netplan(desk, root)
        staged = Desk(after)
        for path, entry in files.items():
            if path.startswith("/etc/netplan/"):
                staged.put(path, entry)
        for root, what in ((before, "the netplan files that are on the desk now"), (after, "the netplan files with the link added")):
            code, text = desk.run("netplan", "generate", "--root-dir", root, note=False)
            if code:
                message = " ".join(text.replace(root, "").split())[-400:]
                raise ChangeError(f"netplan_invalid: netplan does not accept {what} (exit {code}): {message}")
        _refuse_others(before, after, change)
        return _generated(desk, after, change)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _copy_netplan(desk: Desk, root: str) -> None:
    for folder in NETPLAN_FOLDERS:
        target = root + folder
        os.makedirs(target, mode=0o755, exist_ok=True)
        for source in sorted(glob.glob(desk.path(folder) + "/*.yaml")):
            with open(source, "rb") as file:
                Desk(target).put("/" + os.path.basename(source), {**_blank(0o600), "content": base64.b64encode(file.read()).decode()})


def _blank(mode: int) -> dict[str, Any]:
    return {"content": "", "mode": mode, "uid": os.geteuid(), "gid": os.getegid(), "mtime_ns": None}


def _tree(root: str) -> dict[str, bytes]:
    found = {}
    for folder, _folders, names in os.walk(root + "/run"):
        for name in names:
            here = os.path.join(folder, name)
            if os.path.islink(here):
                found[here[len(root) :]] = b"-> " + os.readlink(here).encode()
            else:
                with open(here, "rb") as file:
                    found[here[len(root) :]] = file.read()
    return found


def is_ours(path: str, ids: Iterable[str]) -> bool:
    """Whether netplan generates this file for one of these netplan ids and for nothing else."""
    folder, name = os.path.split(path)
    if folder not in GENERATED_FOLDERS:
        return False
    return any(name.startswith((f"10-netplan-{item}.", f"netplan-{item}.", f"netplan-{item}-")) for item in ids)


def _refuse_others(before: str, after: str, change: Mapping[str, Any]) -> None:
    old, new = _tree(before), _tree(after)
    words = [*change["ids"], *change["netdevs"], *change.get("macs", [])]
    strangers = []
    for path in sorted(set(old) | set(new)):
        if old.get(path) == new.get(path) or is_ours(path, change["ids"]) or path in INDIFFERENT or path.startswith("/run/netplan/"):
            continue
        if path == UDEV_RULES:
            # netplan writes one rule for each interface, in the order of its files: another order is no change.
            lines, others = _rules(old.get(path, b"")), _rules(new.get(path, b""))
            if all(any(word in line for word in words) for line in ((lines - others) + (others - lines))):
                continue
        strangers.append(path)
    if strangers:
        raise ChangeError(f"other_interfaces: the change would also alter what netplan makes for other interfaces: {', '.join(strangers)}")


def _rules(content: bytes) -> collections.Counter[str]:
    return collections.Counter(line for line in content.decode().splitlines() if line.strip())


def _generated(desk: Desk, after: str, change: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
    """Live generated files of our interfaces that differ from the staged ones."""
    staged = Desk(after)
    paths = {path for path in _tree(after) if is_ours(path, change["ids"])}
    for folder in GENERATED_FOLDERS:
        with contextlib.suppress(FileNotFoundError):
            paths |= {f"{folder}/{name}" for name in os.listdir(desk.path(folder)) if is_ours(f"{folder}/{name}", change["ids"])}
    if staged.entry(UDEV_RULES) is not None or desk.entry(UDEV_RULES) is not None:
        paths.add(UDEV_RULES)
    found: dict[str, dict[str, Any] | None] = {}
    for path in sorted(paths):
        wanted = staged.entry(path)
        if not _same(wanted, desk.entry(path)):
            found[path] = None if wanted is None else {**wanted, "mtime_ns": None}
    return found


# ---- live state ---------------------------------------------------------------------------------------------------------


def live(desk: Desk, netdevs: Sequence[str], renderer: str) -> dict[str, dict[str, Any]]:
    """How each interface is now: up, mtu (bytes), addresses (IPv4 that nobody leased), and NetworkManager's active profile."""
    code, text = desk.run("ip", "-j", "addr", "show", note=False)
    try:
        links = json.loads(text) if code == 0 else []
    except ValueError:
        links = []
    found: dict[str, dict[str, Any]] = {}
    for link in links:
        name = link.get("ifname")
        if name not in netdevs:
            continue
        found[name] = {
            "up": "UP" in link.get("flags", []),
            "mtu": link.get("mtu"),
            "addresses": [
                f"{item['local']}/{item['prefixlen']}"
                for item in link.get("addr_info", [])
                if item.get("family") == "inet" and not item.get("dynamic")
            ],
            "profile": None,
        }
    if renderer == NETWORK_MANAGER:
        code, text = desk.run("nmcli", "-t", "-f", "UUID,DEVICE", "connection", "show", "--active", note=False)
        for line in text.splitlines() if code == 0 else []:
            uuid, _separator, device = line.partition(":")
            if device in found:
                found[device]["profile"] = uuid
    return found


def missing(desk: Desk, wanted: Sequence[Mapping[str, Any]], renderer: str) -> list[str]:
    """What is not yet as wanted, in words."""
    now = live(desk, [item["netdev"] for item in wanted], renderer)
    lacks = []
    for item in wanted:
        state = now.get(item["netdev"])
        if state is None:
            lacks.append(f"{item['netdev']} is not there")
            continue
        if item["address"] not in state["addresses"]:
            lacks.append(f"{item['netdev']} lacks {item['address']}")
        if state["mtu"] != item["mtu"]:
            lacks.append(f"{item['netdev']} has MTU {state['mtu']}, not {item['mtu']}")
        if not state["up"]:
            lacks.append(f"{item['netdev']} is down")
    return lacks


def activate(desk: Desk, change: Mapping[str, Any], touched: Sequence[str]) -> None:
    """Tell the renderer about our interfaces alone. Raises ChangeError."""
    wanted = [item["netdev"] for item in change["wanted"]]
    if change["renderer"] == NETWORK_MANAGER:
        profiles = profile_files(touched)
        if profiles:
            desk.must("nmcli", "connection", "load", *profiles)
            after_step("load")
        for netdev in wanted:
            desk.must("nmcli", "--wait", "30", "connection", "up", "id", f"netplan-{netdev}", "ifname", netdev, timeout=40)
            after_step(f"up {netdev}")
        if not wanted:
            _previous_profiles(desk, change.get("baseline_live") or {})
    else:
        desk.must("networkctl", "reload")
        after_step("reload")
        for netdev in wanted:
            desk.must("networkctl", "reconfigure", netdev)
            after_step(f"reconfigure {netdev}")
    for netdev, values in (change.get("sysctl") or {}).items():
        for key, value in values.items():
            desk.must("sysctl", "-q", "-w", f"net/ipv4/conf/{netdev}/{key}={value}")
    if not wanted:
        settle_live(desk, change["renderer"], change.get("baseline_live") or {}, change.get("ours", []))
    deadline = time.monotonic() + change.get("patience", 20)
    while lacks := missing(desk, change["wanted"], change["renderer"]):
        if time.monotonic() > deadline:
            raise ChangeError(f"not as wanted: {'; '.join(lacks)}")
        time.sleep(0.25)


def profile_files(paths: Iterable[str]) -> list[str]:
    """The files that NetworkManager reads."""
    return sorted(path for path in paths if "/NetworkManager/system-connections/" in path)


def _previous_profiles(desk: Desk, before: Mapping[str, Mapping[str, Any]], again: bool = False) -> None:
    """Bring back the profile that was active on each interface, without waiting for it (it may wait for DHCP for long).

    ``again``: also where the same profile is active, because its file has changed under it.
    """
    now = live(desk, list(before), NETWORK_MANAGER)
    for netdev, state in before.items():
        profile = state.get("profile")
        if netdev not in now or (now[netdev]["profile"] == profile and not (again and profile)):
            continue
        if profile:
            desk.run("nmcli", "--wait", "0", "connection", "up", "uuid", profile, "ifname", netdev)
        else:
            desk.run("nmcli", "--wait", "10", "device", "disconnect", netdev)


def settle_live(desk: Desk, renderer: str, before: Mapping[str, Mapping[str, Any]], ours: Sequence[str]) -> None:
    """What the renderer leaves behind: MTU, addresses of ours, addresses somebody had set by hand, the interface's up flag."""
    now = live(desk, list(before), renderer)
    for netdev, state in before.items():
        current = now.get(netdev)
        if current is None:
            continue
        for address in current["addresses"]:
            if address in ours and address not in state["addresses"]:
                desk.run("ip", "address", "delete", address, "dev", netdev)
        if state["mtu"] and current["mtu"] != state["mtu"]:
            desk.run("ip", "link", "set", "dev", netdev, "mtu", str(state["mtu"]))
        if state["up"] != current["up"]:
            desk.run("ip", "link", "set", "dev", netdev, "up" if state["up"] else "down")
        for address in state["addresses"]:
            if address not in current["addresses"]:
                desk.run("ip", "address", "add", address, "dev", netdev)


# ---- arming -------------------------------------------------------------------------------------------------------------


def arm(desk: Desk, seconds: int) -> None:
    """Start the undo timer, link the boot-time undo, and look at both. Raises ChangeError or OSError.

    No ``daemon-reload``: systemd finds new units by itself, and a reload runs netplan's generator, after which networkd would
    reconfigure the management interface.
    """
    desk.put(SERVICE, text_entry(SERVICE_TEXT, 0o644))
    desk.put(TIMER, text_entry(TIMER_TEXT.format(seconds=seconds), 0o644))
    desk.put(BOOT_LINK, {"link": SERVICE})
    after_step("units")
    desk.run("systemctl", "stop", f"{UNIT}.timer", note=False)
    for attempt in (1, 2):
        desk.must("systemctl", "start", f"{UNIT}.timer")
        problem = unarmed(desk, seconds)
        if problem is None:
            return
        if attempt == 1:
            desk.run("systemctl", "stop", f"{UNIT}.timer")
            desk.run("systemctl", "daemon-reload")
    raise ChangeError(f"arm: {problem}")


def unarmed(desk: Desk, seconds: int) -> str | None:
    """Why the undo is not armed; null when it is."""
    shown = desk.run("systemctl", "show", f"{UNIT}.timer", "-p", "ActiveState", "-p", "Unit", "-p", "TimersMonotonic", note=False)[1]
    values = dict(line.partition("=")[::2] for line in shown.splitlines())
    if values.get("ActiveState") != "active":
        return f"{UNIT}.timer is {values.get('ActiveState') or 'not known to systemd'}"
    span = values.get("TimersMonotonic", "")
    if values.get("Unit") != f"{UNIT}.service" or f"OnActiveUSec={time_span(seconds)} " not in span:
        return f"{UNIT}.timer does not wait {seconds} s ({span or 'no time set'})"
    shown = desk.run("systemctl", "show", f"{UNIT}.service", "-p", "LoadState", "-p", "ExecStart", note=False)[1]
    if "LoadState=loaded" not in shown or PROGRAM not in shown:
        return f"{UNIT}.service is not loaded"
    if desk.entry(BOOT_LINK) is None:
        return "the undo is not linked for the next boot"
    journal = desk.read_json(JOURNAL)
    if journal is None or any(digest(item["before"]) != item["before_digest"] for item in journal["files"]):
        return "the journal cannot be read back"
    return None


def time_span(seconds: int) -> str:
    """A time as systemd writes it: 2min 5s."""
    parts = []
    for unit, length in (("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts)


def disarm(desk: Desk) -> None:
    """Nothing stays armed."""
    desk.run("systemctl", "stop", f"{UNIT}.timer", note=False)
    for path in (BOOT_LINK, TIMER, SERVICE):
        desk.put(path, None)


def _remove_folders(desk: Desk, folders: Sequence[str]) -> None:
    """Remove folders that were made for the change, where they are empty."""
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(desk.path(folder))


# ---- the commands -------------------------------------------------------------------------------------------------------


def file_changes(desk: Desk, change: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any] | None], list[str]]:
    """The configuration files as they shall be, and those that somebody edited since and that are therefore kept."""
    files: dict[str, dict[str, Any] | None] = {}
    kept = []
    if change["state"] == "absent":
        baseline = desk.read_json(BASELINE) or {"files": {}, "written": {}}
        for path, before in baseline["files"].items():
            if digest(desk.entry(path)) == baseline["written"].get(path):
                files[path] = before
            elif digest(desk.entry(path)) != digest(before):
                kept.append(path)
    for item in change.get("write", []):
        files[item["path"]] = text_entry(item["content"], item["mode"])
    for path in change.get("remove", []):
        if path not in files and path not in kept:
            files[path] = None
    return {path: entry for path, entry in files.items() if not _same(desk.entry(path), entry)}, kept


def _same(now: Mapping[str, Any] | None, entry: Mapping[str, Any] | None) -> bool:
    return digest(now) == digest(entry) and (now or {}).get("mode") == (entry or {}).get("mode")


def _with_ids_given_back(desk: Desk, change: dict[str, Any]) -> dict[str, Any]:
    """The change with the netplan ids of the files that it gives back: they name our interfaces in words of their own."""
    if change["state"] != "absent":
        return change
    return {**change, "ids": sorted({*change["ids"], *(desk.read_json(BASELINE) or {}).get("ids", [])})}


def check(desk: Desk, change: dict[str, Any]) -> dict[str, Any]:
    """Stage the change without keeping anything: what would be written."""
    change = _with_ids_given_back(desk, change)
    files, kept = file_changes(desk, change)
    generated = stage(desk, change, files)
    return {"ok": True, "files": sorted(files), "generated": sorted(generated), "kept": kept}


def prepare(desk: Desk, change: dict[str, Any]) -> dict[str, Any]:
    """Stage, write the journal, arm the undo. Nothing of the desk's configuration is touched. Raises ChangeError or OSError."""
    with desk.lock(5):
        journal = desk.read_json(JOURNAL)
        if journal is not None and journal["state"] in UNSETTLED:
            raise ChangeError(f"a change of {journal['id']} is unsettled ({journal['state']})")
        change = _with_ids_given_back(desk, change)
        files, kept = file_changes(desk, change)
        generated = stage(desk, change, files)
        everything = {**files, **generated}
        now = live(desk, change["netdevs"], change["renderer"])
        baseline = desk.read_json(BASELINE) or {}
        if change["state"] == "absent":
            change = {**change, "baseline_live": {key: value for key, value in (baseline.get("live") or now).items() if key in now}}
        folders = _missing_folders(desk, (*everything, BOOT_LINK))
        journal = {
            **change,
            "program": 1,
            "state": "prepared",
            "state_wanted": change["state"],
            "boot_id": boot_id(desk),
            "begun": time.time(),
            "live": now,
            "sysctl_before": _sysctl_before(desk, change),
            "files": [
                {"path": path, "before": before, "before_digest": digest(before), "after": entry, "lasting": path in files}
                for path, entry, before in ((path, entry, desk.entry(path)) for path, entry in everything.items())
            ],
            "new_folders": folders,
            "kept": kept,
        }
        try:
            _reserve(desk)
            desk.write_json(JOURNAL, journal)
            after_step("journal")
            arm(desk, change["confirm_timeout"])
            journal["state"] = "armed"
            journal["deadline"] = time.time() + change["confirm_timeout"]
            desk.write_json(JOURNAL, journal)
        except (ChangeError, OSError):
            for path in (JOURNAL, RESERVE):
                desk.put(path, None)
            disarm(desk)
            _remove_folders(desk, folders)
            raise
        after_step("armed")
        return {"ok": True, "files": sorted(files), "generated": sorted(generated), "kept": kept, "deadline": journal["deadline"]}


def _missing_folders(desk: Desk, paths: Iterable[str]) -> list[str]:
    """Folders that the change will make, parents first."""
    found: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in ("/", "") and not os.path.isdir(desk.path(folder)):
            found.add(folder)
            folder = os.path.dirname(folder)
    return sorted(found)


def _reserve(desk: Desk) -> None:
    with open(desk.path(RESERVE), "wb") as file:
        file.write(b"\0" * RESERVE_BYTES)
        file.flush()
        os.fsync(file.fileno())


def _sysctl_before(desk: Desk, change: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for netdev, values in (change.get("sysctl") or {}).items():
        for key in values:
            with contextlib.suppress(OSError), open(desk.path(f"/proc/sys/net/ipv4/conf/{netdev}/{key}"), encoding="utf-8") as file:
                found.setdefault(netdev, {})[key] = file.read().strip()
    return found


def boot_id(desk: Desk) -> str | None:
    """This boot, as the kernel names it."""
    try:
        with open(desk.path("/proc/sys/kernel/random/boot_id"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def apply(desk: Desk) -> dict[str, Any]:
    """Carry the armed change out; whatever goes wrong, take it back at once."""
    with desk.lock(5):
        journal = desk.read_json(JOURNAL)
        if journal is None or journal["state"] != "armed":
            raise ChangeError(f"nothing is armed (state {journal and journal['state']})")
        problem = None
        try:
            journal["state"] = "applying"
            desk.write_json(JOURNAL, journal)
            for item in journal["files"]:
                desk.put(item["path"], item["after"])
                after_step(f"file {item['path']}")
            activate(desk, journal, [item["path"] for item in journal["files"]])
            journal["state"] = "applied"
            journal["commands"] = desk.commands
            desk.write_json(JOURNAL, journal)
            after_step("applied")
        except (ChangeError, OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            if isinstance(error, OSError) and error.filename:
                problem = f"{problem}: {error.filename}"
        if problem is None:
            return {"ok": True, "state": "applied", "commands": desk.commands}
        journal["commands"] = list(desk.commands)
        return _undo(desk, journal, f"the change failed: {problem}")


def undo(desk: Desk, reason: str | None) -> dict[str, Any]:
    """Take an unconfirmed change back. Nothing to do when there is none."""

    def end_apply() -> None:
        journal = desk.read_json(JOURNAL)
        if journal and journal.get("apply_unit"):
            desk.run("systemctl", "stop", journal["apply_unit"])

    with desk.lock(10, end_apply):
        journal = desk.read_json(JOURNAL)
        if journal is None or journal["state"] not in UNSETTLED:
            disarm(desk)
            if journal is not None and journal["state"] == "undone":
                _remove_folders(desk, journal.get("new_folders", []))
            return {"ok": True, "state": journal and journal["state"], "undone": False}
        if reason is None and journal["state"] in ("undoing", "undo_failed"):
            # An undo that was cut off goes on for the reason that it began with.
            reason = journal.get("reason")
        if reason is None:
            journal["unconfirmed"] = True
            reason = f"nobody confirmed it within {journal['confirm_timeout']} s"
            if journal.get("boot_id") and journal["boot_id"] != boot_id(desk):
                reason = "the desk started again before anybody confirmed it"
        return _undo(desk, journal, reason)


def _undo(desk: Desk, journal: dict[str, Any], reason: str) -> dict[str, Any]:
    desk.put(RESERVE, None)
    journal.update(state="undoing", reason=reason, undo_begun=time.time())
    with contextlib.suppress(OSError):
        desk.write_json(JOURNAL, journal)
    after_step("undoing")
    kept, problems, touched = [], [], []
    for item in reversed(journal["files"]):
        path = item["path"]
        _remove_temporary(desk, path)
        now = digest(desk.entry(path))
        if now == digest(item["before"]):
            touched.append(path)
            _restore_times(desk, item)
            continue
        if now != digest(item["after"]):
            kept.append(path)
            continue
        try:
            desk.put(path, item["before"])
            touched.append(path)
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
        after_step(f"restored {path}")
    _undo_live(desk, journal, touched)
    for work in glob.glob(desk.path("/run/dgx-spark-link-*")):
        shutil.rmtree(work, ignore_errors=True)
    journal.update(state="undo_failed" if problems else "undone", ended=time.time(), problems=problems)
    journal["kept"] = sorted({*journal.get("kept", []), *kept})
    journal["undo_commands"] = list(desk.commands)
    with contextlib.suppress(OSError):
        desk.write_json(JOURNAL, journal)
    after_step("undone")
    if not problems:
        disarm(desk)
        _remove_folders(desk, journal.get("new_folders", []))
    return {
        "ok": False,
        "state": journal["state"],
        "undone": True,
        "reason": reason,
        "kept": journal["kept"],
        "problems": problems,
        "commands": journal.get("commands", []),
        "undo_commands": journal["undo_commands"],
    }


def _remove_temporary(desk: Desk, path: str) -> None:
    folder, name = os.path.split(desk.path(path))
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(folder, f".{name}.dgx-spark-new"))


def _restore_times(desk: Desk, item: Mapping[str, Any]) -> None:
    """A file that was rewritten with its old content gets its old time stamp, mode and owner as well."""
    before, now = item["before"], desk.entry(item["path"])
    if before is not None and now is not None and "content" in before and before != now:
        with contextlib.suppress(OSError):
            desk.put(item["path"], before)


def _undo_live(desk: Desk, journal: Mapping[str, Any], touched: Sequence[str]) -> None:
    renderer, before = journal["renderer"], journal["live"]
    unit = "NetworkManager.service" if renderer == NETWORK_MANAGER else "systemd-networkd.service"
    # Early at boot the renderer has not started: it will read the restored files by itself.
    running = desk.run("systemctl", "is-active", unit, note=False)[0] == 0
    if running and renderer == NETWORK_MANAGER:
        profiles = profile_files(touched)
        if profiles:
            desk.run("nmcli", "connection", "load", *profiles)
        _previous_profiles(desk, before, again=bool(profiles))
    elif running:
        desk.run("networkctl", "reload")
        for netdev in before:
            desk.run("networkctl", "reconfigure", netdev)
    for netdev, values in (journal.get("sysctl_before") or {}).items():
        for key, value in values.items():
            desk.run("sysctl", "-q", "-w", f"net/ipv4/conf/{netdev}/{key}={value}")
    if running:
        _wait_renderer(desk, journal)
    settle_live(desk, renderer, before, [*journal.get("ours", []), *(item["address"] for item in journal["wanted"])])


def _wait_renderer(desk: Desk, journal: Mapping[str, Any]) -> None:
    """Give the renderer a moment to bring back the addresses that were there."""
    deadline = time.monotonic() + journal.get("patience", 20) / 4
    while time.monotonic() < deadline:
        now = live(desk, list(journal["live"]), journal["renderer"])
        if all(
            name not in now or (set(state["addresses"]) == set(now[name]["addresses"]) and state["mtu"] == now[name]["mtu"])
            for name, state in journal["live"].items()
        ):
            return
        time.sleep(0.25)


def confirm(desk: Desk, change_id: str) -> dict[str, Any]:
    """Keep the applied change: durable first, disarmed then."""
    with desk.lock(60):
        journal = desk.read_json(JOURNAL)
        if journal is None or journal["id"] != change_id or journal["state"] not in ("applied", "confirmed"):
            return {"ok": False, "state": journal and journal["state"], "reason": (journal or {}).get("reason")}
        if journal["state"] == "applied":
            if journal["state_wanted"] == "present":
                _merge_baseline(desk, journal)
                after_step("baseline")
            journal["state"] = "confirmed"
            desk.write_json(JOURNAL, journal)
            after_step("confirmed")
        return _finish(desk, journal)


def _merge_baseline(desk: Desk, journal: Mapping[str, Any]) -> None:
    """Remember the files as they were before the first change of all, and what we wrote last."""
    baseline = desk.read_json(BASELINE) or {"files": {}, "written": {}, "live": {}}
    for item in journal["files"]:
        if item["lasting"]:
            baseline["files"].setdefault(item["path"], item["before"])
            baseline["written"][item["path"]] = digest(item["after"])
    baseline["ids"] = sorted({*baseline.get("ids", []), *journal["ids"]})
    for netdev, state in journal["live"].items():
        baseline["live"].setdefault(netdev, state)
    desk.write_json(BASELINE, baseline)


def _finish(desk: Desk, journal: Mapping[str, Any]) -> dict[str, Any]:
    disarm(desk)
    after_step("disarmed")
    result = {"ok": True, "state": "confirmed", "commands": journal.get("commands", []), "kept": journal.get("kept", [])}
    if journal["state_wanted"] == "absent" and not journal.get("kept"):
        shutil.rmtree(desk.path(HOME), ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(desk.path(os.path.dirname(HOME)))
        return result
    if journal["state_wanted"] == "absent":
        _lay_out_originals(desk, journal["kept"])
        desk.put(BASELINE, None)
    _remove_folders(desk, [folder for folder in journal.get("new_folders", []) if folder == os.path.dirname(BOOT_LINK)])
    short = {key: journal.get(key) for key in ("id", "state", "state_wanted", "begun", "commands", "kept")}
    desk.write_json(LAST, {**short, "ended": time.time()})
    desk.put(RESERVE, None)
    desk.put(JOURNAL, None)
    return result


def _lay_out_originals(desk: Desk, kept: Sequence[str]) -> None:
    """Where a file was edited since, it stays; the one from before the first change is laid beside our journal."""
    files = (desk.read_json(BASELINE) or {"files": {}})["files"]
    for path in kept:
        if files.get(path) is not None:
            desk.put(f"{HOME}/originals/{path.strip('/').replace('/', '_')}", files[path])


def settle(desk: Desk) -> dict[str, Any]:
    """Deal with what an earlier run left: finish what was confirmed, take back what was not, put away what was undone."""
    if not os.path.isdir(desk.path(HOME)):
        return {"ok": True, "found": None}
    with desk.lock(10):
        journal = desk.read_json(JOURNAL)
        if journal is None:
            disarm(desk)
            return {"ok": True, "found": None}
        found = journal["state"]
        if found == "confirmed":
            _finish(desk, journal)
        elif found in UNSETTLED:
            result = _undo(desk, journal, "a later run found it unconfirmed")
            if result["problems"]:
                raise ChangeError(f"the earlier change cannot be taken back: {'; '.join(result['problems'])}")
            journal = desk.read_json(JOURNAL) or journal
        desk.put(JOURNAL, None)
        desk.put(RESERVE, None)
        return {"ok": True, "found": found, "id": journal["id"], "reason": journal.get("reason"), "kept": journal.get("kept", [])}


def tidy(desk: Desk) -> dict[str, Any]:
    """Leave nothing of ours where nothing was changed: no journal, no earlier change, so no folder."""
    if not any(os.path.lexists(desk.path(path)) for path in (JOURNAL, BASELINE)):
        shutil.rmtree(desk.path(HOME), ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(desk.path(os.path.dirname(HOME)))
    return {"ok": True}


def status(desk: Desk) -> dict[str, Any]:
    """What the journal says."""
    journal = desk.read_json(JOURNAL)
    keys = ("id", "state", "state_wanted", "reason", "kept", "problems", "commands", "undo_commands", "deadline")
    return {"ok": True, "journal": None if journal is None else {key: journal.get(key) for key in keys}}


def probe(netdev: str, address: str, seconds: float = 1.5) -> dict[str, Any]:
    """Ask the wire who has an IPv4 address (ARP probe, RFC 5227): the MACs that answered."""
    found: set[str] = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as wire:
        wire.bind((netdev, ETH_P_ARP))
        mine = wire.getsockname()[4]
        target = socket.inet_aton(address)
        packet = struct.pack("!6s6sHHHBBH6s4s6s4s", b"\xff" * 6, mine, ETH_P_ARP, 1, 0x0800, 6, 4, 1, mine, b"\0" * 4, b"\0" * 6, target)
        deadline = time.monotonic() + seconds
        wire.settimeout(0.2)
        sent = 0
        while time.monotonic() < deadline:
            if sent < 3 and time.monotonic() >= deadline - seconds + sent * seconds / 3:
                wire.send(packet)
                sent += 1
            try:
                frame = wire.recv(128)
            except TimeoutError:
                continue
            if len(frame) >= 42 and frame[20:22] == b"\0\2" and frame[28:32] == target:
                found.add(":".join(f"{byte:02x}" for byte in frame[22:28]))
    return {"ok": True, "macs": sorted(found)}


def main(arguments: Sequence[str], root: str = "/") -> int:
    """Run one command: check, prepare, apply, undo, confirm, settle, status, tidy, probe."""
    desk = Desk(root)
    command, *rest = arguments or [""]
    try:
        if command in ("check", "prepare"):
            change = json.loads(rest[0])
            result = check(desk, change) if command == "check" else prepare(desk, change)
        elif command == "apply":
            result = apply(desk)
        elif command == "undo":
            result = undo(desk, rest[0] if rest else None)
        elif command == "confirm":
            result = confirm(desk, rest[0])
        elif command == "settle":
            result = settle(desk)
        elif command == "status":
            result = status(desk)
        elif command == "tidy":
            result = tidy(desk)
        elif command == "probe":
            result = probe(rest[0], rest[1])
        else:
            result = {"ok": False, "error": f"unknown command {command!r}"}
    except ChangeError as error:
        result = {"ok": False, "error": str(error)}
    except OSError as error:
        result = {"ok": False, "error": f"{error.strerror or error}{': ' + str(error.filename) if error.filename else ''}"}
    print(json.dumps(result, sort_keys=True))  # pylint: disable=ansible-bad-function
    if command == "undo":
        return 1 if result.get("problems") or result.get("error") else 0
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))  # pylint: disable=ansible-bad-function
