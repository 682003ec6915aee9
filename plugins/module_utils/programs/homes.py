# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that this process runs on, with the files below its users' homes: asked and changed by a helper that runs as the user."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..desk import DAMAGED, DENIED, FILE_LIMIT, MISSING, TOO_LARGE, UNREADABLE, LiveDesk, Text
from . import carrier, user_files

USER_SECONDS = 30.0
"""Seconds that a helper which acts as a user may take: a home may lie on a slow network file system."""


class LiveHomes(LiveDesk):
    """See `desk.HomesDesk`."""

    def read_as(self, user: str, paths: Sequence[str], keys: Sequence[str] = ()) -> list[Text]:
        """See `desk.HomesDesk`."""
        answer = self.ask_as(user, {"op": "read", "paths": list(paths), "keys": list(keys)})
        told = answer.get("texts")
        wanted = (*paths, *keys)
        if not isinstance(told, list) or len(told) != len(wanted):
            return [Text(path, error=DENIED if answer.get("reason") == DENIED else UNREADABLE) for path in wanted]
        return [_told(path, item) for path, item in zip(wanted, told, strict=True)]

    def ask_as(self, user: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """See `desk.HomesDesk`."""
        program = carrier.text([user_files])
        answer = self.run(carrier.argv(), timeout=USER_SECONDS, stdin=carrier.feed(program, json.dumps(request)), user=user)
        try:
            data = json.loads(answer.stdout)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict):
            return data
        said = " ".join(answer.stderr.split())[-300:]
        return {"error": f"nothing can be done as user {user} ({answer.error or f'exit {answer.rc}'}): {said}", "reason": answer.error}


def _told(path: str, item: Any) -> Text:
    """One text of a user's helper. The user may have had a hand in it: only its shape is believed."""
    text, error = (item.get("text"), item.get("error")) if isinstance(item, dict) else (None, UNREADABLE)
    if isinstance(text, str) and error is None:
        return Text(path, text[:FILE_LIMIT])
    return Text(path, error=error if error in (MISSING, DENIED, TOO_LARGE, DAMAGED) else UNREADABLE)
