# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""perftest over a path: each function alone both ways, both functions one way, then both functions in both directions at once.

At adaptive depth the last and hardest of these comes first, and the nine steps follow only where it does not prove them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..desk import Answer
from ..judges.marks_data import MARKS, Mark
from ..judges.rdma_hardest import weigh
from ..model.link import Endpoint, Path, members
from ..model.proof import Counters, Growth, Locked, Problem, RdmaEvidence, RdmaRun, RdmaStep
from ..readers import perftest as perftest_reader
from .common import all_right, counters, free_ports, gid_index, locked, neighbours, probe, tail, wait_for_listener
from .side import Side, SideError

FORWARD, BACK, BOTH = "forward", "back", "both"
ONE_WAY, BOTH_FUNCTIONS, BOTH_WAYS = "one_way", "both_functions", "both_ways"

ADAPTIVE, FULL = "adaptive", "full"
DEPTHS = (ADAPTIVE, FULL)

STEPS = 9
"""Steps of a measurement at full depth, latency not counted: three of each function, three of both."""

PORTS = 32
"""Size of the port range that is searched for free ports."""

OUTPUT_LIMIT = 65536
"""Characters that are read of what perftest said on a desk; an honest run has a few thousand."""

START_PATIENCE = 10.0
"""Seconds for a perftest server until it listens."""

END_PATIENCE = 10.0
"""Seconds for a perftest server to end once its client has a figure; the two tell each other that they are done."""

HOPELESS = ("missing", "denied", "enomem", "timeout")
"""Errors of a step after which further steps would say the same."""


@dataclass(frozen=True)
class RdmaOptions:
    """How to measure."""

    seconds: int = 4
    """Duration of each step; perftest leaves out the first and last quarter."""
    message_size: int = 1048576
    queue_pairs: int = 4
    first_port: int = 18515
    margin: int = 20
    """Seconds that a step may take beyond its duration."""
    depth: str = FULL
    """full: every step; adaptive: the hardest step, and every step where that one does not prove the others."""

    @property
    def step_limit(self) -> float:
        """Seconds after which a step's programs are ended."""
        return float(self.seconds + self.margin)

    @property
    def time_limit(self) -> float:
        """Seconds that all steps of a path may take, latency and the counters between them included."""
        most = STEPS + 1 + (1 if self.depth == ADAPTIVE else 0)
        return most * self.step_limit + 30.0


@dataclass(frozen=True)
class _Context:
    sides: Sequence[Side]
    ends: Sequence[Endpoint]
    gids: Sequence[Sequence[int]]
    options: RdmaOptions

    def counted(self) -> list[Counters]:
        """The counters of both desks now."""
        return [counters(side, end) for side, end in zip(self.sides, self.ends, strict=True)]

    def growth(self, before: Sequence[Counters]) -> tuple[Growth, ...]:
        """What the counters of both desks grew by since."""
        return tuple(Growth(end.desk, first, last) for end, first, last in zip(self.ends, before, self.counted(), strict=True))


def measure(sides: Sequence[Side], path: Path, options: RdmaOptions, marks: Sequence[Mark] = MARKS) -> RdmaEvidence:
    """Measure one path; forward is from its first end to its second, ``sides`` are theirs. ``marks`` say when less is enough.

    What went wrong is in the evidence; nothing is raised for a side that is lost on the way.
    """
    begun = time.monotonic()
    evidence = RdmaEvidence()
    try:
        for latest in _stages(sides, path.ends, options, marks):
            evidence = latest
    except SideError as error:
        evidence = dataclasses.replace(evidence, problems=(*evidence.problems, Problem(error.kind, error.desk, error.text)))
    return dataclasses.replace(evidence, seconds=round(time.monotonic() - begun, 1))


