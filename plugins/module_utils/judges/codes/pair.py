# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings about the two desks of a pair."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="PAIR_DRIFT",
        title="The two desks of the pair differ",
        severity="fail",
        other_severities=("warn", "note"),
        meaning="A failure when driver or NCCL differs; a warning for the kernel or the DGX OS release (still measured: an OEM desk may "
        "be waiting for its vendor); a note for system firmware across vendors, whose releases differ by design.",
        remedy="Bring the desk that is behind up to the other one. With the other desk's packages: playbooks/lock_from.yml -e desk=NEWER "
        "-e lock_file=FILE, then playbooks/onboard.yml --limit PAIR -e driver_lock_from=FILE (works on a locked pair). Or update both: "
        "playbooks/onboard.yml --limit PAIR -e driver_lock_state=paused opens the lock on both; update both desks (DGX Dashboard, or apt "
        "dist-upgrade) and reboot them with the cable in; playbooks/stack_pair.yml --limit PAIR then locks and measures.",
        follows_from=("UPDATE_HALF_DONE",),
        source="community (F378200, F383254; one report of NCCL 2.30.7 against 2.31.2)",
    ),
    Code(
        code="PAIR_USER_MISMATCH",
        title="The login user differs between the two desks",
        severity="fail",
        other_severities=("warn",),
        meaning="Tests and MPI log in from one desk to the other as the same user. A different name is a failure; the same name with a "
        "different uid or gid is a warning (shared files will belong to another user).",
        remedy="Create the same user with the same uid and gid on both desks, or set the login user per pair.",
        source="NVIDIA (Sync Cluster Assistant: same user, uid and gid)",
    ),
    Code(
        code="PAIR_BUSY",
        title="The desk is in use",
        severity="unknown",
        other_severities=("note", "warn"),
        meaning="A process is using the GPU for compute, or RDMA; a measurement would disturb it and be disturbed by it. Graphics "
        "programs do not count. Unknown where a measurement was wanted, a note in an audit, a warning where force overrode it.",
        remedy="Let the named process finish or end it, then run again. pair_proof_force=true measures anyway, "
        "pair_link_force=true changes the link anyway.",
        source="this collection's rule",
    ),
    Code(
        code="PAIR_DISTURBED",
        title="The desk came into use during the measurement",
        severity="unknown",
        other_severities=("warn",),
        meaning="Nothing used the GPU or RDMA right before the measurement; right after it, the named process did. The figures, good or "
        "bad, may be those of a shared desk, so they neither prove nor disprove anything; what they would have meant is in the evidence. "
        "A warning where force overrode it.",
        remedy="Let the named process finish or end it, then run again; -e pair_proof_force=true judges the figures anyway.",
        source="this collection's rule",
    ),
    Code(
        code="BUSY_UNKNOWN",
        title="Could not determine whether the desk is in use",
        severity="unknown",
        other_severities=("warn",),
        meaning="Before anything that would disturb a job, the desk is asked what is using its GPU and RDMA. It did not answer (the "
        "message says what was asked and why there was no answer). A warning where force overrode it.",
        remedy="Find out why the desk does not answer: run nvidia-smi and rdma resource show qp by hand; if one hangs there too, the "
        "problem is on the desk (sudo journalctl -k) and a reboot ends it. Then run again. pair_proof_force=true and "
        "pair_link_force=true continue without an answer.",
        source="this collection's rule",
    ),
)
