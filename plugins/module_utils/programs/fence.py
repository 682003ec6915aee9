# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fence around this process: from then on it writes below a few folders alone and starts no process.

For a program of somebody else (pip) that works on what strangers publish. It stands on Python's own audit events, so it holds whatever the
program does in Python, now or in a later version; it is no cage for code in C.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Sequence
from typing import Any

PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NAMES: dict[str, tuple[tuple[int, int], ...]] = {
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.symlink": ((1, 2),),
}
"""Audit events that change a folder, and where in their arguments the name in it and the folder's descriptor stand (Python's table of
audit events). A link that has the name is not followed."""

FILES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.link": ((0, 2), (1, 3)),
    "os.setxattr": ((0, None),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}
"""Audit events that change what a path leads to, in the same form."""

ALWAYS = (os.devnull, "/dev/tty")


class Fence:
    """An audit hook. ``folders``: what may be written below."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = tuple(os.path.realpath(folder) for folder in folders)

    def put_up(self) -> None:
        """For the rest of this process."""
        sys.dont_write_bytecode = True
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raises PermissionError."""
        if event in PROCESSES:
            raise PermissionError("no process is started here")
        if event == "open":
            path, mode, flags = arguments
            if (isinstance(flags, int) and flags & WRITING) or (isinstance(mode, str) and set(mode) & set("wax+")):
                self._within(path, None, follow=True)
            return
        for place, folder in NAMES.get(event, ()):
            self._within(arguments[place], arguments[folder], follow=False)
        for place, descriptor in FILES.get(event, ()):
            self._within(arguments[place], None if descriptor is None else arguments[descriptor], follow=True)

    def _within(self, path: Any, descriptor: int | None, follow: bool) -> None:
        if isinstance(path, int):
            return  # It is open already, so it was looked at then.
        name = os.fsdecode(path)
        if descriptor is not None and descriptor >= 0 and not os.path.isabs(name):
            name = os.path.join(_path_of(descriptor), name)
        folder, last = os.path.split(name.rstrip(os.sep))
        real = os.path.realpath(name) if follow or last in ("", ".", "..") else os.path.join(os.path.realpath(folder), last)
        if real not in ALWAYS and not any(real == mine or real.startswith(mine + os.sep) for mine in self.folders):
            raise PermissionError(f"nothing is written to {name} here")


def _path_of(descriptor: int) -> str:
    """The path of an open folder, on Linux and on macOS."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return os.fsdecode(fcntl.fcntl(descriptor, getattr(fcntl, "F_GETPATH", 50), bytes(1024)).rstrip(b"\0"))
