# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reboot a desk where it is needed, allowed and safe; one desk of a pair at a time."""

from __future__ import annotations

from typing import Any

from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.reboot import reboot_reasons, reboot_refusals, reboot_result
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Finding, Where
from ..plugin_utils.actions import Call, ElsewhereError
from ..plugin_utils.reboots import RebootingAction, Turn, turn_of
from ..plugin_utils.run.gate import changed_since_facts


class ActionModule(RebootingAction):
    """See the module documentation of desk_reboot."""

    subsets = ("identity", "kernel", "driver", "apt", "busy")

    def work(self, call: Call) -> dict[str, Any]:
        """Reboot where a reason is known, policy allows it and nothing speaks against it."""
        name, task_vars = call.desk, call.task_vars
        where = Where(desk=name)
        result: dict[str, Any] = {"changed": False, "rebooted": False, "findings": [], "reasons": []}
        if call.given["policy"] == "never":
            return result
        run = call.run
        known, asked_for = call.facts, ["it was asked for"] if call.given["policy"] == "always" else []
        if not asked_for and known is not None and not reboot_reasons(from_dict(Desk, known)) and not changed_since_facts(call.store, name):
            return result
        before, failure = self.read_desk(call)
        if before is None:
            return {**result, **failure}
        result["reasons"] = reboot_reasons(before) or asked_for
        if not result["reasons"]:
            return result
        refusals = reboot_refusals(before, where, force=call.given["force"])
        if refusals:
            return _failed(result, refusals)
        if self._task.check_mode:
            result.update(changed=True)
            return result
        with turn_of(run.folder, call.stack.name if call.stack else name, name) as turn:
            if turn.lost:
                message = f"{name} was not rebooted: {turn.lost}, the pair's other desk, has not come back from its own reboot"
                return _failed(result, [finding("REBOOT_REFUSED", where, message, evidence={"waiting_for": turn.lost})])
            taken = self._take(call, turn)
            if taken.get("failed"):
                return {**result, **taken}
            text = self.reboot(call.given["patience"], task_vars)
            result["changed"] = True
            if text:
                return _failed(result, [finding("REBOOT_FAILED", where, f"{name} did not come back: {text}", evidence={"error": text})])
            after, failure = self.read_desk(call)
            if after is None:
                return {**result, **failure}
            wrong = reboot_result(before, after, where)
            if wrong:
                return _failed(result, wrong)
            turn.back()
        result.update(rebooted=True)
        return result

    def _take(self, call: Call, turn: Turn) -> dict[str, Any]:
        """Take the desk for this run until it goes down. Raises ElsewhereError where another run works on it."""
        try:
            answer = self.execute("labops.dgx_spark.desk_reboot", {"policy": call.given["policy"]}, call)
        except ElsewhereError:
            turn.back()
            raise
        if answer.get("failed"):
            turn.back()
        return answer


def _failed(result: dict[str, Any], findings: list[Finding]) -> dict[str, Any]:
    result.update(failed=True, msg="; ".join(item.message for item in findings), findings=[item.as_dict() for item in findings])
    return result
