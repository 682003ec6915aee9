# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a desk: each file and command once, and a reason for everything that could not be read."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

from ..desk import DEFAULT_TIMEOUT, DENIED, MISSING, NOT_RECORDED, TIMEOUT, Answer, Desk, Link, Listing, Text, readings
from ..readers import loadavg
from ..readers import text as _text

T = TypeVar("T")

Source: TypeAlias = "Text | Listing | Link | Answer"

REASON_LIMIT = 240
"""Characters of one reason."""

WORKERS = 6
"""Commands that run at once: a desk has 20 cores, and most of the time is waiting for the driver."""

UNREAD_LIMIT = 200

OVERLOADED = 2.0
"""Load of the last minute on each processor from which a command that met its time limit is asked again: the limit says nothing then. On
a desk with room to spare, a command that hangs is itself the answer."""

LONGEST_STRETCH = 6.0
"""How many times longer a command may take when it is asked again; in between, as many times as the processors are oversubscribed."""


class Ask:
    """The questions of one gathering. Not a judge: what a desk answers is kept as it is."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.unread: dict[str, str] = {}
        self.processes = 0
        self._answers: dict[tuple[str, ...], Answer] = {}
        self._texts: dict[str, Text] = {}
        self._listings: dict[str, Listing] = {}
        self._links: dict[str, Link] = {}
        self._memos: dict[str, Any] = {}
        self._recorded: tuple[tuple[str, ...], ...] | None = None
        self._overload = ""
        self._lock = threading.Lock()

    def text(self, path: str) -> Text:
        """A file."""
        if path not in self._texts:
            self._texts[path] = self.desk.read_text(path)
        return self._texts[path]

    def word(self, path: str) -> str | None:
        """The first line of a file that is not empty, null when there is none."""
        return _text.first_line(self.text(path).text)

    def number(self, path: str) -> int | None:
        """The integer that a file holds."""
        return _text.to_int(self.word(path) or "")

    def listing(self, path: str) -> Listing:
        """A folder."""
        if path not in self._listings:
            self._listings[path] = self.desk.list_dir(path)
        return self._listings[path]

    def names(self, path: str) -> tuple[str, ...]:
        """The names in a folder, none when it cannot be listed."""
        return self.listing(path).names

    def target(self, path: str) -> str | None:
        """Where a symbolic link points, as written."""
        if path not in self._links:
            self._links[path] = self.desk.read_link(path)
        return self._links[path].target

    def read_as(self, user: str, paths: Sequence[str], keys: Sequence[str] = ()) -> list[Text]:
        """Our lines in files below a user's home and the public halves of our keys there, asked as that user, never as root."""
        ask = getattr(self.desk, "read_as", None)
        if ask is None:
            return [Text(path, error=NOT_RECORDED) for path in (*paths, *keys)]
        told: list[Text] = ask(user, paths, keys)
        return told

    def exists(self, path: str) -> bool | None:
        """Whether a file is there; null when that cannot be told. A file that may not be read is there."""
        read = self.text(path)
        if read.error in (MISSING, NOT_RECORDED):
            return False if read.error == MISSING else None
        return True

    def run(self, *argv: str, timeout: float = DEFAULT_TIMEOUT) -> Answer:
        """A command's answer, asked once; a second time, with more time, where it was late on an overloaded desk."""
        with self._lock:
            known = self._answers.get(argv)
        if known is not None:
            return known
        answer, asked = self.desk.run(argv, timeout=timeout), 1
        if answer.error == TIMEOUT and (stretch := self._stretch()) is not None:
            answer, asked = self.desk.run(argv, timeout=timeout * stretch), 2
        answer = readings(answer)
        with self._lock:
            self._answers[argv] = answer
            self.processes += asked * (answer.error not in (MISSING, NOT_RECORDED))
        return answer

    def _stretch(self) -> float | None:
        """How much longer a command may take on this desk now, null where the desk has room."""
        load = loadavg.read(self.desk.read_text("/proc/loadavg").text or "")["one"]
        processors = sum(re.fullmatch(r"cpu[0-9]+", name) is not None for name in self.desk.list_dir("/sys/devices/system/cpu").names)
        if load is None or not processors or load < OVERLOADED * processors:
            return None
        self._overload = f"the desk is overloaded: load {load:.0f} on {processors} CPUs"
        return float(min(load / processors, LONGEST_STRETCH))

    def recorded(self, *words: str) -> list[tuple[str, ...]]:
        """Command lines that begin with some words and that a recording holds, however its author asked; none on a live desk.

        A live desk is asked one question for each fact. A recording made by other means answers the same question in other words.
        """
        if self._recorded is None:
            tell = getattr(self.desk, "recorded_commands", None)
            self._recorded = tell() if tell is not None else ()
        return [argv for argv in self._recorded if argv[: len(words)] == words]

    def asked(self, *argv: str) -> Answer | None:
        """The answer of a command that was run already; never runs it, so it may stand in an explanation."""
        return self._answers.get(argv)

    def prefetch(self, commands: Sequence[Sequence[str]]) -> None:
        """Run slow commands at the same time, so that later questions find the answers."""
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            list(pool.map(lambda argv: self.run(*argv), commands))

    def first_answer(self, *commands: Sequence[str]) -> Answer:
        """The first command that gives an answer; the last refusal when none does. A command that is there and fails is an answer."""
        answer = Answer(())
        for argv in commands:
            answer = self.run(*argv)
            if answer.error not in (MISSING, NOT_RECORDED, DENIED):
                return answer
        return answer

    def memo(self, key: str, make: Callable[[], T]) -> T:
        """A value that several subsets need, made once."""
        if key not in self._memos:
            self._memos[key] = make()
        value: T = self._memos[key]
        return value

    def miss(self, fact: str, *tried: Source | str | None) -> None:
        """Note that a fact could not be read, and why."""
        reasons = [reason for reason in (why(item) for item in tried) if reason]
        if self._overload and any(isinstance(item, Answer) and item.error == TIMEOUT for item in tried):
            reasons.append(self._overload)
        if len(self.unread) < UNREAD_LIMIT:
            self.unread.setdefault(fact, _text.word("; ".join(reasons), REASON_LIMIT) or "the answers do not say")

    def told(self, fact: str, value: T | None, *tried: Source | str | None) -> T | None:
        """The value, and a note when there is none."""
        if value is None:
            self.miss(fact, *tried)
        return value


def why(source: Source | str | None) -> str | None:
    """Why a source gave nothing, in a few words; null when nothing was wrong with it."""
    if source is None or isinstance(source, str):
        return source
    if isinstance(source, Answer):
        name = " ".join(source.argv)[:60]
        if source.error:
            return f"{name}: {source.error}"
        if source.rc:
            said = _text.first_line(source.stderr) or _text.first_line(source.stdout) or "no message"
            return f"{name}: exit code {source.rc}, {said[:100]}"
        return None
    return f"{source.path}: {source.error}" if source.error else None


def first(values: Iterable[T | None]) -> T | None:
    """The first value that is not null."""
    return next((value for value in values if value is not None), None)
