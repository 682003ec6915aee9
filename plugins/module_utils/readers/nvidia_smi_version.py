# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``nvidia-smi --version``."""

from __future__ import annotations

from typing import Any

from . import nvidia_smi_error
from . import text as _text

_NAMES = {
    "NVIDIA-SMI version": "nvidia_smi",
    "NVML version": "nvml",
    "DRIVER version": "driver",
    "CUDA Version": "cuda",
    "CUDA version": "cuda",
}


def read(text: str) -> dict[str, Any]:
    """Keys: nvidia_smi, nvml (user-space library), driver (as the kernel module reports it), cuda, error. Null for what is absent."""
    result: dict[str, Any] = dict.fromkeys(("nvidia_smi", "nvml", "driver", "cuda"))
    result["error"] = nvidia_smi_error.read(text)
    for key, value in _text.key_values(text, ":"):
        name = _NAMES.get(" ".join(key.split()))
        if name and value[:1].isdecimal():
            result[name] = _text.word(value, 32)
    return result
