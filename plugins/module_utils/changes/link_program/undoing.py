# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An unconfirmed change taken back from its journal; may be cut off and repeated."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

from . import steps
from .arming import disarm, remove_folders
from .files import Desk, digest
from .live import live, previous_profiles, profile_files, settle_live
from .names import JOURNAL, NETWORK_MANAGER, RESERVE, UNSETTLED


def boot_id(desk: Desk) -> str | None:
    """This boot, as the kernel names it."""
    try:
        with open(desk.path("/proc/sys/kernel/random/boot_id"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def undo(desk: Desk, reason: str | None) -> dict[str, Any]:
    """Take an unconfirmed change back. Nothing to do when there is none."""

    def end_apply() -> None:
        journal = desk.read_json(JOURNAL)
        if journal and journal.get("apply_unit"):
            desk.run("systemctl", "stop", journal["apply_unit"])

    with desk.lock(10, end_apply):
        journal = desk.read_json(JOURNAL)
        if journal is None or journal["state"] not in UNSETTLED:
            disarm(desk)
            if journal is not None and journal["state"] == "undone":
                remove_folders(desk, journal.get("new_folders", []))
            return {"ok": True, "state": journal and journal["state"], "undone": False}
        if reason is None and journal["state"] in ("undoing", "undo_failed"):
            # An undo that was cut off goes on for the reason that it began with.
            reason = journal.get("reason")
        if reason is None:
            journal["unconfirmed"] = True
            reason = f"it was not confirmed within {journal['confirm_timeout']} s"
            if journal.get("boot_id") and journal["boot_id"] != boot_id(desk):
                reason = "the desk restarted before it was confirmed"
        return take_back(desk, journal, reason)


def take_back(desk: Desk, journal: dict[str, Any], reason: str) -> dict[str, Any]:
    desk.put(RESERVE, None)
    journal.update(state="undoing", reason=reason, undo_begun=time.time())
    with contextlib.suppress(OSError):
        desk.write_json(JOURNAL, journal)
    steps.after_step("undoing")
    kept, problems, touched = [], [], []
    for item in reversed(journal["files"]):
        path = item["path"]
        _remove_temporary(desk, path)
        now = digest(desk.entry(path))
        if now == digest(item["before"]):
            touched.append(path)
            _restore_times(desk, item)
            continue
        if now != digest(item["after"]):
            kept.append(path)
            continue
        try:
            desk.put(path, item["before"])
            touched.append(path)
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
        steps.after_step(f"restored {path}")
    _undo_live(desk, journal, touched)
    for work in glob.glob(desk.path("/run/dgx-spark-link-*")):
        shutil.rmtree(work, ignore_errors=True)
    journal.update(state="undo_failed" if problems else "undone", ended=time.time(), problems=problems)
    journal["kept"] = sorted({*journal.get("kept", []), *kept})
    journal["undo_commands"] = list(desk.commands)
    with contextlib.suppress(OSError):
        desk.write_json(JOURNAL, journal)
    steps.after_step("undone")
    if not problems:
        disarm(desk)
        remove_folders(desk, journal.get("new_folders", []))
    return {
        "ok": False,
        "state": journal["state"],
        "undone": True,
        "reason": reason,
        "kept": journal["kept"],
        "problems": problems,
        "commands": journal.get("commands", []),
        "undo_commands": journal["undo_commands"],
    }


def _remove_temporary(desk: Desk, path: str) -> None:
    folder, name = os.path.split(desk.path(path))
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(folder, f".{name}.dgx-spark-new"))


def _restore_times(desk: Desk, item: Mapping[str, Any]) -> None:
    """A file that was rewritten with its old content gets its old time stamp, mode and owner as well."""
    before, now = item["before"], desk.entry(item["path"])
    if before is not None and now is not None and "content" in before and before != now:
        with contextlib.suppress(OSError):
            desk.put(item["path"], before)


def _undo_live(desk: Desk, journal: Mapping[str, Any], touched: Sequence[str]) -> None:
    renderer, before = journal["renderer"], journal["live"]
    unit = "NetworkManager.service" if renderer == NETWORK_MANAGER else "systemd-networkd.service"
    # Early at boot the renderer has not started: it will read the restored files by itself.
    running = desk.run("systemctl", "is-active", unit, note=False)[0] == 0
    if running and renderer == NETWORK_MANAGER:
        profiles = profile_files(touched)
        if profiles:
            desk.run("nmcli", "connection", "load", *profiles)
        previous_profiles(desk, before, again=bool(profiles))
    elif running:
        desk.run("networkctl", "reload")
        for netdev in before:
            desk.run("networkctl", "reconfigure", netdev)
    for netdev, values in (journal.get("sysctl_before") or {}).items():
        for key, value in values.items():
            desk.run("sysctl", "-q", "-w", f"net/ipv4/conf/{netdev}/{key}={value}")
    if running:
        _wait_renderer(desk, journal)
    settle_live(desk, renderer, before, [*journal.get("ours", []), *(item["address"] for item in journal["wanted"])])


def _wait_renderer(desk: Desk, journal: Mapping[str, Any]) -> None:
    """Give the renderer a moment to bring back the addresses that were there."""
    deadline = time.monotonic() + journal.get("patience", 20) / 4
    while time.monotonic() < deadline:
        now = live(desk, list(journal["live"]), journal["renderer"])
        if all(
            name not in now or (set(state["addresses"]) == set(now[name]["addresses"]) and state["mtu"] == now[name]["mtu"])
            for name, state in journal["live"].items()
        ):
            return
        time.sleep(0.25)
