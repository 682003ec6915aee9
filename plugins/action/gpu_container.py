# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run gpu_container on the desk and add what the facts say about the login user's docker group."""

from __future__ import annotations

from typing import Any

from ..module_utils.judges.containers import judge_docker_group
from ..module_utils.model.finding import Where
from ..plugin_utils.actions import Call, DeskAction


class ActionModule(DeskAction):
    """A lost connection becomes a failed result with a finding."""

    def work(self, call: Call) -> dict[str, Any]:
        """Start the container, look at the group."""
        desk = call.desk
        result = self.execute("labops.dgx_spark.gpu_container", {"desk": desk, **call.only_named()}, call)
        limits = (call.facts or {}).get("limits") or {}
        group = judge_docker_group(Where(desk=desk), limits.get("user"), tuple(limits.get("groups") or ()))
        result["findings"] = [*(result.get("findings") or []), *(item.as_dict() for item in group)]
        return result
