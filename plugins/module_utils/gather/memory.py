# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unified memory."""

from __future__ import annotations

from ..model.desk import Memory
from ..readers import meminfo
from .ask import Ask
from .options import Options


def gather(ask: Ask, options: Options) -> Memory:
    """/proc/meminfo."""
    file = ask.text("/proc/meminfo")
    read = meminfo.read(file.text or "")
    values = {key: read[key] for key in ("total_kb", "available_kb", "free_kb", "swap_total_kb", "cma_total_kb", "cma_free_kb")}
    for key, value in values.items():
        ask.told(f"memory.{key}", value, file)
    return Memory(**values)
