# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv,noheader``: who computes on the GPU."""

from __future__ import annotations

import re
from typing import Any

from . import nvidia_smi_csv, nvidia_smi_error
from . import text as _text

_HEADER = re.compile(r"\s*pid\s*,")
_ROW = re.compile(r"\s*[0-9]+\s*,")

COMMAND = ("nvidia-smi", "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader")


def read(text: str) -> list[dict[str, Any]]:
    """A list of: pid, kind (always C), name, memory_mib (null when not told). A comma in a name is kept."""
    found = []
    # Whatever else stands there, such as a second line of a name that a user chose, hides nobody.
    lines = [line for place, line in enumerate(_text.lines(text)) if _ROW.match(line) or (not place and _HEADER.match(line))]
    for row in nvidia_smi_csv.read("\n".join(lines))["rows"]:
        pid = _text.to_int(row[0]) if row else None
        if pid is None or len(row) < 2:
            continue
        memory = _text.to_int(row[-1]) if len(row) > 2 else None
        names = row[1:-1] if len(row) > 2 else row[1:]
        found.append(
            {
                "pid": pid,
                "kind": "C",
                "name": ", ".join("unknown" if name is None else str(name) for name in names)[:1000],
                "memory_mib": memory,
            }
        )
    return found


def refused(text: str) -> str | None:
    """What nvidia-smi says instead of a list, which it may do with exit code 0: no answer is not the answer that nobody computes.

    Null where it lists anybody: then the words may be a program's name.
    """
    if read(text):
        return None
    dead = (nvidia_smi_error.dead(line) for line in _text.lines(text))
    return nvidia_smi_error.read(text) or next((word for word in dead if word), None)