def _stages(sides: Sequence[Side], ends: Sequence[Endpoint], options: RdmaOptions, marks: Sequence[Mark]) -> Iterator[RdmaEvidence]:
    """Each value is the evidence so far, so that a lost side loses only what came after."""
    asked = [(end.desk, side.run(["ib_write_bw", "--version"]).error) for side, end in zip(sides, ends, strict=True)]
    problems = [Problem("tool_missing", desk, "ib_write_bw is not installed") for desk, error in asked if error == "missing"]
    problems += [Problem("no_answer", desk, "ib_write_bw --version") for desk, error in asked if error == "timeout"]
    evidence = RdmaEvidence(problems=tuple(problems))
    yield evidence
    if problems:
        return
    seen = (*neighbours(sides[0], ends[0], ends[1]), *neighbours(sides[1], ends[1], ends[0]))
    evidence = dataclasses.replace(evidence, neighbours=seen)
    yield evidence
    if not all_right(seen, ends):
        return
    indices = [[gid_index(side, function) for function in end.functions] for side, end in zip(sides, ends, strict=True)]
    problems += [
        Problem("gid", end.desk, f"{function.rdma_device} has no RoCE v2 GID for {function.address}", {"function": function.netdev})
        for end, mine in zip(ends, indices, strict=True)
        for function, index in zip(end.functions, mine, strict=True)
        if index is None
    ]
    ports = free_ports(sides[1], options.first_port, PORTS, 2)
    problems += [] if problems else probe(sides, ends, ports, range(len(ends[0].functions)))
    evidence = dataclasses.replace(evidence, problems=tuple(problems))
    yield evidence
    if problems:
        return
    gids = (tuple(index or 0 for index in indices[0]), tuple(index or 0 for index in indices[1]))
    context = _Context(sides, ends, gids, options)
    if options.depth == ADAPTIVE:
        before = context.counted()
        step, limits = _step(context, BOTH_WAYS, BOTH, tuple(range(len(ends[0].functions))), each_way=True)
        evidence = dataclasses.replace(evidence, hardest=step, hardest_growth=context.growth(before), limits=limits)
        yield evidence
    if not weigh(ends, evidence, marks).proven:
        # As if nothing had been measured yet: the verdict of the nine steps depends on them alone.
        evidence = dataclasses.replace(evidence, limits=())
        before = context.counted()
        for step, limits in _steps(context):
            evidence = dataclasses.replace(evidence, steps=(*evidence.steps, step), limits=evidence.limits or limits)
            yield evidence
        evidence = dataclasses.replace(evidence, growth=context.growth(before))
        yield evidence
        if not evidence.steps or any(run.error is not None for run in evidence.steps[0].runs):
            return
    yield dataclasses.replace(evidence, latency_us=_latency(context))


def _steps(context: _Context) -> Iterator[tuple[RdmaStep, tuple[Locked, ...]]]:
    everything = tuple(range(len(context.ends[0].functions)))
    plan: list[tuple[str, str, tuple[int, ...]]] = []
    for place in everything:
        # Both ways also on each function alone: a degraded cable was told by that figure when all one-way figures were healthy.
        plan += [(ONE_WAY, FORWARD, (place,)), (ONE_WAY, BACK, (place,)), (BOTH_WAYS, BOTH, (place,))]
    if len(everything) > 1:
        plan += [(BOTH_FUNCTIONS, FORWARD, everything), (BOTH_FUNCTIONS, BACK, everything), (BOTH_WAYS, BOTH, everything)]
    for kind, direction, functions in plan:
        step, limits = _step(context, kind, direction, functions)
        yield step, limits
        if any(run.error in HOPELESS for run in step.runs):
            return


@dataclass(frozen=True)
class _Running:
    """A step whose programs were started."""

    context: _Context
    kind: str
    direction: str
    functions: tuple[int, ...]
    each_way: bool
    ports: tuple[int, ...] = ()
    servers: tuple[int | None, ...] = ()
    clients: tuple[int | None, ...] = ()
    asked: tuple[tuple[str, ...], ...] = ()
    errors: tuple[str | None, ...] = ()
    limits: tuple[Locked, ...] = ()

    @property
    def roles(self) -> tuple[int, int]:
        """Which of the two ends sends and which receives."""
        return (1, 0) if self.direction == BACK else (0, 1)


def _step(
    context: _Context, kind: str, direction: str, functions: tuple[int, ...], each_way: bool = False
) -> tuple[RdmaStep, tuple[Locked, ...]]:
    """One step; ``each_way``: the tool tells the two directions of a step that goes both ways apart."""
    return _ended(_clients(_servers(_Running(context, kind, direction, functions, each_way))))


def _servers(step: _Running) -> _Running:
    """Start the receiving programs and wait until they listen. Raises SideError where another user's program listens instead."""
    context, (_sender, receiver) = step.context, step.roles
    side, options = context.sides[receiver], context.options
    ports = free_ports(side, options.first_port, PORTS, len(step.functions))
    servers: list[int | None] = []
    limits: list[Locked] = []
    errors: list[str | None] = []
    for place, port in zip(step.functions, ports, strict=False):
        started = side.start(_argv(context, receiver, place, port, step.kind, step.each_way), timeout=options.step_limit)
        servers.append(started.pid)
        limits.append(locked(context.ends[receiver].desk, started.limits))
        if started.pid is None:
            errors.append(started.error)
            continue
        unready = wait_for_listener(side, started.pid, port, START_PATIENCE)
        if unready == "taken":
            for pid in servers:
                _finish(side, pid, 0.0)
            asked = f"sudo ss -Hltnp sport = :{port}"
            raise SideError(side.name, "port_busy", f"a program of another user listens on TCP port {port}; {asked} there names it")
        errors.append(unready)
    return dataclasses.replace(step, ports=tuple(ports), servers=tuple(servers), errors=tuple(errors), limits=tuple(limits))


