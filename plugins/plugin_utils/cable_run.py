# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cable map of a run: from the parts of the stages cable and facts to a judged map, and what the last run saw."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..module_utils.judges.cable_judge import Judgement, judge, moved, snapshot
from ..module_utils.judges.cable_map import read_map
from ..module_utils.model.cable import CableMap, CableProbe, PlannedCable, PlannedStack
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Finding
from .run.model import End, Run
from .run.store import DONE, FAILED, Part, RunStore, json_of, write_atomically

MEMORY = ".cables.json"
"""Beside the runs: the cabling as the last run saw it."""


@dataclass(frozen=True)
class LabCables:
    """The map of a run and what it means."""

    cables: CableMap
    judgement: Judgement
    moves: tuple[Finding, ...]
    """One finding for each cable that moved since the last run."""


def cables_of(store: RunStore, run: Run) -> LabCables:
    """Read the run's parts and judge them against the plan. Reads the memory of the last run, writes nothing."""
    scope = set(run.scope)
    parts = {name: part for name, part in store.parts("cable").items() if name in scope}
    probes = {
        name: from_dict(CableProbe, part.data["cable"]) for name, part in parts.items() if part.state == DONE and part.data.get("cable")
    }
    facts = {
        name: from_dict(Desk, part.data["spark"]) for name, part in store.parts("facts").items() if name in scope and part.data.get("spark")
    }
    unread = {name: _why(store, name, parts.get(name)) for name in run.members if name not in probes}
    before = remembered(store)
    cables = read_map(probes, facts, unread, before.get("macs"))
    planned = [
        PlannedCable(stack.name, cable.one.desk, cable.other.desk, in_service=not run.outside(stack) and not stack.out_of_service)
        for stack in run.stacks
        for cable in stack.cables
        if stack.is_pair and isinstance(cable.other, End)
    ]
    stacks = [
        PlannedStack(stack.name, stack.topology, stack.members, not run.outside(stack) and not stack.out_of_service)
        for stack in run.stacks
        if not stack.is_pair
    ]
    forks = max((int(part.data.get("forks_needed") or 0) for part in parts.values()), default=0)
    return LabCables(cables, judge(cables, planned, probes, forks or None, stacks), tuple(moved(before, cables, planned, stacks)))


def _why(store: RunStore, name: str, part: Part | None) -> str:
    """In words; the stage that failed says more than one that was skipped for it."""
    parts = [item for item in [*store.of_desk(name), *([part] if part else [])] if item.reason]
    told = sorted(parts, key=lambda item: item.state != FAILED)
    if not told:
        return "it is not in this run"
    # A finding says it in words; the reason of a stage may be what Ansible said.
    words = next((str(item["message"]) for item in told[0].findings if item["severity"] in ("fail", "unknown")), str(told[0].reason))
    return words.removeprefix(f"{name}: ")


def remembered(store: RunStore) -> dict[str, Any]:
    """What the last run saw; empty when there was none or it cannot be read."""
    try:
        data = json_of(store.run_dir.parent / MEMORY)
        return {
            "edges": [
                edge
                for edge in data["edges"]
                if len(edge["ends"]) == 2 and all(_is_place((end["desk"], end["port"])) for end in edge["ends"])
            ],
            "dark": [end for end in data["dark"] if _is_place(end)],
            "macs": {mac: end for mac, end in data["macs"].items() if _is_place(end)},
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _is_place(end: Any) -> bool:
    """Whether it is a desk and a port."""
    desk, port = end
    return isinstance(desk, str) and isinstance(port, int)


def remember(store: RunStore, lab: LabCables) -> Path:
    """Keep the map for the next run. Of cages about which nothing was learned now, what was known stays."""
    now = snapshot(lab.cables, lab.judgement.edges)
    before = remembered(store)
    silent = set(lab.cables.unread or {})
    learned = {end for edge in lab.cables.edges for end in edge.ends} | set(lab.cables.dark)
    learned |= {item.at for item in lab.cables.strangers} | {item.at for item in lab.cables.shared}
    told = {(end.desk, end.port) for end in learned}

    def unknown(ends: Iterable[tuple[Any, Any]]) -> bool:
        return not any(end in told for end in ends)

    old = before.get("edges") or []
    now["edges"] += [edge for edge in old if edge.get("ends") and unknown((end.get("desk"), end.get("port")) for end in edge["ends"])]
    now["dark"] += [end for end in before.get("dark") or [] if end and unknown([tuple(end)])]
    now["macs"] = {**{mac: place for mac, place in (before.get("macs") or {}).items() if place and place[0] in silent}, **now["macs"]}
    path = store.run_dir.parent / MEMORY
    write_atomically(path, json.dumps(now, indent=1, sort_keys=True))
    return path


def desk_parts(lab: LabCables, run: Run, moment: str) -> dict[str, Part]:
    """The part cable_map of each desk in scope: its cage, its partner's, whether a link may be configured, findings, cables."""
    heads = {stack.name: stack.head for stack in run.stacks}
    by_pair = {item.pair: item for item in lab.judgement.pairs}
    by_stack = {item.stack: item for item in lab.judgement.stacks}
    found: list[Finding] = [item for pair in lab.judgement.pairs for item in pair.findings]
    found += [item for stacked in lab.judgement.stacks for item in stacked.findings]
    found += [item for items in lab.judgement.desk_findings.values() for item in items]
    found += lab.moves
    parts = {}
    for name in run.scope:
        stack = run.stack_of(name)
        cabling = by_pair.get(stack.name) if stack else None
        other = next(iter(stack.neighbours(name)), None) if stack else None
        own = [item for item in found if item.where.desk == name or (item.where.desk is None and heads.get(str(item.where.pair)) == name)]
        stacked = by_stack.get(stack.name) if stack else None
        judged = cabling or stacked
        data = {
            "port": cabling.ports.get(name) if cabling else None,
            "peer_port": cabling.ports.get(other) if cabling and other else None,
            # The cage that leads to each other member of a ring or switch stack.
            **({"ports": dict(stacked.ports.get(name) or {})} if stacked else {}),
            "proven": bool(judged and judged.proven),
            # A stack that was not judged (out of service, outside the run) is not linked either.
            "allowed": judged.allowed if judged else stack is None or stack.is_pair,
            "edges": [edge for edge in lab.judgement.edges if any(end["desk"] == name for end in edge["ends"])],
        }
        parts[name] = Part(
            "cable_map", name, DONE, stack.name if stack else None, None, moment, moment, False, tuple(item.as_dict() for item in own), data
        )
    return parts
