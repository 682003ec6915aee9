# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a run on the controller: what each stage learned about each desk, written as it ends.

An action learns what another desk answered from here, and the report is made from here, so an interrupted run still has one.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from .model import Run, from_plain, plain

DONE, FAILED, SKIPPED = "done", "failed", "skipped"
HELD_BACK = "WAVE_STOPPED"
ELSEWHERE = "RUN_ELSEWHERE"
"""Code of a stage that was not carried on to a desk because an earlier wave lost one."""


@dataclass(frozen=True)
class Part:
    """What one stage says of one desk."""

    stage: str
    desk: str
    state: str
    """done, failed, skipped"""
    stack: str | None = None
    reason: str | None = None
    started: str | None = None
    ended: str | None = None
    changed: bool = False
    findings: tuple[Mapping[str, Any], ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failing_codes(self) -> tuple[str, ...]:
        """Codes of the findings that fail."""
        return tuple(str(item["code"]) for item in self.findings if item.get("severity") == "fail")

    @property
    def held_back(self) -> bool:
        """Whether the desk was left as it is, so that later stages have nothing to measure."""
        return any(item["code"] in (HELD_BACK, ELSEWHERE) for item in self.findings)

    @property
    def elsewhere(self) -> bool:
        """Whether another run had the desk, so that nothing was done and nothing that is there loses its worth."""
        return any(item["code"] == ELSEWHERE for item in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """As it is written."""
        return {**self.__dict__, "findings": [dict(item) for item in self.findings], "data": dict(self.data)}


@dataclass(frozen=True)
class Wave:
    """Desks that a stage takes together."""

    number: int
    """From 1."""
    desks: tuple[str, ...]
    after: tuple[str, ...] = ()
    """Desks of all waves before."""


class RunStore:
    """The folder of one run: ``run.json``, ``parts/STAGE/DESK.json`` and ``waves/STAGE.json``."""

    def __init__(self, run_dir: str | os.PathLike[str]) -> None:
        self.run_dir = Path(run_dir)

    def begin(self, run: Run) -> None:
        """Make the run's folder, note what the run is. Raises OSError, also for a folder that is there: another user may have made it."""
        self.run_dir.parent.mkdir(parents=True, exist_ok=True)
        self.run_dir.mkdir()
        write_atomically(self.run_dir / "run.json", json.dumps(plain(run), indent=1, sort_keys=True))

    def run(self) -> Run:
        """What the run is. Raises OSError or ValueError."""
        return from_plain(json_of(self.run_dir / "run.json"))

    def keep_waves(self, stage: str, waves: Sequence[Wave]) -> None:
        """Note how a stage goes through the stacks, once for all desks."""
        write_atomically(self._waves(stage), json.dumps([dataclasses.asdict(wave) for wave in waves]))

    def waves(self, stage: str) -> list[Wave]:
        """The waves of a stage; none when all go at once."""
        try:
            data = json_of(self._waves(stage))
        except FileNotFoundError:
            return []
        return [Wave(item["number"], tuple(item["desks"]), tuple(item["after"])) for item in data]

    def _waves(self, stage: str) -> Path:
        return self.run_dir / "waves" / f"{stage}.json"

    def write(self, part: Part) -> Path:
        """Write a part; a later write of the same stage and desk replaces it."""
        path = self.run_dir / "parts" / part.stage / f"{file_name(part.desk)}.json"
        write_atomically(path, json.dumps(part.as_dict(), indent=1, sort_keys=True, default=str))
        return path

    def part(self, stage: str, desk: str) -> Part | None:
        """The part of a stage and desk, null when the stage has not ended for it."""
        path = self.run_dir / "parts" / stage / f"{file_name(desk)}.json"
        try:
            return _part(json_of(path))
        except (FileNotFoundError, ValueError):
            return None

    def stages(self) -> list[str]:
        """Stages that have parts, by name."""
        root = self.run_dir / "parts"
        return sorted(item.name for item in root.iterdir() if item.is_dir()) if root.is_dir() else []

    def everything(self) -> dict[str, dict[str, Part]]:
        """Stage to desk to part."""
        return {stage: self.parts(stage) for stage in self.stages()}

    def of_desk(self, desk: str) -> list[Part]:
        """All parts of a desk, in the order in which they ended."""
        found = [part for stage in self.stages() if (part := self.part(stage, desk)) is not None]
        return sorted(found, key=lambda part: part.ended or "")

    def parts(self, stage: str) -> dict[str, Part]:
        """Every desk's part of a stage, by desk."""
        found = {}
        for path in sorted((self.run_dir / "parts" / stage).glob("*.json")):
            try:
                part = _part(json_of(path))
            except ValueError:
                continue
            found[part.desk] = part
        return found


def _part(data: Any) -> Part:
    """Raises ValueError for what is no part."""
    try:
        return Part(**{**data, "findings": tuple(data.get("findings") or ())})
    except (AttributeError, TypeError):
        raise ValueError("it is not the part of a run") from None


FILE_LIMIT = 256 << 20
"""Bytes; the largest file of ours, the report of 200 desks, has about five million."""


def file_bytes(path: str | os.PathLike[str], limit: int = FILE_LIMIT) -> bytes:
    """A file in a folder that somebody may have sent: a pipe or a device in its place is not waited for, and none is endless.

    Raises OSError.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit} bytes", str(path))
    return data


def file_text(path: str | os.PathLike[str], limit: int = FILE_LIMIT, errors: str = "strict") -> str:
    """The text of a file, see `file_bytes`. Raises OSError, and UnicodeDecodeError, which is a ValueError."""
    return file_bytes(path, limit).decode("utf-8", errors)


def json_of(path: Path) -> Any:
    """What a file of JSON holds, see `file_text`. Raises OSError, and ValueError for anything else."""
    try:
        return json.loads(file_text(path))
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply") from None


_DIGEST = re.compile(r"-[0-9a-f]{32}$")


def file_name(name: str) -> str:
    """The name of a desk or a stack as a file's name: it stays in its folder, and no other name gives the same one."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_"
    if plain == name and len(name) <= 100 and not _DIGEST.search(name):
        return name
    return f"{plain[:80]}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def lock_file(path: Path) -> BinaryIO:
    """A file to lock, made when there is none. Who can read it can hold it, so no other user of this machine can.

    Its folder may be another's or have been sent: a link in its place is not followed, a pipe not waited for. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o660), "wb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return file


def is_of_others(path: Path, mark: str) -> bool:
    """Whether a file is there that holds something and not the mark of what we would write in its place."""
    try:
        text = file_text(path, errors="replace")
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return bool(text.strip()) and mark not in text


def write_atomically(path: Path, text: str, mode: int = 0o640, errors: str = "strict") -> None:
    """Write a file so that a reader sees the old or the new text and a crash leaves one of the two. ``errors``: see ``str.encode``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors=errors) as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
