# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks made from what is declared: from the model's dataclasses and from the RETURN of our modules.

A check takes plain data and its path, and gives the data back: the very same object where nothing had to be replaced or left out, so
that an honest answer of 200 desks costs a walk and no copy. What does not fit raises `Refused`.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Union

from ...module_utils.model import kinds
from ...module_utils.model.cable import PORTS, CableProbe
from ...module_utils.model.kinds import LARGEST, MOST_ENTRIES, Kind
from ...module_utils.model.port import Address, ConnectX7
from .text import clean, line, shown

Check = Callable[[Any, str], Any]

MOST_PORTS = 16
"""Ports of a desk's network adapter; it has two."""
MOST_NODES = 50_000
"""Values in one part that is declared as a plain mapping."""
DEEPEST = 12


class Refused(ValueError):
    """A value that is not what was declared."""

    def __init__(self, path: str, found: str, expected: str) -> None:
        self.path, self.found, self.expected = path or "the answer", found, expected
        super().__init__(f"{self.path} is {found}, {expected} was expected")


# ---- single values -----------------------------------------------------------------------------------------------------


@functools.cache
def text(kind: Kind) -> Check:
    """A text of a kind. Control characters are replaced, and so are line ends where the kind has none."""
    whole = re.compile(kind.pattern) if kind.pattern else None
    made = clean if kind.lines else line

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, str):
            raise Refused(path, f"{type(value).__name__} {shown(value)}", kind.name)
        if len(value) > kind.limit:
            raise Refused(path, f"a text of {len(value)} characters", f"{kind.name} of at most {kind.limit}")
        if whole is None:
            return made(value)
        if whole.fullmatch(value) is None:
            raise Refused(path, shown(value), kind.name)
        return value

    return check


def boolean(value: Any, path: str) -> Any:
    """True or false."""
    if value is True or value is False:
        return value
    raise Refused(path, shown(value), "true or false")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def integer(value: Any, path: str) -> Any:
    """A whole number of at most 64 bits."""
    if _is_integer(value):
        return value
    raise Refused(path, f"{type(value).__name__} {shown(value)}", "a whole number")


def number(value: Any, path: str) -> Any:
    """A finite number."""
    if _is_integer(value) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise Refused(path, f"{type(value).__name__} {shown(value)}", "a number")


def either_null_or(check: Check) -> Check:
    """What ``check`` takes, or null."""
    return lambda value, path: None if value is None else check(value, path)


# ---- many values -------------------------------------------------------------------------------------------------------


def listed(check: Check, most: int = MOST_ENTRIES) -> Check:
    """A list of what ``check`` takes."""

    def each(value: Any, path: str) -> Any:
        if not isinstance(value, list | tuple):
            raise Refused(path, f"{type(value).__name__} {shown(value)}", "a list")
        if len(value) > most:
            raise Refused(path, f"a list of {len(value)}", f"at most {most} entries")
        taken = [check(item, f"{path}[{place}]") for place, item in enumerate(value)]
        return value if all(new is old for new, old in zip(taken, value, strict=True)) else taken

    return each


def mapped(check: Check, key: Kind = kinds.LINE, most: int = MOST_ENTRIES) -> Check:
    """A mapping of any names to what ``check`` takes."""
    name = text(key)

    def each(value: Any, path: str) -> Any:
        _mapping(value, path, most)
        taken = {name(item, f"a name in {path}"): check(value[item], f"{path}.{shown(item)}") for item in value}
        return value if _same(taken, value) else taken

    return each


def declared(fields: Mapping[str, Check], required: frozenset[str] = frozenset()) -> Check:
    """A mapping of declared names; others are left out."""

    def each(value: Any, path: str) -> Any:
        _mapping(value, path, MOST_ENTRIES)
        missing = required - value.keys()
        if missing:
            raise Refused(f"{path}.{min(missing)}".lstrip("."), "missing", "a value")
        inside = f"{path}." if path else ""
        taken = {name: fields[name](item, f"{inside}{name}") for name, item in value.items() if name in fields}
        return value if _same(taken, value) else taken

    return each


def anything(value: Any, path: str) -> Any:
    """Plain data of any shape, as deep and as large as a result has reason to be."""
    room = [MOST_NODES]

    def walk(item: Any, depth: int) -> Any:
        room[0] -= 1
        if depth > DEEPEST or room[0] < 0:
            raise Refused(path, "too deep or too large", f"at most {DEEPEST} levels and {MOST_NODES} values")
        if item is None or item is True or item is False:
            return item
        if isinstance(item, str):
            return _LONG(item, path)
        if isinstance(item, dict):
            taken = {_NAME(name, f"a name in {path}"): walk(inner, depth + 1) for name, inner in item.items()}
            return item if _same(taken, item) else taken
        if isinstance(item, list | tuple):
            return [walk(inner, depth + 1) for inner in item]
        return number(item, path)

    return walk(value, 0)


