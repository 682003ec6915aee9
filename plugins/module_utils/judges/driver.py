# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU driver of one desk: present, one version everywhere, open, of the right branch, there after the next boot."""

from __future__ import annotations

import re

from ..model.desk import Desk
from ..model.driver import KernelImage
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named, version_key
from .options import STACKED, JudgeOptions
from .system import cma_exhausted

LOCKED_PACKAGE = re.compile(
    r"linux-(image-|headers-|tools-|modules-nvidia-\d+-open-)?nvidia(-64k)?-hwe-\d\d\.\d\d|nvidia-driver-\d+-open",
)
"""Packages that must not move one without the others: kernel metas, module metas, the driver's own."""


def judge_driver(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """Findings about the driver and the kernels it needs."""
    return [
        *presence(desk, where),
        *versions(desk, where, options),
        *module_kind(desk, where),
        *next_boot(desk, where),
        *holds(desk, where, options),
        *kho(desk, where),
        *persistence(desk, where),
        *cuda(desk, where, options),
    ]


def driver_absent(desk: Desk) -> bool:
    """Whether no module is loaded, as the kernel says or, where that was not readable, as nvidia-smi says."""
    if desk.driver.loaded is not None:
        return not desk.driver.loaded
    return desk.driver.module_version is None and "communicate with the NVIDIA driver" in (desk.driver.nvml_error or "")


def presence(desk: Desk, where: Where) -> list[Finding]:
    """DRIVER_MISSING."""
    if not driver_absent(desk):
        return []
    image = _image(desk, desk.kernel.running)
    kernel = desk.kernel.running or "unknown"
    if image is not None and image.has_driver is False:
        why = f"the running kernel {kernel} has no driver module"
    elif image is not None and image.has_driver:
        why = f"the running kernel {kernel} has a driver module ({image.module_path}), but it is not loaded"
    else:
        why = f"no module is loaded into the running kernel {kernel}"
    evidence = {
        "kernel": desk.kernel.running,
        "has_driver": None if image is None else image.has_driver,
        "nvidia_smi": desk.driver.nvml_error,
        "packages": [f"{item.name} {item.version}" for item in desk.driver.packages if "nvidia-" in item.name][:12],
    }
    return [finding("DRIVER_MISSING", where, f"There is no GPU driver: {why}.", evidence=evidence)]


def _image(desk: Desk, release: str | None) -> KernelImage | None:
    return next((item for item in desk.kernel.installed if item.release == release), None)


def versions(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """DRIVER_MISMATCH and DRIVER_BRANCH_WRONG."""
    driver = desk.driver
    found = []
    parts = {"user space": driver.user_space_version, "module": driver.module_version, "GSP firmware": driver.gsp_version}
    known = {name: version for name, version in parts.items() if version}
    complaint = "version mismatch" in (driver.nvml_error or "").lower()
    if len(set(known.values())) > 1 or (complaint and not driver_absent(desk)):
        told = ", ".join(f"{name} {version or 'unknown'}" for name, version in parts.items())
        ending = f" nvidia-smi says: {driver.nvml_error}" if complaint else ""
        evidence = {**parts, "nvidia_smi": driver.nvml_error}
        found.append(finding("DRIVER_MISMATCH", where, f"Parts of the driver disagree: {told}.{ending}", evidence=evidence))
    key = version_key(driver.module_version or driver.user_space_version)
    branch = driver.branch if driver.branch is not None else (key[0] if key else None)
    if branch is not None and branch != options.wanted_branch:
        version = driver.module_version or driver.user_space_version
        message = f"The driver is of branch {branch} ({version}); {options.wanted_branch} was expected."
        found.append(finding("DRIVER_BRANCH_WRONG", where, message, evidence={"branch": branch, "wanted": options.wanted_branch}))
    return found


def module_kind(desk: Desk, where: Where) -> list[Finding]:
    """DRIVER_PROPRIETARY: the loaded module decides, the licence of the one on disk where none could be asked."""
    driver = desk.driver
    licence = driver.module_license
    proprietary = driver.open_module is False or (driver.open_module is None and licence is not None and licence.strip() == "NVIDIA")
    if not proprietary:
        return []
    message = (
        f"The kernel module (version {driver.module_version or 'unknown'}) is the proprietary one "
        f"(licence {licence or 'not read'}); the open one was expected."
    )
    return [finding("DRIVER_PROPRIETARY", where, message, evidence={"open": driver.open_module, "license": licence})]


def next_boot(desk: Desk, where: Where) -> list[Finding]:
    """NEXT_BOOT_KERNEL_WITHOUT_DRIVER."""
    image = _image(desk, desk.kernel.next_boot)
    if image is None or image.has_driver is not False:
        return []
    having = [item.release for item in desk.kernel.installed if item.has_driver]
    message = (
        f"The next boot starts kernel {image.release}, which has no R580 open module "
        f"(now running: {desk.kernel.running or 'unknown'}; kernels with a module: {named(having) or 'none'})."
    )
    evidence = {"next_boot": image.release, "running": desk.kernel.running, "with_driver": having}
    return [finding("NEXT_BOOT_KERNEL_WITHOUT_DRIVER", where, message, evidence=evidence)]


def holds(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """DRIVER_NOT_HELD."""
    group = [item for item in desk.driver.packages if LOCKED_PACKAGE.fullmatch(item.name)]
    held = set(desk.driver.holds)
    free = [item.name for item in group if not item.held and item.name not in held]
    if not free:
        return []
    severity = "warn" if options.purpose == STACKED else "note"
    message = f"{len(free)} of {len(group)} kernel and driver packages are not held: {named(sorted(free))}."
    return [finding("DRIVER_NOT_HELD", where, message, severity=severity, evidence={"not_held": sorted(free)})]


def kho(desk: Desk, where: Where) -> list[Finding]:
    """KERNEL_ROCE_ENOMEM and KHO_OFF_ON_6_17."""
    kernel = desk.kernel
    found = []
    if cma_exhausted(desk):
        message = (
            f"CmaTotal is 0 kB while CmaFree is {desk.memory.cma_free_kb} kB on kernel {kernel.running or 'unknown'} "
            f"(kho={kernel.kho or 'not given'}): RDMA memory cannot be registered."
        )
        evidence = {
            "cma_total_kb": desk.memory.cma_total_kb,
            "cma_free_kb": desk.memory.cma_free_kb,
            "kernel": kernel.running,
            "kho": kernel.kho,
        }
        found.append(finding("KERNEL_ROCE_ENOMEM", where, message, evidence=evidence))
    if kernel.kho == "off" and (kernel.running or "").startswith("6.17."):
        message = f"kho=off is set on kernel {kernel.running}; it is a cure for 7.0 kernels only."
        found.append(finding("KHO_OFF_ON_6_17", where, message, evidence={"kernel": kernel.running}))
    return found


def persistence(desk: Desk, where: Where) -> list[Finding]:
    """PERSISTENCED_INACTIVE; not said of a desk without a driver, where the daemon cannot run."""
    driver = desk.driver
    if driver_absent(desk):
        return []
    wrong = []
    if driver.persistenced_active is False:
        wrong.append("the unit nvidia-persistenced is not active")
    if driver.persistenced_enabled is False:
        wrong.append("the unit nvidia-persistenced is not enabled")
    if (driver.persistence_mode or "").lower() in ("disabled", "off"):
        wrong.append("the GPU's persistence mode is off")
    if not wrong:
        return []
    evidence = {
        "active": driver.persistenced_active,
        "enabled": driver.persistenced_enabled,
        "persistence_mode": driver.persistence_mode,
    }
    message = "; ".join(wrong)
    return [finding("PERSISTENCED_INACTIVE", where, message[0].upper() + message[1:] + ".", evidence=evidence)]


def cuda(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """CUDA_MAJOR_WRONG of the driver's interface and of the toolkit: older fails, newer warns."""
    wanted = options.wanted_cuda_major
    parts = {"driver interface": desk.driver.cuda_version, "toolkit": desk.toolkit.cuda_toolkit}
    majors = {name: key[0] for name, version in parts.items() if (key := version_key(version))}
    wrong = {name: major for name, major in majors.items() if major != wanted}
    if not wrong:
        return []
    severity = "fail" if any(major < wanted for major in wrong.values()) else "warn"
    message = f"CUDA is not {wanted}: " + ", ".join(f"{name} {parts[name]}" for name in wrong) + "."
    return [finding("CUDA_MAJOR_WRONG", where, message, severity=severity, evidence={**parts, "wanted": wanted})]
