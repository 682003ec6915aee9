# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Python wheel on one desk: its tags, its native files, what comes with it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from ...model.workload import CUDA, NEEDS_REBUILD, NONE, RUNS, UNKNOWN, WONT_RUN, Binary, Target, Wheel
from .binary import judge_together
from .device_code import judge_code
from .known import Entry, project_entry, release
from .parts import BUILD_FOR_GPU, joint_gpu, version

OLD_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
NVIDIA_LIBRARY = re.compile(
    r"nvidia-(?:cublas|cuda-[a-z]{2,12}|cudnn|cufft|cufile|curand|cusolver|cusparse|cusparselt|nccl|nvjitlink|nvjpeg|nvshmem|nvtx|nvvm|npp|"
    r"nvfatbin|nvimgcodec)(?:-cu1[0-9])?"
)


@dataclass(frozen=True)
class WheelVerdict:
    """What is said of one wheel."""

    verdict: str
    reason: str
    rules: tuple[str, ...] = ()
    gpu: str | None = None
    instead: str = ""
    notes: tuple[str, ...] = ()


def judge_wheel(wheel: Wheel, target: Target, today: str, *, itself: bool, brought: Collection[str] | None) -> WheelVerdict:
    """The verdict on one wheel; ``itself``: asked for by name, not a dependency; ``brought``: libraries that come with it."""
    unfit = misfit(wheel.tags, target)
    if unfit:
        return WheelVerdict(WONT_RUN, unfit[0], ("tags",), None, unfit[1])
    entry = project_entry(wheel.project, wheel.version, cuda_build(wheel), today, itself)
    notes = _notes(wheel, today, itself)
    if itself and wheel.members == 0:
        reason = f"{wheel.version} is an empty placeholder: there is nothing in the wheel"
        return WheelVerdict(WONT_RUN, reason, ("placeholder",), NONE, "see the project's own pages for what it supports", notes)
    if entry is not None and entry.verdict in (WONT_RUN, NEEDS_REBUILD):
        return WheelVerdict(entry.verdict, entry.told, ("known",), entry.gpu, entry.instead, notes)
    looked = _looked_into(wheel, target, brought, notes, itself)
    if looked is not None and (looked.verdict in (WONT_RUN, NEEDS_REBUILD) or not wheel.not_read):
        gpu = entry.gpu if entry is not None and entry.gpu is not None else looked.gpu
        instead = (entry.instead if entry is not None else "") or looked.instead
        return WheelVerdict(looked.verdict, looked.reason, looked.rules, gpu, instead if looked.verdict != RUNS else "", looked.notes)
    return _not_all_read(wheel, target, entry, looked, notes)


def misfit(tags: Collection[str], target: Target) -> tuple[str, str] | None:
    """Why no tag fits the desk and what to take; null when one fits, or when there are none to look at."""
    problems = [_tag_problem(tag, target) for tag in tags]
    if not problems or None in problems:
        return None
    # The tag that fails on the least important count tells most.
    order = ("interpreter", "libc", "machine")
    kind, text = min((problem for problem in problems if problem), key=lambda item: order.index(item[0]))
    take = {
        "interpreter": f"use the wheel for cp{(target.python or '3.12').replace('.', '')}, or a Python of that version",
        "libc": "use the manylinux wheel for an older glibc (manylinux_2_28 and the like)",
        "machine": f"use the wheel for {target.architecture or 'aarch64'}, or build it from source",
    }
    return text, take[kind]


