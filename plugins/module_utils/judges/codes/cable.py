# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about cables: which cage is joined with which, held against the plan."""

from __future__ import annotations

from .code import Code

RULE = "this collection's rule"
SAME_PORT = "NVIDIA dgx-spark-playbooks (same port on both desks of a pair)"

CODES: tuple[Code, ...] = (
    Code(
        code="CABLE_OK",
        title="The cable joins the two desks of the pair",
        severity="ok",
        meaning="Each desk of the pair saw the other one's MAC address on the cage of the same number, or the plugs at both ends carry "
        "the same serial number. It says nothing about speed: only a measurement does.",
        remedy="Nothing to do.",
        source=RULE,
    ),
    Code(
        code="CABLE_WRONG_PEER",
        title="The cable leads to the wrong desk",
        severity="fail",
        meaning="The desk that answered behind this cage is in the inventory, but is not the pair's other desk. No link is configured "
        "there.",
        remedy="Move the plugs as the message says, reboot the affected desks with the cables in, and run again; or correct the "
        "pairs in the inventory if the cabling is what you want (cable_map.yml -e write_inventory=PATH writes it).",
        source=RULE,
    ),
    Code(
        code="CABLE_CROSSED",
        title="Two pairs have swapped cables",
        severity="fail",
        meaning="Each desk of this pair is joined to a desk of one other pair: two plugs are in each other's place.",
        remedy="Swap the two plugs that the first pair's message names, reboot the four desks with the cables in, and run again.",
        source=RULE,
    ),
    Code(
        code="CABLE_WRONG_PORT",
        title="The cable joins cages with different numbers",
        severity="warn",
        other_severities=("note",),
        meaning="The pair's two desks are joined, but the left cage of one goes to the right cage of the other. The pair works; its "
        "interfaces have different names on the two desks, which NVIDIA's NCCL test does not expect. Note for desks on a switch.",
        remedy="Move one plug so that both ends are in the cage with the same number, then reboot both desks with the cable in.",
        source=SAME_PORT,
    ),
    Code(
        code="CABLE_LOOPED",
        title="A cable joins the two cages of one desk",
        severity="fail",
        other_severities=("warn",),
        meaning="The desk saw itself: both plugs of the cable are in its own cages. A warning when the pair has another cable that is "
        "right.",
        remedy="Unplug one end of the cable and plug it into the pair's other desk, as the message says; reboot both desks.",
        source=RULE,
    ),
    Code(
        code="CABLE_DARK",
        title="No signal at either cage",
        severity="fail",
        meaning="Neither cage of the desk has a carrier: no cable, a plug that is not fully in, a broken cable, or the other desk is off.",
        remedy="Push both plugs in until they click and switch both desks on; if there is no cable, put one in. "
        "Then reboot both desks with the cable in.",
        source=RULE,
    ),
    Code(
        code="CABLE_ONE_SIDED",
        title="Only one of the two desks saw the other",
        severity="unknown",
        meaning="One desk saw the other one's MAC address; the other saw nothing. It may be right, but half a proof is not a proof.",
        remedy="Look at the desk that saw nothing: no root (become), no ping, IPv6 disabled on its ConnectX-7 functions, or a firewall "
        "(ufw, nftables). Fix that and run again.",
        source=RULE,
    ),
    Code(
        code="CABLE_UNKNOWN_PEER",
        title="A device that is not in the inventory is behind the cage",
        severity="fail",
        other_severities=("note", "unknown"),
        meaning="The MAC addresses that answered belong to no desk in the inventory. The message gives the vendor of the address. A note "
        "when the pair also has its own cable; unknown when it may be the other desk, which could not be read in this run and whose own "
        "findings then come first.",
        remedy="Follow the cable. If the device is a desk, add it to the inventory; if not, plug the cable into the pair's other desk.",
        source=RULE,
    ),
    Code(
        code="CABLE_SWITCH",
        title="More than one device is behind one cage",
        severity="fail",
        meaning="Several cages, or a cage and a device that is not in the inventory, answered behind one: there is a switch or a "
        "bridge between them. Pairs and rings are joined directly, and all pairs use the same addresses, so nothing is configured there.",
        remedy="Plan the desks as a stack on a switch (a child of spark_stacks with spark_topology: switch; cable_map.yml -e "
        "write_inventory=PATH writes it), or give each pair a cable of its own between its two desks.",
        source=RULE,
    ),
    Code(
        code="CABLE_RING",
        title="The pair is part of a ring of three desks",
        severity="note",
        meaning="The pair's two desks and a third one, which is in no pair, are joined by three cables in a ring. The pair uses its "
        "own cable; "
        "the message names the other two, and they are left alone.",
        remedy="Nothing to do for the pair. To use all three desks together, plan them as a ring: a child of spark_stacks with "
        "spark_topology: ring (cable_map.yml -e write_inventory=PATH writes it).",
        source="NVIDIA (connect-three-sparks playbook: port 0 to port 1 round the ring)",
    ),
    Code(
        code="CABLE_DOUBLE",
        title="Two cables join the pair",
        severity="note",
        other_severities=("fail",),
        meaning="Both cages of one desk lead to the other desk. That is allowed, but the adapter's PCIe connection limits what a second "
        "cable can add. Fail in a ring, where a cable is then missing elsewhere, and on a switch, which takes one cable for each desk.",
        remedy="Nothing to do; remove one cable if it is needed elsewhere.",
        source="NVIDIA dgx-spark-playbooks (one text says that it adds nothing, one that it needs all four addresses); one report of +5 %",
    ),
    Code(
        code="CABLE_RING_WIRING",
        title="The ring is closed in another way than NVIDIA's",
        severity="note",
        meaning="Three cables join the three desks in a ring, but not each of them goes from a port 0 to a port 1. Any closed ring of "
        "three "
        "works.",
        remedy="Nothing to do; NVIDIA's playbook and helper want port 0 of each desk joined with port 1 of the next.",
        source="NVIDIA (connect-three-sparks playbook: port 0 to port 1 round the ring; NVIDIA Sync takes any ports)",
    ),
    Code(
        code="CABLE_MISSING",
        title="A cable of the ring is missing",
        severity="fail",
        meaning="No cable joins two of the ring's desks. A ring of three has one between every two of them, and nothing is configured "
        "before it is closed.",
        remedy="Join the two desks as the message says, reboot the desks that were touched with the cables in, and run again.",
        source="NVIDIA (connect-three-sparks playbook)",
    ),
    Code(
        code="CABLE_MIXED",
        title="A direct cable at a desk of a switch",
        severity="fail",
        meaning="Two desks see only each other although one of them is planned on a switch. Direct cables and a switch are not mixed in "
        "one "
        "stack.",
        remedy="Take the direct cable out, or put the ports of the switch into one bridge and VLAN, then run again.",
        source="NVIDIA (connect-multiple-sparks playbook: all direct or all through the switch)",
    ),
    Code(
        code="CABLE_SWITCH_APART",
        title="A desk does not see the others on the switch",
        severity="fail",
        meaning="The desk's cage has a signal, and every method was tried, but it does not see the stack's other desks as they see each "
        "other.",
        remedy="On the switch put the ports of all desks of the stack into one bridge and one VLAN (message and evidence say who sees "
        "whom), "
        "or move the plug to the switch of the others. Then run again.",
        source=RULE,
    ),
    Code(
        code="CABLE_SWITCH_SHARED",
        title="Other desks are on the same switch",
        severity="note",
        meaning="Behind the stack's switch answer desks that are not of the stack. Stacks in one network need different addresses.",
        remedy="Nothing to do where they are in no stack. Give two stacks on one switch different host numbers (pair_link_head_host, "
        "pair_link_peer_host) or networks (pair_link_subnets), or ports in VLANs of their own.",
        source=RULE,
    ),
    Code(
        code="CABLE_SWITCH_BRIDGE",
        title="A switch that forwards in hardware within one bridge only",
        severity="note",
        meaning="The switch's vendor offers hardware forwarding in one bridge; ports in a second bridge fall to the processor.",
        remedy="On the switch keep all ports of desks in the one bridge with hardware offload and set l2mtu 9216; a second bridge was "
        "measured at "
        "4.85 Gb/s in place of 196.",
        source="NVIDIA (connect-multiple-sparks playbook) and one report of 4.85 Gb/s",
    ),
    Code(
        code="CABLE_UNPLANNED",
        title="A second cable leads away from the pair",
        severity="warn",
        meaning="The pair has its own cable, but another cage of the desk is joined to a desk that is not its peer.",
        remedy="Remove the second cable, or correct the inventory.",
        source=RULE,
    ),
    Code(
        code="CABLE_UNAPPROVED",
        title="The cable is not on NVIDIA's list",
        severity="note",
        meaning="The vendor and part number read from the plug are not on the list of approved cables. Many others work; when a link is "
        "slow, the cable is a suspect. The plug's speed and length fields are not judged: approved cables carry wrong ones.",
        remedy="Nothing, as long as the link measures well; otherwise try an approved cable (Amphenol NJAAKK-N911 or NJAAKK0006, "
        "Luxshare LMTQF022-SD-R).",
        source="NVIDIA dgx-spark-playbooks (approved cables)",
    ),
    Code(
        code="CABLE_NOT_SEEN",
        title="It is not known where the cable goes",
        severity="unknown",
        other_severities=("note",),
        follows_from=(
            "AUTH_FAILED",
            "BECOME_FAILED",
            "DESK_ANSWER_INVALID",
            "DESK_IDENTITY_WRONG",
            "DESK_STAGE_FAILED",
            "DESK_UNREACHABLE",
            "HOST_KEY_UNCONFIRMED",
            "STAGE_TIMEOUT",
        ),
        meaning="No desk could be asked through the cage, or none answered; the message gives the reason. Never assumed to be right. A "
        "note for a cage that the pair does not need.",
        remedy="Run as root (become), so that raw frames can be sent and the plug's serial number can be read; switch on the desks that "
        "did not respond; then run again.",
        source=RULE,
    ),
    Code(
        code="CABLE_PROBE_NEEDS_FORKS",
        title="Too few forks for the raw-frame probe",
        severity="unknown",
        meaning="Where neither IPv6 nor LLDP answers, the desks of a cable must send frames at the same time. Ansible works on fewer desks "
        "at a time than the run has, so the probe was not sent.",
        remedy="Run again with -f set to at least the number in the message.",
        source=RULE,
    ),
    Code(
        code="CABLE_MOVED",
        title="The cabling differs from the previous run",
        severity="note",
        other_severities=("warn",),
        meaning="A cable ends in a different cage than in the previous run (was, is). A cable plugged in while a desk is running often "
        "carries only about 13 Gb/s until both desks have been rebooted, with every status field green.",
        remedy="Reboot both desks with the cable in, or prove the speed with stack_pair.yml, before you use the link.",
        source="community (more than eight reports of 13 Gb/s after a cable was moved)",
    ),
)
