# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A desk that answers from a recording: a folder with recording.yml, files/, links.yml, commands.yml, denied.yml and missing.yml.

Somebody sent the folder: nothing in it leads out of it, and everything is bounded.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..module_utils.desk import (
    DEFAULT_TIMEOUT,
    DENIED,
    FILE_LIMIT,
    MISSING,
    NOT_RECORDED,
    TOO_LARGE,
    UNREADABLE,
    Answer,
    Link,
    Listing,
    Text,
)
from . import plain_yaml

MARK = "dgx_spark_pair"
"""Ends our lines in a user's files (see `programs.user_files`)."""

LINK_LIMIT = 40
"""Symbolic links followed in one path, as Linux does."""


LINKS_LIMIT = 50_000
"""Links that links.yml may list."""


class RecordingError(Exception):
    """The folder is not a readable recording; the text says what is wrong in one line."""


@dataclass(frozen=True)
class Recording:
    """The description of a recording (recording.yml)."""

    name: str
    source: str
    description: str
    expect: tuple[str, ...] | None
    login_user: str | None
    folder: Path


def load(folder: str | os.PathLike[str]) -> tuple[Recording, RecordedDesk]:
    """The recording in a folder and the desk that answers from it. Raises RecordingError."""
    root = Path(folder)
    if not root.is_dir():
        raise RecordingError(f"{root} is not a folder")
    about = _mapping(root / "recording.yml", required=True)
    expect = about.get("expect")
    if expect is not None and not isinstance(expect, list):
        raise RecordingError(f"{root / 'recording.yml'}: expect is {type(expect).__name__}; a list of finding codes was expected")
    recording = Recording(
        name=str(about.get("name") or root.name),
        source=str(about.get("source") or "unknown"),
        description=str(about.get("description") or ""),
        expect=None if expect is None else tuple(str(code) for code in expect),
        login_user=None if about.get("login_user") is None else str(about["login_user"]),
        folder=root,
    )
    if (root / "files").is_symlink():
        raise RecordingError(f"{root / 'files'} is a symbolic link; a folder was expected")
    desk = RecordedDesk(
        root / "files",
        _commands(root / "commands.yml"),
        _paths(root / "denied.yml"),
        _paths(root / "missing.yml"),
        _links(root / "links.yml"),
    )
    return recording, desk


