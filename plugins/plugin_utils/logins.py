# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the login users of a stack's desks agree? From what enrolment saw. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.judges.catalogue import finding
from ..module_utils.model.finding import Finding, Where
from .run.model import Stack

SAME = ("user", "uid", "gid")


def logins_of(stack: Stack, accounts: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """PAIR_USER_MISMATCH when every desk of the stack is enrolled and their login users differ."""
    if not all(member in accounts and accounts[member].get("uid") is not None for member in stack.members):
        return []
    told = {member: {key: accounts[member].get(key) for key in SAME} for member in stack.members}
    if len({tuple(values.values()) for values in told.values()}) == 1:
        return []
    words = "; ".join(f"{member}: {values['user']} has uid {values['uid']} and gid {values['gid']}" for member, values in told.items())
    message = f"pair {stack.name}: the login users differ: {words}"
    return [finding("PAIR_USER_MISMATCH", Where(pair=stack.name), message, evidence=told)]
