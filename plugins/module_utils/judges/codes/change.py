# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about a change of the link."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="CX7_CHANGE_UNDONE",
        title="The desk undid the link change",
        severity="fail",
        other_severities=("note",),
        meaning="A link change failed, or was not confirmed in time, or the desk restarted before that; the desk then "
        "restored the files, addresses and MTU it had. A note when it was left over from an earlier run and this run settled it.",
        remedy="Fix the cause that the message names and run again; the desk is as it was before the change.",
        follows_from=("CX7_NO_LEASE",),
        source="this collection's rule",
    ),
    Code(
        code="CX7_CHANGE_UNCONFIRMED",
        title="It is not known whether the link change was kept",
        severity="fail",
        other_severities=("unknown",),
        meaning="The change was made, but then the desk could not be reached to confirm it or to check afterwards. It undoes the change "
        "on its own when pair_link_confirm_timeout expires, even after a reboot.",
        remedy="Get back to the desk (console, another network), then run again: the run settles what was left and reports what it found.",
        source="this collection's rule",
    ),
    Code(
        code="CX7_CHANGE_REFUSED",
        title="The link change was refused before anything was written",
        severity="fail",
        other_severities=("unknown",),
        meaning="Something that must be certain before the link may be changed is not: wrong values, an unknown renderer, an undo that "
        "could not be armed, other interfaces that would be affected, missing privileges. The message says what. Unknown when a fact "
        "could not be read.",
        remedy="Fix what the message names and run again.",
        source="this collection's rule",
    ),
    Code(
        code="CX7_PORT_AMBIGUOUS",
        title="More than one port could be meant",
        severity="fail",
        meaning="Both ports have a link and no port was named, so it is not certain which cable leads to the pair's other desk.",
        remedy="Name the port (pair_link_port: 0 is next to the RJ45, 1 is the farther one), or remove the other cable.",
        source="this collection's rule",
    ),
    Code(
        code="CX7_ADDRESS_OVERLAP",
        title="A link network is already routed elsewhere",
        severity="fail",
        other_severities=("warn",),
        meaning="A network that the link uses, or is to use, overlaps one that the desk reaches over another interface (a Docker bridge, a "
        "VPN), or a policy rule sends its traffic another way. Replies leave through the wrong interface, and the management connection "
        "could be lost. Checked in every run's facts and, with the kernel's own choice of route, right before every measurement; a "
        "warning for a link that is not set up yet.",
        remedy="Set pair_link_subnets to networks that the named interface does not use (on both desks), or remove the old configuration. "
        "Where pair_link_addresses is dhcp, the DHCP server has to give other networks.",
        source="this collection's rule",
    ),
    Code(
        code="CX7_ADDRESS_TAKEN",
        title="Another machine on the cable has the address",
        severity="fail",
        meaning="An ARP probe for the address that the desk is to have was answered by a MAC address that is not the desk's own. "
        "Two machines with one address cannot talk to each other.",
        remedy="Find out whose MAC address it is (see the message): set another host number for one of the two, or unstack the desk that "
        "kept an old address.",
        source="RFC 5227; this collection's rule",
    ),
    Code(
        code="CX7_NO_LEASE",
        title="No address from the DHCP server of the switch",
        severity="fail",
        meaning="pair_link_addresses is dhcp and a function of the link got no IPv4 address from a DHCP server in time (a minute, or half "
        "of pair_link_confirm_timeout where that is less). The desk undid the change.",
        remedy="On the switch, look whether a DHCP server serves the VLAN of the desk's port, has a free address for each MAC address that "
        "the message names, and is not kept out by DHCP snooping; its table of leases shows who asked. Then run again, or set "
        "pair_link_addresses to static.",
        source="this collection's rule",
    ),
    Code(
        code="CX7_NETPLAN_INVALID",
        title="netplan does not accept the configuration",
        severity="fail",
        meaning="The desk's netplan files, with or without the link, were tried in a temporary root and netplan rejected them. "
        "Nothing was written.",
        remedy="Run 'netplan generate' on the desk, fix the file that it names, and run again.",
        source="this collection's rule",
    ),
    Code(
        code="CX7_FILE_KEPT",
        title="A file was kept because it had been edited",
        severity="warn",
        meaning="When a link change was undone or the pair was unstacked, a file no longer held what this collection had written, so it "
        "was left as it is. After unstacking, the previous version is in /var/lib/dgx_spark/link/originals.",
        remedy="Compare the file with the original and decide which one you want.",
        source="this collection's rule",
    ),
    Code(
        code="CX7_ROLE_KEPT",
        title="The pair carries its addresses the other way round",
        severity="note",
        meaning="Each desk already has the address that the roles (head, peer) give to the other. Addresses in use are kept: the swap is "
        "reported, not applied.",
        remedy="Nothing to do; to swap them, run unstack_pair.yml and then stack_pair.yml.",
        source="this collection's rule",
    ),
    Code(
        code="CX7_ARP_SETTINGS",
        title="ARP is answered for addresses of the twin",
        severity="note",
        other_severities=("warn",),
        meaning="Both functions of a port share one cable; without arp_ignore=1 and arp_announce=2, one answers for the other. DGX OS "
        "ships both settings; where they were missing, they were set for the two interfaces of the link.",
        remedy="Nothing to do where they were set; otherwise find out what removed /etc/sysctl.d/20-nvidia-defaults.conf.",
        source="community (one report: DGX OS ships arp_ignore=1, arp_announce=2)",
    ),
    Code(
        code="CX7_JUMBO_PING_FAILED",
        title="The other desk does not answer a full-size ping",
        severity="fail",
        other_severities=("unknown",),
        meaning="Both ends are configured, but on one function an unfragmented ping of the link's MTU got no answer: a different MTU on "
        "the other desk, a missing address there, a firewall, or a cable that goes elsewhere.",
        remedy="Compare the MTU and addresses of both desks (see the message), check 'ufw status' on the other one, then the cable map.",
        source="community: prove the MTU with ping -M do -s 8972",
    ),
)
