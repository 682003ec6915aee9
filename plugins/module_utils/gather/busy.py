# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses the GPU or RDMA now."""

from __future__ import annotations

from itertools import chain
from typing import Any

from ..desk import DENIED, MISSING
from ..model.desk import Busy
from ..model.driver import GpuProcess
from ..readers import compute_apps, proc_status, process_name, rdma_resource
from .ask import Ask
from .functions import functions
from .gpu import smi
from .limits import user_name
from .options import Options

COMPUTE_PLAIN = ("nvidia-smi", "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader,nounits")
UVM = "/dev/nvidia-uvm"
"""Opened by every process that uses CUDA, and by no display server."""
HOLDERS_LIMIT = 1000
"""Processes that are told."""
OPEN_LIMIT = 200_000
"""Open files of all processes together that are looked at; one user can have a million."""
DAEMONS = ("/usr/bin/nvidia-persistenced",)
"""The driver's own programs, which a reboot does not disturb. By their files: a process may give itself any name."""


def gather(ask: Ask, options: Options) -> Busy:
    """Processes on the GPU, processes with RDMA queue pairs."""
    on_gpu = _gpu_processes(ask)
    on_rdma = _rdma_users(ask)
    if on_gpu is None:
        ask.miss("busy.gpu_processes", smi(ask).error, *smi(ask).sources[:1])
    if on_rdma is None:
        ask.miss("busy.rdma_users", ask.asked(*rdma_resource.COMMAND))
    return Busy(
        gpu_processes=tuple(_process(ask, item) for item in (on_gpu or [])[:HOLDERS_LIMIT]),
        rdma_users=tuple(_process(ask, item) for item in (on_rdma or [])[:HOLDERS_LIMIT]),
        readable=on_gpu is not None and on_rdma is not None,
    )


def _gpu_processes(ask: Ask) -> list[dict[str, Any]] | None:
    found = _told_processes(ask)
    for argv in ask.recorded("nvidia-smi"):
        # A recording may hold several answers that were not taken at one moment: every process in one of them counts.
        answer = ask.run(*argv) if any(word.startswith("--query-compute-apps=pid,") for word in argv) else None
        if answer is not None and answer.ok:
            found = _united(found or [], compute_apps.read(answer.stdout))
    return found


def _told_processes(ask: Ask) -> list[dict[str, Any]] | None:
    told = smi(ask)
    listed: list[dict[str, Any]] | None = None
    if told.detail and any(gpu["processes_told"] for gpu in told.detail["gpus"]):
        listed = [process for gpu in told.detail["gpus"] for process in gpu["processes"]]
    elif told.table and told.table["processes_told"]:
        listed = told.table["processes"]
    elif told.error and not told.worked:
        return _holders(ask)
    elif told.missing:
        return []  # without a driver nobody computes
    # Also where the processes were listed with all else: a list in which a name of a user's stands between the rows proves nobody idle.
    answer = ask.first_answer(compute_apps.COMMAND, COMPUTE_PLAIN)
    if not answer.ok or compute_apps.refused(answer.stdout):
        return listed
    return _united(listed or [], compute_apps.read(answer.stdout))


def _united(*answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each process once. One that computes in any answer computes; where there are too many to tell, those come first."""
    found: dict[int, dict[str, Any]] = {}
    for item in chain.from_iterable(answers):
        known = found.setdefault(item["pid"], item)
        if known["kind"] == "G" and item["kind"] != "G":
            found[item["pid"]] = {**known, "kind": item["kind"]}
    every = list(found.values())
    return every if len(every) <= HOLDERS_LIMIT else sorted(every, key=lambda item: item["kind"] == "G")


def _holders(ask: Ask) -> list[dict[str, Any]] | None:
    """Processes that hold the device of every computation, where nvidia-smi only says an error.

    After an upgrade of the driver its library is newer than the module that is loaded, so that nothing new can use the GPU until the
    reboot; what ran before goes on. A driver that finds its GPU no more must not keep its desk from a repair either. Null where the
    processes, or another user's, may not be looked at, or hold open more than a look has time for.
    """
    found, looked = [], 0
    pids = [name for name in ask.names("/proc") if name.isdecimal()]
    for pid in pids:
        held = ask.listing(f"/proc/{pid}/fd")
        looked += len(held.names)
        if held.error == DENIED or looked > OPEN_LIMIT:
            return None
        on_gpu = any(ask.target(f"/proc/{pid}/fd/{name}") == UVM for name in held.names)
        if on_gpu and ask.target(f"/proc/{pid}/exe") not in DAEMONS:
            found.append({"pid": int(pid), "name": ask.word(f"/proc/{pid}/comm") or "unknown", "kind": "C"})
    return found if pids else None


def _rdma_users(ask: Ask) -> list[dict[str, Any]] | None:
    answer = ask.run(*rdma_resource.COMMAND)
    if answer.ok:
        return rdma_resource.read(answer.stdout)
    adapter = functions(ask)
    if adapter.looked and not any(item.rdma for item in adapter.found) and answer.error in (None, MISSING):
        return []
    return None


def _process(ask: Ask, item: dict[str, Any]) -> GpuProcess:
    uid = proc_status.read(ask.text(f"/proc/{item['pid']}/status").text or "")["uid"]
    return GpuProcess(item["pid"], process_name.read(item["name"]), item.get("kind"), item.get("memory_mib"), user_name(ask, uid))
