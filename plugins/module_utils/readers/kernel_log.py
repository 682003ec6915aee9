# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel log of this boot: when a ConnectX-7 cable was plugged or pulled.

The rule for "plugged after boot" (this collection's own; the trap behind it is reported by many owners of slow links):

- the boot's own ``Cable plugin`` within 60 s of the hotplug driver's start (without such a line: of the log's first time) is normal;
- a plug event later than that, or one that follows a removal of the same cable slot, is a plug after boot;
- a plug event in a log without times is not judged (null) unless a removal precedes it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from . import kernel_records

BOOT_SECONDS = 60.0
"""Seconds after the hotplug driver's start in which a plug event belongs to the boot (removals were seen 5 to 22 s after boot)."""

EVENTS_LIMIT = 1000

_MONOTONIC = re.compile(r"\[ {0,12}([0-9]{1,9}\.[0-9]{1,9})(?: {0,4}< {0,12}[0-9.]{1,20}>)?\]")
_KMSG = re.compile(r"[0-9]{1,4},[0-9]{1,12},([0-9]{1,18}),[^;]{0,40};")
"""A record of /dev/kmsg: level, number, microseconds."""
_FRONT = re.compile(r"(?:<[0-9]{1,3}>(?:1 )?(?=[0-9]{4}-)|[a-z0-9]{2,10} {0,8}: ?[a-z]{2,8} {0,8}: ?(?=\[)|[A-Z][a-z]{2} (?=[0-9]{4}-))")
_UNIX = re.compile(r"([0-9]{10}\.[0-9]{3,9}) ")
_ISO = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,][0-9]{1,9})?")
_SYSLOG = re.compile(r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
_WEEKDAY = re.compile(r"^\[(?:[^\W\d_]{1,5}\.?,? )?(?=[A-Z][a-z]{2} )")
_LOCAL = re.compile(r"\[(?:[^\s\]]{1,12} )?[^\s\]]{1,12} {1,2}([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) [0-9]{4}\]")
"""dmesg -T in another language: day of the week and month as that language has them."""
_MINUTE = re.compile(r"\[(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {0,2}([0-9]{1,2}) ([0-9]{2}):([0-9]{2})\]")
_DELTA = re.compile(r"\[ {0,12}\+([0-9]{1,9}\.[0-9]{1,9})\]")
"""``dmesg -H`` and ``-e`` write the minute where it changes, [Nov26 10:00], and else how long after the last line one came."""
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})? ")
_MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())}  # noqa: SIM905
_HOTPLUG = re.compile(r"cx7-pcie-hotplug \S{1,64}: (.*)")
_MODULE = re.compile(r"mlx5_core ([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]):? .{0,80}?module ([0-9]{1,3}), Cable (plugged|unplugged)")
_CHARACTERS = re.compile(r"[^\x20-\x7e]")


def read(text: str) -> dict[str, Any]:
    """Keys: plugged_after_boot (see the rule; null when the log holds nothing to judge from), plug_events (lines of plug events
    after boot, newest last), events (seconds since the log's first time or null, kind plug or removal, slot, line), hotplug_started
    (whether the hotplug driver's start is in the log), lines (how many records the log has)."""
    events: list[dict[str, Any]] = []
    started: float | None = None
    seen_start = False
    first: float | None = None
    last: float | None = None
    count = 0
    relative = False
    for record in kernel_records.read(text):
        count += 1
        line, message = record.line[record.time_at :], record.message
        hotplug = _HOTPLUG.match(message)
        kind, slot = _event(message, hotplug)
        relevant = hotplug is not None or kind is not None
        if not relevant and first is not None and not relative:
            continue
        time = _time(line, last)
        # Times that count from the line before: none may be left out.
        relative = relative or _MINUTE.match(_FRONT.sub("", line[:160])) is not None or _DELTA.match(line) is not None
        if time is not None:
            last = time
            if first is None:
                first = 0.0 if _MONOTONIC.search(line[:160]) else time
        if not relevant:
            continue
        if hotplug and hotplug.group(1).startswith(("PCIe hotplug driver initialized", "Hotplug enabled")):
            seen_start = True
            started = time if started is None else started
            continue
        if kind and len(events) < EVENTS_LIMIT:
            events.append({"seconds": time, "kind": kind, "slot": slot, "line": _CHARACTERS.sub("?", record.line.strip())[:200]})
    begin = started if started is not None else first
    after = _after_boot(events, begin)
    for event in events:
        event["seconds"] = None if event["seconds"] is None or first is None else round(event["seconds"] - first, 6)
    plugs = [event for event in events if event["kind"] == "plug"]
    return {
        "plugged_after_boot": None if not count else True if after else None if any(event["seconds"] is None for event in plugs) else False,
        "plug_events": [event["line"] for event in after][-10:],
        "events": events,
        "hotplug_started": seen_start,
        "lines": count,
    }


