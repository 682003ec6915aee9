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
        "(what only root can read, in an audit without root), unknown when a check that the playbook requires depends on them.",
        remedy="Run again with --become to read what only root can read; otherwise see the reasons in the evidence.",
        source="this collection's rule",
    ),
    Code(
        code="FIRST_BOOT_UPGRADE_PENDING",
        title="The desk has not finished its first-boot upgrade",
        severity="fail",
        other_severities=("warn",),
        meaning="nvidia-spark-run-apt-upgrade-once has not set its done flag: the desk will upgrade and reboot on its own, so its state "
        "cannot be trusted yet. A warning in an audit, a failure where the desk is to be used or changed.",
        remedy="Leave the desk powered and online until it has rebooted on its own, then run again. If the upgrade never ends: "
        "journalctl -u nvidia-spark-run-apt-upgrade-once.",
        source="NVIDIA (the unit's own script on DGX OS)",
    ),
    Code(
        code="DPKG_LOCKED",
        title="Another program holds the package lock",
        severity="warn",
        other_severities=("fail",),
        meaning="apt or dpkg is at work (usually the dashboard, unattended upgrades, the first-boot upgrade or the OTA check): packages "
        "are changing while they are being read.",
        remedy="Wait until the named process ends, then run again; if it hangs, look at it on the desk before you end it.",
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
        title="The desk needs a reboot",
        severity="warn",
        other_severities=("fail",),
        meaning="/run/reboot-required exists: an installed update is not running yet. A failure in a stacking run when kernel or driver "
        "packages asked for it (or it is not known which did), because what would be measured is not what the next boot brings.",
        remedy="Reboot the desk when it is free (both desks of a pair, with the cable in), wait up to 30 minutes, and run again.",
        source="this collection's rule; Ubuntu (reboot-required)",
    ),
    Code(
        code="CLOCK_UNSYNCED",
        title="The clock is not synchronised",
        severity="warn",
        meaning="The desk's clock follows no time server, so log times of two desks cannot be compared and certificates may fail.",
        remedy="Set up a time server that the desk can reach (timedatectl set-ntp true; /etc/systemd/timesyncd.conf).",
        source="this collection's rule",
    ),
    Code(
        code="MEMORY_SHORT",
        title="Less memory than expected",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="The system sees less unified memory than the 128 GB model has (about 121 GiB are visible there). A note for a size that "
        "matches the 64 GB model, a failure below desk_facts_minimum_memory_gib where that is set.",
        remedy="Compare with the model on the chassis; if it is a 128 GB desk, power it off, unplug it for a minute, and run the "
        "vendor's diagnostics.",
        source="NVIDIA (64 GB and 128 GB models); community (MemTotal of several desks)",
    ),
    Code(
        code="MEMLOCK_LOW",
        title="The login user's locked-memory limit is too low",
        severity="warn",
        other_severities=("note",),
        meaning="RDMA registers its buffers as locked memory; below the limit it fails with ENOMEM, which looks like the KHO kernel bug. "
        "DGX OS sets the limit close to all memory. A note when only the soft limit is low and the user can raise it.",
        remedy="Set memlock to unlimited for the user in /etc/security/limits.d, then log in again (ssh keeps Ansible's login for a minute "
        "after a run: wait for that before the next one); service units need LimitMEMLOCK=infinity.",
        source="community (one report)",
    ),
    Code(
        code="FIREWALL_ACTIVE",
        title="The firewall is on",
        severity="note",
        meaning="ufw is active, as it is on some desks out of the box; it may block tests between the desks of a pair.",
        remedy="Nothing, unless a pair's ports are found to be blocked.",
        source="community (one report)",
    ),
    Code(
        code="VERSION_KNOWN_BAD",
        title="A version with a known fault",
        severity="warn",
        other_severities=("note",),
        meaning="There are reports of a fault in this version of driver, kernel or firmware. A warning when they come from NVIDIA or at "
        "least three owners, a note for fewer reports; the evidence gives the source and its grade. The table is "
        "judges/known_versions.py.",
        remedy="See the message for the fault and the version that fixes it; update both desks of a pair together.",
        source="the source named in the evidence",
    ),
    Code(
        code="MLNX_FW_UPDATER_PRESENT",
        title="A package that flashes the ConnectX-7 on its own is installed",
        severity="warn",
        meaning="mlnx-fw-updater flashes firmware other than that of DGX OS; it left a NIC unusable on one desk. "
        "The ConnectX-7 firmware of DGX OS comes with nvidia-spark-mlnx-firmware-manager.",
        remedy="Remove it before the next reboot: sudo apt-get remove mlnx-fw-updater (not autoremove).",
        source="community (one report, F373900)",
    ),
    Code(
        code="CDI_STALE",
        title="The container device description names an older driver",
        severity="warn",
        meaning="A container device description (CDI) lists libraries of a driver version other than the installed one: containers will "
        "not start or will lose the GPU. Descriptions are in /etc/cdi and /var/run/cdi, as YAML or JSON; where two describe the same "
        "device, the one read later wins. The message names the file.",
        remedy="/var/run/cdi is written by a service: sudo systemctl restart nvidia-cdi-refresh. A file in /etc/cdi was put there by "
        "hand: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml, or remove it where the service writes one.",
        source="community (one report); NVIDIA (order of the folders)",
    ),
    Code(
        code="CX7_PCIE_ERRORS",
        title="PCIe errors of the ConnectX-7",
        severity="fail",
        other_severities=("warn", "note"),
        meaning="Since this boot the kernel logged fatal PCIe errors (AER) at the adapter's root ports or functions, or its driver's "
        "recovery failed. Even if the link is up again, it cannot be trusted: in the reported cases, only a reboot helped. A warning "
        "when the kernel says that it recovered or that the adapter only did not send or answer in time, a note for errors that were not "
        "fatal.",
        remedy="Reboot both desks of the pair with the cable in. If the errors come back: update the desk's firmware (fwupdmgr), and "
        "send the lines in the evidence to the vendor.",
        source="community (two reports)",
    ),
    Code(
        code="KERNEL_LOCKUP",
        title="CPUs or a device of the desk hung",
        severity="warn",
        meaning="The kernel has logged a soft lockup, a hard lockup, a stall or an SMMU that does not answer (CMD_SYNC timeout) since this "
        "boot: the desk, its GPU or its adapter did not respond for a while, and anything measured then means nothing. Behind such an SMMU "
        "the GPU takes no new program until the reboot, although nvidia-smi responds.",
        remedy="Look at the log lines before it (sudo journalctl -k), reboot the desk when it is free, and measure again.",
        source="community (two reports with PCIe errors; two of SMMUs)",
    ),
    Code(
        code="DRIFT_FROM_BASELINE",
        title="The desk differs from the baseline",
        severity="warn",
        meaning="The audit was given a baseline (a desk or a file), and this desk differs from it in the fields that the evidence lists, "
        "each with the wanted and the found value.",
        remedy="Bring the desk to the baseline, or choose a desk that you trust more as the baseline.",
        source="this collection's rule",
    ),
)
