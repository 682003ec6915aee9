# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU of one desk: found, and at its power under load."""

from __future__ import annotations

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .catalogue import finding
from .driver import driver_absent

LOAD_PERCENT = 90.0
"""Utilisation from which a reading counts as under load."""

CAPPED_WATTS = 35.0
"""Watts at or below which a loaded GPU is suspicious: the safety mode holds it near 30 W (four public reports)."""

CAPPED_CLOCK_SHARE = 0.5
"""Share of the highest SM clock below which a loaded GPU is held back. A kernel that only waits draws 18 to 21 W at a high
clock, so low power alone proves nothing (NCCL RAS notes of owners)."""


def judge_gpu(desk: Desk, where: Where) -> list[Finding]:
    """GPU_NOT_FOUND and GPU_POWER_CAPPED."""
    return [*presence(desk, where), *power(desk, where)]


def presence(desk: Desk, where: Where) -> list[Finding]:
    """GPU_NOT_FOUND; a desk without a driver, or with one of two versions, has that finding instead."""
    gpu, driver = desk.gpu, desk.driver
    if driver_absent(desk) or "version mismatch" in (driver.nvml_error or "").lower():
        return []
    if gpu.present is not False and gpu.count != 0:
        return []
    message = f"The driver {driver.module_version or '(version unknown)'} is loaded, but finds no GPU"
    message += f": {driver.nvml_error}" if driver.nvml_error else "."
    evidence = {"module": driver.module_version, "gsp": driver.gsp_version, "nvidia_smi": driver.nvml_error}
    return [finding("GPU_NOT_FOUND", where, message, evidence=evidence)]


def power(desk: Desk, where: Where) -> list[Finding]:
    """GPU_POWER_CAPPED, from a reading under load only."""
    gpu = desk.gpu
    load, watts, clock, highest = gpu.utilisation_percent, gpu.power_draw_w, gpu.clock_sm_mhz, gpu.clock_sm_max_mhz
    if load is None or watts is None or clock is None or not highest:
        return []
    if load < LOAD_PERCENT or watts > CAPPED_WATTS or clock >= CAPPED_CLOCK_SHARE * highest:
        return []
    message = f"At {load:g} % load the GPU draws {watts:g} W at {clock:g} MHz; its highest clock is {highest:g} MHz."
    evidence = {"utilisation_percent": load, "power_draw_w": watts, "clock_sm_mhz": clock, "clock_sm_max_mhz": highest}
    return [finding("GPU_POWER_CAPPED", where, message, evidence=evidence)]
