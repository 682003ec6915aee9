"""The one exception of the simulator's command: a sentence for the user and an exit code."""

from __future__ import annotations


class LabError(Exception):
    """Something the user can act on. The text is one sentence: what was found and what to do next."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code
