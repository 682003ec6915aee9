# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel log of this boot, asked once for everything that reads it."""

from __future__ import annotations

import re
from typing import Any

from ..desk import OUTPUT_LIMIT, TOO_LARGE
from ..model.kernel_events import KernelEvents, PcieError, PlugError
from ..readers import kernel_errors
from .ask import Ask

QUESTIONS = (
    ("journalctl", "-k", "-b", "-o", "short-monotonic", "--no-pager"),
    ("dmesg",),
    ("journalctl", "-k", "-b", "--no-pager"),
    ("journalctl", "-k", "-b"),
    ("journalctl", "-b", "-k", "--no-pager"),
    ("journalctl", "-b", "-k"),
    ("journalctl", "-k", "--no-pager"),
    ("journalctl", "-k"),
)
"""The first one is what a live desk is asked; the others stand in recordings."""


def text(ask: Ask) -> str | None:
    """The log, null when it cannot be read or is empty."""
    return ask.memo("kernel-log-text", lambda: _text(ask))


def is_cut(ask: Ask) -> bool:
    """Whether the log is longer than an answer may be, so that its middle is not read: any user can make the kernel say much."""
    return ask.run(*QUESTIONS[0]).error == TOO_LARGE


CUT = f"the kernel log is longer than {OUTPUT_LIMIT >> 20} MiB: its begin and its newest lines were read"
HEAD_LINES = 150_000
_SECONDS = re.compile(r"\[ *([0-9]{1,9}\.[0-9]{1,9})\]")


def _text(ask: Ask) -> str | None:
    begin = ask.run(*QUESTIONS[0])
    if begin.error == TOO_LARGE:
        return _ends(begin.stdout, ask.run(*QUESTIONS[1]).stdout)
    for question in QUESTIONS:
        answer = ask.run(*question)
        if answer.ok and _told(answer.stdout):
            return answer.stdout
    for argv in (*ask.recorded("dmesg"), *ask.recorded("journalctl")):
        if argv[0] == "dmesg" or {"-k", "--dmesg"} & set(argv) or any(word.startswith("-") and "k" in word for word in argv[1:2]):
            said = ask.run(*argv).stdout
            if _told(said):
                return said
    return None


def _ends(begin: str, newest: str) -> str:
    """The begin of a long log with what the kernel's own buffer has of the time after it."""
    head = begin.split("\n", HEAD_LINES)[:HEAD_LINES]
    head = head[:-1] if len(head) < HEAD_LINES else head  # the last line was cut
    last = next((float(found.group(1)) for line in reversed(head) if (found := _SECONDS.match(line))), 0.0)
    tail = newest.split("\n")
    later = next((place for place, line in enumerate(tail) if (found := _SECONDS.match(line)) and float(found.group(1)) > last), len(tail))
    return "\n".join((*head, *tail[later:]))


def _told(log: str) -> bool:
    return any(line.strip() and not line.startswith("-- ") for line in log.split("\n", 200)[:200])


def events(ask: Ask) -> KernelEvents:
    """Errors in the log; empty when it could not be read."""
    log = text(ask)
    if log is None:
        ask.miss("kernel.events", ask.asked(*QUESTIONS[0]), "no kernel log that could be read")
        return KernelEvents()
    if is_cut(ask):
        ask.miss("kernel.events", CUT)
    found: dict[str, Any] = ask.memo("kernel-errors", lambda: kernel_errors.read(log))
    return KernelEvents(
        xids=found["xids"],
        gpu_lines=tuple(found["gpu_lines"]),
        gpu_failures=tuple(found["gpu_failures"]),
        recovery_action=found["recovery_action"],
        gpu_memory_errors=found["gpu_memory_errors"],
        gpu_memory_lines=tuple(found["gpu_memory_lines"]),
        oom_kills=found["oom_kills"],
        oom_lines=tuple(found["oom_lines"]),
        refused_modules=tuple(found["refused_modules"]),
        unfit_modules=tuple(found["unfit_modules"]),
        lockups=tuple(found["lockups"]),
        pcie_errors=_pcie(found["pcie"]),
        plug_errors=_plugs(found["plugs"]),
    )


EVENTS_LIMIT = 24


def _counted(found: list[dict[str, str]], one: str, two: str) -> list[tuple[str, str, str, int]]:
    """Events, one of each kind and device with its first line and the number of them, in order."""
    counted: dict[tuple[str, str], int] = {}
    lines: dict[tuple[str, str], str] = {}
    for item in found:
        key = (item[one], item[two])
        counted[key] = counted.get(key, 0) + 1
        lines.setdefault(key, item["line"])
    return [(*key, lines[key], count) for key, count in list(counted.items())[:EVENTS_LIMIT]]


def _pcie(found: list[dict[str, str]]) -> tuple[PcieError, ...]:
    # A recovery counts where nothing went wrong in that half of the adapter afterwards.
    wrong = {item["address"].partition(":")[0]: place for place, item in enumerate(found) if item["kind"] in ("fatal", "failed", "mlx5")}
    stands = [
        item for place, item in enumerate(found) if item["kind"] != "recovered" or place > wrong.get(item["address"].partition(":")[0], -1)
    ]
    return tuple(PcieError(address, kind, line, count) for address, kind, line, count in _counted(stands, "address", "kind"))


def _plugs(found: list[dict[str, str]]) -> tuple[PlugError, ...]:
    return tuple(PlugError(about, error, line, count) for about, error, line, count in _counted(found, "about", "error"))
