# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file that cannot be written means, and what to do: no package command failed, and no archive is the cause."""

from __future__ import annotations

import errno

from ..judges.catalogue import CODES, finding
from ..model.finding import Finding, Where
from ..programs.user_files import next_step

FULL = (errno.ENOSPC, errno.EDQUOT)


def remedy(error: OSError, path: str) -> str:
    """What to look at and to do."""
    step = next_step(error, path).removeprefix("; ")
    return (
        f"On the desk, {step}. Put that right, then run again." if step else f"See on the desk what is wrong with {path}, then run again."
    )


def unwritten(where: Where, error: OSError) -> Finding:
    """The finding for a file of ours that could not be written."""
    path = str(error.filename or "a file")
    message = f"{where.subject}: {path} cannot be written: {error.strerror}"
    evidence = {"path": error.filename, "error": error.strerror}
    if error.errno in FULL:
        return finding("DISK_FULL", where, message, evidence=evidence)
    told = remedy(error, path)
    if error.errno == errno.EROFS:
        return finding("ROOT_READ_ONLY", where, message, evidence=evidence, remedy=f"{told} {CODES['ROOT_READ_ONLY'].remedy}")
    return finding("APT_FAILED", where, message, evidence=evidence, remedy=told)
