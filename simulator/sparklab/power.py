"""A lab's desks as containers: made, started, stopped, looked into."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sparklab import describe, desks, engine, files, laws, net, paths, recordings, subnets
from sparklab.cabling import Cabling
from sparklab.errors import LabError
from sparklab.keys import Keys

WORKERS = 4
SHUTDOWN_PATIENCE = 20.0


class Power(Keys, Cabling):
    """What switches desks on and off."""

    def create(self, names: Sequence[str]) -> None:
        """Make the containers of these desks, as out of the box."""
        if not names:
            return
        self.say(f"unpacking {count(len(names), 'desk')}")

        def one(name: str) -> str:
            desk = self.record.spec.desks[name]
            folder = self.record.desk_dir(name)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            # No other user of this machine gets to the folders of the desks; a desk sees its own by a mount.
            os.chmod(folder.parent, 0o700)
            if desk.recording is not None:
                recordings.unpack(recordings.find(desk.recording), folder)
            # Every user of the desk writes there, hence not before it is filled.
            os.chmod(folder, 0o777)
            mounts = [
                (paths.SIMULATOR / "desk", "/opt/desk", "ro"),
                (folder, "/opt/desk-state", "rw"),
            ]
            with contextlib.suppress(LabError):
                self.engine.call("rm", "-f", f"spark-{self.name}-{name}", check=False)
            return self.engine.create(
                f"spark-{self.name}-{name}",
                {engine.LABEL: self.name, "spark-desk": name},
                desk.hostname,
                mounts,
                self.record.data["images"][desk.model],
            )

        with ThreadPoolExecutor(WORKERS) as pool:
            for name, container in zip(names, pool.map(one, names), strict=True):
                entry = self.record.desk(name)
                entry.update(container=container, boot_count=0, first_boot=True, fresh=True, running=False)
        self.record.save()

    def boot(self, names: Sequence[str]) -> None:
        """Start these desks: the laws first, then the containers, then their network."""
        if not names:
            return
        self.say(f"starting {count(len(names), 'desk')}")
        wiring = self.record.wiring
        for name in names:
            wiring = laws.started(wiring, name)
            entry = self.record.desk(name)
            # No process is recorded until it has got everything: who finds none makes the desk start again.
            entry.pop("pid", None)
            entry.update(
                power="on",
                boot_count=int(entry.get("boot_count", 0)) + 1,
                booted_at=time.time(),
                boot_id=str(uuid.uuid4()),
            )
        self.record.wiring = wiring
        for name in names:
            desk = self.record.spec.desks[name]
            entry = self.record.desk(name)
            entry["nic"] = laws.nic_present(wiring, name, describe.hotplug(desk, self.model(desk.model)))
            entry.pop("leave_at", None)
        self.record.save()
        changed = self.write_desks(set(self.record.spec.desks) - set(names))
        public = (self.record.dir / "ssh" / "id_ed25519.pub").read_text(encoding="utf-8").strip()
        lists = self.functions()

        def one(name: str) -> int:
            entry = self.record.desk(name)
            desk = self.record.spec.desks[name]
            # A desk waits for its description before it goes on: it gets it last, when all else is in place.
            (self.record.desk_dir(name) / "desk.json").unlink(missing_ok=True)
            if self.engine.pid(entry["container"]):
                self.engine.kill(entry["container"])
                files.wait_until(lambda: not self.engine.pid(entry["container"]), 10)
            scripts = ["boot.sh", *(["first-boot.sh"] if entry.get("first_boot") else [])]
            settings = self.settings(name, public)
            pid = self._start(name, entry["container"], lambda pid: desks.prepare(pid, scripts, settings))
            if entry["nic"]:
                self._add_functions(name, pid, lists[name])
            net.add_leg(self.netns, self.leg(name, None), pid, desk.management, describe.management_mac(desk))
            muted = "mute" in self.record.data["faults"].get(name, {})
            net.batch(self.netns, net.attach_lines(self.leg(name, None), "mgmt", not muted))
            self.write_desks([name])
            return pid

        with ThreadPoolExecutor(WORKERS) as pool:
            for name, pid in zip(names, pool.map(one, names), strict=True):
                self.record.desk(name).update(pid=files.describe_process(pid), first_boot=False)
        self.record.save()
        self.light()
        self.tell(changed)

    def settings(self, name: str, public: str) -> dict[str, str]:
        """The variables of a desk's first scripts; ``public`` is the lab's ssh key."""
        desk = self.record.spec.desks[name]
        return {
            "DESK_HOSTNAME": desk.hostname,
            "DESK_PASSWORD": self.passwords()[name],
            "DESK_RENDERER": desk.renderer,
            "DESK_MANAGEMENT": desk.management,
            "DESK_AUTHORIZED_KEY": public if self.enrolled(desk) else "",
            "DESK_SERVER": subnets.server_address(self.number),
        }

    def _start(self, name: str, container: str, prepare: Callable[[int], None], again: bool = True) -> int:
        """Start a container and prepare the desk in it; one that ended before it was prepared is started once more."""
        pid = self.engine.start(container)
        try:
            prepare(pid)
        except LabError as error:
            if self.engine.pid(container):
                raise
            said = f"{name} ended while starting; its last line: {self.engine.last_words(container)}"
            if not again:
                raise LabError(f"{said} ({error})") from error
            self.say(f"{said}; starting it again")
            return self._start(name, container, prepare, again=False)
        return pid

    def halt(self, name: str, graceful: bool = True) -> None:
        """Stop a desk's container and let the others see it."""
        entry = self.record.desk(name)
        record = entry.get("pid")
        if "frozen" in self.record.data["faults"].get(name, {}):
            graceful = False
            self.engine.call("unpause", entry["container"], check=False)
        if graceful and record and files.process_alive(record):
            desks.inside(int(record["pid"]), ["systemctl", "poweroff", "--no-block"], check=False)
            files.wait_until(lambda: not files.process_alive(record), SHUTDOWN_PATIENCE)
        if files.process_alive(record):
            self.engine.kill(entry["container"])
        files.wait_until(lambda: not self.engine.pid(entry["container"]), 10)
        self.went_off(name)

    def went_off(self, name: str) -> None:
        """Record that a desk does not run any more."""
        entry = self.record.desk(name)
        entry.update(power="off", nic=False)
        entry.pop("leave_at", None)
        self.record.wiring = laws.stopped(self.record.wiring, name)
        self.record.save()
        self.light()
        self.tell(self.write_desks())

    def power(self, action: str, name: str) -> None:
        """`reboot`, `off`, `on` or `drain` a desk.

        :raises LabError: when the desk is already in the wished state.
        """
        entry = self.record.desk(name)
        running = bool(entry.get("running")) and files.process_alive(entry.get("pid"))
        if action == "on":
            if running:
                raise LabError(f"{name} is already on.")
            self.boot([name])
            return
        if not running and action != "drain":
            raise LabError(f"{name} is off; switch it on with `simulator/lab power on {name}`.")
        if running:
            self.halt(name, graceful=action != "drain")
        if action in ("reboot", "drain"):
            self.boot([name])

    def drain(self, names: Sequence[str]) -> None:
        """Take the mains cable from several desks at once, wait a moment, put it back."""
        for name in names:
            if self.record.desk(name).get("running"):
                self.halt(name, graceful=False)
        self.boot(names)

    def wait_ready(self, names: Sequence[str], seconds: float | None = None) -> None:
        """Wait until ssh answers on these desks.

        :raises LabError: naming the desks that did not come.
        """
        limit = seconds or 60 + 10 * len(names)
        end = time.monotonic() + limit
        left = list(names)
        while left and time.monotonic() < end:
            left = [name for name in left if not self.answers(name)]
            if left:
                time.sleep(0.2)
        if left:
            raise LabError(
                f"{', '.join(left)} did not respond on ssh within {limit:g} s; look with `simulator/lab --lab {self.name} "
                f"exec {left[0]} -- systemctl --failed` and `simulator/lab --lab {self.name} logs {left[0]}`."
            )

    def listens(self, name: str) -> bool:
        """Whether ssh is expected to answer: not on a desk that stands still or has lost its management cable."""
        faults = self.record.data["faults"].get(name, {})
        return not {"frozen", "mute"} & set(faults)

    def answers(self, name: str) -> bool:
        try:
            with socket.create_connection((self.leased()[name], 22), timeout=1) as connection:
                connection.settimeout(2)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def exec_argv(self, name: str, argv: Sequence[str], terminal: bool = False) -> list[str]:
        """The command line that runs another in a desk, as its root."""
        words = ["exec", "-i", *(["-t"] if terminal else [])]
        return self.engine.argv(*words, self.record.desk(name)["container"], *argv)

    def console(self, name: str) -> str:
        """What a desk said while it started, and its journal."""
        entry = self.record.desk(name)
        said = self.engine.call("logs", "--tail", "50", entry["container"], check=False) + "\n"
        if files.process_alive(entry.get("pid")):
            said += desks.inside(int(entry["pid"]["pid"]), ["journalctl", "--no-pager", "-n", "200", "-b"], check=False)
        return said


def count(number: int, word: str) -> str:
    """A number of things in words."""
    return f"{number} {word}{'' if number == 1 else 's'}"
