# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the login users of each pair's two desks, from what enrolment found: see the module documentation of enrol_pairs."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from ..module_utils.judges.catalogue import finding
from ..module_utils.model.finding import Finding, Where
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.run_store import DONE, Part

SAME = ("user", "uid", "gid")


class ActionModule(DeskAction):
    """Runs once; writes the stage enrol_pairs."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        plan, store = self.required_plan(task_vars), self.store(task_vars)
        accounts = {name: part.data for name, part in store.parts("enrol").items() if part.state == DONE}
        moment = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        findings: list[Finding] = []
        for pair in plan["pairs"]:
            found = compare(pair["name"], pair["members"], accounts)
            if found is not None:
                findings.append(found)
                store.write(Part("enrol_pairs", pair["head"], DONE, pair["name"], ended=moment, findings=(found.as_dict(),)))
        result.update(changed=False, findings=[item.as_dict() for item in findings])
        return result


def compare(pair: str, members: list[str], accounts: Mapping[str, Mapping[str, Any]]) -> Finding | None:
    """PAIR_USER_MISMATCH when both desks are enrolled and their login users differ. Pure."""
    if not all(member in accounts and accounts[member].get("uid") is not None for member in members):
        return None
    told = {member: {key: accounts[member].get(key) for key in SAME} for member in members}
    if len({tuple(values.values()) for values in told.values()}) == 1:
        return None
    words = "; ".join(f"{member}: {values['user']} has uid {values['uid']} and gid {values['gid']}" for member, values in told.items())
    return finding("PAIR_USER_MISMATCH", Where(pair=pair), f"pair {pair}: the login users differ: {words}", evidence=told)
