# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The undo armed (a timer, and a link for the next boot), looked at, and disarmed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from . import steps
from .files import Desk, digest, text_entry
from .names import BOOT_LINK, JOURNAL, PROGRAM, SERVICE, SERVICE_TEXT, TIMER, TIMER_TEXT, UNIT
from .steps import ChangeError


def arm(desk: Desk, seconds: int) -> None:
    """Start the undo timer, link the boot-time undo, and look at both. Raises ChangeError or OSError.

    No ``daemon-reload``: systemd finds new units by itself, and a reload runs netplan's generator, after which networkd would
    reconfigure the management interface.
    """
    desk.put(SERVICE, text_entry(SERVICE_TEXT, 0o644))
    desk.put(TIMER, text_entry(TIMER_TEXT.format(seconds=seconds), 0o644))
    desk.put(BOOT_LINK, {"link": SERVICE})
    steps.after_step("units")
    desk.run("systemctl", "stop", f"{UNIT}.timer", note=False)
    for attempt in (1, 2):
        desk.must("systemctl", "start", f"{UNIT}.timer")
        problem = unarmed(desk, seconds)
        if problem is None:
            return
        if attempt == 1:
            desk.run("systemctl", "stop", f"{UNIT}.timer")
            desk.run("systemctl", "daemon-reload")
    raise ChangeError(f"arm: {problem}")


def unarmed(desk: Desk, seconds: int) -> str | None:
    """Why the undo is not armed; null when it is."""
    shown = desk.run("systemctl", "show", f"{UNIT}.timer", "-p", "ActiveState", "-p", "Unit", "-p", "TimersMonotonic", note=False)[1]
    values = dict(line.partition("=")[::2] for line in shown.splitlines())
    if values.get("ActiveState") != "active":
        return f"{UNIT}.timer is {values.get('ActiveState') or 'not known to systemd'}"
    span = values.get("TimersMonotonic", "")
    if values.get("Unit") != f"{UNIT}.service" or f"OnActiveUSec={time_span(seconds)} " not in span:
        return f"{UNIT}.timer does not wait {seconds} s ({span or 'no time set'})"
    shown = desk.run("systemctl", "show", f"{UNIT}.service", "-p", "LoadState", "-p", "ExecStart", note=False)[1]
    if "LoadState=loaded" not in shown or PROGRAM not in shown:
        return f"{UNIT}.service is not loaded"
    if desk.entry(BOOT_LINK) is None:
        return "the undo is not linked for the next boot"
    journal = desk.read_json(JOURNAL)
    if journal is None or any(digest(item["before"]) != item["before_digest"] for item in journal["files"]):
        return "the journal cannot be read back"
    return None


def time_span(seconds: int) -> str:
    """A time as systemd writes it: 2min 5s."""
    parts = []
    for unit, length in (("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts)


def disarm(desk: Desk) -> None:
    """Nothing stays armed."""
    desk.run("systemctl", "stop", f"{UNIT}.timer", note=False)
    for path in (BOOT_LINK, TIMER, SERVICE):
        desk.put(path, None)


def remove_folders(desk: Desk, folders: Sequence[str]) -> None:
    """Remove folders that were made for the change, where they are empty."""
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(desk.path(folder))
