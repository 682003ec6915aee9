# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run, made from its parts. Pure: parts in, report out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...module_utils.judges.catalogue import finding
from ...module_utils.model.finding import SEVERITIES, VERDICT_OF_SEVERITY, Where, verdict
from ..run.stages import DESK, STACK, Check, required
from ..run.store import DONE, FAILED, HELD_BACK, SKIPPED, Part

SCHEMA = "labops.dgx_spark/report/1"
BAD = ("FAIL", "UNKNOWN")

Parts = Mapping[str, Mapping[str, Part]]
"""stage -> desk -> part"""

FindingData = Mapping[str, Any]


def build(run: Mapping[str, Any], parts: Parts, finished: str) -> dict[str, Any]:
    """The report (schema labops.dgx_spark/report/1) of a run.

    ``run`` is the run as `files.view_of` gives it, ``parts`` every stage's parts by desk.
    """
    scope = [name for name, desk in run["desks"].items() if desk["in_scope"]]
    checks = required(run["playbook"], run.get("stages"))
    desks = {name: _desk(name, run, parts, checks) for name in scope}
    pairs = [_pair(pair, run, parts, desks, checks) for pair in run["pairs"] if pair["in_scope"]]
    return {
        "schema": SCHEMA,
        "run": {
            "id": run["run_id"],
            "started": run["started"],
            "finished": finished,
            "playbook": run["playbook"],
            "check_mode": run["check_mode"],
            "forks": run.get("forks"),
            "simultaneous": not run.get("findings"),
            "findings": list(run.get("findings") or []),
            "notes": list(run.get("notes") or []),
        },
        "pairs": pairs,
        "desks": [desks[name] for name in scope],
        "cables": _cables(parts),
    }


def bad_desks(report: Mapping[str, Any]) -> dict[str, str]:
    """Desk to the sentence why it ends the run as failed: its own verdict or its pair's is FAIL or UNKNOWN."""
    guilty: dict[str, str] = {}
    for desk in report["desks"]:
        if desk["verdict"] in BAD and not desk.get("out_of_service"):
            guilty[desk["name"]] = f"{desk['name']} is {desk['verdict']}{_because(desk['findings'])}"
    names = {desk["name"] for desk in report["desks"]}
    for pair in report["pairs"]:
        if pair["verdict"] not in BAD or pair.get("out_of_service") or (not pair["judged"] and pair["verdict"] == "UNKNOWN"):
            continue
        reasons = pair["reasons"]
        if report["run"]["playbook"] == "enrol":
            # First contact concerns each desk alone: a partner that could not be enrolled takes nothing back from this one.
            reasons = [item for item in pair["findings"] if VERDICT_OF_SEVERITY[item["severity"]] in BAD]
            if not reasons:
                continue
        for member in pair["members"]:
            if member["desk"] in names:
                guilty.setdefault(member["desk"], f"pair {pair['name']} is {pair['verdict']}{_because(reasons)}")
    return guilty


def worst_first(findings: Iterable[FindingData]) -> list[FindingData]:
    """Findings, the worst first, in a stable order."""
    return sorted(findings, key=lambda item: -SEVERITIES.index(item["severity"]))


def _because(findings: Iterable[FindingData]) -> str:
    worst = next(iter(worst_first(findings)), None)
    return f": {worst['code']}: {worst['message']}" if worst else ""


def _unique(findings: Iterable[FindingData]) -> list[FindingData]:
    kept: dict[tuple[Any, ...], FindingData] = {}
    for item in findings:
        kept.setdefault((item["code"], item.get("subject"), item["message"]), item)
    return list(kept.values())


def _missing(check: Check, part: Part | None, where: Where, run: Mapping[str, Any]) -> FindingData | None:
    """The finding for a required check without a result; null when it has one."""
    if part is not None and part.state == DONE and (check.key is None or part.data.get(check.key)):
        return None
    evidence = {"check": check.name, "stage": check.stage, "state": part.state if part else "not reached"}
    if run["check_mode"]:
        message = f"{where.subject}: not done in check mode: {check.title}"
        return finding("NOT_MEASURED_CHECK_MODE", where, message, evidence=evidence).as_dict()
    reason = (part.reason if part else None) or ("the stage was not reached" if part is None else "it gave no result")
    message = f"{where.subject}: no result that {check.title}: {reason}"
    return finding("REQUIRED_CHECK_MISSING", where, message, evidence=evidence).as_dict()


