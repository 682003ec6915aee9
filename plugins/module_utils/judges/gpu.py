# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU of one desk: found, alive, usable by programs, and at its power under load."""

from __future__ import annotations

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named
from .driver import NOT_LOADED, REBOOT, driver_absent, proprietary

LOAD_PERCENT = 80.0
"""Utilisation from which a reading counts as under load (what owners' own tools take)."""

CAPPED_WATTS = 35.0
"""Watts at or below which a loaded GPU is suspicious: the safety mode holds it near 30 W (four public reports)."""

CAPPED_CLOCK_SHARE = 0.5
"""Share of the highest SM clock below which a loaded GPU is held back. A kernel that only waits draws 18 to 21 W at a high
clock, so low power alone proves nothing (NCCL RAS notes of owners)."""

IDLE_PERCENT = 1.0
"""Utilisation up to which a reading counts as idle."""
IDLE_WATTS = 12.0
"""Watts from which an idle GPU at its lowest clock is worth a note: idle desks draw 4 to 5 W, a latched one 14 W (one report)."""
IDLE_CLOCK_SHARE = 0.1
"""Share of the highest SM clock up to which a clock counts as the lowest."""

APPLICATION_XIDS = frozenset({"13", "31", "32", "43", "45", "68", "69", "94"})
"""Xids that a program's own error causes (NVIDIA's list of Xids); the GPU goes on working."""

RECOVERY_XID = "154"
"""What the driver says of the recovery that it asks for, or no longer asks for: judged by that, and no error of its own."""

WELL = (None, "None", "N/A")

HANGS = "blocked for more than"
"""How the kernel says that a program waits for the driver, and nothing of why."""

PROPRIETARY_ONLY = "0x62:0x1a:2631"
"""Error of RmInitAdapter that the proprietary module gives on GB10 (two public reports)."""

OPEN_MODULE = (
    "GB10 does not work with the proprietary module, which is loaded here: install the open one in its place (its packages end in -open), "
    "then reboot the desk."
)


def judge_gpu(desk: Desk, where: Where) -> list[Finding]:
    """GPU_NOT_FOUND, GPU_FAILED, GPU_ERRORS_LOGGED, GPU_WARNED, GPU_MEMORY_MODE and GPU_POWER_CAPPED."""
    dead = failed(desk, where)
    missing = presence(desk, where) if not dead else []
    found = [*missing, *dead, *([] if dead or missing else logged(desk, where))]
    return [*found, *warned(desk, where), *addressing(desk, where), *power(desk, where)]


def _explained(desk: Desk) -> bool:
    """Whether the driver's own findings say already why the GPU does not answer."""
    return driver_absent(desk) or "version mismatch" in (desk.driver.nvml_error or "").lower()


def presence(desk: Desk, where: Where) -> list[Finding]:
    """GPU_NOT_FOUND; a desk without a driver, or with one of two versions, has that finding instead."""
    gpu, driver = desk.gpu, desk.driver
    if _explained(desk) or (gpu.present is not False and gpu.count != 0):
        return []
    message = f"The driver {driver.module_version or '(version unknown)'} is loaded but finds no GPU"
    message += f": {driver.nvml_error}" if driver.nvml_error else "."
    lines = _lines(desk)
    if lines:
        message += f" The kernel says: {lines[0]}"
    evidence = {"module": driver.module_version, "gsp": driver.gsp_version, "nvidia_smi": driver.nvml_error, "kernel": lines}
    return [finding("GPU_NOT_FOUND", where, message, evidence=evidence, remedy=OPEN_MODULE if proprietary(desk) else None)]


def failed(desk: Desk, where: Where) -> list[Finding]:
    """GPU_FAILED: nvidia-smi, the driver's wish for a recovery, or a silence that the kernel log explains."""
    if _explained(desk):
        return []
    gpu = desk.gpu
    # What nvidia-smi says now counts; the log may tell of a recovery that was done since.
    action = gpu.recovery_action if gpu.recovery_action is not None else desk.kernel.events.recovery_action
    said = _said(desk)
    if said is not None:
        message = f"The GPU does not respond: nvidia-smi says {said}"
    elif gpu.smi == "timeout" and _trouble(desk):
        message = "The GPU does not respond: nvidia-smi did not end within its time limit"
    elif action not in WELL:
        message = "The GPU still responds, but cannot be relied on"
    else:
        return []
    if action not in WELL:
        message += f"; the driver asks for this recovery: {action}"
    lines = _lines(desk)
    message += f". The kernel says: {lines[0]}" if lines else "."
    remedy = OPEN_MODULE if proprietary(desk) else None
    if remedy is None and any(PROPRIETARY_ONLY in line for line in lines):
        remedy = f"{REBOOT} {PROPRIETARY_ONLY} is what the proprietary module reports: modinfo -F license nvidia must print Dual MIT/GPL."
    elif remedy is None and said is None and gpu.smi == "timeout" and _only_memory(desk):
        remedy = f"Memory ran out: stop what is using it (free -h; sudo journalctl -k | grep -i 'out of memory'). {REBOOT}"
    evidence = {"nvidia_smi": said or gpu.smi, "recovery_action": action, "xids": dict(desk.kernel.events.xids), "kernel": lines}
    return [finding("GPU_FAILED", where, message, evidence=evidence, remedy=remedy)]


