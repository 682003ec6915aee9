# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rings of three desks: which are closed, and the fewest plugs that close a planned one. Pure.

Any closed ring of three works; NVIDIA's wiring (port 0 of each desk to port 1 of the next) is what a movement ends in where it costs no
plug more.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from ..model.cable import PORTS, CableMap, Edge, End, PlannedStack
from .cable_map import end_key, natural

C = TypeVar("C")
Wiring = tuple[tuple[End, End], ...]
"""The two cages of each of a ring's three cables."""


def closed_rings(cables: CableMap, of: Iterable[str] | None = None) -> list[tuple[Edge, Edge, Edge]]:
    """Every three desks that three cables join in a ring, each cable seen from both sides. ``of``: only rings of these desks."""
    at: dict[str, list[Edge]] = defaultdict(list)
    for edge in cables.edges:
        for desk in dict.fromkeys((edge.a.desk, edge.b.desk)):
            at[desk].append(edge)
    wanted = None if of is None else set(of)
    found = []
    for desk in sorted(at, key=natural):
        if wanted is not None and desk not in wanted:
            continue
        two = at[desk]
        others = [edge.other(desk).desk for edge in two]
        if len(two) != len(PORTS) or len({desk, *others}) != 3 or natural(desk) > min(map(natural, others)):
            continue
        if wanted is not None and not set(others) <= wanted:
            continue
        rest = [edge for edge in at[others[0]] if edge not in two]
        if len(rest) == 1 and len(at[others[1]]) == 2 and rest[0].other(others[0]).desk == others[1]:
            ring = (two[0], two[1], rest[0])
            if not any(edge.one_sided for edge in ring):
                found.append(ring)
    return found


def is_official(ring: Sequence[Edge]) -> bool:
    """Whether each cable goes from a port 0 to a port 1, as NVIDIA wires a ring."""
    return all(edge.a.port != edge.b.port for edge in ring)


def wirings(members: Sequence[str]) -> Iterator[Wiring]:
    """Every way to join three desks in a ring, NVIDIA's first."""
    one, two, three = members
    for ports in itertools.product(PORTS, repeat=3):
        # The number of each desk's cage towards the next; the other one leads to the desk before.
        first, second, third = ports
        yield (
            (End(one, first), End(two, 1 - second)),
            (End(two, second), End(three, 1 - third)),
            (End(three, third), End(one, 1 - first)),
        )


def fewest_plugs(ring: PlannedStack, ends: Mapping[C, tuple[End, ...]]) -> dict[tuple[End, End], C | None]:
    """The wiring that costs the fewest plugs, with the cable for each of its three places; null for a cable from the shelf.

    ``ends``: the cables that may be used, each with the cages that its plugs are known to be in.
    """
    best: dict[tuple[End, End], C | None] = {}
    least = 99
    # A cable that ends at none of the desks costs two plugs, as one from the shelf does, and is there already.
    mine = sorted(
        (cable for cable, known in ends.items() if any(end.desk in ring.members for end in known)), key=lambda item: end_key(ends[item][0])
    )
    spare = [cable for cable, known in ends.items() if cable not in mine and len(known) == 2]
    for wiring in wirings(ring.members):
        for chosen in itertools.permutations([*mine, None, None, None], len(wiring)):
            cost = sum(
                2 if cable is None else sum(end not in ends[cable] for end in places) for places, cable in zip(wiring, chosen, strict=True)
            )
            if cost < least:
                least, best = cost, dict(zip(wiring, chosen, strict=True))
        if least == 0:
            break
    return {places: cable if cable is not None or not spare else spare.pop(0) for places, cable in best.items()}
