"""The laws that sick states depend on: cables, power and hotplug. Pure: a lab's wiring in, a new one out.

A port keeps `stale`: its plug was put in while the desk ran. It stays stale until the desk starts again with a cable in
that port; the link carries about 13 Gb/s while either end is stale, so both desks must start again. Switching off for a
minute (drain) counts as a start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sparklab.errors import LabError
from sparklab.spec import CableSpec, End, LabSpec


@dataclass(frozen=True)
class Wiring:
    """Where every cable's ends are now, which desks run, and which ports are stale."""

    ends: Mapping[str, tuple[End | None, End | None]]
    running: frozenset[str]
    stale: frozenset[End]
    lit: frozenset[End] = frozenset()
    """Ports of switches that are switched on."""

    def at(self, end: End) -> str | None:
        """The cable in this port."""
        for cable, ends in self.ends.items():
            if end in ends:
                return cable
        return None

    def peer(self, end: End) -> End | None:
        """The port at the other end of the cable in this port."""
        cable = self.at(end)
        if cable is None:
            return None
        one, two = self.ends[cable]
        return two if one == end else one

    def cabled(self, desk: str) -> bool:
        """Whether a plug sits in any port of the desk (the other end may be loose): what the hotplug controller sees."""
        return any(end is not None and end.desk == desk for ends in self.ends.values() for end in ends)


def initial(spec: LabSpec) -> Wiring:
    """The wiring as described, everything plugged before the first start."""
    return Wiring({name: cable.ends for name, cable in spec.cables.items()}, frozenset(), frozenset())


def started(wiring: Wiring, desk: str) -> Wiring:
    """The desk starts: its ports forget what happened before."""
    return replace(
        wiring,
        running=wiring.running | {desk},
        stale=frozenset(end for end in wiring.stale if end.desk != desk),
    )


def stopped(wiring: Wiring, desk: str) -> Wiring:
    """The desk stops."""
    return replace(wiring, running=wiring.running - {desk})


def pulled(wiring: Wiring, cable: str, end: End | None = None) -> Wiring:
    """Pull one end (or, with None, both ends) of a cable out."""
    ends = known(wiring, cable)
    if end is not None and end not in ends:
        places = ", ".join(str(one) for one in ends if one) or "nowhere"
        raise LabError(f"{cable} is not in {end}; its plugs are in: {places}.")
    left = tuple(None if end is None or one == end else one for one in ends)
    gone = {one for one, kept in zip(ends, left, strict=True) if one is not None and kept is None}
    if not gone:
        raise LabError(f"{cable} is already unplugged.")
    return replace(wiring, ends={**wiring.ends, cable: (left[0], left[1])}, stale=wiring.stale - gone)


def plugged(wiring: Wiring, cable: str, ends: tuple[End, ...]) -> Wiring:
    """Put the loose ends of a cable into these ports, in order."""
    now = list(known(wiring, cable))
    for end in ends:
        if None not in now:
            raise LabError(f"{cable} has no loose end: it connects {now[0]} and {now[1]}; pull it first.")
        other = wiring.at(end)
        if other is not None or end in now:
            raise LabError(f"port {end} already holds {other or cable}; pull that first.")
        now[now.index(None)] = end
    stale = {end for end in ends if end.desk in wiring.running}
    return replace(wiring, ends={**wiring.ends, cable: (now[0], now[1])}, stale=wiring.stale | stale)


def moved(wiring: Wiring, cable: str, source: End, target: End) -> Wiring:
    """Move one end of a cable to another port, which has to be free."""
    other = wiring.at(target)
    if other is not None:
        raise LabError(f"port {target} already holds {other}; pull that first.")
    return plugged(pulled(wiring, cable, source), cable, (target,))


def home(cable: CableSpec, wiring: Wiring) -> tuple[End, ...]:
    """The described ports of a cable that it is not in now: where `plug` without ports puts it back."""
    now = known(wiring, cable.id)
    return tuple(end for end in cable.ends if end is not None and end not in now)


def carrier(wiring: Wiring, end: End) -> bool:
    """Whether this port sees light: a cable whose other end is in a port of a running desk, or of a switch that has it on."""
    peer = wiring.peer(end)
    return peer is not None and (peer.desk in wiring.running or peer in wiring.lit) and end.desk in wiring.running


def nic_present(wiring: Wiring, desk: str, hotplug: bool) -> bool:
    """Whether the four functions are on the bus: always without hotplug power save, else only with a plug in a port."""
    return not hotplug or wiring.cabled(desk)


def known(wiring: Wiring, cable: str) -> tuple[End | None, End | None]:
    """The ends of a cable, or a refusal that names the cables there are."""
    if cable not in wiring.ends:
        raise LabError(f"there is no cable {cable!r}; cables: {', '.join(sorted(wiring.ends)) or 'none'}.")
    return wiring.ends[cable]
