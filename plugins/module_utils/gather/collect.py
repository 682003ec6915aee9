# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything about a desk, in one call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..desk import Desk as Door
from ..model.desk import Desk
from ..readers import proc_status, rdma_resource
from . import apt, busy, clock, cx7, dgx_os, driver, gpu, identity, kernel, kernel_log, limits, memory, network, setup, toolkit
from .ask import Ask
from .links import ADDRESSES
from .options import Options, choose

__all__ = ["Options", "choose", "collect"]

GATHERERS: dict[str, Callable[[Ask, Options], Any]] = {
    "identity": identity.gather,
    "dgx_os": dgx_os.gather,
    "kernel": kernel.gather,
    "driver": driver.gather,
    "gpu": gpu.gather,
    "memory": memory.gather,
    "toolkit": toolkit.gather,
    "cx7": cx7.gather,
    "network": network.gather,
    "apt": apt.gather,
    "limits": limits.gather,
    "clock": clock.gather,
    "busy": busy.gather,
    "setup": setup.gather,
}

SLOW: dict[tuple[str, ...], tuple[str, ...]] = {
    gpu.DETAIL: ("identity", "driver", "gpu", "busy"),
    gpu.QUERY: ("identity", "driver", "gpu", "busy"),
    ADDRESSES[0]: ("cx7", "network"),
    kernel_log.QUESTIONS[0]: ("cx7", "kernel"),
    driver.LICENSE: ("driver",),
    apt.FILES: ("apt",),
    rdma_resource.COMMAND: ("busy",),
}
"""Commands that are certainly asked for a subset: they run at the same time."""


def collect(desk: Door, options: Options | None = None) -> Desk:
    """All facts of a desk. What could not be read is null and explained in ``unread``; no answer of a desk raises."""
    return gather(desk, options)[0]


def gather(desk: Door, options: Options | None = None) -> tuple[Desk, int]:
    """The facts, and how many commands were started for them."""
    options = options or Options()
    ask = Ask(desk)
    ask.prefetch([argv for argv, subsets in SLOW.items() if set(subsets) & set(options.subsets)])
    values: dict[str, Any] = {name: GATHERERS[name](ask, options) for name in options.subsets}
    if "dgx_os" in options.subsets:
        values["ubuntu"] = dgx_os.ubuntu(ask)
    uid = proc_status.read(ask.text("/proc/self/status").text or "")["uid"]
    facts = Desk(
        run_id=options.run_id,
        collected_at=options.now,
        subsets=options.subsets,
        privileged=None if uid is None else uid == 0,
        kernel_log_readable=cx7.read_log(ask) is not None if "cx7" in options.subsets else None,
        **values,
    )
    return dataclasses.replace(facts, unread=dict(sorted(ask.unread.items()))), ask.processes
