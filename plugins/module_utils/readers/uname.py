# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``uname -a`` and /proc/version."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

MACHINES = ("aarch64", "x86_64", "arm64", "armv7l", "i686", "ppc64le", "riscv64", "s390x")


def read(text: str) -> dict[str, Any]:
    """Keys: hostname, release, machine. Null for what is absent; /proc/version names neither host nor machine."""
    words = (_text.first_line(text) or "").split()
    result: dict[str, Any] = dict.fromkeys(("hostname", "release", "machine"))
    if len(words) < 3 or words[0] != "Linux":
        return result
    place = 2
    if words[1] != "version":
        result["hostname"] = words[1]
        result["machine"] = next((word for word in reversed(words) if word in MACHINES), None)
    if re.match(r"[0-9]{1,4}\.[0-9]{1,4}", words[place]):
        result["release"] = words[place]
    return result
