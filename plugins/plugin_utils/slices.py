# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desks in slices of about the same size, none of which splits a stack. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..module_utils.judges.cable_map import natural


def units_of(desks: Iterable[str], stacks: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    """What stays together: each stack, and each desk in none, in natural order. A desk in two stacks joins them."""
    groups: list[set[str]] = []
    for members in (*stacks, *((desk,) for desk in desks)):
        joined = set(members)
        apart = [group for group in groups if not group & joined]
        groups = [*apart, joined.union(*(group for group in groups if group & joined))]
    return sorted((tuple(sorted(group, key=natural)) for group in groups if group), key=lambda unit: natural(unit[0]))


def slices(units: Sequence[Sequence[str]], count: int) -> list[tuple[str, ...]]:
    """``count`` slices; each unit goes, the biggest first, to the slice that has the fewest desks so far."""
    chosen: list[list[str]] = [[] for _number in range(count)]
    for unit in sorted(units, key=len, reverse=True):
        min(chosen, key=len).extend(unit)
    return [tuple(sorted(desks, key=natural)) for desks in chosen]
