# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From all desks' answers to one map: which cage is joined with which. Pure.

Names prove nothing here. Whoever was seen is matched by MAC address against the functions of all desks; what a neighbour says
of itself (LLDP system name, the name in our frame) is carried along as a hint for people only.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..model.cable import PORTS, CableMap, CableProbe, Edge, Eeprom, End, Neighbour, Plug, ProbedPort, Shared, Stranger, Unseen
from ..model.desk import Desk
from .cable_parts import mac_vendor

REASONS: dict[str, str] = {
    "desk_unread": "the desk's cages were not read in this run",
    "peer_unread": "the device that answered may be a desk in the inventory whose cages were not read in this run",
    "nic_unread": "the ConnectX-7 of the desk could not be read",
    "peer_off": "the pair's other desk was not read in this run, and a cable carries no signal when the desk at its other end is off",
    "function_down": "the functions of the port are switched off (administratively down), and a read-only run does not switch them on",
    "peer_down": "the functions of the pair's other desk are switched off, so the cable carries no signal",
    "ipv6_off": "the functions have no IPv6 link-local address and no LLDP neighbour, so no desk could be asked without root",
    "needs_forks": "the raw-frame probe needs all desks at the same time, and there are fewer forks than desks",
    "no_answer_to_user": "there is a signal, but no desk answered, and raw frames cannot be sent without root",
    "no_answer": "there is a signal, but no desk answered by any method",
    "contradicted": "this end saw a desk that itself sees a different one or has no signal there",
    "shared_mac": "the desk that answered has one hardware address on both cages (a bond or bridge), so it is not known which of them it "
    "was",
    "no_tools": "neither ping nor lldpctl could be used",
}
"""Why it is not known where a cable goes. The key goes into evidence, the sentence into messages."""

STRANGERS = 32
"""Addresses, and names, of unknown devices behind one cage that are told."""


