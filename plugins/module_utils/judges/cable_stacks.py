# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cable map held against planned rings and stacks on a switch: findings, and what may be configured. Pure.

A stack may be linked when its cabling was proven from both sides, and not before: its desks share networks, so a plug in the wrong place
would join what does not belong together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.cable import CableMap, Edge, End, PlannedStack, Step
from ..model.finding import Finding, Where
from .cable_map import REASONS, end_key, natural, who
from .cable_moves import place, reboot_sentence, touched
from .cable_rings import closed_rings, is_official
from .cable_switch import sightings, switch_at, switches
from .catalogue import finding

RING = "ring"
NO_CAGE_BUT_THIS = "one cable for each desk"

SINGLE_BRIDGE = ("mikrotik",)
"""Vendors (in LLDP names or MAC addresses) whose switches forward in hardware within one bridge only."""


@dataclass(frozen=True)
class StackCabling:
    """What the map says of one ring or switch stack."""

    stack: str
    proven: bool
    """Seen from both sides to be joined as planned."""
    ports: Mapping[str, Mapping[str, int]]
    """Desk to the cage that leads to each other member, as far as it was seen."""
    findings: tuple[Finding, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether a link may be configured."""
        return self.proven and not any(item.severity in ("fail", "unknown") for item in self.findings)


class StackJudge:
    """Look-ups into one map for all planned stacks."""

    def __init__(self, cables: CableMap, homes: Mapping[str, str], advice: Mapping[str, Sequence[Step]]) -> None:
        self.cables, self.homes, self.advice = cables, homes, advice
        self.edges: dict[str, list[Edge]] = {}
        for edge in cables.edges:
            for desk in sorted({edge.a.desk, edge.b.desk}):
                self.edges.setdefault(desk, []).append(edge)
        self.seen = sightings(cables)
        self.switches = switches(cables)
        self.switch_at = switch_at(self.switches)
        self.dark = set(cables.dark)
        self.unread = cables.unread or {}
        self.told: set[str] = set()

    def judge(self, stack: PlannedStack) -> StackCabling:
        """One planned stack."""
        return self._ring(stack) if stack.topology == RING else self._switch(stack)

    # ---- a ring

    def _ring(self, stack: PlannedStack) -> StackCabling:
        where = Where(pair=stack.name)
        closed = closed_rings(self.cables, stack.members)
        if closed:
            ring = closed[0]
            ports: dict[str, dict[str, int]] = {name: {} for name in stack.members}
            for edge in ring:
                for end in edge.ends:
                    ports[end.desk][edge.other(end.desk).desk] = end.port
            told = "; ".join(f"{edge.a} - {edge.b}" for edge in ring)
            evidence = {"cables": [_shown(edge) for edge in ring], "official": is_official(ring)}
            found = [finding("CABLE_OK", where, f"stack {stack.name}: a ring of three cables: {told}", evidence=evidence)]
            if not is_official(ring):
                message = f"stack {stack.name}: the ring is closed, though not each cable goes from a port 0 to a port 1: {told}"
                found.append(finding("CABLE_RING_WIRING", where, message, evidence=evidence))
            return StackCabling(stack.name, True, ports, tuple(found))
        found = [*self._unknown(stack), *self._on_a_switch(stack), *self._not_closed(stack), *self._leading_away(stack)]
        return StackCabling(stack.name, False, {}, tuple(found))

    def _not_closed(self, stack: PlannedStack) -> list[Finding]:
        """Doubled and missing cables between the members."""
        found = []
        for one, other in itertools.combinations(stack.members, 2):
            edges = [edge for edge in self.edges.get(one, ()) if {edge.a.desk, edge.b.desk} == {one, other}]
            where, both = Where(pair=stack.name), f"{one} and {other}"
            if len(edges) > 1:
                told = "; ".join(f"{edge.a} - {edge.b}" for edge in edges)
                message = f"stack {stack.name}: {len(edges)} cables join {both} ({told}); a ring has one{self._advice(stack)}"
                found.append(
                    finding("CABLE_DOUBLE", where, message, evidence={"cables": [_shown(edge) for edge in edges]}, severity="fail")
                )
            elif edges and edges[0].one_sided:
                edge = edges[0]
                saw = ", ".join(edge.seen_by)
                message = f"stack {stack.name}: {saw} saw {edge.other(saw)} behind {edge.at(saw)}, which itself saw nobody"
                found.append(finding("CABLE_ONE_SIDED", where, message, evidence=_shown(edge)))
            elif not edges and not {one, other} & set(self.unread) and not self._hidden({one, other}):
                dark = [end for end in sorted(self.dark, key=end_key) if end.desk in (one, other)]
                why = f" (no signal at {', '.join(map(str, dark))})" if dark else ""
                message = f"stack {stack.name}: no cable of the ring joins {both}{why}{self._advice(stack)}"
                evidence = {"desks": [one, other], "dark": [str(end) for end in dark]}
                found.append(finding("CABLE_MISSING", where, message, evidence=evidence))
        return found

    def _leading_away(self, stack: PlannedStack) -> list[Finding]:
        """Cables of the members that do not join two of them."""
        found: list[Finding] = []
        for desk in stack.members:
            for edge in self.edges.get(desk, ()):
                there = edge.other(desk)
                if edge.looped:
                    message = f"{desk}: one cable joins its two QSFP cages{self._advice(stack)}"
                    found.append(finding("CABLE_LOOPED", Where(stack.name, desk), message, evidence=_shown(edge)))
                elif there.desk not in stack.members and edge.hearsay(desk):
                    found.append(self._hearsay(stack, desk, edge))
                elif there.desk not in stack.members:
                    here = edge.at(desk)
                    message = f"{place(here)} is joined with {there} {self._belongs(there.desk)}; it belongs to the {stack.topology}"
                    message += f" of stack {stack.name}{self._advice(stack)}"
                    evidence = {**_shown(edge), "expected": [name for name in stack.members if name != desk]}
                    found.append(finding("CABLE_WRONG_PEER", Where(stack.name, desk, here.port), message, evidence=evidence))
            found += [self._stranger(stack, item) for item in self.cables.strangers if item.at.desk == desk]
        return found

    def _on_a_switch(self, stack: PlannedStack) -> list[Finding]:
        found = []
        for shared in self.cables.shared:
            if shared.at.desk in stack.members:
                others = ", ".join(str(end) for end in shared.others)
                message = (
                    f"{place(shared.at)}: more than one device answers behind it ({others}); a ring has direct cables. Plan the desks as a "
                    "switch (spark_topology: switch), or join each two of them with a cable of their own"
                )
                found.append(
                    finding("CABLE_SWITCH", Where(stack.name, shared.at.desk, shared.at.port), message, evidence={"behind": others})
                )
        return found

    # ---- a switch

    def _switch(self, stack: PlannedStack) -> StackCabling:
        where = Where(pair=stack.name)
        found = self._unknown(stack)
        members = set(stack.members)
        cages = {desk: sorted(self._cages(desk, members), key=end_key) for desk in stack.members}
        doubled = {desk: ends for desk, ends in cages.items() if len(ends) > 1}
        for desk, ends in doubled.items():
            message = f"{desk}: both cages are joined with the desks of stack {stack.name}; a switch takes {NO_CAGE_BUT_THIS}"
            remedy = f"Take the plug out of {place(ends[-1])} and run again."
            found.append(
                finding(
                    "CABLE_DOUBLE", Where(stack.name, desk), message, evidence={"ports": [end.port for end in ends]}, severity="fail",
                    remedy=remedy,
                )
            )  # fmt: skip
        found += self._beside_the_switch(stack, cages)
        groups = self._groups(stack, cages)
        whole = len(groups) == 1
        ports: dict[str, dict[str, int]] = {desk: {} for desk in stack.members}
        for desk, ends in cages.items():
            for end in ends:
                ports[desk].update({other.desk: end.port for other in self.seen.get(end, ()) if other.desk in members})
        if not whole:
            found += self._apart(stack, groups)
        one_sided = [
            (one, other)
            for one, other in itertools.permutations(stack.members, 2)
            if whole and self._saw(one, other, cages) and not self._saw(other, one, cages)
        ]
        unseen = [
            (one, other)
            for one, other in itertools.combinations(stack.members, 2)
            if whole and not self._saw(one, other, cages) and not self._saw(other, one, cages)
        ]
        if one_sided or unseen:
            told = [f"{one} saw {other}, not the other way" for one, other in one_sided[:4]]
            told += [f"{one} and {other} did not see each other" for one, other in unseen[:4]]
            evidence = {"one_sided": one_sided, "unseen": unseen}
            found.append(finding("CABLE_ONE_SIDED", where, f"stack {stack.name}: {'; '.join(told)}", evidence=evidence))
        proven = whole and not one_sided and not unseen and not doubled
        if proven:
            found = [*self._joined(stack, cages), *found]
        return StackCabling(stack.name, proven, ports, tuple(found))

    def _saw(self, near: str, far: str, cages: Mapping[str, Sequence[End]]) -> bool:
        return any(self.seen.get(end, set()) & set(cages[far]) for end in cages[near])

    def _cages(self, desk: str, members: set[str]) -> set[End]:
        """The cages of a desk that saw another member, or that another member saw."""
        mine = {end for end, others in self.seen.items() if end.desk == desk and any(other.desk in members - {desk} for other in others)}
        return mine | {other for end, others in self.seen.items() if end.desk in members - {desk} for other in others if other.desk == desk}

    def _groups(self, stack: PlannedStack, cages: Mapping[str, Sequence[End]]) -> list[list[str]]:
        """The members that see each other, directly or through others; the largest group first."""
        left, groups = list(stack.members), []
        while left:
            group, queue = [], [left[0]]
            while queue:
                desk = queue.pop()
                if desk in left:
                    left.remove(desk)
                    group.append(desk)
                    queue += [other for other in left if self._saw(desk, other, cages) or self._saw(other, desk, cages)]
            groups.append(sorted(group, key=natural))
        return sorted(groups, key=lambda group: (-len(group), natural(group[0])))

    def _joined(self, stack: PlannedStack, cages: Mapping[str, Sequence[End]]) -> list[Finding]:
        where = Where(pair=stack.name)
        ends = [cages[desk][0] for desk in stack.members]
        switch = next((self.switch_at[end] for end in ends if end in self.switch_at), None)
        told = f", which calls itself {', '.join(switch.told)}" if switch and switch.told else ""
        evidence: dict[str, Any] = {"ports": {end.desk: end.port for end in ends}}
        if switch is not None:
            evidence |= {"told": list(switch.told), "macs": list(switch.macs)}
        listed = ", ".join(map(str, ends))
        found = [finding("CABLE_OK", where, f"stack {stack.name}: all see each other over a switch{told}: {listed}", evidence=evidence)]
        if switch is None:
            message = f"stack {stack.name}: {listed} see each other and nobody else: a switch that says nothing, or a direct cable"
            found = [finding("CABLE_OK", where, message, evidence=evidence)]
        if len({end.port for end in ends}) > 1:
            message = f"stack {stack.name}: the desks use cages of different numbers ({listed}); it works, NVIDIA uses the same on all"
            found.append(finding("CABLE_WRONG_PORT", where, message, evidence=evidence, severity="note"))
        if switch is None:
            return found
        others = [end for end in switch.ends if end.desk not in stack.members]
        if others:
            message = (
                f"stack {stack.name}: on the same switch are also {', '.join(f'{end} {self._belongs(end.desk)}' for end in others[:6])}"
            )
            found.append(finding("CABLE_SWITCH_SHARED", where, message, evidence={"others": [str(end) for end in others]}))
        named = " ".join((*switch.told, *switch.vendors)).casefold()
        if any(vendor in named for vendor in SINGLE_BRIDGE):
            message = (
                f"stack {stack.name}: the switch is a MikroTik ({', '.join(switch.told) or who(switch.macs, switch.vendors)}): it "
                "forwards at "
                "full speed within one bridge with hardware offload only"
            )
            found.append(finding("CABLE_SWITCH_BRIDGE", where, message, evidence=evidence))
        return found

    def _beside_the_switch(self, stack: PlannedStack, cages: Mapping[str, Sequence[End]]) -> list[Finding]:
        """Direct cables at desks that are on a switch: NVIDIA supports no mixture."""
        found = []
        for desk in stack.members:
            for edge in self.edges.get(desk, ()):
                here, there = edge.at(desk), edge.other(desk)
                on_the_switch = {end for end in cages[desk] if end in self.switch_at}
                if there.desk in stack.members and not on_the_switch and len(stack.members) == 2 and not edge.looped:
                    continue  # two desks on a switch that says nothing look like two desks on a cable
                if edge.looped:
                    message = f"{desk}: one cable joins its two QSFP cages; take one plug out and put it into the switch"
                    found.append(finding("CABLE_LOOPED", Where(stack.name, desk), message, evidence=_shown(edge)))
                    continue
                if there.desk in stack.members and desk != edge.a.desk:
                    continue  # told at the other end
                if there.desk not in stack.members and edge.hearsay(desk):
                    found.append(self._hearsay(stack, desk, edge))
                    continue
                only = "" if on_the_switch else f" Join {desk} with the switch by a cable of its own."
                message = (
                    f"{place(here)} and {there} {self._belongs(there.desk)} see only each other: a direct cable, or two ports of the "
                    "switch in a "
                    f"VLAN or bridge of their own; stack {stack.name} is planned on one switch, never mixed with direct cables. Take that "
                    f"cable out, or correct the switch's ports.{only}"
                )
                found.append(finding("CABLE_MIXED", Where(stack.name, desk, here.port), message, evidence=_shown(edge)))
            # Where another member saw the cage, the switch itself is the stranger, and the desk was late or deaf.
            unmet = [item for item in self.cables.strangers if item.at.desk == desk and item.at not in cages[desk]]
            found += [self._stranger(stack, item) for item in unmet]
        return found

    def _apart(self, stack: PlannedStack, groups: Sequence[Sequence[str]]) -> list[Finding]:
        """Members that do not see the others, and why."""
        main = groups[0]
        hidden = self._hidden(set(stack.members)) | set(self.unread)
        found = []
        for desk in (desk for group in (groups[1:] if len(main) > 1 else groups) for desk in group if desk not in hidden):
            dark = [end for end in sorted(self.dark, key=end_key) if end.desk == desk]
            cabled = any(edge for edge in self.edges.get(desk, ())) or any(item.at.desk == desk for item in self.cables.strangers)
            where = Where(stack.name, desk)
            with_whom = ", ".join(main) if len(main) > 1 else "any other member"
            beside = next((sorted(group) for group in groups[1:] if desk in group and len(group) > 1), [])
            if len(dark) == 2:
                message = (
                    f"{desk} has no signal at either cage: put its plug fully in and into a port of the switch that is switched on, where "
                    f"{with_whom} is"
                )
                found.append(finding("CABLE_DARK", where, message, evidence={"ports": [end.port for end in dark]}))
            elif not cabled or beside:
                company = f" (it sees {', '.join(name for name in beside if name != desk)})" if beside else ""
                message = (
                    f"{desk} has a signal but does not see {with_whom}{company}: its port of the switch is in another VLAN or bridge, or "
                    "on "
                    "another switch"
                )
                found.append(finding("CABLE_SWITCH_APART", where, message, evidence={"groups": [list(group) for group in groups]}))
        return found

    # ---- both

    def _unknown(self, stack: PlannedStack) -> list[Finding]:
        """Members that gave no answer, and cages of which it is not known where their cable goes."""
        found = []
        for desk in stack.members:
            if desk in self.unread:
                message = f"{desk}: {REASONS['desk_unread']}: {self.unread[desk]}"
                evidence = {"reason": "desk_unread", "follows_from": [desk]}
                found.append(finding("CABLE_NOT_SEEN", Where(stack.name, desk), message, evidence=evidence))
        for item in self.cables.unseen:
            if item.at.desk in stack.members and item.plugged is not False and not self._silent_port(stack, item.at):
                message = f"{item.at}: it is not known where the cable goes: {REASONS[item.reason]}"
                where = Where(stack.name, item.at.desk, item.at.port)
                code = "CABLE_PROBE_NEEDS_FORKS" if item.reason == "needs_forks" else "CABLE_NOT_SEEN"
                found.append(finding(code, where, message, evidence={"reason": item.reason}))
        return found

    def _silent_port(self, stack: PlannedStack, end: End) -> bool:
        """Whether nobody answering at a cage with a signal means a port of the switch that leads to none of the members.

        So it is when every method was tried there and the members that are on the switch do see each other.
        """
        reasons = {item.at: item.reason for item in self.cables.unseen}
        if stack.topology == RING or reasons.get(end) != "no_answer":
            return False
        return any(self.seen.get(other) for other in self.seen if other.desk in stack.members and other.desk != end.desk)

    def _hidden(self, desks: set[str]) -> set[str]:
        """Those of the desks that have a cage of which nobody can say where its cable goes."""
        return {item.at.desk for item in self.cables.unseen if item.at.desk in desks and item.plugged is not False} - {
            item.at.desk for item in self.cables.unseen if item.reason == "no_answer"
        }

    def _hearsay(self, stack: PlannedStack, desk: str, edge: Edge) -> Finding:
        """What only a desk outside says of a cage of the stack: nobody is sent to its plug for it."""
        here, there = edge.at(desk), edge.other(desk)
        message = f"{there} {self._belongs(there.desk)} saw {here} of stack {stack.name} behind it, but {desk} saw nobody there"
        return finding("CABLE_ONE_SIDED", Where(stack.name, desk, here.port), message, evidence=_shown(edge))

    def _stranger(self, stack: PlannedStack, stranger: Any) -> Finding:
        seen = who(stranger.macs, stranger.vendors)
        told = f", it calls itself {', '.join(stranger.told)}" if stranger.told else ""
        evidence = {"macs": list(stranger.macs), "vendors": list(stranger.vendors), "told": list(stranger.told)}
        silent = sorted(self.unread, key=natural)
        silent = [name for name in silent if name in stack.members] or silent
        where = Where(stack.name, stranger.at.desk, stranger.at.port)
        if silent:
            may_be = f"it may be one of {', '.join(silent[:6])}, whose cages were not read in this run"
            evidence = {**evidence, "follows_from": silent[:20]}
            message = f"{place(stranger.at)}: an unknown device responded: {seen}{told}; {may_be}"
            remedy = "Fix first what the findings of these desks say, then run again; leave the cable as it is."
            return finding("CABLE_UNKNOWN_PEER", where, message, evidence=evidence, severity="unknown", remedy=remedy)
        if stack.topology != RING:
            message = f"{place(stranger.at)}: only {seen}{told} answers behind it, none of the stack's other desks"
            remedy = (
                "Look at the switch: the desks' ports belong into one bridge and one VLAN, switched on. Or move the plug to the switch "
                "of the "
                "others. Then run again."
            )
            return finding("CABLE_SWITCH_APART", where, message, evidence=evidence, remedy=remedy)
        message = f"{place(stranger.at)}: a device that is not a desk of the inventory responded: {seen}{told}{self._advice(stack)}"
        return finding("CABLE_UNKNOWN_PEER", where, message, evidence=evidence)

    def _belongs(self, desk: str) -> str:
        home = self.homes.get(desk)
        return f"of {home}" if home else "which is in no stack"

    def _advice(self, stack: PlannedStack) -> str:
        """What hands should do, told once for each stack."""
        steps = self.advice.get(stack.name)
        if not steps or stack.name in self.told:
            return ""
        self.told.add(stack.name)
        return ". " + " ".join([*(step.sentence for step in steps), reboot_sentence(touched(steps))]).rstrip()


def _shown(edge: Edge) -> dict[str, Any]:
    return {
        "ends": [{"desk": end.desk, "port": end.port} for end in edge.ends],
        "methods": list(edge.methods),
        "seen_by": list(edge.seen_by),
        "one_sided": edge.one_sided,
    }


def stack_edges(cables: CableMap, stacks: Iterable[PlannedStack]) -> dict[tuple[End, End], tuple[str, str]]:
    """Each cable of a ring's desks to its verdict and its stack: ok where it belongs to the closed ring."""
    found: dict[tuple[End, End], tuple[str, str]] = {}
    for stack in stacks:
        closed = {edge.ends for ring in closed_rings(cables, stack.members) for edge in ring} if stack.topology == RING else set()
        for edge in cables.edges:
            if edge.a.desk in stack.members and edge.b.desk in stack.members and not edge.looped:
                good = edge.ends in closed or (stack.topology != RING and len(stack.members) == 2)
                found[edge.ends] = ("ok" if good else "one_sided" if edge.one_sided else "wrong", stack.name)
    return found
