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
_GPU = re.compile(r"GPU ([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7])\s*$")
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
    lines = _lines(text)
    heads = sum(_GPU.match(line) is not None for line in lines)
    for line in lines:
        stripped = line.strip()
        head = _GPU.match(line)
        # Behind the first process any line may be its user's. A GPU counts there only where there are as many as were announced.
        if head and (section != "Processes" or heads == result["attached_gpus"]):
            gpu = _new_gpu(head.group(1)) if len(result["gpus"]) < GPUS_LIMIT else None
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
        if indent <= 4 and section != "Processes":
            section = "" if colon and value else name
            gpu["processes_told"] |= name == "Processes"
        _take(gpu, section, name, value, bool(colon))
    for gpu in result["gpus"]:
        gpu["processes"] = _each_once(gpu["processes"])
    return result


def _lines(text: str) -> list[str]:
    lines = _text.lines(text)
    first = next((line for line in lines if _ANCHOR.search(line[: _pasted.FRONT_LIMIT])), "")
    # Where it begins at once nobody put anything in front; what looks like a front in a later line is a process's.
    return lines if _ANCHOR.match(first) else _pasted.without_fronts(_pasted.bare(lines), _ANCHOR)


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
    # The list of processes is the last section of a GPU with anything that is read.
    if section == "Processes":
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
    """A process's type stands before its name, so the first one is nvidia-smi's."""
    if name == "Process ID":
        pid = _text.to_int(value)
        if pid is not None:
            processes.append({"pid": pid, "kind": None, "name": None, "memory_mib": None})
    elif processes and name == "Type" and processes[-1]["name"] is None:
        processes[-1]["kind"] = processes[-1]["kind"] or _value(value)
    elif processes and name == "Name":
        processes[-1]["name"] = processes[-1]["name"] or _value(value) or "unknown"
    elif processes and name == "Used GPU Memory":
        processes[-1]["memory_mib"] = _text.to_int(value.partition(" ")[0])


def _each_once(processes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No process twice: one that computes in any entry does, since another entry may stand in a name. They are kept before the others."""
    found: dict[int, dict[str, Any]] = {}
    for item in processes:
        known = found.setdefault(item["pid"], item)
        if known["kind"] == "G" and item["kind"] != "G":
            known["kind"] = item["kind"]
    told = [{**item, "name": item["name"] or "unknown"} for item in found.values()]
    return told if len(told) <= PROCESSES_LIMIT else sorted(told, key=lambda item: item["kind"] == "G")[:PROCESSES_LIMIT]


def _value(value: str) -> str | None:
    value = nvidia_smi_error.without_note(value)
    if nvidia_smi_error.dead(value) or value.lower().startswith("requested functionality has been deprecated"):
        return None
    return None if value.lower() in _NULLS else _text.word(value)
