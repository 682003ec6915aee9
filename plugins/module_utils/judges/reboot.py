# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a desk may be rebooted, and whether it came back as it should. Pure."""

from __future__ import annotations

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .busy import busy_findings
from .catalogue import finding
from .common import named, same_version
from .dgx_os import rules_unknown
from .driver import lack, uncover


def reboot_reasons(desk: Desk) -> list[str]:
    """Why a desk needs a reboot, in words; none when it does not."""
    reasons = []
    if desk.apt.reboot_required:
        reasons.append(f"installed updates ask for it ({named(desk.apt.reboot_reasons) or 'no package named'})")
    driver = desk.driver
    if not same_version(driver.module_version, driver.user_space_version):
        reasons.append(f"module {driver.module_version} is loaded, user space is {driver.user_space_version}")
    return reasons


def reboot_refusals(desk: Desk, where: Where, *, force: bool = False) -> list[Finding]:
    """REBOOT_REFUSED, once for each cause. ``force`` goes over users of the desk, never over a boot without a driver."""
    causes: list[tuple[str, str, dict[str, object]]] = []
    kernel = desk.kernel
    image = next((item for item in kernel.installed if item.release == kernel.next_boot), None)
    if rules_unknown(desk):
        told = f"DGX OS {desk.dgx_os.version} is running, and it is not known which kernels may start on this version"
        causes.append(("unknown", told, {"dgx_os": desk.dgx_os.version}))
    elif kernel.next_boot is None or image is None or image.has_driver is None:
        told = f"the kernel that would start next ({kernel.next_boot or 'unknown'}) could not be examined"
        causes.append(("unknown", told, {"next_boot": kernel.next_boot}))
    elif not image.has_driver:
        having = [item.release for item in kernel.installed if item.has_driver]
        cure = uncover(image) if image.module_path else f"install linux-modules-nvidia-580-open-{image.release} or remove that kernel"
        told = f"the next boot would start kernel {image.release}, {lack(image)} (kernels with one: {named(having) or 'none'}); {cure}"
        causes.append(("fail", told, {"next_boot": image.release, "with_driver": having}))
    elif image.has_initrd is False:
        told = (
            f"the next boot would start kernel {image.release}, whose /boot/initrd.img-{image.release} is not there; see df -h /boot, then "
            f"sudo update-initramfs -c -k {image.release}, or remove that kernel"
        )
        causes.append(("fail", told, {"next_boot": image.release}))
    if desk.apt.first_boot_upgrade == "pending":
        causes.append(("fail", "the first-boot upgrade has not ended; it reboots on its own", {}))
    if desk.apt.broken_packages:
        names = [item.name for item in desk.apt.broken_packages]
        causes.append(("fail", f"{named(names)} half installed", {"packages": names}))
    if desk.apt.lock_holder:
        causes.append(("fail", f"packages are being changed by {desk.apt.lock_holder}", {"holder": desk.apt.lock_holder}))
    elif desk.apt.lock_readable is False:
        why = desk.unread.get("apt.lock_holder") or "no reason is known"
        told = f"whether packages are being changed could not be determined ({why}); sudo lslocks there shows who holds which lock"
        causes.append(("unknown", told, {"lock_holder": why}))
    found = [
        finding("REBOOT_REFUSED", where, f"{where.subject} was not rebooted: {told}", evidence=evidence, severity=severity)
        for severity, told, evidence in causes
    ]
    if not force:
        for busy in busy_findings(desk, where, require=desk.driver.loaded is not False):
            message = f"{where.subject} was not rebooted: {busy.message}"
            found.append(finding("REBOOT_REFUSED", where, message, evidence=busy.evidence, severity="unknown"))
    return found


def reboot_result(before: Desk, after: Desk, where: Where) -> list[Finding]:
    """REBOOT_FAILED when the desk did not really start again, or started another kernel than expected."""
    if before.identity.boot_id and before.identity.boot_id == after.identity.boot_id:
        return [finding("REBOOT_FAILED", where, f"{where.subject} responds, but it was not rebooted", evidence={"boot_id": "unchanged"})]
    if before.kernel.next_boot and after.kernel.running != before.kernel.next_boot:
        evidence = {"expected": before.kernel.next_boot, "running": after.kernel.running}
        message = f"{where.subject} came back with kernel {after.kernel.running}; {before.kernel.next_boot} was expected"
        return [finding("REBOOT_FAILED", where, message, evidence=evidence)]
    return []
