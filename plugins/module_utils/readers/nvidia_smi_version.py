# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``nvidia-smi --version``."""

from __future__ import annotations

from typing import Any

from . import nvidia_smi_error
from . import text as _text

_NAMES = {
    "nvidia-smi version": "nvidia_smi",
    "nvml version": "nvml",
    "driver version": "driver",
    "kmd version": "driver",
    "cuda version": "cuda",
    "cuda umd version": "cuda",
}
"""Names in lower case; nvidia-smi 610 renamed the driver's to KMD and CUDA's to CUDA UMD."""


def read(text: str) -> dict[str, Any]:
    """Keys: nvidia_smi, nvml (user-space library, often with two parts only: 580.178 of 580.178.04), driver (as the kernel module reports
    it), cuda, error. Null for what is absent."""
    result: dict[str, Any] = dict.fromkeys(("nvidia_smi", "nvml", "driver", "cuda"))
    result["error"] = nvidia_smi_error.read(text)
    for key, value in _text.key_values(text, ":"):
        name = _NAMES.get(" ".join(key.lower().split()))
        plain = nvidia_smi_error.without_note(value)
        if name and plain[:1].isdecimal():
            result[name] = _text.word(plain, 32)
    return result
