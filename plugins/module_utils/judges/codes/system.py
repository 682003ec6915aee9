# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about the system below the driver: packages, clock, memory, limits, versions."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="FACTS_INCOMPLETE",
        title="Not everything could be read",
        severity="note",
        other_severities=("unknown",),
        meaning="The evidence lists facts that could not be read, each with its reason. A note when only optional facts are missing "
        "(what only root may read in an audit without root), unknown when a check that the playbook requires rests on them.",
        remedy="Run again with --become to read what only root may read; otherwise look at the reasons in the evidence.",
        source="this collection's rule",
    ),
    Code(
        code="FIRST_BOOT_UPGRADE_PENDING",
        title="The desk has not finished its first-boot upgrade",
        severity="fail",
        other_severities=("warn",),
        meaning="nvidia-spark-run-apt-upgrade-once has not left its done flag: the desk will upgrade itself and reboot by itself, so no "
        "state "
        "can be trusted before. A warning in an audit, a failure where the desk is to be used or changed.",
        remedy="Leave the desk powered and online until it has rebooted by itself, then run again. If it never ends: "
        "journalctl -u nvidia-spark-run-apt-upgrade-once.",
        source="NVIDIA (the unit's own script on DGX OS)",
    ),
    Code(
        code="DPKG_LOCKED",
        title="Another program holds the package lock",
        severity="warn",
        other_severities=("fail",),
        meaning="apt or dpkg is at work (the dashboard, unattended upgrades, the first-boot upgrade or the OTA check are the usual ones): "
        "packages are changing while they are being read.",
        remedy="Wait until the named process ends and run again; if it has hung, look at it on the desk before ending it.",
        source="community (one fleet: four claimants of the lock)",
    ),
    Code(
        code="DPKG_BROKEN",
        title="Packages are half installed",
        severity="fail",
        meaning="dpkg lists packages that are neither cleanly installed nor cleanly removed: an upgrade was interrupted.",
        remedy="On the desk: sudo dpkg --configure -a, then sudo apt-get -f install; never apt autoremove. Then run again.",
        source="Debian policy (dpkg states)",
    ),
    Code(
        code="REBOOT_REQUIRED",
        title="The desk waits for a reboot",
        severity="warn",
        other_severities=("fail",),
        meaning="/run/reboot-required exists: an installed update is not running yet. A failure in a stacking run when kernel or driver "
        "packages asked for it (or nothing says which), because what would be measured is not what the next boot brings.",
        remedy="Reboot the desk when it is free (both desks of a pair, with the cable in), wait up to 30 minutes, and run again.",
        source="this collection's rule; Ubuntu (reboot-required)",
    ),
    Code(
        code="CLOCK_UNSYNCED",
        title="The clock is not synchronised",
        severity="warn",
        meaning="The desk's clock follows no time server, so times in logs of two desks cannot be compared and certificates may fail.",
        remedy="Set up a time server the desk can reach (timedatectl set-ntp true; /etc/systemd/timesyncd.conf).",
        source="this collection's rule",
    ),
    Code(
        code="MEMORY_SHORT",
        title="Less memory than expected",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="The system sees less unified memory than the 128 GB model has (about 121 GiB are visible there). A note for a size that "
        "fits "
        "the 64 GB model, a failure below desk_facts_minimum_memory_gib where that is set.",
        remedy="Compare with the model on the chassis; on a 128 GB desk power it off, unplug it for a minute, and run the vendor's "
        "diagnosis.",
        source="NVIDIA (64 GB and 128 GB models); community (MemTotal of several desks)",
    ),
    Code(
        code="MEMLOCK_LOW",
        title="The login user may lock too little memory",
        severity="warn",
        other_severities=("note",),
        meaning="RDMA registers its buffers as locked memory; below the limit it fails with ENOMEM, which looks like the KHO kernel bug. "
        "DGX OS "
        "sets a limit near all memory. A note when only the soft limit is low and the user may raise it.",
        remedy="Set memlock to unlimited for the user in /etc/security/limits.d, log in again; service units need LimitMEMLOCK=infinity.",
        source="community (one report)",
    ),
    Code(
        code="FIREWALL_ACTIVE",
        title="The firewall is on",
        severity="note",
        meaning="ufw is active. That is how some desks come out of the box; it may block tests between the desks of a pair.",
        remedy="Nothing, unless a pair's ports are found blocked.",
        source="community (one report)",
    ),
    Code(
        code="VERSION_KNOWN_BAD",
        title="A version with a known fault",
        severity="warn",
        other_severities=("note",),
        meaning="Driver, kernel or firmware is one that reports of a fault name. A warning when NVIDIA or at least three owners say so, "
        "a note for "
        "fewer reports; the evidence gives the source and its grade. The table is judges/known_versions.py.",
        remedy="Read the message for the fault and the version that ends it; update both desks of a pair together.",
        source="the source named in the evidence",
    ),
    Code(
        code="MLNX_FW_UPDATER_PRESENT",
        title="A package that flashes the ConnectX-7 by itself is installed",
        severity="warn",
        meaning="mlnx-fw-updater flashes a firmware that is not the one of DGX OS; it left a NIC unusable on one desk. "
        "The ConnectX-7 firmware of DGX OS comes with nvidia-spark-mlnx-firmware-manager.",
        remedy="Remove it before the next reboot: sudo apt-get remove mlnx-fw-updater (not autoremove).",
        source="community (one report, F373900)",
    ),
    Code(
        code="CDI_STALE",
        title="The container device description names an older driver",
        severity="warn",
        meaning="A container device description (CDI) lists libraries of another driver version than the one installed: containers will "
        "not start or lose the GPU. Descriptions lie in /etc/cdi and /var/run/cdi, as YAML or JSON; where two describe one device, the one "
        "that is read later wins. The message names the file.",
        remedy="/var/run/cdi is written by a service: sudo systemctl restart nvidia-cdi-refresh. What lies in /etc/cdi somebody put there: "
        "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml, or remove it where the service writes one.",
        source="community (one report); NVIDIA (order of the folders)",
    ),
    Code(
        code="CX7_PCIE_ERRORS",
        title="PCIe errors of the ConnectX-7",
        severity="fail",
        other_severities=("warn", "note"),
        meaning="Since this boot the kernel logged fatal PCIe errors (AER) at the adapter's root ports or functions, or its "
        "driver's recovery failed. The link may be up again, and it may not be trusted: only a reboot cured it where it "
        "was reported. A warning when the kernel says that it recovered, a note for errors that were not fatal.",
        remedy="Reboot both desks of the pair with the cable in. If the errors come back: update the desk's firmware (fwupdmgr), and show "
        "the lines in the evidence to the vendor.",
        source="community (two reports)",
    ),
    Code(
        code="KERNEL_LOCKUP",
        title="Processors of the desk hung",
        severity="warn",
        meaning="The kernel logged a soft lockup, a hard one or a stall since this boot: the desk did not answer for a while, and what was "
        "measured then means nothing.",
        remedy="Look at the lines before it (sudo journalctl -k), reboot the desk when it is free, and measure again.",
        source="community (two reports, with PCIe errors)",
    ),
    Code(
        code="DRIFT_FROM_BASELINE",
        title="The desk differs from the baseline",
        severity="warn",
        meaning="The audit was given a wanted state (a desk or a file), and this desk differs in the fields that the evidence lists, "
        "each with what was wanted and what was found.",
        remedy="Bring the desk to the baseline, or make the desk you trust more the baseline.",
        source="this collection's rule",
    ),
)
