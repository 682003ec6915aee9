"""A run as a value, from pairs and desks in none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.model import Member, Run, Stack

TWO = {"pair_a": ("desk-01", "desk-02")}


def run_of(
    pairs: Mapping[str, tuple[str, ...]] | None = None,
    alone: tuple[str, ...] = (),
    *,
    scope: Collection[str] | None = None,
    out: Collection[str] = (),
    left_alone: Collection[str] = (),
    folder: Path | str = "",
    topology: str = "direct",
    **more: Any,
) -> Run:
    """A run of stack_pair.yml unless ``more`` says otherwise; the first desk of a pair is its head. ``out`` are pairs out of service,
    ``left_alone`` the desks for which they are.

    ``topology``: how the desks of each "pair" are joined.
    """
    pairs = TWO if pairs is None else pairs
    names = (*alone, *(desk for members in pairs.values() for desk in members))
    inside = set(names if scope is None else scope)
    members = {name: Member(name, name, in_scope=name in inside) for name in alone}
    for pair, desks in pairs.items():
        for rank, name in enumerate(desks):
            members[name] = Member(name, name, pair, rank, pair in out, name in inside, left_alone=name in left_alone)
    stacks = tuple(Stack(pair, tuple(desks), topology, pair in out) for pair, desks in pairs.items())
    settings: dict[str, Any] = {"run_id": "r", "run_dir": str(folder), "started": "s", "playbook": "stack_pair", **more}
    return Run(members=members, stacks=stacks, **settings)
