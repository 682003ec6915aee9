# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run as a value: its desks, and the stacks that they form. ``spark_plan`` in YAML is its plain form (`plain`, `from_plain`)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

DIRECT = "direct"
"""Two desks and one cable between them."""
RING = "ring"
"""Three desks and three cables, one between every two of them."""
SWITCH = "switch"
"""Two desks and more, each with one cable to the same switch."""
TOPOLOGIES = (DIRECT, RING, SWITCH)
"""What they mean stands in `Stack.cables` and `Stack.paths` alone."""
SIZES: Mapping[str, tuple[int, int | None]] = {DIRECT: (2, 2), RING: (3, 3), SWITCH: (2, None)}
"""Topology to the fewest and most desks of such a stack (NVIDIA supports rings of three only); null for no limit."""


@dataclass(frozen=True)
class Member:
    """A desk of the inventory and its place in the run."""

    desk: str
    address: str
    stack: str | None = None
    """Name of its stack, null for a desk that is in none."""
    rank: int = 0
    """Place in its stack, from 0; the head has 0."""
    out_of_service: bool = False
    """Whether it or another desk of its stack is: the stack is skipped."""
    in_scope: bool = True
    """Whether this run may touch it (``--limit``)."""
    ssh_port: int = 22
    """Where its sshd listens for the other desks."""
    rounds: int = 1
    """In how many rounds the paths of its stack are measured at most; time limits of a measurement grow with it."""
    left_alone: bool = False
    """Whether it is itself out of service: nothing is read from it and nothing done on it."""


@dataclass(frozen=True)
class End:
    """One end of a cable or path: a desk and its port, null where only the cable map can tell."""

    desk: str
    port: int | None = None


@dataclass(frozen=True)
class Switch:
    """A switch as the far end of a cable."""

    name: str


@dataclass(frozen=True)
class Cable:
    """One planned cable, from a desk to a desk or to a switch."""

    one: End
    other: End | Switch


@dataclass(frozen=True)
class Path:
    """Two ends that share networks: what RDMA is measured on."""

    one: End
    other: End


@dataclass(frozen=True)
class Stack:
    """Desks joined by cables and proven together. A pair is two members, one cable, one path; a ring three of each; behind a switch
    each member has one cable, and every two of them a path."""

    name: str
    members: tuple[str, ...]
    """Desks by rank; the first is the head, which starts the measurements."""
    topology: str = DIRECT
    out_of_service: bool = False

    @property
    def head(self) -> str:
        """The desk that starts the measurements."""
        return self.members[0]

    def others(self, desk: str) -> tuple[str, ...]:
        """The members but this one."""
        return tuple(member for member in self.members if member != desk)

    @property
    def is_pair(self) -> bool:
        """Whether it is what everybody calls a pair."""
        return self.topology == DIRECT

    @property
    def rounds(self) -> int:
        """Rounds of disjoint paths that cover every two members: at most as many as members, one for a pair."""
        return 1 if len(self.members) == 2 else len(self.members)

    @property
    def kind(self) -> str:
        """The word for it in messages."""
        return "pair" if self.is_pair else "stack"

    @property
    def cables(self) -> tuple[Cable, ...]:
        """The cables that the topology plans."""
        if self.topology == SWITCH:
            return tuple(Cable(End(member), Switch(self.name)) for member in self.members)
        # Which cages a ring uses is read from the cable map: any closed one works.
        return tuple(Cable(path.one, path.other) for path in self.paths)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every two ends that RDMA is measured between, the lower rank first; those of the head come first.

        Every two members of each topology share networks: a pair's, a ring's three cables, a switch's two networks.
        """
        return tuple(Path(End(one), End(other)) for one, other in itertools.combinations(self.members, 2))

    def neighbours(self, desk: str) -> tuple[str, ...]:
        """The desks at the far end of this desk's paths."""
        return tuple(other for path in self.paths for mine, other in _both(path) if mine == desk)


def _both(path: Path) -> Iterator[tuple[str, str]]:
    yield path.one.desk, path.other.desk
    yield path.other.desk, path.one.desk


@dataclass(frozen=True)
class Run:
    """One run of a playbook."""

    run_id: str
    run_dir: str
    started: str
    """UTC, ISO 8601."""
    playbook: str
    check_mode: bool = False
    waves: tuple[Any, ...] | None = None
    """The admin's wish (spark_waves), null for the default."""
    stages: tuple[str, ...] | None = None
    """The only stages that the admin wants (spark_stages), null for all."""
    forks: int = 5
    members: Mapping[str, Member] = field(default_factory=dict)
    """Every desk of the inventory by name, in natural order."""
    stacks: tuple[Stack, ...] = ()
    findings: tuple[Mapping[str, Any], ...] = ()
    """About the run itself, such as too few forks."""
    notes: tuple[str, ...] = ()

    @property
    def scope(self) -> tuple[str, ...]:
        """The desks that this run may touch."""
        return tuple(name for name, member in self.members.items() if member.in_scope)

    def stack(self, name: str | None) -> Stack | None:
        """A stack by its name."""
        return next((stack for stack in self.stacks if stack.name == name), None)

    def stack_of(self, desk: str) -> Stack | None:
        """The stack that a desk is in, null for one in none."""
        member = self.members.get(desk)
        return self.stack(member.stack) if member is not None else None

    def in_scope(self, stack: Stack) -> bool:
        """Whether any desk of the stack is in the run."""
        return any(self.members[desk].in_scope for desk in stack.members)

    def outside(self, stack: Stack) -> tuple[str, ...]:
        """The members of a stack that are not in the run."""
        return tuple(desk for desk in stack.members if not self.members[desk].in_scope)

    def only(self, stack: Stack, run_dir: str) -> Run:
        """The same run with these desks as its only stack and a folder of its own: a trial of isolate.yml."""
        members = {
            desk: dataclasses.replace(
                self.members[desk], stack=stack.name, rank=rank, out_of_service=False, in_scope=True, left_alone=False
            )
            for rank, desk in enumerate(stack.members)
        }
        return dataclasses.replace(self, run_dir=run_dir, members=members, stacks=(stack,))

    @property
    def folder(self) -> FilePath:
        """The run's folder on the controller."""
        return FilePath(self.run_dir)


def plain(run: Run) -> dict[str, Any]:
    """The run as ``spark_plan`` and run.json hold it."""
    data = {item.name: getattr(run, item.name) for item in dataclasses.fields(run)}
    data.update(
        waves=None if run.waves is None else list(run.waves),
        stages=None if run.stages is None else list(run.stages),
        members={name: dataclasses.asdict(member) for name, member in run.members.items()},
        stacks=[{**dataclasses.asdict(stack), "members": list(stack.members)} for stack in run.stacks],
        findings=[dict(item) for item in run.findings],
        notes=list(run.notes),
    )
    return data


def from_plain(data: Mapping[str, Any]) -> Run:
    """The run that ``spark_plan`` or run.json holds. Raises KeyError or TypeError for anything else."""
    known = {item.name for item in dataclasses.fields(Run)}
    given = {key: value for key, value in data.items() if key in known}
    given.update(
        waves=None if given.get("waves") is None else tuple(given["waves"]),
        stages=None if given.get("stages") is None else tuple(given["stages"]),
        members={str(name): Member(**member) for name, member in given["members"].items()},
        stacks=tuple(Stack(**{**stack, "members": tuple(stack["members"])}) for stack in given["stacks"]),
        findings=tuple(given.get("findings") or ()),
        notes=tuple(given.get("notes") or ()),
    )
    return Run(**given)
