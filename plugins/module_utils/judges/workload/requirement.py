# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Python requirement on one desk: the wheels that pip chose for it, or what there is where pip found none. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...model.workload import CUDA, NEEDS_REBUILD, NONE, PARTLY, RUNS, UNKNOWN, VERDICTS, WONT_RUN, Judged, Target, Wheel
from .known import SOURCE_HINTS, STUBS
from .parts import joint_gpu, megabytes
from .wheel import NVIDIA_LIBRARY, WheelVerdict, judge_wheel, misfit

CU130 = "https://download.pytorch.org/whl/cu130"
OTHER_PROJECT = "look for another project, or build it from its repository"
OTHER_INDEXES = {
    "torch": CU130,
    "torchvision": CU130,
    "torchaudio": CU130,
    "vllm": "https://wheels.vllm.ai/nightly/cu130",
    "sgl-kernel": "https://docs.sglang.ai/whl/cu130/",
    "tensorrt": "https://pypi.nvidia.com",
}
"""Where a build for CUDA 13 and aarch64 is to be had for projects that have one elsewhere."""


@dataclass(frozen=True)
class Offer:
    """What an index has of a project that pip could not take as a wheel."""

    project: str
    asked: bool = True
    """False when the index could not be asked."""
    exists: bool = True
    versions: tuple[str, ...] = ()
    """Versions that the requirement allows, oldest first."""
    sdist: str | None = None
    """File name of the newest source archive among them."""
    stub: bool = False
    """Whether that archive only fetches a wheel from elsewhere."""
    foreign: tuple[str, ...] = ()
    """Tags of the newest version's wheels."""
    trouble: str = ""


def judge_chosen(item: str, root: str, wheels: Mapping[str, Wheel], target: Target, today: str, *, alone: bool = False) -> Judged:
    """The verdict on a requirement for which pip found a set of wheels.

    ``root`` is its project, ``wheels`` that project's wheel and all that it asks for, by project; ``alone``: what it asks for is
    not among them, so that nobody can say who brings its libraries.
    """
    brought = {name.rpartition("/")[2] for wheel in wheels.values() for name in wheel.native}
    known = not alone and all(wheel.members is not None for wheel in wheels.values())
    told = {
        name: judge_wheel(wheel, target, today, itself=name == root, brought=brought if known else None) for name, wheel in wheels.items()
    }
    own = told[root]
    counted_names = [name for name, verdict in told.items() if name == root or _counts(verdict, own, name in _direct(wheels[root]))]
    worst = max(counted_names, key=lambda name: (VERDICTS.index(told[name].verdict), name == root))
    counted = told[worst]
    gpu = _gpu(root, own, told, wheels[root])
    chosen = wheels[root]
    size = sum(wheel.size or 0 for wheel in wheels.values()) or None
    reason = counted.reason if worst == root else f"it needs {worst} {wheels[worst].version}: {counted.reason}"
    if counted.verdict == RUNS:
        reason = own.reason if own.gpu is not None else _carried(told, wheels) or own.reason
    seen = (("wheel", chosen.filename), ("from", chosen.source), ("wheels", str(len(wheels))), ("size", megabytes(size)))
    notes = [note for verdict in told.values() for note in verdict.notes]
    for name, verdict in told.items():
        if name not in counted_names and verdict.verdict != RUNS:
            notes.append(f"{name} {wheels[name].version}, which it installs, on its own {verdict.verdict}: {verdict.reason}")
    instead = counted.instead or (_elsewhere(worst) if counted.verdict != RUNS else "")
    return Judged(
        item, "requirement", counted.verdict, reason, gpu or NONE, instead, counted.rules, tuple(dict.fromkeys(notes)), seen, size
    )


