# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update of a desk: what it would change, and the journal of one that was begun."""

from __future__ import annotations

from dataclasses import dataclass, field

from .kinds import PackageName, Version

BEGUN, CHANGING, INSTALLED, STARTED, SETTLED = "begun", "changing", "installed", "started", "settled"
ROLLING_BACK, ROLLED_BACK = "rolling_back", "rolled_back"
"""Nothing changed yet; packages are being changed; they are changed and the reboot is to come; the desk started with them and the proof
is to come; proven. A way back that was begun; one that waits for its proof."""


@dataclass(frozen=True)
class Journal:
    """What an update noted on the desk before each of its steps (/var/lib/dgx_spark/update/journal.json)."""

    phase: str
    """How far it got: begun, changing, installed, started, settled, rolling_back, rolled_back."""
    run_id: str | None = None
    """Run that began it; null when unknown."""
    stack: str | None = None
    """Stack that it was for; null for a desk in none."""
    before: dict[PackageName, Version] = field(default_factory=dict)
    """Packages that it changes or removes, with the version from before."""
    target: dict[PackageName, Version] = field(default_factory=dict)
    """Packages of driver, kernel and NCCL, with the version that it was to bring."""
    added: tuple[PackageName, ...] = ()
    """Packages that were not installed before."""
    kept: tuple[str, ...] = ()
    """NAME=VERSION of each package that was kept for a rollback."""
    lost: tuple[str, ...] = ()
    """NAME=VERSION of each package that no archive could provide, so that it cannot be restored."""
    kernel_before: str | None = None
    """Release of the kernel that ran before; null when unknown."""
    kernel_after: str | None = None
    """Release that the boot after the packages starts; null before it is known."""
    firmware: tuple[str, ...] = ()
    """Firmware that was handed to the next boot."""

    @property
    def open(self) -> bool:
        """Whether the desk waits for something: more steps, or the proof."""
        return self.phase != SETTLED


@dataclass(frozen=True)
class Change:
    """One package that an update would change."""

    name: PackageName
    """Name."""
    old: Version | None = None
    """Version now; null for a package that is not there yet."""
    new: Version | None = None
    """Version afterwards; null for a package that would be removed."""
    down: bool = False
    """Whether the version afterwards is an older one."""


@dataclass(frozen=True)
class Firmware:
    """One device that fwupd knows."""

    name: str
    """Name."""
    version: str | None = None
    """Version as fwupd writes it (hexadecimal on a Spark); null when unknown."""
    vendor: str | None = None
    """Vendor; null when unknown."""
    offered: str | None = None
    """Version that the vendor offers; null for none."""
    problems: tuple[str, ...] = ()
    """Why fwupd would not update it now, in fwupd's words."""


@dataclass(frozen=True)
class Look:
    """What an update would do to one desk. Nothing was changed to learn it."""

    changes: tuple[Change, ...] = ()
    """Packages that apt would change, add or remove, driver lock open and other branches shut out."""
    refusal: str | None = None
    """What apt said where it found no way; null when it found one."""
    offered_modules: tuple[PackageName, ...] = ()
    """Driver modules that the archives have for the kernels that would come."""
    keepable: tuple[str, ...] = ()
    """NAME=VERSION of what can be kept for a rollback."""
    lost: tuple[str, ...] = ()
    """NAME=VERSION of what no archive has any more."""
    fetch_bytes: int = 0
    """Bytes of the packages that would be fetched, including those for a rollback."""
    install_bytes: int = 0
    """Bytes that what is unpacked takes at most (this and the old version lie side by side for a while)."""
    free: dict[str, int] = field(default_factory=dict)
    """Folder to bytes that root may still write there."""
    firmware: tuple[Firmware, ...] | None = None
    """Devices of fwupd; null when fwupd could not be asked."""
    firmware_unread: str | None = None
    """Why fwupd could not be asked; null when it could."""
    on_battery: bool | None = None
    """Whether the desk runs on a battery (/sys/class/power_supply); a desk without one does not; null when it could not be read."""
    ota_title: str | None = None
    """Name of the update that the Dashboard has on offer; null when it has none."""
    ota_unread: str | None = None
    """Why the Dashboard could not be asked; null when it could."""
    archives_failed: tuple[str, ...] = ()
    """Codes of archives that did not answer as they should, so that the plan may lack what they have."""
