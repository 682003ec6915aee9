# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the admin has to do, worst first: each remedy once, with everything that it is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.judges.catalogue import CODES
from ...module_utils.model.finding import SEVERITIES
from .words import line
from .words import told as sentence

LOUD = ("fail", "unknown", "warn")
"""Severities that ask for something, worst first."""

MISSING = "REQUIRED_CHECK_MISSING"
"""Its remedy is to look at the other findings of the desk or pair, so it is no reason of its own."""


LINK_DOWN, OFF = "CX7_LINK_DOWN", "DESK_UNREACHABLE"
"""A desk that is off takes the signal from the desks at the other ends of its cables."""

NOT_BEGUN = "NCCL_PEER_NOT_READY"
"""With the codes that kept RDMA from being measured as its evidence."""


@dataclass
class Told:
    """One sentence and everything that it is said of."""

    message: str
    subjects: list[str] = field(default_factory=list)
    bare: set[str] = field(default_factory=set)
    """Those whose name stood in front of the sentence and was taken off."""

    @property
    def text(self) -> str:
        """The sentence, with what it is about in front where it does not say so itself."""
        missing = [item for item in self.subjects if item in self.bare or not _says(self.message, item)]
        return f"{', '.join(missing)}: {self.message}" if missing else self.message


@dataclass
class Task:
    """One thing to do."""

    code: str
    severity: str
    remedy: str
    told: list[Told] = field(default_factory=list)


def tasks(report: Mapping[str, Any], severities: Iterable[str] = LOUD) -> list[Task]:
    """Everything to do (or, with other severities, to read), grouped by code and remedy. A check that has no result asks for nothing
    where something else is told of why, and neither does a finding whose cause is told of the same desk or of the one that it names as
    its cause, or that a later stage weighed more."""
    wanted = tuple(severities)
    owners = [*report["pairs"], *(desk for desk in report["desks"] if not desk.get("out_of_service"))]
    everything = [(owner, item) for owner in owners for item in loud(owner["findings"])]
    causes = {(_desk(owner, item), item["code"]) for owner, item in everything}
    failed = {_place(owner, item) for owner, item in everything if item["severity"] == "fail"}
    found: dict[tuple[str, str, str], Task] = {}
    reasons = {
        desk["name"]: any(_is_reason(item) and desk["name"] not in _follows_from(item) for item in desk["findings"])
        for desk in report["desks"]
    }
    out = {desk["name"] for desk in report["desks"] if desk.get("out_of_service")}
    dark = _at_the_other_end(report, {name for name, code in causes if name is not None and code == OFF})
    for owner in owners:
        explained = any(map(_is_reason, owner["findings"])) or any(reasons.get(item["desk"]) for item in owner.get("members") or ())
        for item in owner["findings"]:
            if item["severity"] not in wanted or (explained and _is_consequence(item)):
                continue
            if item["severity"] == "warn" and _place(owner, item) in failed:
                continue
            if any(reasons.get(name) and name not in out for name in _follows_from(item)):
                continue
            if item["code"] == LINK_DOWN and owner["name"] in dark and not (item.get("where") or {}).get("function"):
                continue
            listed = CODES.get(item["code"])
            if listed is not None and any((name, cause) in causes for name in _desks(owner, item) for cause in listed.follows_from):
                continue
            code, severity, remedy = line(item["code"]), str(item["severity"]), line(item.get("remedy") or "")
            task = found.setdefault((code, severity, remedy), Task(code, severity, remedy))
            subject = sentence(item.get("subject") or "")
            message = sentence(item["message"])
            # What is said of several desks in the same words is told once.
            prefix = f"{subject}: " if subject == _desk(owner, item) else ""
            bare = bool(prefix) and message.startswith(prefix)
            message = message.removeprefix(prefix)
            told = next((told for told in task.told if told.message == message), None)
            if told is None:
                told = Told(message)
                task.told.append(told)
            if subject and subject not in told.subjects:
                told.subjects.append(subject)
            if bare:
                told.bare.add(subject)
    return sorted(found.values(), key=lambda task: (-SEVERITIES.index(task.severity), task.told[0].subjects[:1], task.code))


def _says(message: str, subject: str) -> bool:
    """Whether a sentence names a subject, or the desk that it begins with: desk-1 is not named by desk-10."""
    return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", message) for name in (subject.split()[0], subject))


def _at_the_other_end(report: Mapping[str, Any], off: set[str]) -> set[str]:
    """The desks all of whose stack's other desks are off: with one that is on, a cable without signal may be that one's."""
    found = set()
    for stack in report["pairs"]:
        members = {item["desk"] for item in stack.get("members") or ()}
        found |= {desk for desk in members if members - {desk} and members - {desk} <= off}
    return found


def _desk(owner: Mapping[str, Any], item: Mapping[str, Any]) -> str | None:
    """The desk that a finding is about; null where it is about several."""
    return (item.get("where") or {}).get("desk") or (None if owner.get("members") else owner["name"])


def _desks(owner: Mapping[str, Any], item: Mapping[str, Any]) -> list[str]:
    """The desks that a finding is about: those of the whole stack where it names none."""
    named = _desk(owner, item)
    return [named] if named else [member["desk"] for member in owner.get("members") or ()]


def _place(owner: Mapping[str, Any], item: Mapping[str, Any]) -> tuple[tuple[str | None, str], str | None, str]:
    desk = _desk(owner, item)
    return (None, owner["name"]) if desk is None else (desk, ""), (item.get("where") or {}).get("function"), item["code"]


def _is_reason(item: Mapping[str, Any]) -> bool:
    return item["severity"] in ("fail", "unknown") and not _is_consequence(item)


def _follows_from(item: Mapping[str, Any]) -> list[str]:
    """The desks whose own findings say why this one was made; none where it names none."""
    named = (item.get("evidence") or {}).get("follows_from")
    return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []


def _is_consequence(item: Mapping[str, Any]) -> bool:
    """Whether a finding only says that a stage gave no result, or was not begun for what an earlier one found. One without a stage (a
    baseline that cannot be used) has its own reason."""
    evidence = item.get("evidence") or {}
    return (item["code"] == MISSING and "stage" in evidence) or (item["code"] == NOT_BEGUN and bool(evidence.get("rdma")))


def loud(findings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Findings that ask for something, worst first."""
    kept = [item for item in findings if item["severity"] in LOUD]
    return sorted(kept, key=lambda item: LOUD.index(item["severity"]))


def why(findings: Sequence[Mapping[str, Any]]) -> str:
    """The worst code, and how many others there are."""
    codes = list(dict.fromkeys(line(item["code"]) for item in loud(findings)))
    more = f" (+{len(codes) - 1})" if len(codes) > 1 else ""
    return f"{codes[0]}{more}" if codes else ""
