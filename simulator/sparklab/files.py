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
from typing import Any, TextIO

import yaml


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


SENT_LIMIT = 32 * 1024 * 1024
"""Bytes of a file of YAML that somebody may have sent."""
NUMBER_LIMIT = 100
"""Characters of a whole number: making one of 1:1:1... takes time with the square of its length."""


class _Sent(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """No aliases and no merge keys, a few lines of which can become gigabytes; no long numbers."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node in self.constructed_objects:
            raise yaml.YAMLError("aliases (*name) are not read")
        if node.tag == "tag:yaml.org,2002:int" and len(node.value) > NUMBER_LIMIT:
            raise yaml.YAMLError(f"a whole number of more than {NUMBER_LIMIT} characters")
        return super().construct_object(node, deep)

    def flatten_mapping(self, node: Any) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _value in node.value):
            raise yaml.YAMLError("merge keys (<<) are not read")


def sent_yaml(path: Path) -> Any:
    """What a file of YAML holds that somebody may have sent; a pipe or a device in its place is not read.

    :raises OSError: when it is no regular file, or too large.
    :raises yaml.YAMLError: for anything that is no plain YAML.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(f"{path} is not a regular file")
        data = stream.read(SENT_LIMIT + 1)
    if len(data) > SENT_LIMIT:
        raise OSError(f"{path} is larger than {SENT_LIMIT} bytes")
    try:
        return yaml.load(data.decode("utf-8"), Loader=_Sent)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        # PyYAML lets several of Python's own errors through on odd scalars.
        raise yaml.YAMLError(f"{type(error).__name__}: {error}") from error


def write_json(path: Path, data: Any, mode: int = 0o644) -> None:
    """Write JSON atomically."""
    write_atomic(path, json.dumps(data, indent=1, sort_keys=True) + "\n", mode)


def lock_file(path: Path) -> TextIO:
    """A file to lock, made when there is none. Who can read it can hold it, so no other user of this machine can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "w", encoding="ascii")


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file; waits for as long as another holds it."""
    with lock_file(path) as stream:
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
