# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run, made from its parts. Pure: parts in, report out."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from ...module_utils.judges.catalogue import finding
from ...module_utils.model.finding import SEVERITIES, VERDICT_OF_SEVERITY, Where, verdict
from .. import secret_shapes
from ..run.model import DIRECT, Run
from ..run.stages import DESK, STACK, Check
from ..run.store import DONE, FAILED, HELD_BACK, SKIPPED, Part
from .figures import figures_of, headline
from .source import Parts, PlannedStack, Source, in_words_of, source_of
from .timing import changed_on, epoch, finished_stages, seconds_between
from .words import plain, scrubbed

SCHEMA = "labops.dgx_spark/report/1"
BAD = ("FAIL", "UNKNOWN")
ORDER = (*BAD, "WARN", "PASS")
"""Verdicts, worst first."""

FindingData = Mapping[str, Any]


def build(run: Run, parts: Parts, finished: str, versions: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The report (schema labops.dgx_spark/report/1) of a run; every text in it is harmless.

    ``parts`` are every stage's parts by desk, ``finished`` is the time (UTC, ISO 8601).
    """
    source = source_of(run, parts)
    desks = {name: _desk(name, source, source.checks) for name in source.scope}
    pairs = [_pair(stack, source, desks, source.checks) for stack in source.stacks if stack.in_scope]
    return dict(
        _discreet(
            {
                "schema": SCHEMA,
                "run": {
                    "id": source.id,
                    "started": source.started,
                    "finished": finished,
                    "seconds": seconds_between(source.started, finished),
                    "playbook": source.playbook,
                    "check_mode": source.check_mode,
                    "forks": source.forks,
                    "only": None if source.only is None else list(source.only),
                    "simultaneous": not source.findings,
                    "findings": list(source.findings),
                    "notes": list(source.notes),
                    "versions": dict(versions or {}),
                    "stages": finished_stages(source.everything()),
                },
                "stacks": [_stack(pair, source) for pair in pairs],
                "pairs": pairs,
                "desks": [desks[name] for name in source.scope],
                "cables": _cables(source),
                "changed": changed_on(source.everything()),
            },
            [*run.members, *(stack.name for stack in run.stacks)],
        )
    )


SHORT = 8
"""Characters below which a text holds no secret."""


def _discreet(data: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Plain harmless data (`scrubbed`) without passwords and tokens: programs and the kernel are started with some, logs repeat them.

    ``names`` of desks and stacks stay, whatever they look like: by them all parts of a report are found, and a desk its verdict.
    """
    # Desks of a lab are alike: what stands in all of them is looked through once.
    discreet = secret_shapes.sparing(map(plain, names), functools.cache(secret_shapes.cut))

    def told(value: Any) -> Any:
        if isinstance(value, str):
            return discreet(value) if len(value) >= SHORT else value
        if isinstance(value, dict):
            # Remedies name options of passwords; only what they repeat of a program may be a secret.
            return {
                key: secret_shapes.without_tokens(item) if key == "remedy" and isinstance(item, str) else told(item)
                for key, item in value.items()
            }
        return [told(item) for item in value] if isinstance(value, list) else value

    found: dict[str, Any] = told(scrubbed(data))
    return found


def judge_again(report: dict[str, Any], added: Iterable[FindingData]) -> None:
    """Put findings that were made after the report (from earlier runs) into it, and let them count."""
    desks = {desk["name"]: desk for desk in report["desks"]}
    pairs = {pair["name"]: pair for pair in report["pairs"]}
    for item in map(dict, scrubbed(list(added))):
        place = item.get("where") or {}
        desk, pair = desks.get(place.get("desk")), pairs.get(place.get("pair"))
        if desk is None and pair is None:
            continue
        for owner in (desk, pair if desk is None else None):
            if owner is not None:
                owner["findings"] = worst_first([*owner["findings"], item])
        if desk is not None:
            desk["verdict"] = verdict(found["severity"] for found in desk["findings"])
            pair = pairs.get(desk["pair"])
        if pair is not None:
            pair["reasons"] = worst_first([*pair["reasons"], lean(item)])
            judged = verdict(found["severity"] for found in pair["reasons"])
            if not pair["out_of_service"] and (pair["judged"] or judged != "PASS"):
                pair["verdict"] = judged
    for stack in report.get("stacks") or ():
        if stack["name"] in pairs:
            stack["verdict"] = pairs[stack["name"]]["verdict"]


def stacks_of(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The stacks of a report with all that it says of them: a pair's findings and measurements stand under ``pairs``.

    A report of an earlier version has no ``stacks``: they are made of its pairs.
    """
    changed = [item for item in report.get("changed") or () if isinstance(item, Mapping)]
    pairs = {pair.get("name"): pair for pair in report.get("pairs") or ()}
    listed = report.get("stacks")
    if not listed:
        listed = [plain_stack(pair) for pair in pairs.values()]
    whole = [{**pairs.get(stack.get("name"), {}), **stack} for stack in listed]
    for stack in whole:
        names = {member["desk"] for member in stack["members"]}
        stack["changed"] = [item for item in changed if item.get("desk") in names]
    return whole


def outcome(report: Mapping[str, Any], stack: Mapping[str, Any]) -> str:
    """The word for a stack: its verdict, or what it means where the playbook measures nothing."""
    if stack.get("out_of_service"):
        return "OUT"
    if stack.get("judged", True) or stack["verdict"] != "UNKNOWN" or any(item["severity"] == "unknown" for item in stack["reasons"]):
        return str(stack["verdict"])
    if report["run"]["playbook"] in ("unstack_pair", "unlock_driver"):
        word = "would remove" if report["run"].get("check_mode") else "removed"
        # With --limit desk-01 the other desk keeps all that it has.
        inside = {desk["name"] for desk in report["desks"]}
        reached = [member["desk"] for member in stack["members"] if member["desk"] in inside]
        if len(reached) == len(stack["members"]):
            return word
        return f"{word} on {reached[0]} only" if len(reached) == 1 else f"{word} on {len(reached)} of {len(stack['members'])} desks"
    return "not judged"


def desk_word(desk: Mapping[str, Any]) -> str:
    """The word for a desk: its verdict, or that it was left alone."""
    return "OUT" if desk.get("out_of_service") else str(desk["verdict"])


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
                kind = "pair" if pair.get("topology", DIRECT) == DIRECT else "stack"
                guilty.setdefault(member["desk"], f"{kind} {pair['name']} is {pair['verdict']}{_because(reasons)}")
    return guilty


def worst_first(findings: Iterable[FindingData]) -> list[FindingData]:
    """Findings, the worst first, of one weight those that name no other as their cause; in a stable order."""
    return sorted(findings, key=lambda item: (-SEVERITIES.index(item["severity"]), bool((item.get("evidence") or {}).get("follows_from"))))


def _because(findings: Iterable[FindingData]) -> str:
    worst = next(iter(worst_first(findings)), None)
    return f": {worst['code']}: {worst['message']}" if worst else ""


def _unique(findings: Iterable[FindingData]) -> list[FindingData]:
    """Each statement once, as the stage made it that takes it most seriously."""
    kept: dict[tuple[Any, ...], FindingData] = {}
    for item in findings:
        key = (item["code"], item.get("subject"), item["message"])
        if key not in kept or SEVERITIES.index(item["severity"]) > SEVERITIES.index(kept[key]["severity"]):
            kept[key] = item
    return list(kept.values())


def lean(item: FindingData) -> FindingData:
    """A finding where it is repeated: the whole of it stands with its owner."""
    return {key: item[key] for key in ("code", "severity", "subject", "where", "message") if key in item}


CHECK_MODE = "NOT_MEASURED_CHECK_MODE"


def _missing(check: Check, part: Part | None, where: Where, source: Source) -> FindingData | None:
    """The finding for a required check without a result; null when it has one."""
    if part is not None and part.state == DONE and (check.key is None or part.data.get(check.key)):
        return None
    evidence = {"check": check.name, "stage": check.stage, "state": part.state if part else "not reached"}
    if source.check_mode:
        message = f"{where.subject}: not done in check mode: {check.title}"
        return finding(CHECK_MODE, where, message, evidence=evidence).as_dict()
    reason = (part.reason if part else None) or ("the stage was not reached" if part is None else "it gave no result")
    message = f"{where.subject}: no result that {check.title}: {reason}"
    return finding("REQUIRED_CHECK_MISSING", where, message, evidence=evidence).as_dict()


def _desk(name: str, source: Source, checks: Iterable[Check]) -> dict[str, Any]:
    plan = source.desks[name]
    own = source.of_desk(name)
    # A stage that ran for the pair on its head may speak about the other desk.
    findings = [item for part in source.everything() for item in part.findings if (item.get("where") or {}).get("desk") == name]
    findings += [
        item for part in own for item in part.findings if not (item.get("where") or {}).get("desk") and not item["where"].get("pair")
    ]
    told = any(part.state == FAILED or part.failing_codes or part.held_back for part in own)
    in_stack = plan.stack is not None and not plan.out_of_service
    checks = tuple(checks)
    # Where stacks are judged, a desk of one that is skipped is skipped with it: what it lacks may be its partner's.
    out = plan.left_alone or (plan.out_of_service and any(check.scope == STACK for check in checks))
    for check in checks:
        if check.scope != DESK or told or out:
            continue
        if check.stage == "link" and (not in_stack or not all(source.desks[other].in_scope for other in plan.others)):
            continue
        missing = _missing(check, source.part(check.stage, name), Where(desk=name), source)
        if missing:
            findings.append(missing)
    findings = _unique(findings)
    facts = source.part("facts", name)
    return {
        "name": name,
        "pair": plan.stack,
        "out_of_service": out,
        # It was not looked at, so it is not called good; tables say OUT and metrics nothing.
        "verdict": "UNKNOWN" if plan.left_alone else verdict(item["severity"] for item in findings),
        "facts": dict(facts.data.get("spark") or {}) if facts else {},
        "findings": worst_first(findings),
        **({"workload": list(asked.data.get("workload") or ())} if (asked := source.parts.get("workload", {}).get(name)) else {}),
        **_levels(name, source),
        "settled": _settled(name, source),
        "stages": {
            part.stage: {
                "state": part.state,
                "reason": part.reason,
                "changed": part.changed,
                "seconds": seconds_between(part.started, part.ended),
            }
            for part in own
        },
    }


def _levels(name: str, source: Source) -> dict[str, Any]:
    """What an update made of the desk's levels, or would make of them where it was left as it is; nothing in other runs."""
    for stage in ("update_end", "update_plan"):
        part = source.part(stage, name)
        if part is not None and part.data.get("levels"):
            levels = {str(key): str(value) for key, value in dict(part.data["levels"]).items()}
            return {"levels": levels, "levels_made": stage == "update_end"}
    return {}


def _settled(name: str, source: Source) -> bool:
    """Whether the facts were read after the last change of a link in the desk's stack: only then its link counts hold for the next run."""
    facts = epoch(facts_part.ended) if (facts_part := source.part("facts", name)) else None
    for member in (name, *source.desks[name].others):
        link = source.part("link", member)
        if link is not None and link.changed and (facts is None or (epoch(link.ended) or 0.0) > facts):
            return False
    return facts is not None


def _pair(stack: PlannedStack, source: Source, desks: Mapping[str, Mapping[str, Any]], checks: Iterable[Check]) -> dict[str, Any]:
    name, members = stack.name, list(stack.members)
    where = Where(pair=name)
    asked = any(check.scope == STACK for check in checks)
    findings = [item for part in source.everything() for item in part.findings if (item.get("where") or {}).get("pair") == name]
    outside = [member for member in members if not source.desks[member].in_scope]
    if stack.out_of_service:
        message = f"{stack.kind} {name} was skipped: one of its desks is out of service"
        findings.append(finding("PAIR_OUT_OF_SERVICE", where, message).as_dict())
    elif outside and asked:
        message = f"{stack.kind} {name}: {', '.join(outside)} is not in this run, so the {stack.kind} was not measured"
        findings.append(finding("PAIR_INCOMPLETE", where, message, evidence={"outside": outside}).as_dict())
    own = _unique(findings)
    reasons = list(own)
    for member in members:
        reasons += desks[member]["findings"] if member in desks else []
    told = any(item["severity"] == "fail" or item["code"] == HELD_BACK for item in reasons)
    if not stack.out_of_service and not outside:
        for check in checks:
            if check.scope != STACK:
                continue
            found = [source.part(check.stage, member) for member in members]
            done = next((part for part in found if part is not None and (check.key is None or part.data.get(check.key))), None)
            fallback = next(
                (part for part in found if part is not None and part.state in (SKIPPED, FAILED)), next((p for p in found if p), None)
            )
            missing = _missing(check, done or fallback, where, source)
            missing = missing if missing is None or stack.kind == "pair" else dict(in_words_of(stack.topology, missing))
            # What failed or was held back already says why; a missing measurement behind it is not one more unknown.
            if missing and not told:
                own.append(missing)
                reasons.append(missing)
    if source.check_mode:
        own, reasons = _one_check(own, reasons, stack, source)
    reasons = _unique(reasons)
    judged = verdict(item["severity"] for item in reasons)
    head = stack.head
    return {
        "name": name,
        # A playbook that measures nothing across pairs cannot call one good; it can still have found it bad.
        "verdict": "UNKNOWN" if stack.out_of_service or (not asked and judged == "PASS") else judged,
        "judged": asked,
        "out_of_service": stack.out_of_service,
        "topology": stack.topology,
        "head": head,
        "peer": next((member for member in members if member != head), None),
        "members": [{"desk": member, "rank": rank, "ports": _ports(source, member)} for rank, member in enumerate(members)],
        "findings": worst_first(own),
        "reasons": [lean(item) for item in worst_first(reasons)],
        "link": {member: _data(source, "link", member) for member in members},
        "rdma": _data(source, "rdma", head),
        "nccl": _data(source, "nccl", head),
    }


def _one_check(
    own: list[FindingData], reasons: list[FindingData], stack: PlannedStack, source: Source
) -> tuple[list[FindingData], list[FindingData]]:
    """A stack's findings and reasons with all that check mode left out as one finding: what a run would change, and what is in its way."""
    left_out = [item for item in reasons if item["code"] == CHECK_MODE]
    if not left_out:
        return own, reasons
    rest = [item for item in reasons if item["code"] != CHECK_MODE]
    in_the_way = any(item["severity"] in ("fail", "unknown") for item in rest)
    changes = {part.stage: part.desk for part in source.everything() if part.changed and part.desk in stack.members}
    would = f"would change the stages {', '.join(changes)}" if changes else "would change nothing"
    ending = "" if in_the_way else "; nothing is in the way"
    message = f"pair {stack.name}: nothing was measured in check mode. A run {would}{ending}."
    evidence = {"would_change": list(changes), "not_done": [item["message"] for item in left_out][:8]}
    one = finding(CHECK_MODE, Where(pair=stack.name), message, evidence=evidence).as_dict()
    return [*(item for item in own if item["code"] != CHECK_MODE), one], [*rest, one]


def plain_stack(pair: Mapping[str, Any]) -> dict[str, Any]:
    figures = figures_of(pair)
    return {
        **{key: pair.get(key) for key in ("name", "verdict", "topology", "head", "members")},
        "figures": figures,
        "headline": headline(figures),
    }


def _stack(pair: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """What the report says of a stack beside its pair: figures with their marks, and times."""
    names = [member["desk"] for member in pair["members"]]
    own = [part for part in source.everything() if part.desk in names]
    return {**plain_stack(pair), "stages": finished_stages(own)}


def _data(source: Source, stage: str, desk: str) -> dict[str, Any] | None:
    part = source.part(stage, desk)
    return dict(part.data) if part is not None and part.data else None


def _ports(source: Source, desk: str) -> list[int]:
    part = source.part("cable_map", desk)
    port = part.data.get("port") if part else None
    cages = part.data.get("ports") if part else None
    if isinstance(cages, Mapping):
        return sorted({int(cage) for cage in cages.values()})
    return [] if port is None else [int(port)]


def _cables(source: Source) -> list[dict[str, Any]]:
    """The edges of the cable map; every desk's part carries those that end at it."""
    edges: dict[str, dict[str, Any]] = {}
    for part in source.parts.get("cable_map", {}).values():
        for edge in part.data.get("edges") or ():
            edges.setdefault(repr(sorted(edge.get("ends", []), key=repr)) if edge.get("ends") else repr(edge), dict(edge))
    return list(edges.values())