class RecordedDesk:
    """See `Desk`. What is listed nowhere is ``not_recorded``: it says nothing about the machine.

    A path that the recorder found absent is listed in missing.yml; only that is proof of absence.
    """

    def __init__(
        self,
        files: Path,
        commands: Sequence[Mapping[str, Any]],
        denied: Sequence[str] = (),
        missing: Sequence[str] = (),
        links: Mapping[str, str] | None = None,
    ) -> None:
        self._files = files
        self._root = str(files)
        self._targets: dict[str, str | None] = dict(links or {})
        self._linked: dict[str, set[str]] = {}
        """Names of links in each folder, which need not be in files/ otherwise."""
        for path in links or {}:
            while path != "/":
                path, name = posixpath.split(path)
                self._linked.setdefault(path, set()).add(name)
        self._commands = commands
        self._denied = frozenset(posixpath.normpath(path) for path in denied)
        self._missing = frozenset(posixpath.normpath(path) for path in missing)
        self._asked: dict[int, int] = {}
        self._exact: dict[tuple[str, ...], int] = {}
        self._plain: dict[tuple[str, ...], int] = {}
        for number, entry in enumerate(commands):
            self._exact.setdefault(tuple(entry["argv"]), number)
            self._plain.setdefault(_plain(entry["argv"]), number)
        self._told_absent = frozenset(path for path in map(_told_absent, commands) if path)

    def recorded_commands(self) -> tuple[tuple[str, ...], ...]:
        """Every command line that the recording holds, without a leading sudo or path. See `Ask.recorded`."""
        return tuple(self._plain)

    def _link_target(self, path: str) -> str | None:
        """Where a link of the recording points, null for what is none. Asked once: replaying a fleet asks for the same folders again."""
        if path not in self._targets:
            try:
                self._targets[path] = os.readlink(self._root + path)
            except (OSError, ValueError):
                self._targets[path] = None
        return self._targets[path]

    def _resolve(self, path: str, follow_last: bool = True) -> tuple[Path, str | None]:
        """The path inside files/, symbolic links read as the desk would read them (from its own root)."""
        parts = [part for part in posixpath.normpath(path).split("/") if part]
        done: list[str] = []
        followed = 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                done = done[:-1]
                continue
            target = self._link_target("/".join(["", *done, part])) if parts or follow_last else None
            if target is not None:
                followed += 1
                if followed > LINK_LIMIT:
                    return self._files.joinpath(*done, part), UNREADABLE
                if target.startswith("/"):
                    done = []
                parts = [item for item in target.split("/") if item not in ("", ".")] + parts
                continue
            done.append(part)
        if "/" + "/".join(done) in self._denied:
            return self._files.joinpath(*done), DENIED
        return self._files.joinpath(*done), None

    def _refused(self, path: str) -> bool:
        wanted = posixpath.normpath(path)
        return any(wanted == item or wanted.startswith(item + "/") for item in self._denied)

    def _absent(self, path: str) -> str:
        wanted = posixpath.normpath(path)
        known = any(wanted == item or wanted.startswith(item + "/") for item in self._missing)
        return MISSING if known else NOT_RECORDED

    def read_text(self, path: str) -> Text:
        """See `Desk`."""
        if self._refused(path):
            return Text(path, error=DENIED)
        here, error = self._resolve(path)
        if error:
            return Text(path, error=error)
        try:
            if not here.exists():
                return self._printed(path)
            if not here.is_file():
                return Text(path, error=UNREADABLE)
            if here.stat().st_size > FILE_LIMIT:
                return Text(path, error=TOO_LARGE)
            return Text(path, here.read_bytes().decode("utf-8", "replace"))
        except PermissionError:
            return Text(path, error=DENIED)
        except OSError:
            return Text(path, error=UNREADABLE)

    def _printed(self, path: str) -> Text:
        """A file that the recording holds only as the answer of ``cat``, or whose absence another command tells."""
        error = self._absent(path)
        if error == MISSING:
            return Text(path, error=error)
        answer = self.run(("cat", path))
        if answer.ok:
            return Text(path, answer.stdout)
        if answer.error in (DENIED,) or "Permission denied" in answer.stderr:
            return Text(path, error=DENIED)
        return Text(path, error=MISSING if self._denies(path) else NOT_RECORDED)

    def _denies(self, path: str) -> bool:
        """Whether a recorded command says that the path, or a folder above it, is not there."""
        wanted = posixpath.normpath(path)
        return any(wanted == item or wanted.startswith(item + "/") for item in self._told_absent)

    def list_dir(self, path: str) -> Listing:
        """See `Desk`."""
        if self._refused(path):
            return Listing(path, error=DENIED)
        here, error = self._resolve(path)
        if error:
            return Listing(path, error=error)
        try:
            linked = self._linked.get(str(here)[len(self._root) :] or "/", set())
            if not here.exists() and not linked:
                return self._printed_names(path)
            names = os.listdir(here) if here.exists() else []
            return Listing(path, tuple(sorted({*names, *linked} - {".gitkeep"})))
        except NotADirectoryError:
            return Listing(path, error=MISSING)
        except OSError:
            return Listing(path, error=UNREADABLE)

    def _printed_names(self, path: str) -> Listing:
        """A folder that the recording holds only as the answer of ``ls``."""
        error = self._absent(path)
        for words in (("ls",), ("ls", "-1"), ("ls", "-A"), ("ls", "-a")) if error == NOT_RECORDED else ():
            answer = self.run((*words, path))
            if answer.ok:
                return Listing(path, tuple(sorted(set(answer.stdout.split()) - {".", ".."})))
        return Listing(path, error=MISSING if error == MISSING or self._denies(path) else NOT_RECORDED)

    def read_link(self, path: str) -> Link:
        """See `Desk`."""
        if self._refused(path):
            return Link(path, error=DENIED)
        here, error = self._resolve(path, follow_last=False)
        if error:
            return Link(path, error=error)
        own = str(here)[len(self._root) :]
        target = self._link_target(own)
        if target is not None:
            return Link(path, target)
        return Link(path, error=UNREADABLE if here.exists() or own in self._linked else self._absent(path))

    def read_as(self, user: str, paths: Sequence[str], keys: Sequence[str] = ()) -> list[Text]:
        """See `desk.HomesDesk`: our lines of each file, and of each key the public half that was recorded beside it."""
        answers = [_marked(self.read_text(path)) for path in paths]
        return answers + [Text(path, told.text, told.error) for path in keys for told in (self.read_text(f"{path}.pub"),)]

    def run(
        self, argv: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> Answer:
        """See `Desk`."""
        command = tuple(argv)
        found = self._entry(command)
        if found is None:
            return Answer(command, error=NOT_RECORDED)
        responses = self._commands[found].get("responses") or [self._commands[found]]
        turn = min(self._asked.get(found, 0), len(responses) - 1)
        self._asked[found] = self._asked.get(found, 0) + 1
        response = responses[turn]
        error = response.get("error")
        rc = None if error else int(response.get("rc") or 0)
        return Answer(command, rc, str(response.get("stdout") or ""), str(response.get("stderr") or ""), error)

    def _entry(self, command: tuple[str, ...]) -> int | None:
        """Place of the first entry that answers a command. One may hold it as somebody typed it: with sudo, or with the program's path."""
        found = self._exact.get(command)
        return self._plain.get(_plain(command)) if found is None else found


def _marked(read: Text) -> Text:
    """The lines of a file that carry our mark; a recording made by other means holds the whole file."""
    if read.text is None:
        return read
    return Text(read.path, "".join(f"{line}\n" for line in read.text.split("\n") if line.rstrip().endswith(MARK)))


def _told_absent(entry: Mapping[str, Any]) -> str | None:
    """The path of which a recorded ``cat``, ``ls``, ``stat`` or ``test`` says that it is not there."""
    command = _plain(entry["argv"])
    if command[0] not in ("cat", "ls", "stat", "test") or len(command) < 2 or not command[-1].startswith("/"):
        return None
    response = (entry.get("responses") or [entry])[-1]
    told = "No such file or directory" in str(response.get("stderr") or "")
    refused = command[0] == "test" and command[1] in ("-e", "-f", "-d") and response.get("rc") == 1
    return posixpath.normpath(command[-1]) if told or refused else None


def _plain(argv: Sequence[str]) -> tuple[str, ...]:
    """A command line without a leading sudo (and its -n) and without the path of its program."""
    words = list(argv)
    if words[:1] == ["sudo"] and len(words) > 1:
        words = words[2:] if words[1] == "-n" and len(words) > 2 else words[1:]
    return (posixpath.basename(words[0]), *words[1:]) if words else ()


def _yaml(path: Path) -> Any:
    try:
        # A link or a pipe would give the reader's own files, or never end.
        if not stat.S_ISREG(path.lstat().st_mode):
            raise RecordingError(f"{path} is not a regular file")
        if path.stat().st_size > plain_yaml.SIZE_LIMIT:
            raise RecordingError(f"{path} is larger than {plain_yaml.SIZE_LIMIT} bytes")
        return plain_yaml.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def _links(path: Path) -> dict[str, str]:
    """Links of the desk, kept as data: path to target."""
    data = _mapping(path)
    if len(data) > LINKS_LIMIT or not all(isinstance(key, str) and isinstance(value, str) for key, value in data.items()):
        raise RecordingError(f"{path} is not a mapping of at most {LINKS_LIMIT} paths to the targets of links")
    return {posixpath.normpath("/" + key.lstrip("/")): value for key, value in data.items()}


def _mapping(path: Path, required: bool = False) -> Mapping[str, Any]:
    if not os.path.lexists(path) and not required:
        return {}
    data = _yaml(path)
    if not isinstance(data, dict):
        raise RecordingError(f"{path} holds {type(data).__name__}; a mapping was expected")
    return data


def _commands(path: Path) -> list[Mapping[str, Any]]:
    if not os.path.lexists(path):
        return []
    data = _yaml(path) or []
    if not isinstance(data, list):
        raise RecordingError(f"{path} holds {type(data).__name__}; a list of commands was expected")
    for number, entry in enumerate(data, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("argv"), list) or not entry["argv"]:
            raise RecordingError(f"{path}: entry {number} has no argv list")
        entry["argv"] = [str(word) for word in entry["argv"]]
        responses = entry.get("responses")
        if responses is not None and not (isinstance(responses, list) and responses and all(isinstance(item, dict) for item in responses)):
            raise RecordingError(f"{path}: entry {number} has responses that are not a list of mappings")
        for response in responses or [entry]:
            if response.get("error") not in (None, "timeout", "denied", "missing"):
                raise RecordingError(f"{path}: entry {number} has error {response['error']!r}; timeout, denied or missing was expected")
            if not isinstance(response.get("rc", 0), (int, type(None))):
                raise RecordingError(f"{path}: entry {number} has rc {response['rc']!r}; a number was expected")
    return data


def _paths(path: Path) -> list[str]:
    if not os.path.lexists(path):
        return []
    data = _yaml(path) or []
    if isinstance(data, dict):
        data = data.get("files") or []
    if not isinstance(data, list):
        raise RecordingError(f"{path} holds {type(data).__name__}; a list of paths was expected")
    # A path counts from the desk's root, with or without the first slash.
    return ["/" + str(item).lstrip("/") for item in data]
