# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU driver of one desk: present, one version everywhere, open, of the right branch, there after the next boot."""

from __future__ import annotations

import dataclasses
import re

from ..model.desk import Desk
from ..model.driver import KernelImage
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named, same_version, unread_reason, version_key
from .dgx_os import rules_unknown
from .options import STACKED, JudgeOptions
from .system import cma_exhausted

LOCKED_PACKAGE = re.compile(
    r"linux-(image-|headers-|tools-|modules-nvidia-\d+-open-)?nvidia(-64k)?-hwe-\d\d\.\d\d|nvidia-driver-\d+-open",
)
"""Packages that must not move one without the others: kernel metas, module metas, the driver's own."""


GONE = ("config-files", "not-installed")
"""States of a package of which nothing but its configuration is left: it cannot be held, and nothing of it runs."""

NOT_LOADED = ("communicate with the NVIDIA driver", "Driver Not Loaded")
"""What nvidia-smi says where no module is loaded."""

OTHER_RULES = (
    "It is not known which driver belongs to this version of DGX OS: follow NVIDIA's guide for it, and do not install packages of branch "
    "580."
)
KEY_REMEDY = (
    "Secure Boot refuses the module's key; installing the same packages again does not help. Either use the prebuilt module, which is "
    "signed: sudo apt-get install linux-modules-nvidia-580-open-$(uname -r), remove the nvidia-dkms package, reboot. Or make the "
    "firmware trust the desk's own key: sudo mokutil --import /var/lib/shim-signed/mok/MOK.der, reboot, and confirm it at the desk's own "
    "screen."
)
LOAD_REMEDY = (
    "The module is there, so there is nothing to install: run sudo modprobe nvidia, and read what it and sudo journalctl -k report. Look "
    "for a blacklist in /etc/modprobe.d and on the kernel command line, then reboot."
)
HOLDER_REMEDY = {
    "vfio-pci": "It was set aside for a virtual machine, which GB10's firmware does not allow: take the GPU's ids out of vfio-pci "
    "(vfio-pci.ids on the kernel command line in /etc/default/grub and /etc/default/grub.d, options vfio-pci in /etc/modprobe.d), run sudo "
    "update-grub and sudo update-initramfs -u, reboot.",
    "nouveau": "Keep nouveau from being loaded: echo blacklist nouveau | sudo tee /etc/modprobe.d/blacklist-nouveau.conf, then sudo "
    "update-initramfs -u, and reboot.",
}
BLOCKED_REMEDY = (
    "Nothing needs to be installed. Past a blacklist sudo modprobe nvidia loads the module for now. Take out what the message names (of "
    "the kernel command line: /etc/default/grub and /etc/default/grub.d, then sudo update-grub), run sudo update-initramfs -u and reboot."
)
UNFIT_REMEDY = (
    "Install the module that belongs to the running kernel: sudo apt-get install --reinstall "
    "linux-modules-nvidia-580-open-$(uname -r) (one that DKMS built: sudo dkms autoinstall -k $(uname -r)), then reboot."
)
REBOOT = (
    "Reboot the desk (with the cable in; both desks of a pair). If that does not help: shut down, unplug the power supply for a minute, "
    "start again. If it comes back, save the output of sudo nvidia-bug-report.sh for NVIDIA."
)
RUNFILE_REMEDY = (
    "It comes from no package: NVIDIA's .run installer overwrote them. Run sudo nvidia-uninstall (or sh NVIDIA-Linux-*.run --uninstall), "
    "then sudo apt-get install --reinstall nvidia-driver-580-open libnvidia-compute-580 and the module package of the running kernel, "
    "then reboot. The driver_lock role cannot see files that no package owns."
)
SHIM_REMEDY = (
    "Find what put the other library there (dpkg -S FILE; ldconfig -p | grep libnvidia-ml; LD_LIBRARY_PATH; /etc/ld.so.conf.d) and "
    "remove it; then run sudo apt-get install --reinstall libnvidia-compute-580 && sudo ldconfig. A reboot does not help."
)