def _clients(step: _Running) -> _Running:
    """Start the sending programs."""
    context, (sender, receiver) = step.context, step.roles
    options = context.options
    clients: list[int | None] = []
    asked: list[tuple[str, ...]] = []
    limits = list(step.limits)
    for place, port, error in zip(step.functions, step.ports, step.errors, strict=False):
        argv = _argv(context, sender, place, port, step.kind, step.each_way)
        asked.append((*argv, context.ends[receiver].functions[place].address))
        if error is not None:
            clients.append(None)
            continue
        started = context.sides[sender].start(asked[-1], timeout=options.step_limit)
        clients.append(started.pid)
        limits.append(locked(context.ends[sender].desk, started.limits))
    return dataclasses.replace(step, clients=tuple(clients), asked=tuple(asked), limits=tuple(limits))


def _ended(step: _Running) -> tuple[RdmaStep, tuple[Locked, ...]]:
    """Wait for the programs of a step and read what they say."""
    context, (sender, receiver) = step.context, step.roles
    runs = []
    for number, place in enumerate(step.functions[: len(step.servers)]):
        client = _finish(context.sides[sender], step.clients[number], context.options.step_limit)
        server = _finish(context.sides[receiver], step.servers[number], END_PATIENCE if client is not None and client.ok else 3.0)
        run = _run(context, sender, receiver, place, step.kind, client, server, step.errors[number])
        runs.append(dataclasses.replace(run, command=step.asked[number]))
    seen = {item.desk: item for item in step.limits}
    return RdmaStep(step.kind, step.direction, tuple(runs)), tuple(seen.values())


def rounds(paths: Sequence[Path]) -> list[list[Path]]:
    """The paths in rounds of disjoint ones: within a round no desk is in two, so that nothing shares a desk's budget.

    As in a tournament of everybody against everybody: at most as many rounds as desks.
    """
    names = members(end for path in paths for end in path.ends)
    odd = len(names) - 1 + len(names) % 2
    found: dict[int, list[Path]] = {}
    for path in paths:
        one, other = sorted(names.index(end.desk) for end in path.ends)
        # With an even number the last one meets each of the others in the round that is free for that one.
        number = (one + other) % odd if other < odd else (2 * one) % odd
        found.setdefault(number, []).append(path)
    return [found[number] for number in sorted(found)]


def together(sides: Mapping[str, Side], paths: Sequence[Path], options: RdmaOptions) -> list[RdmaStep]:
    """The hardest step of all paths at the same time, in the order of the paths. Raises SideError for a side that is lost."""
    running = []
    for path in paths:
        mine = [sides[end.desk] for end in path.ends]
        gids = tuple(tuple(gid_index(side, item) or 0 for item in end.functions) for side, end in zip(mine, path.ends, strict=True))
        running.append(
            _servers(_Running(_Context(mine, path.ends, gids, options), BOTH_WAYS, BOTH, tuple(range(len(gids[0]))), each_way=True))
        )
    running = [_clients(step) for step in running]
    return [_ended(step)[0] for step in running]


def _finish(side: Side, pid: int | None, patience: float) -> Answer | None:
    """The program's answer; it is ended when it does not end by itself."""
    if pid is None:
        return None
    answer = side.wait(pid, patience) or side.stop(pid)
    return dataclasses.replace(answer, stdout=answer.stdout[:OUTPUT_LIMIT], stderr=answer.stderr[:OUTPUT_LIMIT])


def _argv(context: _Context, which: int, place: int, port: int, kind: str, each_way: bool) -> list[str]:
    options = context.options
    argv = ["ib_write_bw", *_device(context, which, place, port), "-F", "--report_gbits", "-s", str(options.message_size)]
    argv += ["-q", str(options.queue_pairs), "-D", str(options.seconds)]
    argv += ["-b"] if kind == BOTH_WAYS else []
    return [*argv, "--report-both"] if each_way else argv


def _device(context: _Context, which: int, place: int, port: int) -> list[str]:
    device = context.ends[which].functions[place].rdma_device
    return ["-d", device, "-i", "1", "-x", str(context.gids[which][place]), "-p", str(port)]


