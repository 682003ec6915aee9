# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What could not be read: a note for optional facts, unknown for those that the run requires."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import fact, named, unread_reason
from .options import AUDIT, ONBOARD, STACK, STACKED, UPDATE, JudgeOptions

_AUDIT = (
    "identity.is_gb10",
    "identity.architecture",
    "dgx_os.version",
    "kernel.running",
    "driver.module_version",
    "driver.user_space_version",
    "driver.open_module",
    "gpu.present",
    "memory.total_kb",
    "cx7.ports",
    "gpu.utilisation_percent",
)
_ONBOARD = (*_AUDIT, "kernel.next_boot", "driver.persistenced_active", "apt.first_boot_upgrade")
_STACK = (*_ONBOARD, "driver.gsp_version", "memory.cma_total_kb", "limits.memlock_soft", "network.management_netdev")

REQUIRED: dict[str, tuple[str, ...]] = {AUDIT: _AUDIT, ONBOARD: _ONBOARD, STACK: _STACK, STACKED: _STACK, UPDATE: _ONBOARD}
"""Facts without which a desk cannot be called healthy, by purpose."""

NULL_IS_AN_ANSWER = ("cx7.ports", "gpu.utilisation_percent")
"""Facts that only count as missing when the desk refused to tell them: no function may be there, and GB10 does not tell every
reading. The GPU's stands for nvidia-smi itself: without an answer from it nobody knows whether the GPU works."""

EXPLAINED_BY: dict[str, tuple[str, ...]] = {
    "DGX_RELEASE_MISSING": ("dgx_os.",),
    "DRIVER_MISSING": ("driver.", "gpu."),
    "DRIVER_MISMATCH": ("driver.user_space_version", "driver.gsp_version", "gpu."),
    "DRIVER_PROPRIETARY": ("driver.user_space_version", "driver.gsp_version", "gpu."),
    "GPU_FAILED": ("driver.user_space_version", "driver.gsp_version", "driver.cuda_version", "gpu."),
    "DGX_OS_RULES_UNKNOWN": ("kernel.installed",),
    "GPU_NOT_FOUND": ("driver.user_space_version", "driver.gsp_version", "gpu."),
    "CX7_ABSENT_FAULT": ("cx7.",),
    "CX7_ABSENT_NO_CABLE": ("cx7.",),
}
"""Findings that say why a fact has no value."""


_SMI_BROKEN = re.compile(
    r"nvidia-smi[^:;]{0,80}: missing|segmentation fault|bus error|illegal instruction|exit code (?:-(?:4|7|11)|13[259])\b|"
    r"error while loading shared libraries|couldn't find libnvidia-ml|exec format error",
    re.IGNORECASE,
)
"""Why nvidia-smi gave no answer, where it could not run at all: neither a missing right nor a word about the GPU."""


_ROOT_REFUSED = re.compile(r"insufficient permissions|access blocked by the operating system", re.IGNORECASE)
"""What nvidia-smi says where the GPU's device files are kept from it."""


def judge_missing(desk: Desk, where: Where, options: JudgeOptions, found: Iterable[Finding]) -> list[Finding]:
    """FACTS_INCOMPLETE: one finding with everything that could not be read and why."""
    explained = tuple(prefix for item in found for prefix in EXPLAINED_BY.get(item.code, ()))
    required: dict[str, str] = {}
    for path in REQUIRED[options.purpose]:
        if path.startswith(explained) or not _asked(desk, path):
            continue
        reason = unread_reason(desk, path)
        if path in NULL_IS_AN_ANSWER:
            if reason is not None:
                required[path] = reason
        elif fact(desk, path) is None:
            required[path] = reason or "the answer does not say"
    # A fact that has its value although one of its sources could not be read is no gap.
    optional = {path: reason for path, reason in desk.unread.items() if path not in required and not path.startswith(explained)}
    if required:
        told = [f"{path} ({reason})" for path, reason in required.items()]
        evidence = {"required": required, "optional": optional}
        message = f"Required facts could not be read: {named(told)}."
        return [finding("FACTS_INCOMPLETE", where, message, severity="unknown", evidence=evidence, remedy=_remedy(desk, required))]
    if optional:
        told = [f"{path} ({reason})" for path, reason in optional.items()]
        message = f"Optional facts could not be read: {named(told)}."
        return [finding("FACTS_INCOMPLETE", where, message, evidence={"optional": optional}, remedy=_remedy(desk, optional))]
    return []


def _remedy(desk: Desk, unread: Mapping[str, str]) -> str | None:
    """What to do, by the reasons: a time limit is not a missing right, and --become is no advice where the facts were read as root."""
    late = any(reason.split(": ")[-1].startswith("timeout") or ": timeout" in reason for reason in unread.values())
    if late:
        return (
            "A command did not respond within its time limit (the reasons name it). Run it on the desk by hand: if it hangs there too, it "
            "is waiting for the driver or a disk; sudo dmesg says for what, and a reboot ends it. Then run again."
        )
    if any(path.startswith("gpu.") and _SMI_BROKEN.search(reason) for path, reason in unread.items()):
        return (
            "nvidia-smi itself does not run on the desk (the reasons say why); permissions are not the cause. Install again what "
            "dpkg -S /usr/bin/nvidia-smi libnvidia-ml.so.1 names (sudo apt-get install --reinstall PACKAGE, which keeps the version), then "
            "sudo ldconfig; if it still crashes, reboot the desk. Then run again."
        )
    if desk.privileged and any(path.startswith("gpu.") and _ROOT_REFUSED.search(reason) for path, reason in unread.items()):
        return (
            "The GPU was kept even from root, as in a container that has rules for devices. Look at ls -l /dev/nvidia* and "
            "systemd-detect-virt where Ansible logs in; the login must lead to the desk itself. Then run again."
        )
    if desk.privileged:
        return "The facts were read as root, so permissions are not the cause: see the reasons in the evidence, then run again."
    return None


def _asked(desk: Desk, path: str) -> bool:
    """Whether the part of the facts was asked for at all (gather_subset)."""
    return not desk.subsets or "all" in desk.subsets or path.split(".")[0] in desk.subsets
