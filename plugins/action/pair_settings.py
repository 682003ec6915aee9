# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leave the proven settings on the desk, withdraw them on a failure, mark them stale when nothing was measured."""

from __future__ import annotations

from typing import Any

from ..module_utils.changes import settings
from ..module_utils.judges.catalogue import finding
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Setup
from ..module_utils.model.finding import Where
from ..module_utils.programs import carrier, pair_check
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.run.store import FAILED

MODULE = "labops.dgx_spark.pair_files"
MEASUREMENTS = ("rdma", "nccl")


class ActionModule(DeskAction):
    """See the module documentation of pair_settings."""

    def work(self, call: Call) -> dict[str, Any]:
        """Follow what the run measured, or take the settings back."""
        setup = from_dict(Setup, (call.facts or {}).get("setup") or {})
        if call.given["state"] == "absent":
            return self._apply(settings.withdrawn(with_check=True), setup, call)
        if self._task.check_mode:
            # Nothing was measured, which says nothing about an earlier proof.
            return {"changed": False, "settings": "kept", "commands": []}
        store, stack, desk = call.store, call.required_stack, call.desk
        if any(part.elsewhere for name in stack.members for part in store.of_desk(name)):
            # The other run says what the pair is worth.
            return {"changed": False, "settings": "kept", "commands": []}
        parts = {stage: store.part(stage, stack.head) for stage in MEASUREMENTS}
        severities = {stage: [str(item["severity"]) for item in part.findings] if part else ["unknown"] for stage, part in parts.items()}
        failed = any(
            part.state == FAILED or "fail" in [str(item["severity"]) for item in part.findings]
            for name in stack.members
            for part in store.of_desk(name)
            if part.stage != "settings"
        )
        nccl = parts["nccl"]
        proof = dict(nccl.data) if nccl is not None else {}
        outcome = settings.state_of(severities["rdma"], severities["nccl"], bool(proof.get("measured")), failed)
        existing = setup.pair_env is not None
        wanted = settings.wanted(outcome, desk, proof, carrier.script(pair_check), existing, call.run.run_id)
        where = Where(pair=stack.name, desk=desk)
        findings = []
        if existing and outcome == settings.FAILED:
            findings = [finding("PAIR_SETTINGS_WITHDRAWN", where, f"{desk}: the settings of an earlier proof were withdrawn").as_dict()]
        elif existing and outcome == settings.UNKNOWN:
            findings = [finding("PAIR_SETTINGS_STALE", where, f"{desk}: the settings of an earlier proof are marked stale").as_dict()]
        answer = self._apply(wanted, setup, call)
        return {**answer, "settings": outcome, "findings": [*findings, *(answer.get("findings") or [])]}

    def _apply(self, wanted: dict[str, Any] | None, setup: Setup, call: Call) -> dict[str, Any]:
        if wanted is None or settings.is_there(setup, wanted):
            return {"changed": False, "commands": []}
        return self.execute(MODULE, wanted, call)
