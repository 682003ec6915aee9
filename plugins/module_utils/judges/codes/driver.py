# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about the GPU and its driver."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="DRIVER_MISSING",
        title="No GPU driver is loaded",
        severity="fail",
        meaning="The running kernel has no NVIDIA module loaded. The usual cause is a phased update that brought a kernel without its "
        "linux-modules-nvidia-580-open package; others are a module whose signing key Secure Boot does not know (the remedy then says "
        "so) and a module that is blocked from loading.",
        remedy="Install the module package of the running kernel (sudo apt-get install linux-modules-nvidia-580-open-$(uname -r)) "
        "or boot an older kernel that has one, then lock kernel and driver together with the driver_lock role.",
        source="community (two reports)",
    ),
    Code(
        code="DRIVER_BRANCH_WRONG",
        title="The driver is from an unsupported branch",
        severity="fail",
        meaning="The driver is not from the wanted branch (580). NVIDIA says that 590 and 595 are not supported on the DGX Spark.",
        remedy="Go back to nvidia-driver-580-open with the driver_lock role, which also keeps other branches from being installed. A "
        "driver that no package owns (NVIDIA's .run installer) must first be removed with sudo nvidia-uninstall; the finding then says "
        "so.",
        source="NVIDIA (developer forum, 2026-03-12 and F364688)",
    ),
    Code(
        code="DRIVER_MISMATCH",
        title="Parts of the driver disagree",
        severity="fail",
        meaning="The user-space library, the loaded kernel module and the GSP firmware differ in version, or nvidia-smi loads a library "
        "that is not the driver's. CUDA fails or the GPU disappears until they agree.",
        remedy="Reboot the desk so that the installed module is loaded; if they still differ, reinstall nvidia-driver-580-open and the "
        "module package of the running kernel in the same version.",
        source="community (many reports); F378200 for the GSP firmware",
    ),
    Code(
        code="DRIVER_PROPRIETARY",
        title="The proprietary kernel module is in use",
        severity="fail",
        meaning="GB10 works with the open kernel module only; the proprietary one fails with RmInitAdapter failed.",
        remedy="Install nvidia-driver-580-open and the -open module package of the kernel, remove the proprietary one, reboot.",
        source="community (two reports)",
    ),
    Code(
        code="NEXT_BOOT_KERNEL_WITHOUT_DRIVER",
        title="The next reboot starts a kernel without a GPU driver",
        severity="fail",
        other_severities=("note",),
        meaning="GRUB will start a kernel whose module tree has no R580 open module (prebuilt or built by DKMS); a module from another "
        "branch, the proprietary one, nvidia-fs and nvidia-uvm do not count. Or the kernel has it, but would load another that was built "
        "beside it. The desk works until it is rebooted. A note where that kernel runs already: DRIVER_MISSING says what to do.",
        remedy="Before any reboot, install the module package of that kernel (linux-modules-nvidia-580-open-RELEASE), or remove that "
        "kernel.",
        source="community (two reports)",
    ),
    Code(
        code="NEXT_BOOT_KERNEL_WITHOUT_INITRD",
        title="The next reboot starts a kernel without its initial ramdisk",
        severity="fail",
        meaning="GRUB will start a kernel of which /boot has no initrd.img, while it has those of others: it was not made (often because "
        "/boot was full at an update) or was removed. Such a kernel does not find its root file system, and the desk does not come up.",
        remedy="Before any reboot: df -h /boot on the desk, make room if it is full, then sudo update-initramfs -c -k RELEASE and sudo "
        "update-grub (RELEASE is the kernel in the message), or remove that kernel.",
        source="Ubuntu (initramfs-tools, grub2)",
    ),
    Code(
        code="DRIVER_NOT_HELD",
        title="Kernel and driver packages are not held",
        severity="note",
        other_severities=("warn",),
        meaning="Some of the kernel and module packages can be upgraded without the others. A note until the driver lock is set, a "
        "warning on a desk that should have it.",
        remedy="Run playbooks/onboard.yml or stack_pair.yml: the driver_lock role holds the whole group together.",
        source="NVIDIA (F383254: hold kernel and module packages together)",
    ),
    Code(
        code="KERNEL_ROCE_ENOMEM",
        title="The kernel cannot register RDMA memory",
        severity="fail",
        meaning="CmaTotal is 0 while CmaFree is above 0: the kernel handover feature (KHO) of the 7.0 kernel took the contiguous memory. "
        "ibv_reg_mr fails with Cannot allocate memory, and NCCL often blames the other desk.",
        remedy="Install nvidia-spark-grub-kho (part of DGX OS update 26.09.2; it adds kho=off), then reboot both desks of the pair with "
        "the cable in.",
        source="NVIDIA (advisory of 2026-09-13, F383254, F383926); community (three reports)",
    ),
    Code(
        code="KHO_OFF_ON_6_17",
        title="kho=off is set on a 6.17 kernel",
        severity="note",
        meaning="kho=off helps the 7.0 kernel only. With it, one owner saw the ConnectX-7 send no more than 12.7 Gb/s on 6.17.0-1032.",
        remedy="If the link measures near 13 Gb/s, remove kho=off from the kernel command line and reboot both desks with the cable in.",
        source="community (one report; contradicts the others)",
    ),
    Code(
        code="PERSISTENCED_INACTIVE",
        title="The persistence daemon is not running",
        severity="warn",
        other_severities=("note",),
        meaning="nvidia-persistenced is enabled and active on every DGX OS desk. Here the unit or the GPU's persistence mode is off, or "
        "the unit keeps restarting: the driver unloads its state between jobs. A note while it starts for the first time.",
        remedy="sudo systemctl enable --now nvidia-persistenced (before it sudo systemctl unmask nvidia-persistenced where that says "
        "masked); if it fails, journalctl -u nvidia-persistenced.",
        source="community (four reports)",
    ),
    Code(
        code="CUDA_MAJOR_WRONG",
        title="The CUDA major version is not 13",
        severity="fail",
        other_severities=("warn",),
        meaning="GB10 (sm_121) needs CUDA 13.0 or newer, and DGX OS ships 13.0. An older version fails; a newer major version on the "
        "host is outside the supported stack and is a warning.",
        remedy="Install cuda-toolkit-13-0 from the DGX OS archives; use containers for newer CUDA versions.",
        source="NVIDIA (dgx-spark-playbooks, performance benchmarking guide)",
    ),
    Code(
        code="GPU_NOT_FOUND",
        title="The driver finds no GPU",
        severity="fail",
        meaning="The module is loaded but no device answers. After an update, the cause was that driver and GSP firmware did not match "
        "(Xid 119).",
        remedy="Power the desk off, unplug it for a minute, start it again; if that does not help, reinstall the driver and firmware "
        "packages in the same version.",
        follows_from=("DRIVER_PROPRIETARY",),
        source="NVIDIA forum (F378200)",
    ),
    Code(
        code="GPU_FAILED",
        title="The GPU does not work",
        severity="fail",
        meaning="nvidia-smi prints GPU requires reset, GPU is lost, ERR! or Unknown Error instead of a reading (with exit code 0), "
        "cannot open the device, or hangs while the kernel log shows GPU errors; or the driver asks for a "
        "recovery (GPU Recovery Action).",
        remedy="Reboot the desk (with the cable in; both desks of a pair). If that does not help: shut down, unplug the power supply for "
        "a minute, start again. If it comes back, save the output of sudo nvidia-bug-report.sh for NVIDIA.",
        follows_from=("DRIVER_PROPRIETARY",),
        source="community (many reports); NVIDIA (Xid 154: recovery action)",
    ),
    Code(
        code="GPU_ERRORS_LOGGED",
        title="The kernel logged GPU errors or ran out of memory",
        severity="note",
        other_severities=("warn",),
        meaning="The GPU answers now, but since this boot the kernel logged Xids or killed programs because memory ran out. A note for "
        "what a program's own error causes (Xid 13, 31, 43 ...) and for memory that ran out, a warning for other Xids and failed GPU "
        "starts.",
        remedy="Look at the lines in the evidence and at the jobs that ran at that time. For Xids that are not a program's own: reboot "
        "the desk before you measure it, and save the output of sudo nvidia-bug-report.sh if they come back.",
        source="community (Xids seen on GB10); NVIDIA (list of Xids)",
    ),
    Code(
        code="GPU_WARNED",
        title="nvidia-smi warns of the GPU",
        severity="note",
        meaning="The GPU works and all readings are there, but nvidia-smi adds a warning to them: its infoROM, which holds the board's own "
        "data, is damaged. Nothing of this collection depends on it.",
        remedy="Save the output of sudo nvidia-bug-report.sh and ask NVIDIA or the desk's vendor.",
        source="NVIDIA (nvidia-smi manual, return code 14)",
    ),
    Code(
        code="GPU_MEMORY_MODE",
        title="Programs cannot use the GPU: addressing mode None",
        severity="fail",
        meaning="nvidia-smi works, but the kernel gives the GPU no access to process memory (it lacks SMMU SVA): cuInit fails with error "
        "3. A healthy desk reports ATS.",
        remedy="Boot a DGX OS kernel (linux-image-nvidia-hwe-24.04, with its linux-modules-nvidia-580-open package); a custom kernel "
        "needs CONFIG_ARM_SMMU_V3_SVA.",
        source="community (three reports)",
    ),
    Code(
        code="NVIDIA_SETTINGS_OTHER",
        title="nvidia-settings is from another branch than the driver",
        severity="warn",
        other_severities=("note",),
        meaning="nvidia-settings or libxnvctrl0 from a newer branch replaces a library of the driver (libnvidia-gtk3.so.VERSION): "
        "containers that get the GPU in legacy mode no longer start, while nvidia-smi works. A note for an older build.",
        remedy="Remove nvidia-settings (sudo apt-get remove nvidia-settings; not autoremove) or bring it to the driver's version. Open MPI "
        "needs libxnvctrl0: sudo apt-get install --allow-downgrades libxnvctrl0/noble brings Ubuntu's own build, which takes nothing away. "
        "The driver_lock role keeps other versions from coming back.",
        source="community (one report; NVIDIA/nvidia-settings issue 124)",
    ),
    Code(
        code="GPU_POWER_CAPPED",
        title="The GPU is held at low power under load",
        severity="warn",
        other_severities=("note",),
        meaning="Under load (80 % or more) the GPU stays at a low clock and below 35 W: the safety mode after a failed power "
        "negotiation, or a clock stuck at 500 to 950 MHz. It survives a reboot. Judged from a reading under load; an idle GPU that draws "
        "three times the usual idle power is a note.",
        remedy="Power off, unplug the power supply for a minute, plug it directly into the wall and start again; use the supplied "
        "adapter. A reboot alone does not fix it.",
        source="community (eight reports)",
    ),
)
