# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leave the proven settings on the desk, withdraw them on a failure, mark them stale when nothing was measured."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.changes import settings
from ..module_utils.judges.catalogue import finding
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Setup
from ..module_utils.model.finding import Where
from ..module_utils.programs import carrier, pair_check
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.run_store import FAILED, RunStore

MODULE = "labops.dgx_spark.pair_files"
MEASUREMENTS = ("rdma", "nccl")


class ActionModule(DeskAction):
    """Arguments: state (present, absent)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        setup = from_dict(Setup, (self.facts(task_vars) or {}).get("setup") or {})
        state = str(self.arguments().get("state") or "present")
        if state not in ("present", "absent"):
            raise AnsibleActionFail(f"state is {state!r}; present or absent was expected")
        if state == "absent":
            return self._apply(result, settings.withdrawn(with_check=True), setup, task_vars)
        if self._task.check_mode:
            # Nothing was measured, which says nothing about an earlier proof.
            return {**result, "changed": False, "settings": "kept", "commands": []}
        plan, desk = self.required_plan(task_vars), self.desk_name(task_vars)
        store = RunStore(plan["run_dir"])
        pair = str(plan["desks"][desk]["pair"])
        entry = next(item for item in plan["pairs"] if item["name"] == pair)
        head, members = str(entry["head"]), (str(entry["head"]), str(entry["peer"]))
        parts = {stage: store.part(stage, head) for stage in MEASUREMENTS}
        severities = {stage: [str(item["severity"]) for item in part.findings] if part else ["unknown"] for stage, part in parts.items()}
        failed = any(
            part.state == FAILED or "fail" in [str(item["severity"]) for item in part.findings]
            for name in members
            for stage in store.stages()
            if (part := store.part(stage, name)) is not None and stage != "settings"
        )
        nccl = parts["nccl"]
        proof = dict(nccl.data) if nccl is not None else {}
        outcome = settings.state_of(severities["rdma"], severities["nccl"], bool(proof.get("measured")), failed)
        existing = setup.pair_env is not None
        wanted = settings.wanted(outcome, desk, proof, carrier.script(pair_check), existing, str(plan["run_id"]))
        where = Where(pair=pair, desk=desk)
        findings = []
        if existing and outcome == settings.FAILED:
            findings = [finding("PAIR_SETTINGS_WITHDRAWN", where, f"{desk}: the settings of an earlier proof were withdrawn").as_dict()]
        elif existing and outcome == settings.UNKNOWN:
            findings = [finding("PAIR_SETTINGS_STALE", where, f"{desk}: the settings of an earlier proof are marked stale").as_dict()]
        answer = self._apply(result, wanted, setup, task_vars)
        return {**answer, "settings": outcome, "findings": [*findings, *(answer.get("findings") or [])]}

    def _apply(self, result: dict[str, Any], wanted: dict[str, Any] | None, setup: Setup, task_vars: dict[str, Any]) -> dict[str, Any]:
        if wanted is None or settings.is_there(setup, wanted):
            return {**result, "changed": False, "commands": []}
        return {**result, **self.execute(MODULE, wanted, task_vars)}