def _said(desk: Desk) -> str | None:
    """What nvidia-smi says of a dead GPU, null when it says nothing of the kind."""
    gpu = desk.gpu
    if gpu.dead_readings:
        live = any(value is not None for value in (gpu.clock_sm_mhz, gpu.power_draw_w, gpu.temperature_c, gpu.utilisation_percent))
        return f"{named(gpu.dead_readings)} instead of {'some ' if live else ''}readings"
    error = desk.driver.nvml_error or ""
    if desk.kernel.events.gpu_failures and any(words in error for words in NOT_LOADED):
        return error  # although the module is loaded
    dead = ("Unable to determine the device handle", "GPU is lost", "GPU requires reset", "fallen off the bus", "Unknown Error")
    return error if any(word in error for word in dead) else None


def _trouble(desk: Desk) -> bool:
    events = desk.kernel.events
    return bool(events.gpu_lines or events.gpu_failures or events.oom_lines or events.gpu_memory_errors)


def _lines(desk: Desk, limit: int = 6) -> list[str]:
    """The kernel's telling lines: failures first, then Xids that no program caused, then the rest, then the driver's lines about
    memory; one that says only that somebody waits comes behind them, and programs that the kernel killed last."""
    events = desk.kernel.events
    own = [line for line in events.gpu_lines if _xid(line) not in APPLICATION_XIDS]
    told = [*sorted(own, key=lambda line: _xid(line) is None), *events.gpu_failures, *events.gpu_lines]
    ordered = [*sorted([*told, *events.gpu_memory_lines[:2]], key=lambda line: HANGS in line), *events.oom_lines]
    return list(dict.fromkeys(ordered))[:limit]


def _only_memory(desk: Desk) -> bool:
    """Whether the log knows no other cause than memory that ran out."""
    events = desk.kernel.events
    return not events.gpu_lines or (events.gpu_memory_errors > 0 and all(HANGS in line for line in events.gpu_lines))


def _xid(line: str) -> str | None:
    """The number of the Xid that a line reports."""
    _head, found, tail = line.partition("NVRM: Xid (")
    number = tail.partition("): ")[2].partition(",")[0] if found else ""
    return number if number.isdecimal() else None


def logged(desk: Desk, where: Where) -> list[Finding]:
    """GPU_ERRORS_LOGGED: errors since the boot on a GPU that answers now. Programs' own errors and used up memory are a note."""
    events = desk.kernel.events
    if not _trouble(desk) and not events.oom_kills:
        return []
    serious = {number: count for number, count in events.xids.items() if number not in (*APPLICATION_XIDS, RECOVERY_XID)}
    told = [f"Xid {number} {_times(count)}" for number, count in sorted(events.xids.items(), key=lambda item: int(item[0]))]
    if events.gpu_failures:
        told.append(f"the GPU driver failed {_times(len(events.gpu_failures))}")
    if events.gpu_memory_errors:
        told.append(f"the GPU driver got no memory {_times(events.gpu_memory_errors)}")
    if events.oom_kills or events.oom_lines:
        told.append(f"the kernel killed programs for lack of memory {_times(max(events.oom_kills, 1))}")
    message = f"Since this boot the kernel logged: {named(told)}."
    severity = "warn" if serious or events.gpu_failures else "note"
    evidence = {
        "xids": dict(events.xids),
        "kernel": _lines(desk),
        "oom_kills": events.oom_kills,
        "gpu_memory_errors": events.gpu_memory_errors,
    }
    return [finding("GPU_ERRORS_LOGGED", where, message, evidence=evidence, severity=severity)]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def warned(desk: Desk, where: Where) -> list[Finding]:
    """GPU_WARNED."""
    told = desk.gpu.warnings
    if not told:
        return []
    return [finding("GPU_WARNED", where, f"nvidia-smi warns: {named(told, 2)}.", evidence={"warnings": list(told)})]


def addressing(desk: Desk, where: Where) -> list[Finding]:
    """GPU_MEMORY_MODE."""
    if (desk.gpu.addressing_mode or "").lower() != "none":
        return []
    message = (
        f"Programs cannot use the GPU: on kernel {desk.kernel.running or 'unknown'} it has no addressing mode (nvidia-smi -q); "
        "ATS was expected."
    )
    evidence = {"addressing_mode": desk.gpu.addressing_mode, "kernel": desk.kernel.running}
    return [finding("GPU_MEMORY_MODE", where, message, evidence=evidence)]


def power(desk: Desk, where: Where) -> list[Finding]:
    """GPU_POWER_CAPPED, from a reading under load; an idle GPU that draws far too much is a note."""
    gpu = desk.gpu
    load, watts, clock, highest = gpu.utilisation_percent, gpu.power_draw_w, gpu.clock_sm_mhz, gpu.clock_sm_max_mhz
    if load is None or watts is None or clock is None or not highest:
        return []
    evidence = {"utilisation_percent": load, "power_draw_w": watts, "clock_sm_mhz": clock, "clock_sm_max_mhz": highest}
    if load >= LOAD_PERCENT and watts <= CAPPED_WATTS and clock < CAPPED_CLOCK_SHARE * highest:
        message = f"At {load:g} % load the GPU draws {watts:g} W at {clock:g} MHz; its maximum clock is {highest:g} MHz."
        return [finding("GPU_POWER_CAPPED", where, message, evidence=evidence)]
    if load <= IDLE_PERCENT and watts >= IDLE_WATTS and clock <= IDLE_CLOCK_SHARE * highest:
        message = f"The idle GPU draws {watts:g} W at {clock:g} MHz; 4 to 5 W is usual. Its clock may be stuck: measure it under load."
        return [finding("GPU_POWER_CAPPED", where, message, evidence=evidence, severity="note")]
    return []
