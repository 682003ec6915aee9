# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/proc/loadavg: how many threads wanted to run on average."""

from __future__ import annotations

import re
from typing import Any

_LINE = re.compile(r"\s*(\d{1,7}\.\d{2}) (\d{1,7}\.\d{2}) (\d{1,7}\.\d{2}) \d+/\d+ \d+\s*")


def read(text: str) -> dict[str, Any]:
    """Keys: one, five, fifteen (the averages over that many minutes), null when the text has another form."""
    match = _LINE.fullmatch(text)
    return dict(zip(("one", "five", "fifteen"), (float(item) for item in match.groups()) if match else (None, None, None), strict=True))
