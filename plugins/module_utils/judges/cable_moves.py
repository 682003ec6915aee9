# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fewest hand movements that turn a lab's cabling into the planned one. Pure.

The plan is met when each judged pair has a cable between cages of the same number, each judged ring is closed, and no judged desk
carries a cable that leads elsewhere. Pairs come first, then each ring with the cables that are left. What is counted are plugs that are
put into another cage; a surplus cable that is only taken out moves none.

Why the result is the smallest: a cable in its place stays (moving it would cost at least one plug more than it saves, because
a desk is in one pair). Each other pair costs one plug when it gets a cable that already ends at one of its desks, else two,
so the most pairs must get such a cable: a largest matching of pairs with cables. The target cage of such a plug is never
held by a cable that stays, since that would be a cable of the same pair.

Pairs of which a cage was not seen are left alone: a movement advised on half knowledge may break what works.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..model.cable import PORTS, POSITIONS, CableMap, Edge, End, PlannedCable, PlannedStack, PlugMove, Step
from .cable_map import end_key, natural
from .cable_parts import PARTS
from .cable_rings import closed_rings, fewest_plugs


@dataclass(frozen=True)
class Cable:
    """A cable with what is known of its two plugs. ``b`` is null when the other plug is loose or at a stranger."""

    a: End
    b: End | None
    part: str | None = None

    @property
    def ends(self) -> tuple[End, ...]:
        """The known cages."""
        return (self.a,) if self.b is None else (self.a, self.b)


def joins(cable_ends: Sequence[End], planned: PlannedCable) -> bool:
    """Whether a cable with these two ends joins the pair's desks, on whatever cages."""
    return len(cable_ends) == 2 and {cable_ends[0].desk, cable_ends[1].desk} == {planned.a, planned.b} and planned.a != planned.b


def is_good(cable_ends: Sequence[End], planned: PlannedCable) -> bool:
    """Whether it joins them as planned: cages of the same number."""
    return joins(cable_ends, planned) and cable_ends[0].port == cable_ends[1].port


