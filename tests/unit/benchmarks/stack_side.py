"""A side of a measurement across more than two desks: `ScriptedSide` with every cable of its desk."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.side import Started
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint, EndpointFunction, members
from proof_samples import SECONDS
from scripted_side import HEADER, UID, ScriptedSide, World


@dataclasses.dataclass
class StackWorld(World):
    """What the desks of a ring or a switch do. ``slow``: pairs of desks between which everything goes at a quarter."""

    slow: frozenset[frozenset[str]] = frozenset()
    shared: float = 1.0
    """What is left of a cable's figure while the desks' other cables are in use."""
    most_at_once: int = 0
    """Clients that were ever started before the first of them had ended."""
    running: int = 0


def stack_world(ends: Sequence[Endpoint], **changes: Any) -> StackWorld:
    """Only a desk with two cables shares its adapter between them; on a switch disjoint pairs do not touch each other."""
    changes.setdefault("shared", 0.5 if len(ends) > len(members(ends)) else 1.0)
    world = StackWorld(ends=tuple(ends), **changes)  # type: ignore[arg-type]
    world.listening = {desk: set() for desk in members(ends)}
    return world


class StackSide(ScriptedSide):
    """See `Side`."""

    world: StackWorld

    def __init__(self, world: StackWorld, desk: str) -> None:
        mine = [end for end in world.ends if end.desk == desk]
        theirs = [end for end in world.ends if end.desk != desk]
        self.world, self.which, self.name = world, members(world.ends).index(desk), desk
        self.end = dataclasses.replace(mine[0], functions=tuple(itertools.chain.from_iterable(end.functions for end in mine)), others=())
        self.other = dataclasses.replace(theirs[0], functions=tuple(itertools.chain.from_iterable(end.functions for end in theirs)))
        self.hello = {"held": world.held.get(desk), "uid": UID}
        self.jobs, self.beside = {}, {}
        self.crowd: dict[int, int] = {}

    def _at(self, address: str) -> tuple[str, EndpointFunction]:
        return next((end.desk, item) for end in self.world.ends for item in end.functions if item.address == address)

    def start(self, argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None, cwd: str | None = None) -> Started:
        client = argv[0].startswith("ib_") and "." in argv[-1]
        if client:
            self.other = dataclasses.replace(self.other, desk=self._at(argv[-1])[0])
        started = super().start(argv, timeout=timeout, env=env, cwd=cwd)
        if client and started.pid is not None:
            self.world.running += 1
            self.world.most_at_once = max(self.world.most_at_once, self.world.running)
            self.crowd[started.pid] = sum(map(len, self.world.listening.values()))
        return started

    def wait(self, pid: int, patience: float) -> Answer | None:
        argv, server = self.jobs[pid]
        if server or not argv[0].startswith("ib_"):
            return super().wait(pid, patience)
        self.world.running -= 1
        return self._client_of(argv, self.beside[pid], self.crowd[pid])

    def _client_of(self, argv: list[str], together: bool, listening: int) -> Answer:
        world, device, (far, target) = self.world, argv[argv.index("-d") + 1], self._at(argv[-1])
        if argv[0] == "ib_write_lat":
            return self._client(argv, together)
        both = "-b" in argv
        gbps = (world.both if together else world.both_alone) if both else (world.dual if together else world.one_way)
        gbps *= 0.25 if frozenset((self.name, far)) in world.slow else 1.0
        gbps *= world.shared if listening > 2 else 1.0
        octets = int(gbps / (2 if both else 1) * 1e9 / 8 * SECONDS)
        for sender, sent, receiver, got in (
            (self.name, device, far, target.rdma_device), (far, target.rdma_device, self.name, device),
        )[: 2 if both else 1]:  # fmt: skip
            for desk, name, counters in (
                (sender, sent, ("port_xmit_data", "tx_bytes_phy")),
                (receiver, got, ("port_rcv_data", "rx_bytes_phy")),
            ):
                for counter in counters:
                    world.octets[desk, name, counter] = world.octets.get((desk, name, counter), 0) + octets
        row = f" {1 << 20}    {octets // 2 // (1 << 20)}   0.00    {{0:.2f}}    0.011687\n"
        text = f" GID index       : 3\n Mtu             : 4096[B]\n{HEADER}" + row.format(gbps)
        if "--report-both" in argv:
            text += "".join(f"\n {which} results: \n{HEADER}" + row.format(gbps / 2) for which in ("Local", "Remote"))
        return Answer(tuple(argv), 0, text)
