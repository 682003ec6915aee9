# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything of a link change lies, and the units that take it back."""

from __future__ import annotations

HOME = "/var/lib/dgx_spark/link"
PROGRAM = f"{HOME}/undo.py"
JOURNAL = f"{HOME}/journal.json"
LAST = f"{HOME}/last.json"
BASELINE = f"{HOME}/baseline.json"
RESERVE = f"{HOME}/reserve"
LOCK = f"{HOME}/lock"
RESERVE_BYTES = 262144
"""Bytes set aside before a change and freed first by the undo, so that a disk that ran full cannot stop it."""

UNIT = "dgx-spark-link-undo"
SERVICE = f"/etc/systemd/system/{UNIT}.service"
TIMER = f"/etc/systemd/system/{UNIT}.timer"
BOOT_LINK = f"/etc/systemd/system/sysinit.target.wants/{UNIT}.service"

NETPLAN_FOLDERS = ("/lib/netplan", "/etc/netplan", "/run/netplan")
GENERATED_FOLDERS = ("/run/systemd/network", "/run/NetworkManager/system-connections")
UDEV_RULES = "/run/udev/rules.d/90-netplan.rules"
INDIFFERENT = (
    "/run/systemd/system/netplan-ovs-cleanup.service",
    "/run/systemd/system/systemd-networkd.service.wants/netplan-ovs-cleanup.service",
    "/run/systemd/system/systemd-networkd-wait-online.service.d/10-netplan.conf",
)
"""Generated files that say nothing about an interface."""

UNSETTLED = ("prepared", "armed", "applying", "applied", "undoing", "undo_failed")
NETWORK_MANAGER, NETWORKD = "NetworkManager", "networkd"
DHCP = "dhcp"
"""Wanted in the place of an address: one that a DHCP server gives."""
NMCLI_WAIT, NMCLI_WAIT_DHCP = "30", "10"
"""Seconds that nmcli waits for a profile to be up; leases are waited for afterwards, all at once."""
ETH_P_ARP = 0x0806

SERVICE_TEXT = f"""[Unit]
Description=Take back an unconfirmed change of the ConnectX-7 link
DefaultDependencies=no
RequiresMountsFor={HOME}
After=local-fs.target systemd-remount-fs.service
Wants=network-pre.target
Before=network-pre.target NetworkManager.service systemd-networkd.service
ConditionPathExists={JOURNAL}
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I {PROGRAM} undo
TimeoutStartSec=180
Restart=on-failure
RestartSec=30
"""

TIMER_TEXT = """[Unit]
Description=Wait for the confirmation of a change of the ConnectX-7 link

[Timer]
OnActiveSec={seconds}
AccuracySec=1s
"""
