# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run rdma_pair on the head with both ends of the cable from the run's facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..module_utils.model.data import as_dict
from ..module_utils.model.link import Path
from ..plugin_utils.pair_measurement import PairMeasurement
from ..plugin_utils.run.model import Stack


class ActionModule(PairMeasurement):
    """See `PairMeasurement`."""

    module = "labops.dgx_spark.rdma_pair"
    what = "RDMA"
    not_measured = "RDMA_NOT_MEASURED"

    def ends(self, stack: Stack, paths: Sequence[Path]) -> dict[str, Any]:
        """Both ends of a pair's cable, or every path of a stack."""
        return super().ends(stack, paths) if stack.is_pair else {"paths": [as_dict(path) for path in paths]}
