# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the facts' judgement said of the persistence daemon; repair it only where that was asked for."""

from __future__ import annotations

from typing import Any

from ..module_utils.judges.dgx_os import rules_unknown
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.judgement import judged

INACTIVE = "PERSISTENCED_INACTIVE"
NEEDED = ("driver.persistenced_active", "driver.persistenced_enabled")


class ActionModule(DeskAction):
    """See the module documentation of persistenced."""

    def work(self, call: Call) -> dict[str, Any]:
        """The finding; the unit enabled and started where it is off and a repair was asked for."""
        findings = judged(call, frozenset({INACTIVE}), NEEDED, "whether nvidia-persistenced runs")
        told = [item.get("evidence") or {} for item in findings if item["code"] == INACTIVE]
        unit_is_off = any(False in (item.get("active"), item.get("enabled")) for item in told)
        if not (unit_is_off and call.given["repair"]) or rules_unknown(from_dict(Desk, call.facts or {})):
            return {"changed": False, "findings": findings}
        answer = self.execute("labops.dgx_spark.persistenced", {"repair": True}, call)
        if answer.get("failed"):
            return {**answer, "findings": [*findings, *(answer.get("findings") or [])]}
        if not self._task.check_mode:
            # The facts are read again after a change and say whether it lasted.
            findings = [item for item in findings if item["code"] != INACTIVE]
        return {**answer, "findings": findings}
