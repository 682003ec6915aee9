# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How loaded this controller is: what a late answer means then, and how many tasks work at once."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .connection_errors import Reason

OVERLOADED = 4.0
"""Load of the last minute on each processor from which a time limit says nothing about a desk."""

PRESSED = 80.0
"""Share of the last ten seconds, in percent, in which a task of this machine waited for a processor; from here on places count."""

PLACES = 4
"""Tasks on each processor that work at once under pressure."""

PAUSE = 0.3
"""Seconds between two looks for a place."""

FOLDER = "places"
"""Of a run's folder, while it goes on."""

REMEDY = "Run again with fewer forks (-f), fewer desks at once (--limit) or on a machine with more processors."


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def overload() -> str | None:
    """That this controller is overloaded, in words; null when it is not."""
    load, count = os.getloadavg()[0], processors()
    return f"this controller is overloaded (load {load:.0f} on {count} processors)" if load >= OVERLOADED * count else None


def pressed(pressure: Path = Path("/proc/pressure/cpu")) -> bool:
    """Whether tasks of this machine wait for a processor most of the time; false where the kernel does not tell."""
    try:
        words = pressure.read_text(encoding="ascii").split()
        return words[0] == "some" and float(words[1].partition("=")[2]) >= PRESSED
    except (OSError, ValueError, IndexError):
        return False


def explained(reason: Reason) -> tuple[Reason, bool]:
    """Why a desk could not be entered, and whether this controller's own load may be all of it."""
    own = overload() if reason.kind == "timed_out" else None
    if own is None:
        return reason, False
    return dataclasses.replace(reason, sentence=f"no answer in time, but {own}", remedy=REMEDY), True


@contextlib.contextmanager
def place(folder: Path, tasks: int, patience: float) -> Iterator[None]:
    """Work in one of the run's places. Without pressure nobody waits for one; under pressure for ``patience`` seconds at most.

    A place is a locked file in ``folder``: it is free when its process ends, however it ends. A run that cannot have more ``tasks`` at
    once than places needs none.
    """
    if tasks <= PLACES * processors():
        yield
        return
    begun = time.monotonic()
    with contextlib.ExitStack() as held:
        while not _taken(folder, held) and pressed() and time.monotonic() - begun < patience:
            time.sleep(PAUSE)
        yield


def _taken(folder: Path, held: contextlib.ExitStack) -> bool:
    """Whether a place was free, or the folder can hold none."""
    for number in range(PLACES * processors()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = open(folder / str(number), "ab")  # noqa: SIM115
        except OSError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        held.callback(file.close)
        return True
    return False
