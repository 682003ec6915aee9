# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nccl-tests across a stack: one rank on each member, started by mpirun on the head as the login user."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..judges.nccl import memory_needed_kb
from ..model import mpi_guard
from ..model.link import Endpoint, members, paths_of
from ..model.proof import Counters, Growth, NcclEvidence, NcclOutput, Problem, Rank
from ..programs import carrier
from ..readers import nccl_tests as nccl_reader
from ..readers.text import json_value
from . import launcher
from .common import all_right, available_kb, both_neighbours, counters, listening_ports, probe
from .side import FORMS, Side, SideError

BUNDLE = "/opt/dgx_spark/nccl"


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


@dataclass(frozen=True)
class Launch:
    """What the ranks are started with. Texts come from the caller; nothing is decided here."""

    envs: tuple[str, ...]
    """The settings file of each member, head first."""
    hostfile: str
    environment: Mapping[str, str]
    """The head's settings, for mpirun itself."""


def measure(sides: Sequence[Side], ends: Sequence[Endpoint], launch: Launch, token: str, options: NcclOptions) -> NcclEvidence:
    """Measure. What went wrong is in the evidence; nothing is raised for a side that is lost on the way.

    ``sides``: one for each member, head first; ``ends``: every end of every cable, in the same order.
    """
    begun = time.monotonic()
    evidence = NcclEvidence()
    try:
        for latest in _stages(dict(zip(members(ends), sides, strict=True)), ends, launch, token, options):
            evidence = latest
    except SideError as error:
        evidence = dataclasses.replace(evidence, problems=(*evidence.problems, Problem(error.kind, error.desk, error.text)))
    return dataclasses.replace(evidence, seconds=round(time.monotonic() - begun, 1))


def _stages(
    sides: Mapping[str, Side], ends: Sequence[Endpoint], launch: Launch, token: str, options: NcclOptions
) -> Iterator[NcclEvidence]:
    """Each value is the evidence so far, so that a lost side loses only what came after."""
    head = ends[0].desk
    paths = paths_of(ends)
    available = {desk: available_kb(side) for desk, side in sides.items()}
    problems = [item for desk, side in sides.items() for item in _missing(side, desk, options)]
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
    seen = tuple(item for path in paths for item in both_neighbours(sides, path))
    evidence = dataclasses.replace(evidence, neighbours=seen)
    yield evidence
    if not all_right(seen, ends):
        return
    if options.fabric_bootstrap:
        blocked = [item for path in paths for item in probe([sides[end.desk] for end in path.ends], path.ends, [0], [0])]
        evidence = dataclasses.replace(evidence, problems=tuple(blocked))
        yield evidence
        if evidence.problems:
            return
    pmix, taken = _mpi_ports(sides)
    if taken or pmix is None:
        yield dataclasses.replace(evidence, problems=taken)
        return
    # Made with mode 0700 by the login user; the token is random.
    folder = f"/tmp/dgx-spark-{token}"
    for side, env in zip(sides.values(), launch.envs, strict=True):
        side.ask("write_file", path=f"{folder}/pair.env", text=env, mode=0o600)
        side.ask("write_file", path=f"{folder}/hostfile", text=launch.hostfile, mode=0o600)
        side.ask("write_file", path=f"{folder}/launch.py", text=carrier.source_of(launcher), mode=0o600)
    argv = command(folder, options, len(sides))
    before = _counters(sides, ends)
    evidence = dataclasses.replace(evidence, argv=tuple(argv))
    yield evidence
    environment = {**launch.environment, "LD_LIBRARY_PATH": f"{options.bundle}/lib", **log_settings(), **session_settings(folder)}
    environment |= mpi_guard.settings(pmix)
    started = sides[head].start(argv, timeout=options.time_limit, env=environment, cwd="/")
    if started.pid is None:
        yield dataclasses.replace(evidence, problems=(Problem("tool_missing", head, "mpirun cannot be started"),))
        return
    answer = sides[head].wait(started.pid, options.time_limit + 10.0) or sides[head].stop(started.pid)
    output = NcclOutput.of(nccl_reader.read(answer.stdout + "\n" + answer.stderr))
    evidence = dataclasses.replace(evidence, rc=answer.rc, error=answer.error, output=output)
    yield evidence
    left = {desk: len(side.ask("end_marked", patience=10.0)["ended"]) for desk, side in sides.items()}
    after = _counters(sides, ends)
    yield dataclasses.replace(
        evidence,
        left_running=left,
        ranks=tuple(_rank(side, desk, folder) for desk, side in sides.items()),
        growth=tuple(Growth(desk, before[desk], after[desk]) for desk in sides),
    )


def _mpi_ports(sides: Mapping[str, Side]) -> tuple[int | None, tuple[Problem, ...]]:
    """A port for PMIx that is free on every desk, and the desks where programs listen on all that Open MPI could take: it aborts then."""
    used = {desk: listening_ports(side) for desk, side in sides.items()}
    free = next((port for port in mpi_guard.PMIX if all(port not in ports for ports in used.values())), None)
    lost = [(desk, needed) for needed in (mpi_guard.DAEMONS, mpi_guard.RANKS) for desk in used if used[desk].issuperset(needed)]
    if free is None:
        lost += [(desk, mpi_guard.PMIX) for desk, ports in used.items() if not ports.isdisjoint(mpi_guard.PMIX)]
    text = "programs listen on the TCP ports from {0} to {1}, which Open MPI needs one of"
    return free, tuple(
        Problem("mpi_ports", desk, text.format(ports[0], ports[-1]), {"first": ports[0], "last": ports[-1]}) for desk, ports in lost
    )


