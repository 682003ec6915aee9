# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cages are on one switch: from what each of them saw behind it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.cable import CableMap, End, SwitchSeen
from .cable_map import end_key


def sightings(cables: CableMap) -> dict[End, set[End]]:
    """Each cage to the cages of other desks, and of its own one, that it saw. Of a cable both ends count as far as they saw each other."""
    seen: dict[End, set[End]] = {}
    for shared in cables.shared:
        seen.setdefault(shared.at, set()).update(shared.others)
    for edge in cables.edges:
        for here in edge.ends:
            if here.desk in edge.seen_by or (not edge.seen_by and not edge.one_sided):
                seen.setdefault(here, set()).add(edge.other_end(here))
    return seen


def switches(cables: CableMap) -> tuple[SwitchSeen, ...]:
    """The switches (or bridges) that answer behind cages, in natural order of their first cage.

    A cage that only others saw is left out: what it is joined with is told as not seen.
    """
    seen = {shared.at: set(shared.others) for shared in cables.shared}
    strangers = {shared.at: shared.stranger for shared in cables.shared if shared.stranger is not None}
    found = []
    left = dict.fromkeys(sorted(seen, key=end_key))
    while left:
        group, queue = [], [next(iter(left))]
        while queue:
            end = queue.pop()
            if end in left:
                del left[end]
                group.append(end)
                queue += [other for other in left if other in seen[end] or end in seen[other]]
        beside = [strangers[end] for end in sorted(group, key=end_key) if end in strangers]
        told = tuple(dict.fromkeys(name for item in beside for name in item.told))
        owners = {mac: vendor for item in beside for mac, vendor in zip(item.macs, item.vendors, strict=True)}
        found.append(SwitchSeen(tuple(sorted(group, key=end_key)), told, tuple(owners.values()), tuple(owners)))
    return tuple(found)


def switch_at(found: tuple[SwitchSeen, ...]) -> Mapping[End, SwitchSeen]:
    """Each cage on a switch to its switch."""
    return {end: item for item in found for end in item.ends}
