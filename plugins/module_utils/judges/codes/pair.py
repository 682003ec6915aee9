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
        meaning="A failure when driver or NCCL differ; a warning for kernel or DGX OS level (still measured: an OEM may wait for its "
        "vendor); "
        "a note for system firmware across vendors, whose releases differ by design.",
        remedy="Bring the desk that is behind up to the other one. By the other desk's packages: playbooks/lock_from.yml -e "
        "desk=NEWER -e lock_file=FILE, then playbooks/onboard.yml --limit PAIR -e driver_lock_from=FILE (works on a "
        "locked pair). Or both by an update: playbooks/onboard.yml --limit PAIR -e driver_lock_state=paused opens the "
        "lock on both, update both desks (DGX Dashboard, or apt dist-upgrade), reboot them with the cable in, then "
        "playbooks/stack_pair.yml --limit PAIR locks and measures.",
        source="community (F378200, F383254; one report of NCCL 2.30.7 against 2.31.2)",
    ),
    Code(
        code="PAIR_USER_MISMATCH",
        title="The login user differs between the two desks",
        severity="fail",
        other_severities=("warn",),
        meaning="Tests and MPI log in from one desk to the other as the same user. Another name is a failure; the same name with another "
        "uid "
        "or gid is a warning (shared files will belong to somebody else).",
        remedy="Create the same user with the same uid and gid on both desks, or set the login user per pair.",
        source="NVIDIA (Sync Cluster Assistant: same user, uid and gid)",
    ),
    Code(
        code="PAIR_BUSY",
        title="Somebody is using the desk",
        severity="unknown",
        other_severities=("note", "warn"),
        meaning="A compute process on the GPU or a user of RDMA was found; a measurement would disturb it and be disturbed. Graphics "
        "programs "
        "do not count. Unknown where a measurement was wanted, a note in an audit, a warning where force overrode it.",
        remedy="Let the named process finish or end it, then run again. pair_proof_force=true measures anyway, "
        "pair_link_force=true changes the link anyway.",
        source="this collection's rule",
    ),
    Code(
        code="PAIR_DISTURBED",
        title="Somebody began to use the desk during the measurement",
        severity="unknown",
        other_severities=("warn",),
        meaning="Nobody used the GPU or RDMA right before the measurement, and right after it the named process did. The figures may be "
        "those of a shared desk, good or bad, so they prove nothing and take nothing away; what they would have said is in the evidence. A "
        "warning where force overrode it.",
        remedy="Let the named process finish or end it, then run again; -e pair_proof_force=true judges the figures anyway.",
        source="this collection's rule",
    ),
    Code(
        code="BUSY_UNKNOWN",
        title="Whether somebody uses the desk is not known",
        severity="unknown",
        other_severities=("warn",),
        meaning="Before anything that would disturb a job is done, the desk is asked who uses its GPU and RDMA, and it did not answer (the "
        "message says what was asked and why there was no answer). A warning where force overrode it.",
        remedy="Look why the desk does not answer: nvidia-smi and rdma resource show qp by hand; one that hangs there too is the desk's "
        "trouble (sudo journalctl -k), and a reboot ends it. Then run again. "
        "pair_proof_force=true and pair_link_force=true go on without an answer.",
        source="this collection's rule",
    ),
)
