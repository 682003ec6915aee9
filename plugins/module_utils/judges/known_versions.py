# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions with a reported fault, each with its source and how many reports stand behind it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from ..model.desk import Desk

WARN_REPORTS = 3
"""Independent reports from which a fault warns; NVIDIA's own word is enough alone, fewer reports make a note."""


@dataclass(frozen=True)
class KnownBad:
    """One version that reports name."""

    component: str
    """driver, kernel, next kernel (made from the kernel entries), nccl, nccl wheel, bios or cx7_firmware."""
    pattern: str
    """Regular expression for the whole version."""
    fault: str
    """What breaks, as a clause."""
    advice: str
    source: str
    grade: str
    """official, community or single."""
    reports: int
    cured_by_kho_off: bool = False
    """Whether ``kho=off`` on the kernel command line cures it."""
    own_code: str | None = None
    """A code that a judge of its own raises when the fault is really there; then this entry stays silent."""

    @property
    def severity(self) -> str:
        """warn for NVIDIA's word or three reports, note below."""
        return "warn" if self.grade == "official" or self.reports >= WARN_REPORTS else "note"


KNOWN_BAD: tuple[KnownBad, ...] = (
    KnownBad(
        component="kernel",
        pattern=r"7\.0\.0-1019-nvidia(-64k)?",
        fault="without kho=off this kernel cannot register RDMA memory once its contiguous memory is taken; "
        "NVIDIA asked RoCE users to hold off",
        advice="install nvidia-spark-grub-kho (DGX OS update 26.09.2, adds kho=off) and reboot both desks of the pair with the cable in",
        source="NVIDIA advisory 2026-09-13, developer forum F383254 and F383926",
        grade="official",
        reports=3,
        cured_by_kho_off=True,
        own_code="KERNEL_ROCE_ENOMEM",
    ),
    KnownBad(
        component="kernel",
        pattern=r"6\.17\.0-1008-nvidia(-64k)?",
        fault="there are reports of DOE mailbox timeouts, panics and a GPU lost at boot",
        advice="update DGX OS to 7.5.0 or newer",
        source="developer forum F366026",
        grade="community",
        reports=2,
    ),
    KnownBad(
        component="driver",
        pattern=r"580\.159\.03",
        fault="there are reports of GPU engine failures and cudaErrorNotPermitted under load",
        advice="update DGX OS if you see that here",
        source="hasso5703/dgx-spark-qwen38 26, sgl-project/sglang 40948, vllm-project/vllm 52877",
        grade="community",
        reports=3,
    ),
    KnownBad(
        component="driver",
        pattern=r"580\.173\.02",
        fault="after an apt upgrade to it on the July 2026 update the GPU was not found (driver and GSP firmware not paired)",
        advice="check that user space, module and GSP firmware show one version; otherwise update to 580.178.04",
        source="developer forum F378200",
        grade="single",
        reports=1,
    ),
    KnownBad(
        component="cx7_firmware",
        pattern=r"28\.47\.1088.*",
        fault="flashing this firmware with mlnx-fw-updater 25.10 left the ConnectX-7 of one ASUS desk unusable",
        advice="keep the firmware of nvidia-spark-mlnx-firmware-manager (28.45.4028) and remove mlnx-fw-updater",
        source="developer forum F373900",
        grade="single",
        reports=1,
    ),
    KnownBad(
        component="nccl",
        pattern=r"2\.30\.4([-+~].*)?",
        fault="NCCL 2.30.4 was reported to hang between two desks, where 2.30.3 and 2.30.7 do not",
        advice="bring libnccl2 to 2.30.7 or newer on both desks of the pair",
        source="one owner's notes",
        grade="single",
        reports=1,
    ),
    KnownBad(
        component="bios",
        pattern=r"GX10DGX\.[0-9]{4}\.(202[0-5]\.[0-9]{4}|2026\.0[1-3][0-9]{2})\..*",
        fault="on an ASUS desk with a BIOS from before April 2026 the second function of a port ran with two PCIe lanes instead of four",
        advice="update the firmware (sudo fwupdmgr refresh && sudo fwupdmgr upgrade) if CX7_HALF_WIDTH is found here",
        source="one owner's notes",
        grade="single",
        reports=1,
    ),
)

WHEELS: tuple[KnownBad, ...] = (
    KnownBad(
        component="nccl wheel",
        pattern=r"2\.28\.9(\.[0-9]+)?",
        fault="the wheel of NCCL 2.28.9 was reported to hang between two desks, where the package libnccl2 of the same version does not",
        advice="use the package (nccl_bundle_library: system) or another version of the wheel",
        source="one owner's notes",
        grade="single",
        reports=1,
    ),
)
"""Builds that no fact of a desk tells; only who installs one asks for them."""

NEXT_KERNEL = "next kernel"


def _before_the_boot(entry: KnownBad) -> KnownBad:
    """The entry of a kernel for a desk that will start it: no judge of its own can see that fault yet."""
    return dataclasses.replace(entry, component=NEXT_KERNEL, own_code=None)


def versions(desk: Desk) -> dict[str, str]:
    """The versions of a desk that the table speaks about, by component; what is not known is left out."""
    known = {
        "driver": desk.driver.module_version or desk.driver.user_space_version,
        "kernel": desk.kernel.running,
        NEXT_KERNEL: desk.kernel.next_boot if desk.kernel.next_boot != desk.kernel.running else None,
        "nccl": desk.toolkit.nccl,
        "bios": desk.identity.bios_version,
        "cx7_firmware": desk.cx7.firmware or next((item.firmware for item in desk.cx7.functions if item.firmware), None),
    }
    return {component: version for component, version in known.items() if version}


def matches(desk: Desk, table: tuple[KnownBad, ...] = KNOWN_BAD) -> list[tuple[KnownBad, str]]:
    """The entries that speak about this desk, each with the version that was found; the kernel that the next boot starts counts too."""
    found = versions(desk)
    whole = (*table, *(_before_the_boot(entry) for entry in table if entry.component == "kernel"))
    return [
        (entry, found[entry.component])
        for entry in whole
        if entry.component in found
        and re.fullmatch(entry.pattern, found[entry.component].strip())
        and not (entry.cured_by_kho_off and _kho_off(desk, entry.component == NEXT_KERNEL))
    ]


def _kho_off(desk: Desk, next_boot: bool) -> bool:
    """Whether kho=off is in force, or will be: GRUB's settings, the package that adds it, or as it was given this time."""
    return desk.kernel.kho == "off" or (next_boot and desk.kernel.next_boot_kho == "off")


def known_bad(component: str, version: str) -> KnownBad | None:
    """The entry that names a version, for versions that a measurement told or that are to be installed (NCCL's); null when none does."""
    return next(
        (entry for entry in (*KNOWN_BAD, *WHEELS) if entry.component == component and re.fullmatch(entry.pattern, version.strip())), None
    )


def told(entry: KnownBad, version: str) -> str:
    """What a finding says about a version that the table names."""
    behind = {"official": "NVIDIA", "single": "one report"}.get(entry.grade, f"{entry.reports} reports")
    known = f"{entry.fault} ({behind}: {entry.source})"
    if entry.component == NEXT_KERNEL:
        return f"The next boot starts kernel {version}: {known}. Before that boot: {entry.advice}."
    return f"{entry.component} {version}: {known}. Advice: {entry.advice}."


def evidence_of(entry: KnownBad, version: str) -> dict[str, object]:
    """The evidence of such a finding."""
    return {"component": entry.component, "version": version, "source": entry.source, "grade": entry.grade, "reports": entry.reports}
