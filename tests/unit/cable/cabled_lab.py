"""A lab on paper: desks, cables, and what each desk would see. Knows nothing of how the map is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.labops.dgx_spark.plugins.module_utils.model.cable import (
    CableProbe,
    Eeprom,
    End,
    Neighbour,
    PlannedCable,
    ProbedFunction,
    ProbedPort,
    Step,
)

NAMES = {0: ("enp1s0f0np0", "enP2p1s0f0np0"), 1: ("enp1s0f1np1", "enP2p1s0f1np1")}


def mac(number: int, port: int, twin: int) -> str:
    return f"02:5a:{number >> 8:02x}:{number & 255:02x}:{port:02x}:{twin:02x}"


@dataclass
class Lab:
    """Cables as pairs of cages; a null end is loose, a text end is a device outside the inventory."""

    desks: list[str]
    cables: list[list[End | str | None]] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    """Desks without IPv6 link-local addresses, LLDP and root."""
    late: set[str] = field(default_factory=set)
    """Desks that others saw, and whose own questions nobody answered in time."""
    eeprom: bool = False
    root: bool = False
    switches: list[list[End]] = field(default_factory=list)
    """The cages on each switch (or in each of its VLANs or bridges)."""
    lldp: str | None = None
    """What every switch calls itself, null for one without LLDP."""

    def behind(self, end: End) -> list[End]:
        """The cages that answer behind a cage on a switch."""
        return [other for group in self.switches if end in group for other in group if other != end]

    def on_switch(self, end: End) -> bool:
        return any(end in group for group in self.switches)

    def other(self, end: End) -> End | str | None:
        for cable in self.cables:
            for index in (0, 1):
                if cable[index] == end:
                    return cable[1 - index]
        return None

    def number(self, desk: str) -> int:
        return self.desks.index(desk)

    def probe(self, desk: str) -> CableProbe:
        ports = []
        for port in (0, 1):
            end = End(desk, port)
            held = next((index for index, cable in enumerate(self.cables) if end in cable), None)
            other = self.other(end)
            carrier = other is not None or self.on_switch(end)
            deaf = desk in self.deaf
            functions = []
            for twin in (0, 1):
                seen: list[Neighbour] = []
                if carrier and not deaf:
                    seen.append(Neighbour(mac(self.number(desk), port, 1 - twin), "ipv6"))
                    for far in self.behind(end):
                        if far.desk not in self.deaf | self.silent and desk not in self.late:
                            seen += [Neighbour(mac(self.number(far.desk), far.port, peer), "ipv6") for peer in (0, 1)]
                    if self.on_switch(end):
                        seen += [Neighbour(None, "lldp", self.lldp, "qsfp56-1-1", "dc:2c:6e:00:00:01")] if self.lldp else []
                    elif isinstance(other, End):
                        if other.desk not in self.deaf:
                            seen += [Neighbour(mac(self.number(other.desk), other.port, peer), "ipv6") for peer in (0, 1)]
                    else:
                        seen.append(Neighbour(str(other), "ipv6"))
                functions.append(
                    ProbedFunction(
                        NAMES[port][twin],
                        mac(self.number(desk), port, twin),
                        True,
                        carrier,
                        not deaf,
                        tuple(seen),
                        ("ipv6",) if carrier and not deaf else (),
                    )
                )
            plug = Eeprom("Amphenol", "NJAAKK-N911", f"APF2048{held:04d}", 1.0) if self.eeprom and held is not None else None
            ports.append(ProbedPort(port, carrier, tuple(functions), plug))
        return CableProbe(desk, tuple(ports), self.root, True, True, True, "not_needed")

    def probes(self) -> dict[str, CableProbe]:
        return {desk: self.probe(desk) for desk in self.desks if desk not in self.silent}

    def unread(self) -> dict[str, str]:
        return dict.fromkeys(self.silent, "no route to host")

    def apply(self, steps: Iterable[Step]) -> None:
        """Do what the steps say, one step after the other, as two hands would: a cage must be free when a plug goes in."""
        for step in steps:
            held: list[tuple[list[End | str | None], int, End | None]] = []
            fresh: list[End | str | None] = []
            for move in step.plugs:
                if move.source is None and move.anchor is None:
                    assert move.target is not None
                    fresh.append(move.target)
                    continue
                if move.source is None:
                    cable = next(cable for cable in self.cables if move.anchor in cable)
                    index = 1 - cable.index(move.anchor)
                else:
                    cable = next(cable for cable in self.cables if move.source in cable)
                    index = cable.index(move.source)
                cable[index] = None
                held.append((cable, index, move.target))
            for cable, index, target in held:
                assert target is None or all(target not in other for other in self.cables), f"{target} is taken: {step.sentence}"
                cable[index] = target
            if fresh:
                assert len(fresh) == 2
                assert all(end not in cable for end in fresh for cable in self.cables)
                self.cables.append(fresh)
        self.cables = [cable for cable in self.cables if any(isinstance(end, End) for end in cable)]


def pairs(count: int) -> tuple[list[str], list[PlannedCable]]:
    desks = [f"desk-{number:02d}" for number in range(1, 2 * count + 1)]
    return desks, [PlannedCable(f"pair_{index + 1}", desks[2 * index], desks[2 * index + 1]) for index in range(count)]


def right(plan: Iterable[PlannedCable], port: int = 0) -> list[list[End | str | None]]:
    return [[End(item.a, port), End(item.b, port)] for item in plan]


def plugs_moved(steps: Iterable[Step]) -> int:
    """Plugs that were put into a cage."""
    return sum(move.target is not None for step in steps for move in step.plugs)
