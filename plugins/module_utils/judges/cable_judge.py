# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cable map held against the planned pairs and stacks: findings, what may be configured, and who was where before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.cable import CableMap, CableProbe, Edge, End, PlannedCable, PlannedStack, Shared, Step, Unseen
from ..model.finding import Finding, Where
from .cable_map import REASONS, end_key, natural, who
from .cable_moves import Ring, is_good, joins, place, plan_moves, reboot_sentence, rings, touched
from .cable_parts import known_part
from .cable_stacks import StackCabling, StackJudge, stack_edges
from .catalogue import finding

WARNING_13G = (
    "A cable plugged in while a desk is running often carries only about 13 Gb/s until both desks are rebooted with the cable in; only a "
    "measurement shows it."
)


@dataclass(frozen=True)
class PairCabling:
    """What the map says of one pair."""

    pair: str
    proven: bool
    """Seen to join the pair's two desks."""
    allowed: bool
    """Whether a link may be configured: false where the cabling is proven wrong, or no cage can be named."""
    ports: Mapping[str, int | None]
    """Desk to the cage that its link uses, null when unknown."""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """The whole lab."""

    pairs: tuple[PairCabling, ...]
    edges: tuple[dict[str, Any], ...]
    """Each cable: ends, verdict (ok, wrong_port, wrong, looped, one_sided, unplanned), pair, methods, seen_by, part."""
    steps: tuple[Step, ...]
    desk_findings: Mapping[str, tuple[Finding, ...]]
    """Findings of desks that are in no judged pair or stack."""
    stacks: tuple[StackCabling, ...] = ()
    """Rings and stacks on a switch."""

    def of_pair(self, pair: str) -> PairCabling | None:
        """One pair's cabling."""
        return next((item for item in self.pairs if item.pair == pair), None)


def judge(
    cables: CableMap,
    plan: Sequence[PlannedCable],
    probes: Mapping[str, CableProbe],
    forks_needed: int | None = None,
    stacks: Sequence[PlannedStack] = (),
) -> Judgement:
    """Judge every pair and stack in service. ``forks_needed``: the number to set when the raw-frame probe was refused for it."""
    steps = plan_moves(cables, plan, stacks)
    view = _View(cables, plan, probes, steps, forks_needed, stacks)
    judged = tuple(view.pair(planned) for planned in plan if planned.in_service)
    homes = {desk: f"pair {planned.pair}" for planned in plan for desk in (planned.a, planned.b)}
    homes |= {desk: f"stack {stack.name}" for stack in stacks for desk in stack.members}
    of_stacks = StackJudge(cables, homes, view.advice)
    found = tuple(of_stacks.judge(stack) for stack in stacks if stack.in_service)
    alone = {name: tuple(view.lone(name)) for name in sorted(probes, key=natural) if name not in homes}
    return Judgement(judged, tuple(view.edge(edge) for edge in cables.edges), steps, alone, found)