def cuda_build(wheel: Wheel) -> int | None:
    """The CUDA that a wheel was built for: 130 for 13.0, 0 for none at all, null when nothing says it."""
    local = wheel.version.partition("+")[2]
    found = re.search(r"(?:^|[._])cu([0-9]{2,3})(?:[._]|$|torch)", local) or re.search(r"/cu([0-9]{3})(?:/|$)", wheel.source)
    if found:
        return int(found.group(1)) if len(found.group(1)) == 3 else int(found.group(1)) * 10
    if local == "cpu" or re.search(r"/whl/cpu(?:/|$)", wheel.source):
        return 0
    for text in wheel.requires:
        wanted = re.match(
            r"(?:cuda-toolkit|nvidia-cuda-runtime(?:-cu1[0-9])?)(?:\[[^\]]{0,400}\])?\s*[=~>]=\s*([0-9]{2})\.([0-9]{1,2})", text
        )
        if wanted:
            return int(wanted.group(1)) * 10 + int(wanted.group(2))
    named = re.search(r"(?:cu|cuda)(1[0-9])(?:x|\b)", wheel.project)
    if named:
        return int(named.group(1)) * 10
    if wheel.project == "torch" and wheel.requires and not any(text.startswith(("nvidia-", "cuda-")) for text in wheel.requires):
        return 0
    return None


def _tag_problem(tag: str, target: Target) -> tuple[str, str] | None:
    interpreter, abi, platform = [*tag.split("-"), "", ""][:3]
    machine = target.architecture
    if platform != "any":
        found = re.fullmatch(
            r"(manylinux_([0-9]+)_([0-9]+)|manylinux1|manylinux2010|manylinux2014|linux|musllinux_[0-9]+_[0-9]+)_(\w+)", platform
        )
        if not found:
            return "machine", f"its tag {platform} is for another system"
        if machine is not None and found.group(4) != machine:
            return "machine", f"it is for {found.group(4)}, but the desk is {machine}"
        if found.group(1).startswith("musllinux"):
            return "libc", "it is for musl, but the desk has glibc"
        need = (int(found.group(2)), int(found.group(3))) if found.group(2) else OLD_MANYLINUX.get(found.group(1))
        have = version(target.glibc)
        if need and have and need > have[:2]:
            return "libc", f"it needs glibc {need[0]}.{need[1]}, the desk has {target.glibc}"
    python = version(target.python)
    if python is None or len(python) < 2:
        return None
    if not _python_fits(interpreter, abi, (python[0], python[1])):
        return "interpreter", f"it is for {interpreter}-{abi}, but the desk has Python {target.python}"
    return None


def _python_fits(interpreter: str, abi: str, python: tuple[int, int]) -> bool:
    found = re.fullmatch(r"(cp|py)([0-9])([0-9]{0,2})", interpreter)
    if not found or int(found.group(2)) != python[0]:
        return False
    minor = int(found.group(3)) if found.group(3) else None
    if found.group(1) == "py":
        return abi == "none" and (minor is None or minor <= python[1])
    if abi == "abi3":
        return minor is not None and minor <= python[1]
    return minor == python[1] and abi in ("none", f"cp{python[0]}{python[1]}")


def _notes(wheel: Wheel, today: str, itself: bool) -> tuple[str, ...]:
    """What is known to surprise, for a dependency that would be refused by name."""
    if itself:
        return ()
    trap = project_entry(wheel.project, wheel.version, cuda_build(wheel), today, True)
    return (f"{wheel.project} {wheel.version}: {trap.told}; {trap.instead}",) if trap is not None and trap.only_itself else ()


def _looked_into(
    wheel: Wheel, target: Target, brought: Collection[str] | None, notes: tuple[str, ...], itself: bool
) -> WheelVerdict | None:
    """What its contents say; null when it was not opened."""
    if wheel.members is None:
        return None
    binaries = [item for item in wheel.binaries if item.machine is not None]
    foreign = [item for item in binaries if _foreign(item, target)]
    own = [item for item in binaries if not _foreign(item, target)]
    if foreign and not own:
        reason = f"{foreign[0].path} in it is made for {foreign[0].machine}"
        if any(tag.endswith("-any") for tag in wheel.tags):
            reason = f"it installs on any machine, but {reason}"
        remedy = "use a version with a wheel for aarch64, or build it from source"
        return WheelVerdict(WONT_RUN, reason, ("foreign-in-any", "machine"), None, remedy, notes)
    if wheel.loose and not any(item.machine != "cuda" for item in own):
        return _of_loose(wheel, own, target, itself, notes)
    if own:
        joint, _each = judge_together(own, target, None if brought is None else {*brought, *(_base(name) for name in wheel.native)})
        where = f"{_base(joint.path)}: " if joint.verdict != RUNS or joint.gpu == CUDA else ""
        return WheelVerdict(joint.verdict, f"{where}{joint.reason}", joint.rules, joint.gpu, joint.instead, notes)
    if wheel.native:
        return None if wheel.not_read else WheelVerdict(UNKNOWN, "its native files could not be read", ("not-read",), None, "", notes)
    return WheelVerdict(RUNS, "no machine code in it", ("no-gpu-code",), None, "", notes)


