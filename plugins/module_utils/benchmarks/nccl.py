# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nccl-tests across a pair: one rank on each desk, started by mpirun on the head as the login user."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..changes.settings import Meeting, hostfile, values_of
from ..judges.nccl import memory_needed_kb
from ..model.link import Endpoint
from ..model.proof import Growth, NcclEvidence, Problem, Rank
from ..programs import carrier
from . import launcher
from .common import available_kb, counters, neighbours, probe
from .rdma import all_right
from .side import Side, SideError

BUNDLE = "/opt/dgx_spark/nccl"
COLLECTIVES = ("all_gather", "all_reduce")
PROBE_PORT = 18515


@dataclass(frozen=True)
class NcclOptions:
    """How to measure."""

    collective: str = "all_gather"
    min_bytes: int = 1 << 30
    max_bytes: int = 4 << 30
    iterations: int = 20
    warmups: int = 5
    bundle: str = BUNDLE
    time_limit: float = 300.0
    """Seconds after which both ranks are stopped."""
    fabric_bootstrap: bool = True

    @property
    def program(self) -> str:
        """The test program."""
        return f"{self.bundle}/bin/{self.collective}_perf"


def measure(
    head: Side, peer: Side, ends: tuple[Endpoint, Endpoint], envs: tuple[str, str], meet: Meeting, token: str, options: NcclOptions
) -> NcclEvidence:
    """Measure. What went wrong is in the evidence; nothing is raised for a side that is lost on the way."""
    begun = time.monotonic()
    evidence = NcclEvidence()
    try:
        for latest in _stages((head, peer), ends, envs, meet, token, options):
            evidence = latest
    except SideError as error:
        evidence = dataclasses.replace(evidence, problems=(*evidence.problems, Problem(error.kind, error.desk, error.text)))
    return dataclasses.replace(evidence, seconds=round(time.monotonic() - begun, 1))


def _stages(
    sides: tuple[Side, Side], ends: tuple[Endpoint, Endpoint], envs: tuple[str, str], meet: Meeting, token: str, options: NcclOptions
) -> Iterator[NcclEvidence]:
    """Each value is the evidence so far, so that a lost side loses only what came after."""
    available = {end.desk: available_kb(side) for side, end in zip(sides, ends, strict=True)}
    problems = [item for side, end in zip(sides, ends, strict=True) for item in _missing(side, end, options)]
    needed = memory_needed_kb(options.max_bytes)
    problems += [
        Problem("memory", desk, f"{needed} kB needed, {kb} kB available", {"needed_kb": needed, "available_kb": kb})
        for desk, kb in available.items()
        if kb is None or kb < needed
    ]
    evidence = NcclEvidence(available_kb=available, problems=tuple(problems))
    yield evidence
    if problems:
        return
    # Neighbours are primed here: a cold table is a known cause of IBV_WC_RETRY_EXC_ERR.
    seen = (*neighbours(sides[0], ends[0], ends[1]), *neighbours(sides[1], ends[1], ends[0]))
    evidence = dataclasses.replace(evidence, neighbours=seen)
    yield evidence
    if not all_right(seen, ends):
        return
    if options.fabric_bootstrap:
        evidence = dataclasses.replace(evidence, problems=tuple(probe(sides, ends, [0], [0])))
        yield evidence
        if evidence.problems:
            return
    # Made with mode 0700 by the login user; the token is random.
    folder = f"/tmp/dgx-spark-{token}"
    for which, side in enumerate(sides):
        side.ask("write_file", path=f"{folder}/pair.env", text=envs[which], mode=0o600)
        side.ask("write_file", path=f"{folder}/hostfile", text=hostfile(meet), mode=0o600)
        side.ask("write_file", path=f"{folder}/launch.py", text=carrier.source_of(launcher), mode=0o600)
    argv = command(folder, options)
    before = [counters(side, end) for side, end in zip(sides, ends, strict=True)]
    evidence = dataclasses.replace(evidence, argv=tuple(argv))
    yield evidence
    environment = {**values_of(envs[0]), "LD_LIBRARY_PATH": f"{options.bundle}/lib", **log_settings()}
    started = sides[0].start(argv, timeout=options.time_limit, env=environment, cwd="/")
    if started.pid is None:
        yield dataclasses.replace(evidence, problems=(Problem("tool_missing", ends[0].desk, "mpirun cannot be started"),))
        return
    answer = sides[0].wait(started.pid, options.time_limit + 10.0) or sides[0].stop(started.pid)
    evidence = dataclasses.replace(evidence, rc=answer.rc, error=answer.error, stdout=answer.stdout, stderr=answer.stderr)
    yield evidence
    left = {end.desk: len(side.ask("end_marked", patience=10.0)["ended"]) for side, end in zip(sides, ends, strict=True)}
    after = [counters(side, end) for side, end in zip(sides, ends, strict=True)]
    yield dataclasses.replace(
        evidence,
        left_running=left,
        ranks=tuple(_rank(side, end, folder) for side, end in zip(sides, ends, strict=True)),
        growth=tuple(Growth(end.desk, first, last) for end, first, last in zip(ends, before, after, strict=True)),
    )


def _missing(side: Side, end: Endpoint, options: NcclOptions) -> list[Problem]:
    if side.run(["mpirun", "--version"]).error == "missing":
        return [Problem("tool_missing", end.desk, "Open MPI is not installed (mpirun)")]
    if not side.run(["test", "-x", options.program]).ok:
        return [Problem("library", end.desk, f"{options.program} is not there", {"program": options.program})]
    answer = side.run(["ldd", options.program], env={"LD_LIBRARY_PATH": f"{options.bundle}/lib"})
    lost = re.findall(r"^\s*(\S+) => not found", answer.stdout, re.MULTILINE)
    return [Problem("library", end.desk, f"{options.program} needs {', '.join(lost)}", {"missing": lost})] if lost else []


def log_settings() -> dict[str, str]:
    """What makes NCCL tell its transport."""
    return {"NCCL_DEBUG": "INFO", "NCCL_DEBUG_SUBSYS": "INIT,NET"}


def command(folder: str, options: NcclOptions) -> list[str]:
    """The argument list of the run."""
    argv = ["mpirun", "-np", "2", "--hostfile", f"{folder}/hostfile", "--map-by", "node", "--bind-to", "none"]
    for name in ("LD_LIBRARY_PATH", "DGX_SPARK_MEASUREMENT", *log_settings()):
        argv += ["-x", name]
    argv += [carrier.PYTHON, "-I", f"{folder}/launch.py", f"{folder}/pair.env", f"{folder}/rank.json", options.program]
    return [
        *argv,
        "-b", str(options.min_bytes), "-e", str(options.max_bytes), "-f", "2", "-g", "1",
        "-n", str(options.iterations), "-w", str(options.warmups), "-c", "1",
    ]  # fmt: skip


def _rank(side: Side, end: Endpoint, folder: str) -> Rank:
    text = side.read_text(f"{folder}/rank.json").text
    try:
        data = json.loads(text or "{}")
    except ValueError:
        data = {}
    names = {field.name for field in dataclasses.fields(Rank)} - {"desk"}
    return Rank(end.desk, **{key: value for key, value in data.items() if key in names})
