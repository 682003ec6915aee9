# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one desk's check learned and another's can use: a registry or an index is asked once in a run, not once a desk."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..run.store import lock_file, write_atomically


class Shared:
    """Answers in a folder, by key. Whoever comes second waits for the first. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """The answer for a key (anything that JSON can hold), made when nobody has yet."""
        if self._folder is None:
            return make()
        name = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
        path = self._folder / f"{name}.json"
        with _alone(self._folder, name):
            try:
                return json.loads(path.read_text(encoding="utf-8"))["answer"]
            except (OSError, ValueError, KeyError):
                pass
            answer = make()
            write_atomically(path, json.dumps({"answer": answer}))
            return answer


@contextlib.contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    with lock_file(folder / f".{name}.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
