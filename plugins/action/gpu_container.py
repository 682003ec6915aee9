# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run gpu_container on the desk and add what the facts say about the login user's docker group."""

from __future__ import annotations

from typing import Any

from ..module_utils.judges.containers import judge_docker_group
from ..module_utils.model.finding import Where
from ..plugin_utils.actions import DeskAction


class ActionModule(DeskAction):
    """A lost connection becomes a failed result with a finding."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        desk = self.desk_name(task_vars)
        result.update(self.execute("labops.dgx_spark.gpu_container", {"desk": desk, **self.arguments()}, task_vars))
        limits = (self.facts(task_vars) or {}).get("limits") or {}
        group = judge_docker_group(Where(desk=desk), limits.get("user"), tuple(limits.get("groups") or ()))
        result["findings"] = [*(result.get("findings") or []), *(item.as_dict() for item in group)]
        return result
