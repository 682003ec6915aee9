# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assert the persistence daemon from the facts; repair it only where that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.driver import driver_absent, persistence
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Finding, Where
from ..plugin_utils.actions import DeskAction

UNIT = "nvidia-persistenced.service"


class ActionModule(DeskAction):
    """See the module documentation of persistenced."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        name = self.desk_name(task_vars)
        findings = judge(self.facts(task_vars), name)
        result.update(changed=False, findings=[item.as_dict() for item in findings])
        told = [item.evidence for item in findings if item.code == "PERSISTENCED_INACTIVE"]
        unit_is_off = any(False in (item["active"], item["enabled"]) for item in told)
        if not (unit_is_off and self.arguments().get("repair", False)):
            return result
        answer = self.execute("ansible.builtin.systemd_service", {"name": UNIT, "enabled": True, "state": "started"}, task_vars)
        if answer.get("failed"):
            result.update(answer)
            result["findings"] = [*(item.as_dict() for item in findings), *(answer.get("findings") or [])]
            return result
        result["changed"] = bool(answer.get("changed"))
        if not self._task.check_mode:
            # The facts are read again after a change and say whether it lasted.
            result["findings"] = [item.as_dict() for item in findings if item.code != "PERSISTENCED_INACTIVE"]
        return result


def judge(facts: Mapping[str, Any] | None, name: str) -> list[Finding]:
    """PERSISTENCED_INACTIVE, or unknown when the facts do not tell. Pure."""
    where = Where(desk=name)
    desk: Desk = from_dict(Desk, facts or {})
    driver = desk.driver
    if facts is None or (not driver_absent(desk) and None in (driver.persistenced_active, driver.persistenced_enabled)):
        reason = desk.unread.get("driver.persistenced_active") or desk.unread.get("driver.persistenced_enabled") or "there are no facts"
        message = f"{name}: whether nvidia-persistenced runs is not known: {reason}"
        return [finding("FACTS_INCOMPLETE", where, message, evidence={"persistenced": reason}, severity="unknown")]
    return persistence(desk, where)
