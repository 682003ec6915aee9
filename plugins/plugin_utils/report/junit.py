# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as JUnit XML: one suite a stack or desk, one case a check, named alike in every run. Pure.

A check that failed is a ``failure``, one whose answer is unknown an ``error``, one that was not made is ``skipped``; warnings and notes
pass with their text as output. Because names never hold what was found, the history of a CI server shows a mended failure turning green.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from ...module_utils.judges.catalogue import DOMAINS
from .build import stacks_of
from .words import number, plain, told

DESK_CHECKS = ("reached", "identity", "system", "driver", "cable", "link", "history")
STACK_CHECKS = ("run", "cable", "link", "trust", "alike", "rdma", "nccl", "history")
OF_STACK = ("trust", "alike", "rdma", "nccl")
"""Checks of a desk in a stack that are the stack's: a measurement that speaks of one of its desks is still one measurement."""

PLAYBOOKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "enrol": (("reached", "enrol"), ()),
    "onboard": (("reached", "identity", "system", "driver", "link", "container", "history"), ()),
    "audit": (DESK_CHECKS, ("alike",)),
    "cable_map": (("reached", "identity", "cable"), ("run", "cable")),
    "unstack_pair": (("reached", "link"), ()),
    "unlock_driver": (("reached", "driver"), ()),
    "check_workload": (("reached", "workload"), ()),
    "update_plan": (("reached", "identity", "update"), ()),
    "update": ((*DESK_CHECKS, "update"), STACK_CHECKS),
    "rollback_update": ((*DESK_CHECKS, "update"), STACK_CHECKS),
}
"""Playbook to its checks of desks and of stacks; all of them for a playbook that is not listed. A finding adds its own check."""

DOMAIN_CHECKS = {
    "run": "reached",
    "identity": "identity",
    "system": "system",
    "driver": "driver",
    "lock": "driver",
    "link": "link",
    "change": "link",
    "cable": "cable",
    "pair": "alike",
    "onboard": "container",
    "enrol": "enrol",
    "history": "history",
    "workload": "workload",
    "update": "update",
}
PREFIXES = (("RDMA_", "rdma"), ("STACK_", "rdma"), ("NCCL_", "nccl"), ("PAIR_", "trust"))
"""Of the domain proof, by the beginning of the code."""

DOMAIN_OF = {code.code: domain for domain, codes in DOMAINS.items() for code in codes}
STAGES = {
    "driver": "driver",
    "link": "link",
    "cable": "cable_map",
    "trust": "trust",
    "enrol": "enrol",
    "container": "container",
    "workload": "workload",
    "update": "update_plan",
}
REQUIRED = {"facts": "reached", "update_plan": "update", "roll_back": "update"}
"""Names of required checks (``checks.py``) that are called otherwise here."""


def check_of(item: Mapping[str, Any]) -> str:
    """The check that a finding belongs to."""
    asked = (item.get("evidence") or {}).get("check")
    if item["code"] in ("REQUIRED_CHECK_MISSING", "NOT_MEASURED_CHECK_MODE") and isinstance(asked, str):
        return REQUIRED.get(asked, plain(asked))
    domain = DOMAIN_OF.get(item["code"], "other")
    if domain == "proof":
        return next((check for prefix, check in PREFIXES if item["code"].startswith(prefix)), "proof")
    return DOMAIN_CHECKS.get(domain, domain)


def junit(report: Mapping[str, Any]) -> str:
    """JUnit XML of a report."""
    run = report["run"]
    root = ElementTree.Element("testsuites", name=_text(f"labops.dgx_spark {run['playbook']}"))
    desk_checks, stack_checks = PLAYBOOKS.get(run["playbook"], (DESK_CHECKS, STACK_CHECKS))
    stacks = stacks_of(report)
    inside = {member["desk"] for stack in stacks for member in stack["members"]}
    desks = {desk["name"]: desk for desk in report["desks"]}
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for stack in stacks:
        findings = [("run" if check_of(item) == "reached" else check_of(item), item) for item in stack.get("findings") or ()]
        for member in stack["members"]:
            own = desks.get(member["desk"], {}).get("findings") or ()
            findings += [(check, item) for item in own if (check := check_of(item)) in OF_STACK]
        _suite(root, "stack", stack, stack_checks, findings, report, totals)
    for desk in report["desks"]:
        findings = [(check_of(item), item) for item in desk["findings"]]
        kept = [(check, item) for check, item in findings if desk["name"] not in inside or check not in OF_STACK]
        _suite(root, "desk", desk, desk_checks, kept, report, totals)
    for key, count in totals.items():
        root.set(key, str(count))
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(
    root: ElementTree.Element,
    kind: str,
    owner: Mapping[str, Any],
    checks: Iterable[str],
    findings: Sequence[tuple[str, Mapping[str, Any]]],
    report: Mapping[str, Any],
    totals: dict[str, int],
) -> None:
    run = report["run"]
    names = list(dict.fromkeys((*checks, *(check for check, item in findings if item["severity"] != "ok"))))
    if not names:
        return
    suite = ElementTree.SubElement(
        root, "testsuite", name=_text(f"{kind} {owner['name']}"), timestamp=_text(run["started"])[:19], hostname="controller"
    )
    _properties(suite, kind, owner, run)
    counts = {"tests": len(names), "failures": 0, "errors": 0, "skipped": 0}
    whole = 0.0
    for name in names:
        seconds = _seconds(name, owner)
        whole += seconds
        case = ElementTree.SubElement(
            suite, "testcase", classname=_text(owner["name"]), name=_text(f"{kind}.{name}"), time=f"{seconds:.1f}"
        )
        result = _case(case, name, owner, [item for check, item in findings if check == name], report)
        if result in counts:
            counts[result] += 1
    for key, count in counts.items():
        suite.set(key, str(count))
        totals[key] += count
    suite.set("time", f"{whole:.1f}")


