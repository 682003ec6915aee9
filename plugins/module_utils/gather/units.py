# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State of systemd units, from files where systemd keeps it in files."""

from __future__ import annotations

import re

from ..desk import MISSING
from ..readers import text as _text
from .ask import Ask

GROUPS = ("/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/systemd/system.slice", "/sys/fs/cgroup/unified/system.slice")
FOLDER = "/etc/systemd/system"

_ENABLED = {
    "enabled": True,
    "enabled-runtime": True,
    "static": True,
    "alias": True,
    "generated": True,
    "indirect": True,
    "disabled": False,
    "not-found": False,
    "masked": False,
    "masked-runtime": False,
}


def state(ask: Ask, unit: str) -> str | None:
    """systemd's word for a service: active, activating (starting, or starting over and over), deactivating, failed, inactive. Null when
    nothing tells."""
    for folder in GROUPS:
        if ask.word(f"{folder}/{unit}/cgroup.procs"):
            return "active"
    for name in (unit, unit.removesuffix(".service")):
        answer = ask.run("systemctl", "is-active", name)
        said = answer.stdout.strip()
        if answer.error is None and said:
            return said[:32]
    for argv in ask.recorded("systemctl"):
        if ("status" in argv or "show" in argv) and {unit, unit.removesuffix(".service")} & set(argv):
            told = re.search(r"^\s*Active(?:State)?[:=]\s*([a-z]+)", ask.run(*argv).stdout, re.MULTILINE)
            if told:
                return told.group(1)
    return None


def starts_once(ask: Ask, unit: str) -> bool:
    """Whether a unit that is activating does so for the first time since the boot, and not over and over (auto-restart)."""
    told = dict(_text.key_values(ask.run("systemctl", "show", "-p", "SubState", "-p", "NRestarts", unit).stdout))
    return told.get("SubState", "").startswith("start") and told.get("NRestarts") == "0"


def active(ask: Ask, unit: str) -> bool | None:
    """Whether a service runs: it has a control group with processes, else what systemctl says. Null when neither can be asked.

    A unit whose control group is missing may still be active (a one-shot that remains), so systemctl has the last word there.
    """
    for folder in GROUPS:
        if ask.word(f"{folder}/{unit}/cgroup.procs"):
            return True
    for name in (unit, unit.removesuffix(".service")):
        answer = ask.run("systemctl", "is-active", name)
        said = answer.stdout.strip()
        if answer.error is None and said:
            return {"active": True, "reloading": True, "activating": None}.get(said, False)
    told = _recorded_status(ask, unit)
    if told is not None:
        return told[1]
    return False if any(ask.listing(f"{folder}/{unit}").error == MISSING and ask.names(folder) for folder in GROUPS) else None


def enabled(ask: Ask, unit: str) -> bool | None:
    """Whether a unit is started at boot: a link in a .wants or .requires folder, else what systemctl says (static units, which others
    start, count as enabled). Null when neither can be asked."""
    for folder in ask.names(FOLDER):
        if folder.endswith((".wants", ".requires")) and unit in ask.names(f"{FOLDER}/{folder}"):
            return True
    for name in (unit, unit.removesuffix(".service")):
        answer = ask.run("systemctl", "is-enabled", name)
        said = answer.stdout.strip()
        if answer.error is None and said:
            return _ENABLED.get(said)
        if answer.error is None and "No such file or directory" in answer.stderr:
            return False
    told = _recorded_status(ask, unit)
    return told[0] if told is not None else None


def _recorded_status(ask: Ask, unit: str) -> tuple[bool | None, bool | None] | None:
    """Enabled and active as a recording's ``systemctl status`` or ``systemctl show`` tells them; a live desk is never asked it."""
    names = (unit, unit.removesuffix(".service"))
    for argv in ask.recorded("systemctl"):
        if not any(word in ("status", "show") for word in argv) or not any(word in names for word in argv):
            continue
        text = ask.run(*argv).stdout
        state = re.search(r"^\s*Active(?:State)?[:=]\s*([a-z]+)", text, re.MULTILINE)
        start = re.search(r"^\s*(?:Loaded:[^;\n]{0,300};\s*|UnitFileState=)([a-z-]+)", text, re.MULTILINE)
        if state:
            active_now = {"active": True, "reloading": True, "activating": None}.get(state.group(1), False)
            return _ENABLED.get(start.group(1)) if start else None, active_now
    return None
