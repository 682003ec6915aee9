# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk's files and commands as a link change needs them: a file's whole state as data, put back so that a crash leaves old or new."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ...desk import PATH, TIMEOUT, LiveDesk, make_folder, sync_folder
from .names import HOME, LOCK
from .steps import ChangeError


def digest(entry: Mapping[str, Any] | None) -> str | None:
    """What a file's entry holds, as one comparable word; null for a file that is not there."""
    if entry is None:
        return None
    if "link" in entry:
        return f"link:{entry['link']}"
    return hashlib.sha256(base64.b64decode(entry["content"])).hexdigest()


def text_entry(text: str, mode: int) -> dict[str, Any]:
    """The entry of a file of root's with this text."""
    return {"content": base64.b64encode(text.encode()).decode(), "mode": mode, "uid": 0, "gid": 0, "mtime_ns": None}


class Desk:
    """The desk's files and commands, below ``root`` (``/`` except in tests)."""

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")
        self.commands: list[dict[str, Any]] = []

    def path(self, path: str) -> str:
        """Where a path of the desk lies."""
        return self.root + path

    def entry(self, path: str) -> dict[str, Any] | None:
        """What is at a path: content, mode, owner and time stamp, or the target of a symbolic link; null when nothing is."""
        here = self.path(path)
        try:
            about = os.lstat(here)
            if stat.S_ISLNK(about.st_mode):
                return {"link": os.readlink(here)}
            with open(here, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        return {
            "content": base64.b64encode(content).decode(),
            "mode": stat.S_IMODE(about.st_mode),
            "uid": about.st_uid,
            "gid": about.st_gid,
            "mtime_ns": about.st_mtime_ns,
        }

    def put(self, path: str, entry: Mapping[str, Any] | None) -> None:
        """Make a path what the entry says, so that a crash leaves the old or the new. Raises OSError."""
        here = self.path(path)
        folder, name = os.path.split(here)
        temporary = os.path.join(folder, f".{name}.dgx-spark-new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if entry is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(here)
        else:
            make_folder(folder)
            try:
                self._fill(temporary, entry)
                os.replace(temporary, here)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
                raise
        if os.path.isdir(folder):
            sync_folder(folder)

    @staticmethod
    def _fill(temporary: str, entry: Mapping[str, Any]) -> None:
        if "link" in entry:
            os.symlink(entry["link"], temporary)
            return
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64decode(entry["content"]))
            file.flush()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), entry["uid"], entry["gid"])
            os.fchmod(file.fileno(), entry["mode"])
            os.fsync(file.fileno())
        if entry.get("mtime_ns") is not None:
            os.utime(temporary, ns=(entry["mtime_ns"], entry["mtime_ns"]))

    def read_json(self, path: str) -> dict[str, Any] | None:
        """A JSON object of ours; null when it is not there. Raises ChangeError when it is damaged."""
        try:
            with open(self.path(path), encoding="utf-8") as file:
                data = json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ChangeError(f"{path} cannot be read: {error}") from error
        return data if isinstance(data, dict) else None

    def write_json(self, path: str, data: Mapping[str, Any]) -> None:
        """Write a JSON object of ours, readable by root alone. Raises OSError."""
        self.put(path, text_entry(json.dumps(data, indent=1, sort_keys=True), 0o600))

    def run(self, *argv: str, timeout: float = 30.0, note: bool = True) -> tuple[int, str]:
        """Run a command: return code (124 at the time limit, 127 when it is missing) and what it printed."""
        path = f"{self.root}/usr/bin:{PATH}" if self.root else PATH
        answer = LiveDesk().run(argv, timeout=timeout, env={"PATH": path})
        code, text = answer.rc or 0, f"{answer.stdout}{answer.stderr}".strip()
        if answer.error == TIMEOUT:
            code, text = 124, f"no end within {timeout:.0f} s"
        elif answer.rc is None:
            code, text = 127, f"{argv[0]}: {answer.error}"
        if note:
            self.commands.append({"argv": list(argv), "rc": code, **({"output": text[-400:]} if code else {})})
        return code, text

    def must(self, *argv: str, timeout: float = 30.0, also: Sequence[int] = ()) -> str:
        """Run a command that has to succeed, or to end with one of ``also``. Raises ChangeError."""
        code, text = self.run(*argv, timeout=timeout)
        if code and code not in also:
            raise ChangeError(f"{' '.join(argv)} ended with {code}: {' '.join(text.split())[-300:] or 'no output'}")
        return text

    @contextlib.contextmanager
    def lock(self, patience: float, on_busy: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only one who changes the link. Raises ChangeError when somebody else is for longer than ``patience`` seconds."""
        make_folder(self.path(HOME), 0o700)
        descriptor = os.open(self.path(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline, asked = time.monotonic() + patience, False
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        if on_busy is None or asked:
                            raise ChangeError("another change of the link is running on this desk") from None
                        on_busy()
                        asked, deadline = True, time.monotonic() + patience
                    time.sleep(0.1)
            yield
        finally:
            os.close(descriptor)


def same(now: Mapping[str, Any] | None, entry: Mapping[str, Any] | None) -> bool:
    """Whether a file is as an entry says: content and mode."""
    return digest(now) == digest(entry) and (now or {}).get("mode") == (entry or {}).get("mode")
