# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What enrolment's program may answer: the same gate, before a desk has any module of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ...module_utils.model.kinds import HostName, UserName
from .admit import AnswerInvalid
from .schema import Refused, of_dataclass

PROGRAM = "enrol_program"
BEGIN = '{"changes": '
"""How the program's answer begins. Within a text of the answer its quotes would be escaped, so the last one is the answer's."""


@dataclass(frozen=True)
class Look:
    """What the program saw."""

    first_boot: str
    """done, pending or absent"""
    oobe: bool
    serial: str | None
    user: UserName | None = None
    uid: int | None = None
    gid: int | None = None
    groups: tuple[str, ...] = ()
    root: bool = False
    hostname: HostName | None = None
    boot_id: str | None = None


@dataclass(frozen=True)
class Told:
    """Its whole answer."""

    look: Look
    changes: tuple[str, ...] = ()
    refused: str | None = None


def told(desk: str, output: str) -> dict[str, Any] | None:
    """The answer in what the program printed; null when there is none, as when sudo or Python refused. Raises AnswerInvalid.

    The login's start-up files may print something before it, with no line end after it.
    """
    try:
        answer = json.loads(output[max(output.rfind(BEGIN), 0) :])
    except RecursionError:
        raise AnswerInvalid(desk, PROGRAM, Refused("", "nested too deep", "plain data")) from None
    except ValueError:
        return None
    if not isinstance(answer, dict) or "look" not in answer:
        return None
    try:
        admitted: dict[str, Any] = of_dataclass(Told)(answer, "")
    except Refused as refused:
        raise AnswerInvalid(desk, PROGRAM, refused) from None
    return admitted
