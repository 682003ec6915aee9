# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a run's report: from the typed run and its store to JSON, HTML, JUnit, Prometheus text and the table."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...module_utils.judges.catalogue import finding
from ...module_utils.model.finding import Where
from .. import audit
from ..cable_report import picture
from ..run.clock import utc
from ..run.model import Run, Stack, plain
from ..run.store import FAILED, Part, RunStore, write_atomically
from .build import bad_desks, build
from .html import html
from .junit import junit
from .prometheus import prometheus
from .text import summary


@dataclass(frozen=True)
class Made:
    """A report that was written."""

    lines: list[str]
    """The table for the terminal."""
    result: dict[str, Any]
    """path, pairs and desks (name to verdict), guilty (desk to reason)."""


def write_report(run: Run, store: RunStore, lost: Mapping[str, str] | None = None) -> Made:
    """Write every file of the report. The table and the verdicts are made even where a file cannot be written.

    ``lost``: desks whose results could not be kept, with the reason.
    """
    now = datetime.datetime.now(datetime.UTC)
    parts = store.everything()
    if lost:
        parts["results"] = {desk: _lost(desk, reason) for desk, reason in lost.items()}
    report = build(view_of(run), parts, utc(now))
    folder = store.run_dir
    lines = summary(report, str(folder))
    try:
        write_atomically(folder / "report.json", json.dumps(report, indent=1, sort_keys=True, default=str))
        write_atomically(folder / "index.html", html(report, picture(report)))
        write_atomically(folder / "junit.xml", junit(report))
        write_atomically(folder / "metrics.prom", prometheus(report, now.timestamp()), mode=0o644)
        if run.playbook == "audit":
            write_atomically(folder / "audit.json", json.dumps(audit.rows(report), indent=1))
        write_atomically(folder / "summary.txt", "\n".join(lines) + "\n")
    except OSError as error:
        lines.append(f"The report could not be written to {folder}: {error.strerror or error}. This table is all that there is.")
    guilty = bad_desks(report)
    if run.check_mode:
        # In check mode a missing measurement is no failure; a failing finding still is.
        guilty = {desk: reason for desk, reason in guilty.items() if " is FAIL" in reason}
    result = {
        "path": str(folder),
        "pairs": {pair["name"]: pair["verdict"] for pair in report["pairs"]},
        "desks": {desk["name"]: desk["verdict"] for desk in report["desks"]},
        "guilty": guilty,
    }
    return Made(lines, result)


def _lost(desk: str, reason: str) -> Part:
    found = finding("RESULTS_NOT_KEPT", Where(desk=desk), f"{desk}: {reason}")
    return Part("results", desk, FAILED, reason=reason, findings=(found.as_dict(),))


def view_of(run: Run) -> dict[str, Any]:
    """The run as the report's builder reads it: pairs and desks, the projection of stacks and members."""
    return {**plain(run), "pairs": [_pair(run, stack) for stack in run.stacks], "desks": _desks(run)}


def _pair(run: Run, stack: Stack) -> Mapping[str, Any]:
    return {
        "name": stack.name,
        "head": stack.head,
        "peer": stack.members[1],
        "members": list(stack.members),
        "topology": stack.topology,
        "out_of_service": stack.out_of_service,
        "in_scope": run.in_scope(stack),
    }


def _desks(run: Run) -> dict[str, dict[str, Any]]:
    desks = {}
    for name, member in run.members.items():
        stack = run.stack(member.stack)
        desks[name] = {
            "address": member.address,
            "pair": member.stack,
            "peer": next(iter(stack.neighbours(name)), None) if stack else None,
            "out_of_service": member.out_of_service,
            "in_scope": member.in_scope,
        }
    return desks
