# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about the run itself."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="DESK_UNREACHABLE",
        title="The desk could not be reached",
        severity="fail",
        other_severities=("unknown",),
        meaning="No connection to the desk: refused, timed out, no route, or its name does not resolve (the message says which). "
        "Nothing was measured on it. In an audit this is unknown, in a stacking run it is a failure.",
        remedy="Check the desk's power, its network and its address in the inventory, then run again with --limit DESK.",
        source="this collection's rule",
    ),
    Code(
        code="DESK_STAGE_FAILED",
        title="A stage failed on the desk",
        severity="fail",
        meaning="A stage ended with an unclassified error. The message names the stage and gives the error text. "
        "Later stages were not run on this desk and its pair; other pairs were not affected.",
        remedy="Read the error in the message; run again with --limit DESK once it is fixed.",
        source="this collection's rule",
    ),
    Code(
        code="DESK_ANSWER_INVALID",
        title="The desk's answer is not valid",
        severity="fail",
        meaning="What the desk sent does not match what the collection asked for: a wrong type, a name with characters that such a name "
        "cannot have, an unknown finding code, or far too much. The message names the place. No part of the answer was used, and nothing "
        "from it went to another desk. The desk is broken, or is not what it claims to be.",
        remedy="Check the desk itself before you trust it again: who can log in there, and whether its system is as it was installed. "
        "If nothing is wrong with it, report the message as a bug in this collection, with a recording of the desk (playbooks/record.yml).",
        source="this collection's rule",
    ),
    Code(
        code="STAGE_TIMEOUT",
        title="A stage did not end within its time limit",
        severity="fail",
        other_severities=("unknown",),
        meaning="The desk stopped responding, or a program on it hung, until the stage's time limit ran out. Unknown where the "
        "controller was overloaded: the delay may then have been its own.",
        remedy="Look at the desk's console and load; a desk that no longer answers ssh needs a power cycle. Then run again.",
        source="this collection's rule",
    ),
    Code(
        code="RESULTS_NOT_KEPT",
        title="What a stage learned could not be written on the controller",
        severity="unknown",
        meaning="The run's folder on the controller could not be written (no space left, no permission). Nothing more was done on the "
        "desk, since later stages depend on what earlier ones left there. Changes made before that stay.",
        remedy="Free space in the folder that the message names, or make it writable (spark_report_dir), then run again.",
        source="this collection's rule",
    ),
    Code(
        code="WAVE_STOPPED",
        title="An earlier wave lost a desk",
        severity="unknown",
        meaning="A stage that can cost a desk its network goes in waves (spark_waves). An earlier wave lost a desk: it could not be "
        "reached or used after its change. The stage stopped there: this desk is unchanged and its pair was not measured.",
        remedy="Fix the desk that the message names, then run again; the desks that were left out then take part.",
        source="this collection's rule",
    ),
    Code(
        code="RUN_ELSEWHERE",
        title="Another run is working on this desk",
        severity="unknown",
        meaning="Two runs must not change or measure one desk at the same time. The other one came first (the message says whose it is and "
        "since when), so this run did nothing here: nothing was changed or measured, and an existing proof of the pair stays as it is.",
        remedy="Wait until the other run has ended, then run again. There is nothing to clean up: the mark ends with the process that the "
        "message names.",
        source="this collection's rule",
    ),
    Code(
        code="PAIR_INCOMPLETE",
        title="A desk of the pair is not in this run",
        severity="unknown",
        meaning="The other desk of the pair is outside the run (--limit, or a slice that splits the pair), "
        "so nothing about the pair was measured.",
        remedy="Run with both desks of the pair: --limit PAIR.",
        source="this collection's rule",
    ),
    Code(
        code="PAIR_OUT_OF_SERVICE",
        title="The pair is out of service",
        severity="note",
        meaning="A desk of the pair is marked spark_out_of_service, so the pair was skipped.",
        remedy="Remove the mark from the inventory when the desk is back.",
        source="this collection's rule",
    ),
    Code(
        code="NOT_MEASURED_CHECK_MODE",
        title="Check mode measures nothing",
        severity="unknown",
        other_severities=("note",),
        meaning="The run was a check (--check): state was read and changes were planned, but nothing was changed or measured.",
        remedy="Run without --check to measure the pair.",
        source="this collection's rule",
    ),
    Code(
        code="REQUIRED_CHECK_MISSING",
        title="A required check has no result",
        severity="unknown",
        meaning="A check that this playbook requires was not made, so the verdict cannot be PASS.",
        remedy="Find the reason in the other findings of this desk or pair, then run again.",
        source="this collection's rule",
    ),
    Code(
        code="FORKS_TOO_FEW",
        title="Fewer forks than desks",
        severity="note",
        other_severities=("warn",),
        meaning="Ansible worked on fewer desks at a time than the run has, so measurements were not all simultaneous.",
        remedy="Set forks to at least the number named in the message (ansible.cfg or -f).",
        source="this collection's rule",
    ),
)