def _after_boot(events: list[dict[str, Any]], begin: float | None) -> list[dict[str, Any]]:
    removed: set[str] = set()
    found = []
    for event in events:
        if event["kind"] == "removal":
            removed.add(event["slot"])
            continue
        late = event["seconds"] is not None and begin is not None and event["seconds"] - begin > BOOT_SECONDS
        if late or event["slot"] in removed:
            found.append(event)
    return found


def _event(message: str, hotplug: re.Match[str] | None) -> tuple[str | None, str]:
    if hotplug:
        said = hotplug.group(1)
        return "plug" if said.startswith("Cable plugin") else "removal" if said.startswith("Cable removal") else None, "hotplug"
    module = _MODULE.match(message)
    if module is None:
        return None, ""
    return ("plug" if module.group(3) == "plugged" else "removal"), f"{module.group(1)} module {module.group(2)}"


def _time(line: str, last: float | None) -> float | None:
    """Seconds on some scale; only differences count."""
    # dmesg -x puts facility and level in front, journalctl -o short-full the day of the week.
    head = _FRONT.sub("", line[:160])
    record = _KMSG.match(head)
    if record:
        return int(record.group(1)) / 1e6
    delta = _DELTA.match(head)
    if delta:
        return (last or 0.0) + float(delta.group(1))
    minute = _MINUTE.match(head)
    if minute:
        month, (day, hours, minutes) = _MONTHS[minute.group(1)], (int(minute.group(place)) for place in (2, 3, 4))
        time = float(((month * 31 + day) * 24 + hours) * 3600 + minutes * 60)
        # Only the minute is told. The first one counts at its end and later ones at their begin, so that no time seems longer than it was.
        if last is None:
            return time + 59.0
        return max(time, last) if time + 86400 > last else time + 12 * 31 * 86400
    unix = _UNIX.match(head)
    if unix:
        return float(unix.group(1))
    monotonic = _MONOTONIC.match(head) or (_MONOTONIC.search(head) if head.startswith(("<", "kernel")) else None)
    if monotonic:
        return float(monotonic.group(1))
    iso = _ISO.match(head)
    if iso:
        try:
            return (datetime.fromisoformat(f"{iso.group(1)}T{iso.group(2)}") - datetime(2000, 1, 1)).total_seconds()
        except ValueError:
            return None
    # dmesg -T writes [Thu Jun 18 10:00:03 2026]; the day of the week follows the locale, and has two to four letters.
    syslog = _SYSLOG.match(_WEEKDAY.sub("", head))
    if syslog:
        month, day = _MONTHS[syslog.group(1)], int(syslog.group(2))
        hours, minutes, seconds = (int(syslog.group(place)) for place in (3, 4, 5))
        return _later(float(((month * 31 + day) * 24 + hours) * 3600 + minutes * 60 + seconds), last)
    local = _LOCAL.match(head)
    if local:
        # The month is not known by its word; a day that is smaller than the last one is in the next.
        day, hours, minutes, seconds = (int(local.group(place)) for place in (1, 2, 3, 4))
        return _later(float((day * 24 + hours) * 3600 + minutes * 60 + seconds), last)
    clock = _CLOCK.match(head)
    if clock:
        hours, minutes, seconds = (int(clock.group(place)) for place in (1, 2, 3))
        time = float(hours * 3600 + minutes * 60 + seconds)
        while last is not None and time < last - 1:
            time += 86400
        return time
    return None


def _later(time: float, last: float | None) -> float:
    """A time without a year, which is that of the last one or the next."""
    return time + 12 * 31 * 86400 if last is not None and time + 86400 < last else time
