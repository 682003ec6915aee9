# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rdma resource show qp``: who has RDMA queue pairs."""

from __future__ import annotations

from typing import Any

from . import text as _text

COMMAND = ("rdma", "resource", "show", "qp")
_CORE = ("[ib_core]", "[mlx5_ib]")
"""The kernel's own, on every machine with such an adapter; any other name in brackets is a service that uses it."""


def read(text: str) -> list[dict[str, Any]]:
    """A list of owners, each once: pid, name. The kernel's services (NFS or NVMe over RDMA, SMC) have the pid 0."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for line in _text.lines(text):
        words = line.split()
        # The first of each: a user chooses what stands behind comm, which is the last.
        facts = {key: words[words.index(key) + 1] for key in ("pid", "comm") if key in words[:-1]}
        pid, name = _text.to_int(facts.get("pid")), _text.word(facts.get("comm"), 64) or "unknown"
        service = pid is None and name.startswith("[") and name not in _CORE
        if words[:1] == ["link"] and (service or (pid is not None and pid > 0)) and len(found) < 1000:
            found.setdefault((pid or 0, name if service else ""), {"pid": pid or 0, "name": name.strip("[]")})
    return list(found.values())
