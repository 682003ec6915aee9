"""A lab whose desks are virtual machines: real kernel, real RDMA over real interfaces (soft-RoCE), real tools.

It is a lab as any other: the same description, network, cables and commands. What a virtual machine cannot show (DMI, driver, GPU, PCIe) it
is told by the same desk.json as a container. What it has for real cannot be made sick by a fault of the lab: break the real thing instead.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shlex
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sparklab import actions, archives, describe, desks, figures, files, laws, net, paths, qemu, services, shell, subnets, vm_image
from sparklab.errors import LabError
from sparklab.lab import Lab, Say
from sparklab.state import Record

READY_SECONDS = 600.0
"""A machine whose processor is imitated takes a minute and a half; two at once on a busy one take longer."""
RELOAD = "import sys; sys.path.insert(0, '/opt/desk'); from desklib import client; client.ask({'op': 'reload'})"


class VmLab(Lab):
    """A lab of virtual machines."""

    def __init__(self, record: Record, say: Say = lambda text: None) -> None:
        super().__init__(record, say)
        # An adapter that leaves the bus without a cable is not built; the others of a desk are.
        still = {name: dataclasses.replace(desk, hotplug=False) for name, desk in record.spec.desks.items()}
        record.spec = dataclasses.replace(record.spec, desks=still)

    # ---- making -------------------------------------------------------------------------------------------------

    def make(self) -> None:
        """Make everything that is described and not there yet, and start the desks that are on."""
        self.record.dir.mkdir(parents=True, exist_ok=True)
        os.chmod(self.record.dir, 0o755)
        self._keys()
        for desk in self.record.spec.desks.values():
            if desk.recording is not None:
                raise LabError(f"{desk.name}: a desk from a recording is a container; a virtual machine shows what it has.")
            self._image(desk.model)
        archives.ensure_lab(self.record, self.say)
        self.write_archive_faults()
        self.record.save()
        self.say("joining the lab's network")
        net.make(self.netns, self.number, len(self.record.spec.cables))
        self.ensure_services()
        self.create([name for name in self.record.spec.desks if not self._disk(name).exists()])
        for name in self.record.spec.desks:
            if self.record.desk(name).get("running") and not files.process_alive(self.record.desk(name).get("pid")):
                self.record.wiring = laws.stopped(self.record.wiring, name)
        self.boot(
            [
                name
                for name, desk in self.record.spec.desks.items()
                if not self.record.desk(name).get("running")
                and self.record.desk(name).setdefault("power", "on" if desk.power else "off") == "on"
            ]
        )
        self.record.save()

    def _image(self, model: str) -> vm_image.Image:
        return vm_image.ensure(self.record.data["distribution"], self.model(model), self.say)

    def _disk(self, name: str) -> Path:
        return self.record.dir / "machines" / name / "disk.qcow2"

    def create(self, names: Sequence[str]) -> None:
        """A disk for each desk, as out of the box, and host keys: nobody has to trust the network for them."""
        for name in names:
            folder = self._disk(name).parent
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            # Its disks hold the desk's password and host key.
            os.chmod(folder.parent, 0o700)
            shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / "host_key")])
            qemu.new_disk(self._image(self.record.spec.desks[name].model), self._disk(name))
            self.record.desk(name).update(container=name, boot_count=0, first_boot=True, running=False)
        self.record.save()

    def describe_desk(self, data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "machine": "vm"}

    def _seed(self, name: str) -> Path:
        """The second disk: what a desk gets at its first start."""
        folder = self._disk(name).parent
        public = (self.record.dir / "ssh" / "id_ed25519.pub").read_text(encoding="utf-8").strip()
        settings = self.settings(name, public)
        texts = {
            "opt/desk-state/desk.json": ((self.record.desk_dir(name) / "desk.json").read_text(encoding="utf-8"), 0o644),
            "opt/desk-state/first-start": (desks.script(["boot.sh", "first-boot.sh"], settings), 0o600),
            "etc/ssh/ssh_host_ed25519_key": ((folder / "host_key").read_text(encoding="utf-8"), 0o600),
            "etc/ssh/ssh_host_ed25519_key.pub": ((folder / "host_key.pub").read_text(encoding="utf-8"), 0o644),
            "root/.ssh/authorized_keys": (f'from="{subnets.host_address(self.number)}" {public}\n', 0o600),
        }
        path = folder / "seed.tar"
        with tarfile.open(path, "w") as tar:
            for place, (text, mode) in texts.items():
                info = tarfile.TarInfo(place)
                data = text.encode()
                info.size, info.mode, info.mtime = len(data), mode, int(time.time())
                tar.addfile(info, io.BytesIO(data))
            tar.add(paths.SIMULATOR / "desk", "opt/desk", filter=_plain)
        os.chmod(path, 0o600)
        return path

    # ---- power --------------------------------------------------------------------------------------------------

    def boot(self, names: Sequence[str]) -> None:
        """Start these desks' machines."""
        if not names:
            return
        for name in names:
            self.record.wiring = laws.started(self.record.wiring, name)
            entry = self.record.desk(name)
            entry.pop("pid", None)
            entry.update(power="on", nic=True, boot_count=int(entry.get("boot_count", 0)) + 1, booted_at=time.time())
        self.record.save()
        lists = self.functions()
        changed = self.write_desks()
        for name in names:
            model = self.record.spec.desks[name].model
            image = self._image(model)
            accel = qemu.accelerator(image)
            self.say(f"starting {name} ({accel}{'' if accel == 'kvm' else ': a minute or two'})")
            self.record.desk(name).update(pid=self._start_machine(name, image, accel, lists[name]), first_boot=False)
            self.record.save()
        self.light()
        self.tell(set(changed) - set(names))

    def _start_machine(self, name: str, image: vm_image.Image, accel: str, functions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        folder = self._disk(name).parent
        adapters = [qemu.Adapter("management", self.leg(name, None), describe.management_mac(self.record.spec.desks[name]))]
        adapters += [
            qemu.Adapter(f"f{number}", self.leg(name, number), function["mac"])
            for number, function in enumerate(functions)
            if function["present"]
        ]
        net.add_taps(self.netns, [one.tap for one in adapters])
        net.batch(self.netns, net.attach_lines(adapters[0].tap, "mgmt", True))
        line = qemu.argv(f"spark-{self.name}-{name}", image, self._disk(name), self._seed(name), folder, adapters, accel)
        (folder / qemu.MONITOR).unlink(missing_ok=True)
        with open(folder / "machine.log", "ab") as log:
            process = subprocess.Popen(
                ["nsenter", f"--net={net.NETNS_DIR / self.netns}", "--", *line],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        if not files.wait_until(lambda: (folder / qemu.MONITOR).exists() or process.poll() is not None, 30) or process.poll() is not None:
            said = shell.last_line((folder / "machine.log").read_text(encoding="utf-8", errors="replace"))
            raise LabError(f"the virtual machine of {name} did not start: {said}")
        return files.describe_process(process.pid)

    def light(self) -> None:
        """Bridges as the cables say, and each adapter's carrier."""
        super().light()
        wiring = self.record.wiring
        for name, functions in self.functions().items():
            if not files.process_alive(self.record.desk(name).get("pid")):
                continue
            for number, function in enumerate(functions):
                if function["present"]:
                    up = laws.carrier(wiring, laws.End(name, int(function["port"])))
                    qemu.set_link(self._disk(name).parent, f"f{number}", up)

    def settle(self) -> None:
        """Soft-RoCE takes an interface for connected when it is switched on; only a change tells it of an empty port."""
        for up in (True, False):
            for name, functions in self.functions().items():
                for number, function in enumerate(functions):
                    running = files.process_alive(self.record.desk(name).get("pid"))
                    if running and function["present"] and not laws.carrier(self.record.wiring, laws.End(name, int(function["port"]))):
                        qemu.set_link(self._disk(name).parent, f"f{number}", up)
            time.sleep(1.0)

    def halt(self, name: str, graceful: bool = True) -> None:
        """Stop a desk's machine."""
        process = self.record.desk(name).get("pid")
        if graceful and files.process_alive(process):
            self.inside(name, ["systemctl", "poweroff", "--no-block"], check=False)
            files.wait_until(lambda: not files.process_alive(process), 120, 0.5)
        files.end_process(process)
        self.went_off(name)

    def wait_ready(self, names: Sequence[str], seconds: float | None = None) -> None:
        """Wait until ssh answers; a machine that ended meanwhile is told at once."""
        super().wait_ready(names, seconds or READY_SECONDS)

    # ---- inside -------------------------------------------------------------------------------------------------

    def exec_argv(self, name: str, argv: Sequence[str], terminal: bool = False) -> list[str]:
        return [*self.ssh_argv(name, "root", ["-t"] if terminal else []), "--", shlex.join(argv)]

    def inside(self, name: str, argv: Sequence[str], *, check: bool = True, stdin: str | None = None, timeout: float = 120) -> str:
        """Run a command in a desk, as its root."""
        return shell.run(self.exec_argv(name, argv), check=check, stdin=stdin, timeout=timeout).stdout

    def console(self, name: str) -> str:
        with contextlib.suppress(OSError):
            return (self._disk(name).parent / "console.log").read_text(encoding="utf-8", errors="replace")
        return ""

    def host_keys(self, name: str) -> list[str]:
        with contextlib.suppress(OSError):
            return [" ".join((self._disk(name).parent / "host_key.pub").read_text(encoding="ascii").split()[:2])]
        return []

    def tell(self, names: Iterable[str]) -> None:
        """Give the running desks among these their new description; one that cannot be reached is said, and passed over."""
        for name in names:
            if not files.process_alive(self.record.desk(name).get("pid")) or not self.answers(name):
                continue
            text = (self.record.desk_dir(name) / "desk.json").read_text(encoding="utf-8")
            try:
                self.inside(name, ["sh", "-c", "cat > /opt/desk-state/new && mv /opt/desk-state/new /opt/desk-state/desk.json"], stdin=text)
                self.inside(name, ["/usr/bin/python3", "-c", RELOAD])
            except LabError as error:
                self.say(f"{name} did not hear of a change: {error}")

    # ---- faults -------------------------------------------------------------------------------------------------

    def faults_changed(self, name: str, before: dict[str, Any]) -> None:
        """Only what the description tells, or what a process or file of the desk is, can be a fault of a virtual machine."""
        now = self.record.data["faults"].get(name, {})
        real = {*figures.OUTSIDE_FIGURE_FAULTS, *desks.OUTSIDE_FAULTS, *actions.ACTIONS, *archives.FAULTS, *REAL_FAULTS}
        refused = sorted((set(now) - set(before)) & real)
        if refused:
            self.record.data["faults"][name] = before
            raise LabError(
                f"{name} is a virtual machine: {', '.join(refused)} would only be simulated there; break the real thing "
                f"(simulator/lab exec {name} -- ..., simulator/lab cable pull ...)."
            )
        self.record.save()
        self.tell({name, *self.write_desks()})

    def reset(self, names: Sequence[str] | None = None) -> None:
        raise LabError(f"a lab of virtual machines is not reset: simulator/lab --lab {self.name} down, then up.")

    def ensure_services(self) -> None:
        """Start what is not running; a machine that reboots needs no watcher."""
        services.ensure(self.record, self.leased(), watched=False)


REAL_FAULTS = (
    "twin_missing", "half_width", "speed_100g", "rdma_counters_still", "rdma_one_half", "bidir_degraded", "slow_13g", "flapping", "lldp",
    "rdma_user", "nccl_socket", "nccl_retry",
)  # fmt: skip
"""Faults of faults.json that a container's stand-ins show and a virtual machine's real programs would not."""


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files of the simulator as root's; what Python compiled stays behind."""
    if "__pycache__" in info.name:
        return None
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


def written(record: Record) -> dict[str, Any]:
    """Versions of the real programs of a lab of virtual machines."""
    disk = record.dir / "machines" / next(iter(record.spec.desks)) / "disk.qcow2"
    backing = json.loads(shell.run(["qemu-img", "info", "-U", "--output", "json", str(disk)]).stdout)
    return vm_image.versions(Path(backing["backing-filename"]))
