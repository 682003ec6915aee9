# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/driver/nvidia/version: the loaded kernel module."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

# A version ends at a blank or at the end of the line; "580." is what a truncated file leaves of one.
_NUMBER = r"(?:\s{1,16}([0-9]{1,6}(?:\.[0-9]{1,6}){1,4})(?=\s|$))?"
_OPEN = re.compile(r"NVIDIA UNIX Open Kernel Module for (\S{1,32})" + _NUMBER)
# A damaged line of the open module ("... Open Kernel Module") names no architecture and must not pass for the proprietary one.
_PROPRIETARY = re.compile(r"NVIDIA UNIX (?!Open\b)(\S{1,32})\s{1,4}Kernel Module(?=\s|$)" + _NUMBER)


def read(text: str) -> dict[str, Any]:
    """Keys: version, open (whether it is the open module), arch (aarch64), gcc (text). Null for what is not there."""
    result: dict[str, Any] = {"version": None, "open": None, "arch": None, "gcc": None}
    for line in _text.lines(text):
        if line.startswith("GCC version:"):
            result["gcc"] = _text.word(line.partition(":")[2])
        if result["open"] is not None or "NVIDIA UNIX" not in line:
            continue
        for is_open, pattern in ((True, _OPEN), (False, _PROPRIETARY)):
            found = pattern.search(line)
            if found:
                result.update(version=found.group(2), open=is_open, arch=found.group(1))
                break
    return result
