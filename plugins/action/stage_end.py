# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a stage gave for a desk into the run's folder: results, or the error that ended it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from ..module_utils.judges.catalogue import finding
from ..module_utils.model.finding import Where
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.connection_errors import classify
from ..plugin_utils.run_store import DONE, FAILED, SKIPPED, Part, RunStore

RESULT_NOISE = ("findings", "invocation", "failed", "changed", "warnings", "deprecations", "msg", "diff", "exception", "skipped")


class ActionModule(DeskAction):
    """Arguments: stage, gate (result of stage_gate), result (what the role registered), failed_task, failed_result."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        plan = self.required_plan(task_vars)
        arguments = self.arguments()
        stage, desk = str(arguments["stage"]), self.desk_name(task_vars)
        gate = arguments.get("gate") or {}
        if gate.get("silent"):
            result.update(changed=False, state="none")
            return result
        now = datetime.datetime.now(datetime.UTC)
        part = part_of(
            stage,
            desk,
            plan["desks"][desk]["pair"],
            gate,
            _mapping(arguments.get("result")),
            str(arguments.get("failed_task") or ""),
            _mapping(arguments.get("failed_result")),
            f"{now:%Y-%m-%dT%H:%M:%S.%f}Z",
        )
        store = RunStore(plan["run_dir"])
        # A stage may come twice (facts after changes); being skipped then must not wipe out what it learned before.
        if part.state != SKIPPED or store.part(stage, desk) is None:
            store.write(part)
        result.update(changed=False, state=part.state, reason=part.reason, findings=list(part.findings))
        return result


def part_of(
    stage: str,
    desk: str,
    pair: str | None,
    gate: Mapping[str, Any],
    stage_result: Mapping[str, Any],
    failed_task: str,
    failed_result: Mapping[str, Any],
    ended: str,
) -> Part:
    """The part of a stage that ended, failed or was skipped. Pure."""
    started = gate.get("started")
    if failed_task or failed_result:
        findings = tuple(failed_result.get("findings") or ()) or (_failure(stage, desk, pair, failed_task, failed_result),)
        reason = str(failed_result.get("msg") or findings[0].get("message") or "failed")
        return Part(stage, desk, FAILED, pair, reason, started, ended, False, findings, _data(failed_result))
    if not gate.get("proceed", True):
        findings = tuple(gate.get("findings") or ())
        return Part(stage, desk, SKIPPED, pair, str(gate.get("reason") or ""), started, ended, False, findings)
    findings = tuple(stage_result.get("findings") or ())
    return Part(stage, desk, DONE, pair, None, started, ended, bool(stage_result.get("changed")), findings, _data(stage_result))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _data(result: Mapping[str, Any]) -> dict[str, Any]:
    facts = result.get("ansible_facts")
    data = {key: value for key, value in result.items() if key not in RESULT_NOISE and key != "ansible_facts" and not key.startswith("_")}
    if isinstance(facts, Mapping) and "spark" in facts:
        data["spark"] = facts["spark"]
    return data


def _failure(stage: str, desk: str, pair: str | None, task: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """The finding for an error that brought none of its own."""
    message = " ".join(str(result.get("msg") or result.get("module_stderr") or "no message").split())
    where = Where(pair=pair, desk=desk)
    evidence = {"stage": stage, "task": task, "error": message[:900], "rc": result.get("rc")}
    if "timedout" in result or "timed out" in message.lower():
        return finding("STAGE_TIMEOUT", where, f"{desk}: stage {stage} ran out of time in task '{task}'", evidence=evidence).as_dict()
    if result.get("unreachable"):
        reason = classify(message)
        return finding(reason.code, where, f"{desk}: {reason.sentence}", evidence=evidence, remedy=reason.remedy).as_dict()
    text = f"{desk}: stage {stage} failed in task '{task}': {message[:400]}"
    return finding("DESK_STAGE_FAILED", where, text, evidence=evidence).as_dict()
