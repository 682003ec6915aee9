# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nvidia-smi prints instead of an answer. It may do so with exit code 0 (community reports), so the text decides."""

from __future__ import annotations

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


def read(text: str) -> str | None:
    """The first line that is an error, null when there is none."""
    for line in _text.lines(text[:65536]):
        # [Insufficient Permissions] in brackets is the value of one field, not a refusal.
        if any(phrase in line and f"[{phrase}]" not in line for phrase in PHRASES) and not line.lstrip().startswith("["):
            return _text.word(line)
    return None


def library_version(text: str) -> str | None:
    """The version in the line ``NVML library version: 580.173`` that a version mismatch prints."""
    for line in _text.lines(text[:65536]):
        name, _separator, value = line.partition(":")
        if name.strip() == "NVML library version":
            return _text.word(value)
    return None