_LONG, _NAME = text(kinds.BLOCK), text(kinds.LINE)


def _mapping(value: Any, path: str, most: int) -> None:
    if not isinstance(value, dict):
        raise Refused(path, f"{type(value).__name__} {shown(value)}", "a mapping")
    if len(value) > most:
        raise Refused(path, f"a mapping of {len(value)}", f"at most {most} entries")


def _same(taken: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return len(taken) == len(value) and all(name in taken and taken[name] is item for name, item in value.items())


# ---- from the model ----------------------------------------------------------------------------------------------------


@functools.cache
def of_dataclass(cls: type) -> Check:
    """A check for the plain form of a dataclass: its fields, those without a default required."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = dataclasses.fields(cls)
    nothing = dataclasses.MISSING
    required = frozenset(item.name for item in fields if item.default is nothing and item.default_factory is nothing)
    check = declared({item.name: of_hint(hints[item.name]) for item in fields}, required)
    together = TOGETHER.get(cls)
    return check if together is None else lambda value, path: together(check(value, path), path)


def _address(value: Any, path: str) -> Any:
    """An address fits its family, and its prefix fits it: networks are computed from the two."""
    most = {"inet": (4, 32), "inet6": (6, 128)}.get(value["family"])
    try:
        version = ipaddress.ip_address(value["address"]).version
    except ValueError:
        raise Refused(f"{path}.address", shown(value["address"]), "an IP address") from None
    if most is None or most[0] != version or not 0 <= value["prefix_length"] <= most[1]:
        found = f"{shown(value['family'])} {value['address']}/{value['prefix_length']}"
        raise Refused(path, found, "an address with its family (inet, inet6) and prefix")
    return value


def _cages(value: Any, path: str) -> Any:
    """A desk has two cages: what is computed from a map of them takes far longer with each one more."""
    numbers = [port["port"] for port in value.get("ports") or ()]
    if len(set(numbers)) < len(numbers) or not set(numbers) <= set(PORTS):
        raise Refused(f"{path}.ports", f"ports {shown(', '.join(map(str, numbers[:20])))}", "port 0 and port 1, each once")
    return value


def _adapter(value: Any, path: str) -> Any:
    """A card has a handful of ports: what is made of every two ports of two desks takes far longer with each one more."""
    found = len(value.get("ports") or ())
    if found > MOST_PORTS:
        raise Refused(f"{path}.ports", f"a list of {found}", f"at most {MOST_PORTS} entries")
    return value


TOGETHER: dict[type, Check] = {Address: _address, CableProbe: _cages, ConnectX7: _adapter}
"""What the fields of one value must be together."""


def of_hint(hint: Any) -> Check:
    """A check for a type annotation of the model. Raises TypeError for one that it does not know."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return text(next(item for item in arguments if isinstance(item, Kind)))
    if origin in (Union, types.UnionType):
        inner = [item for item in arguments if item is not types.NoneType]
        if len(inner) == 1 and len(arguments) == 2:
            return either_null_or(of_hint(inner[0]))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return listed(of_hint(arguments[0]))
    if origin in (dict, Mapping):
        keys = _PLAIN_KEYS.get(arguments[0]) or next(item for item in typing.get_args(arguments[0]) if isinstance(item, Kind))
        return mapped(of_hint(arguments[1]), keys)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return of_dataclass(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    raise TypeError(f"the gate has no check for {hint!r}")


_PLAIN_KEYS: dict[Any, Kind] = {str: kinds.LINE}
_SCALARS: dict[Any, Check] = {bool: boolean, int: integer, float: number, str: text(kinds.LINE), Any: anything, object: anything}


# ---- from the documentation --------------------------------------------------------------------------------------------

NAMED: dict[str, Kind] = {
    name: next(item for item in typing.get_args(hint) if isinstance(item, Kind))
    for name, hint in (
        ("netdev", kinds.Netdev),
        ("rdma_device", kinds.RdmaDevice),
        ("mac", kinds.Mac),
        ("public_key", kinds.PublicKeyLine),
        ("address", kinds.IpAddress),
    )
}
"""Documented values of these names are of this kind wherever they stand: RETURN itself knows text and no more."""


def of_documentation(returned: Mapping[str, Any]) -> dict[str, Check]:
    """A check for each documented value."""
    return {name: either_null_or(_documented(name, entry)) for name, entry in returned.items()}


def _documented(name: str, entry: Mapping[str, Any]) -> Check:
    kind = entry.get("type")
    if kind == "list":
        inner = {"type": entry.get("elements"), "contains": entry.get("contains")}
        return listed(either_null_or(_documented("", inner)))
    if kind == "dict" and entry.get("contains"):
        always = frozenset(item for item, inner in entry["contains"].items() if inner.get("returned") == "always")
        return declared(of_documentation(entry["contains"]), always)
    if kind == "str":
        return text(NAMED.get(name, kinds.BLOCK))
    return {"bool": boolean, "int": integer, "float": number}.get(str(kind), anything)
