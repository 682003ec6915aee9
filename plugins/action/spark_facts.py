# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run spark_facts on the desk with what the controller knows: the login user, the identity that the lab sheet expects, the run."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.judges.options import AUDIT, STACK, STACKED
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.run.stages import playbook
from ..plugin_utils.run.wants import PURPOSE, WANTS, WantError, judge_wants


class ActionModule(DeskAction):
    """Fills in login_user, run_id and the expected identity; a lost connection becomes a failed result with a finding."""

    def work(self, call: Call) -> dict[str, Any]:
        """Read the desk, judge it with every wish that a judge reads."""
        arguments = {"desk": call.desk, **call.only_named()}
        user = self.login_user(call.task_vars)
        if user:
            arguments.setdefault("login_user", user)
        if call.known_run:
            arguments.setdefault("run_id", call.known_run.run_id)
            if (member := call.known_run.members.get(call.desk)) is not None:
                arguments.setdefault("ssh_port", member.ssh_port)
        arguments["judge_options"] = self._options(call)
        expected = dict(arguments.get("expected_identity") or {})
        serial = self.value(call.task_vars, "spark_expected_serial")
        if serial:
            expected.setdefault("serial", str(serial))
        # Proven keys count before the sheet's, which may be an old one.
        sheet = self.value(call.task_vars, "spark_expected_host_key")
        fingerprints = self.proven_keys(call.task_vars, call.desk) or ([str(sheet)] if sheet else [])
        if fingerprints:
            expected.setdefault("host_key_fingerprints", fingerprints)
        if expected:
            arguments["expected_identity"] = expected
        severity = "unknown" if arguments["judge_options"]["purpose"] == AUDIT else None
        return self.execute("labops.dgx_spark.spark_facts", arguments, call, severity)

    def _options(self, call: Call) -> dict[str, Any]:
        """The purpose of the run, the admin's wishes, and what the task itself names, the later before the earlier."""
        try:
            variables = self.values(call.task_vars, [want.variable for want in WANTS])
            wishes, purpose = judge_wants(variables, call.desk), PURPOSE.read(variables, call.desk)
        except WantError as error:
            raise AnsibleActionFail(str(error)) from None
        given = {key: value for key, value in dict(call.given.get("judge_options") or {}).items() if value not in (None, "")}
        return {"purpose": purpose or self._purpose(call), **wishes, **given}

    @staticmethod
    def _purpose(call: Call) -> str:
        if call.known_run is None:
            return AUDIT
        purpose = playbook(call.known_run.playbook).purpose
        if purpose == STACK and call.stage is not None and call.stage.after_change:
            link = call.store.part("link", call.desk)
            return STACKED if link is not None and link.changed else STACK
        return purpose
