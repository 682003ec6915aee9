# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rdma resource show qp``: who has RDMA queue pairs."""

from __future__ import annotations

from typing import Any

from . import text as _text

COMMAND = ("rdma", "resource", "show", "qp")


def read(text: str) -> list[dict[str, Any]]:
    """A list of user-space owners, each once: pid, name. Queue pairs of the kernel have no pid and are left out."""
    found: dict[int, dict[str, Any]] = {}
    for line in _text.lines(text):
        words = line.split()
        facts = {key: words[place + 1] for place, key in enumerate(words[:-1]) if key in ("pid", "comm")}
        pid = _text.to_int(facts.get("pid"))
        if words[:1] == ["link"] and pid is not None and pid > 0 and len(found) < 1000:
            found.setdefault(pid, {"pid": pid, "name": _text.word(facts.get("comm"), 64) or "unknown"})
    return list(found.values())
