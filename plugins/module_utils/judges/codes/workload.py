# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings: whether images, wheels and binaries run on a desk."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = (
    Code(
        code="WORKLOAD_RUNS",
        title="It will run on this desk",
        severity="ok",
        meaning="The image, requirement, wheel or path fits the desk's machine, libraries, driver and GPU, as far as the message says it "
        "was examined. Whether it uses the GPU is a separate field: something that installs may still run on the CPU only.",
        remedy="Nothing to do.",
        source="docs/workload.md lists the rules and their sources",
    ),
    Code(
        code="WORKLOAD_RUNS_SLOWLY",
        title="It will run, but must compile at its first start",
        severity="warn",
        meaning="It has no machine code for this GPU, only PTX that the driver compiles: this takes minutes at the first start, and at "
        "every start in a container whose cache is not kept.",
        remedy="Use a build with code for this GPU (sm_120 or sm_121), or keep the cache: mount ~/.nv/ComputeCache into the container.",
        source="NVIDIA Blackwell Compatibility Guide; community reports on the time that it takes",
    ),
    Code(
        code="WORKLOAD_NEEDS_REBUILD",
        title="It must be built for this desk",
        severity="fail",
        meaning="Its device code is for other GPUs, or there is only a source archive. It may install and start, but fails at the first "
        "kernel (no kernel image is available for execution on the device).",
        remedy="Use the build that the message names, or build it for compute capability 12.1 (CMake: "
        "-DCMAKE_CUDA_ARCHITECTURES=121-real, nvcc: -gencode with compute and code 121).",
        source="NVIDIA CUDA Programming Guide; community reports",
    ),
    Code(
        code="WORKLOAD_WONT_RUN",
        title="It will not run on this desk",
        severity="fail",
        meaning="It is made for a different machine, Python or libc, or the desk lacks a library that it needs.",
        remedy="Use the alternative that the message names: the arm64 (aarch64) tag, wheel or build, or the missing library.",
        source="OCI image specification; PyPA specifications; community reports",
    ),
    Code(
        code="WORKLOAD_UNKNOWN",
        title="Could not determine whether it runs",
        severity="unknown",
        meaning="It could not be examined, or not far enough: no access, a rate limit, no network, a broken file, a limit of this check.",
        remedy="Do what the message names, then check again.",
        source="this collection's rule",
    ),
    Code(
        code="WORKLOAD_NO_ROOM",
        title="The image does not fit the desk's disk",
        severity="warn",
        meaning="Unpacked, the image is likely to need more space than is free where docker keeps its images.",
        remedy="Free some space (docker system df shows what uses it), or move docker's data to a larger file system.",
        source="this collection's rule: two and a half times the compressed layers",
    ),
)
