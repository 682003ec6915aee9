"""Faults that are things on the desk rather than readings: processes, files and services.

``Effects.apply`` compares what should be with what an earlier call left, acts on the difference and remembers it, so
it may be called as often as one likes, also right after a reboot.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from .desk import RUN_DIR, Desk

DONE_FLAG = Path("/var/lib/nvidia-spark-run-apt-upgrade-once/done")
WANTS = Path("/etc/systemd/system/multi-user.target.wants")
SYNC_FILE = Path("/etc/netplan/99-nvidia-sync-cluster.yaml")
LIMITS = Path("/etc/security/limits.d/zz-memlock-sim.conf")
MANAGER = Path("/etc/systemd/system.conf.d/zz-memlock-sim.conf")
_SLEEP = "import signal\nsignal.pause()\n"
_LOCK = (
    "import fcntl, sys, time\n"
    "files = [open(p, 'a') for p in ('/var/lib/dpkg/lock-frontend', '/var/lib/dpkg/lock')]\n"
    "for f in files:\n"
    "    while True:\n"
    "        try:\n"
    "            fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "            break\n"
    "        except OSError:\n"
    "            time.sleep(0.5)\n"
    "time.sleep(float(sys.argv[1]))\n"
)


def sync_cluster_yaml(desk: Desk, port: int) -> str:
    """A netplan file as NVIDIA Sync leaves it: renderer NetworkManager, 10.100.x.0/24, MTU 9000."""
    host = 1 + int(desk.name[-1:], 16) % 9 if desk.name[-1:].isalnum() and desk.name[-1:] in "0123456789abcdef" else 1
    lines = ["network:", "  version: 2", "  renderer: NetworkManager", "  ethernets:"]
    twins = [f for f in desk.data["functions"] if int(f["port"]) == port]
    for number, function in enumerate(twins):
        lines += [
            f"    {function['netdev']}:",
            f"      addresses: [10.100.{184 + number}.{host}/24]",
            "      dhcp4: false",
            "      mtu: 9000",
        ]
    return "\n".join(lines) + "\n"


class Effects:
    """What the faults of a desk do to its processes, files and services."""

    def __init__(self, store: Path | None = None, systemctl: str = "systemctl") -> None:
        self.store = store or RUN_DIR / "effects.json"
        self.systemctl = systemctl
        self.state: dict[str, Any] = {}
        self.children: list[subprocess.Popen[bytes]] = []
        self.booting = False
        with contextlib.suppress(OSError, ValueError):
            self.state = json.loads(self.store.read_text(encoding="utf-8"))

    def apply(self, desk: Desk, booting: bool = False) -> None:
        """Make the desk follow its faults.

        ``booting``: systemd is still starting the desk and must not be told to reload (it would lose a bus activation
        that NetworkManager waits for); files written by an earlier boot are read by it anyway.
        """
        self.booting = booting
        for name, act in {
            "persistenced_stopped": self._persistenced,
            "memlock_low": self._memlock,
            "first_boot_upgrade": self._first_boot,
            "oobe_pending": self._oobe,
            "foreign_netplan_sync": self._sync_file,
            "gpu_process": self._process,
            "rdma_user": self._process,
            "dpkg_lock": self._process,
            "on_battery": self._battery,
        }.items():
            want = desk.fault(name)
            have = self.state.get(name)
            if want == (have or {}).get("params") and (want is not None) == (have is not None):
                continue
            if have is not None:
                act(desk, name, None, have)
                self.state.pop(name, None)
            if want is not None:
                self.state[name] = {"params": want}
                act(desk, name, want, self.state[name])
            self._save()

    def _battery(self, desk: Desk, name: str, want: dict[str, Any] | None, state: dict[str, Any]) -> None:
        """A supply that stands in for the mains being gone. No Spark has shown one; it is the state that fwupd asks the system for."""
        folder = RUN_DIR / "tree/class/power_supply/BAT0"
        if want is None:
            shutil.rmtree(folder.parent, ignore_errors=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        for key, value in (("type", "Battery"), ("status", "Discharging"), ("scope", "System")):
            (folder / key).write_text(value + "\n", encoding="ascii")

    def processes(self) -> dict[str, dict[str, Any]]:
        """Live processes that faults started: fault name to its parameters and ``pid``."""
        self.children = [child for child in self.children if child.poll() is None]
        found = {}
        for name, entry in self.state.items():
            pid = entry.get("pid")
            if pid and Path(f"/proc/{pid}").exists():
                found[name] = {**entry["params"], "pid": pid}
        return found

    def _save(self) -> None:
        self.store.write_text(json.dumps(self.state), encoding="utf-8")
        self.store.chmod(0o644)

    def _control(self, *arguments: str) -> None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([self.systemctl, *arguments], capture_output=True, timeout=20, check=False)

    def _persistenced(self, _desk: Desk, _name: str, want: dict[str, Any] | None, _entry: dict[str, Any]) -> None:
        unit = "nvidia-persistenced.service"
        link = WANTS / unit
        if want is not None:
            link.unlink(missing_ok=True)
        elif not link.is_symlink():
            link.symlink_to(f"/usr/lib/systemd/system/{unit}")
        if not self.booting:
            self._control("daemon-reload")
        self._control("--no-block", "stop" if want is not None else "start", unit)

    def _memlock(self, _desk: Desk, _name: str, want: dict[str, Any] | None, _entry: dict[str, Any]) -> None:
        if want is None:
            LIMITS.unlink(missing_ok=True)
            MANAGER.unlink(missing_ok=True)
        else:
            kib = int(want.get("kib", 64))
            for path, text in (
                (LIMITS, f"* - memlock {kib}\nroot - memlock {kib}\n"),
                (MANAGER, f"[Manager]\nDefaultLimitMEMLOCK={kib}K\n"),
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="ascii")
        if not self.booting:
            self._control("daemon-reexec")

    def _first_boot(self, _desk: Desk, _name: str, want: dict[str, Any] | None, _entry: dict[str, Any]) -> None:
        DONE_FLAG.parent.mkdir(parents=True, exist_ok=True)
        unit = "nvidia-spark-run-apt-upgrade-once.service"
        if want is None:
            DONE_FLAG.touch()
            self._control("--no-block", "stop", unit)
        else:
            DONE_FLAG.unlink(missing_ok=True)
            self._control("--no-block", "start", unit)

    def _oobe(self, _desk: Desk, _name: str, want: dict[str, Any] | None, _entry: dict[str, Any]) -> None:
        self._control("--no-block", "stop" if want is None else "start", "dgx-oobe.service")

    def _sync_file(self, desk: Desk, _name: str, want: dict[str, Any] | None, entry: dict[str, Any]) -> None:
        if want is None:
            with contextlib.suppress(OSError):
                if SYNC_FILE.read_text(encoding="utf-8") == entry.get("text"):
                    SYNC_FILE.unlink()
            return
        entry["text"] = sync_cluster_yaml(desk, int(want.get("port", 0)))
        SYNC_FILE.parent.mkdir(parents=True, exist_ok=True)
        SYNC_FILE.write_text(entry["text"], encoding="utf-8")
        SYNC_FILE.chmod(0o600)

    def _process(self, _desk: Desk, name: str, want: dict[str, Any] | None, entry: dict[str, Any]) -> None:
        if want is None:
            pid = entry.get("pid")
            if pid:
                self._end(int(pid))
            return
        code, extra = (_LOCK, [str(want.get("seconds", 3600))]) if name == "dpkg_lock" else (_SLEEP, [])
        # A path would be where Python looks for its own modules.
        title = "unattended-upgrade" if name == "dpkg_lock" else os.path.basename(str(want.get("name", "python3")))
        user = str(want.get("user", "root"))
        identity: dict[str, Any] = {}
        if user != "root":
            with contextlib.suppress(KeyError):
                account = pwd.getpwnam(user)
                identity = {"user": account.pw_uid, "group": account.pw_gid}
        child = subprocess.Popen(
            [title, "-c", code, *extra],
            executable=sys.executable,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **identity,
        )
        entry["pid"] = child.pid
        self.children.append(child)

    def _end(self, pid: int) -> None:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
        for child in self.children:
            if child.pid == pid:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(2)