class _View:
    """Look-ups into one map, so that judging two hundred desks stays linear."""

    def __init__(
        self,
        cables: CableMap,
        plan: Sequence[PlannedCable],
        probes: Mapping[str, CableProbe],
        steps: Sequence[Step],
        forks_needed: int | None,
        stacks: Sequence[PlannedStack] = (),
    ) -> None:
        self.cables, self.probes, self.forks_needed = cables, probes, forks_needed
        self.stack_of = {desk: stack for stack in stacks for desk in stack.members}
        self.stack_edges = stack_edges(cables, stacks)
        self.home = {desk: planned for planned in plan for desk in (planned.a, planned.b)}
        self.edges: dict[str, list[Edge]] = {}
        for edge in cables.edges:
            for desk in sorted({edge.a.desk, edge.b.desk}):
                self.edges.setdefault(desk, []).append(edge)
        self.strangers = _by_desk(cables.strangers)
        self.shared = _by_desk(cables.shared)
        self.unseen = _by_desk(cables.unseen)
        self.dark: dict[str, list[End]] = {}
        for end in cables.dark:
            self.dark.setdefault(end.desk, []).append(end)
        self.plugs = {plug.at: plug.eeprom for plug in cables.plugs}
        self.unread = cables.unread or {}
        self.advice: dict[str, list[Step]] = {}
        for step in steps:
            for pair in step.pairs:
                self.advice.setdefault(pair, []).append(step)
        self.rings: Mapping[str, Ring] = {
            pair: ring
            for pair, ring in rings(cables, [planned for planned in plan if planned.in_service]).items()
            if ring.third not in self.stack_of
        }
        self.advised: set[str] = set()
        self.crossed: set[str] = set()

    # ---- one pair

    def pair(self, planned: PlannedCable) -> PairCabling:
        """The findings of a pair: first its own cable, then whatever else its cages hold."""
        own = [edge for edge in self.edges.get(planned.a, ()) if joins(edge.ends, planned)]
        ring = self.rings.get(planned.pair)
        good = [edge for edge in own if is_good(edge.ends, planned) or (ring is not None and edge == ring.own)]
        found: list[Finding] = []
        allowed, proven, chosen = True, False, None
        if own:
            chosen = min(own, key=lambda edge: (edge not in good, edge.one_sided, edge.a.port))
            proven = not chosen.one_sided
            found += self._joined(planned, own, good, chosen)
        if ring is not None:
            found.append(self._ring(planned, ring))
        wrong = self._leading_away(planned, bool(own))
        found += wrong
        if not own:
            missing, allowed = self._not_joined(planned, bool(wrong))
            found += missing
        ports: dict[str, int | None]
        if chosen is not None:
            ports = {planned.a: chosen.at(planned.a).port, planned.b: chosen.at(planned.b).port}
        else:
            ports = {desk: self._likely_port(desk) if allowed else None for desk in (planned.a, planned.b)}
            allowed = allowed and None not in ports.values()
        found += self._parts(planned, ports)
        return PairCabling(planned.pair, proven, allowed, ports, tuple(found))

    def _joined(self, planned: PlannedCable, own: Sequence[Edge], good: Sequence[Edge], chosen: Edge) -> list[Finding]:
        where = Where(pair=planned.pair)
        evidence = self._evidence(chosen)
        found = []
        if chosen.one_sided:
            saw = ", ".join(chosen.seen_by)
            blind = next(desk for desk in (planned.a, planned.b) if desk not in chosen.seen_by)
            message = f"pair {planned.pair}: {saw} saw {chosen.other(saw)} behind {chosen.at(saw)}, {blind} saw nothing"
            found.append(finding("CABLE_ONE_SIDED", where, message, evidence=evidence))
        if chosen not in good:
            first, second = chosen.at(planned.a), chosen.at(planned.b)
            message = (
                f"pair {planned.pair}: the cable joins {place(first)} to {place(second)}; the pair works, but its interfaces are named "
                f"differently on the two desks{self._advice(planned)}"
            )
            found.append(finding("CABLE_WRONG_PORT", where, message, evidence=evidence))
        elif not chosen.one_sided:
            proof = _proof(chosen)
            message = f"pair {planned.pair}: {chosen.a} and {chosen.b} are joined ({proof})"
            found.append(finding("CABLE_OK", where, message, evidence=evidence))
        if len(own) > 1:
            listed = "; ".join(f"{edge.a} - {edge.b}" for edge in own)
            message = f"pair {planned.pair} has {len(own)} cables: {listed}"
            found.append(finding("CABLE_DOUBLE", where, message, evidence={"cables": [_ends(edge) for edge in own]}))
        return found

    def _ring(self, planned: PlannedCable, ring: Ring) -> Finding:
        """The other two cables of a ring of three: named, not ordered out."""
        told = " and ".join(f"{edge.a} - {edge.b}" for edge in ring.others)
        away = "" if is_good(ring.own.ends, planned) else f", where swapping the two plugs of {planned.b} gives it cages of one number"
        message = (
            f"pair {planned.pair}: its desks and {ring.third} are joined in a ring of three cables: plan the three as a ring (a child of "
            f"spark_stacks with spark_topology: ring), or keep the pair, which uses {ring.own.a} - {ring.own.b}{away}; "
            f"{told} belong to the ring and are left alone"
        )
        evidence = {"third": ring.third, "cables": [self._evidence(edge) for edge in ring.edges]}
        return finding("CABLE_RING", Where(pair=planned.pair), message, evidence=evidence)

    def _leading_away(self, planned: PlannedCable, served: bool) -> list[Finding]:
        """Findings for cables of the pair's desks that do not join them."""
        found: list[Finding] = []
        other_pair = None if served else self._crossed_with(planned)
        if other_pair is not None:
            edges = [edge for desk in (planned.a, planned.b) for edge in self.edges[desk]]
            message = (
                f"pairs {planned.pair} and {other_pair.pair} have swapped cables: "
                f"{'; '.join(f'{edge.a} is joined to {edge.b}' for edge in edges)}.{self._advice(planned, ' ')}"
            )
            if other_pair.pair in self.crossed:
                # Told once, with the hand movement; the other pair only points there.
                message = f"pair {planned.pair} has swapped cables with pair {other_pair.pair}, whose finding says what to do"
            self.crossed.add(planned.pair)
            return [
                finding(
                    "CABLE_CROSSED",
                    Where(pair=planned.pair),
                    message,
                    evidence={"other_pair": other_pair.pair, "cables": [self._evidence(edge) for edge in edges]},
                )
            ]
        for desk in (planned.a, planned.b):
            for edge in self.edges.get(desk, ()):
                if joins(edge.ends, planned) or (planned.pair in self.rings and edge in self.rings[planned.pair].others):
                    continue
                here = edge.at(desk)
                where = Where(pair=planned.pair, desk=desk, port=here.port)
                if edge.looped:
                    message = f"{desk}: one cable joins its two QSFP cages{self._advice(planned)}"
                    severity = "warn" if served else None
                    found.append(
                        finding("CABLE_LOOPED", Where(planned.pair, desk), message, evidence=self._evidence(edge), severity=severity)
                    )
                    continue
                there = edge.other(desk)
                peer = planned.b if desk == planned.a else planned.a
                home = self.home.get(there.desk)
                stack = self.stack_of.get(there.desk)
                belongs = f"of pair {home.pair}" if home else f"of stack {stack.name}" if stack else "which is not in a pair"
                if edge.hearsay(desk) and served:
                    continue
                if edge.hearsay(desk):
                    # Another desk's word alone: nobody is sent to these plugs for it.
                    message = f"{there} {belongs} saw {here} behind it, but {desk} saw nobody there; {peer} was expected"
                    found.append(finding("CABLE_ONE_SIDED", where, message, evidence={**self._evidence(edge), "expected": peer}))
                elif served:
                    message = f"{place(here)} is joined to {there} {belongs}, in addition to the pair's own cable{self._advice(planned)}"
                    found.append(finding("CABLE_UNPLANNED", where, message, evidence=self._evidence(edge)))
                else:
                    message = f"{place(here)} is joined to {there} {belongs}, {peer} was expected{self._advice(planned)}"
                    found.append(finding("CABLE_WRONG_PEER", where, message, evidence={**self._evidence(edge), "expected": peer}))
            for stranger in self.strangers.get(desk, ()):
                found.append(self._stranger(planned, stranger, served))
            found += [self._switch(planned, desk, shared) for shared in self.shared.get(desk, ())]
        return found

    def _switch(self, planned: PlannedCable, desk: str, shared: Shared) -> Finding:
        others = ", ".join(str(end) for end in shared.others)
        evidence: dict[str, Any] = {"behind": others}
        also = ""
        if shared.stranger is not None:
            told = f", which calls itself {', '.join(shared.stranger.told)}" if shared.stranger.told else ""
            also = f" and {who(shared.stranger.macs, shared.stranger.vendors)}{told}"
            evidence |= {"macs": list(shared.stranger.macs), "vendors": list(shared.stranger.vendors), "told": list(shared.stranger.told)}
        message = (
            f"{place(shared.at)}: more than one device answers behind it ({others}{also}), so a switch or bridge is between: plan the "
            "desks as a "
            f"stack on a switch (a child of spark_stacks with spark_topology: switch), or take the plugs of {planned.a} and {planned.b} "
            "out of "
            "the switch and join the two with a cable of their own"
        )
        return finding("CABLE_SWITCH", Where(planned.pair, desk, shared.at.port), message, evidence=evidence)

    def _stranger(self, planned: PlannedCable, stranger: Any, served: bool) -> Finding:
        desk = stranger.at.desk
        peer = planned.b if desk == planned.a else planned.a
        seen = who(stranger.macs, stranger.vendors)
        told = f", it calls itself {', '.join(stranger.told)}" if stranger.told else ""
        where = Where(planned.pair, desk, stranger.at.port)
        evidence = {"macs": list(stranger.macs), "vendors": list(stranger.vendors), "told": list(stranger.told), "expected": peer}
        silent = [] if self._is_known(peer) else sorted(self.unread, key=natural)
        if silent and not served:
            # The pair's other desk is the likeliest; an earlier run or the device itself may name one.
            named = [name for name in silent if any(name == item.partition(" (")[0] for item in stranger.told)]
            likely = named or [name for name in silent if name == peer] or silent
            may_be = f"It may be {_one_of(likely)}, whose cages were not read in this run"
            message = f"{place(stranger.at)}: an unknown device answered: {seen}{told}. {may_be}"
            remedy = (
                f"First fix what the findings of {_one_of(likely)} say (why it was not read), then run again; leave the cable as it is."
            )
            evidence = {**evidence, "silent": silent[:20], "follows_from": likely[:20]}
            return finding("CABLE_UNKNOWN_PEER", where, message, evidence=evidence, severity="unknown", remedy=remedy)
        if self.unread and not served:
            others = _one_of(sorted(self.unread, key=natural))
            message = f"{place(stranger.at)}: an unknown device answered: {seen}{told}; {peer} was expected, and it is not {peer}"
            message += f". It may be {others}, whose cages were not read in this run{self._advice(planned)}"
            remedy = f"Follow the cable, take out the plug at its other end and put it into {peer}; then reboot {desk} and {peer}."
            return finding("CABLE_UNKNOWN_PEER", where, message, evidence=evidence, remedy=remedy)
        message = f"{place(stranger.at)}: a device that is not in the inventory answered: {seen}{told}; "
        message += "the pair also has its own cable" if served else f"{peer} was expected{self._advice(planned)}"
        return finding("CABLE_UNKNOWN_PEER", where, message, evidence=evidence, severity="note" if served else None)

    def _not_joined(self, planned: PlannedCable, proven_wrong: bool) -> tuple[list[Finding], bool]:
        """Why no cable of the pair was seen; and whether a link may be configured all the same (nothing speaks against it)."""
        found: list[Finding] = []
        certain = proven_wrong and not self._only_doubts(planned)
        for desk in (planned.a, planned.b):
            busy = bool(self.edges.get(desk) or self.strangers.get(desk) or self.shared.get(desk))
            if desk in self.unread:
                message = f"{desk}: {REASONS['desk_unread']}: {self.unread[desk]}"
                evidence = {"reason": "desk_unread", "follows_from": [desk]}
                found.append(finding("CABLE_NOT_SEEN", Where(planned.pair, desk), message, evidence=evidence))
                continue
            hidden = [item for item in self.unseen.get(desk, ()) if item.plugged is not False]
            if busy:
                continue
            if hidden:
                found.append(self._hidden(planned, desk, hidden))
            elif self._switched_off(planned.b if desk == planned.a else planned.a):
                message = f"{desk}: no signal, but {REASONS['peer_down']}"
                found.append(finding("CABLE_NOT_SEEN", Where(planned.pair, desk), message, evidence={"reason": "peer_down"}))
            elif self._peer_may_be_off(planned, desk):
                message = f"{desk}: no signal, but {REASONS['peer_off']}"
                evidence = {"reason": "peer_off", "follows_from": [planned.b if desk == planned.a else planned.a]}
                found.append(finding("CABLE_NOT_SEEN", Where(planned.pair, desk), message, evidence=evidence))
            else:
                found.append(self._dark(planned, desk))
                certain = True
        silent = any(desk in self.unread for desk in (planned.a, planned.b))
        return found, not certain and not silent

    def _switched_off(self, desk: str) -> bool:
        hidden = self.unseen.get(desk, ())
        return any(item.reason == "function_down" for item in hidden)

    def _peer_may_be_off(self, planned: PlannedCable, desk: str) -> bool:
        """Whether a missing signal may come from the silent other desk. An adapter that sees no plug at all is another matter."""
        probe = self.probes.get(desk)
        peer = planned.b if desk == planned.a else planned.a
        return peer in self.unread and not (probe is not None and probe.nic_present is False)

    def _only_doubts(self, planned: PlannedCable) -> bool:
        """Whether what leads away is nothing but strangers that may be the pair's other desk."""
        desks = (planned.a, planned.b)
        if any(self.edges.get(desk) or self.shared.get(desk) for desk in desks):
            return False
        return bool(self.unread) and not all(self._is_known(desk) for desk in desks)

    def _is_known(self, desk: str) -> bool:
        """Whether the desk's cages were read, so that a stranger cannot be this desk."""
        probe = self.probes.get(desk)
        if desk in self.unread or probe is None:
            return False
        cages = {port.port for port in probe.ports if any(function.mac for function in port.functions)}
        return probe.nic_present is False or cages == {0, 1}

    def _hidden(self, planned: PlannedCable, desk: str, hidden: Sequence[Unseen]) -> Finding:
        where = Where(planned.pair, desk, hidden[0].at.port if len(hidden) == 1 else None)
        plugged = [item for item in hidden if item.plugged] or list(hidden)
        reason = plugged[0].reason
        cages = " and ".join(str(item.at.port) for item in plugged)
        message = f"{desk} port {cages}: it is not known where the cable goes: {REASONS[reason]}"
        evidence = {"reason": reason, "ports": [item.at.port for item in plugged], "methods": self._methods(desk)}
        told = self._tools(desk) if reason == "no_tools" else ""
        message += f" ({told})" if told else ""
        if reason == "needs_forks":
            number = f"; run with -f {self.forks_needed}" if self.forks_needed else ""
            return finding("CABLE_PROBE_NEEDS_FORKS", where, message + number, evidence=evidence)
        return finding("CABLE_NOT_SEEN", where, message, evidence=evidence)

    def _dark(self, planned: PlannedCable, desk: str) -> Finding:
        probe = self.probes.get(desk)
        plugged = [end for end in self.dark.get(desk, ()) if end in self.plugs]
        evidence: dict[str, Any] = {"ports": [end.port for end in self.dark.get(desk, ())]}
        if probe is not None and probe.nic_present is False:
            evidence.update(hotplug_enabled=probe.hotplug_enabled, powered=probe.powered)
            if probe.powered:
                why = "the ConnectX-7 is powered but not on the PCI bus: this is a fault, not a missing cable"
            elif probe.powered is False:
                why = "no cable is detected in either cage, so the desk has powered its ConnectX-7 off (hotplug power saving)"
            else:
                why = "the desk shows no ConnectX-7 at all"
        elif plugged:
            why = f"a plug is in {' and '.join(place(end) for end in plugged)}, but there is no signal"
        else:
            why = "no signal at either QSFP cage: no cable, a plug that is not fully in, or the other desk is off"
        message = f"{desk}: {why}{self._advice(planned)}"
        return finding("CABLE_DARK", Where(planned.pair, desk), message, evidence=evidence)

    def _parts(self, planned: PlannedCable, ports: Mapping[str, int | None]) -> list[Finding]:
        found = []
        told: set[tuple[str | None, str | None]] = set()
        for desk, port in ports.items():
            plug = self.plugs.get(End(desk, port)) if port is not None else None
            if plug is None or not plug.part:
                continue
            listed = known_part(plug.vendor, plug.part)
            if (listed and listed.approved) or (plug.vendor, plug.part) in told:
                continue
            told.add((plug.vendor, plug.part))
            more = "owners report that it works" if listed else "no reports about it are known"
            message = (
                f"{desk} port {port}: the cable is {plug.vendor or 'from an unnamed vendor,'} {plug.part}, not on NVIDIA's list; {more}"
            )
            evidence = {"vendor": plug.vendor, "part": plug.part, "reported_working": bool(listed)}
            found.append(finding("CABLE_UNAPPROVED", Where(planned.pair, desk, port), message, evidence=evidence))
        return found

    # ---- desks of no pair, edges

    def lone(self, desk: str) -> list[Finding]:
        """Findings of a desk that is in no pair: only what is odd about its own cages."""
        found = []
        for edge in self.edges.get(desk, ()):
            if edge.looped:
                message = f"{desk}: one cable joins its two QSFP cages"
                found.append(finding("CABLE_LOOPED", Where(desk=desk), message, evidence=self._evidence(edge), severity="warn"))
        for stranger in self.strangers.get(desk, ()):
            message = f"{place(stranger.at)}: an unknown device answered: {who(stranger.macs, stranger.vendors)}"
            evidence = {"macs": list(stranger.macs), "vendors": list(stranger.vendors), "told": list(stranger.told)}
            found.append(
                finding("CABLE_UNKNOWN_PEER", Where(desk=desk, port=stranger.at.port), message, evidence=evidence, severity="note")
            )
        for item in self.unseen.get(desk, ()):
            if item.plugged:
                message = f"{item.at}: it is not known where the cable goes: {REASONS[item.reason]}"
                where = Where(desk=desk, port=item.at.port)
                found.append(finding("CABLE_NOT_SEEN", where, message, evidence={"reason": item.reason}, severity="note"))
        return found

    def edge(self, edge: Edge) -> dict[str, Any]:
        """A cable with its verdict, for the report and the picture."""
        first, second = self.home.get(edge.a.desk), self.home.get(edge.b.desk)
        verdict, pair = "wrong", None
        if edge.ends in self.stack_edges:
            verdict, name = self.stack_edges[edge.ends]
            return {**self._evidence(edge), "verdict": verdict, "pair": name}
        ring = next((item for item in self.rings.values() if edge in item.edges), None)
        if ring is not None:
            return {
                **self._evidence(edge),
                "verdict": "ok" if edge == ring.own else "unplanned",
                "pair": ring.pair if edge == ring.own else None,
            }
        if edge.looped:
            verdict = "looped"
        elif first is not None and first is second:
            pair = first.pair
            verdict = "one_sided" if edge.one_sided else "ok" if is_good(edge.ends, first) else "wrong_port"
        elif first is None and second is None and not {edge.a.desk, edge.b.desk} & set(self.stack_of):
            verdict = "unplanned"
        return {**self._evidence(edge), "verdict": verdict, "pair": pair}

    # ---- help

    def _crossed_with(self, planned: PlannedCable) -> PlannedCable | None:
        """The pair with which this one has exchanged its desks, null when it is not exactly that."""
        partners = []
        for desk in (planned.a, planned.b):
            edges = self.edges.get(desk, ())
            if len(edges) != 1 or edges[0].looped:
                return None
            partners.append(edges[0].other(desk).desk)
        homes = [self.home.get(desk) for desk in partners]
        other = homes[0]
        if other is None or other is planned or homes[1] is not other or partners[0] == partners[1] or not other.in_service:
            return None
        return other if all(len(self.edges.get(desk, ())) == 1 for desk in partners) else None

    def _advice(self, planned: PlannedCable, lead: str = ". ") -> str:
        """What hands should do, told once for each pair: with its first finding that has to do with it."""
        steps = self.advice.get(planned.pair)
        if not steps or planned.pair in self.advised:
            return ""
        self.advised.add(planned.pair)
        return lead + " ".join([*(step.sentence for step in steps), reboot_sentence(touched(steps))]).rstrip()

    def _likely_port(self, desk: str) -> int | None:
        """The one cage that surely holds a cable of which nothing more is known."""
        plugged = {item.at.port for item in self.unseen.get(desk, ()) if item.plugged}
        plugged |= {item.at.port for item in self.strangers.get(desk, ())}
        plugged |= {end.port for end in self.dark.get(desk, ()) if end in self.plugs}
        return plugged.pop() if len(plugged) == 1 else None

    def _tools(self, desk: str) -> str:
        """What a tool said when it could not be used."""
        probe = self.probes.get(desk)
        reasons = [item.reason for port in probe.ports for item in port.functions if item.reason] if probe else []
        return reasons[0] if reasons else ""

    def _methods(self, desk: str) -> list[str]:
        probe = self.probes.get(desk)
        return sorted({name for port in probe.ports for item in port.functions for name in item.methods}) if probe else []

    def _evidence(self, edge: Edge) -> dict[str, Any]:
        return {
            "ends": _ends(edge),
            "methods": list(edge.methods),
            "seen_by": list(edge.seen_by),
            "one_sided": edge.one_sided,
            "vendor": edge.vendor,
            "part": edge.part,
        }


