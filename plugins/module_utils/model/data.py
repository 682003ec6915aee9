# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the frozen dataclasses of the model and the plain data that Ansible carries."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, Union

from .kinds import LARGEST, LINE, MOST_ENTRIES

T = TypeVar("T")


def sha256(text: str) -> str:
    """Fingerprint of a text, as the facts carry it."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def as_dict(value: Any) -> Any:
    """A dataclass (or anything made of them) as plain dicts, lists and scalars."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_dict(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_dict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_dict(item) for item in value]
    return value


def fitting(value: Any) -> Any:
    """Plain data within the bounds of the controller's gate: cut where it is too long, null for a number that is too large.

    What one desk says of others holds what those told it, and none of it may keep its whole answer from passing.
    """
    if isinstance(value, str):
        return value[: LINE.limit]
    if isinstance(value, Mapping):
        return {key[: LINE.limit]: fitting(item) for key, item in list(value.items())[:MOST_ENTRIES]}
    if isinstance(value, (list, tuple)):
        return [fitting(item) for item in value[:MOST_ENTRIES]]
    if isinstance(value, (int, float)):
        return value if -LARGEST < value < LARGEST else None
    return value


def from_dict(cls: type[T], data: Mapping[str, Any]) -> T:
    """The dataclass ``cls`` from plain data; unknown keys are left out, missing ones take their default."""
    hints = _hints(typing.cast(type, cls))
    values = {
        item.name: _value(hints[item.name], data[item.name])
        for item in dataclasses.fields(cls)  # type: ignore[arg-type]
        if item.name in data
    }
    return cls(**values)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """The types of a dataclass's fields; resolving them costs more than using them."""
    return typing.get_type_hints(cls)


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [item for item in arguments if item is not types.NoneType]
        return _value(inner[0], value) if len(inner) == 1 else value
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_dict(typing.cast(type, hint), value)
    if origin in (tuple, list) and isinstance(value, (list, tuple)):
        return tuple(_value(arguments[0], item) for item in value)
    if origin in (dict, Mapping) or (origin is not None and isinstance(value, Mapping)):
        return {key: _value(arguments[1], item) for key, item in value.items()}
    return value
