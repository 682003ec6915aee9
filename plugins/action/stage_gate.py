# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide on the controller whether a stage concerns a desk, from what the run's earlier stages wrote."""

from __future__ import annotations

import datetime
from typing import Any

from ..plugin_utils.actions import DeskAction
from ..plugin_utils.checks import STOPS_DESK
from ..plugin_utils.run_store import FAILED, RunStore

DESK = "desk"
PAIR = "pair"
HEAD = "head"


class ActionModule(DeskAction):
    """Result: proceed (bool), reason (text, empty when it proceeds), started (UTC)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        plan = self.required_plan(task_vars)
        scope = str(self.arguments().get("scope") or DESK)
        now = datetime.datetime.now(datetime.UTC)
        despite = frozenset(str(item) for item in self.arguments().get("despite") or ())
        silent, reason = gate(plan, RunStore(plan["run_dir"]), self.desk_name(task_vars), scope, despite)
        result.update(changed=False, proceed=not reason, silent=silent, reason=reason, started=f"{now:%Y-%m-%dT%H:%M:%S.%f}Z")
        return result


def gate(plan: dict[str, Any], store: RunStore, desk: str, scope: str, despite: frozenset[str] = frozenset()) -> tuple[bool, str]:
    """(silent, why not): an empty reason means go; silent means that the stage never was this desk's business.

    ``despite`` names stages whose failing findings do not keep this one from running: a slow link is still measured with NCCL, and
    settings are withdrawn because a measurement failed.
    """
    me = plan["desks"][desk]
    if scope == DESK:
        return False, _stop(store, desk, stops=STOPS_DESK)
    if me["pair"] is None:
        return True, f"{desk} is in no pair"
    if me["out_of_service"]:
        return False, f"pair {me['pair']} is out of service"
    if not plan["desks"][me["peer"]]["in_scope"]:
        return False, f"{me['peer']} is not in this run"
    for name in (desk, me["peer"]):
        reason = _stop(store, name, stops=None, despite=despite)
        if reason:
            return False, reason
    cabling = store.part("cable_map", desk)
    if cabling is not None and cabling.data.get("allowed") is False:
        return False, f"the cabling of pair {me['pair']} is not as planned"
    if scope == HEAD and not me["head"]:
        return True, f"{me['peer']} measures for pair {me['pair']}"
    return False, ""


def _stop(store: RunStore, desk: str, stops: frozenset[str] | None, despite: frozenset[str] = frozenset()) -> str:
    """Why a desk goes no further: a stage that broke, or a failing finding (any, or one of ``stops``)."""
    for part in store.of_desk(desk):
        if part.stage in despite:
            continue
        codes = [code for code in part.failing_codes if stops is None or code in stops]
        if part.state == FAILED or codes:
            return f"{desk} failed in stage {part.stage}" + (f" ({', '.join(codes)})" if codes else "")
    return ""
