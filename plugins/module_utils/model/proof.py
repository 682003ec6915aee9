# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement across a stack saw, before anybody judges it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .desk import Busy

Counters = Mapping[str, Mapping[str, int]]
"""Netdev to counter name to raw value; a counter that could not be read is absent."""


@dataclass(frozen=True)
class Problem:
    """Something that kept a measurement from being made."""

    kind: str
    """firewall, trust, host_key, no_route, refused, timed_out, lost, login, tool_missing, port_busy, gid, neighbour, library,
    mpi_ports, newer_system (the program needs a newer C library than the desk has), failed, memory, route (the peer's address is
    routed elsewhere), no_answer (a command on the desk ran out of time)"""
    desk: str
    text: str
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class DeskUse:
    """Who used a desk at one moment of a measurement, the measurement's own programs left out."""

    desk: str
    busy: Busy
    reason: str | None = None
    """Why it could not be read, such as ``rdma resource show qp: timeout``."""


@dataclass(frozen=True)
class Neighbour:
    """Who answers at the peer's address on one function. ``mac`` is null when nobody did."""

    desk: str
    netdev: str
    address: str
    mac: str | None
    error: str | None = None
    """Why the neighbour table could not be read, such as timeout; null when it could."""


@dataclass(frozen=True)
class Locked:
    """Locked-memory limit of a launched process, in bytes; -1 is unlimited, null is unread."""

    desk: str
    soft: int | None
    hard: int | None


@dataclass(frozen=True)
class RdmaRun:
    """One perftest client and its server, over one function."""

    function: int
    """0: the function in the lower PCI domain, 1: its twin."""
    source: str
    """Desk that sends (both send when the step goes both ways)."""
    target: str
    source_device: str
    target_device: str
    command: tuple[str, ...] = ()
    """The client's command line, as it was run on the desk that sends."""
    gbps: float | None = None
    """Mean bandwidth in Gb/s; both directions together when the step goes both ways."""
    sent_gbps: float | None = None
    """Share of it from source to target, in Gb/s; null unless the step goes both ways and the tool was asked for each direction."""
    back_gbps: float | None = None
    """Share of it from target to source, in Gb/s."""
    bytes: int | None = None
    """Bytes that the tool counted one way (message size x iterations), over the part of the run that it averages."""
    nominal_bytes: int | None = None
    """Bytes one way that the bandwidth makes over the whole duration."""
    mtu: int | None = None
    """RoCE MTU in bytes."""
    gid_index: int | None = None
    rc: int | None = None
    error: str | None = None
    """timeout, missing, denied, server, server_ended (its client had a figure), enomem, no_row, other, or a work completion's status by
    name: retry, receiver_not_ready, remote_access, flushed, local_protection ... (readers/perftest), completion without a known number"""
    text: str = ""
    """Last lines of what client and server said, when something went wrong."""
    says: str = ""
    """The one line of it that tells most."""
    seconds: float = 0.0


@dataclass(frozen=True)
class RdmaStep:
    """One step: which functions, which way."""

    kind: str
    """one_way (one function), both_functions (one way), both_ways (both directions at once, of one function or of both)"""
    direction: str
    """forward (head to peer), back (peer to head), both"""
    runs: tuple[RdmaRun, ...]


@dataclass(frozen=True)
class Growth:
    """Counters of one desk before and after."""

    desk: str
    before: Counters = field(default_factory=dict)
    after: Counters = field(default_factory=dict)

    def grown(self, netdev: str, counter: str) -> int | None:
        """By how much a counter grew (raw units), null when it was not read twice."""
        first, last = self.before.get(netdev, {}).get(counter), self.after.get(netdev, {}).get(counter)
        return None if first is None or last is None else last - first


@dataclass(frozen=True)
class RdmaEvidence:
    """All that an RDMA measurement of a pair saw."""

    hardest: RdmaStep | None = None
    """All functions in both directions at once, measured before anything else (adaptive depth); null at full depth."""
    hardest_growth: tuple[Growth, ...] = ()
    """Counters around the hardest step alone."""
    steps: tuple[RdmaStep, ...] = ()
    """The nine steps of full depth; none where the hardest step proved the path."""
    latency_us: float | None = None
    neighbours: tuple[Neighbour, ...] = ()
    growth: tuple[Growth, ...] = ()
    limits: tuple[Locked, ...] = ()
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0

    @property
    def of_the_hardest(self) -> RdmaEvidence:
        """The same measurement as if the hardest step were all of it."""
        listed = () if self.hardest is None else (self.hardest,)
        return dataclasses.replace(self, hardest=None, hardest_growth=(), steps=listed, growth=self.hardest_growth)


@dataclass(frozen=True)
class Rank:
    """One rank as its launcher saw it."""

    desk: str
    hostname: str | None = None
    pid: int | None = None
    rank: int | None = None
    env_sha256: str | None = None
    """SHA-256 of the settings file that the rank was started with."""
    locked_soft: int | None = None
    locked_hard: int | None = None
    libnccl_sha256: str | None = None
    program_sha256: str | None = None


@dataclass(frozen=True)
class NcclOutput:
    """What a run of nccl-tests said, as the reader of its output tells it (readers/nccl_tests describes every key)."""

    collective: str | None = None
    nccl_version: str | None = None
    ranks: Sequence[Mapping[str, Any]] = ()
    worlds: int = 0
    rows: Sequence[Mapping[str, Any]] = ()
    avg_busbw: float | None = None
    out_of_bounds: int | None = None
    transport: str | None = None
    networks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hcas: Mapping[str, Sequence[str]] = field(default_factory=dict)
    channels_via: Sequence[str] = ()
    plugin: str | None = None
    logged: bool = False
    errors: Sequence[str] = ()
    warnings: Sequence[str] = ()
    signs: Sequence[Mapping[str, Any]] = ()
    last_lines: str = ""
    reduced_to: int | None = None
    complete: bool = False

    @classmethod
    def of(cls, read: Mapping[str, Any]) -> NcclOutput:
        """From a reader's answer; keys that nobody judges are left out."""
        names = {item.name for item in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in read.items() if key in names})


@dataclass(frozen=True)
class NcclEvidence:
    """All that an NCCL measurement of a stack saw."""

    argv: tuple[str, ...] = ()
    rc: int | None = None
    error: str | None = None
    """timeout, missing, denied, too_large"""
    output: NcclOutput = field(default_factory=NcclOutput)
    seconds: float = 0.0
    ranks: tuple[Rank, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    growth: tuple[Growth, ...] = ()
    available_kb: Mapping[str, int | None] = field(default_factory=dict)
    """MemAvailable per desk right before the start."""
    problems: tuple[Problem, ...] = ()
    left_running: Mapping[str, int] = field(default_factory=dict)
    """Processes per desk that had to be ended after mpirun was gone."""
