"""Small file helpers: atomic writing, and naming a process so that a later one with its number is not mistaken for it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def write_atomic(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old or the new text, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            # By its descriptor: a desk's folder is everybody's, and by its name a link that was laid meanwhile would be followed.
            os.fchmod(stream.fileno(), mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


OWN_LIMIT = 1 << 20
"""Characters that are read of what a desk may have written."""


def own_text(path: Path) -> str:
    """The text of a file in a desk's folder, where any user of the desk may have laid a link, a pipe or a device in its place.

    :raises OSError: also when it is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        return stream.read(OWN_LIMIT).decode("utf-8", "replace")


def write_json(path: Path, data: Any, mode: int = 0o644) -> None:
    """Write JSON atomically."""
    write_atomic(path, json.dumps(data, indent=1, sort_keys=True) + "\n", mode)


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file; waits for as long as another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def process_mark(pid: int) -> str | None:
    """When the process with this number started, as the kernel counts; None when there is none (a zombie counts as none)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def describe_process(pid: int) -> dict[str, Any]:
    """What to record of a process that was started: its number and its start."""
    return {"pid": pid, "start": process_mark(pid)}


def process_alive(record: dict[str, Any] | None) -> bool:
    """Whether exactly the recorded process still runs."""
    if not record or record.get("start") is None:
        return False
    return process_mark(int(record["pid"])) == record["start"]


def end_process(record: dict[str, Any] | None, patience: float = 3.0) -> None:
    """End exactly the recorded process; seconds of patience before it is killed."""
    if record is None or not process_alive(record):
        return
    pid = int(record["pid"])
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if wait_until(lambda: not process_alive(record), patience, 0.02):
            return


def wait_until(test: Callable[[], bool], seconds: float, pause: float = 0.1) -> bool:
    """Ask again and again until the test holds; False when the seconds are over."""
    end = time.monotonic() + seconds
    while True:
        if test():
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