def _counters(sides: Mapping[str, Side], ends: Sequence[Endpoint]) -> dict[str, Counters]:
    """The counters of every member; a member with two ends has those of both."""
    found: dict[str, Counters] = {}
    for end in ends:
        found[end.desk] = {**found.get(end.desk, {}), **counters(sides[end.desk], end)}
    return found


def _missing(side: Side, desk: str, options: NcclOptions) -> list[Problem]:
    asked = (["mpirun", "--version"], ["test", "-x", options.program], ["ldd", options.program])
    answers = [side.run(argv, env={"LD_LIBRARY_PATH": f"{options.bundle}/lib"}) for argv in asked]
    late = [" ".join(answer.argv) for answer in answers if answer.error == "timeout"]
    if late:
        return [Problem("no_answer", desk, late[0], {"commands": late})]
    if answers[0].error == "missing":
        return [Problem("tool_missing", desk, "Open MPI is not installed (mpirun)")]
    if not answers[1].ok:
        return [_not_run(side, desk, options.program)]
    newer = sorted(set(re.findall(r"version `([A-Za-z]{1,16}_[0-9.]{1,16})' not found", answers[2].stdout)))
    if newer:
        text = f"{options.program} needs {', '.join(newer[:8])}, which this desk's system is too old for"
        return [Problem("newer_system", desk, text, {"needs": newer[:8]})]
    lost = re.findall(r"^[ \t]*([^\s=]{1,255}) => not found", answers[2].stdout, re.MULTILINE)
    return [Problem("library", desk, f"{options.program} needs {', '.join(lost)}", {"missing": lost})] if lost else []


def _not_run(side: Side, desk: str, program: str) -> Problem:
    """Why a program cannot be run by the user: to root, who reads the facts, one in a folder that lets nobody else in is whole."""
    parts = program.split("/")
    paths = ["/".join(parts[:count]) for count in range(2, len(parts) + 1)]
    rows = [line.split(" ", 2) for line in side.run(["stat", "-c", "%A %U %n", "--", *paths]).stdout.splitlines()]
    mode, owner, last = rows[-1] if rows and len(rows[-1]) == 3 else ("", "", "")
    evidence = {"program": program, "path": last, "mode": mode, "owner": owner}
    if last == program:
        text = f"the login user may not run {program} ({mode} {owner}), or its file system is mounted noexec"
        return Problem("may_not_run", desk, text, evidence)
    if mode and mode[-1] not in "xt":
        return Problem("may_not_run", desk, f"the login user may not enter {last} ({mode} {owner}), where {program} is", evidence)
    return Problem("library", desk, f"{program} does not exist", {"program": program})


def log_settings() -> dict[str, str]:
    """What makes NCCL tell its transport."""
    return {"NCCL_DEBUG": "INFO", "NCCL_DEBUG_SUBSYS": "INIT,NET"}


def session_settings(folder: str) -> dict[str, str]:
    """What keeps Open MPI's session in the measurement's own folder, on the head and on the desks where mpirun starts its daemon.

    By itself it takes /tmp/ompi.HOST.UID, whoever made that: another user's, with links in it, makes it write into any folder of the login
    user, and empty that folder at the end. The second name is Open MPI 4's, the third Open MPI 5's; both go to the daemons.
    """
    return dict.fromkeys(("TMPDIR", "OMPI_MCA_orte_tmpdir_base", "PRTE_MCA_prte_tmpdir_base"), folder)


def command(folder: str, options: NcclOptions, ranks: int = 2) -> list[str]:
    """The argument list of the run."""
    argv = ["mpirun", "-np", str(ranks), "--hostfile", f"{folder}/hostfile", "--map-by", "node", "--bind-to", "none"]
    for name in ("LD_LIBRARY_PATH", "DGX_SPARK_MEASUREMENT", *log_settings()):
        argv += ["-x", name]
    argv += [carrier.PYTHON, "-I", f"{folder}/launch.py", f"{folder}/pair.env", f"{folder}/rank.json", options.program]
    return [
        *argv,
        "-b", str(min(options.min_bytes, options.max_bytes)), "-e", str(options.max_bytes), "-f", "2", "-g", "1",
        "-n", str(options.iterations), "-w", str(options.warmups), "-c", "1",
    ]  # fmt: skip


def _rank(side: Side, desk: str, folder: str) -> Rank:
    data = json_value(side.read_text(f"{folder}/rank.json").text or "")
    data = data if isinstance(data, dict) else {}
    told = {item.name: data.get(item.name) for item in dataclasses.fields(Rank) if item.name != "desk" and _is_told(data, item)}
    return Rank(desk, **told)


def _is_told(data: Mapping[str, Any], item: dataclasses.Field[Any]) -> bool:
    value = data.get(item.name)
    return isinstance(value, FORMS[str(item.type)]) and not isinstance(value, bool)
