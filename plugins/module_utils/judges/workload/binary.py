# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One program or library on one desk: machine, loader, libraries, device code. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...model.workload import CUDA, NEEDS_REBUILD, NONE, RUNS, RUNS_SLOWLY, UNKNOWN, VERDICTS, WONT_RUN, Binary, Target
from .device_code import judge_code
from .parts import BUILD_FOR_GPU, CUDA_LIBRARY, DRIVER_LIBRARIES, FROM_PIP, KEEP_THE_CACHE, OF_CUDA_12, joint_gpu, version, worst

GLIBCXX_OF_GLIBC = ((2, 39), (3, 4, 33))
"""Ubuntu 24.04's pair of glibc and the newest GLIBCXX of its libstdc++."""
BASE = re.compile(
    r"ld-linux[a-z0-9_-]{0,20}\.so\.[0-9]|lib(?:c|m|dl|pthread|rt|util|resolv|anl|gcc_s|stdc\+\+|z)\.so(?:\.[0-9]{1,2})?|linux-vdso\.so\.1"
)
"""Libraries that every desk has."""
CODE_RULES = ("sass", "sass-f", "sass-a", "ptx", "ptx-isa")
VARIANT = re.compile(r"(?<=[_.-])(?:cuda|cu)[_-]?([0-9]{2,3})(?=[_.-]|$)|(?<=[_-])(?:cuda|cu)([0-9]{2,3})(?=[_.-]|$)")


@dataclass(frozen=True)
class BinaryVerdict:
    """What is said of one file."""

    path: str
    verdict: str
    reason: str
    rules: tuple[str, ...] = ()
    gpu: str | None = None
    instead: str = ""


def judge_binary(binary: Binary, target: Target, brought: Collection[str] | None, everything: bool = True) -> BinaryVerdict:
    """The verdict on one file.

    ``brought`` are names of libraries that come with it (null: who brings what is not known), ``everything``: nothing else can come with
    it, as with a set of wheels. A folder may have more alongside it, where a file's own search path leads.
    """
    where = binary.path
    if binary.machine is None:
        return BinaryVerdict(where, UNKNOWN, binary.not_read or "it is not a program or library", ("not-read",))
    if binary.machine != "cuda":
        refused = _machine(binary, target) or _libc(binary, target)
        if refused:
            return refused
    code = judge_code(binary.units, binary.relocatable, target.compute_capability, target.cuda)
    missing = _missing(binary, target, brought)
    gpu = _gpu(binary, code is not None)
    if missing and binary.own_path and not everything:
        reason = f"{', '.join(missing[:6])} may be on its own search path (RUNPATH), outside what was examined"
        return BinaryVerdict(where, UNKNOWN, reason, ("library",), gpu, "check the folder that holds its libraries together with it")
    if missing:
        return BinaryVerdict(where, WONT_RUN, _names_missing(missing), ("library",), gpu, _bring(missing))
    if code is not None and code.verdict == NEEDS_REBUILD:
        return BinaryVerdict(where, NEEDS_REBUILD, code.reason, code.rules, gpu, BUILD_FOR_GPU)
    if binary.not_read:
        return BinaryVerdict(where, UNKNOWN, binary.not_read, ("not-read",), gpu)
    if code is not None:
        return BinaryVerdict(where, code.verdict, code.reason, code.rules, gpu, KEEP_THE_CACHE if code.verdict == RUNS_SLOWLY else "")
    if gpu == CUDA:
        return BinaryVerdict(where, RUNS, "no device code of its own; it calls CUDA's libraries", ("library",), gpu)
    return BinaryVerdict(where, RUNS, "no device code", ("no-gpu-code",), gpu)


def judge_together(
    binaries: Sequence[Binary], target: Target, brought: Collection[str] | None, everything: bool = True
) -> tuple[BinaryVerdict, list[BinaryVerdict]]:
    """The verdict on files that belong together, and each file's own.

    Of libraries that differ only in the CUDA version of their name, the one for the desk's CUDA counts: one of them is loaded. Loose device
    code (cubin, fatbin, PTX) is chosen from by whatever loads it: one file that fits is enough, and beside libraries it decides nothing.
    """
    verdicts = [judge_binary(item, target, brought, everything) for item in binaries]
    own = [item for item, binary in zip(verdicts, binaries, strict=True) if binary.machine != "cuda"]
    if not own:
        best = min(verdicts, key=lambda item: _rank(item.verdict))
        return best, verdicts
    groups: dict[str, list[BinaryVerdict]] = {}
    for item in own:
        groups.setdefault(VARIANT.sub("*", item.path), []).append(item)
    counted = [_chosen(group, target) for group in groups.values()]
    tell = max(counted, key=lambda item: (_rank(item.verdict), item.gpu == CUDA, any(rule in CODE_RULES for rule in item.rules)))
    gpu = joint_gpu(item.gpu for item in counted)
    rules = tuple(dict.fromkeys([*tell.rules, *(["variant"] if any(len(group) > 1 for group in groups.values()) else [])]))
    return BinaryVerdict(tell.path, worst(item.verdict for item in counted), tell.reason, rules, gpu, tell.instead), verdicts


