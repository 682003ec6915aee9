"""One lab: making it, its power, its cables, its faults, and taking it down."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from sparklab import (
    actions,
    archives,
    describe,
    desks,
    engine,
    figures,
    files,
    image,
    laws,
    net,
    paths,
    recordings,
    services,
    shell,
    spec,
    state,
    subnets,
    switches,
)
from sparklab.errors import LabError
from sparklab.spec import DeskSpec, End

Say = Callable[[str], None]
WORKERS = 4
SHUTDOWN_PATIENCE = 20.0


class Lab:
    """A lab that has a record. Every method that changes something expects the lab's lock to be held."""

    def __init__(self, record: state.Record, say: Say = lambda text: None) -> None:
        self.record = record
        self.say = say
        self.engine = engine.Engine(record.data["engine"]["name"], record.data["engine"].get("runtime"))
        self._models: dict[str, dict[str, Any]] = {}

    # ---- what is where ------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def netns(self) -> str:
        return net.netns_name(self.name)

    @property
    def number(self) -> int:
        return int(self.record.data["subnet"])

    def model(self, name: str) -> dict[str, Any]:
        """A desk model of simulator/models/."""
        if name not in self._models:
            self._models[name] = desks.load_model(name)
        return self._models[name]

    def address(self, desk: str) -> str:
        """The management address of a desk, as the inventory says."""
        return subnets.desk_address(self.number, self.record.spec.desks[desk].index)

    def leased(self) -> dict[str, str]:
        """The addresses that DHCP gives from now on; a moved lease differs from what the inventory says."""
        moved = {
            name: (faults["lease_moved"] or {}).get("with")
            for name, faults in self.record.data["faults"].items()
            if "lease_moved" in faults
        }
        indexes = {name: desk.index for name, desk in self.record.spec.desks.items()}
        return {name: subnets.desk_address(self.number, index) for name, index in subnets.leases(indexes, moved).items()}

    def cable_number(self, cable: str) -> int:
        return list(self.record.spec.cables).index(cable)

    def leg(self, desk: str, function: int | None) -> str:
        """The name of a desk's leg inside the lab's namespace."""
        index = self.record.spec.desks[desk].index
        return f"d{index}m" if function is None else f"d{index}f{function}"

    def functions(self) -> dict[str, list[dict[str, Any]]]:
        """The ConnectX-7 functions of every desk."""
        return {
            desk.name: describe.functions(desk, self.model(desk.model), self.record.data["faults"].get(desk.name, {}))
            for desk in self.record.spec.desks.values()
        }

    def switches(self) -> dict[str, tuple[switches.SwitchSpec, dict[int, dict[str, Any]]]]:
        """Each switch with what its ports are set to now."""
        return {name: (switch, self.record.switch_ports(name)) for name, switch in self.record.spec.switches.items()}

    # ---- desk.json ----------------------------------------------------------------------------------------------

    def write_desks(self, names: Iterable[str] | None = None) -> list[str]:
        """Write desk.json of these desks (None: all) where it changed; return those whose text changed."""
        lists = self.functions()
        wiring = self.record.wiring
        changed = []
        for name, desk in self.record.spec.desks.items():
            if names is not None and name not in names:
                continue
            data = describe.desk_json(
                desk,
                self.model(desk.model),
                self.record.desk(name),
                wiring,
                self.record.spec.cables,
                lists,
                self.record.data["faults"],
                self.switches(),
            )
            data = self.describe_desk(data)
            folder = self.record.desk_dir(name)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "desk.json"
            with contextlib.suppress(OSError, ValueError):
                if json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(data)):
                    continue
            files.write_json(path, data)
            changed.append(name)
        return changed

    def describe_desk(self, data: dict[str, Any]) -> dict[str, Any]:
        """What this kind of lab adds to desk.json."""
        return data

    def tell(self, names: Iterable[str]) -> None:
        """Have the running desks among these look at their description again; one that cannot is said, and passed over."""
        for name in names:
            frozen = "frozen" in self.record.data["faults"].get(name, {})
            if not self.record.desk(name).get("running") or frozen:
                continue
            try:
                desks.hardware(self.record.desk_dir(name), {"op": "reload"})
            except LabError as error:
                self.say(str(error))

    # ---- making -------------------------------------------------------------------------------------------------

    def make(self) -> None:
        """Make everything that is described and not there yet, and start the desks that are on."""
        self.record.dir.mkdir(parents=True, exist_ok=True)
        os.chmod(self.record.dir, 0o755)
        self._keys()
        self.record.data["image"] = image.ensure_base(self.engine, self.record.data["distribution"], self.say)
        archives.ensure_lab(self.record, self.say)
        self.write_archive_faults()
        models = {desk.model for desk in self.record.spec.desks.values()}
        images = self.record.data.setdefault("images", {})
        for model in sorted(models):
            images[model] = archives.ensure_model_image(
                self.engine, self.record.data["image"], self.record.data["distribution"], self.model(model), self.say
            )
        self.record.save()
        self.say("connecting to the lab's network")
        net.make(self.netns, self.number, len(self.record.spec.cables))
        self.ensure_services()
        known = self.engine.find(self.name)
        missing = []
        for name in self.record.spec.desks:
            entry = self.record.desk(name)
            if entry.get("container") not in known:
                entry.clear()
                missing.append(name)
                continue
            # A start that was cut short left a container without description or network: only a recorded process was given all.
            if entry.get("running") and not files.process_alive(entry.get("pid")):
                self.record.wiring = laws.stopped(self.record.wiring, name)
        stray = set(known) - {desk.get("container") for desk in self.record.data["desks"].values()}
        self.engine.remove(sorted(stray))
        self.create(missing)
        wanted = [
            name
            for name, desk in self.record.spec.desks.items()
            if not self.record.desk(name).get("running")
            and self.record.desk(name).setdefault("power", "on" if desk.power else "off") == "on"
        ]
        self.boot(wanted)
        self.light()
        self.record.save()

    def write_archive_faults(self) -> None:
        """Tell the archives' web server which desk sees which faults."""
        archives.write_faults(self.record, self.leased())

    def _keys(self) -> None:
        """The lab's own ssh key, and a password for each desk."""
        key = self.record.dir / "ssh" / "id_ed25519"
        if not (key.exists() and key.with_suffix(".pub").exists()):
            key.parent.mkdir(mode=0o700, exist_ok=True)
            for left in key.parent.glob("id_ed25519*"):
                left.unlink()
            shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {self.name}", "-f", str(key)])
        path = self.record.dir / "secrets.json"
        passwords: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            passwords = json.loads(path.read_text(encoding="utf-8"))
        for name in self.record.spec.desks:
            passwords.setdefault(name, secrets.token_urlsafe(12))
        files.write_json(path, passwords, 0o600)

    def passwords(self) -> dict[str, str]:
        """The login password of each desk's labadmin."""
        found: dict[str, str] = json.loads((self.record.dir / "secrets.json").read_text(encoding="utf-8"))
        return found

    def enrolled(self, desk: DeskSpec) -> bool:
        """Whether the lab's key lets us in: what the description says of this desk, else what `up` was asked for."""
        return (desk.state or ("enrolled" if self.record.data["enrolled"] else "boxed")) == "enrolled"

    @property
    def sheet_folder(self) -> Path:
        """Where `sheet --folder` writes an admin's inventory."""
        return self.record.dir / "lab"

    @property
    def known_hosts(self) -> tuple[Path, Path]:
        """The lab's own, and the one that enrolment from the lab's sheet leaves."""
        return self.record.dir / "known_hosts", self.sheet_folder / "known_hosts.txt"

    def create(self, names: Sequence[str]) -> None:
        """Make the containers of these desks, as out of the box."""
        if not names:
            return
        self.say(f"unpacking {_count(len(names), 'desk')}")

        def one(name: str) -> str:
            desk = self.record.spec.desks[name]
            folder = self.record.desk_dir(name)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            if desk.recording is not None:
                recordings.unpack(recordings.find(desk.recording), folder)
            # Every user of the desk writes there; so may those of this machine, hence not before it is filled.
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

    # ---- power --------------------------------------------------------------------------------------------------

    def boot(self, names: Sequence[str]) -> None:
        """Start these desks: the laws first, then the containers, then their network."""
        if not names:
            return
        self.say(f"starting {_count(len(names), 'desk')}")
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

    def _add_functions(self, name: str, pid: int, functions: Sequence[dict[str, Any]]) -> None:
        for number, function in enumerate(functions):
            if function["present"]:
                net.add_leg(self.netns, self.leg(name, number), pid, function["netdev"], function["mac"])

    def light(self) -> None:
        """Give every ConnectX-7 leg the bridge and the carrier that the cables and the power say."""
        wiring = self.record.wiring
        there = net.links(self.netns)
        lines: list[str] = []
        made: set[str] = set()
        of_switches = self.switches()
        for name, functions in self.functions().items():
            for number, function in enumerate(functions):
                leg = self.leg(name, number)
                if leg not in there:
                    continue
                end = End(name, int(function["port"]))
                cable = wiring.at(end)
                bridge, mtu = None if cable is None else f"c{self.cable_number(cable)}", net.CABLE_MTU
                far = wiring.peer(end)
                if far is not None and far.desk in of_switches:
                    switch, settings = of_switches[far.desk]
                    bridge, mtu = switches.bridge_name(switch, settings[far.port]), settings[far.port]["mtu"]
                    if bridge not in there and bridge not in made:
                        made.add(bridge)
                        lines += net.bridge_lines(bridge)
                up = laws.carrier(wiring, end)
                if (there[leg]["master"], bool(there[leg]["up"]), there[leg]["mtu"]) != (bridge or "", up, str(mtu)):
                    lines += net.attach_lines(leg, bridge, up, mtu)
        net.batch(self.netns, lines)

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

    def write_known_hosts(self) -> None:
        """known_hosts of the enrolled desks, from the keys in the desks themselves (never from the network)."""
        lines = []
        for name, desk in self.record.spec.desks.items():
            entry = self.record.desk(name)
            if not self.enrolled(desk):
                continue
            keys = self.host_keys(name) or entry.get("host_keys", [])
            entry["host_keys"] = keys
            # `known_keys` keeps what we knew before a desk changed its key.
            lines += [f"{self.address(name)} {key}" for key in entry.get("known_keys", keys)]
        files.write_atomic(self.record.dir / "known_hosts", "".join(f"{line}\n" for line in lines))
        self.record.save()

    # ---- inside -------------------------------------------------------------------------------------------------

    def host_keys(self, name: str) -> list[str]:
        """The public host keys of a desk, never read from the network; empty when it is off."""
        entry = self.record.desk(name)
        return desks.host_keys(int(entry["pid"]["pid"])) if files.process_alive(entry.get("pid")) else []

    def ssh_argv(self, name: str, user: str, options: Sequence[str] = ()) -> list[str]:
        """A login with the lab's key; the desk's host key has to be known.

        :raises LabError: when it is not.
        """
        address = self.address(name)
        known = [line.split()[0].split(",") for path in self.known_hosts if path.exists() for line in path.read_text().splitlines() if line]
        if not any(address in names for names in known):
            raise LabError(f"{name} is not enrolled; log in yourself: ssh labadmin@{address} (simulator/lab password {name}).")
        line = ["ssh", *options, "-i", str(self.record.dir / "ssh" / "id_ed25519"), "-o", "IdentitiesOnly=yes"]
        line += ["-o", f"UserKnownHostsFile={' '.join(str(path) for path in self.known_hosts)}"]
        line += ["-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes"]
        return [*line, f"{user}@{address}"]

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

    # ---- cables -------------------------------------------------------------------------------------------------

    def cables_changed(self, wiring: laws.Wiring) -> None:
        """Carry out a new wiring: carrier at once, the adapter's coming at once, its leaving after the delay."""
        self.record.wiring = wiring
        low, high = self.record.spec.hotplug_delay
        lists = self.functions()
        come = []
        for name, desk in self.record.spec.desks.items():
            entry = self.record.desk(name)
            if not entry.get("running") or not entry.get("pid"):
                continue
            present = laws.nic_present(wiring, name, describe.hotplug(desk, self.model(desk.model)))
            if present:
                entry.pop("leave_at", None)
                if not entry.get("nic"):
                    entry["nic"] = True
                    come.append(name)
            elif entry.get("nic") and "leave_at" not in entry:
                entry["leave_at"] = time.time() + low + (high - low) * secrets.randbelow(1000) / 1000
        self.record.save()
        for name in come:
            self._add_functions(name, int(self.record.desk(name)["pid"]["pid"]), lists[name])
        self.light()
        self.tell(self.write_desks())

    def switch_changed(self, name: str, port: int, settings: dict[str, Any]) -> None:
        """Set a switch's port; the desk behind it sees at once what follows."""
        if port not in self.record.switch_ports(name):
            raise LabError(f"{name} has the ports 1 to {self.record.spec.switches[name].ports}, not {port}.")
        kept = self.record.data.setdefault("switch_ports", {}).setdefault(name, {}).setdefault(str(port), {})
        kept.update(settings)
        self.record.save()
        self.light()
        self.tell(self.write_desks())

    def leave(self, now: float) -> None:
        """Take the adapters away whose delay is over."""
        for name in self.record.spec.desks:
            entry = self.record.desk(name)
            if entry.get("leave_at", now + 1) > now:
                continue
            entry.pop("leave_at")
            entry["nic"] = False
            self.record.save()
            # The desk first hears that the power goes, then loses the devices.
            self.tell(self.write_desks([name]))
            net.remove_legs(self.netns, [self.leg(name, number) for number in range(4)])

    # ---- faults -------------------------------------------------------------------------------------------------

    def faults_changed(self, name: str, before: dict[str, Any]) -> None:
        """Carry out a changed set of faults of one desk."""
        self.record.save()
        self.write_archive_faults()
        self.ensure_services()
        entry = self.record.desk(name)
        now = self.record.data["faults"].get(name, {})
        if entry.get("running"):
            if ("mute" in now) != ("mute" in before):
                net.batch(self.netns, net.attach_lines(self.leg(name, None), "mgmt", "mute" not in now))
            if "frozen" in before and "frozen" not in now:
                self.engine.call("unpause", entry["container"])
        self._act(name, before, now)
        lists = self.functions()
        if entry.get("running") and entry.get("pid") and entry.get("nic"):
            there = net.links(self.netns)
            pid = int(entry["pid"]["pid"])
            for number, function in enumerate(lists[name]):
                leg = self.leg(name, number)
                if function["present"] and leg not in there:
                    net.add_leg(self.netns, leg, pid, function["netdev"], function["mac"])
                elif not function["present"] and leg in there:
                    net.remove_legs(self.netns, [leg])
            self.light()
        changed = {name, *self.write_desks()}
        if "frozen" in now:
            # A desk that stands still hears nothing; it reads its description again when it goes on.
            changed.discard(name)
            if "frozen" not in before and entry.get("running"):
                self.engine.call("pause", entry["container"])
        self.tell(sorted(changed))

    def _act(self, name: str, before: dict[str, Any], now: dict[str, Any]) -> None:
        """Do and undo what faults do to a desk's file system."""
        entry = self.record.desk(name)
        todo = [(fault, now[fault], True) for fault in now if fault in actions.ACTIONS and before.get(fault) != now[fault]]
        todo += [(fault, before[fault], False) for fault in before if fault in actions.ACTIONS and fault not in now]
        if not todo:
            return
        if not files.process_alive(entry.get("pid")):
            self.record.data["faults"][name] = before
            self.record.save()
            raise LabError(f"{name} is off; {todo[0][0]} needs a running desk.")
        pid = int(entry["pid"]["pid"])
        for fault, params, do in todo:
            if fault == "hostkey_changed" and do:
                entry["known_keys"] = desks.host_keys(pid)
            _, act, undo = actions.ACTIONS[fault]
            try:
                (act if do else undo)(pid, params or {}, self.record.data["distribution"])
            except LabError:
                self.record.data["faults"][name] = before
                self.record.save()
                raise
            if fault == "hostkey_changed" and not do:
                entry.pop("known_keys", None)
        self.write_known_hosts()

    def settle(self) -> None:
        """Do what the described faults do to file systems, on desks that are new."""
        for name in self.record.spec.desks:
            entry = self.record.desk(name)
            if entry.pop("fresh", False) and entry.get("running"):
                self._act(name, {}, self.record.data["faults"].get(name, {}))
        self.record.save()

    def upgrades_due(self) -> dict[str, float]:
        """Desks in a first-boot upgrade that ends by itself, and when it does."""
        found = {}
        for name, faults in self.record.data["faults"].items():
            entry = self.record.desk(name)
            params = faults.get("first_boot_upgrade") or {}
            if entry.get("running") and "seconds" in params:
                found[name] = float(entry.get("booted_at", 0.0)) + float(params["seconds"])
        return found

    def finish_upgrade(self, name: str) -> None:
        """The first-boot upgrade is done: the desk starts again by itself."""
        del self.record.data["faults"][name]["first_boot_upgrade"]
        self.record.save()
        self.tell(self.write_desks([name]))
        self.power("reboot", name)

    def ensure_services(self) -> None:
        """Start what is not running of the lab's own processes."""
        services.ensure(self.record, self.leased())

    # ---- taking down --------------------------------------------------------------------------------------------

    def reset(self, names: Sequence[str] | None = None) -> None:
        """Bring the lab back to its description: cables, faults, power, and the desks' file systems."""
        chosen = list(names or self.record.spec.desks)
        self._forget(chosen)
        containers = [self.record.desk(name)["container"] for name in chosen if self.record.desk(name).get("container")]
        wiring = self.record.wiring
        for name in chosen:
            wiring = laws.stopped(wiring, name)
            desk = self.record.spec.desks[name]
            self.record.data["faults"].pop(name, None)
            if desk.faults:
                self.record.data["faults"][name] = dict(desk.faults)
            self.record.data["desks"][name] = {}
        if names is None:
            wiring = laws.Wiring(laws.initial(self.record.spec).ends, wiring.running, frozenset())
            self.record.data.pop("switch_ports", None)
            archives.publish(self.record, self.record.spec.archive_set)
        self.record.wiring = wiring
        self.record.save()
        self.engine.remove(containers)
        self.light()
        self.make()

    def _forget(self, names: Sequence[str]) -> None:
        """Desks with new file systems have new host keys: what enrolment knew of them is no longer true."""
        _, path = self.known_hosts
        with contextlib.suppress(FileNotFoundError):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            files.write_atomic(path, "".join(line for line in lines if line.split(",")[0] not in names))


