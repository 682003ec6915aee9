"""One lab as a whole: making it, bringing it back to its description, and taking it down."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sparklab import actions, archives, desks, engine, figures, files, image, laws, net, paths, recordings, shell, spec
from sparklab.base import Say
from sparklab.errors import LabError
from sparklab.faults import Faults
from sparklab.power import count


class Lab(Faults):
    """A lab that has a record. Every method that changes something expects the lab's lock to be held."""

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
            self.record.data.pop("switch_dhcp", None)
            archives.publish(self.record, self.record.spec.archive_set)
        self.record.wiring = wiring
        self.record.save()
        self.engine.remove(containers)
        self.light()
        self.make()


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
                say(f"removing {count(len(containers), 'desk')}")
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
        data = files.sent_yaml(path)
    except FileNotFoundError as error:
        raise LabError(f"there is no lab file {path}; the ready ones are in simulator/labs/.", code=2) from error
    except OSError as error:
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
