# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a desk saw at its QSFP ports, and the cable map that is made of all desks' answers."""

from __future__ import annotations

from dataclasses import dataclass

from .kinds import Mac, Netdev

PORTS = (0, 1)
"""The QSFP cages of a desk."""

POSITIONS = {0: "the QSFP cage next to the RJ45", 1: "the QSFP cage farther from the RJ45"}
"""Where a port is, looking at the desk from behind (NVIDIA daqiri, DGX Spark tab: port 0 is next to the RJ45)."""


# ---- what one desk saw -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Neighbour:
    """Somebody seen on a function of this desk (never a function of the same port of this desk)."""

    mac: Mac | None
    """Lower case with colons; null when only a name was told (LLDP)."""
    method: str
    """``ipv6`` (answered an all-nodes echo now, or is confirmed in the neighbour table), ``lldp`` or ``frame`` (our raw frame)."""
    told_desk: str | None = None
    """The name that the other side gave (LLDP system name, inventory name in a frame). A hint: names prove nothing."""
    told_port: str | None = None
    """LLDP: the interface name it gave. Frame: its port number."""
    chassis_mac: Mac | None = None
    """LLDP: the chassis id, when it is a MAC."""


@dataclass(frozen=True)
class ProbedFunction:
    """One function and whom it saw."""

    netdev: Netdev
    mac: Mac | None = None
    admin_up: bool | None = None
    carrier: bool | None = None
    link_local: bool | None = None
    """Whether it has an IPv6 link-local address, without which the echo cannot be sent."""
    neighbours: tuple[Neighbour, ...] = ()
    methods: tuple[str, ...] = ()
    """The methods that could really be used on it."""
    reason: str | None = None
    """Why nothing could be asked here, null when at least one method was used."""


@dataclass(frozen=True)
class Eeprom:
    """The plug's memory. Its speed and length fields are shown but never judged: the approved cables carry wrong ones."""

    vendor: str | None = None
    part: str | None = None
    serial: str | None = None
    length_m: float | None = None


@dataclass(frozen=True)
class ProbedPort:
    """One cage."""

    port: int
    carrier: bool | None = None
    functions: tuple[ProbedFunction, ...] = ()
    eeprom: Eeprom | None = None
    eeprom_error: str | None = None
    """Why the plug's memory was not read: needs_root, missing (no ethtool), refused (no plug, or the driver said no), timeout."""


@dataclass(frozen=True)
class CableProbe:
    """The answer of one desk."""

    desk: str
    ports: tuple[ProbedPort, ...] = ()
    privileged: bool | None = None
    nic_present: bool | None = None
    """Whether any ConnectX-7 function is there; null when that could not be read."""
    hotplug_enabled: bool | None = None
    powered: bool | None = None
    """debug_state of the hotplug driver: false means that no cable is seen, and the adapter is switched off."""
    frames: str | None = None
    """The raw-frame fallback: used, not_needed, not_privileged, needs_forks, off, failed."""
    frames_error: str | None = None
    unread: tuple[str, ...] = ()
    """What could not be read, in words."""


# ---- the map -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class End:
    """One cage of one desk."""

    desk: str
    port: int

    def __str__(self) -> str:
        return f"{self.desk} port {self.port}"


@dataclass(frozen=True)
class Edge:
    """A cable between two cages, ``a`` before ``b`` in natural order."""

    a: End
    b: End
    seen_by: tuple[str, ...] = ()
    """Desks that saw the other one (both names, or the one that did)."""
    methods: tuple[str, ...] = ()
    """ipv6, lldp, frame, serial: what proves it."""
    one_sided: bool = False
    """Only one desk saw the other although the other was asked too and could have seen it."""
    vendor: str | None = None
    part: str | None = None
    serial: str | None = None
    length_m: float | None = None

    @property
    def ends(self) -> tuple[End, End]:
        """Both cages."""
        return (self.a, self.b)

    @property
    def looped(self) -> bool:
        """Whether it joins two cages of one desk."""
        return self.a.desk == self.b.desk

    def hearsay(self, desk: str) -> bool:
        """Whether the desk at the other end alone says that it leads to ``desk``, which saw nobody there."""
        return bool(self.seen_by) and desk not in self.seen_by

    def other(self, desk: str) -> End:
        """The end that is not at ``desk`` (the second one of a loop)."""
        return self.b if self.a.desk == desk else self.a

    def other_end(self, end: End) -> End:
        """The cage at the other end of the cable."""
        return self.b if end == self.a else self.a

    def at(self, desk: str) -> End:
        """The end at ``desk``. Raises ValueError when it has none."""
        for end in self.ends:
            if end.desk == desk:
                return end
        raise ValueError(f"the cable {self.a} - {self.b} has no end at {desk}")


