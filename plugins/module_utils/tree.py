# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binary files below a folder: a second door to the machine, for reading alone.

Links are never followed below the folder, nothing but regular files is opened, and every count has a limit.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

DEPTH_LIMIT = 40
SKIPPED = frozenset({"__pycache__", ".git"})


@dataclass(frozen=True)
class Limits:
    """How much is looked at."""

    files: int = 3000
    """Files with machine code."""
    entries: int = 400_000
    """Names looked at."""
    seconds: float = 60.0


class OpenFile:
    """One regular file that is read at offsets."""

    def __init__(self, path: str, descriptor: int, size: int) -> None:
        self.path, self.descriptor, self.size = path, descriptor, size

    def read_at(self, offset: int, count: int) -> bytes:
        """Bytes at an offset; fewer at the end. An input error reads like the end."""
        if offset < 0 or offset > self.size or count <= 0:
            return b""
        with contextlib.suppress(OSError, OverflowError):
            return os.pread(self.descriptor, min(count, 1 << 20), offset)
        return b""


class Walk:
    """One walk. ``stopped`` says why not everything was seen."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.deadline = time.monotonic() + limits.seconds
        self.stopped: str | None = None
        self.refused = 0
        """Folders and files that could not be opened."""
        self._entries = 0

    @property
    def most(self) -> int:
        """Files with machine code that are looked at."""
        return self.limits.files

    def files(self, path: str) -> Iterator[OpenFile]:
        """Every regular file at or below a path. Raises OSError when the path itself cannot be opened."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        kind = os.fstat(descriptor)
        if stat.S_ISREG(kind.st_mode):
            try:
                yield OpenFile(path, descriptor, kind.st_size)
            finally:
                os.close(descriptor)
        elif stat.S_ISDIR(kind.st_mode):
            yield from self._folder(path, descriptor, 0)
        else:
            os.close(descriptor)
            raise OSError("it is neither a file nor a folder")

    def _folder(self, path: str, folder: int, depth: int) -> Iterator[OpenFile]:
        try:
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                self.refused += 1
                return
            for name in names:
                if not self._goes_on(depth):
                    return
                inner = self._open(name, folder)
                if inner is None:
                    continue
                kind = os.fstat(inner)
                where = f"{path.rstrip('/')}/{name}"
                if stat.S_ISDIR(kind.st_mode) and name not in SKIPPED:
                    yield from self._folder(where, inner, depth + 1)
                    continue
                try:
                    if stat.S_ISREG(kind.st_mode):
                        yield OpenFile(where, inner, kind.st_size)
                finally:
                    os.close(inner)
        finally:
            os.close(folder)

    def _open(self, name: str, folder: int) -> int | None:
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                return None
            return os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            self.refused += 1
            return None

    def _goes_on(self, depth: int) -> bool:
        self._entries += 1
        if self._entries > self.limits.entries:
            self.stopped = f"more than {self.limits.entries} files and folders"
        elif time.monotonic() > self.deadline:
            self.stopped = f"not everything was seen within {self.limits.seconds:.0f} s"
        elif depth > DEPTH_LIMIT:
            self.stopped = f"folders deeper than {DEPTH_LIMIT}"
        return self.stopped is None
