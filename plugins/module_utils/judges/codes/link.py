# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about the ConnectX-7 of one desk."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="CX7_ABSENT_NO_CABLE",
        title="ConnectX-7 powered off: no cable connected",
        severity="note",
        other_severities=("fail",),
        meaning="DGX OS powers the ConnectX-7 off while no cable is plugged in, and the hotplug driver reports that it sees none. This "
        "is by design; it is a failure where a link is to be used. Never rescan the PCI bus in this state.",
        remedy="Plug the cable into both desks and reboot both with the cable in.",
        follows_from=("CABLE_DARK",),
        source="NVIDIA (daqiri guide, F366076); community (six reports)",
    ),
    Code(
        code="CX7_ABSENT_FAULT",
        title="The ConnectX-7 is missing",
        severity="fail",
        other_severities=("unknown",),
        meaning="None of the four functions is on the PCI bus, although the hotplug driver reports a cable or hotplug power saving is "
        "off. Unknown when the state of the hotplug driver could not be read.",
        remedy="Power the desk off, unplug it for a minute, start it with the cable in; if the adapter is still missing, contact the "
        "vendor. Do not rescan PCI.",
        source="NVIDIA (daqiri guide); community (several reports)",
    ),
    Code(
        code="CX7_FUNCTION_MISSING",
        title="A function of the ConnectX-7 is missing",
        severity="fail",
        meaning="Each of the two ports has two PCIe functions, one in each PCI domain. Only one to three of the four are there, so at "
        "most half of the bandwidth is available.",
        remedy="Reboot with the cable in; if the function is still missing, power the desk off and unplug it for a minute.",
        source="NVIDIA (daqiri guide: four functions in two domains)",
    ),
    Code(
        code="CX7_LINK_DOWN",
        title="The link is down",
        severity="note",
        other_severities=("warn", "fail"),
        meaning="No carrier: no cable, or the other desk is off. A note in an audit, a warning when a cable is detected or one function "
        "of a port has carrier and its twin does not, a failure where the link is to be used.",
        remedy="Check that the cable is firmly seated in both desks and that the other desk is on; then reboot both with the cable in.",
        follows_from=("CABLE_DARK",),
        source="NVIDIA (connect-two-sparks playbook)",
    ),
    Code(
        code="CX7_SPEED_LOW",
        title="The link runs below 200 Gb/s",
        severity="fail",
        other_severities=("warn",),
        meaning="The port has a link, but at a lower speed: a cable of a lower class, or a switch port that negotiated 100G. A warning "
        "where both functions run at 100 Gb/s, which some labs use on purpose (measurements are then judged against half the marks); a "
        "failure below that, or where the two ends differ.",
        remedy="For full bandwidth, use an approved 200G cable (Amphenol NJAAKK-N911 or NJAAKK0006, Luxshare LMTQF022-SD-R); on a "
        "switch, force 200G (200G-baseCR4) without auto-negotiation.",
        source="NVIDIA (multi-sparks-through-switch playbook; list of approved cables; NIM guide, which asks for 100 Gb/s cables)",
    ),
    Code(
        code="CX7_BONDED",
        title="Functions are members of a bond or bridge",
        severity="note",
        meaning="A bond or bridge holds functions of the adapter and carries the address. RDMA bypasses a bond, so the bond adds no "
        "bandwidth; every member shows the bond's hardware address, so cables cannot be told apart by it.",
        remedy="To stack this desk, remove the bond from its file (a CX7_FOREIGN_OWNER finding names it), then run again.",
        source="community (two reports)",
    ),
    Code(
        code="CX7_PCIE_WIDTH_LOW",
        title="A function runs on too few or too slow PCIe lanes",
        severity="fail",
        meaning="Each function has four lanes at 32 GT/s; with fewer lanes or a lower rate it carries about half or less.",
        remedy="Update the vendor's firmware, then power the desk off, unplug it for a minute and start it with the cable in.",
        source="NVIDIA (daqiri guide: Gen5 x4); community (one report of x2, F367853)",
    ),
    Code(
        code="CX7_MTU_MISMATCH",
        title="MTUs differ",
        severity="warn",
        other_severities=("note", "fail"),
        meaning="The two functions of a port, or the two ends of a cable, have different MTUs, or an MTU other than the wanted one. "
        "Large packets are lost. A note while the link has not been set up, a failure after it has.",
        remedy="Run stack_pair.yml, which sets one MTU on both functions and both desks.",
        source="NVIDIA (dgx-spark-playbooks); community",
    ),
    Code(
        code="CX7_NO_ADDRESS",
        title="The cabled port has no address",
        severity="note",
        other_severities=("fail",),
        meaning="A function with a link has no IPv4 address of its own (a link-local one does not count), so RoCE v2 over IPv4 is not "
        "possible. "
        "A note while the link has not been set up, a failure after it has.",
        remedy="Run stack_pair.yml, which gives both functions of the cabled port an address.",
        source="NVIDIA (connect-two-sparks playbook)",
    ),
    Code(
        code="CX7_TWINS_SAME_SUBNET",
        title="Two functions are in one subnet",
        severity="warn",
        other_severities=("fail",),
        meaning="Two functions of the desk have addresses in the same network. NVIDIA requires different subnets: with one, replies "
        "leave through the wrong function and half of the bandwidth is lost. A failure once the link has been set up.",
        remedy="Run stack_pair.yml with -e pair_link_take_over=true for a foreign configuration, or give the twin a subnet of its own: on "
        "the DHCP server where pair_link_addresses is dhcp.",
        source="NVIDIA (connect-two-sparks and multi-sparks-through-switch playbooks since 2026-07-21)",
    ),
    Code(
        code="CX7_GID_MISSING",
        title="No RoCE v2 address on an addressed function",
        severity="warn",
        other_severities=("fail",),
        meaning="The function is up and addressed, but its GID table has no RoCE v2 entry for the IPv4 address (or it has no RDMA "
        "device), so RDMA cannot use it. A failure once the link has been set up.",
        remedy="Take the interface down and up once; if the entry is still missing, reboot the desk with the cable in.",
        source="community (four reports on GID tables)",
    ),
    Code(
        code="CX7_FOREIGN_OWNER",
        title="Another configuration owns the ConnectX-7",
        severity="warn",
        other_severities=("fail", "note"),
        meaning="A netplan file or NetworkManager profile that this collection did not write configures these interfaces (NVIDIA Sync, a "
        "playbook's 40-cx7.yaml, spark-vllm-docker ...). It is never overwritten silently: a failure where the link is to be set up "
        "without pair_link_take_over.",
        remedy="Decide what owns the link: leave the desk out, or run with -e pair_link_take_over=true, which moves the file aside "
        "(unstack_pair.yml restores it).",
        source="NVIDIA (NVIDIA Sync, playbooks); community",
    ),
    Code(
        code="CX7_NOT_MANAGED",
        title="NetworkManager is configured to leave the ConnectX-7 unmanaged",
        severity="warn",
        meaning="This collection's netplan file gives the functions to NetworkManager, but NetworkManager lists them as unmanaged. "
        "Existing addresses stay until something restarts; after that, nothing sets them.",
        remedy="Remove the functions from unmanaged-devices (grep -r unmanaged-devices /etc/NetworkManager /run/NetworkManager; a udev "
        "rule with NM_UNMANAGED does the same), run sudo systemctl reload NetworkManager, then run stack_pair.yml again.",
        source="this collection's rule (NetworkManager's manual)",
    ),
    Code(
        code="CX7_DEFAULT_ROUTE",
        title="A default route leads into the ConnectX-7",
        severity="warn",
        other_severities=("fail",),
        meaning="The desk would send its Internet traffic through the direct cable; usually DHCP was left on there. Owners have lost "
        "their connection that way. A failure once the link has been set up.",
        remedy="Turn DHCP and gateways off on the ConnectX-7 interfaces; stack_pair.yml configures them without a default route.",
        source="NVIDIA forum (F364126)",
    ),
    Code(
        code="CX7_PLUGGED_AFTER_BOOT",
        title="The cable was plugged in after the desk had started",
        severity="warn",
        meaning="The kernel log of this boot shows that the cable was plugged in after start-up. That is the known trigger of links that "
        "look green but carry 13 Gb/s; only a measurement shows whether this one does.",
        remedy="Reboot both desks of the pair with the cable in, then measure.",
        source="community (more than eight reports of the 13 Gb/s link)",
    ),
    Code(
        code="CX7_PLUG_ERROR",
        title="The ConnectX-7 complains about a plug or about heat",
        severity="warn",
        meaning="Since this boot the adapter's driver reported a fault of the plug in a cage (too hot, not readable, too much power) or a "
        "temperature that is too high. The link of such a plug goes down under load, which looks like a crash of the program that used it.",
        remedy="Take the plug out on both desks, look for dirt and bent contacts, seat it firmly, or try another approved cable; then "
        "reboot both desks with the cable in and measure again.",
        source="community (one report of optical cables in a GX10); Linux (mlx5 driver)",
    ),
    Code(
        code="CX7_IS_MANAGEMENT",
        title="The desk is managed over a ConnectX-7 function",
        severity="warn",
        other_severities=("fail",),
        meaning="The ssh session or the management address is on a ConnectX-7 function. Changing the link would cut the controller off, "
        "so such a change is refused.",
        remedy="Give the desk a management connection over enP7s7 or Wi-Fi and use its address in the inventory.",
        source="this collection's rule",
    ),
    Code(
        code="CX7_FIRMWARE_DRIFT",
        title="ConnectX-7 firmware versions differ",
        severity="warn",
        other_severities=("note",),
        meaning="Functions of one desk, or the two desks of a pair, report different ConnectX-7 firmware versions. A note between "
        "different vendors, whose releases differ by design.",
        remedy="Update DGX OS on both desks; nvidia-spark-mlnx-firmware-manager flashes the firmware at boot while a cable is in.",
        source="NVIDIA (daqiri guide names the service); community (mixed pairs)",
    ),
)
