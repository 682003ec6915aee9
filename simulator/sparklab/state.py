"""A lab's record on disk: what was described, what was made (by id), and how things are now."""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparklab import laws, paths, spec, subnets
from sparklab.errors import LabError
from sparklab.files import held, lock_file, write_json

VERSION = 1


class Record:
    """The state of one lab. `data` is plain JSON; `save()` writes it whole, atomically."""

    def __init__(self, name: str, data: dict[str, Any]) -> None:
        self.name = name
        self.dir = paths.lab_dir(name)
        self.data = data
        self.spec = spec.parse(data["spec"], f"lab {name}")

    @classmethod
    def load(cls, name: str) -> Record:
        """Read a lab that is there.

        :raises LabError: when there is none, or its record cannot be read.
        """
        path = paths.lab_dir(name) / "state.json"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise LabError(f"there is no lab {name!r} on this machine; start one with `simulator/lab up --lab {name}`.", code=3) from error
        except PermissionError as error:
            raise LabError(f"{path} cannot be read; run this as root.", code=2) from error
        try:
            data = json.loads(text)
        except ValueError as error:
            raise LabError(f"{path} is damaged; `simulator/lab down --lab {name}` removes the lab.") from error
        if data.get("version") != VERSION:
            raise LabError(f"lab {name!r} was made by another version of the simulator; take it down first.")
        return cls(name, data)

    def save(self) -> None:
        """Write the record."""
        write_json(self.dir / "state.json", self.data)

    def reload(self) -> None:
        """Read again what another process wrote."""
        fresh = Record.load(self.name)
        self.data, self.spec = fresh.data, fresh.spec

    def desk(self, name: str) -> dict[str, Any]:
        """The record of one desk.

        :raises LabError: naming the desks that there are.
        """
        if name not in self.spec.desks:
            raise LabError(f"there is no desk {name!r} in lab {self.name!r}; desks: {', '.join(self.spec.desks)}.")
        return self.data["desks"].setdefault(name, {})

    def desk_dir(self, name: str) -> Path:
        """The folder that the desk sees as /opt/desk-state."""
        return self.dir / "desks" / name

    def switch_ports(self, name: str) -> dict[int, dict[str, Any]]:
        """The ports of a switch as they are set now.

        :raises LabError: naming the switches that there are.
        """
        if name not in self.spec.switches:
            raise LabError(f"there is no switch {name!r} in lab {self.name!r}; switches: {', '.join(self.spec.switches) or 'none'}.")
        changed = self.data.get("switch_ports", {}).get(name, {})
        return {number: {**settings, **changed.get(str(number), {})} for number, settings in self.spec.switches[name].settings.items()}

    def switch_dhcp(self, name: str) -> tuple[str, ...]:
        """The subnets of a switch's DHCP server as they are set now."""
        return tuple(self.data.get("switch_dhcp", {}).get(name, self.spec.switches[name].dhcp))

    @property
    def wiring(self) -> laws.Wiring:
        """Where the cables are, which desks run, which ports are stale."""
        raw = self.data["wiring"]
        ends = {cable: tuple(None if end is None else spec.parse_end(end, cable) for end in pair) for cable, pair in raw["ends"].items()}
        running = frozenset(name for name, desk in self.data["desks"].items() if desk.get("running"))
        stale = frozenset(spec.parse_end(end, "stale") for end in raw["stale"])
        lit = frozenset(
            spec.End(name, number)
            for name in self.spec.switches
            for number, settings in self.switch_ports(name).items()
            if not settings["dark"]
        )
        return laws.Wiring({cable: (pair[0], pair[1]) for cable, pair in ends.items()}, running, stale, lit)

    @wiring.setter
    def wiring(self, value: laws.Wiring) -> None:
        self.data["wiring"] = {
            "ends": {cable: [None if end is None else str(end) for end in ends] for cable, ends in value.ends.items()},
            "stale": sorted(str(end) for end in value.stale),
        }
        for name in self.spec.desks:
            self.desk(name)["running"] = name in value.running


def new(name: str, description: dict[str, Any], **more: Any) -> Record:
    """A record of a lab that is about to be made."""
    lab = spec.parse(description)
    data: dict[str, Any] = {
        "version": VERSION,
        "lab": name,
        "spec": description,
        "created_at": time.time(),
        "desks": {},
        "faults": {desk.name: desk.faults for desk in lab.desks.values() if desk.faults},
        "processes": {},
        "wiring": {"ends": {}, "stale": []},
        **more,
    }
    record = Record(name, data)
    record.wiring = laws.initial(lab)
    return record


@contextlib.contextmanager
def locked(name: str, wait: float = 300.0) -> Iterator[None]:
    """Hold the lab for one change; seconds to wait for another command to end.

    :raises LabError: when another command holds the lab for longer.
    """
    folder = paths.lab_dir(name)
    with lock_file(folder / "lock") as stream:
        end = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise LabError(f"another command has held lab {name!r} for {wait:g} s; wait for it or end it.") from None
                time.sleep(0.05)
        try:
            yield
        finally:
            # A command that was refused leaves no folder behind.
            if folder.is_dir() and [path.name for path in folder.iterdir()] == ["lock"]:
                (folder / "lock").unlink()
                folder.rmdir()


def names() -> list[str]:
    """The labs on this machine, half-made ones too."""
    if not paths.STATE_ROOT.is_dir():
        return []
    return sorted(path.name for path in paths.STATE_ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))


@contextlib.contextmanager
def choosing() -> Iterator[None]:
    """Hold the choice of what labs must not share, until it is written in the record: two labs may be started at the same moment."""
    with held(paths.STATE_ROOT / ".lock"):
        yield


def subnets_of_others(name: str) -> list[str]:
    """Management networks of the other labs, also of those whose network is not made yet."""
    found = []
    for other in names():
        if other != name:
            with contextlib.suppress(LabError, KeyError):
                found.append(str(subnets.subnet(int(Record.load(other).data["subnet"]))))
    return found


def desks_of_others(name: str) -> int:
    """How many desks the other labs on this machine have (they share its kernel's limits)."""
    count = 0
    for other in names():
        if other != name:
            with contextlib.suppress(LabError):
                count += len(Record.load(other).spec.desks)
    return count
