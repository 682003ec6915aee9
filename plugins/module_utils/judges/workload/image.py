# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container image on one desk, by what registry or docker tell of it; nothing is pulled. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...model.workload import CUDA, NEEDS_REBUILD, NONE, RUNS, UNKNOWN, WONT_RUN, Image, Judged, Target
from . import require
from .known import image_entry
from .parts import megabytes, version

ARM64 = ("arm64", "aarch64")
BRANDS = ("unknown", "nvidia", "geforce", "nvidiartx", "quadrortx", "tesla")
"""Brands that a driver may give a GPU; which one GB10 has is not known, so a condition on it holds when any makes it hold."""
UNPACKED = 2.5
"""Bytes on disk for a byte of compressed layers, reckoned generously."""
TROUBLE = {
    "client_missing": ("skopeo is not installed on the controller", "install skopeo there (apt install skopeo, dnf install skopeo)"),
    "timeout": ("the registry did not respond in time", "try again, or set workload_check_limit higher"),
    "rate_limit": (
        "the registry's rate limit is reached",
        "log in on the controller (skopeo login or docker login), or wait; Docker Hub counts 6 hours",
    ),
    "no_network": (
        "the registry could not be reached",
        "check name, network and proxy of the controller, or name a mirror (workload_check_mirrors)",
    ),
    "certificate": (
        "the registry's certificate is not trusted",
        "install its certificate authority on the controller, or list it in workload_check_plain_http",
    ),
    "plain_http": ("the registry answers without TLS", "list it in workload_check_plain_http if that is intended"),
    "no_access": (
        "the registry denied access: the image is private or does not exist (the answer is the same)",
        "check the name; if it is private, log in on the controller (nvcr.io: user $oauthtoken with an NGC key)",
    ),
    "not_found": ("the registry does not have it", "check repository and tag"),
    "not_readable": ("the registry's answer could not be read", "try docker pull by hand; the answer is in the evidence"),
    "reference": ("the reference is not well formed", "write it as for docker pull, such as nvcr.io/nvidia/pytorch:25.11-py3"),
    "other": ("the registry could not be asked", "the answer is in the evidence"),
}
"""Kind of failure to what is told and what to do."""


def judge_image(image: Image, target: Target, today: str) -> Judged:
    """The verdict on an image; ``today`` (YYYY-MM-DD) decides which dated entries still count."""
    seen = _seen(image)

    def told(verdict: str, reason: str, *rules: str, instead: str = "", gpu: str | None = None, notes: tuple[str, ...] = ()) -> Judged:
        return Judged(image.reference, "image", verdict, reason, gpu, instead, rules, notes, seen, image.size)

    if image.trouble is not None:
        sentence, remedy = TROUBLE.get(image.trouble, TROUBLE["other"])
        more = f": {image.said}" if image.said and image.trouble in ("reference", "other", "not_readable") else ""
        return told(UNKNOWN, sentence + more, "reference" if image.trouble == "reference" else "access", instead=remedy)
    refused = _platform(image, target, told)
    if refused is not None:
        return refused
    if _jetson(image):
        reason = "it is made for Jetson (a different driver and other GPUs), although it is arm64"
        return told(WONT_RUN, reason, "jetson", instead="use the image for arm64 servers (SBSA), such as nvcr.io/nvidia/pytorch:25.11-py3")
    gpu = _gpu(image)
    entry = image_entry(image.reference, today)
    notes: list[str] = [] if entry is None else [entry.told]
    if entry is not None and entry.gpu is not None:
        gpu = entry.gpu
    if entry is not None and entry.verdict is not None:
        return told(entry.verdict, entry.reason, "known", instead=entry.instead, gpu=gpu)
    stopped = _cuda(image, target, notes)
    if stopped is not None:
        verdict, reason, rule, instead = stopped
        return told(verdict, reason, rule, instead=instead, gpu=gpu, notes=tuple(notes))
    if gpu == NONE:
        return told(RUNS, f"{_platform_told(image)}; does not ask for a GPU", "platform", "config", gpu=gpu, notes=tuple(notes))
    toolkit = f", CUDA {image.variable('CUDA_VERSION')}" if image.variable("CUDA_VERSION") else ""
    notes.append("its device code cannot be read before a pull; once it is on a desk, check its files with paths")
    return told(RUNS, f"{_platform_told(image)}{toolkit}", "platform", "config", "cuda-major", gpu=gpu, notes=tuple(notes))


