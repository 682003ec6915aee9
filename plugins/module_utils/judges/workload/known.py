# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Software of which is known what it holds: dated entries, used only where it was not possible to look. Pure.

Such lists go stale within weeks, so that each entry carries the day of its source and a day after which it no longer counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...model.workload import CUDA, NEEDS_REBUILD, NONE, PARTLY, RUNS, WONT_RUN

EXPIRES = "2027-06-30"
"""Last day of the entries of autumn 2026."""


@dataclass(frozen=True)
class Entry:
    """What was known of one product on one day."""

    name: str
    """Project name, or a regular expression for an image reference."""
    reason: str
    source: str
    observed: str
    verdict: str | None = None
    """Null: only a note or the GPU use is known."""
    gpu: str | None = None
    units: tuple[str, ...] = ()
    """Device code that it was seen or published to hold; judged like code that was read."""
    above: str = ""
    """Versions from this one on ..."""
    below: str = ""
    """... and below this one."""
    cuda: tuple[int, ...] = ()
    """CUDA builds that it is about (130 for cu130, 0 for a build without CUDA, -1 where the build does not say); empty for all."""
    only_itself: bool = False
    """Whether it counts only for what was asked for by name, not for a dependency (which then gets a note)."""
    instead: str = ""
    expires: str = EXPIRES

    @property
    def told(self) -> str:
        """The entry as a note."""
        return f"{self.reason} ({self.source}, {self.observed})"


_TORCH = "PyTorch's build matrix for Linux aarch64 (pytorch#163764, #164471, #175253; RFC 190355)"

PROJECTS: tuple[Entry, ...] = (
    Entry(
        "torch",
        "PyTorch's CUDA 12.6 and older builds for aarch64 hold no code for 12.x",
        _TORCH,
        "2026-11-26",
        gpu=CUDA,
        units=("sm_80", "sm_90"),
        cuda=tuple(range(102, 128)),
        instead="get it from https://download.pytorch.org/whl/cu130",
    ),
    Entry(
        "torch",
        "PyTorch's CUDA 12.8 and 12.9 builds for aarch64 hold sm_120",
        _TORCH,
        "2026-11-26",
        gpu=CUDA,
        units=("sm_80", "sm_90", "sm_100", "sm_120"),
        cuda=(128, 129),
    ),
    Entry(
        "torch",
        "PyTorch's CUDA 13 builds for aarch64 hold sm_120; a warning that 12.1 lies above (8.0) - (12.0) is a false alarm",
        _TORCH,
        "2026-11-26",
        gpu=CUDA,
        units=("sm_80", "sm_90", "sm_100", "sm_110", "sm_120"),
        cuda=(130, 132),
    ),
    Entry(
        "torch",
        "PyTorch's aarch64 wheels on PyPI before 2.11 are built without CUDA",
        _TORCH,
        "2026-11-26",
        verdict=RUNS,
        gpu=NONE,
        cuda=(0,),
        instead="for the GPU, get it from https://download.pytorch.org/whl/cu130",
    ),
    Entry(
        "vllm",
        "vLLM's aarch64 wheels are built for CUDA 13 with sm_120",
        "vllm#42738, #38484, #50925",
        "2026-11-26",
        gpu=CUDA,
        units=("sm_80", "sm_90", "sm_100", "sm_110", "sm_120"),
        above="0.20.0",
    ),
    Entry(
        "triton",
        "its bundled ptxas does not know sm_121a",
        "triton#8539, gpustack#4372; the same text from ptxas 12.8",
        "2026-01-28",
        verdict=WONT_RUN,
        gpu=CUDA,
        below="3.6.0",
        only_itself=True,
        instead="set TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas, or use triton 3.6 or newer",
    ),
    Entry(
        "triton",
        "it compiles for the GPU that it finds, with its own ptxas",
        "read in 3.9.0",
        "2026-11-26",
        verdict=RUNS,
        gpu=CUDA,
        above="3.6.0",
    ),
    Entry(
        "jax-cuda13-pjrt",
        "XLA compiles for the GPU that it finds; NVIDIA uses it on these desks",
        "NVIDIA/dgx-spark-playbooks (jax)",
        "2026-07-24",
        verdict=RUNS,
        gpu=CUDA,
    ),
    Entry("jax-cuda13-plugin", "NVIDIA uses it on these desks", "NVIDIA/dgx-spark-playbooks (jax)", "2026-07-24", verdict=RUNS, gpu=CUDA),
    Entry(
        "sgl-kernel",
        "the PyPI wheel for aarch64 holds sm_100a, 101a and 120a and wants CUDA 12",
        "MEDS_EIC_AR#163, sglang-omni#620, sglang#29317",
        "2026-09-02",
        gpu=CUDA,
        units=("sm_80", "sm_87", "sm_90a", "sm_100a", "sm_101a", "sm_120a"),
        below="0.3.22",
        cuda=(-1,),
        instead="get it from https://docs.sglang.ai/whl/cu130/",
    ),
    Entry(
        "sgl-kernel",
        "the wheel in sglang's cu130 index holds sm_121a",
        "MEDS_EIC_AR#163",
        "2026-09-02",
        gpu=CUDA,
        units=("sm_121a",),
        above="0.3.21",
        cuda=(130,),
    ),
    Entry(
        "flashinfer-cubin",
        "its cubins are for sm_100a, 100f and 103a, none for 12.x; flashinfer-python then compiles its own",
        "vllm#40082",
        "2026-05-01",
        gpu=CUDA,
        units=("sm_100a", "sm_100f", "sm_103a"),
        below="0.6.12",
        instead="leave it out: flashinfer-python compiles at first use",
    ),
    Entry("tensorflow", "the aarch64 wheel runs on the CPU only", "perch-hoplite#131", "2026-11-26", verdict=RUNS, gpu=NONE),
    Entry("onnxruntime-gpu", "an aarch64 build for CUDA 13", "onnxruntime#27944", "2026-11-26", gpu=CUDA, above="1.29.0"),
    Entry(
        "bitsandbytes",
        "from 0.45 on, its CUDA 13 libraries for aarch64 hold sm_121",
        "read in 0.50.2",
        "2026-11-26",
        gpu=CUDA,
        units=("sm_75", "sm_80", "sm_90", "sm_100", "sm_110", "sm_120", "sm_121"),
        above="0.50.0",
    ),
)