def _by_desk(items: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(item.at.desk, []).append(item)
    return found


def _ends(edge: Edge) -> list[dict[str, Any]]:
    return [{"desk": end.desk, "port": end.port} for end in edge.ends]


def _proof(edge: Edge) -> str:
    words = {
        "ipv6": "MAC addresses by IPv6",
        "lldp": "MAC addresses by LLDP",
        "frame": "MAC addresses in raw frames",
        "serial": "equal serial",
    }
    how = ", ".join(words.get(method, method) for method in edge.methods)
    if not edge.seen_by:
        return how
    return f"seen by {' and '.join(edge.seen_by)}: {how}"


def _one_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}"


# ---- between two runs --------------------------------------------------------------------------------------------------


def snapshot(cables: CableMap, edges: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the next run needs to tell a moved cable: the edges, the cages without a cable, and whose MAC is whose."""
    return {
        "edges": [dict(edge) for edge in edges],
        "dark": [[end.desk, end.port] for end in cables.dark],
        "macs": {mac: list(place_of) for mac, place_of in (cables.macs or {}).items()},
    }


def moved(before: Mapping[str, Any], cables: CableMap, plan: Sequence[PlannedCable], stacks: Sequence[PlannedStack] = ()) -> list[Finding]:
    """What changed since the previous run (its ``snapshot``), one finding for each cable that is new, moved or gone.

    Only cages that are known both times are compared: a desk that did not answer has not moved its cable.
    """
    was: dict[End, End | None] = {End(str(desk), int(port)): None for desk, port in before.get("dark") or ()}
    for item in before.get("edges") or ():
        ends = [End(str(end["desk"]), int(end["port"])) for end in item.get("ends") or ()]
        if len(ends) == 2:
            was[ends[0]], was[ends[1]] = ends[1], ends[0]
    home = {desk: planned.pair for planned in plan for desk in (planned.a, planned.b)}
    home |= {desk: stack.name for stack in stacks for desk in stack.members}
    found: list[Finding] = []
    fresh: set[End] = set()
    for edge in cables.edges:
        told = [end for end in edge.ends if end in was and was[end] != edge.other_end(end)]
        if not told:
            continue
        fresh.update(edge.ends)
        earlier = "; ".join(f"{end} was {_joined_with(was[end])}" for end in told)
        message = f"{earlier}; now {edge.a} and {edge.b} are joined. {WARNING_13G}"
        evidence = {"was": {str(end): _joined_with(was[end]) for end in told}, "is": f"{edge.a} - {edge.b}"}
        found.append(finding("CABLE_MOVED", Where(home.get(edge.a.desk), edge.a.desk, edge.a.port), message, evidence=evidence))
    dark = set(cables.dark)
    for end in sorted(dark & set(was), key=end_key):
        other = was[end]
        if other is None or other in fresh or (other in dark and end_key(other) < end_key(end)):
            continue
        message = f"{end} was {_joined_with(other)}; now it has no signal"
        evidence = {"was": {str(end): _joined_with(other)}, "is": "no signal"}
        found.append(finding("CABLE_MOVED", Where(home.get(end.desk), end.desk, end.port), message, evidence=evidence))
    return found


def _joined_with(other: End | None) -> str:
    return f"joined to {other}" if other else "without a cable"
