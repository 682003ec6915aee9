# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CDI specification (YAML or JSON): which driver's libraries it names. Read as text: the files are long, JSON often one line."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from . import text as _text

_LIBRARY = re.compile(r"lib(?:cuda|nvidia-[a-z0-9-]{1,40})\.so\.([0-9]{3}\.[0-9]{1,4}(?:\.[0-9]{1,4})?)\b")


def read(text: str) -> dict[str, Any]:
    """Key driver: the version that most libraries carry, null when none is named."""
    versions = Counter(_LIBRARY.findall(text[: _text.TEXT_LIMIT]))
    return {"driver": versions.most_common(1)[0][0] if versions else None}
