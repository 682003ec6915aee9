# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run spark_facts on the desk with what the controller knows: the login user, the identity that the lab sheet expects, the run."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.actions import DeskAction


class ActionModule(DeskAction):
    """Fills in login_user, run_id and the expected identity; a lost connection becomes a failed result with a finding."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments = self.arguments()
        plan = self.plan(task_vars)
        user = self.login_user(task_vars)
        if user and not arguments.get("login_user"):
            arguments["login_user"] = user
        if plan and not arguments.get("run_id"):
            arguments["run_id"] = plan["run_id"]
        arguments.setdefault("desk", self.desk_name(task_vars))
        options = dict(arguments.get("judge_options") or {})
        expected = dict(arguments.get("expected_identity") or {})
        if task_vars.get("spark_expected_serial"):
            expected.setdefault("serial", str(self._templar.template(task_vars["spark_expected_serial"])))
        # Proven keys count before the sheet's, which may be an old one.
        fingerprints = self.proven_keys(task_vars) or self._sheet_key(task_vars)
        if fingerprints:
            expected.setdefault("host_key_fingerprints", fingerprints)
        if expected:
            arguments["expected_identity"] = expected
        severity = "unknown" if options.get("purpose") == "audit" else None
        result.update(self.execute("labops.dgx_spark.spark_facts", arguments, task_vars, severity))
        return result

    def _sheet_key(self, task_vars: dict[str, Any]) -> list[str]:
        key = task_vars.get("spark_expected_host_key")
        return [str(self._templar.template(key))] if key else []