def _chosen(group: list[BinaryVerdict], target: Target) -> BinaryVerdict:
    if len(group) == 1:
        return group[0]
    wanted = version(target.cuda)
    major = wanted[0] if wanted else None
    fitting = [item for item in group if (found := VARIANT.search(item.path)) and int((found.group(1) or found.group(2))[:2]) == major]
    return min(fitting or group, key=lambda item: (_rank(item.verdict), item.path))


def _rank(verdict: str) -> int:
    return VERDICTS.index(verdict)


def _machine(binary: Binary, target: Target) -> BinaryVerdict | None:
    desk = target.architecture
    if desk is None or binary.machine == desk:
        return None
    what = "32-bit Arm" if binary.machine == "arm" else binary.machine
    error = "exec format error" if binary.kind == "program" else "it cannot be opened as a library"
    reason = f"it is made for {what}, but the desk is {desk}: {error}"
    return BinaryVerdict(
        binary.path, WONT_RUN, reason, ("machine",), None, f"use a build for {desk}" + (" (linux/arm64)" if desk == "aarch64" else "")
    )


def _libc(binary: Binary, target: Target) -> BinaryVerdict | None:
    loader = binary.interpreter
    if loader is not None and "/ld-musl-" in loader:
        reason = f"it is started by {loader}, musl's loader, which DGX OS does not have"
        return BinaryVerdict(binary.path, WONT_RUN, reason, ("libc",), None, "use the glibc build (manylinux, gnu)")
    wanted, have = version(binary.glibc), version(target.glibc)
    if wanted and have and wanted > have:
        reason = f"it needs glibc {binary.glibc}, the desk has {target.glibc}"
        return BinaryVerdict(binary.path, WONT_RUN, reason, ("libc",), None, "use a build for an older glibc, or run it in a container")
    standard = version(binary.glibcxx)
    if standard and have and have <= GLIBCXX_OF_GLIBC[0] and standard > GLIBCXX_OF_GLIBC[1]:
        reason = f"it needs GLIBCXX_{binary.glibcxx}, newer than Ubuntu 24.04's libstdc++"
        return BinaryVerdict(binary.path, WONT_RUN, reason, ("libc",), None, "use a build for an older libstdc++, or run it in a container")
    return None


def _missing(binary: Binary, target: Target, brought: Collection[str] | None) -> list[str]:
    """Libraries that nobody is known to bring. Only CUDA's count for a library (whoever loads it may have loaded others before)."""
    if brought is None or target.libraries is None:
        return []
    there = {*target.libraries, *brought}
    absent = [name for name in binary.needed if name not in there and not BASE.fullmatch(name) and name not in DRIVER_LIBRARIES]
    return absent if binary.kind == "program" else [name for name in absent if CUDA_LIBRARY.fullmatch(name)]


def _names_missing(missing: Sequence[str]) -> str:
    return f"{', '.join(missing[:6])} {'is' if len(missing) == 1 else 'are'} needed, but neither the desk nor its own package provides it"


def _bring(missing: Sequence[str]) -> str:
    names = []
    for name in missing:
        stem, _so, number = name.partition(".so")
        project = FROM_PIP.get(f"{stem}.so")
        if project and (stem, number) in OF_CUDA_12:
            names.append(f"{project}-cu12")
        elif project:
            names.append(project)
    if not names:
        return f"install what provides {', '.join(missing[:6])}"
    cu12 = any(name.endswith("-cu12") for name in names)
    better = "use a build for CUDA 13 (an index such as https://download.pytorch.org/whl/cu130), or " if cu12 else ""
    return f"{better}install {' '.join(dict.fromkeys(names))} alongside it"


def _gpu(binary: Binary, has_code: bool) -> str:
    if has_code or any(CUDA_LIBRARY.fullmatch(name) or name in DRIVER_LIBRARIES for name in binary.needed):
        return CUDA
    if any(name.startswith(("libtorch_cuda.so", "libcudnn", "libnccl.so", "libc10_cuda.so")) for name in binary.needed):
        return CUDA
    return NONE
