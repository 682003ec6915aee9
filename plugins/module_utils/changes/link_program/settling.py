# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change kept, or what an earlier run left of one dealt with."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

from . import steps
from .arming import disarm, remove_folders
from .files import Desk, digest
from .names import BASELINE, BOOT_LINK, HOME, JOURNAL, LAST, RESERVE, UNSETTLED
from .steps import ChangeError
from .undoing import take_back


def confirm(desk: Desk, change_id: str) -> dict[str, Any]:
    """Keep the applied change: durable first, disarmed then."""
    with desk.lock(60):
        journal = desk.read_json(JOURNAL)
        if journal is None or journal["id"] != change_id or journal["state"] not in ("applied", "confirmed"):
            return {"ok": False, "state": journal and journal["state"], "reason": (journal or {}).get("reason")}
        if journal["state"] == "applied":
            if journal["state_wanted"] == "present":
                _merge_baseline(desk, journal)
                steps.after_step("baseline")
            journal["state"] = "confirmed"
            desk.write_json(JOURNAL, journal)
            steps.after_step("confirmed")
        return _finish(desk, journal)


def _merge_baseline(desk: Desk, journal: Mapping[str, Any]) -> None:
    """Remember the files as they were before the first change of all, and what we wrote last."""
    baseline = desk.read_json(BASELINE) or {"files": {}, "written": {}, "live": {}}
    for item in journal["files"]:
        if item["lasting"]:
            baseline["files"].setdefault(item["path"], item["before"])
            baseline["written"][item["path"]] = digest(item["after"])
    baseline["ids"] = sorted({*baseline.get("ids", []), *journal["ids"]})
    for netdev, state in journal["live"].items():
        baseline["live"].setdefault(netdev, state)
    desk.write_json(BASELINE, baseline)


def _finish(desk: Desk, journal: Mapping[str, Any]) -> dict[str, Any]:
    disarm(desk)
    steps.after_step("disarmed")
    result = {"ok": True, "state": "confirmed", "commands": journal.get("commands", []), "kept": journal.get("kept", [])}
    if journal["state_wanted"] == "absent" and not journal.get("kept"):
        shutil.rmtree(desk.path(HOME), ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(desk.path(os.path.dirname(HOME)))
        return result
    if journal["state_wanted"] == "absent":
        _lay_out_originals(desk, journal["kept"])
        desk.put(BASELINE, None)
    remove_folders(desk, [folder for folder in journal.get("new_folders", []) if folder == os.path.dirname(BOOT_LINK)])
    short = {key: journal.get(key) for key in ("id", "state", "state_wanted", "begun", "commands", "kept")}
    desk.write_json(LAST, {**short, "ended": time.time()})
    desk.put(RESERVE, None)
    desk.put(JOURNAL, None)
    return result


def _lay_out_originals(desk: Desk, kept: Sequence[str]) -> None:
    """Where a file was edited since, it stays; the one from before the first change is laid beside our journal."""
    files = (desk.read_json(BASELINE) or {"files": {}})["files"]
    for path in kept:
        if files.get(path) is not None:
            desk.put(f"{HOME}/originals/{path.strip('/').replace('/', '_')}", files[path])


def settle(desk: Desk) -> dict[str, Any]:
    """Deal with what an earlier run left: finish what was confirmed, take back what was not, put away what was undone."""
    if not os.path.isdir(desk.path(HOME)):
        return {"ok": True, "found": None}
    with desk.lock(10):
        journal = desk.read_json(JOURNAL)
        if journal is None:
            disarm(desk)
            return {"ok": True, "found": None}
        found = journal["state"]
        if found == "confirmed":
            _finish(desk, journal)
        elif found in UNSETTLED:
            result = take_back(desk, journal, "a later run found it unconfirmed")
            if result["problems"]:
                raise ChangeError(f"the earlier change cannot be undone: {'; '.join(result['problems'])}")
            journal = desk.read_json(JOURNAL) or journal
        desk.put(JOURNAL, None)
        desk.put(RESERVE, None)
        return {"ok": True, "found": found, "id": journal["id"], "reason": journal.get("reason"), "kept": journal.get("kept", [])}


def tidy(desk: Desk) -> dict[str, Any]:
    """Leave nothing of ours where nothing was changed: no journal, no earlier change, so no folder."""
    if not any(os.path.lexists(desk.path(path)) for path in (JOURNAL, BASELINE)):
        shutil.rmtree(desk.path(HOME), ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(desk.path(os.path.dirname(HOME)))
    return {"ok": True}


def status(desk: Desk) -> dict[str, Any]:
    """What the journal says."""
    journal = desk.read_json(JOURNAL)
    keys = ("id", "state", "state_wanted", "reason", "kept", "problems", "commands", "undo_commands", "deadline", "unleased")
    return {"ok": True, "journal": None if journal is None else {key: journal.get(key) for key in keys}}
