# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fast enough on a DGX Spark pair or stack: every mark with its source and the number of reports behind it.

A mark that is neither NVIDIA's own nor backed by three reports can warn, not fail. A lab's own marks (playbooks/calibrate.yml)
take the place of the thin ones.
"""

from __future__ import annotations

from dataclasses import dataclass

ENOUGH_REPORTS = 3


@dataclass(frozen=True)
class Mark:
    """A lower bound."""

    name: str
    value: float
    unit: str
    source: str
    reports: int
    official: bool = False
    bytes: int | None = None
    """Message size that it holds for (NCCL), null for all."""

    @property
    def may_fail(self) -> bool:
        """Whether staying below it is a failure; else it is a warning."""
        return self.official or self.reports >= ENOUGH_REPORTS


GIB = 1 << 30

MARKS: tuple[Mark, ...] = (
    Mark(
        "rdma_both_functions", 184.0, "Gb/s",
        "NVIDIA Sync Cluster Assistant, lower bound of its link speed test; NVIDIA's performance guide shows 189.85 Gb/s at MTU 1500",
        2, official=True,
    ),
    Mark("rdma_one_function", 95.0, "Gb/s", "user reports: 95 and more on a healthy function, 105 to 112 alone", 2),
    Mark(
        "rdma_25g", 30.0, "Gb/s",
        "one report (GIGABYTE): 25 Gb/s after the cable was connected again; eight of 12.7 to 13.4 Gb/s a function on a link plugged "
        "after boot, sends capped at 12.7 Gb/s", 1,
    ),
    Mark(
        "rdma_both_ways_one_function", 1.5, "times one way",
        "one report: a healthy cable carries 213 Gb/s both ways and 109 one way on a function, degraded ones 119 or 26 both ways", 1,
    ),
    Mark(
        "rdma_both_ways_least", 1.0, "times one way",
        "this collection's rule: a full-duplex link never carries less in two directions at once than in one alone", 0,
    ),
    Mark(
        "rdma_shared_desk", 0.4, "times alone",
        "this collection's rule: the two cables of a desk share the 200 Gb/s of its adapter (NVIDIA), so each carries half of what it "
        "carries alone, less a fifth", 0,
    ),
    Mark("nccl", 21.875, "GB/s", "NVIDIA dgx-spark-playbooks, MIN_NCCL_TEST_BW of the two-node all_gather test", 1, True, 16 * GIB),
    Mark("nccl", 21.0, "GB/s", "user reports: 22.1 to 22.5 at 4 GiB", 2, bytes=4 * GIB),
    Mark("nccl", 19.0, "GB/s", "user reports: 19.7 to 22 at 1 GiB", 2, bytes=1 * GIB),
    Mark("nccl", 15.0, "GB/s", "one report of 18.5 at 32 MiB", 1, bytes=32 << 20),
    Mark("nccl_ring", 10.0, "GB/s", "NVIDIA dgx-spark-playbooks, mark of the three-node ring's all_gather test", 1, True, 16 * GIB),
    Mark("nccl_ring", 10.0, "GB/s", "one report: 13.86 in a ring, all_reduce of 256 MiB, NCCL 2.30.7", 1, bytes=1 * GIB),
    Mark("nccl_one_function", 14.0, "GB/s", "user reports: one function alone gives 11.8 to 13.5 GB/s", 3),
    Mark("nccl_13g", 4.0, "GB/s", "user reports: a link in the 13 Gb/s state gives 2.8 to 3.2 GB/s", 3),
)  # fmt: skip