def room_needed(image: Image) -> int | None:
    """Bytes that a pull takes on the desk's disk; null when not known, 0 when it is there."""
    if image.source == "docker":
        return 0
    return None if image.size is None else int(image.size * UNPACKED)


def _seen(image: Image) -> tuple[tuple[str, str], ...]:
    pairs = [("from", image.source)]
    if image.platforms:
        pairs.append(("platforms", ", ".join(image.platforms[:12])))
    if image.digest:
        pairs.append(("digest", image.digest))
    if image.architecture:
        pairs.append(("configuration", f"{image.os or 'unknown'}/{image.architecture}"))
    for name in ("CUDA_VERSION", "NVIDIA_REQUIRE_CUDA", "CUDA_DRIVER_VERSION", "NVARCH", "TORCH_CUDA_ARCH_LIST", "CUDA_CACHE_DISABLE"):
        value = image.variable(name)
        if value is not None:
            pairs.append((name, value[:200]))
    if image.size is not None:
        pairs.append(("size", megabytes(image.size)))
    return tuple(pairs)


def _platform(image: Image, target: Target, told: Callable[..., Judged]) -> Judged | None:
    take = "use an image with linux/arm64 (aarch64), or build it on a desk"
    if image.arm_tags:
        name = image.reference.rpartition(":")[0]
        take = "take " + " or ".join(f"{name}:{tag}" for tag in image.arm_tags)
    if target.architecture not in (None, "aarch64"):
        return told(UNKNOWN, f"the desk is {target.architecture}, not a DGX Spark", "platform")
    if image.source == "schema1":
        return told(WONT_RUN, "its manifest uses schema 1, which docker no longer pulls", "schema1", instead="use a newer tag")
    if image.source == "index" and not any(_is_arm64(platform) for platform in image.platforms):
        if not image.platforms:
            return told(UNKNOWN, "its index lists no images", "platform", instead="check the tag")
        arm32 = "; its 32-bit Arm variant does not run here" if any(item.startswith("linux/arm") for item in image.platforms) else ""
        return told(WONT_RUN, f"no linux/arm64 in it, only {', '.join(image.platforms[:6])}{arm32}", "platform", instead=take)
    if image.os not in (None, "linux"):
        return told(WONT_RUN, f"it is made for {image.os}", "platform", instead=take)
    if image.architecture is None:
        return told(UNKNOWN, "its configuration does not say what it is made for", "config")
    if image.architecture not in ARM64:
        if image.source == "index":
            reason = f"its index lists arm64, but the image in it is {image.architecture}: exec format error"
            return told(WONT_RUN, reason, "config", instead=take)
        return told(WONT_RUN, f"it is {image.architecture} only: exec format error", "platform", "config", instead=take)
    return None


def _is_arm64(platform: str) -> bool:
    parts = platform.split("/")
    return parts[0] == "linux" and len(parts) > 1 and parts[1] in ARM64


def _platform_told(image: Image) -> str:
    return "on the desk, linux/arm64" if image.source == "docker" else "linux/arm64"


def _jetson(image: Image) -> bool:
    if re.search(r"(?:^|[/_-])(?:l4t|jetson|jetpack|tegra)(?:[/_:.-]|$)", image.reference):
        return True
    names = {name.upper() for name, _value in image.environment}
    return bool(names & {"L4T_VERSION", "JETPACK_VERSION", "NVIDIA_REQUIRE_JETPACK", "TEGRA_CHIP_ID"}) or any(
        "l4t" in value.lower() or "jetson" in value.lower()
        for name, value in image.labels
        if "title" in name or name.startswith("com.nvidia")
    )


def _gpu(image: Image) -> str:
    asks = ("CUDA_VERSION", "NVIDIA_REQUIRE_CUDA", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "NV_CUDA_LIB_VERSION")
    return CUDA if any((image.variable(name) or "void") not in ("void", "none") for name in asks) else NONE


