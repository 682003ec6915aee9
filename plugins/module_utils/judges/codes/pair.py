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
        remedy="Update both desks together to the same level (the older one as the message names it) and run again.",
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
        remedy="Let the named process finish or end it, then run again; force: true measures and changes anyway.",
        source="this collection's rule",
    ),
)
