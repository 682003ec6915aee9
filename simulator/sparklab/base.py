"""What is where in a lab: its record, names and addresses, and what its desks are told of themselves."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from typing import Any

from sparklab import describe, desks, engine, files, net, state, subnets, switches
from sparklab.errors import LabError

Say = Callable[[str], None]


class Base:
    """A lab's record, and what follows from it."""

    def __init__(self, record: state.Record, say: Say = lambda text: None) -> None:
        self.record = record
        self.say = say
        self.engine = engine.Engine(record.data["engine"]["name"], record.data["engine"].get("runtime"))
        self._models: dict[str, dict[str, Any]] = {}

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
            with contextlib.suppress(OSError, ValueError, RecursionError):
                if json.loads(files.own_text(path)) == json.loads(json.dumps(data)):
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
