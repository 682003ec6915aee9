# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that plain ``nvidia-smi`` prints: the last resort when nothing better was recorded."""

from __future__ import annotations

import re
from typing import Any

from . import nvidia_smi_error
from . import text as _text

_BANNER = re.compile(r"(?:Driver|KMD) Version: {0,8}([0-9.]{3,32})")
_CUDA = re.compile(r"CUDA (?:UMD )?Version: {0,8}([0-9.]{1,16})")
_GPU = re.compile(r"\| {1,8}([0-9]{1,3}) {1,4}(\S.{0,60}?) {2,60}(On|Off|ERR!|N/A) {1,8}\| {1,8}([0-9A-Fa-f:.]{7,20}) ")
_DEAD = re.compile(r"GPU requires reset|GPU is lost|ERR!|Unknown Error", re.IGNORECASE)
_TEMPERATURE = re.compile(r"(?<![0-9])([0-9]{1,3})C(?= )")
_POWER = re.compile(r"(?<![0-9.])([0-9]{1,4})W {0,4}/")
_LOAD = re.compile(r"(?<![0-9])([0-9]{1,3})% {1,12}\S")
_PROCESS = re.compile(
    r"\| {1,8}([0-9]{1,3}) {1,8}\S{1,5} {1,8}\S{1,5} {1,20}([0-9]{1,10}) {1,8}([CGM+]{1,3}) {1,8}(\S.{0,200}?)"
    r"(?: {2,200}([0-9]{1,9}MiB|N/A) {0,4}\||$)"
)
"""A row of the list; where its name has a line end, the first line of it."""


def read(text: str) -> dict[str, Any]:
    """Keys: driver_version, cuda_version, error, gpus (index, name, persistence_mode Enabled, Disabled or null, bus_id, temperature_c,
    power_draw_w, utilisation_percent, dead: words such as ERR! in place of readings), processes (pid, kind, name, memory_mib),
    processes_told."""
    result: dict[str, Any] = {"driver_version": None, "cuda_version": None, "gpus": [], "processes": [], "processes_told": False}
    result["error"] = nvidia_smi_error.read(text)
    for line in _text.lines(text, 512):
        if "Processes:" in line:
            result["processes_told"] = True
        if result["processes_told"]:
            # From here on a line may be part of a name, which its user chose: no GPU and no version is in it.
            _take_process(result["processes"], line)
            continue
        for key, pattern in (("driver_version", _BANNER), ("cuda_version", _CUDA)):
            found = pattern.search(line)
            if found and result[key] is None:
                result[key] = found.group(1)
        gpu = _GPU.match(line)
        if gpu and len(result["gpus"]) < 16:
            mode = {"On": "Enabled", "Off": "Disabled"}.get(gpu.group(3))
            result["gpus"].append(
                {
                    "index": int(gpu.group(1)),
                    "name": None if nvidia_smi_error.dead(gpu.group(2)) else gpu.group(2),
                    "persistence_mode": mode,
                    "bus_id": gpu.group(4),
                    **dict.fromkeys(("temperature_c", "power_draw_w", "utilisation_percent")),
                    "dead": [],
                }
            )
        if result["gpus"]:
            _readings(result["gpus"][-1], line)
        _take_process(result["processes"], line)
    return result


def _take_process(processes: list[dict[str, Any]], line: str) -> None:
    found = _PROCESS.match(line)
    if found and len(processes) < 512:
        memory = _text.to_int((found.group(5) or "").removesuffix("MiB"))
        processes.append({"pid": int(found.group(2)), "kind": found.group(3), "name": found.group(4), "memory_mib": memory})


def _readings(gpu: dict[str, Any], line: str) -> None:
    """The numbers of a GPU's second line, and the words that stand in place of any in its lines."""
    for key, pattern in (("temperature_c", _TEMPERATURE), ("power_draw_w", _POWER), ("utilisation_percent", _LOAD)):
        found = pattern.search(line)
        if found and gpu[key] is None:
            gpu[key] = float(found.group(1))
    for word in map(nvidia_smi_error.dead, _DEAD.findall(line)):
        if word and word not in gpu["dead"]:
            gpu["dead"].append(word)