def judge_driver(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """Findings about the driver and the kernels it needs. Where the rules of the desk's DGX OS are not known only what no rule is needed
    for is judged: whether a driver is there and of one version."""
    if rules_unknown(desk, options.newest_known_dgx_os):
        found = [*presence(desk, where), *mismatch(desk, where), *persistence(desk, where)]
        return [dataclasses.replace(item, remedy=OTHER_RULES) if item.code != "PERSISTENCED_INACTIVE" else item for item in found]
    return [
        *presence(desk, where),
        *mismatch(desk, where),
        *branch(desk, where, options),
        *settings_tools(desk, where),
        *module_kind(desk, where),
        *next_boot(desk, where),
        *next_boot_ramdisk(desk, where),
        *holds(desk, where, options),
        *kho(desk, where),
        *persistence(desk, where),
        *cuda(desk, where, options),
    ]


def driver_absent(desk: Desk) -> bool:
    """Whether no module is loaded, as the kernel says or, where that was not readable, as nvidia-smi says."""
    if desk.driver.loaded is not None:
        return not desk.driver.loaded
    told = any(words in (desk.driver.nvml_error or "") for words in NOT_LOADED)
    return desk.driver.module_version is None and told


def presence(desk: Desk, where: Where) -> list[Finding]:
    """DRIVER_MISSING."""
    if not driver_absent(desk):
        return []
    image = _image(desk, desk.kernel.running)
    kernel = desk.kernel.running or "unknown"
    remedy = None
    refused = desk.kernel.events.refused_modules
    kept_out = _kept_out(desk) if image is None or image.has_driver is not False else None
    prebuilt = image is not None and image.has_driver and "/kernel/nvidia-" in (image.module_path or "")
    if kept_out is not None:
        why, remedy = f"the running kernel is {kernel}, and {kept_out[0]}", kept_out[1]
    elif refused and prebuilt and "nvidia" not in refused[0].partition("kernel: ")[2].lower():
        # The prebuilt module is signed, and the line names none: another module may have been refused.
        why = f"the running kernel {kernel} has a signed module that is not loaded, and it rejected a module's key ({refused[0]})"
        remedy = f"{LOAD_REMEDY} If modprobe says that the key was rejected: {KEY_REMEDY}"
    elif refused and (image is None or image.has_driver is not False):
        why = f"the kernel {kernel} rejected the module's signature, because its key is not enrolled ({refused[0]})"
        remedy = KEY_REMEDY
    elif image is not None and image.has_driver is False and image.module_path:
        why, remedy = f"the running kernel is {kernel}, {lack(image)}", f"On the desk: {uncover(image)}; then reboot."
    elif image is not None and image.has_driver is False:
        why = f"the running kernel {kernel} has no driver module"
    elif image is not None and image.has_driver:
        why = f"the running kernel {kernel} has a driver module ({image.module_path}), but it is not loaded"
        remedy = LOAD_REMEDY
        failures = desk.kernel.events.gpu_failures
        if failures and not proprietary(desk):
            why += f"; it could not start the GPU ({failures[0]})"
            remedy = REBOOT
    else:
        why = f"no module is loaded into the running kernel {kernel}"
    evidence = {
        "kernel": desk.kernel.running,
        "has_driver": None if image is None else image.has_driver,
        "nvidia_smi": desk.driver.nvml_error,
        "secure_boot": desk.driver.secure_boot,
        "kernel_says": [*refused, *desk.kernel.events.unfit_modules, *desk.kernel.events.gpu_failures][:3],
        "packages": [f"{item.name} {item.version}" for item in desk.driver.packages if "nvidia-" in item.name][:12],
    }
    return [finding("DRIVER_MISSING", where, f"There is no GPU driver: {why}.", evidence=evidence, remedy=remedy)]


def _kept_out(desk: Desk) -> tuple[str, str] | None:
    """What keeps a module that is there from working, and its remedy: another driver has the GPU, it is of another kernel, or blocked."""
    holder, unfit, blocked = desk.gpu.kernel_driver, desk.kernel.events.unfit_modules, desk.driver.blocked
    if holder not in (None, "nvidia"):
        told = f"sudo modprobe -r {holder}, and find what loads it in /etc/modprobe.d and on the kernel command line; then reboot."
        return f"another driver holds the GPU: {holder}", HOLDER_REMEDY.get(str(holder), told)
    if unfit:
        return f"the module was built for another kernel ({unfit[0]})", UNFIT_REMEDY
    return (f"the module is blocked from loading ({named(blocked, 3)})", BLOCKED_REMEDY) if blocked else None


def _image(desk: Desk, release: str | None) -> KernelImage | None:
    return next((item for item in desk.kernel.installed if item.release == release), None)


def mismatch(desk: Desk, where: Where) -> list[Finding]:
    """DRIVER_MISMATCH: versions that cannot be one, or nvidia-smi's own complaint."""
    driver = desk.driver
    parts = {"user space": driver.user_space_version, "module": driver.module_version, "GSP firmware": driver.gsp_version}
    known = [version for version in parts.values() if version]
    differ = any(not same_version(one, other) for one in known for other in known)
    complaint = "version mismatch" in (driver.nvml_error or "").lower()
    if not differ and not (complaint and not driver_absent(desk)):
        return []
    evidence = {**parts, "nvidia_smi": driver.nvml_error, "library": driver.foreign_library}
    told = ", ".join(f"{name} {version or 'unknown'}" for name, version in parts.items())
    ending = f" nvidia-smi says: {driver.nvml_error}" if complaint else ""
    if complaint and not differ and driver.foreign_library:
        message = f"nvidia-smi loads a library that is not the driver's: libnvidia-ml.so.1 leads to {driver.foreign_library}.{ending}"
        return [finding("DRIVER_MISMATCH", where, message, evidence=evidence, remedy=SHIM_REMEDY)]
    if complaint and not differ and len(known) > 1:
        message = f"All parts that were read have the same version ({told}), so nvidia-smi loads a library from another place.{ending}"
        return [finding("DRIVER_MISMATCH", where, message, evidence=evidence, remedy=SHIM_REMEDY)]
    message = f"Parts of the driver disagree: {told}.{ending}"
    remedy = RUNFILE_REMEDY if from_runfile(desk) else None
    return [finding("DRIVER_MISMATCH", where, message, evidence=evidence, remedy=remedy)]


DRIVER_PACKAGE = re.compile(r"(?:nvidia-driver|libnvidia-compute|nvidia-utils|nvidia-kernel-common)(?:-[0-9]{3})?(?:-server)?(?:-open)?")
"""Packages that bring the driver's user space; their version is the driver's."""


def from_runfile(desk: Desk) -> bool:
    """Whether the user space belongs to no installed package although packages of the driver are known."""
    known = [item for item in desk.driver.packages if DRIVER_PACKAGE.fullmatch(item.name)]
    versions = [item.version.partition("-")[0] for item in known if item.state not in GONE]
    found = desk.driver.user_space_version
    return bool(known and found and not any(same_version(found, version) for version in versions))


def branch(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """DRIVER_BRANCH_WRONG."""
    driver = desk.driver
    key = version_key(driver.module_version or driver.user_space_version)
    number = driver.branch if driver.branch is not None else (key[0] if key else None)
    if number is None or number == options.wanted_branch:
        return []
    version = driver.module_version or driver.user_space_version
    message = f"The driver is from branch {number} ({version}); {options.wanted_branch} was expected."
    evidence: dict[str, object] = {"branch": number, "wanted": options.wanted_branch}
    remedy = None
    if from_runfile(desk):
        message += " It belongs to no installed package: NVIDIA's .run installer put it there."
        evidence["runfile"], remedy = True, RUNFILE_REMEDY
    return [finding("DRIVER_BRANCH_WRONG", where, message, evidence=evidence, remedy=remedy)]


SETTINGS_TOOLS = ("nvidia-settings", "libxnvctrl0")


def settings_tools(desk: Desk, where: Where) -> list[Finding]:
    """NVIDIA_SETTINGS_OTHER: a newer branch takes a library of the driver away; Ubuntu's own older build is a note."""
    key = version_key(desk.driver.user_space_version or desk.driver.module_version)
    if not key:
        return []
    here = [item for item in desk.driver.packages if item.name in SETTINGS_TOOLS and item.state not in GONE]
    other = {item.name: item.version for item in here if (found := version_key(item.version.partition("-")[0])) and found[0] != key[0]}
    if not other:
        return []
    newer = any((version_key(version) or (0,))[0] > key[0] for version in other.values())
    told = named(f"{name} {version}" for name, version in sorted(other.items()))
    message = f"{told} alongside driver {desk.driver.user_space_version or desk.driver.module_version}: from another branch."
    remedy = None if newer else OLDER_SETTINGS
    severity = "warn" if newer else "note"
    return [finding("NVIDIA_SETTINGS_OTHER", where, message, evidence={"packages": other}, severity=severity, remedy=remedy)]


OLDER_SETTINGS = (
    "Nothing has to be done: an older build takes no library of the driver away. Leave libxnvctrl0 where it is, since Open MPI needs it "
    "(libhwloc-plugins); nvidia-settings may be removed (sudo apt-get remove nvidia-settings; not autoremove)."
)


NEEDS_OPEN = "requires use of the NVIDIA open"
"""What the proprietary module logs on a GPU that it does not drive."""


def proprietary(desk: Desk) -> bool:
    """Whether the module is the proprietary one: the loaded one decides, what it logged and the licence on disk where it was not read."""
    driver = desk.driver
    if driver.open_module is not None:
        return not driver.open_module
    logged = any(NEEDS_OPEN in line for line in desk.kernel.events.gpu_failures)
    return logged or (driver.module_license or "").strip() == "NVIDIA"


def module_kind(desk: Desk, where: Where) -> list[Finding]:
    """DRIVER_PROPRIETARY."""
    if not proprietary(desk):
        return []
    driver = desk.driver
    message = (
        f"The kernel module (version {driver.module_version or 'unknown'}) is the proprietary one "
        f"(licence {driver.module_license or 'not read'}); the open one was expected."
    )
    failures = desk.kernel.events.gpu_failures
    if failures:
        message += f" It did not start the GPU: {failures[0]}"
    evidence = {"open": driver.open_module, "license": driver.module_license, "kernel": list(failures[:4])}
    return [finding("DRIVER_PROPRIETARY", where, message, evidence=evidence)]


def lack(image: KernelImage) -> str:
    """What a kernel without the driver lacks, as the rest of a sentence about it."""
    if image.module_path:
        return f"which would load {image.module_path} ({image.modules[0]}) in place of its R580 open module"
    return "which has no R580 open module"


def uncover(image: KernelImage) -> str:
    """How the module that is loaded in place of R580's goes away."""
    return (
        f"remove the driver that built {image.module_path} (sudo dkms status names it, dpkg -l 'nvidia-dkms*' its package: sudo apt-get "
        "remove that one; for one of a .run file: sudo nvidia-uninstall). Then modinfo -k "
        f"{image.release} -F filename nvidia must name R580's module"
    )


_NAMES_A_KERNEL = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")


def next_boot(desk: Desk, where: Where) -> list[Finding]:
    """NEXT_BOOT_KERNEL_WITHOUT_DRIVER."""
    image = _image(desk, desk.kernel.next_boot)
    if image is None or image.has_driver is not False:
        return []
    having = [item.release for item in desk.kernel.installed if item.has_driver]
    message = (
        f"The next boot starts kernel {image.release}, {lack(image)} "
        f"(now running: {desk.kernel.running or 'unknown'}; kernels with a module: {named(having) or 'none'})."
    )
    if image.modules and not image.module_path:
        message += f" It has only {named(image.modules)}."
    entry = desk.kernel.boot_entry or ""
    # An entry that names a kernel, and another starts: its kernel is gone. A number or a plain title names none.
    gone = image.release not in entry and _NAMES_A_KERNEL.search(entry) is not None
    there = any(item.release in entry for item in desk.kernel.installed)
    if entry:
        why = "which is at another place of its menu (SUBMENU>ENTRY)" if there else "which is not installed"
        message += f" GRUB is set to start {entry[:120]!r}" + (f", {why}, so it falls back to its first entry." if gone else ".")
    pending = desk.kernel.boot_entry_pending
    if pending:
        message += f" The choice of {pending[:120]!r} (/etc/default/grub) does not count yet: sudo update-grub has not run since."
    order = desk.kernel.boot_order if (not entry or gone) and image.release != desk.kernel.installed[0].release else None
    if order:
        message += f" GRUB's settings put it first: {order[:120]}."
    evidence = {
        "next_boot": image.release,
        "running": desk.kernel.running,
        "with_driver": having,
        "modules": list(image.modules),
        "boot_entry": desk.kernel.boot_entry,
        "boot_order": desk.kernel.boot_order,
        "boot_entry_pending": pending,
    }
    package = f"linux-modules-nvidia-580-open-{image.release}"
    remedy = None
    wished = next((item.release for item in desk.kernel.installed if item.has_driver and item.release in (pending or "")), None)
    if wished:
        remedy = f"Before any reboot: sudo update-grub, so that GRUB starts {wished}; or install {package}, or remove that kernel."
    elif gone and there:
        remedy = (
            "Before any reboot, give GRUB the entry with its submenu: GRUB_DEFAULT='SUBMENU>ENTRY' in /etc/default/grub and sudo "
            "update-grub (one that was saved: sudo grub-set-default 'SUBMENU>ENTRY'); sudo grep -E 'submenu|menuentry ' "
            f"/boot/grub/grub.cfg has their ids. Or install {package}, or remove that kernel."
        )
    elif image.module_path:
        remedy = f"Before any reboot: {uncover(image)}."
    elif any(item.name == package and item.state == "installed" for item in desk.driver.packages):
        remedy = f"Its package is installed, but its module is missing: sudo apt-get install --reinstall {package}, before any reboot."
    elif entry and desk.kernel.installed[0].has_driver:
        remedy = (
            f"Before any reboot, install {package}, or take the choice out of GRUB (GRUB_DEFAULT in /etc/default/grub and "
            "/etc/default/grub.d, then sudo update-grub; for one that was saved: sudo grub-editenv - unset saved_entry next_entry)."
        )
    elif order:
        remedy = (
            f"Before any reboot, take {order.partition('=')[0]} out of /etc/default/grub and /etc/default/grub.d and run sudo update-grub, "
            f"install the module package of that kernel ({package}, where there is one), or remove that kernel."
        )
    return [finding("NEXT_BOOT_KERNEL_WITHOUT_DRIVER", where, message, evidence=evidence, remedy=remedy)]


def next_boot_ramdisk(desk: Desk, where: Where, release: str | None = None) -> list[Finding]:
    """NEXT_BOOT_KERNEL_WITHOUT_INITRD; ``release``: the kernel that shall start, where it is not GRUB's choice yet."""
    image = _image(desk, release or desk.kernel.next_boot)
    if image is None or image.has_initrd is not False:
        return []
    having = [item.release for item in desk.kernel.installed if item.has_initrd]
    message = (
        f"The next boot starts kernel {image.release}, but /boot/initrd.img-{image.release} is not there (now running: "
        f"{desk.kernel.running or 'unknown'}; kernels with theirs: {named(having) or 'none'})."
    )
    return [finding("NEXT_BOOT_KERNEL_WITHOUT_INITRD", where, message, evidence={"next_boot": image.release, "with_initrd": having})]


def holds(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """DRIVER_NOT_HELD."""
    group = [item for item in desk.driver.packages if LOCKED_PACKAGE.fullmatch(item.name) and item.state not in GONE]
    held = set(desk.driver.holds)
    free = [item.name for item in group if not item.held and item.name not in held]
    if not free or unread_reason(desk, "driver.holds") is not None:
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
        message = f"kho=off is set on kernel {kernel.running}; it helps 7.0 kernels only."
        found.append(finding("KHO_OFF_ON_6_17", where, message, evidence={"kernel": kernel.running}))
    return found


def persistence(desk: Desk, where: Where) -> list[Finding]:
    """PERSISTENCED_INACTIVE; not said of a desk without a driver, where the daemon cannot run."""
    driver = desk.driver
    if driver_absent(desk):
        return []
    wrong = []
    remedy = None
    if (driver.persistence_mode or "").lower() in ("disabled", "off"):
        wrong.append("the GPU's persistence mode is off")
        if driver.persistenced_active:
            wrong[-1] += " although the daemon is running"
            remedy = MODE_REMEDY
    if driver.persistenced_enabled is False:
        wrong.append("the unit nvidia-persistenced is not enabled")
        remedy = None
    starting = driver.persistenced_state == "starting" and driver.persistenced_enabled is not False
    if starting:
        wrong = ["the unit nvidia-persistenced is starting"]
        remedy = "Check again in a minute: systemctl status nvidia-persistenced."
    elif driver.persistenced_state == "activating":
        wrong.append("the unit nvidia-persistenced does not come up: systemd keeps restarting it (activating)")
        remedy = DAEMON_REMEDY
    elif driver.persistenced_active is False:
        state = f" ({driver.persistenced_state})" if driver.persistenced_state not in (None, "inactive") else ""
        wrong.append(f"the unit nvidia-persistenced is not active{state}")
        remedy = DAEMON_REMEDY if driver.persistenced_state == "failed" else None
    if not wrong:
        return []
    evidence = {
        "active": driver.persistenced_active,
        "enabled": driver.persistenced_enabled,
        "persistence_mode": driver.persistence_mode,
        "state": driver.persistenced_state,
    }
    message = "; ".join(reversed(wrong))
    words, severity = message[0].upper() + message[1:] + ".", "note" if starting else None
    return [finding("PERSISTENCED_INACTIVE", where, words, evidence=evidence, remedy=remedy, severity=severity)]


MODE_REMEDY = (
    "sudo nvidia-smi -pm 1 turns the mode on until the next boot. The daemon was started with --no-persistence-mode: "
    "sudo apt-get install nv-persistence-mode, or sudo systemctl edit nvidia-persistenced and set ExecStart without that option."
)
DAEMON_REMEDY = (
    "sudo journalctl -u nvidia-persistenced says why it ends (often: it may not open /dev/nvidia*). Fix that, then run sudo systemctl "
    "reset-failed nvidia-persistenced && sudo systemctl restart nvidia-persistenced."
)


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
