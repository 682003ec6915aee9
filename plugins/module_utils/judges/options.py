# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a judge is told besides the facts: the purpose of the run, wanted versions, expected identity."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..model.data import from_dict
from .common import version_key

AUDIT = "audit"
"""Read-only look at a desk in any state; states that nobody has set yet are notes."""
ONBOARD = "onboard"
"""One desk is being brought to the known state."""
STACK = "stack"
"""Facts at the start of a stacking run: the link is to be used, but is not set up yet."""
STACKED = "stacked"
"""Facts after the link was set up: everything wanted must be there."""
UPDATE = "update"
"""An update is to be made or taken up: what one that was cut off left is what this run goes on from."""
PURPOSES = (AUDIT, ONBOARD, STACK, STACKED, UPDATE)


@dataclass(frozen=True)
class JudgeOptions:
    """Settings of the judges. All have defaults, so that an audit needs none."""

    purpose: str = AUDIT
    """audit, onboard, stack (before the link is set up), stacked (after) or update."""
    minimum_dgx_os: str = "7.2.3"
    """The factory image of the first desks."""
    newest_known_dgx_os: str = "7.6.0"
    """Newest release that public reports named up to 2026-11."""
    wanted_branch: int = 580
    wanted_cuda_major: int = 13
    minimum_memlock_mib: int = 4096
    """MiB that the login user must be able to lock. This collection's rule: the default NCCL test registers less than 4 GiB."""
    minimum_memory_gib: float | None = None
    """GiB that the system must see; null accepts the 64 GB and the 128 GB model."""
    wanted_mtu: int | None = None
    """MTU that both functions shall have once the link is set up; null asks only for equality."""
    take_over: bool = False
    """Whether a foreign owner of the ConnectX-7 interfaces may be replaced."""
    expected_serial: str | None = None
    expected_serial_sha256: str | None = None
    """SHA-256 (hex) of the chassis serial that the lab sheet names; takes the place of the serial itself."""
    expected_host_key_fingerprints: tuple[str, ...] = ()
    """SHA256:... fingerprints, any of which identifies the desk."""

    @property
    def link_is_used(self) -> bool:
        """Whether the run is going to use the link."""
        return self.purpose in (STACK, STACKED)

    def unset(self, unset: str, settled: str = "fail") -> str:
        """Severity of a state that only stacking sets: ``unset`` until the link stage is done, ``settled`` afterwards."""
        return settled if self.purpose == STACKED else unset

    def used(self, unused: str, used: str = "fail") -> str:
        """Severity of a state that only matters where the link is used."""
        return used if self.link_is_used else unused


NEWEST_KNOWN_DGX_OS = JudgeOptions().newest_known_dgx_os


def options_from_dict(data: Mapping[str, Any] | None) -> JudgeOptions:
    """Options from plain data; null values take the default.

    Raises ValueError for an unknown key or purpose, or for a value of the wrong type (the text names the key).
    """
    given = {key: value for key, value in (data or {}).items() if value is not None}
    known = {item.name: item for item in dataclasses.fields(JudgeOptions)}
    strangers = sorted(set(given) - set(known))
    if strangers:
        raise ValueError(f"unknown judge options: {', '.join(strangers)}; known are {', '.join(known)}")
    if given.get("purpose", AUDIT) not in PURPOSES:
        raise ValueError(f"purpose is {given['purpose']!r}; one of {', '.join(PURPOSES)} was expected")
    hints = typing.get_type_hints(JudgeOptions)
    for key, value in list(given.items()):
        given[key] = _converted(key, value, {hints[key], *typing.get_args(hints[key])})
    return from_dict(JudgeOptions, given)


def _converted(key: str, value: Any, types: Collection[Any]) -> Any:
    """Numbers arrive from templates as text; everything else must have the right shape already."""
    try:
        if bool in types:
            if isinstance(value, bool):
                return value
            return {"true": True, "yes": True, "false": False, "no": False}[str(value).lower()]
        if int in types:
            return int(value)
        if float in types:
            return float(value)
    except (KeyError, TypeError, ValueError) as error:
        kind = "truth value" if bool in types else "number"
        raise ValueError(f"judge option {key} is {value!r}; a {kind} was expected") from error
    if key in ("minimum_dgx_os", "newest_known_dgx_os") and version_key(str(value)) is None:
        # Nothing is older than a version that cannot be read: the finding would disappear.
        raise ValueError(f"judge option {key} is {value!r}; a version such as {getattr(JudgeOptions, key)} was expected")
    if key == "expected_host_key_fingerprints":
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"judge option {key} is {value!r}; a list was expected")
        return tuple(str(item) for item in value)
    if isinstance(value, (Mapping, list, tuple)):
        raise ValueError(f"judge option {key} is {value!r}; text was expected")
    return str(value)
