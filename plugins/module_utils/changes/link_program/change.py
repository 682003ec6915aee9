# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change prepared, with everything as it was written down first, and carried out."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from . import steps
from .arming import arm, disarm, remove_folders
from .files import Desk, digest, same, text_entry
from .live import activate, live
from .names import BASELINE, BOOT_LINK, JOURNAL, RESERVE, RESERVE_BYTES, UNSETTLED
from .stage import stage
from .steps import ChangeError
from .undoing import boot_id, take_back


def file_changes(desk: Desk, change: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any] | None], list[str]]:
    """The configuration files as they shall be, and those that somebody edited since and that are therefore kept."""
    files: dict[str, dict[str, Any] | None] = {}
    kept = []
    if change["state"] == "absent":
        baseline = desk.read_json(BASELINE) or {"files": {}, "written": {}}
        for path, before in baseline["files"].items():
            if digest(desk.entry(path)) == baseline["written"].get(path):
                files[path] = before
            elif digest(desk.entry(path)) != digest(before):
                kept.append(path)
    for item in change.get("write", []):
        files[item["path"]] = text_entry(item["content"], item["mode"])
    for path in change.get("remove", []):
        if path not in files and path not in kept:
            files[path] = None
    return {path: entry for path, entry in files.items() if not same(desk.entry(path), entry)}, kept


def _with_ids_given_back(desk: Desk, change: dict[str, Any]) -> dict[str, Any]:
    """The change with the netplan ids of the files that it gives back: they name our interfaces in words of their own."""
    if change["state"] != "absent":
        return change
    return {**change, "ids": sorted({*change["ids"], *(desk.read_json(BASELINE) or {}).get("ids", [])})}


def check(desk: Desk, change: dict[str, Any]) -> dict[str, Any]:
    """Stage the change without keeping anything: what would be written."""
    change = _with_ids_given_back(desk, change)
    files, kept = file_changes(desk, change)
    generated = stage(desk, change, files)
    return {"ok": True, "files": sorted(files), "generated": sorted(generated), "kept": kept}


def prepare(desk: Desk, change: dict[str, Any]) -> dict[str, Any]:
    """Stage, write the journal, arm the undo. Nothing of the desk's configuration is touched. Raises ChangeError or OSError."""
    with desk.lock(5):
        journal = desk.read_json(JOURNAL)
        if journal is not None and journal["state"] in UNSETTLED:
            raise ChangeError(f"a change of {journal['id']} is unsettled ({journal['state']})")
        change = _with_ids_given_back(desk, change)
        files, kept = file_changes(desk, change)
        generated = stage(desk, change, files)
        everything = {**files, **generated}
        now = live(desk, change["netdevs"], change["renderer"])
        baseline = desk.read_json(BASELINE) or {}
        if change["state"] == "absent":
            change = {**change, "baseline_live": {key: value for key, value in (baseline.get("live") or now).items() if key in now}}
        folders = _missing_folders(desk, (*everything, BOOT_LINK))
        journal = {
            **change,
            "program": 1,
            "state": "prepared",
            "state_wanted": change["state"],
            "boot_id": boot_id(desk),
            "begun": time.time(),
            "live": now,
            "sysctl_before": _sysctl_before(desk, change),
            "files": [
                {"path": path, "before": before, "before_digest": digest(before), "after": entry, "lasting": path in files}
                for path, entry, before in ((path, entry, desk.entry(path)) for path, entry in everything.items())
            ],
            "new_folders": folders,
            "kept": kept,
        }
        try:
            _reserve(desk)
            desk.write_json(JOURNAL, journal)
            steps.after_step("journal")
            arm(desk, change["confirm_timeout"])
            journal["state"] = "armed"
            journal["deadline"] = time.time() + change["confirm_timeout"]
            desk.write_json(JOURNAL, journal)
        except (ChangeError, OSError):
            for path in (JOURNAL, RESERVE):
                desk.put(path, None)
            disarm(desk)
            remove_folders(desk, folders)
            raise
        steps.after_step("armed")
        return {"ok": True, "files": sorted(files), "generated": sorted(generated), "kept": kept, "deadline": journal["deadline"]}


def _missing_folders(desk: Desk, paths: Iterable[str]) -> list[str]:
    """Folders that the change will make, parents first."""
    found: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in ("/", "") and not os.path.isdir(desk.path(folder)):
            found.add(folder)
            folder = os.path.dirname(folder)
    return sorted(found)


def _reserve(desk: Desk) -> None:
    with open(desk.path(RESERVE), "wb") as file:
        file.write(b"\0" * RESERVE_BYTES)
        file.flush()
        os.fsync(file.fileno())


def _sysctl_before(desk: Desk, change: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for netdev, values in (change.get("sysctl") or {}).items():
        for key in values:
            with contextlib.suppress(OSError), open(desk.path(f"/proc/sys/net/ipv4/conf/{netdev}/{key}"), encoding="utf-8") as file:
                found.setdefault(netdev, {})[key] = file.read().strip()
    return found


def apply(desk: Desk) -> dict[str, Any]:
    """Carry the armed change out; whatever goes wrong, take it back at once."""
    with desk.lock(5):
        journal = desk.read_json(JOURNAL)
        if journal is None or journal["state"] != "armed":
            raise ChangeError(f"nothing is armed (state {journal and journal['state']})")
        problem = None
        try:
            journal["state"] = "applying"
            desk.write_json(JOURNAL, journal)
            for item in journal["files"]:
                desk.put(item["path"], item["after"])
                steps.after_step(f"file {item['path']}")
            activate(desk, journal, [item["path"] for item in journal["files"]])
            journal["state"] = "applied"
            journal["commands"] = desk.commands
            desk.write_json(JOURNAL, journal)
            steps.after_step("applied")
        except (ChangeError, OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            if isinstance(error, OSError) and error.filename:
                problem = f"{problem}: {error.filename}"
        if problem is None:
            return {"ok": True, "state": "applied", "commands": desk.commands}
        journal["commands"] = list(desk.commands)
        return take_back(desk, journal, f"the change failed: {problem}")
