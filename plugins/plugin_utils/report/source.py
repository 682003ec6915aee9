# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where the report reads a run: what was planned and what each stage left, as the values that the report is made of."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..run.model import DIRECT, RING, Run
from ..run.stages import Check, required
from ..run.store import Part

Parts = Mapping[str, Mapping[str, Part]]
"""stage -> desk -> part"""


@dataclass(frozen=True)
class PlannedDesk:
    """One desk of the run."""

    name: str
    stack: str | None
    others: tuple[str, ...]
    """The desks at the far end of its cables."""
    out_of_service: bool
    in_scope: bool
    left_alone: bool = False
    """Whether it is out of service itself, and not only its stack."""


@dataclass(frozen=True)
class PlannedStack:
    """One stack of the run, head first."""

    name: str
    topology: str
    head: str
    members: tuple[str, ...]
    out_of_service: bool
    in_scope: bool

    @property
    def kind(self) -> str:
        """The word for it in messages."""
        return "pair" if self.topology == DIRECT else "stack"


@dataclass(frozen=True)
class Source:
    """A run as the report reads it."""

    id: str
    started: str
    playbook: str
    check_mode: bool
    forks: int | None
    only: tuple[str, ...] | None
    """The only stages that the admin wanted, null for all."""
    findings: tuple[Mapping[str, Any], ...]
    """About the run itself."""
    notes: tuple[Any, ...]
    checks: tuple[Check, ...]
    """What its playbook requires for a verdict."""
    desks: Mapping[str, PlannedDesk]
    stacks: tuple[PlannedStack, ...]
    parts: Parts

    @property
    def scope(self) -> list[str]:
        """Desks of the run."""
        return [name for name, desk in self.desks.items() if desk.in_scope]

    def part(self, stage: str, desk: str) -> Part | None:
        """What a stage left of a desk."""
        return self.parts.get(stage, {}).get(desk)

    def of_desk(self, desk: str) -> list[Part]:
        """All parts of a desk, stage by stage."""
        return [stage[desk] for stage in self.parts.values() if desk in stage]

    def everything(self) -> Iterator[Part]:
        """All parts."""
        for stage in self.parts.values():
            yield from stage.values()


_PAIR = re.compile(r"(?<![\w./-])(pair|Pair)(s?)(?![\w/-]|\.\w)")
_BOTH = re.compile(r"\bboth desks\b")
_RING_NUMBERS = re.compile(r"\bpair_link_subnets\b")


def in_words_of(topology: str, item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A finding about a ring or a stack on a switch in words for one: judges of links and measurements say "pair" of what they judge."""
    said = {}
    for key in ("subject", "message", "remedy"):
        text = str(item.get(key) or "")
        text = _PAIR.sub(lambda found: ("Stack" if found[1] == "Pair" else "stack") + found[2], text)
        text = _BOTH.sub("all its desks", text)
        said[key] = _RING_NUMBERS.sub("pair_link_ring_subnets", text) if topology == RING else text
    return {**item, **{key: text for key, text in said.items() if key in item}}


def _in_their_words(run: Run, parts: Parts) -> Parts:
    """The parts, those of desks in a ring or on a switch in words for a stack."""
    topology = {desk: stack.topology for stack in run.stacks if not stack.is_pair for desk in stack.members}
    if not topology:
        return parts
    return {
        stage: {
            desk: part
            if desk not in topology
            else dataclasses.replace(part, findings=tuple(in_words_of(topology[desk], item) for item in part.findings))
            for desk, part in of_stage.items()
        }
        for stage, of_stage in parts.items()
    }


def source_of(run: Run, parts: Parts) -> Source:
    """``parts``: every stage's parts by desk."""
    desks = {}
    for name, member in run.members.items():
        stack = run.stack(member.stack)
        others = stack.neighbours(name) if stack else ()
        desks[name] = PlannedDesk(name, member.stack, tuple(others), member.out_of_service, member.in_scope, member.left_alone)
    stacks = tuple(
        PlannedStack(item.name, item.topology, item.head, item.members, item.out_of_service, run.in_scope(item)) for item in run.stacks
    )
    return Source(
        id=run.run_id,
        started=run.started,
        playbook=run.playbook,
        check_mode=run.check_mode,
        forks=run.forks,
        only=run.stages,
        findings=run.findings,
        notes=run.notes,
        checks=required(run.playbook, run.stages),
        desks=desks,
        stacks=stacks,
        parts=_in_their_words(run, parts),
    )