@dataclass(frozen=True)
class Ring:
    """Three desks joined in a ring of three cables, of which two are a planned pair and the third is in none."""

    pair: str
    third: str
    own: Edge
    """The cable of the pair."""
    others: tuple[Edge, ...]

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All three cables."""
        return (self.own, *self.others)


def rings(cables: CableMap, plan: Iterable[PlannedCable]) -> dict[str, Ring]:
    """Pair to its ring: every cage of the three desks is used, each cable joins two of them (NVIDIA's wiring or any other closed one)."""
    wanted = list(plan)
    at: dict[str, list[Edge]] = defaultdict(list)
    for edge in cables.edges:
        for desk in dict.fromkeys((edge.a.desk, edge.b.desk)):
            at[desk].append(edge)
    paired = {desk for planned in wanted for desk in (planned.a, planned.b)}
    found = {}
    for planned in wanted:
        own = [edge for edge in at[planned.a] if joins(edge.ends, planned)]
        away = [[edge for edge in at[desk] if edge not in own] for desk in (planned.a, planned.b)]
        if len(own) != 1 or any(len(edges) != 1 or edges[0].looped for edges in away):
            continue
        first, second = away[0][0], away[1][0]
        third = first.other(planned.a).desk
        if third == second.other(planned.b).desk and third not in paired and not any(edge.one_sided for edge in (own[0], first, second)):
            found[planned.pair] = Ring(planned.pair, third, own[0], (first, second))
    return found


def undecided(cables: CableMap, planned: PlannedCable) -> bool:
    """Whether too little was seen at the pair's desks to advise a movement."""
    return unclear(cables, (planned.a, planned.b))


def unclear(cables: CableMap, names: Iterable[str]) -> bool:
    """Whether too little was seen at these desks to advise a movement."""
    desks = set(names)
    if desks & set(cables.unread or {}):
        return True
    if any(item.at.desk in desks for item in cables.unseen):
        return True
    if any(desks & {end.desk for end in (item.at, *item.others)} for item in cables.shared):
        return True
    plugged = {plug.at for plug in cables.plugs}
    dark = [end.desk for end in cables.dark if end in plugged and end.desk in desks]
    if (set(dark) == desks) if len(desks) == 2 else len(set(dark)) > 1:
        return True  # a plug without signal at both desks: push in, look at power, before anything is moved
    # While a desk of the inventory is silent, a stranger may be that very desk.
    return bool(cables.unread) and any(item.at.desk in desks for item in cables.strangers)


def plan_moves(cables: CableMap, plan: Iterable[PlannedCable], stacks: Iterable[PlannedStack] = ()) -> tuple[Step, ...]:
    """The steps, in an order in which each can be done by hand (a cage is free when a plug goes into it).

    Of stacks only rings: where a switch's cable has to go is not seen from the desks.
    """
    wanted_rings = [stack for stack in stacks if stack.in_service and stack.topology == "ring"]
    wanted = [planned for planned in plan if planned.in_service]
    home: dict[str, PlannedCable] = {}
    for planned in wanted:
        for desk in (planned.a, planned.b):
            if desk in home:
                return ()  # a desk in two planned cables (a ring): this solver knows direct pairs only
            home[desk] = planned
    closed = {edge.ends for stack in wanted_rings for ring in closed_rings(cables, stack.members) for edge in ring}
    known = [cable for cable in _cables(cables) if cable.ends not in closed]
    ringed = {pair: {edge.ends for edge in ring.edges} for pair, ring in rings(cables, wanted).items()}
    good = {
        planned.pair: [
            cable
            for cable in known
            if is_good(cable.ends, planned) or (joins(cable.ends, planned) and cable.ends in ringed.get(planned.pair, ()))
        ]
        for planned in wanted
    }
    in_place = {cable for found in good.values() for cable in found}
    in_place |= {cable for cable in known if any(cable.ends in ends for ends in ringed.values())}
    frozen = {planned.pair for planned in wanted if not good[planned.pair] and undecided(cables, planned)}
    unsure = {planned.pair for planned in wanted if undecided(cables, planned)}
    open_pairs = [planned for planned in wanted if not good[planned.pair] and planned.pair not in frozen]
    wrong = [cable for cable in known if cable not in in_place and any(end.desk in home for end in cable.ends)]
    # A cable is free for use when it was seen from a desk whose pair is decided.
    usable = [cable for cable in wrong if any(end.desk in home and home[end.desk].pair not in unsure for end in cable.ends)]

    final: dict[Cable, tuple[PlannedCable, End, End]] = {}
    doubled, open_pairs, usable = _double_inside(open_pairs, usable)
    final.update(doubled)
    chosen = _largest_matching(open_pairs, usable)
    for pair, cable in chosen.items():
        planned = next(item for item in open_pairs if item.pair == pair)
        final[cable] = (planned, *_stay(cable, planned))
    rest = [planned for planned in open_pairs if planned.pair not in chosen]
    left = [cable for cable in usable if cable not in final]
    # A whole cable that is of no use where it is, before one from the shelf. The second cable of a pair may be meant, and carry traffic.
    spare = [cable for cable in left if cable.b is not None]
    taken = {end for ends in final.values() for end in ends[1:]}
    added: list[tuple[PlannedCable, End, End]] = []
    for planned in rest:
        port = next((number for number in PORTS if not {End(planned.a, number), End(planned.b, number)} & taken), None)
        if port is None:
            continue
        ends = (End(planned.a, port), End(planned.b, port))
        taken.update(ends)
        if spare:
            final[spare.pop(0)] = (planned, *ends)
        else:
            added.append((planned, *ends))

    in_rings: set[Cable] = set()
    of_rings = {desk for stack in wanted_rings for desk in stack.members}
    for stack in wanted_rings:
        members = set(stack.members)
        if members & set(home) or unclear(cables, members) or closed_rings(cables, members):
            continue
        home.update({desk: PlannedCable(stack.name, desk, desk) for desk in stack.members})
        free = {
            cable: cable.ends
            for cable in known
            if cable not in final
            and cable not in in_place
            and (any(end.desk in members for end in cable.ends) or (cable in left and not any(end.desk in of_rings for end in cable.ends)))
        }
        for places, chosen_cable in fewest_plugs(stack, free).items():
            planned = PlannedCable(stack.name, places[0].desk, places[1].desk)
            taken.update(places)
            if chosen_cable is None:
                added.append((planned, *places))
            else:
                final[chosen_cable] = (planned, *places)
        in_rings |= {cable for cable in free if any(end.desk in members for end in cable.ends)}
    left += [cable for cable in in_rings if cable not in left]

    pulls = []
    for cable in left:
        if cable in final:
            continue
        in_the_way = any(end in taken for end in cable.ends)
        sure = all(end.desk not in home or home[end.desk].pair not in unsure for end in cable.ends)
        # A cable to a stranger beside a pair that works may be meant: it is told, not taken out.
        if in_the_way or (sure and cable.b is not None):
            pulls.append(cable)
    return _steps(final, added, pulls, home)


def _cables(cables: CableMap) -> list[Cable]:
    known = [Cable(edge.a, edge.b, edge.part) for edge in cables.edges]
    parts = {plug.at: plug.eeprom.part for plug in cables.plugs}
    known += [Cable(item.at, None, parts.get(item.at)) for item in cables.strangers]
    known += [Cable(end, None, parts[end]) for end in cables.dark if end in parts]
    return known


def _double_inside(
    pairs: list[PlannedCable], usable: list[Cable]
) -> tuple[dict[Cable, tuple[PlannedCable, End, End]], list[PlannedCable], list[Cable]]:
    """Pairs whose two cables stay inside the pair but on wrong cages (both crossed, or both looped): one exchange mends both."""
    final: dict[Cable, tuple[PlannedCable, End, End]] = {}
    rest = []
    for planned in pairs:
        desks = {planned.a, planned.b}
        inside = [cable for cable in usable if cable.b is not None and {cable.a.desk, cable.b.desk} <= desks]
        if len(inside) != 2:
            rest.append(planned)
            continue
        for number, cable in enumerate(inside):
            if len({end.desk for end in cable.ends}) == 1:
                # Two loops: each keeps the plug in the cage that the other one does not keep.
                stays = next(end for end in cable.ends if end.port == number)
            else:
                stays = next(end for end in cable.ends if end.desk == planned.a)
            final[cable] = (planned, stays, End(_other(planned, stays.desk), stays.port))
    return final, rest, [cable for cable in usable if cable not in final]


def _other(planned: PlannedCable, desk: str) -> str:
    return planned.b if desk == planned.a else planned.a


def _stay(cable: Cable, planned: PlannedCable) -> tuple[End, End]:
    """The plug that stays and the cage for the other one; the lower cage when both plugs are in the pair's desks."""
    stays = min((end for end in cable.ends if end.desk in (planned.a, planned.b)), key=lambda end: (end.port, natural(end.desk)))
    return stays, End(_other(planned, stays.desk), stays.port)


def _largest_matching(pairs: Sequence[PlannedCable], cables: Sequence[Cable]) -> dict[str, Cable]:
    """As many pairs as possible, each with a cable that ends at one of its desks (augmenting paths)."""
    touching: dict[str, list[Cable]] = {}
    at_desk: dict[str, list[Cable]] = defaultdict(list)
    for cable in cables:
        for desk in {end.desk for end in cable.ends}:
            at_desk[desk].append(cable)
    for planned in pairs:
        options = dict.fromkeys(at_desk[planned.a] + at_desk[planned.b])
        # Cables inside the pair first: they can serve nobody else.
        touching[planned.pair] = sorted(options, key=lambda cable: (cable.b is None, not _inside(cable, planned), end_key(cable.a)))
    user: dict[Cable, str] = {}

    for planned in pairs:
        _augment(planned.pair, touching, user)
    return {pair: cable for cable, pair in user.items()}


def _augment(start: str, touching: Mapping[str, list[Cable]], user: dict[Cable, str]) -> None:
    """One augmenting path from ``start``, found breadth first (a chain of wrong cables may be as long as the lab)."""
    came: dict[Cable, str] = {}
    queue = deque([start])
    while queue:
        pair = queue.popleft()
        for cable in touching[pair]:
            if cable in came:
                continue
            came[cable] = pair
            if cable in user:
                queue.append(user[cable])
                continue
            previous: dict[str, Cable] = {owner: held for held, owner in user.items()}
            step: Cable | None = cable
            while step is not None:
                owner = came[step]
                before = previous.get(owner)
                user[step] = owner
                step = before if owner != start else None
            return


def _inside(cable: Cable, planned: PlannedCable) -> bool:
    return all(end.desk in (planned.a, planned.b) for end in cable.ends)


# ---- from movements to steps -------------------------------------------------------------------------------------------


def _steps(
    final: Mapping[Cable, tuple[PlannedCable, End, End]],
    added: Sequence[tuple[PlannedCable, End, End]],
    pulls: Sequence[Cable],
    home: Mapping[str, PlannedCable],
) -> tuple[Step, ...]:
    moves: list[PlugMove] = []
    pairs: dict[PlugMove, set[str]] = {}
    for cable, (planned, one, two) in final.items():
        for move in _plug_moves(cable, one, two):
            moves.append(move)
            pairs[move] = {planned.pair} | {home[end.desk].pair for end in cable.ends if end.desk in home}
    steps: list[Step] = []
    for cable in sorted(pulls, key=lambda item: end_key(item.a)):
        touched = tuple(sorted({home[end.desk].pair for end in cable.ends if end.desk in home}, key=natural))
        plugs = tuple(PlugMove(end, None, cable.b if end == cable.a else cable.a, cable.part) for end in cable.ends)
        steps.append(Step("pull", pull_sentence(cable), plugs, touched))
    steps += _ordered(moves, pairs)
    for planned, one, two in added:
        plugs = (PlugMove(None, one), PlugMove(None, two))
        steps.append(Step("add", add_sentence(one, two), plugs, (planned.pair,)))
    return tuple(steps)


def _plug_moves(cable: Cable, one: End, two: End) -> list[PlugMove]:
    """The plugs of a cable that must move so that it ends in ``one`` and ``two``."""
    targets = [one, two]
    movers: list[End | None] = []
    for end in (cable.a, cable.b):
        if end is not None and end in targets:
            targets.remove(end)
        else:
            movers.append(end)
    # Known plugs first, so that a loose far end takes what is left.
    movers.sort(key=lambda end: (end is None, end_key(end) if end else ()))
    return [
        PlugMove(source, target, (cable.b if source == cable.a else cable.a) if source is not None else cable.a, cable.part)
        for source, target in zip(movers, targets, strict=True)
    ]


def _ordered(moves: Sequence[PlugMove], pairs: Mapping[PlugMove, set[str]]) -> list[Step]:
    """Chains from their free end, rings as one exchange."""
    by_source = {move.source: move for move in moves if move.source is not None}
    waiting = dict.fromkeys(sorted(moves, key=lambda move: (move.source is None, end_key(move.source or move.target or End("", 0)))))
    steps: list[Step] = []

    def told(group: Sequence[PlugMove]) -> tuple[str, ...]:
        return tuple(sorted({pair for move in group for pair in pairs[move]}, key=natural))

    while waiting:
        ready = [move for move in waiting if move.target is None or move.target not in by_source or by_source[move.target] not in waiting]
        for move in ready:
            del waiting[move]
            steps.append(Step("move", move_sentence(move), (move,), told((move,))))
        if ready or not waiting:
            continue
        ring = [next(iter(waiting))]
        while (following := by_source[ring[-1].target]) not in ring:  # type: ignore[index]
            ring.append(following)
        ring = ring[ring.index(following) :]
        for move in ring:
            del waiting[move]
        kind = "swap" if len(ring) == 2 else "rotate"
        steps.append(Step(kind, swap_sentence(ring) if kind == "swap" else rotate_sentence(ring), tuple(ring), told(ring)))
    return steps


def touched(steps: Iterable[Step]) -> list[str]:
    """The desks at both ends of every cable of which a plug goes into another cage: they must start again with it in."""
    ends = [end for step in steps for move in step.plugs if move.target is not None for end in (move.target, move.anchor)]
    return sorted({end.desk for end in ends if end is not None}, key=natural)


# ---- sentences ---------------------------------------------------------------------------------------------------------


def place(end: End) -> str:
    """A cage in words, as seen from behind."""
    return f"{end.desk} port {end.port} ({POSITIONS.get(end.port, 'QSFP cage')})"


def _part(part: str | None) -> str:
    return f" [{part}]" if part else ""


def move_sentence(move: PlugMove) -> str:
    """One plug goes elsewhere."""
    target = place(move.target) if move.target else "the shelf"
    if move.source is None and move.anchor is not None:
        return f"Follow the cable{_part(move.part)} from {place(move.anchor)} and plug its other end into {target}."
    source = place(move.source) if move.source else "the shelf"
    stays = f" Its other plug stays in {move.anchor}." if move.anchor else ""
    return f"Move the plug{_part(move.part)} in {source} to {target}.{stays}"


def swap_sentence(ring: Sequence[PlugMove]) -> str:
    """Two plugs change places."""
    first, second = (place(move.source) + _part(move.part) for move in ring if move.source)
    return f"Swap two plugs: the one in {first} and the one in {second}."


def rotate_sentence(ring: Sequence[PlugMove]) -> str:
    """Plugs go round."""
    way = "; ".join(f"from {place(move.source)} to {place(move.target)}" for move in ring if move.source and move.target)
    return f"Unplug these {len(ring)} plugs and put each into its new cage: {way}."


def pull_sentence(cable: Cable) -> str:
    """A surplus cable goes."""
    if cable.b is None:
        return f"Remove the plug{_part(cable.part)} from {place(cable.a)}."
    return f"Remove the cable{_part(cable.part)} between {place(cable.a)} and {place(cable.b)}."


def add_sentence(one: End, two: End) -> str:
    """A new cable."""
    approved = ", ".join(f"{part.vendor} {part.number}" for part in PARTS if part.approved)
    return f"Join {place(one)} and {place(two)} with a spare cable (approved: {approved})."


def reboot_sentence(desks: Sequence[str]) -> str:
    """What follows the hand movements; empty when no plug goes into another cage."""
    if not desks:
        return ""
    names = desks[0] if len(desks) == 1 else f"{', '.join(desks[:-1])} and {desks[-1]}"
    return f"Then reboot {names} with the cables in."
