# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports after the run: of a run that was interrupted, of one whose page is wanted again, of several together."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..run.model import Run
from ..run.store import Part, RunStore
from .build import build
from .read import ReportError, checked, report_file
from .words import line

REPORT = "report.json"


def folder_of(base: Path, wanted: str) -> Path:
    """The folder of a run: a path, a run's id below ``base``, a part of it that only one has, or ``last``. Raises ReportError."""
    path = Path(wanted).expanduser()
    if path.name == REPORT:
        path = path.parent
    if (path / REPORT).is_file() or (path / "run.json").is_file():
        return path
    try:
        folders = sorted(item for item in base.iterdir() if (item / REPORT).is_file() or (item / "run.json").is_file())
    except OSError:
        folders = []
    if wanted == "last" and folders:
        return folders[-1]
    hits = [item for item in folders if item.name == wanted] or [item for item in folders if wanted and wanted in item.name]
    if len(hits) == 1:
        return hits[0]
    known = ", ".join(item.name for item in (hits or folders)[-5:]) or "none"
    raise ReportError(f"{wanted!r} is {'not a run' if not hits else f'{len(hits)} runs'} in {base}; known runs are {known}")


def report_of(folder: Path, versions: Mapping[str, str]) -> tuple[dict[str, Any], bool]:
    """The report of a run's folder, and whether it stood there; one that was never written is made of what the stages left.

    Raises ReportError.
    """
    if (folder / REPORT).is_file():
        return report_file(folder / REPORT)[0], True
    store = RunStore(folder)
    try:
        # Somebody may have sent it, with anything in its parts.
        return checked(unfinished(store.run(), store.everything(), versions), str(folder)), False
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
        raise ReportError(f"{folder} holds neither a report nor a run that can be read: {line(error)[:200]}") from None


def unfinished(run: Run, parts: Mapping[str, Mapping[str, Part]], versions: Mapping[str, str]) -> dict[str, Any]:
    """The report of a run that did not come to its end: what was not reached is UNKNOWN."""
    ended = [part.ended for stage in parts.values() for part in stage.values() if part.ended]
    finished = f"{max(ended)[:19]}Z" if ended else run.started
    report = build(run, parts, finished, versions)
    report["run"]["interrupted"] = True
    return report


def merged_folder(base: Path, now: datetime.datetime) -> Path:
    """Where a merged report goes: below ``merged``, where the history does not take it for a run."""
    return base / "merged" / f"{now:%Y%m%dT%H%M%SZ}"


def names(wanted: Any) -> list[str]:
    """A list of runs, however it was given: a list, or text with commas or blanks."""
    if isinstance(wanted, str):
        text = wanted.strip()
        if text.startswith("["):
            try:
                return names(json.loads(text))
            except ValueError:
                pass
        return [item for item in text.replace(",", " ").split() if item]
    if isinstance(wanted, Iterable):
        return [name for item in wanted if (name := str(item).strip())]
    return []
