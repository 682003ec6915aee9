# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about updates: what they would bring, why they may not be, how far one came, whether it was good."""

from __future__ import annotations

from .code import Code

RULE = "this collection's rule"

CODES: tuple[Code, ...] = (
    Code(
        code="UPDATE_AVAILABLE",
        title="An update is there",
        severity="note",
        meaning="apt's simulation, with the driver lock open and other branches shut out, would change the packages in the evidence.",
        remedy="playbooks/update.yml brings the stacks there, one after the other; playbooks/update_plan.yml only looks.",
        source=RULE,
    ),
    Code(
        code="UPDATE_UNSATISFIABLE",
        title="The update cannot be made safely",
        severity="fail",
        meaning="apt finds no way to the wanted versions, or the way would remove packages, go back to older ones or move what somebody "
        "holds. Nothing was changed.",
        remedy="Read the packages in the evidence. An archive that does not answer, or half of an update in it, is a reason to wait; "
        "older versions are allowed with desk_update_allow_downgrade=true.",
        source=RULE,
    ),
    Code(
        code="UPDATE_KERNEL_WITHOUT_MODULE",
        title="The kernel that the update starts has no driver module",
        severity="fail",
        meaning="After the update GRUB would start a kernel for which no R580 open module is there: the GPU would be gone after the "
        "reboot. Before the update it is told from apt's simulation, after the packages from the module tree; the desk is not rebooted.",
        remedy="Wait until the archives have the module package that the message names, then run again. Packages that are in already: "
        "playbooks/rollback_update.yml takes them back.",
        source="community (two reports of phased updates)",
    ),
    Code(
        code="UPDATE_KNOWN_BAD",
        title="The update would bring a version with a known fault",
        severity="fail",
        other_severities=("warn", "note"),
        meaning="A version that would come is in this collection's table of versions with reported faults. A failure when NVIDIA or at "
        "least three reports say so, a warning when it was accepted, a note for fewer reports.",
        remedy="Wait for a newer version, name another one with desk_update_versions, or accept the fault: "
        "-e desk_update_accept_known_bad=true.",
        source="the table of known versions, each entry with its source",
    ),
    Code(
        code="UPDATE_NO_WAY_BACK",
        title="A part of the update cannot be taken back",
        severity="note",
        other_severities=("warn",),
        meaning="Live archives drop old builds, and firmware is never taken back. The packages in the evidence can neither be fetched nor "
        "are they kept on the desk. A warning when driver, kernel or NCCL are among them.",
        remedy="Nothing is broken. Copy the .deb files from a desk with the same versions into /var/lib/dgx_spark/update/debs before the "
        "update, or go on without them.",
        source="community (live archives drop old builds)",
    ),
    Code(
        code="UPDATE_FIRMWARE",
        title="Firmware of the desk",
        severity="fail",
        other_severities=("note",),
        meaning="A note: the vendor offers firmware and nobody asked for it. A failure: it was asked for and cannot be flashed now "
        "(battery, a device's own reason, fwupd does not answer), or fwupd failed.",
        remedy="Firmware is flashed with -e desk_update_firmware=true, with the desk on mains power. Leave it out to update the packages "
        "alone.",
        source="NVIDIA's manual way of updating; fwupd's own words",
    ),
    Code(
        code="UPDATE_WAITS_FOR_VENDOR",
        title="The update waits for the board's vendor",
        severity="note",
        meaning="The Dashboard says that an update is available, apt and fwupd have nothing: on boards of other makers the newest update "
        "can want firmware that its vendor has not published.",
        remedy="Nothing to do but wait; the Dashboard goes on offering it.",
        source="community (one fleet)",
    ),
    Code(
        code="UPDATE_TARGETS_DIFFER",
        title="Desks would not end at one version",
        severity="fail",
        other_severities=("warn",),
        meaning="What apt would bring differs between the desks of a stack (a failure: the stack is left alone) or between stacks (a "
        "warning).",
        remedy="Give the desks the same archives and no holds of their own, or name the versions for all with driver_lock_from or "
        "desk_update_versions.",
        source=RULE,
    ),
    Code(
        code="UPDATE_REFUSED",
        title="The desk was not updated",
        severity="fail",
        other_severities=("unknown",),
        meaning="Another desk of the stack may not or could not be updated, or the archives changed since the look: a stack moves as a "
        "whole.",
        remedy="Mend what the other desk's findings name and run again; where the archives moved, run again: the next look sees them.",
        source=RULE,
    ),
    Code(
        code="UPDATE_HALF_DONE",
        title="An update was begun and is not finished",
        severity="fail",
        other_severities=("note", "warn"),
        meaning="The journal on the desk (/var/lib/dgx_spark/update/journal.json) says how far an update came. Until it is finished or "
        "taken back the desk's stack is not proven. A note in the run that takes it up.",
        remedy="Run playbooks/update.yml again with both desks of the stack: it goes on from there. Or playbooks/rollback_update.yml with "
        "--limit STACK takes it back.",
        source=RULE,
    ),
    Code(
        code="UPDATE_SLOWER",
        title="The stack is slower than right before its update",
        severity="fail",
        meaning="RDMA or NCCL lost more than a twentieth against the proof that the same run took before it changed anything. Later waves "
        "were left alone.",
        remedy="playbooks/rollback_update.yml with --limit STACK takes the update back. Tell NVIDIA the two versions.",
        source=RULE,
    ),
    Code(
        code="UPDATE_PROVEN",
        title="The update was made and proven",
        severity="ok",
        meaning="The desk runs the versions in the evidence, and its stack was measured with them.",
        remedy="Nothing to do.",
        source=RULE,
    ),
    Code(
        code="UPDATE_ROLLBACK_IMPOSSIBLE",
        title="The update cannot be taken back",
        severity="fail",
        other_severities=("note",),
        meaning="There is no update in the desk's journal (a note), packages that it changed were not kept, or more than one stack was "
        "named. Nothing was changed.",
        remedy="Name one stack with --limit. Copy missing .deb files into /var/lib/dgx_spark/update/debs, or go on to newer versions with "
        "playbooks/update.yml.",
        source=RULE,
    ),
)
