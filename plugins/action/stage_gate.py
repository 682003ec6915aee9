# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide on the controller whether a stage concerns a desk, from what the run's earlier stages wrote."""

from __future__ import annotations

import datetime
from typing import Any

from ..module_utils.judges.catalogue import finding
from ..module_utils.model.finding import Where
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.checks import STOPS_DESK
from ..plugin_utils.run_store import FAILED, HELD_BACK, RunStore
from ..plugin_utils.waves import loss

DESK = "desk"
PAIR = "pair"
HEAD = "head"


class ActionModule(DeskAction):
    """Result: proceed (bool), reason (text, empty when it proceeds), findings, started (UTC)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        plan = self.required_plan(task_vars)
        arguments = self.arguments()
        stage, scope, desk = str(arguments["stage"]), str(arguments.get("scope") or DESK), self.desk_name(task_vars)
        store = RunStore(plan["run_dir"])
        now = datetime.datetime.now(datetime.UTC)
        despite = frozenset(str(item) for item in arguments.get("despite") or ())
        silent, reason = gate(plan, store, desk, scope, despite)
        findings: list[dict[str, Any]] = []
        if not reason:
            reason, findings = held_back(plan, store, stage, desk, [str(name) for name in arguments.get("after") or ()])
        started = f"{now:%Y-%m-%dT%H:%M:%S.%f}Z"
        result.update(changed=False, proceed=not reason, silent=silent, reason=reason, findings=findings, started=started)
        return result


def held_back(plan: dict[str, Any], store: RunStore, stage: str, desk: str, after: list[str]) -> tuple[str, list[dict[str, Any]]]:
    """(why not, finding): empty when the waves before this desk's, with the desks ``after``, lost nobody."""
    lost = loss({name: store.part(stage, name) for name in after})
    if not lost:
        return "", []
    message = f"{desk} was left as it is: stage {stage} lost {lost} in a wave before, so it was not carried on"
    where = Where(pair=plan["desks"][desk]["pair"], desk=desk)
    return f"a wave before lost {lost}", [finding(HELD_BACK, where, message, evidence={"stage": stage, "lost": lost}).as_dict()]


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
        if part.held_back and stops is None:
            return f"{desk} was left out of stage {part.stage} ({HELD_BACK})"
        codes = [code for code in part.failing_codes if stops is None or code in stops]
        if part.state == FAILED or codes:
            return f"{desk} failed in stage {part.stage}" + (f" ({', '.join(codes)})" if codes else "")
    return ""
