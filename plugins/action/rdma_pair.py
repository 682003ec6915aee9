# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run rdma_pair on the head with both ends of the cable from the run's facts."""

from __future__ import annotations

from ..plugin_utils.pair_measurement import PairMeasurement


class ActionModule(PairMeasurement):
    """See `PairMeasurement`."""

    module = "labops.dgx_spark.rdma_pair"
    what = "RDMA"
    not_measured = "RDMA_NOT_MEASURED"
