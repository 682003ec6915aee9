# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/meminfo: the truth about unified memory (nvidia-smi does not report it on GB10)."""

from __future__ import annotations

from typing import Any

from . import text as _text

_NAMES = {
    "total_kb": "MemTotal",
    "available_kb": "MemAvailable",
    "free_kb": "MemFree",
    "swap_total_kb": "SwapTotal",
    "cma_total_kb": "CmaTotal",
    "cma_free_kb": "CmaFree",
}


def read(text: str) -> dict[str, Any]:
    """Keys: total_kb, available_kb, free_kb, swap_total_kb, cma_total_kb, cma_free_kb (kB of 1024 bytes, null when the file does not
    name them or breaks off before their unit; 0 only when it says 0) and values (every line of the file: name to number)."""
    values: dict[str, int] = {}
    sized: set[str] = set()
    for line in _text.lines(text):
        name, colon, rest = line.partition(":")
        words = rest.split()
        number = _text.to_int(words[0]) if colon and words else None
        name = name.strip()
        if number is not None and number >= 0 and 0 < len(name) <= 64 and len(values) < 200 and words[1:] in ([], ["kB"]):
            values.setdefault(name, number)
            if words[1:]:
                sized.add(name)
    return {key: values.get(name) if name in sized else None for key, name in _NAMES.items()} | {"values": values}
