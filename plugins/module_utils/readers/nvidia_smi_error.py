# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nvidia-smi prints instead of an answer. It may do so with exit code 0 (community reports), so the text decides."""

from __future__ import annotations

import re

from . import text as _text

PHRASES = (
    "NVIDIA-SMI has failed",
    "No devices were found",
    "Failed to initialize NVML",
    "Unable to determine the device handle",
    "couldn't communicate with the NVIDIA driver",
    'Field "',
    "Driver/library version mismatch",
    "Insufficient Permissions",
    "nvidia-smi: command not found",
    "nvidia-smi: not found",
)


DEAD = {
    "gpu requires reset": "GPU requires reset",
    "gpu is lost": "GPU is lost",
    "gpu has fallen off the bus": "GPU is lost",
    "err!": "ERR!",
    "unknown error": "Unknown Error",
}
"""Words that stand in place of a reading (exit code 0) when the GPU does not answer any more, and how they are told on."""

_DEPRECATED = re.compile(r"\s{0,8}\[Deprecated\b.*$|^Deprecated\b.*$", re.IGNORECASE)


def dead(value: str) -> str | None:
    """The word of `DEAD` that a value is, with or without brackets and an advice behind it; null for every other value."""
    plain = " ".join(value.strip().strip("[]").lower().split())
    return next((word for start, word in DEAD.items() if plain == start or plain.startswith(start + ".")), None)


def without_note(value: str) -> str:
    """A value without the note of nvidia-smi 610 and newer that its name will go; empty where the note is all there is."""
    return _DEPRECATED.sub("", value)


_PROCESS = re.compile(r"\s*(?:\[|\||[0-9]+\s*,|Name\s*:)")
"""How a line begins that names a process (list, table, -q), or puts a value in brackets. Its user chose the name."""


_PROCESSES = re.compile(r"[ |]*Processes(?: {0,80}:)?[ |]*$")
"""Where a list of processes begins, in -q and in the table. Behind it a line may be part of a name, which may hold line ends."""


def read(text: str) -> str | None:
    """The first line that is an error, null when there is none."""
    for line in _text.lines(text[:65536]):
        if _PROCESSES.match(line):
            return None
        # [Insufficient Permissions] in brackets is the value of one field, not a refusal.
        if any(phrase in line and f"[{phrase}]" not in line for phrase in PHRASES) and not _PROCESS.match(line):
            return _text.word(line)
    return None


def library_version(text: str) -> str | None:
    """The version in the line ``NVML library version: 580.173`` that a version mismatch prints."""
    for line in _text.lines(text[:65536]):
        name, _separator, value = line.partition(":")
        if name.strip() == "NVML library version":
            return _text.word(value)
    return None
