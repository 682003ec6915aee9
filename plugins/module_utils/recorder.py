# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A desk that notes everything it was asked and what it answered, so that the same questions can be answered again elsewhere."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from .desk import DEFAULT_TIMEOUT, DENIED, MISSING, TIMEOUT, Answer, Desk, Link, Listing, Text

LINK_LIMIT = 40
"""Symbolic links followed in one path, as Linux does."""

RECORDABLE = (None, TIMEOUT, DENIED, MISSING)
"""Errors of a command that a recording can hold."""


class RecordingDesk:
    """See `desk.Desk`. Answers come from ``inner``; safe for several threads."""

    def __init__(self, inner: Desk) -> None:
        self._inner = inner
        self._lock = threading.RLock()
        self._links: dict[str, Link] = {}
        self._files: dict[str, str] = {}
        self._folders: dict[str, tuple[str, ...]] = {}
        self._denied: set[str] = set()
        self._missing: set[str] = set()
        self._commands: dict[tuple[str, ...], list[dict[str, Any]]] = {}

    def _link(self, path: str) -> Link:
        with self._lock:
            known = self._links.get(path)
        if known is None:
            known = self._inner.read_link(path)
            with self._lock:
                self._links[path] = known
        return known

    def _canonical(self, path: str, follow_last: bool = True) -> str:
        """Where a path really leads, every link on the way noted; the path as far as it went when links go round in circles."""
        parts = [part for part in posixpath.normpath("/" + path).split("/") if part]
        done: list[str] = []
        followed = 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                done = done[:-1]
                continue
            here = "/" + "/".join([*done, part])
            link = self._link(here) if parts or follow_last else None
            if link is not None and link.target is not None and followed < LINK_LIMIT:
                followed += 1
                if link.target.startswith("/"):
                    done = []
                parts = [item for item in link.target.split("/") if item not in ("", ".")] + parts
                continue
            done.append(part)
        return "/" + "/".join(done)

    def _refusal(self, path: str, error: str | None, follow_last: bool = True) -> None:
        with self._lock:
            if error == DENIED:
                self._denied.add(self._canonical(path, follow_last))
            elif error == MISSING:
                self._missing.add(posixpath.normpath(path))

    def read_text(self, path: str) -> Text:
        """See `desk.Desk`."""
        answer = self._inner.read_text(path)
        if answer.text is not None:
            where = self._canonical(path)
            with self._lock:
                self._files[where] = answer.text
        self._refusal(path, answer.error)
        return answer

    def list_dir(self, path: str) -> Listing:
        """See `desk.Desk`."""
        answer = self._inner.list_dir(path)
        if answer.error is None:
            where = self._canonical(path)
            with self._lock:
                self._folders[where] = answer.names
        self._refusal(path, answer.error)
        return answer

    def read_link(self, path: str) -> Link:
        """See `desk.Desk`."""
        answer = self._link(self._canonical(path, follow_last=False))
        self._refusal(path, answer.error, follow_last=False)
        return Link(path, answer.target, answer.error)

    def run(
        self, argv: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> Answer:
        """See `desk.Desk`."""
        answer = self._inner.run(argv, timeout=timeout, stdin=stdin, env=env)
        if answer.error in RECORDABLE:
            response: dict[str, Any] = {"error": answer.error} if answer.error else {"rc": answer.rc}
            response |= {name: text for name, text in (("stdout", answer.stdout), ("stderr", answer.stderr)) if text}
            with self._lock:
                self._commands.setdefault(tuple(argv), []).append(response)
        return answer

    def read_as(self, user: str, paths: Sequence[str], keys: Sequence[str] = ()) -> list[Text]:
        """See `desk.HomesDesk`. Of a user's files only our lines are told and kept; of a key its public half, beside it."""
        answers: list[Text] = self._inner.read_as(user, paths, keys)  # type: ignore[attr-defined]
        for where, answer in zip((*paths, *(f"{path}.pub" for path in keys)), answers, strict=True):
            with self._lock:
                if answer.text is not None:
                    self._files[posixpath.normpath(where)] = answer.text
                elif answer.error == DENIED:
                    self._denied.add(posixpath.normpath(where))
                elif answer.error == MISSING:
                    self._missing.add(posixpath.normpath(where))
        return answers

    def recorded(self) -> dict[str, Any]:
        """Everything noted, as plain data: ``files`` (path to text), ``links`` (path to target), ``folders`` (path to names),
        ``commands`` (argv and responses), ``denied`` and ``missing`` (paths).

        Names of listed folders that are links are looked up now, so that a folder is recorded as it is.
        """
        for folder, names in sorted(self._folders.items()):
            for name in names:
                self._link(posixpath.join(folder, name))
        return {
            "files": dict(sorted(self._files.items())),
            "links": {path: link.target for path, link in sorted(self._links.items()) if link.target is not None},
            "folders": {path: list(names) for path, names in sorted(self._folders.items())},
            "commands": [{"argv": list(argv), "responses": responses} for argv, responses in sorted(self._commands.items())],
            "denied": sorted(self._denied),
            "missing": sorted(self._missing),
        }
