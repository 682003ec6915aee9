# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``nvidia-smi -q``: driver, GSP firmware, persistence, clocks and processes of each GPU."""

from __future__ import annotations

import re
from typing import Any

from . import nvidia_smi_error
from . import pasted as _pasted
from . import text as _text

GPUS_LIMIT = 16
PROCESSES_LIMIT = 512
_ANCHOR = re.compile(r"(?:Timestamp|Driver Version|CUDA Version|KMD Version|CUDA UMD Version|Attached GPUs) {1,60}: ")
"""Lines that begin without a blank, whatever somebody's tool wrote in front of them."""
_NULLS = ("", "n/a", "not supported", "[n/a]", "[not supported]", "unknown error", "insufficient permissions", "none")


def read(text: str) -> dict[str, Any]:
    """Keys: driver_version, cuda_version, attached_gpus, error (what nvidia-smi said instead), gpus. A GPU has: bus_id, product_name,
    architecture, persistence_mode (Enabled, Disabled), vbios_version, gsp_version, temperature_c, power_draw_w, clock_sm_mhz,
    clock_sm_max_mhz, utilisation_percent, recovery_action (Reset, Reboot ...; None is a text too), reset_required, reset_kind (Reset,
    Drain and Reset; null where none is wanted), addressing_mode (ATS, None ...), dead (words such as GPU requires reset that stand in
    place of readings), processes (pid, kind, name, memory_mib), processes_told (whether the answer speaks of processes). Null for what is
    absent, N/A or Not Supported."""
    result: dict[str, Any] = {"driver_version": None, "cuda_version": None, "attached_gpus": None, "gpus": []}
    result["error"] = nvidia_smi_error.read(text)
    gpu: dict[str, Any] | None = None
    section = ""
    for line in _pasted.without_fronts(_pasted.bare(_text.lines(text)), _ANCHOR):
        stripped = line.strip()
        if line.startswith("GPU ") and ":" in line:
            gpu = _new_gpu(line[4:].strip()) if len(result["gpus"]) < GPUS_LIMIT else None
            if gpu is not None:
                result["gpus"].append(gpu)
            section = ""
            continue
        name, colon, value = stripped.partition(" :")
        if not colon:
            name, colon, value = stripped.partition(":")
        name, value = " ".join(name.split()), value.strip()
        if gpu is None:
            key = _VERSIONS.get(name)
            # Where both names are there, the new one has no note behind its value.
            if key == "cuda_version" and _RELEASE.match(value) is None:
                continue  # "Not Found" where nvidia-smi finds no libcuda
            if key is not None and (version := _value(value)) is not None and (result[key] is None or "MD " in name):
                result[key] = version
            elif name == "Attached GPUs":
                result["attached_gpus"] = _text.to_int(value)
            continue
        indent = len(line) - len(line.lstrip(" "))
        if indent <= 4:
            section = "" if colon and value and name != "Processes" else name
        _take(gpu, section, name, value, bool(colon))
    return result


def _new_gpu(bus_id: str) -> dict[str, Any]:
    keys = ("product_name", "architecture", "persistence_mode", "vbios_version", "gsp_version", "temperature_c", "power_draw_w")
    return {
        "bus_id": _text.word(bus_id, 64),
        **dict.fromkeys((*keys, "clock_sm_mhz", "clock_sm_max_mhz", "utilisation_percent")),
        "recovery_action": None,
        "reset_required": None,
        "reset_kind": None,
        "addressing_mode": None,
        "dead": [],
        "processes": [],
        "processes_told": False,
    }


_VERSIONS = {
    "Driver Version": "driver_version",
    "KMD Version": "driver_version",
    "CUDA Version": "cuda_version",
    "CUDA UMD Version": "cuda_version",
}
"""The second name of each is that of nvidia-smi 610 and newer."""
_RELEASE = re.compile(r"\d{1,3}\.\d")
_RESETS = {"Reset Required": "Reset", "Drain and Reset Recommended": "Drain and Reset"}
"""Lines of the section GPU Reset Status, and the word of GPU Recovery Action that means the same."""
_STATES = {"GPU Recovery Action": "recovery_action", "Addressing Mode": "addressing_mode"}
"""Fields where ``None`` is an answer."""
_TEXTS = {
    "Product Name": "product_name",
    "Product Architecture": "architecture",
    "Persistence Mode": "persistence_mode",
    "VBIOS Version": "vbios_version",
    "GSP Firmware Version": "gsp_version",
}
_NUMBERS = {
    ("Temperature", "GPU Current Temp"): "temperature_c",
    ("GPU Power Readings", "Instantaneous Power Draw"): "power_draw_w",
    ("GPU Power Readings", "Power Draw"): "power_draw_w",
    ("GPU Power Readings", "Average Power Draw"): "power_draw_w",
    ("Power Readings", "Power Draw"): "power_draw_w",
    ("Clocks", "SM"): "clock_sm_mhz",
    ("Max Clocks", "SM"): "clock_sm_max_mhz",
    ("Utilization", "Gpu"): "utilisation_percent",
    ("Utilization", "GPU"): "utilisation_percent",
}

FIELDS = (*_VERSIONS, *_STATES, *_RESETS, *_TEXTS, *(item for pair in _NUMBERS for item in pair), "GPU Reset Status")
"""Names of the fields and sections that are read, besides those of processes."""


def _take(gpu: dict[str, Any], section: str, name: str, value: str, told: bool) -> None:
    if section == "Processes" or name == "Processes":
        gpu["processes_told"] = True
        _take_process(gpu["processes"], name, value)
        return
    if not told:
        return
    word = nvidia_smi_error.dead(value)
    if word and word not in gpu["dead"]:
        gpu["dead"].append(word)
    if name in _STATES and gpu[_STATES[name]] is None:
        gpu[_STATES[name]] = "None" if value.lower() == "none" else _value(value)
    elif name in _RESETS and value.lower() in ("yes", "no"):
        # Either of them asks for a reset; a later "No" of the other takes nothing back.
        gpu["reset_required"] = value.lower() == "yes" or bool(gpu["reset_required"])
        if value.lower() == "yes":
            gpu["reset_kind"] = _RESETS[name]
    if name in _TEXTS and gpu[_TEXTS[name]] is None:
        gpu[_TEXTS[name]] = _value(value)
    key = _NUMBERS.get((section, name))
    if key is not None and gpu[key] is None:
        gpu[key] = _text.to_float(value.partition(" ")[0])


def _take_process(processes: list[dict[str, Any]], name: str, value: str) -> None:
    if name == "Process ID":
        pid = _text.to_int(value)
        if pid is not None and len(processes) < PROCESSES_LIMIT:
            processes.append({"pid": pid, "kind": None, "name": "unknown", "memory_mib": None})
    elif processes and name == "Type":
        processes[-1]["kind"] = _value(value)
    elif processes and name == "Name":
        processes[-1]["name"] = _value(value) or "unknown"
    elif processes and name == "Used GPU Memory":
        processes[-1]["memory_mib"] = _text.to_int(value.partition(" ")[0])


def _value(value: str) -> str | None:
    value = nvidia_smi_error.without_note(value)
    if nvidia_smi_error.dead(value) or value.lower().startswith("requested functionality has been deprecated"):
        return None
    return None if value.lower() in _NULLS else _text.word(value)
