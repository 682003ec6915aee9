# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver lock wants, plans and shows, as data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.finding import Finding
from . import apt_preferences
from .apt_preferences import CUDA_ARCHIVE
from .driver_group import BRANCH
from .lock_record import Record

PRESENT, ABSENT, PAUSED = "present", "absent", "paused"
BRANCH_LEVEL, EXACT_LEVEL = "branch", "exact"
IF_NEEDED, NEVER = "if_needed", "never"

# Kinds of steps, in the order in which they are done.
OPEN, RECORD, KEEP_DEBS, PREFERENCES, REPAIR, MOVE, HOLD, UNHOLD, PROTECT, UNPROTECT, VERIFY, SETTLE, ROLL_BACK, FORGET = (
    "open",
    "record",
    "keep_debs",
    "preferences",
    "repair",
    "move",
    "hold",
    "unhold",
    "protect",
    "unprotect",
    "verify",
    "settle",
    "roll_back",
    "forget",
)


@dataclass(frozen=True)
class WantedLock:
    """What the admin wants. See the options of the module driver_lock."""

    state: str = PRESENT
    branch: int = BRANCH
    level: str = BRANCH_LEVEL
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package to version, from a fleet lock file; empty locks what is installed."""
    refused_archives: tuple[str, ...] = (CUDA_ARCHIVE,)
    trusted_archives: tuple[str, ...] = ()
    protect_platform: bool = True
    repair: str = IF_NEEDED
    keep_debs: bool = True
    retry_debs: bool = False
    accept: bool = False
    """Take versions that were changed by hand as the new locked ones."""
    allow_downgrade: bool = False
    roll_back: bool = False
    """With state absent: put the recorded versions back."""
    force: bool = False
    """Change packages although the GPU or RDMA is in use."""


@dataclass(frozen=True)
class Step:
    """One change. ``packages`` are NAME or NAME=VERSION."""

    kind: str
    title: str
    packages: tuple[str, ...] = ()
    text: str | None = None
    """Text of the file that the step writes; null removes it."""
    leaving: tuple[str, ...] = ()
    """Packages that may be removed for it: older builds whose name carries their version."""


@dataclass(frozen=True)
class LockView:
    """One side of the difference: preferences, holds and versions."""

    preferences: str | None = None
    """Text of the preferences file; null when there is none or its text is not known (only its fingerprint is in the facts)."""
    preferences_sha256: str | None = None
    holds: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    protected: tuple[str, ...] = ()
    state: str = ABSENT

    def text(self) -> str:
        """The one formatter of both sides of a difference."""
        if self.preferences is not None:
            preferences = self.preferences.rstrip("\n").splitlines()
        elif self.preferences_sha256:
            preferences = [f"(other text, sha256 {self.preferences_sha256})"]
        else:
            preferences = []
        lines = [f"lock: {self.state}", f"preferences {apt_preferences.PATH}:", *(f"  {line}".rstrip() for line in preferences)]
        lines += ["held:", *(f"  {name}" for name in self.holds)]
        lines += ["versions:", *(f"  {name} {version}" for name, version in sorted(self.versions.items()))]
        lines += ["kept from autoremove:", *(f"  {name}" for name in self.protected)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class LockPlan:
    """What to do. No steps: nothing is to be done, or (``blocked``) nothing may be done."""

    steps: tuple[Step, ...]
    before: LockView
    after: LockView
    diff: str
    findings: tuple[Finding, ...]
    record: Record | None = None
    """The record as it will stand after the last step; null when there will be none."""
    blocked: bool = False

    def kinds(self) -> tuple[str, ...]:
        """Kinds of the steps in order."""
        return tuple(item.kind for item in self.steps)
