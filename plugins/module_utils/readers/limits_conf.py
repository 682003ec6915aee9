# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/security/limits.conf and limits.d: what pam_limits gives a new session."""

from __future__ import annotations

from typing import Any

from . import text as _text

LINES_LIMIT = 2000


def read(text: str) -> list[dict[str, Any]]:
    """A list of memlock lines in order: domain (user, @group or *), kind (soft, hard or -), bytes (-1 for unlimited). The file counts in
    KiB (limits.conf manual)."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        words = line.partition("#")[0].split()
        if len(words) != 4 or words[2] != "memlock" or words[1] not in ("soft", "hard", "-") or len(found) >= LINES_LIMIT:
            continue
        value = -1 if words[3] in ("unlimited", "infinity", "-1") else _text.to_int(words[3])
        if value is not None:
            found.append({"domain": words[0][:64], "kind": words[1], "bytes": value if value == -1 else value * 1024})
    return found


def memlock(entries: list[dict[str, Any]], user: str, groups: tuple[str, ...]) -> tuple[int | None, int | None]:
    """Soft and hard limit for a user; a line that names the user wins over one for a group, and that over *. Null when no line applies."""
    result: dict[str, int | None] = {"soft": None, "hard": None}
    ranks = {"soft": -1, "hard": -1}
    for item in entries:
        domain = item["domain"]
        rank = 2 if domain == user else 1 if domain.startswith("@") and domain[1:] in groups else 0 if domain == "*" else -1
        for kind in ("soft", "hard") if item["kind"] == "-" else (item["kind"],):
            if rank >= max(0, ranks[kind]):
                result[kind], ranks[kind] = item["bytes"], rank
    return result["soft"], result["hard"]