STUBS = frozenset(
    {
        "tensorrt",
        "tensorrt-cu12",
        "tensorrt-cu13",
        "tensorrt-cu12-libs",
        "tensorrt-cu13-libs",
        "tensorrt-cu12-bindings",
        "tensorrt-cu13-bindings",
        "tensorrt-libs",
        "tensorrt-bindings",
        "tensorrt-llm",
    }
)
"""Projects whose source archive on PyPI is a stub for https://pypi.nvidia.com; others are found by looking into the archive."""

IMAGES: tuple[Entry, ...] = (
    Entry(
        r"docker\.io/unsloth/unsloth:.*",
        "its torch uses the GPU, its llama.cpp does not",
        "unsloth#10491, #10492",
        "2026-09-08",
        gpu=PARTLY,
    ),
    Entry(
        r"ghcr\.io/huggingface/text-embeddings-inference:(?:cuda-|turing-|86-|89-|hopper-|120-)?1\.[0-9]\S*",
        "releases up to 1.9.3 hold no code for this GPU",
        "text-embeddings-inference#840",
        "2026-06-12",
        verdict=NEEDS_REBUILD,
        gpu=CUDA,
        instead="use a 121-* tag",
    ),
)

SOURCE_HINTS = {
    "flash-attn": "its GitHub releases have aarch64 wheels for some versions of torch; building it takes about two hours here",
    "llama-cpp-python": "with CMAKE_ARGS='-DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES=121-real' for the GPU",
    "transformer-engine-torch": "its build looks for x86_64 archives first",
}
"""What else is worth knowing of a build from source."""


def project_entry(name: str, version: str, cuda: int | None, today: str, itself: bool) -> Entry | None:
    """The entry that counts for a project today; null without one."""
    for entry in PROJECTS:
        if entry.name != name or today > entry.expires:
            continue
        if entry.only_itself and not itself:
            continue
        if entry.cuda and (-1 if cuda is None else cuda) not in entry.cuda:
            continue
        key = release(version)
        if (entry.above and key < release(entry.above)) or (entry.below and key >= release(entry.below)):
            continue
        return entry
    return None


def image_entry(reference: str, today: str) -> Entry | None:
    """The entry that counts for an image (complete reference) today; null without one."""
    return next((entry for entry in IMAGES if today <= entry.expires and re.fullmatch(entry.name, reference)), None)


def release(version: str) -> tuple[int, ...]:
    """The release numbers of a version, for comparison; a local part and what follows do not count."""
    found = re.match(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()
