# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/PID/limits."""

from __future__ import annotations

from typing import Any

from . import text as _text

UNLIMITED = -1


def read(text: str) -> dict[str, Any]:
    """Keys: memlock_soft, memlock_hard in bytes (-1 for unlimited), nofile_soft, nofile_hard. Null for what is absent."""
    result: dict[str, Any] = dict.fromkeys(("memlock_soft", "memlock_hard", "nofile_soft", "nofile_hard"))
    for line in _text.lines(text):
        for title, key in (("Max locked memory", "memlock"), ("Max open files", "nofile")):
            if line.startswith(title):
                words = line.removeprefix(title).split()
                result[f"{key}_soft"] = number(words[0]) if words else None
                result[f"{key}_hard"] = number(words[1]) if len(words) > 1 else None
    return result


def number(word: str) -> int | None:
    """A limit, -1 for unlimited."""
    return UNLIMITED if word == "unlimited" else _text.to_int(word)
