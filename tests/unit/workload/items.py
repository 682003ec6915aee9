"""What registries and indexes hold of the items that the tests ask for, by the public reports that the items name as their sources."""

from __future__ import annotations

from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import Wheel
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import pip_report
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.resolve import Resolved
from oci_layout import Variant
from recorded_registry import Recorded

NGC = ("NVIDIA_REQUIRE_CUDA=cuda>=9.0", "CUDA_VERSION={}", "NVIDIA_VISIBLE_DEVICES=all", "_CUDA_COMPAT_PATH=/usr/local/cuda/compat")
CUDA13 = ("CUDA_VERSION=13.0.1", "NVIDIA_REQUIRE_CUDA=cuda>=13.0 brand=unknown,driver>=535,driver<536", "NVIDIA_VISIBLE_DEVICES=all")
VLLM = (*CUDA13, "TORCH_CUDA_ARCH_LIST=8.0 8.7 8.9 9.0 10.0 11.0 12.0")
AMD = Variant("linux/amd64", env=CUDA13)


def ngc(version: str) -> tuple[str, ...]:
    """The environment of an image from NVIDIA's catalogue."""
    return tuple(item.format(version) for item in NGC)


def both(*env: str) -> list[Variant]:
    """An index for both machines."""
    return [Variant("linux/amd64", env=env), Variant("linux/arm64", env=env)]


IMAGES: dict[str, list[Variant]] = {
    "nvcr.io/nvidia/pytorch:25.11-py3": both(*ngc("13.0.2.006")),
    "nvcr.io/nvidia/vllm:26.05-py3": both(*ngc("13.3.1.008"), "CUDA_DRIVER_VERSION=610.43.02"),
    "nvcr.io/nvidia/cuda:13.0.1-devel-ubuntu24.04": both(*CUDA13, "NVARCH=sbsa"),
    "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13": both(*ngc("13.0.2.006")),
    "nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3": [Variant("linux/arm64")],
    "vllm/vllm-openai:v0.20.0": both(*VLLM),
    "lmsysorg/sglang:latest-cu130": both(*CUDA13),
    "lmsysorg/sglang:spark": [Variant("linux/arm64", env=CUDA13)],
    "ollama/ollama:0.12.6": both("NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"),
    "ghcr.io/open-webui/open-webui:main": both("ENV=prod"),
    "ghcr.io/huggingface/text-generation-inference:latest": [AMD],
    "ghcr.io/huggingface/text-embeddings-inference:121-sha-5bc4d88": both(*CUDA13),
    "ghcr.io/ggml-org/llama.cpp:server-cuda-b9014": both("CUDA_VERSION=12.9.1", "NVIDIA_VISIBLE_DEVICES=all"),
    "pytorch/pytorch:2.13.0-cuda13.0-cudnn9-devel": [AMD],
    "slimerl/slime:latest": [AMD],
    "unsloth/unsloth:latest": both(*CUDA13),
    "(config) arm64, NVIDIA_REQUIRE_CUDA=cuda>=13.3, CUDA_VERSION=13.3.1": both("CUDA_VERSION=13.3.1", "NVIDIA_REQUIRE_CUDA=cuda>=13.3"),
    "(index) manifests: linux/amd64 and unknown/unknown with vnd.docker.reference.type=attestation-manifest": [AMD],
    "(index) manifests: linux/arm/v7 and linux/amd64": [Variant("linux/arm/v7"), AMD],
}
SINGLE: dict[str, Variant] = {
    "vllm/vllm-openai:nightly-aarch64": Variant("linux/arm64", env=VLLM),
    "xprobe/xinference:latest": Variant("linux/amd64"),
}
PRIVATE = {
    "nvcr.io/nim/meta/llama-3.1-8b-instruct-dgx-spark:latest": "unauthorized: <html> <head><title>401 Authorization Required</title></head>"
}


def reference_of(item: str) -> str:
    """A name to ask for: the item's own, or one for an item that is described in words."""
    return item if not item.startswith("(") else f"lab/item{abs(sum(item.encode()))}:1"


def registry() -> Recorded:
    """Every image above."""
    recorded = Recorded()
    for item, variants in IMAGES.items():
        recorded.index(reference_of(item), variants, attest="attestation" in item)
    for item, variant in SINGLE.items():
        recorded.single(item, variant)
    for item, words in PRIVATE.items():
        recorded.fails(item, words)
    return recorded


def torch_of(build: str, version: str) -> Resolved:
    """What pip chooses from one of PyTorch's own indexes, which are not reachable here."""
    triton = {"2.9.1": "3.5.1", "2.10.0": "3.5.1", "2.5.1": "3.1.0"}[version]
    base = f"https://download.pytorch.org/whl/{build}"
    name = f"torch-{version}%2B{build}-cp312-cp312-manylinux_2_28_aarch64.whl"
    return Resolved(
        (
            pip_report.Chosen("torch", f"{version}+{build}", f"{base}/{name}", None, True, (f"triton=={triton}",)),
            pip_report.Chosen("triton", triton, f"{base}/triton-{triton}-cp312-cp312-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl"),
        )
    )


def too_large(wheel: Wheel) -> Wheel:
    """A wheel that is beyond the limit for reading."""
    return Wheel(
        wheel.filename, wheel.project, wheel.version, wheel.tags, wheel.source, members=1, native=("x.so",), not_read="too large to be read"
    )
