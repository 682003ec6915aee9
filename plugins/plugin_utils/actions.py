# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our action plugins share: the run's plan, the run's store, and module executions that cannot drop a desk from the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils.judges.catalogue import finding
from ..module_utils.model.finding import Where
from .connection_errors import classify
from .known_hosts import fingerprint, keys_of, text_of
from .run_store import RunStore


class DeskAction(ActionBase):
    """Base of the actions. A lost connection becomes a failed result with a finding, so that the play's rescue sees it."""

    _supports_check_mode = True
    _supports_async = False

    def plan(self, task_vars: Mapping[str, Any]) -> dict[str, Any] | None:
        """The run's plan (``spark_plan``), null when the task runs outside our playbooks."""
        plan = task_vars.get("spark_plan")
        if isinstance(plan, str):
            # Given to an include (a trial of isolate.yml) instead of registered.
            plan = self._templar.template(plan)
        return dict(plan) if isinstance(plan, Mapping) and plan.get("run_dir") else None

    def required_plan(self, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """The run's plan; a clear refusal without one."""
        plan = self.plan(task_vars)
        if plan is None:
            raise AnsibleActionFail(
                f"{self._task.action} needs the run's plan (variable spark_plan); call labops.dgx_spark.run_begin first, "
                "as the playbooks of this collection do"
            )
        return plan

    def store(self, task_vars: Mapping[str, Any]) -> RunStore:
        """The run's store."""
        return RunStore(self.required_plan(task_vars)["run_dir"])

    def desk_name(self, task_vars: Mapping[str, Any]) -> str:
        """The inventory name of the desk that the task runs for."""
        return str(task_vars["inventory_hostname"])

    def arguments(self) -> dict[str, Any]:
        """The task's arguments, templated."""
        return dict(self._task.args)

    def facts(self, task_vars: Mapping[str, Any]) -> dict[str, Any] | None:
        """This desk's facts of this run, null when there are none."""
        facts = (task_vars.get("ansible_facts") or {}).get("spark")
        return dict(facts) if isinstance(facts, Mapping) else None

    def login_user(self, task_vars: Mapping[str, Any]) -> str | None:
        """The user that Ansible logs in as, null when ssh's own configuration decides."""
        try:
            user = self._connection.get_option("remote_user")
        except (KeyError, AnsibleError):
            user = None
        return str(user or task_vars.get("ansible_user") or self._play_context.remote_user or "") or None

    def proven_keys(self, task_vars: Mapping[str, Any]) -> list[str]:
        """Fingerprints of the host keys that enrolment proved to be this desk's, from the project's known_hosts."""
        path = task_vars.get("spark_known_hosts")
        if not path:
            return []
        text = text_of(Path(str(self._templar.template(path))).expanduser())
        return [print_ for key in keys_of(text, self.desk_name(task_vars)) if (print_ := fingerprint(key))]

    def execute(
        self, module: str, arguments: Mapping[str, Any], task_vars: Mapping[str, Any], severity: str | None = None
    ) -> dict[str, Any]:
        """Run a module on the desk. An unreachable desk gives ``failed`` with DESK_UNREACHABLE or AUTH_FAILED, never ``unreachable``."""
        desk = self.desk_name(task_vars)
        enrolled = bool(self.proven_keys(task_vars))
        try:
            result: dict[str, Any] = dict(
                self._execute_module(module_name=module, module_args=dict(arguments), task_vars=dict(task_vars), wrap_async=False)
            )
        except AnsibleError as error:
            # A refused sudo password, or an unknown host key where a password is set, is a plain AnsibleError; anything else that is no
            # connection failure is not ours to judge.
            if isinstance(error, AnsibleConnectionFailure) or classify(str(error)).plain_error:
                return self.unreachable(desk, str(error), severity, enrolled)
            raise
        if result.pop("unreachable", False):
            return self.unreachable(desk, str(result.get("msg", "")), severity, enrolled)
        if result.get("failed") and classify(str(result.get("msg", "")), str(result.get("module_stderr", ""))).become:
            return self.unreachable(desk, f"{result.get('msg', '')} {result.get('module_stderr', '')}", severity)
        return result

    @staticmethod
    def unreachable(desk: str, text: str, severity: str | None = None, enrolled: bool = False) -> dict[str, Any]:
        """The failed result of a desk that could not be reached or entered."""
        reason = classify(text, enrolled=enrolled)
        found = finding(
            reason.code,
            Where(desk=desk),
            f"{desk}: {reason.sentence}",
            evidence={"reason": reason.kind, "error": " ".join(text.split())[:600]},
            severity=severity if reason.code == "DESK_UNREACHABLE" else None,
            remedy=reason.remedy,
        )
        return {"failed": True, "desk_unreachable": True, "msg": found.message, "findings": [found.as_dict()]}
