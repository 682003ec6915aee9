# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a run: from the typed run and its store to the report's folder, the history, and what the playbook gets."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...module_utils.judges.catalogue import finding
from ...module_utils.model.finding import Where
from ..history.judge import with_history
from ..history.since import LAST, SinceError
from ..history.store import History, HistoryError
from ..run.clock import utc
from ..run.model import Run
from ..run.store import FAILED, Part, RunStore
from .build import bad_desks, build
from .text import summary
from .versions import versions
from .webhook import WebhookError, post, told
from .write import Wishes, write


@dataclass(frozen=True)
class Asked:
    """What an admin may ask of the end of a run."""

    since: str = LAST
    """The run that desks are compared with, see `history.since`."""
    show_notes: bool = False
    webhook: Mapping[str, Any] = field(default_factory=dict)
    """url and headers of a receiver of the verdict."""
    files: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True)
class Made:
    """A report that was made."""

    lines: list[str]
    """The table for the terminal."""
    result: dict[str, Any]
    """path, pairs and desks (name to verdict), guilty (desk to reason), unwritten (a sentence for each file), ansible_stats."""
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    """What to tell loudly; empty when the report is whole."""


def write_report(
    run: Run,
    store: RunStore,
    lost: Mapping[str, str] | None = None,
    asked: Asked | None = None,
    show: Callable[[list[str]], None] | None = None,
) -> Made:
    """Make the report, compare it with earlier runs, write it, remember it, tell others.

    ``lost``: desks whose results could not be kept, with the reason. ``show`` gets the table before anything is written: whatever then
    fails, it has been seen. Nothing is raised for a file that cannot be written.
    """
    asked = asked or Asked()
    folder = store.run_dir
    warnings: list[str] = []
    parts = store.everything()
    if lost:
        parts["results"] = {desk: _lost(desk, reason) for desk, reason in lost.items()}
    report = build(run, parts, utc(), versions())
    history = History(folder.parent)
    _compare(report, history, asked.since, warnings)
    lines = summary(report, str(folder), asked.show_notes)
    if show is not None:
        show(lines)
    written = write(folder, report, lines, asked.files)
    warnings += written.warnings
    if not written.problems:
        _remember(history, report, written.sha256, folder, warnings)
    content = told(report, str(folder))
    _post(asked.webhook, content, warnings)
    guilty = bad_desks(report)
    if run.check_mode:
        # In check mode a missing measurement is no failure; a failing finding still is.
        guilty = {desk: reason for desk, reason in guilty.items() if " is FAIL" in reason}
    result = {
        "path": str(folder),
        "pairs": {pair["name"]: pair["verdict"] for pair in report["pairs"]},
        "desks": {desk["name"]: desk["verdict"] for desk in report["desks"]},
        "guilty": guilty,
        "unwritten": written.problems,
        "ansible_stats": {"data": {"dgx_spark": content}, "per_host": False, "aggregate": False},
    }
    error = ""
    if written.problems:
        error = (
            f"the report in {folder} is incomplete ({'; '.join(written.problems)}). The table above is all that this run leaves; free "
            f"some space and run playbooks/report.yml -e report_runs={folder.name}"
        )
    return Made(lines, result, warnings, error)


def _lost(desk: str, reason: str) -> Part:
    found = finding("RESULTS_NOT_KEPT", Where(desk=desk), f"{desk}: {reason}")
    return Part("results", desk, FAILED, reason=reason, findings=(found.as_dict(),))


def _compare(report: dict[str, Any], history: History, since: str, warnings: list[str]) -> None:
    try:
        warnings += [f"the history skips a report: {problem}" for problem in history.sync()]
        with_history(report, history, datetime.datetime.now().astimezone(), since)
    except SinceError as error:
        warnings.append(f"audit_since: {error}; nothing was compared")
    except HistoryError as error:
        warnings.append(f"{error}; this report says nothing about earlier runs (playbooks/history.yml -e history_rebuild=true repairs it)")


def _remember(history: History, report: Mapping[str, Any], sha256: str, folder: Path, warnings: list[str]) -> None:
    try:
        history.add(report, sha256, folder.name)
    except HistoryError as error:
        warnings.append(f"{error}; the next run adds this one")


def _post(webhook: Mapping[str, Any], content: Mapping[str, Any], warnings: list[str]) -> None:
    if not webhook:
        return
    headers = webhook.get("headers")
    try:
        post(str(webhook.get("url") or ""), headers if isinstance(headers, Mapping) else {}, content)
    except WebhookError as error:
        warnings.append(f"the webhook was not notified: {error}")