def _cuda(image: Image, target: Target, notes: list[str]) -> tuple[str, str, str, str] | None:
    """What the image asks of the driver; notes are added to. Null when nothing keeps it from running."""
    toolkit, driver = version(image.variable("CUDA_VERSION")), version(target.cuda)
    if (image.variable("NVIDIA_DISABLE_REQUIRE") or "").lower() not in ("true", "1"):
        stopped = _require(image, target, notes)
        if stopped:
            return stopped
    paths = (image.variable("LD_LIBRARY_PATH") or "").split(":")
    if re.fullmatch(r"/usr/local/cuda(?:-[0-9.]{1,8})?/compat/?", paths[0]):
        reason = "its LD_LIBRARY_PATH begins with CUDA's compatibility libraries, which this GPU's driver refuses (error 803 or 804)"
        return UNKNOWN, reason, "compat-path", f"start it with -e LD_LIBRARY_PATH={':'.join(paths[1:])[:200]}"
    if image.variable("CUDA_CACHE_DISABLE") == "1":
        notes.append("it disables the cache for compiled PTX: what is compiled at the first start is compiled again at every start")
    if toolkit and driver and toolkit[0] > driver[0]:
        reason = f"its CUDA {image.variable('CUDA_VERSION')} needs a newer driver than the desk's (CUDA {target.cuda})"
        return WONT_RUN, reason, "cuda-major", f"use a tag for CUDA {driver[0]}"
    if toolkit and driver and toolkit[:2] > driver[:2]:
        notes.append(
            f"its CUDA {image.variable('CUDA_VERSION')} is newer than the driver's {target.cuda}: machine code runs, PTX of that version "
            "does not; a banner about an unavailable compatibility mode is only a warning"
        )
    listed = _arch_list(image, target)
    if listed is not None:
        return listed
    if toolkit and toolkit[:2] < (12, 8) and re.search(r"/nvidia/cuda[:@]", image.reference):
        notes.append("CUDA's own image: it starts, but its compiler and libraries are older than this GPU (12.9 is the first for sm_121)")
        return None
    if toolkit and toolkit[:2] < (12, 8):
        reason = (
            f"its CUDA {image.variable('CUDA_VERSION')} is older than 12.8, the first with code for this GPU: it may hold PTX (slow first "
            "start) or nothing that matches, which cannot be seen before a pull"
        )
        return UNKNOWN, reason, "first-toolkit", "use a tag built with CUDA 13 (cu130)"
    return None


def _require(image: Image, target: Target, notes: list[str]) -> tuple[str, str, str, str] | None:
    for name, value in image.environment:
        if not name.startswith("NVIDIA_REQUIRE_") or not value.strip():
            continue
        try:
            wanted = require.read(value)
        except require.RequireError as error:
            return UNKNOWN, f"its {name} is malformed ({error}), which stops the container toolkit", "require", "use another tag"
        values = {"cuda": target.cuda, "driver": target.driver, "arch": target.compute_capability}
        answers = [require.met(wanted, {**values, "brand": brand}) for brand in BRANDS]
        if True in answers:
            continue
        if None in answers:
            notes.append(f"could not determine whether the driver meets {name}")
            continue
        first = value.split()[0][:80]
        reason = f"the container toolkit stops it: unsatisfied condition {first} (the driver has CUDA {target.cuda})"
        remedy = "use a tag for the driver's CUDA; with CDI, or with -e NVIDIA_DISABLE_REQUIRE=true, it starts anyway"
        return WONT_RUN, reason, "require", remedy
    return None


def _arch_list(image: Image, target: Target) -> tuple[str, str, str, str] | None:
    """TORCH_CUDA_ARCH_LIST tells what an image's extensions were built for: a hint, no proof."""
    listed = re.findall(r"([0-9]{1,2}\.[0-9])([af]?)(\+PTX)?", (image.variable("TORCH_CUDA_ARCH_LIST") or "")[:400])
    capability = target.compute_capability
    if not listed or capability is None:
        return None
    major, minor = capability.split(".")
    for number, suffix, ptx in listed:
        own_major, own_minor = number.split(".")
        if suffix == "a":
            if number == capability:
                return None
        elif (own_major == major and own_minor <= minor) or (ptx and not suffix and float(number) <= float(capability)):
            return None
    reason = f"its TORCH_CUDA_ARCH_LIST ({image.variable('TORCH_CUDA_ARCH_LIST')}) names nothing that runs on {capability}"
    return NEEDS_REBUILD, reason[:300], "sass", "use a tag built for 12.0 or 12.1"