def who(macs: Sequence[str], vendors: Sequence[str]) -> str:
    """MAC addresses in words, those of one vendor together."""
    groups: dict[str, list[str]] = defaultdict(list)
    for mac, vendor in zip(macs, vendors, strict=True):
        groups[vendor].append(mac)
    return ", ".join(f"{' and '.join(group)} ({vendor})" for vendor, group in groups.items()) or "no MAC address"


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts desk-9 before desk-10."""
    return tuple((0, int(item), "") if item.isdecimal() else (1, 0, item) for item in re.split(r"(\d+)", text) if item)


def end_key(end: End) -> tuple[object, ...]:
    """Natural order of cages."""
    return (natural(end.desk), end.port)


def mac_of(text: str | None) -> str | None:
    """A MAC address in lower case with colons, null for anything else and for group or zero addresses."""
    plain = re.sub(r"[^0-9a-f]", "", (text or "").lower())
    if len(plain) != 12 or not re.fullmatch(r"[0-9a-fA-F:.\-]+", text or ""):
        return None
    if int(plain[:2], 16) & 1 or not int(plain, 16):
        return None
    return ":".join(plain[index : index + 2] for index in range(0, 12, 2))


def claimed(
    facts: Mapping[str, Desk], probes: Mapping[str, CableProbe], remembered: Mapping[str, Sequence[object]] | None = None
) -> dict[str, set[End]]:
    """Every MAC of a ConnectX-7 function to the cages that have it: several where a bond gives its MAC to its members.

    Desks whose facts have one MAC are known for it; a probe, which nobody compares, says nothing of what is another desk's. So it is with
    what an earlier run (``remembered``) saw at a desk whose facts are missing now.
    """
    claims: dict[str, set[End]] = defaultdict(set)
    for name, desk in facts.items():
        for port in desk.cx7.ports:
            for function in port.functions:
                mac = mac_of(function.mac)
                if mac and port.number in PORTS:
                    claims[mac].add(End(name, port.number))
    owners = {mac: {str(place[0])} for mac, place in (remembered or {}).items() if place[0] not in facts}
    owners |= {mac: {end.desk for end in ends} for mac, ends in claims.items()}
    for name, probe in probes.items():
        for probed in probe.ports:
            for item in probed.functions:
                mac = mac_of(item.mac)
                if mac and name in owners.get(mac, (name,)):
                    claims[mac].add(End(name, probed.port))
    return claims


def read_map(
    probes: Mapping[str, CableProbe],
    facts: Mapping[str, Desk],
    unread: Mapping[str, str] | None = None,
    remembered: Mapping[str, Sequence[object]] | None = None,
) -> CableMap:
    """The map of all desks' answers.

    ``probes``: each answering desk's view; ``facts``: each desk's facts (for MACs of desks whose probe failed);
    ``unread``: the inventory's desks without an answer, with the reason in words;
    ``remembered``: MAC to (desk, port) of an earlier run, which gives a stranger a name, and keeps others from taking it.
    """
    missing = dict(unread or {})
    claims = claimed(facts, probes, remembered)
    known = {mac: next(iter(ends)) for mac, ends in claims.items() if len(ends) == 1}
    ports = {End(name, port.port): port for name, probe in probes.items() for port in probe.ports}
    sighted = _sightings(ports, claims, facts)
    seen, methods, strangers, beside = sighted.seen, sighted.methods, sighted.strangers, sighted.beside
    plugs = _plugs(ports)
    by_serial = _serial_pairs(plugs)

    edges: dict[tuple[End, End], Edge] = {}
    settled: set[End] = set()
    shared = [
        Shared(end, tuple(sorted(others, key=end_key)), beside.get(end)) for end, others in seen.items() if len(others) > 1 or end in beside
    ]
    # What is between two cages is between them from either side, whichever saw it.
    shared += [
        Shared(other, (end,), beside[end]) for end in beside for other in seen[end] if seen.get(other) == {end} and other not in beside
    ]
    settled.update(item.at for item in shared)
    hubs = {other for item in shared for other in item.others} | settled

    def join(one: End, two: End, one_sided: bool, extra: Iterable[str] = ()) -> None:
        a, b = sorted((one, two), key=end_key)
        used = set(extra) | methods.get((a, b), set()) | methods.get((b, a), set())
        if by_serial.get(a) == b:
            used.add("serial")
        seers = tuple(end.desk for end, other in ((a, b), (b, a)) if other in seen.get(end, ()))
        plug = plugs.get(a) or plugs.get(b) or Eeprom()
        edges[a, b] = Edge(
            a, b, tuple(dict.fromkeys(seers)), tuple(sorted(used)), one_sided, plug.vendor, plug.part, plug.serial, plug.length_m
        )
        settled.update((a, b))

    for end, others in seen.items():
        for other in others:
            # Two that see nobody but each other are joined, whatever a third one says that it sees.
            if len(others) == 1 and seen.get(other) == {end} and not {end, other} & settled:
                join(end, other, False)
    # Two desks that say the same of one cable count more than a third one that says whom it sees.
    for end in sorted(by_serial, key=end_key):
        other = by_serial[end]
        if end not in settled and other not in settled and not seen.get(end) and not seen.get(other):
            carriers = {ports[end].carrier, ports[other].carrier}
            if end in strangers or other in strangers or (False in carriers and None not in carriers):
                continue  # a cable without signal is dark, wherever it ends; a side that is switched off explains it
            join(end, other, False, ("serial",))
    for end in sorted(seen, key=end_key):
        for other in seen[end]:
            if end in settled or other in settled or len(seen[end]) != 1 or end in hubs:
                continue
            if seen.get(other) or other in strangers or (other in ports and _without_signal(ports[other])):
                continue  # the other end sees somebody else, or cannot be seen at all: told as contradicted below
            # A desk that was asked and could have seen this end, but did not, leaves the cable half proven.
            asked = other.desk in probes and by_serial.get(end) != other
            join(end, other, asked)

    found = [_named(strangers[end], remembered or {}) for end in sorted(strangers, key=end_key) if end not in settled]
    settled.update(item.at for item in found)
    dark: list[End] = []
    unseen: list[Unseen] = []
    for end in sorted(ports, key=end_key):
        if end in settled:
            continue
        reason, plugged = _why(end, ports[end], probes[end.desk], bool(seen.get(end)), end in plugs)
        if end in sighted.bonded and not seen.get(end):
            reason, plugged = "shared_mac", True
        if reason is None:
            dark.append(end)
        else:
            unseen.append(Unseen(end, reason, plugged))
    for name, probe in probes.items():
        if not probe.ports and probe.nic_present is not False:
            unseen += [Unseen(End(name, number), "nic_unread") for number in (0, 1)]
        elif not probe.ports:
            dark += [End(name, number) for number in (0, 1)]
    return CableMap(
        edges=tuple(edges[key] for key in sorted(edges, key=lambda pair: (end_key(pair[0]), end_key(pair[1])))),
        strangers=tuple(found),
        shared=tuple(sorted(shared, key=lambda item: end_key(item.at))),
        dark=tuple(sorted(dark, key=end_key)),
        unseen=tuple(sorted(unseen, key=lambda item: end_key(item.at))),
        plugs=tuple(Plug(end, plugs[end]) for end in sorted(plugs, key=end_key)),
        unread=missing,
        macs={mac: (end.desk, end.port) for mac, end in sorted(known.items())},
    )


@dataclasses.dataclass
class _Sightings:
    """Whom each cage saw."""

    seen: dict[End, set[End]] = dataclasses.field(default_factory=dict)
    methods: dict[tuple[End, End], set[str]] = dataclasses.field(default_factory=lambda: defaultdict(set))
    strangers: dict[End, Stranger] = dataclasses.field(default_factory=dict)
    """Where no known cage was seen."""
    beside: dict[End, Stranger] = dataclasses.field(default_factory=dict)
    """Strangers beside a known cage."""
    bonded: set[End] = dataclasses.field(default_factory=set)
    """Cages that saw a known desk, but not which of its cages."""


def _sightings(ports: Mapping[End, ProbedPort], claims: Mapping[str, set[End]], facts: Mapping[str, Desk]) -> _Sightings:
    names = _netdev_ports(facts)
    found = _Sightings()
    for end, port in ports.items():
        others: set[End] = set()
        foreign: dict[str, str] = {}
        named: dict[str, None] = {}
        for neighbour in (item for function in port.functions for item in function.neighbours):
            other = _end_of(neighbour, claims, names)
            if other == end:
                continue  # the twin of the same cage
            if other is None and _of_bonded(neighbour, claims, end.desk):
                found.bonded.add(end)
                continue
            if other is not None:
                others.add(other)
                found.methods[end, other].add(neighbour.method)
                continue
            if (
                neighbour.method == "lldp"
                and len(facts) < len({end.desk for end in ports})
                and _FUNCTION_NAME.fullmatch(neighbour.told_port or "")
            ):
                continue  # another desk's function, told by name, and the facts that would say whose are missing
            mac = mac_of(neighbour.mac) or mac_of(neighbour.chassis_mac)
            if mac:
                foreign[mac] = mac_vendor(mac)
            if neighbour.told_desk:
                named[neighbour.told_desk] = None
        # A known desk may be told by a name or a management address as well; what is left is somebody else. Only those that were seen here
        # count: any other desk may call itself like the switch between two.
        here = {other.desk for other in others} | ({end.desk} if others else set())
        read = [facts[name] for name in here if name in facts]
        own_macs = {mac_of(desk.network.management_mac) for desk in read}
        own_names = here | {desk.identity.hostname for desk in read}
        macs = sorted(mac for mac in foreign if mac not in own_macs and not here & {item.desk for item in claims.get(mac, ())})[:STRANGERS]
        told = [name for name in named if name.partition(".")[0] not in own_names and name not in own_names]
        stranger = Stranger(end, tuple(macs), tuple(foreign[mac] for mac in macs), tuple(told[:STRANGERS]))
        if others:
            found.seen[end] = others
            if macs or told:
                found.beside[end] = stranger
        elif foreign or told:
            found.strangers[end] = stranger
    return found


_FUNCTION_NAME = re.compile(r"en[pP][0-9A-Za-z]{1,12}np[0-9]{1,2}")
"""The name of a ConnectX-7 function that nobody renamed."""


def _named(stranger: Stranger, remembered: Mapping[str, Sequence[object]]) -> Stranger:
    """The stranger with the desks that had its MACs in an earlier run."""
    earlier = {f"{remembered[mac][0]} (at an earlier run)": None for mac in stranger.macs if mac in remembered}
    return dataclasses.replace(stranger, told=(*stranger.told, *earlier)) if earlier else stranger


def _netdev_ports(facts: Mapping[str, Desk]) -> dict[str, list[dict[str, End]]]:
    """MAC of any ConnectX-7 function or of the management interface to the desks that have it: interface name to its cage."""
    found: dict[str, list[dict[str, End]]] = defaultdict(list)
    for name, desk in facts.items():
        cages = {
            function.netdev: End(name, port.number)
            for port in desk.cx7.ports
            for function in port.functions
            if function.netdev and port.number in PORTS
        }
        for mac in {mac_of(function.mac) for function in desk.cx7.functions} | {mac_of(desk.network.management_mac)}:
            if mac and cages:
                found[mac].append(cages)
    return found


def _end_of(neighbour: Neighbour, claims: Mapping[str, set[End]], names: Mapping[str, list[dict[str, End]]]) -> End | None:
    mac = mac_of(neighbour.mac)
    ends = claims.get(mac or "", set())
    if len(ends) == 1:
        return next(iter(ends))
    if ends and neighbour.method == "frame":
        # The members of a bond share its MAC; which of the cages that have it, the frame itself says.
        return next((end for end in ends if end.desk == neighbour.told_desk and str(end.port) == neighbour.told_port), None)
    # lldpd may send its interface name as port id; its chassis id still is a MAC of the same desk.
    chassis = mac_of(neighbour.chassis_mac)
    if neighbour.method == "lldp" and chassis and neighbour.told_port:
        return next((cages[neighbour.told_port] for cages in reversed(names.get(chassis, [])) if neighbour.told_port in cages), None)
    return None


def _of_bonded(neighbour: Neighbour, claims: Mapping[str, set[End]], asking: str) -> bool:
    """Whether it is a desk of the inventory of which only the cage is not known, because several of its cages have one MAC."""
    ends = claims.get(mac_of(neighbour.mac) or "", set())
    return len(ends) > 1 and len({end.desk for end in ends}) == 1 and next(iter(ends)).desk != asking


def _plugs(ports: Mapping[End, ProbedPort]) -> dict[End, Eeprom]:
    return {end: port.eeprom for end, port in ports.items() if port.eeprom is not None}


def _serial_pairs(plugs: Mapping[End, Eeprom]) -> dict[End, End]:
    """Cages whose plugs say the same vendor, part and serial: the two ends of one cable.

    Only when exactly two cages of the whole inventory say it, and it looks like a serial. Unequal serials prove nothing: some
    vendors number the two plugs of a cable on their own.
    """
    groups: dict[tuple[str, str, str], list[End]] = defaultdict(list)
    for end, plug in plugs.items():
        serial = (plug.serial or "").strip()
        digits = {sign for sign in serial if sign.isalnum()}
        if len(serial) >= 5 and len(digits) >= 3 and plug.part:
            groups[(plug.vendor or "").strip().lower(), plug.part.strip().lower(), serial.lower()].append(end)
    found: dict[End, End] = {}
    for ends in groups.values():
        if len(ends) == 2:
            found[ends[0]], found[ends[1]] = ends[1], ends[0]
    return found


def _without_signal(port: ProbedPort) -> bool:
    """Whether nothing can come from a cage: it has no carrier, or all its functions are switched off."""
    return port.carrier is False or _switched_off(port)


def _switched_off(port: ProbedPort) -> bool:
    return bool(port.functions) and all(item.admin_up is False for item in port.functions)


def _why(end: End, port: ProbedPort, probe: CableProbe, contradicted: bool, plugged: bool) -> tuple[str | None, bool | None]:
    """Why a cage has no edge: null means dark (no carrier). Also whether a cable is surely there."""
    if contradicted:
        return "contradicted", True
    if port.carrier is False:
        return None, plugged
    if port.carrier is None:
        return ("function_down" if _switched_off(port) else "nic_unread"), plugged or None
    used = {method for item in port.functions for method in item.methods}
    if probe.frames == "used":
        return "no_answer", True
    if probe.frames == "needs_forks":
        return "needs_forks", True
    if "ipv6" in used:
        return ("no_answer_to_user" if probe.frames == "not_privileged" else "no_answer"), True
    if any(item.link_local is False for item in port.functions):
        return "ipv6_off", True
    return ("no_answer" if used else "no_tools"), True
