"""Make the helpers of this folder importable (pytest runs with importlib mode), and give tests a desk's target."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import Target

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture
def spark() -> Target:
    """A desk as it comes: no CUDA 12 libraries on it."""
    return Target(
        architecture="aarch64",
        compute_capability="12.1",
        driver="580.126.09",
        cuda="13.0",
        glibc="2.39",
        python="3.12",
        libraries=("libcublas.so.13", "libcublasLt.so.13", "libcudart.so.13", "libgomp.so.1", "libnvrtc.so.13"),
        free_bytes=900 * 10**9,
    )
