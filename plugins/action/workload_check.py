# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check images, requirements, wheels and paths for a desk: the desk is asked once, the rest is looked up on the controller."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..module_utils.model.data import as_dict
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.workload.check import Check, target_of
from ..plugin_utils.workload.options import asked_of
from ..plugin_utils.workload.shared import Shared

MODULE = "labops.dgx_spark.workload_check"


class ActionModule(DeskAction):
    """See the module documentation of workload_check."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        asked = asked_of(self.arguments())
        desk = self.desk_name(task_vars)
        answer = self.execute(MODULE, {"desk": desk, "images": list(asked.images), "paths": list(asked.paths)}, task_vars)
        if answer.get("failed"):
            result.update(answer)
            return result

        def on_desk(text: str, constraints: str, indexes: Sequence[str]) -> Mapping[str, Any]:
            arguments = {
                "desk": desk,
                "resolve_text": text,
                "constraints_text": constraints,
                "indexes": list(indexes),
                "resolve_limit": int(asked.resolve_limit),
            }
            told = self.execute(MODULE, arguments, task_vars)
            resolution = told.get("resolution")
            return resolution if isinstance(resolution, Mapping) else {}

        plan = self.plan(task_vars)
        shared = Shared(Path(plan["run_dir"]) / "workload" if plan else None)
        offers = answer.get("offers")
        target = target_of(self.facts(task_vars), offers if isinstance(offers, Mapping) else {}, asked.python)
        today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
        judged, findings = Check(asked, desk, target, answer, shared, on_desk, today).run()
        result.update(
            changed=False,
            workload=[as_dict(item) for item in judged],
            target=as_dict(target),
            findings=[item.as_dict() for item in findings],
        )
        return result
