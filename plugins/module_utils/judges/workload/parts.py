# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judges of workloads share. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...model.workload import CUDA, NONE, PARTLY, UNKNOWN, VERDICTS, Target

FACTORY = Target(architecture="aarch64", compute_capability="12.1", cuda="13.0", glibc="2.39", python="3.12")
"""What a DGX Spark has from the factory (DGX OS 7, driver R580); stands in for what a desk did not tell, and is said then."""

CUDA_OF_DRIVER = {
    525: "12.0", 530: "12.1", 535: "12.2", 545: "12.3", 550: "12.4", 555: "12.5", 560: "12.6", 570: "12.8", 575: "12.9",
    580: "13.0", 590: "13.1", 595: "13.2", 610: "13.3",
}  # fmt: skip
"""CUDA version of a driver branch (release notes; 595 and 610 by what was seen on desks and in images)."""

BUILD_FOR_GPU = (
    "build it for this GPU: nvcc -gencode arch=compute_121,code=sm_121 (CUDA 12.9 or newer), CMake -DCMAKE_CUDA_ARCHITECTURES=121-real, "
    "PyTorch extensions TORCH_CUDA_ARCH_LIST=12.1"
)

KEEP_THE_CACHE = (
    "use a build with code for sm_120 or sm_121 if there is one; otherwise expect minutes at the first start and keep ~/.nv/ComputeCache "
    "(mount it into containers)"
)
CUDA_LIBRARY = re.compile(
    r"lib(?:cudart|cublas|cublasLt|nvrtc|nvJitLink|cufft|curand|cusolver|cusparse|nvjpeg|npp[a-z]{1,6}|cupti|nvrtc-builtins)\.so\.([0-9]{1,3})"
)
"""A library of the CUDA toolkit; the number is CUDA's major version for the first three (others count on their own)."""
TOOLKIT_13 = (
    "libcublas.so.13",
    "libcublasLt.so.13",
    "libcudart.so.13",
    "libcufft.so.12",
    "libcufile.so.0",
    "libcupti.so.13",
    "libcurand.so.10",
    "libcusolver.so.12",
    "libcusparse.so.12",
    "libnvJitLink.so.13",
    "libnvjpeg.so.13",
    "libnvrtc.so.13",
)
"""Libraries of the CUDA 13 toolkit that DGX OS brings; their loader entry may be missing on a desk that has them."""
DRIVER_LIBRARIES = ("libcuda.so.1", "libnvidia-ml.so.1")
OF_CUDA_12 = frozenset(
    {
        ("libcudart", ".12"),
        ("libcublas", ".12"),
        ("libcublasLt", ".12"),
        ("libnvrtc", ".12"),
        ("libnvJitLink", ".12"),
        ("libcupti", ".12"),
        ("libcufft", ".11"),
        ("libcusolver", ".11"),
    }
)
"""Libraries that only CUDA 12 has; the others keep their number in CUDA 13."""
FROM_PIP = {
    "libcudart.so": "nvidia-cuda-runtime",
    "libnvrtc.so": "nvidia-cuda-nvrtc",
    "libcublas.so": "nvidia-cublas",
    "libcublasLt.so": "nvidia-cublas",
    "libcufft.so": "nvidia-cufft",
    "libcurand.so": "nvidia-curand",
    "libcusolver.so": "nvidia-cusolver",
    "libcusparse.so": "nvidia-cusparse",
    "libnvJitLink.so": "nvidia-nvjitlink",
    "libcupti.so": "nvidia-cuda-cupti",
    "libcudnn.so": "nvidia-cudnn",
    "libnccl.so": "nvidia-nccl",
}
"""Library to the project on PyPI that brings it; CUDA 12's carry -cu12."""


def version(text: str | None) -> tuple[int, ...] | None:
    """12.9.1 as numbers; null for anything else."""
    parts = (text or "").split(".")
    if not 1 <= len(parts) <= 6 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return None
    return tuple(int(part) for part in parts)


def worst(verdicts: Iterable[str]) -> str:
    """The worst verdict; UNKNOWN when there is none."""
    found = list(verdicts)
    return max(found, key=VERDICTS.index) if found else UNKNOWN


def joint_gpu(uses: Iterable[str | None]) -> str | None:
    """GPU use of several parts of which each is needed: cuda when one uses it, null when nothing was seen."""
    known = {use for use in uses if use is not None}
    if PARTLY in known:
        return PARTLY
    if CUDA in known:
        return CUDA
    return NONE if known else None


def cuda_of_driver(driver: str | None) -> str | None:
    """The CUDA version that a driver's branch has; null for an unknown branch."""
    numbers = version(driver)
    return CUDA_OF_DRIVER.get(numbers[0]) if numbers else None


def megabytes(size: int | None) -> str:
    """A size in words."""
    if size is None:
        return "unknown size"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"