@dataclass(frozen=True)
class Stranger:
    """Somebody behind a cage who belongs to no read desk of the inventory."""

    at: End
    macs: tuple[str, ...]
    vendors: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    """Names that it gave."""


@dataclass(frozen=True)
class Shared:
    """More than one cage behind one cage, or a cage and somebody else: a switch, not a direct cable."""

    at: End
    others: tuple[End, ...]
    stranger: Stranger | None = None
    """Who answered there besides and is no desk of the inventory."""


@dataclass(frozen=True)
class Unseen:
    """A cage of which nobody can say where its cable goes."""

    at: End
    reason: str
    """One of the keys of ``judges.cable_map.REASONS``."""
    plugged: bool | None = None
    """True when a cable is there (carrier, or the plug's memory was read)."""


@dataclass(frozen=True)
class Plug:
    """What the memory of the plug in a cage says."""

    at: End
    eeprom: Eeprom


@dataclass(frozen=True)
class CableMap:
    """Who is joined with whom, as far as it was seen. Each cage of a read desk is in exactly one of edges, strangers,
    shared, dark and unseen; ``plugs`` are facts beside that."""

    edges: tuple[Edge, ...] = ()
    strangers: tuple[Stranger, ...] = ()
    shared: tuple[Shared, ...] = ()
    dark: tuple[End, ...] = ()
    """No carrier."""
    unseen: tuple[Unseen, ...] = ()
    plugs: tuple[Plug, ...] = ()
    unread: dict[str, str] | None = None
    """Desks of the inventory that gave no answer, with the reason."""
    macs: dict[str, tuple[str, int]] | None = None
    """Each known MAC of a ConnectX-7 function: its desk and port."""


# ---- the plan ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlannedCable:
    """Two desks that shall be joined, cage to cage of the same number."""

    pair: str
    a: str
    b: str
    in_service: bool = True
    """False: the pair is out of service or outside the run; it is shown, not judged."""


@dataclass(frozen=True)
class PlannedStack:
    """Three desks in a ring, or desks on a switch, as they shall be joined."""

    name: str
    topology: str
    """ring or switch"""
    members: tuple[str, ...]
    """By rank, the head first."""
    in_service: bool = True
    """False: out of service or outside the run; it is shown, not judged."""


@dataclass(frozen=True)
class SwitchSeen:
    """Cages that see each other although they are more than two, or that see a switch: they are on one."""

    ends: tuple[End, ...]
    told: tuple[str, ...] = ()
    """What somebody there who is no desk calls itself (LLDP)."""
    vendors: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlugMove:
    """One plug of one cable goes from a cage to a cage."""

    source: End | None
    """Null: the plug of a cable from the shelf, or the loose or unknown far end of the cable whose other plug is ``anchor``."""
    target: End | None
    """Null: the plug is taken out and stays out."""
    anchor: End | None = None
    """The cage of the cable's other plug before the move, null for a cable from the shelf."""
    part: str | None = None


@dataclass(frozen=True)
class Step:
    """What two hands do at once: a sentence and the plugs that it moves."""

    kind: str
    """move, swap, rotate, add, pull"""
    sentence: str
    plugs: tuple[PlugMove, ...]
    pairs: tuple[str, ...] = ()
    """Pairs whose cable is touched."""
