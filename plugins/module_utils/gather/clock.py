# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time keeping."""

from __future__ import annotations

from ..model.desk import Clock
from ..readers import timedatectl
from ..readers.text import to_float, to_int
from .ask import Ask
from .options import Options

TIMESYNC = "/run/systemd/timesync"
SHOW = ("timedatectl", "show")


def gather(ask: Ask, options: Options) -> Clock:
    """The mark that systemd-timesyncd leaves, else what timedatectl says."""
    synchronized: bool | None = None
    source: str | None = None
    if "synchronized" in ask.names(TIMESYNC):
        synchronized, source = True, "systemd-timesyncd"
    else:
        answer = ask.first_answer(SHOW, ("timedatectl", "status"), ("timedatectl",))
        synchronized = timedatectl.read(answer.stdout)["synchronized"] if answer.ok else None
        for argv in ask.recorded("timedatectl") if synchronized is None else ():
            told = ask.run(*argv).stdout
            value = f"NTPSynchronized={told}" if "--value" in argv and "NTPSynchronized" in " ".join(argv) else told
            synchronized = timedatectl.read(value)["synchronized"] if synchronized is None else synchronized
        source = _source(ask)
        ask.told("clock.synchronized", synchronized, answer)
    return Clock(synchronized, source, options.now if options.now is not None else _epoch(ask))


def _source(ask: Ask) -> str | None:
    if ask.listing("/run/chrony").error is None:
        return "chrony"
    return "systemd-timesyncd" if ask.listing(TIMESYNC).error is None else None


def _epoch(ask: Ask) -> float | None:
    """Boot time plus uptime, exact to about a second."""
    uptime = to_float((ask.word("/proc/uptime") or "").partition(" ")[0])
    for line in (ask.text("/proc/stat").text or "").split("\n")[:4096]:
        if line.startswith("btime "):
            begun = to_int(line[6:40])
            return begun + uptime if begun is not None and uptime is not None else None
    return None