def _desk(name: str, run: Mapping[str, Any], parts: Parts, checks: Iterable[Check]) -> dict[str, Any]:
    plan = run["desks"][name]
    own = [stage[name] for stage in parts.values() if name in stage]
    # A stage that ran for the pair on its head may speak about the other desk.
    findings = [
        item
        for stage in parts.values()
        for part in stage.values()
        for item in part.findings
        if (item.get("where") or {}).get("desk") == name
    ]
    findings += [
        item for part in own for item in part.findings if not (item.get("where") or {}).get("desk") and not item["where"].get("pair")
    ]
    told = any(part.state == FAILED or part.failing_codes or part.held_back for part in own)
    in_pair = plan["pair"] is not None and not plan["out_of_service"]
    for check in checks:
        if check.scope != DESK or told or plan["out_of_service"]:
            continue
        if check.stage == "link" and (not in_pair or not run["desks"][plan["peer"]]["in_scope"]):
            continue
        missing = _missing(check, parts.get(check.stage, {}).get(name), Where(desk=name), run)
        if missing:
            findings.append(missing)
    findings = _unique(findings)
    facts = parts.get("facts", {}).get(name)
    return {
        "name": name,
        "pair": plan["pair"],
        "out_of_service": plan["out_of_service"],
        "verdict": verdict(item["severity"] for item in findings),
        "facts": dict(facts.data.get("spark") or {}) if facts else {},
        "findings": worst_first(findings),
        **({"workload": list(asked.data.get("workload") or ())} if (asked := parts.get("workload", {}).get(name)) else {}),
        "stages": {part.stage: {"state": part.state, "reason": part.reason, "changed": part.changed} for part in own},
    }


def _pair(
    pair: Mapping[str, Any], run: Mapping[str, Any], parts: Parts, desks: Mapping[str, Mapping[str, Any]], checks: Iterable[Check]
) -> dict[str, Any]:
    name, members = pair["name"], list(pair["members"])
    where = Where(pair=name)
    asked = any(check.scope == STACK for check in checks)
    findings = [
        item
        for stage in parts.values()
        for part in stage.values()
        for item in part.findings
        if (item.get("where") or {}).get("pair") == name
    ]
    outside = [member for member in members if not run["desks"][member]["in_scope"]]
    if pair["out_of_service"]:
        message = f"pair {name} was left alone: a desk of it is out of service"
        findings.append(finding("PAIR_OUT_OF_SERVICE", where, message).as_dict())
    elif outside and asked:
        message = f"pair {name}: {', '.join(outside)} is not in this run, so the pair was not measured"
        findings.append(finding("PAIR_INCOMPLETE", where, message, evidence={"outside": outside}).as_dict())
    own = _unique(findings)
    reasons = list(own)
    for member in members:
        reasons += desks[member]["findings"] if member in desks else []
    told = any(item["severity"] == "fail" or item["code"] == HELD_BACK for item in reasons)
    if not pair["out_of_service"] and not outside:
        for check in checks:
            if check.scope != STACK:
                continue
            found = [parts.get(check.stage, {}).get(member) for member in members]
            done = next((part for part in found if part is not None and (check.key is None or part.data.get(check.key))), None)
            fallback = next(
                (part for part in found if part is not None and part.state in (SKIPPED, FAILED)), next((p for p in found if p), None)
            )
            missing = _missing(check, done or fallback, where, run)
            # What failed or was held back already says why; a missing measurement behind it is not one more unknown.
            if missing and not told:
                own.append(missing)
                reasons.append(missing)
    reasons = _unique(reasons)
    judged = verdict(item["severity"] for item in reasons)
    head = pair["head"]
    return {
        "name": name,
        # A playbook that measures nothing across pairs cannot call one good; it can still have found it bad.
        "verdict": "UNKNOWN" if pair["out_of_service"] or (not asked and judged == "PASS") else judged,
        "judged": asked,
        "out_of_service": pair["out_of_service"],
        "topology": pair["topology"],
        "head": head,
        "peer": pair["peer"],
        "members": [{"desk": member, "rank": rank, "ports": _ports(parts, member)} for rank, member in enumerate(members)],
        "findings": worst_first(own),
        "reasons": worst_first(reasons),
        "link": {member: _data(parts, "link", member) for member in members},
        "rdma": _data(parts, "rdma", head),
        "nccl": _data(parts, "nccl", head),
    }


def _data(parts: Parts, stage: str, desk: str) -> dict[str, Any] | None:
    part = parts.get(stage, {}).get(desk)
    return dict(part.data) if part is not None and part.data else None


def _ports(parts: Parts, desk: str) -> list[int]:
    part = parts.get("cable_map", {}).get(desk)
    port = part.data.get("port") if part else None
    return [] if port is None else [int(port)]


def _cables(parts: Parts) -> list[dict[str, Any]]:
    """The edges of the cable map; every desk's part carries those that end at it."""
    edges: dict[str, dict[str, Any]] = {}
    for part in parts.get("cable_map", {}).values():
        for edge in part.data.get("edges") or ():
            edges.setdefault(repr(sorted(edge.get("ends", []), key=repr)) if edge.get("ends") else repr(edge), dict(edge))
    return list(edges.values())
