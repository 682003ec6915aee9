# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/usr/local/cuda/version.json and ``nvcc --version``."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

_NVCC = re.compile(r"release [0-9]{1,3}\.[0-9]{1,3}, V([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,5})")


def read(text: str) -> dict[str, Any]:
    """Keys: toolkit (release of the CUDA toolkit, such as 13.0.3), nvcc (such as 13.0.88). Null for what is absent."""
    data = _text.json_value(text)
    if isinstance(data, dict):
        versions = [data.get(key) for key in ("cuda", "cuda_nvcc")]
        plain = [_text.word(item.get("version"), 32) if isinstance(item, dict) else None for item in versions]
        return {"toolkit": plain[0], "nvcc": plain[1]}
    found = next((match for match in (_NVCC.search(line) for line in _text.lines(text)) if match), None)
    return {"toolkit": None, "nvcc": found.group(1) if found else None}
