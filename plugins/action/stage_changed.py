# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell on the controller whether a stage of this run changed the desk since its facts were read."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.actions import DeskAction
from ..plugin_utils.run_store import RunStore


class ActionModule(DeskAction):
    """Result: any (bool), stages (names)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        stages = changed_since_facts(RunStore(self.required_plan(task_vars)["run_dir"]), self.desk_name(task_vars))
        result.update(changed=False, any=bool(stages), stages=stages)
        return result


def changed_since_facts(store: RunStore, desk: str) -> list[str]:
    """Stages that changed the desk after its last facts."""
    facts = store.part("facts", desk)
    read = (facts.started if facts else None) or ""
    return [part.stage for part in store.of_desk(desk) if part.changed and (part.ended or "") > read]
