# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How loaded this controller is: what a late answer means then, and how many tasks work at once."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from .connection_reasons import Reason
from .run.store import lock_file

OVERLOADED = 4.0
"""Load of the last minute on each processor from which a time limit says nothing about a desk."""

CROWD = 2
"""Tasks of this machine on each processor that want to run at this moment; with more, only those with a place work."""

PLACES = 4
"""Tasks on each processor that work at once whatever the load."""

PAUSE = 0.3
"""Seconds between two looks for a place."""

PACE = 0.2
"""Seconds between two desks of those that wait for each other: what one of them costs a processor as it begins."""

STEP = 0.1
"""Seconds at least between two tasks that begin without a place: a load has to be seen before the next one adds to it."""

PATIENCE = 600.0
"""Seconds after which a task begins in any case: places may be held by desks that hang."""

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


def crowded(loads: Path = Path("/proc/loadavg")) -> bool:
    """Whether more tasks want to run now than the processors take well; false where the kernel does not tell."""
    try:
        return int(loads.read_text(encoding="ascii").split()[3].partition("/")[0]) > CROWD * processors()
    except (OSError, ValueError, IndexError):
        return False


def explained(reason: Reason) -> tuple[Reason, bool]:
    """Why a desk could not be entered, and whether this controller's own load may be all of it."""
    own = overload() if reason.late else None
    if own is None:
        return reason, False
    return dataclasses.replace(reason, code="DESK_UNREACHABLE", sentence=f"no answer in time, but {own}", remedy=REMEDY), True


@contextlib.contextmanager
def place(folder: Path, tasks: int, meeting: bool = False) -> Iterator[None]:
    """Work in one of the run's places, or without one, one task after the other, while the machine is not crowded.

    Desks that wait for each other (``meeting``) take no place and are not held back, only begin one after the other.

    A place is a locked file in ``folder``: it is free when its process ends, however it ends. A run that cannot have more ``tasks`` at
    once than places needs none. The task's time limit is for the desk: it stands still while the task waits here.
    """
    if tasks <= PLACES * processors():
        yield
        return
    with contextlib.ExitStack() as held:
        left, begun = signal.alarm(0), time.monotonic()
        try:
            while not (_through_the_door(folder, PACE) if meeting else _taken(folder, held) or _let_in(folder)):
                if time.monotonic() - begun >= PATIENCE:
                    break
                time.sleep(PAUSE)
        finally:
            signal.alarm(left)
        yield


def _let_in(folder: Path) -> bool:
    """Whether a task may begin without a place: those before it have begun to work, and the machine takes one more."""
    return _through_the_door(folder, STEP) and not crowded()


def _through_the_door(folder: Path, seconds: float) -> bool:
    """Whether this task came through the door, behind which one task at a time stands for a while; true where there can be none."""
    with contextlib.ExitStack() as held:
        inside = _locked(folder / "door", held)
        if inside:
            time.sleep(seconds)
        return inside


def _taken(folder: Path, held: contextlib.ExitStack) -> bool:
    """Whether a place was free, or the folder can hold none."""
    return any(_locked(folder / str(number), held) for number in range(PLACES * processors()))


def _locked(path: Path, held: contextlib.ExitStack) -> bool:
    """Whether nobody else held this file, which ``held`` does from now on; true as well where there can be no such file."""
    try:
        file = lock_file(path)
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    held.callback(file.close)
    return True
