# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses the members of a stack at this moment: asked right before and right after a measurement, because facts are minutes old."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..desk import MISSING, TIMEOUT, Answer, readings
from ..model.desk import Busy
from ..model.driver import GpuProcess
from ..model.proof import DeskUse
from ..readers import compute_apps, passwd, proc_status, process_name, rdma_resource
from .side import Side

TIME_LIMIT = 15.0
"""Seconds for one answer; a desk whose driver hangs must not hang the measurement."""


def uses(sides: Sequence[Side]) -> tuple[DeskUse, ...]:
    """Who uses the GPU and RDMA of each member now. Raises SideError for a member that is lost."""
    return tuple(_use(side) for side in sides)


def _use(side: Side) -> DeskUse:
    # Before the question: what is still ending when it is asked is then known as ours.
    own = set(side.ask("marked").get("pids", ()))
    on_gpu, on_rdma = _answer(side, compute_apps.COMMAND), _answer(side, rdma_resource.COMMAND)
    # Without a driver nobody computes; without an answer nobody knows. A GPU that is gone is told with exit code 0 too.
    silent = (not on_gpu.ok and on_gpu.error != MISSING) or (on_gpu.ok and compute_apps.refused(on_gpu.stdout) is not None)
    reasons = [_reason(answer) for answer, missed in ((on_gpu, silent), (on_rdma, not on_rdma.ok)) if missed]
    gpu = compute_apps.read(on_gpu.stdout) if on_gpu.ok else []
    rdma = rdma_resource.read(on_rdma.stdout) if on_rdma.ok else []
    busy = Busy(_processes(side, gpu, own), _processes(side, rdma, own), readable=not reasons)
    return DeskUse(side.name, busy, "; ".join(reasons) or None)


def _answer(side: Side, argv: Sequence[str]) -> Answer:
    """Asked again once, with three times the time, where an answer was late: an overloaded desk is not a busy one."""
    answer = side.run(argv, timeout=TIME_LIMIT)
    return readings(side.run(argv, timeout=3 * TIME_LIMIT) if answer.error == TIMEOUT else answer)


def _reason(answer: Answer) -> str:
    said = " ".join((answer.stderr or answer.stdout).split())[-200:]
    return f"{' '.join(answer.argv[:4])}: {answer.error or said or f'exit {answer.rc}'}"


def _processes(side: Side, found: Sequence[dict[str, Any]], own: set[int]) -> tuple[GpuProcess, ...]:
    others = [item for item in found if item["pid"] not in own]
    return tuple(
        GpuProcess(item["pid"], process_name.read(item["name"]), item.get("kind"), item.get("memory_mib"), _user(side, item["pid"]))
        for item in others
    )


def _user(side: Side, pid: int) -> str | None:
    """The name of a process's user; of a directory service's too, and the number where it has no name."""
    uid = proc_status.read(side.read_text(f"/proc/{pid}/status").text or "")["uid"]
    if uid is None:
        return None
    named = passwd.read(side.run(("getent", "passwd", str(uid)), timeout=TIME_LIMIT).stdout)
    return str(named[0]["name"]) if named else f"uid {uid}"