def _properties(suite: ElementTree.Element, kind: str, owner: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    listed = [("run", run["id"]), ("playbook", run["playbook"]), ("verdict", owner["verdict"])]
    listed += list((run.get("versions") or {}).items())
    if kind == "stack":
        listed.append(("desks", ", ".join(member["desk"] for member in owner["members"])))
        listed += [(item["id"], _figure(item)) for item in owner["figures"]]
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in listed:
        ElementTree.SubElement(properties, "property", name=_text(name), value=_text(value))


def _case(
    case: ElementTree.Element, name: str, owner: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], report: Mapping[str, Any]
) -> str:
    """Fill in the outcome: failures, errors, skipped or passed."""
    listed = [item for item in findings if item["severity"] != "ok"]
    texts = [f"{item['severity']} {item['code']}: {told(item['message'])}\nRemedy: {item.get('remedy') or ''}" for item in listed]
    if listed and name in ("rdma", "nccl"):
        texts += [f"{item['title']}: {_figure(item)}" for item in owner.get("figures") or () if item["id"].startswith(f"{name}.")]
    text = _text("\n".join(texts))
    bad = [item for item in listed if item["severity"] == "fail"]
    unknown = [item for item in listed if item["severity"] == "unknown"]
    unmade = _not_made(name, owner, report)
    if owner.get("out_of_service"):
        ElementTree.SubElement(case, "skipped", message="out of service")
        return "skipped"
    if bad:
        ElementTree.SubElement(case, "failure", message=_text(bad[0]["code"]), type=_text(bad[0]["code"])).text = text
        return "failures"
    if unknown and not report["run"]["check_mode"]:
        ElementTree.SubElement(case, "error", message=_text(unknown[0]["code"]), type=_text(unknown[0]["code"])).text = text
        return "errors"
    if unknown or unmade:
        ElementTree.SubElement(case, "skipped", message=_text(unmade or "check mode: not measured"))
        return "skipped"
    if text:
        ElementTree.SubElement(case, "system-out").text = text
    return "passed"


def _not_made(name: str, owner: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Why a check without a finding cannot be called passed; empty when it was made."""
    if "members" not in owner:
        state = (owner.get("stages") or {}).get("facts", {}).get("state")
        if name != "reached" and state in ("failed", "skipped"):
            return "the desk's facts were not read"
        own = (owner.get("stages") or {}).get(STAGES.get(name, ""), {})
        return f"stage skipped: {own.get('reason') or ''}" if own.get("state") == "skipped" else ""
    if name in ("rdma", "nccl"):
        return "" if (owner.get(name) or {}).get("measured") else "not measured in this run"
    names = [member["desk"] for member in owner["members"]]
    missing = [desk for desk in names if _stage(report, desk, "facts").get("state") not in ("done", None)]
    if missing:
        return f"not reached: {', '.join(missing)}"
    if name not in STAGES:
        return ""
    states = [_stage(report, desk, STAGES[name]) for desk in names]
    skipped = next((item for item in states if item.get("state") in ("skipped", "failed")), None)
    if skipped is not None:
        return f"stage {skipped['state']}: {skipped.get('reason') or ''}"
    return "" if any(states) or not owner.get("judged", True) else "the stage was not reached"


def _stage(report: Mapping[str, Any], desk: str, stage: str) -> Mapping[str, Any]:
    found = next((item for item in report["desks"] if item["name"] == desk), None)
    own = ((found or {}).get("stages") or {}).get(stage)
    return own if isinstance(own, Mapping) else {}


def _seconds(name: str, owner: Mapping[str, Any]) -> float:
    if name in ("rdma", "nccl"):
        return number((owner.get(name) or {}).get("seconds")) or 0.0
    stages = owner.get("stages")
    stage = "facts" if name == "reached" else STAGES.get(name, "")
    if isinstance(stages, Mapping):
        return number((stages.get(stage) or {}).get("seconds")) or 0.0
    return next((number(item.get("seconds")) or 0.0 for item in stages or () if item.get("stage") == stage), 0.0)


def _figure(item: Mapping[str, Any]) -> str:
    against = item["mark"]
    if not against:
        return f"{item['value']:g} {item['unit']}"
    return f"{item['value']:g} {'>=' if item['reached'] else '<'} {against['value']:g} {item['unit']}"


def _text(text: Any) -> str:
    """Without what XML 1.0 forbids, and without what turns or hides text."""
    return plain(text)
