# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA_REQUIRE_* of a container image: conditions on CUDA, driver, capability and brand. Pure.

Space is or, comma is and, several variables are anded; an unknown property is skipped (NVIDIA container toolkit).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LENGTH_LIMIT = 16384
_CONDITION = re.compile(r"([a-z]{1,20})(!=|<=|>=|=|<|>)([A-Za-z0-9._-]{1,60})")
KNOWN = ("cuda", "driver", "arch", "brand")


class RequireError(ValueError):
    """The text is no requirement; the toolkit stops with an error then."""


def read(text: str) -> tuple[tuple[tuple[str, str, str], ...], ...]:
    """Alternatives, each a tuple of (property, operator, value) that must all hold. Raises RequireError."""
    if len(text) > LENGTH_LIMIT:
        raise RequireError("the requirement is too long")
    alternatives = []
    for word in text.split():
        conditions = []
        for part in word.split(","):
            found = _CONDITION.fullmatch(part)
            if not found:
                raise RequireError(f"{part[:60]!r} is not a condition")
            conditions.append((found.group(1), found.group(2), found.group(3)))
        alternatives.append(tuple(conditions))
    return tuple(alternatives)


def met(alternatives: tuple[tuple[tuple[str, str, str], ...], ...], values: Mapping[str, str | None]) -> bool | None:
    """Whether the requirement holds; null when that needs a value that is not known."""
    if not alternatives:
        return True
    answers = [_all(conditions, values) for conditions in alternatives]
    if True in answers:
        return True
    return None if None in answers else False


def _all(conditions: tuple[tuple[str, str, str], ...], values: Mapping[str, str | None]) -> bool | None:
    answers = [_holds(*condition, values) for condition in conditions if condition[0] in KNOWN]
    if False in answers:
        return False
    return None if None in answers else True


def _holds(name: str, operator: str, wanted: str, values: Mapping[str, str | None]) -> bool | None:
    value = values.get(name)
    if value is None:
        return None
    if name == "brand":
        same = value.lower() == wanted.lower()
        return same if operator == "=" else not same if operator == "!=" else None
    have, want = _key(value), _key(wanted)
    if have is None or want is None:
        return None
    length = max(len(have), len(want))
    left, right = have + (0,) * (length - len(have)), want + (0,) * (length - len(want))
    return {"=": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[
        operator
    ]


def _key(version: str) -> tuple[int, ...] | None:
    parts = version.split(".")
    if not 1 <= len(parts) <= 6 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return None
    return tuple(int(part) for part in parts)
