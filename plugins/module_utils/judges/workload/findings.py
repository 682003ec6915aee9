# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on workloads as findings, and the verdict on a folder of a desk. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ...model.finding import Finding, Where
from ...model.workload import NEEDS_REBUILD, NONE, RUNS, UNKNOWN, WONT_RUN, Binary, Image, Judged, Target
from ..catalogue import finding
from .binary import BinaryVerdict, judge_together
from .image import room_needed
from .parts import megabytes
from .rules import RULES

CODE = {
    RUNS: "WORKLOAD_RUNS",
    "RUNS_SLOWLY": "WORKLOAD_RUNS_SLOWLY",
    NEEDS_REBUILD: "WORKLOAD_NEEDS_REBUILD",
    WONT_RUN: "WORKLOAD_WONT_RUN",
    UNKNOWN: "WORKLOAD_UNKNOWN",
}


def findings_of(judged: Judged, where: Where, target: Target) -> list[Finding]:
    """The finding of one item."""
    evidence = {
        "item": judged.item,
        "kind": judged.kind,
        "gpu": judged.gpu or "not seen",
        **dict(judged.seen),
        "rules": {key: f"{RULES[key].says} [{RULES[key].source}]" for key in judged.rules},
        "notes": list(judged.notes),
        "desk": {
            "architecture": target.architecture,
            "compute_capability": target.compute_capability,
            "cuda": target.cuda,
            "glibc": target.glibc,
            "python": target.python,
            "assumed": list(target.assumed),
        },
    }
    # Without the desk: forty desks of one mind share the sentence, and the report names them.
    message = f"{judged.item}: {judged.verdict}: {judged.reason}"
    return [
        finding(CODE[judged.verdict], where, message, evidence=evidence, remedy=judged.instead[:1].upper() + judged.instead[1:] or None)
    ]


def judge_room(image: Image, where: Where, target: Target) -> list[Finding]:
    """A warning when an image that is still to be pulled does not fit; nothing when sizes are not known."""
    needed = room_needed(image)
    if not needed or target.free_bytes is None or needed <= target.free_bytes:
        return []
    message = f"{where.desk}: {image.reference} needs about {megabytes(needed)} unpacked, but only {megabytes(target.free_bytes)} is free"
    return [finding("WORKLOAD_NO_ROOM", where, message, evidence={"needed": needed, "free": target.free_bytes})]


def judge_path(path: str, binaries: Sequence[Binary], walked: str | None, trouble: str | None, target: Target) -> Judged:
    """The verdict on a file or folder of a desk. ``walked``: why not all of it was seen; ``trouble``: why none of it was."""
    if trouble is not None:
        return Judged(path, "path", UNKNOWN, trouble, None, "check the path on the desk", ("not-read",))
    if not binaries:
        reason = walked or "no machine code in it"
        return Judged(
            path, "path", UNKNOWN if walked else RUNS, reason, None if walked else NONE, "", ("not-read" if walked else "no-gpu-code",)
        )
    names = {item.path.rpartition("/")[2] for item in binaries} | {item.soname for item in binaries if item.soname}
    joint, each = judge_together(binaries, target, names, everything=False)
    bad = [item for item in each if item.verdict != RUNS]
    reason = joint.reason if len(binaries) == 1 else _summed(joint, each)
    verdict, instead = joint.verdict, joint.instead
    if walked and verdict == RUNS:
        verdict, reason = UNKNOWN, f"{walked}; what was examined runs"
    seen = (("files", str(len(binaries))), *((f"file {item.path}", f"{item.verdict}: {item.reason}"[:200]) for item in bad[:6]))
    return Judged(path, "path", verdict, reason, joint.gpu, instead, joint.rules, (), seen)


def _summed(joint: BinaryVerdict, each: Sequence[BinaryVerdict]) -> str:
    counts = {verdict: sum(item.verdict == verdict for item in each) for verdict in CODE}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    first = f"; {joint.path}: {joint.reason}" if joint.verdict != RUNS else ""
    return f"{len(each)} files with machine code: {told}{first}"