def _run(
    context: _Context, sender: int, receiver: int, place: int, kind: str, client: Answer | None, server: Answer | None, error: str | None
) -> RdmaRun:
    source, target = context.ends[sender], context.ends[receiver]
    run = RdmaRun(place, source.desk, target.desk, source.functions[place].rdma_device, target.functions[place].rdma_device, error=error)
    said = "\n".join(answer.stdout + "\n" + answer.stderr for answer in (client, server) if answer is not None)
    if client is None:
        answer = server
        kind_of_error = failure(said, answer) if error in (None, "server") else error
        known = (None, "server", "missing", "denied", "timeout")
        says = _telling(answer) or ("" if error in known else str(error))  # such as Exec format error
        kind_of_error = kind_of_error or error or "missing"
        return dataclasses.replace(run, error=kind_of_error, text=tail(said), says=says, rc=answer.rc if answer else None)
    read = perftest_reader.read(client.stdout)
    gbps = read["bw_average_gbps"]
    # The table of both directions together counts the iterations of both.
    rows = [row for row in read["local_rows"] or read["rows"] if row["bytes"] and row["iterations"]]
    counted = sum(row["bytes"] * row["iterations"] for row in rows) or None
    share = 0.5 if kind == BOTH_WAYS else 1.0
    nominal = None if gbps is None else int(gbps * share * 1e9 / 8 * context.options.seconds)
    error = failure(said, client)
    if error is None and gbps is None:
        error = "no_row"
    rc, says = client.rc, _telling(client, server)
    if error is None and server is not None and not server.ok:
        # Whoever answered the client, it was not this server to its end.
        error, rc, says = "server_ended", server.rc, f"{target.desk}: {_telling(server) or 'no message'} (exit {server.rc})"
    return dataclasses.replace(
        run,
        gbps=None if error else gbps,
        sent_gbps=None if error else _average(read["local_rows"]),
        back_gbps=None if error else _average(read["remote_rows"]),
        bytes=counted,
        nominal_bytes=nominal,
        mtu=read["mtu"],
        gid_index=read["gid_index"],
        rc=rc,
        error=error,
        text=tail(said) if error else "",
        says=says if error else "",
        seconds=round(client.seconds, 2),
    )


def _telling(*answers: Answer | None) -> str:
    """What the first of two programs that complained said of its failure, in one line."""
    for answer in answers:
        said = "" if answer is None else answer.stderr + "\n" + answer.stdout
        lines = perftest_reader.read(said)["errors"] or ([] if answer is None else answer.stderr.split("\n"))
        told = next((line.strip() for line in lines if line.strip()), None)
        if told:
            return told[:200]
    return ""


def _average(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The bandwidth of a table of one row; null for any other."""
    return rows[0]["bw_average_gbps"] if len(rows) == 1 else None


OTHER_END = (
    "couldn't read remote address",
    "couldn't send local address",
    "unable to read from socket",
    "unable to write to socket",
    "failed to exchange data between server and client",
)
"""What perftest says when the program that it talks to is gone."""


def failure(said: str, answer: Answer | None) -> str | None:
    """What went wrong with a run of perftest, from its answer and what both ends said; null when it went well."""
    low = said.lower()
    if answer is not None and answer.error is not None:
        return answer.error if answer.error in ("missing", "denied", "timeout") else "other"
    if "cannot allocate memory" in low or "couldn't allocate mr" in low or "enomem" in low:
        return "enomem"
    if "failed to modify qp" in low:
        return "queue_pair"
    statuses = perftest_reader.read(said)["completion_statuses"]
    # Flushed is what becomes of everything that was under way when something else failed.
    telling = [number for number in statuses if perftest_reader.COMPLETION_STATUS.get(number) != "flushed"] or statuses
    if telling:
        return perftest_reader.COMPLETION_STATUS.get(telling[0], "completion")
    if "retry exc" in low or "retry counter exceeded" in low:
        return "retry"
    if "completion with error" in low:
        return "completion"
    if any(words in low for words in OTHER_END):
        return "other_end"
    if answer is None or answer.rc not in (0,):
        return "other"
    return None


def _latency(context: _Context) -> float | None:
    """Typical latency in microseconds of a small write from the head to the peer over the first function."""
    head, peer = context.sides
    port = free_ports(peer, context.options.first_port, PORTS, 1)[0]
    server = peer.start(["ib_write_lat", *_device(context, 1, 0, port), "-F"], timeout=context.options.step_limit)
    if server.pid is None:
        return None
    typical = None
    if wait_for_listener(peer, server.pid, port, START_PATIENCE) is None:
        argv = ["ib_write_lat", *_device(context, 0, 0, port), "-F", context.ends[1].functions[0].address]
        client = head.start(argv, timeout=context.options.step_limit)
        answer = _finish(head, client.pid, context.options.step_limit)
        rows = perftest_reader.read(answer.stdout)["rows"] if answer is not None and answer.ok else []
        typical = rows[0].get("t_typical_us") if rows else None
    served = _finish(peer, server.pid, 3.0 if typical is None else END_PATIENCE)
    return typical if served is not None and served.ok else None
