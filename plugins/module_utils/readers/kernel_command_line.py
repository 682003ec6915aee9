# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/cmdline."""

from __future__ import annotations

from typing import Any

from . import text as _text


def read(text: str) -> dict[str, Any]:
    """Keys: line, kho (value of the last ``kho=``, null when not given), blocked (words that keep the module nvidia from being loaded)."""
    line = _text.first_line(text)
    words = (line or "").split()
    values = [word.partition("=")[2] for word in words if word.startswith("kho=")]
    lists = [word for word in words if word.startswith(("module_blacklist=", "modprobe.blacklist="))]
    blocked = [word[:160] for word in lists if "nvidia" in word.partition("=")[2].split(",")]
    return {"line": line, "kho": _text.word(values[-1], 32) if values else None, "blocked": blocked}
