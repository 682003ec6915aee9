# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about updates: what they would bring, why they may not be, how far one came, whether it was good."""

from __future__ import annotations

from .code import Code

RULE = "this collection's rule"

CODES: tuple[Code, ...] = (
    Code(
        code="UPDATE_AVAILABLE",
        title="An update is available",
        severity="note",
        meaning="apt's simulation, with the driver lock open and other branches blocked, would change the packages in the evidence.",
        remedy="playbooks/update.yml updates the stacks, one after the other; playbooks/update_plan.yml only shows what it would do.",
        source=RULE,
    ),
    Code(
        code="UPDATE_UNSATISFIABLE",
        title="The update cannot be made safely",
        severity="fail",
        meaning="apt finds no way to the wanted versions, or that way would remove or downgrade packages or move held ones. Nothing was "
        "changed.",
        remedy="See the packages in the evidence. If an archive does not respond, or holds only half of an update, wait; "
        "desk_update_allow_downgrade=true allows older versions.",
        source=RULE,
    ),
    Code(
        code="UPDATE_KERNEL_WITHOUT_MODULE",
        title="The kernel that the update starts has no driver module",
        severity="fail",
        meaning="After the update GRUB would start a kernel that has no R580 open module: the GPU would be gone after the reboot. Before "
        "the update this is read from apt's simulation, once the packages are in from the module tree; the desk is not rebooted.",
        remedy="Wait until the archives have the module package that the message names, then run again. If packages are already in: "
        "playbooks/rollback_update.yml undoes the update.",
        source="community (two reports of phased updates)",
    ),
    Code(
        code="UPDATE_KNOWN_BAD",
        title="The update would bring a version with a known fault",
        severity="fail",
        other_severities=("warn", "note"),
        meaning="A version that would be installed is in this collection's table of versions with reported faults. A failure when NVIDIA "
        "or at least three reports say so, a warning when the fault was accepted, a note for fewer reports.",
        remedy="Wait for a newer version, name another with desk_update_versions, or accept the fault: -e "
        "desk_update_accept_known_bad=true.",
        source="the table of known versions, each entry with its source",
    ),
    Code(
        code="UPDATE_NO_WAY_BACK",
        title="Part of the update cannot be undone",
        severity="note",
        other_severities=("warn",),
        meaning="Live archives drop old builds, and firmware is never rolled back. The packages in the evidence can no longer be fetched "
        "and are not kept on the desk. A warning when driver, kernel or NCCL are among them.",
        remedy="Nothing is broken. Copy the .deb files from a desk with the same versions into /var/lib/dgx_spark/update/debs before the "
        "update, or go ahead without them.",
        source="community (live archives drop old builds)",
    ),
    Code(
        code="UPDATE_FIRMWARE",
        title="Firmware of the desk",
        severity="fail",
        other_severities=("note",),
        meaning="A note: the vendor offers firmware that was not requested. A failure: it was requested but cannot be flashed now "
        "(battery, a device's own reason, fwupd does not respond), or fwupd failed.",
        remedy="Firmware is flashed with -e desk_update_firmware=true, with the desk on mains power. Leave it out to update packages only.",
        source="NVIDIA's manual update procedure; fwupd's own messages",
    ),
    Code(
        code="UPDATE_WAITS_FOR_VENDOR",
        title="The update waits for the board's vendor",
        severity="note",
        meaning="The Dashboard says that an update is available, but apt and fwupd have nothing: on other vendors' boards, the newest "
        "update may need firmware that the vendor has not published yet.",
        remedy="Nothing to do but wait; the Dashboard keeps offering it.",
        source="community (one fleet)",
    ),
    Code(
        code="UPDATE_TARGETS_DIFFER",
        title="Desks would end up at different versions",
        severity="fail",
        other_severities=("warn",),
        meaning="What apt would install differs between the desks of a stack (a failure: the stack is left alone) or between stacks (a "
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
        meaning="Another desk of the stack may not or could not be updated, or the archives have changed since the plan: a stack moves "
        "as a whole.",
        remedy="Fix what the other desk's findings name and run again; if the archives have changed, just run again: the next plan sees "
        "the change.",
        source=RULE,
    ),
    Code(
        code="UPDATE_HALF_DONE",
        title="An update was begun but not finished",
        severity="fail",
        other_severities=("note", "warn"),
        meaning="The journal on the desk (/var/lib/dgx_spark/update/journal.json) says how far an update got. Until it is finished or "
        "undone, the desk's stack is not proven. A note in the run that resumes it.",
        remedy="Run playbooks/update.yml again with both desks of the stack: it resumes from there. Or undo it: "
        "playbooks/rollback_update.yml with --limit STACK.",
        source=RULE,
    ),
    Code(
        code="UPDATE_SLOWER",
        title="The stack is slower than right before its update",
        severity="fail",
        meaning="RDMA or NCCL lost more than five percent compared with the proof that the same run made before it changed anything. "
        "Later waves were not started.",
        remedy="playbooks/rollback_update.yml with --limit STACK undoes the update. Report the two versions to NVIDIA.",
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
        title="The update cannot be undone",
        severity="fail",
        other_severities=("note",),
        meaning="There is no update in the desk's journal (a note), packages that it changed were not kept, or more than one stack was "
        "named. Nothing was changed.",
        remedy="Name one stack with --limit. Copy missing .deb files into /var/lib/dgx_spark/update/debs, or move on to newer versions "
        "with playbooks/update.yml.",
        source=RULE,
    ),
)