def _of_loose(wheel: Wheel, own: list[Binary], target: Target, itself: bool, notes: tuple[str, ...]) -> WheelVerdict:
    """A wheel whose only machine code is loose device code: cubins by their names, PTX and fat binaries by what they hold."""
    codes = [*wheel.cubin_names, *(code for item in own for unit in item.units for code in unit)]
    judged = [found for code in codes if (found := judge_code([[code]], [], target.compute_capability, target.cuda)) is not None]
    if not judged:
        return WheelVerdict(UNKNOWN, "the targets of its device code are not known", ("not-read",), CUDA, "", notes)
    if any(found.verdict != NEEDS_REBUILD for found in judged):
        return WheelVerdict(RUNS, "some of its separate device code files are for this GPU", ("sass",), CUDA, "", notes)
    names = ", ".join(dict.fromkeys(codes[:400]))[:120]
    told = f"its {wheel.loose} device code files are for {names}: none for {target.compute_capability}"
    if itself and wheel.loose * 2 > (wheel.members or 0):
        return WheelVerdict(NEEDS_REBUILD, told, judged[0].rules, CUDA, BUILD_FOR_GPU, notes)
    # Whoever loads them chooses, and may compile its own.
    return WheelVerdict(
        RUNS, "no program or library in it", ("no-gpu-code",), CUDA, "", (*notes, f"{wheel.project} {wheel.version}: {told}")
    )


def _foreign(binary: Binary, target: Target) -> bool:
    return binary.machine not in (None, "cuda", target.architecture) and target.architecture is not None


def _not_all_read(wheel: Wheel, target: Target, entry: Entry | None, looked: WheelVerdict | None, notes: tuple[str, ...]) -> WheelVerdict:
    why = wheel.not_read or "its contents were not examined"
    if entry is not None and (entry.units or entry.verdict):
        code = judge_code([entry.units], [], target.compute_capability, target.cuda)
        verdict = entry.verdict or (code.verdict if code else UNKNOWN)
        rules = ("known", *(code.rules if code else ()))
        return WheelVerdict(
            verdict, f"{entry.told}; {why}", rules, entry.gpu, "" if verdict == RUNS else entry.instead or BUILD_FOR_GPU, notes
        )
    if NVIDIA_LIBRARY.fullmatch(wheel.project):
        if _new_nvidia_library(wheel):
            return WheelVerdict(RUNS, f"NVIDIA's library of CUDA 12.9 or newer for aarch64; {why}", ("nvidia-library",), CUDA, "", notes)
        return WheelVerdict(UNKNOWN, f"NVIDIA's library for CUDA 12; {why}", ("nvidia-library",), CUDA, "use the one for CUDA 13", notes)
    gpu = joint_gpu([looked.gpu if looked else None, entry.gpu if entry else None])
    return WheelVerdict(
        UNKNOWN, why, ("not-read",), gpu, "raise workload_check_read_mb, or install it on one desk and check that folder with paths", notes
    )


def _new_nvidia_library(wheel: Wheel) -> bool:
    if wheel.project.endswith("-cu13"):
        return True
    key = release(wheel.version)
    if wheel.project.endswith("-cu12"):
        return wheel.project.startswith(("nvidia-cublas", "nvidia-cuda-", "nvidia-nvjitlink")) and (12, 9) <= key < (13,)
    return not wheel.project.endswith("-cu11")


def _base(path: str) -> str:
    return path.rpartition("/")[2]