def judge_offer(item: str, root: str, offer: Offer, target: Target) -> Judged:
    """The verdict on a requirement for which there is no wheel: ``offer`` is about the project that has none."""
    lead = "" if offer.project == root else f"it needs {offer.project}: "

    def told(verdict: str, reason: str, rule: str, instead: str = "") -> Judged:
        seen = (("project", offer.project), ("source archive", offer.sdist or "none"), ("wheels", ", ".join(offer.foreign[:4]) or "none"))
        return Judged(item, "requirement", verdict, lead + reason, None, instead or _elsewhere(offer.project), (rule,), (), seen)

    if not offer.asked:
        return told(
            UNKNOWN,
            f"the index could not be queried: {offer.trouble}",
            "access",
            "check the network of the controller and workload_check_indexes",
        )
    if not offer.exists:
        return told(
            UNKNOWN,
            "none of the given indexes has a project of that name",
            "access",
            "check the name, or add its index (workload_check_indexes)",
        )
    if not offer.versions:
        return told(
            UNKNOWN,
            "the project has no version that matches the requirement",
            "access",
            "check the version, or add its index (workload_check_indexes)",
        )
    unfit = misfit(offer.foreign, target)
    what = f"its wheels do not fit this desk ({unfit[0]})" if unfit else "it has no wheel"
    if offer.sdist and (offer.stub or offer.project in STUBS):
        reason = f"{offer.sdist} is a stub that fetches a wheel from another index while it is built"
        return told(UNKNOWN, reason, "stub", "use that index instead: workload_check_indexes: [https://pypi.nvidia.com]")
    if offer.sdist:
        hint = SOURCE_HINTS.get(offer.project)
        reason = f"{what}; pip would build {offer.sdist} on the desk" + (f" ({hint})" if hint else "")
        return told(NEEDS_REBUILD, reason, "sdist", _elsewhere(offer.project) or "build it once on a desk: pip wheel " + offer.project)
    return told(
        WONT_RUN, f"{what}, and there is no source archive", "no-source", "look for another project, or build it from its repository"
    )


def judge_placeholder(item: str, wheel: Wheel, newest: str, foreign: Sequence[str], target: Target) -> Judged:
    """The verdict where pip can take only a placeholder because every real release is for other machines."""
    unfit = misfit(foreign, target)
    reason = f"pip would take the placeholder {wheel.version}; the real release {newest} does not fit this desk" + (
        f" ({unfit[0]})" if unfit else ""
    )
    seen = (("wheel", wheel.filename), ("newest release", newest))
    return Judged(
        item, "requirement", WONT_RUN, reason, None, _elsewhere(wheel.project) or OTHER_PROJECT, ("placeholder", "tags"), (), seen
    )


def _direct(wheel: Wheel) -> set[str]:
    """The projects that a wheel itself asks for."""
    found = (re.match(r"[a-z0-9][a-z0-9._-]*", text) for text in wheel.requires)
    return {re.sub(r"[-_.]+", "-", name.group()) for name in found if name}


def _counts(verdict: WheelVerdict, own: WheelVerdict, direct: bool) -> bool:
    """Whether what is said of a dependency is said of what asks for it.

    Files do not tell whether a project ever calls the kernels of a helper that it brings. So a dependency decides where the project itself
    has no machine code and runs on it, and where it cannot be loaded at all.
    """
    if verdict.verdict == RUNS:
        return True
    return direct and (verdict.verdict == WONT_RUN or ("no-gpu-code" in own.rules and own.gpu is None))


def _carried(told: Mapping[str, WheelVerdict], wheels: Mapping[str, Wheel]) -> str | None:
    """What a project without machine code runs on: the wheel among those it asks for that uses the GPU."""
    carrier = next((name for name, item in told.items() if item.gpu == CUDA and not NVIDIA_LIBRARY.fullmatch(name)), None)
    return f"no machine code of its own; {carrier} {wheels[carrier].version}: {told[carrier].reason}" if carrier else None


def _gpu(root: str, own: WheelVerdict, told: Mapping[str, WheelVerdict], wheel: Wheel) -> str | None:
    """What the project uses of the GPU: as its own code says, else what it asks for (CUDA may also be loaded by a program itself)."""
    if own.gpu in (PARTLY, CUDA) or (own.gpu == NONE and "known" in own.rules):
        return own.gpu
    if any(text.startswith(("nvidia-", "cuda-")) for text in wheel.requires):
        return CUDA
    return own.gpu if own.gpu == NONE else joint_gpu(verdict.gpu for verdict in told.values())


def _elsewhere(project: str) -> str:
    index = OTHER_INDEXES.get(project)
    return f"get it from {index} (pip install --extra-index-url {index} {project})" if index else ""
