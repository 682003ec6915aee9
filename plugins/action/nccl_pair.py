# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run nccl_pair on the head with both ends of the cable, and with what this run's RDMA measurement said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils.changes import settings
from ..module_utils.judges.catalogue import finding
from ..module_utils.model.data import as_dict, from_dict
from ..module_utils.model.finding import Finding, Where
from ..module_utils.model.link import Endpoint, Path
from ..plugin_utils.actions import Call
from ..plugin_utils.endpoints import stack_ends
from ..plugin_utils.pair_measurement import PairMeasurement
from ..plugin_utils.run.model import Stack
from ..plugin_utils.run.store import Part


class ActionModule(PairMeasurement):
    """See `PairMeasurement`. NCCL is not started over a link that RDMA could not be measured on."""

    module = "labops.dgx_spark.nccl_pair"
    what = "NCCL"
    not_measured = "NCCL_PEER_NOT_READY"

    def own(self, answer: dict[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The settings computed here, from the ends that the head was given: they go onto both desks, and the head's word does not."""
        answer = {key: value for key, value in answer.items() if key != "settings"}
        if answer.get("measured"):
            listed = arguments.get("ends") or (arguments["head"], arguments["peer"])
            ends = [from_dict(Endpoint, item) for item in listed]
            meet = settings.meeting(ends, arguments["bootstrap"])
            run_id, topology = arguments.get("run_id") or "unknown", str(arguments.get("topology") or settings.DIRECT)
            answer["settings"] = settings.proven(str(arguments["pair"]), ends, meet, run_id, topology)
        return answer

    def ends(self, stack: Stack, paths: Sequence[Path]) -> dict[str, Any]:
        """Both ends of a pair's cable, or every end of a stack."""
        return super().ends(stack, paths) if stack.is_pair else {"ends": [as_dict(end) for end in stack_ends(stack, paths)]}

    def conditions(self, call: Call, stack: Stack) -> list[Finding]:
        """RDMA of this run was measured, where the run has such a stage."""
        part = _rdma(call, stack)
        if part is None or part.data.get("measured"):
            return []
        codes = list(dict.fromkeys(str(item["code"]) for item in part.findings))
        why = ", ".join(codes) or part.reason or part.state
        message = f"{stack.kind} {stack.name}: NCCL was not started because RDMA was not measured ({why})"
        return [finding("NCCL_PEER_NOT_READY", Where(pair=stack.name), message, evidence={"rdma": codes, "state": part.state})]

    def more(self, call: Call, stack: Stack) -> dict[str, Any]:
        """Whether the 13 Gb/s state was measured."""
        part = _rdma(call, stack)
        return {"slow_13g": part is not None and any(item["code"] == "RDMA_SLOW_13G" for item in part.findings)}


def _rdma(call: Call, stack: Stack) -> Part | None:
    """What RDMA said in this run: right before an update, or now."""
    before = call.stage is not None and call.stage.past
    return call.store.part("rdma_before" if before else "rdma", stack.head)
