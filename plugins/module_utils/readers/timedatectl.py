# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``timedatectl show`` and ``timedatectl status``."""

from __future__ import annotations

from typing import Any

from . import text as _text


def read(text: str) -> dict[str, Any]:
    """Key synchronized: true or false, null when the text does not tell."""
    for key, value in [*_text.key_values(text), *_text.key_values(text, ":")]:
        if key in ("NTPSynchronized", "System clock synchronized"):
            return {"synchronized": {"yes": True, "no": False}.get(value)}
    return {"synchronized": None}
