# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail on exactly the desks whose own or whose pair's verdict is bad, so that the recap names the guilty."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.actions import DeskAction


class ActionModule(DeskAction):
    """Argument: report (the result of the report action)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        report = self.arguments().get("report") or {}
        desk = self.desk_name(task_vars)
        if "guilty" not in report:
            result.update(failed=True, msg=f"{desk}: there is no report of this run, so there is no verdict")
            return result
        reason = report["guilty"].get(desk)
        result.update(changed=False, failed=reason is not None, msg=reason or f"{desk}: {report.get('desks', {}).get(desk, 'PASS')}")
        return result