def destroy(name: str, say: Say = lambda text: None) -> bool:
    """Remove a lab, or what is left of one. Returns whether there was anything.

    Works without a readable record: containers are found by their label, the namespace and the leg by their names.
    """
    folder = paths.lab_dir(name)
    data: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        data = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    found = folder.exists()
    processes = data.get("processes", {})
    for service in ("watcher", "httpd", "dnsmasq"):
        files.end_process(processes.get(service))
    wish = data.get("engine", {}).get("name")
    for one in [wish] if wish else [tool for tool in engine.ENGINES if shutil.which(tool)]:
        with contextlib.suppress(LabError):
            tool = engine.detect(one)
            containers = tool.find(name)
            if containers:
                found = True
                say(f"removing {_count(len(containers), 'desk')}")
                tool.remove(sorted(containers))
    if net.exists(net.netns_name(name)):
        found = True
        for pid in net.processes(net.netns_name(name)):
            files.end_process(files.describe_process(pid))
        net.destroy(net.netns_name(name))
    if "subnet" in data and net.host_interface(int(data["subnet"])) in net.links(None):
        shell.run(["ip", "link", "delete", net.host_interface(int(data["subnet"]))], check=False)
    shutil.rmtree(folder, ignore_errors=True)
    return found


def load_description(path: Path) -> dict[str, Any]:
    """Read a lab file."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LabError(f"there is no lab file {path}; the ready ones are in simulator/labs/.", code=2) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}", code=2) from error
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise LabError(f"{path} is not YAML: {text}", code=2) from error
    parsed = spec.parse(data, path.name)
    for name, desk in parsed.desks.items():
        if desk.recording is not None:
            # The lab lives longer than the folder that it was started from.
            data["desks"][name]["recording"] = str(recordings.find(desk.recording, path.resolve().parent))
    return dict(data)


def known_faults() -> dict[str, str]:
    """Every fault that can be set: name -> one sentence."""
    found = dict(figures.OUTSIDE_FIGURE_FAULTS)
    found.update(desks.OUTSIDE_FAULTS)
    found.update(archives.FAULTS)
    found.update({name: entry[0] for name, entry in actions.ACTIONS.items()})
    with contextlib.suppress(OSError, ValueError):
        listed = json.loads((paths.SIMULATOR / "desk" / "faults.json").read_text(encoding="utf-8"))
        found.update({name: str(entry.get("description", "")) for name, entry in listed.items()})
    return found


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
