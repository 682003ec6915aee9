# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about which machine a desk is and whether it can be spoken to."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="DESK_NOT_GB10",
        title="The machine is not a DGX Spark",
        severity="fail",
        meaning="Product, firmware, architecture and GPU together rule out a GB10 machine (NVIDIA DGX Spark or a partner's board). Any "
        "other judgement about it would be meaningless.",
        remedy="Check the address of this desk in the inventory; remove a machine that is not a DGX Spark from the group spark_desks.",
        source="NVIDIA (NemoClaw playbook: combine product, firmware, architecture and GPU evidence)",
    ),
    Code(
        code="DESK_NOT_AARCH64",
        title="The machine is not a 64-bit Arm machine",
        severity="fail",
        meaning="The kernel reports an architecture other than aarch64, which every GB10 machine has.",
        remedy="Check the address of this desk in the inventory.",
        source="NVIDIA (NemoClaw qualification)",
    ),
    Code(
        code="DGX_RELEASE_MISSING",
        title="DGX OS is not installed",
        severity="fail",
        meaning="There is no /etc/dgx-release. The machine does not run DGX OS, so versions and packages cannot be validated.",
        remedy="Re-image the desk with DGX OS (its vendor's system recovery image), or remove it from the inventory.",
        source="community (more than five reports of the file's content)",
    ),
    Code(
        code="DGX_OS_TOO_OLD",
        title="DGX OS is older than the wanted minimum",
        severity="fail",
        meaning="The running version (the last OTA update, or the factory image if there was none) is below dgx_os_minimum.",
        remedy="Update the desk: sudo apt update, sudo apt dist-upgrade, sudo fwupdmgr refresh, sudo fwupdmgr upgrade, then reboot and "
        "allow up to 30 minutes for firmware. Or lower dgx_os_minimum.",
        source="NVIDIA (manual update procedure of the DGX Spark guide)",
    ),
    Code(
        code="DGX_OS_RULES_UNKNOWN",
        title="The rules for this major version of DGX OS are not known",
        severity="unknown",
        meaning="The desk runs a newer major version of DGX OS than this collection knows. Driver branch, kernel and packages follow "
        "other rules there (for branch 595 and newer, NVIDIA recommends DGX OS 8), so the DGX OS 7 rules are not applied, and driver "
        "lock and repair refuse to run.",
        remedy="Leave the desk as it is, and use a version of this collection that knows this DGX OS. Do not go back to an older driver "
        "because of this finding.",
        source="NVIDIA (DGX OS 7 User Guide of 2026-09-05)",
    ),
    Code(
        code="DGX_OS_UNKNOWN_NEWER",
        title="DGX OS is newer than any version this collection knows",
        severity="note",
        meaning="The running version is newer than any that reports were found for. It may be fine; nothing is known about it.",
        remedy="Look for a newer release of this collection, and audit one pair before updating the others.",
        source="this collection's rule",
    ),
    Code(
        code="DESK_IDENTITY_DUPLICATE",
        title="Two desks share an identity",
        severity="fail",
        other_severities=("warn",),
        meaning="The machine-id, ssh host key, MAC address or management address of this desk also belongs to another desk in the "
        "inventory: one machine is listed twice, or a disk image was cloned. If only the host name is shared, it is a warning. Fabric "
        "and container-bridge addresses repeat by design and are not compared.",
        remedy="If one machine is listed twice, remove one entry. After cloning, on one of them: sudo rm /etc/machine-id, "
        "sudo systemd-machine-id-setup, sudo rm /etc/ssh/ssh_host_*, sudo dpkg-reconfigure openssh-server, reboot; give each its own name.",
        source="this collection's rule",
    ),
    Code(
        code="DESK_IDENTITY_WRONG",
        title="Another machine answers at this desk's address",
        severity="fail",
        other_severities=("unknown",),
        meaning="The chassis serial number or the ssh host key differs from the lab sheet: a lease moved, or desks were swapped. Nothing "
        "is changed on the wrong machine. Unknown when the sheet gives an identity that could not be read on the desk.",
        remedy="Compare the serial number on the chassis with the lab sheet, correct the address or the sheet, and run again.",
        source="this collection's rule",
    ),
    Code(
        code="AUTH_FAILED",
        title="The desk refused the login",
        severity="fail",
        other_severities=("unknown",),
        meaning="The desk answered on ssh, but accepted none of the offered keys and passwords for the login user.",
        remedy="Check the login user's name and its password or key; ssh USER@ADDRESS must work without a prompt.",
        source="this collection's rule",
    ),
    Code(
        code="BECOME_FAILED",
        title="sudo refused the login user",
        severity="fail",
        other_severities=("unknown",),
        meaning="The login works, but sudo needs a password that was not given or was wrong, or the user may not use sudo.",
        remedy="Run with --ask-become-pass, or give the password from a vault; check that the user is in the sudo group.",
        source="this collection's rule",
    ),
    Code(
        code="OOBE_PENDING",
        title="First-time setup of the desk is not finished",
        severity="fail",
        other_severities=("unknown",),
        meaning="The desk is still waiting in the first-boot wizard (hotspot or screen), so there is no login user yet.",
        remedy="At the desk: connect a screen or join the hotspot named on its sticker, finish the wizard with the lab's user name, let "
        "it update and reboot, then run again.",
        source="NVIDIA (DGX Spark first boot)",
    ),
)
