# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check images, requirements, wheels and paths for a desk: the desk is asked once, the rest is looked up on the controller."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..module_utils.model.data import as_dict
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.admission.text import everything
from ..plugin_utils.workload.check import Check, target_of
from ..plugin_utils.workload.options import asked_of
from ..plugin_utils.workload.shared import Shared

MODULE = "labops.dgx_spark.workload_check"


def unpacked(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the desk told; empty where that is no such text. Whoever reads on trusts none of it."""
    try:
        told = json.loads(base64.b64decode(str(answer.get("told") or ""), validate=True) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


class ActionModule(DeskAction):
    """See the module documentation of workload_check."""

    def work(self, call: Call) -> dict[str, Any]:
        """Ask the desk, then registries and indexes."""
        asked = asked_of(call.given)
        own = {"desk": call.desk, "user": call.given.get("user") or self.login_user(call.task_vars) or ""}
        answer = self.execute(MODULE, {**own, "images": list(asked.images), "paths": list(asked.paths)}, call)
        if answer.get("failed"):
            return answer

        def on_desk(text: str, constraints: str, indexes: Sequence[str]) -> Mapping[str, Any]:
            arguments = {
                **own,
                "resolve_text": text,
                "constraints_text": constraints,
                "indexes": list(indexes),
                "resolve_limit": int(asked.resolve_limit),
            }
            resolution = unpacked(self.execute(MODULE, arguments, call)).get("resolution")
            return resolution if isinstance(resolution, Mapping) else {}

        shared = Shared(Path(call.known_run.run_dir) / "workload" if call.known_run else None)
        told = unpacked(answer)
        offers = told.get("offers")
        target = target_of(call.facts, offers if isinstance(offers, Mapping) else {}, asked.python)
        today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
        judged, findings = Check(asked, call.desk, target, told, shared, on_desk, today).run()
        # Words of the desk (packed, so that no gate saw them), of registries and of indexes stand in it.
        return everything(
            {
                "changed": False,
                "workload": [as_dict(item) for item in judged],
                "target": as_dict(target),
                "findings": [item.as_dict() for item in findings],
            }
        )
