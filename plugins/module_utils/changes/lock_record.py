# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record that the driver lock keeps on a desk: what it set, and what was there before. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.data import as_dict

SCHEMA = "labops.dgx_spark/driver_lock/1"
FOLDER = "/var/lib/dgx_spark/driver_lock"
PATH = f"{FOLDER}/lock.json"
DEBS = f"{FOLDER}/debs"

CHANGING, SETTLED = "changing", "settled"

_WORD = re.compile(r"[A-Za-z0-9][^\s\x00-\x1f\x7f]*")
"""A package, a version, or both: nothing that apt would take for an option, since options can name programs."""


@dataclass(frozen=True)
class Before:
    """What was there before the lock's first change."""

    preferences: str | None = None
    """Text of the lock's preferences path, null when there was no such file."""
    holds: tuple[str, ...] = ()
    """Every held package."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the group."""


@dataclass(frozen=True)
class Debs:
    """Which packages were kept for a way back."""

    kept: tuple[str, ...] = ()
    """NAME=VERSION"""
    missing: tuple[str, ...] = ()
    """NAME=VERSION that no archive gave."""
    wanted: bool = True


@dataclass(frozen=True)
class Record:
    """The driver lock of a desk."""

    phase: str = CHANGING
    state: str = "present"
    """present or paused"""
    branch: int = 580
    level: str = "branch"
    packages: Mapping[str, str] = field(default_factory=dict)
    """The locked group: name to version."""
    held: tuple[str, ...] = ()
    """Packages that the lock holds, or was about to hold."""
    protected: tuple[str, ...] = ()
    """Platform packages that the lock marked as wanted, or was about to."""
    preferences_sha256: str | None = None
    pins: tuple[str, ...] = ()
    """Names in /etc/apt/preferences.d when the effect of the lock was last checked."""
    conflicts: tuple[str, ...] = ()
    """Packages of another branch that apt would still choose."""
    before: Before = Before()
    debs: Debs = Debs()
    schema: str = SCHEMA

    @property
    def added_holds(self) -> tuple[str, ...]:
        """Holds that are the lock's own."""
        return tuple(name for name in self.held if name not in self.before.holds)

    def to_json(self) -> str:
        """As it is written: the same record always gives the same bytes."""
        return json.dumps(as_dict(self), indent=1, sort_keys=True) + "\n"


class RecordError(ValueError):
    """The record's text is no record of this schema."""


def parse(text: str) -> Record:
    """The record from its text. Raises RecordError."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise RecordError(f"{PATH} is not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise RecordError(f"{PATH} has schema {found!r}; {SCHEMA} was expected")
    before, debs = _mapping(data.get("before")), _mapping(data.get("debs"))
    try:
        return Record(
            phase=str(data.get("phase") or CHANGING),
            state=str(data.get("state") or "present"),
            branch=int(data.get("branch") or 580),
            level=str(data.get("level") or "branch"),
            packages=_versions(data.get("packages")),
            held=_packages(data.get("held")),
            protected=_packages(data.get("protected")),
            preferences_sha256=_text(data.get("preferences_sha256")),
            pins=_names(data.get("pins")),
            conflicts=_packages(data.get("conflicts")),
            before=Before(_text(before.get("preferences")), _packages(before.get("holds")), _versions(before.get("versions"))),
            debs=Debs(_packages(debs.get("kept")), _packages(debs.get("missing")), bool(debs.get("wanted", True))),
        )
    except (TypeError, ValueError) as error:
        raise RecordError(f"{PATH} cannot be read: {error}") from error


def deb_of(spec: str, names: Iterable[str]) -> str | None:
    """The kept file of NAME=VERSION among ``names``."""
    name, _equals, version = spec.partition("=")
    start = f"{name}_{version.replace(':', '%3a')}_"
    return next((item for item in names if item.startswith(start) and item.endswith(".deb")), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _versions(value: Any) -> dict[str, str]:
    told = {str(name): str(version) for name, version in _mapping(value).items()}
    return {name: version for name, version in told.items() if _WORD.fullmatch(name) and _WORD.fullmatch(version)}


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()


def _packages(value: Any) -> tuple[str, ...]:
    return tuple(item for item in _names(value) if _WORD.fullmatch(item))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
