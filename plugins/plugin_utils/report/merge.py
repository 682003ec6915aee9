# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several reports as one: the slices of a job, or what a week of runs says of a whole lab. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.model.finding import verdict
from .build import SCHEMA, FindingData, lean, plain_stack, worst_first


def merged(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One report of several. Of each desk the newest run that has it counts, of each stack the newest that had all of its desks.

    A run in check mode counts only where no other has the desk. A stack's verdict is made anew of its own findings and of what the newest
    runs found on its desks. Raises ValueError without a report.
    """
    if not reports:
        raise ValueError("there is no report to merge")
    ordered = sorted(reports, key=lambda item: (not item["run"]["check_mode"], item["run"]["started"]))
    desks: dict[str, dict[str, Any]] = {}
    pairs: dict[str, dict[str, Any]] = {}
    stacks: dict[str, dict[str, Any]] = {}
    for report in ordered:
        for desk in report["desks"]:
            desks[desk["name"]] = dict(desk)
        told = {stack["name"]: stack for stack in report.get("stacks") or ()}
        for pair in report["pairs"]:
            old = pairs.get(pair["name"])
            if old is None or _weight(pair) >= _weight(old):
                pairs[pair["name"]] = dict(pair)
                stacks[pair["name"]] = {**told.get(pair["name"], {}), **plain_stack(pair)}
    for name, pair in pairs.items():
        found: list[FindingData] = list(pair["findings"])
        for member in pair["members"]:
            found += desks.get(member["desk"], {}).get("findings") or []
        pair["reasons"] = [lean(item) for item in worst_first(found)]
        judged = verdict(item["severity"] for item in found)
        pair["verdict"] = "UNKNOWN" if pair["out_of_service"] or (not pair["judged"] and judged == "PASS") else judged
        stacks[name]["verdict"] = pair["verdict"]
        stacks[name].pop("trend", None)
    newest = max(reports, key=lambda item: item["run"]["started"])
    runs = sorted(reports, key=lambda item: item["run"]["started"])
    playbooks = {item["run"]["playbook"] for item in reports}
    chosen = [item["run"].get("only") for item in runs]
    return {
        "schema": SCHEMA,
        "run": {
            "id": f"merged-{newest['run']['id']}",
            "started": runs[0]["run"]["started"],
            "finished": max(item["run"]["finished"] for item in reports),
            "seconds": None,
            "playbook": playbooks.pop() if len(playbooks) == 1 else "merged",
            "check_mode": all(item["run"]["check_mode"] for item in reports),
            "forks": None,
            "simultaneous": False,
            "findings": [],
            "notes": [],
            "versions": newest["run"].get("versions") or {},
            "stages": [],
            "only": list(dict.fromkeys(name for names in chosen for name in names or ())) if all(chosen) else None,
            "merged": [item["run"]["id"] for item in runs],
        },
        "stacks": list(stacks.values()),
        "pairs": list(pairs.values()),
        "desks": list(desks.values()),
        "cables": _cables(ordered),
        "changed": [item for report in runs for item in report.get("changed") or ()],
    }


def _weight(pair: Mapping[str, Any]) -> tuple[bool, bool]:
    """How much a run says of a stack: one that judged it and had all of its desks says most."""
    codes = {item["code"] for item in pair["findings"]}
    return pair["judged"], not codes & {"PAIR_INCOMPLETE", "NOT_MEASURED_CHECK_MODE"}


def _cables(ordered: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The newest cable at each cage."""
    kept: list[dict[str, Any]] = []
    for report in ordered:
        fresh = [dict(edge) for edge in report.get("cables") or ()]
        taken = {(end["desk"], end["port"]) for edge in fresh for end in edge["ends"]}
        kept = [edge for edge in kept if not any((end["desk"], end["port"]) in taken for end in edge["ends"])] + fresh
    return kept
