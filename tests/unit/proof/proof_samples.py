"""A healthy pair and healthy evidence, to be bent by the tests. All names, addresses and MACs are made up."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint, EndpointFunction, OtherFunction
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.proof import (
    Growth,
    Locked,
    NcclEvidence,
    NcclOutput,
    Neighbour,
    Rank,
    RdmaEvidence,
    RdmaRun,
    RdmaStep,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import nccl_tests

DEVICES = ("rocep1s0f0", "roceP2p1s0f0")
NETDEVS = ("enp1s0f0np0", "enP2p1s0f0np0")
SECONDS = 4


def function(desk: int, place: int, **changes: Any) -> EndpointFunction:
    return dataclasses.replace(
        EndpointFunction(
            netdev=NETDEVS[place],
            rdma_device=DEVICES[place],
            pci_domain=2 * place,
            mac=f"02:00:5e:00:0{desk}:0{place}",
            address=f"192.168.10{place}.{9 + desk}",
            gid_index=3,
            mtu=9000,
            speed_mbps=200000,
            pcie_width=4,
            prefix_length=24,
            carrier_down_count=1,
        ),
        **changes,
    )


def end(desk: int, **changes: Any) -> Endpoint:
    return dataclasses.replace(
        Endpoint(
            desk=f"desk-0{desk}",
            port=0,
            management_address=f"10.0.0.{10 + desk}",
            functions=(function(desk, 0), function(desk, 1)),
            others=(OtherFunction("enp1s0f1np1", "rocep1s0f1"), OtherFunction("enP2p1s0f1np1", "roceP2p1s0f1")),
            hostname=f"spark-000{desk}",
            management_netdev="enP7s7",
            management_network="10.0.0.0/24",
            boot_id=f"boot-{desk}",
            kernel="6.17.0-1021-nvidia",
            cma_total_kb=131072,
            cma_free_kb=100000,
            ufw_active=True,
        ),
        **changes,
    )


ENDS = (end(1), end(2))


def run(place: int, source: int, target: int, gbps: float, share: float = 1.0, **changes: Any) -> RdmaRun:
    """One transfer; perftest counts over the middle half only."""
    nominal = int(gbps * share * 1e9 / 8 * SECONDS)
    return dataclasses.replace(
        RdmaRun(
            place, f"desk-0{source}", f"desk-0{target}", DEVICES[place], DEVICES[place],
            gbps=gbps, bytes=nominal // 2, nominal_bytes=nominal, mtu=4096, gid_index=3, rc=0, seconds=4.2,
        ),
        **changes,
    )  # fmt: skip


def steps(
    forward: tuple[float, float] = (109.0, 108.7),
    back: tuple[float, float] = (108.9, 108.8),
    dual: float = 98.0,
    both: float = 196.0,
    alone: tuple[float, float] | None = None,
) -> tuple[RdmaStep, ...]:
    """``both``: Gb/s of each function with all in use both ways; ``alone``: of each function alone both ways, healthy by default."""
    alone = (1.95 * forward[0], 1.95 * forward[1]) if alone is None else alone
    return (
        RdmaStep("one_way", "forward", (run(0, 1, 2, forward[0]),)),
        RdmaStep("one_way", "back", (run(0, 2, 1, back[0]),)),
        RdmaStep("both_ways", "both", (run(0, 1, 2, alone[0], 0.5),)),
        RdmaStep("one_way", "forward", (run(1, 1, 2, forward[1]),)),
        RdmaStep("one_way", "back", (run(1, 2, 1, back[1]),)),
        RdmaStep("both_ways", "both", (run(1, 1, 2, alone[1], 0.5),)),
        RdmaStep("both_functions", "forward", (run(0, 1, 2, min(dual, forward[0])), run(1, 1, 2, min(dual, forward[1])))),
        RdmaStep("both_functions", "back", (run(0, 2, 1, min(dual, back[0])), run(1, 2, 1, min(dual, back[1])))),
        RdmaStep("both_ways", "both", (run(0, 1, 2, both, 0.5), run(1, 1, 2, both, 0.5))),
    )


def neighbours(ends: tuple[Endpoint, Endpoint] = ENDS) -> tuple[Neighbour, ...]:
    return tuple(
        Neighbour(mine.desk, own.netdev, their.address, their.mac)
        for mine, other in ((ends[0], ends[1]), (ends[1], ends[0]))
        for own, their in zip(mine.functions, other.functions, strict=True)
    )


def grown(sent: dict[tuple[str, int], int], received: dict[tuple[str, int], int], phy_of_port: bool = False) -> tuple[Growth, ...]:
    """Counters that grew by bytes of (desk, function); four bytes are one count of the port counters."""
    growth = []
    for desk in ("desk-01", "desk-02"):
        before: dict[str, dict[str, int]] = {}
        after: dict[str, dict[str, int]] = {}
        for place, netdev in enumerate(NETDEVS):
            tx, rx = sent.get((desk, place), 0), received.get((desk, place), 0)
            phy = (sum(sent.get((desk, item), 0) for item in (0, 1)), sum(received.get((desk, item), 0) for item in (0, 1)))
            physical = phy if phy_of_port else (tx, rx)
            before[netdev] = {"port_xmit_data": 1000, "port_rcv_data": 2000, "tx_bytes_phy": 3000, "rx_bytes_phy": 4000}
            after[netdev] = {
                "port_xmit_data": 1000 + tx // 4,
                "port_rcv_data": 2000 + rx // 4,
                "tx_bytes_phy": 3000 + physical[0],
                "rx_bytes_phy": 4000 + physical[1],
            }
        growth.append(Growth(desk, before, after))
    return tuple(growth)


def bytes_of(listed: tuple[RdmaStep, ...], wire: float = 1.03) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
    """What the steps put on the wire, headers included, by sender and by receiver."""
    sent: dict[tuple[str, int], int] = {}
    received: dict[tuple[str, int], int] = {}
    for step in listed:
        for item in step.runs:
            ways = [(item.source, item.target)] + ([(item.target, item.source)] if step.kind == "both_ways" else [])
            for source, target in ways:
                amount = int((item.nominal_bytes or 0) * wire)
                sent[(source, item.function)] = sent.get((source, item.function), 0) + amount
                received[(target, item.function)] = received.get((target, item.function), 0) + amount
    return sent, received


def rdma_evidence(listed: tuple[RdmaStep, ...] | None = None, **changes: Any) -> RdmaEvidence:
    listed = steps() if listed is None else listed
    evidence = RdmaEvidence(
        steps=listed,
        latency_us=1.5,
        neighbours=neighbours(),
        growth=grown(*bytes_of(listed)),
        limits=(Locked("desk-01", -1, -1), Locked("desk-02", -1, -1)),
    )
    return dataclasses.replace(evidence, **changes)


GIB = 1 << 30
FIGURES = {GIB: 20.5, 2 * GIB: 21.4, 4 * GIB: 22.3}


def nccl_text(
    figures: dict[int, float] | None = None,
    *,
    collective: str = "all_gather",
    wrong: int = 0,
    transport: str = "IB",
    devices: tuple[str, ...] = DEVICES,
    end_at: int | None = None,
    ranks: int = 2,
    log: bool = True,
) -> str:
    """Output in the layout of nccl-tests 2.x with NCCL's own lines in between; ``end_at``: rows after which it stops."""
    figures = FIGURES if figures is None else figures
    lines = [
        "# nccl-tests version 2.16.9 nccl-headers=23007 nccl-library=23007",
        f"# Collective test starting: {collective}_perf",
        f"# nThread 1 nGpus 1 minBytes {min(figures)} maxBytes {max(figures)} step: 2(factor) warmup iters: 5 iters: 20 agg iters: 1",
        "#",
        "# Using devices",
    ]
    for number in range(ranks):
        lines.append(f"#  Rank  {number} Group  0 Pid   410{number} on spark-000{number + 1} device  0 [000f:01:00] NVIDIA GB10")
    if log:
        for rank in range(ranks):
            tag = f"spark-000{rank + 1}:410{rank}:410{rank} [0] NCCL INFO "
            if transport == "IB":
                named = " ".join(f"[{place}]{name}:1/RoCE" for place, name in enumerate(devices))
                lines.append(f"{tag}NET/IB : Using {named} [RO]; OOB enp1s0f0np0:192.168.100.1{rank}<0>")
                lines.append(f"{tag}Using network IB")
                lines.append(f"{tag}NET/IB : GPU Direct RDMA Disabled for HCA 0 '{devices[0]}'")
            else:
                lines.append(f"{tag}NET/Socket : Using [0]enp1s0f0np0:192.168.100.1{rank}<0>")
                lines.append(f"{tag}Using network Socket")
            lines.append(f"{tag}NET/Plugin: Could not find: libnccl-net.so")
            lines.append(f"{tag}dlvsym failed on mlx5dv_reg_dmabuf_mr - libmlx5.so: undefined symbol: mlx5dv_reg_dmabuf_mr")
    lines += [
        "#                                                              out-of-place                       in-place          ",
        "#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   algbw   busbw  #wrong ",
    ]
    for number, (size, busbw) in enumerate(sorted(figures.items())):
        if end_at is not None and number >= end_at:
            return "\n".join(lines) + "\n"
        algbw = busbw * (2 if collective == "all_gather" else 1)
        time_us = size / algbw / 1000
        half = f"{time_us:9.1f} {algbw:7.2f} {busbw:7.2f} {wrong:7d}"
        lines.append(f"{size:12d} {size // 8:13d}     float    none      -1 {half} {half}")
    lines += [
        f"# Out of bounds values : {wrong} {'FAILED' if wrong else 'OK'}",
        f"# Avg bus bandwidth    : {sum(figures.values()) / len(figures):.4f} ",
        "#",
        f"# Collective test concluded: {collective}_perf",
    ]
    return "\n".join(lines) + "\n"


def nccl_moved(figures: dict[int, float], iterations: int = 20) -> int:
    """Bytes one way that a table stands for."""
    return sum(size // 2 * 2 * iterations for size in figures)


def nccl_growth(total: int, shares: tuple[float, float] = (0.5, 0.5), wire: float = 1.25) -> tuple[Growth, ...]:
    amounts = {(desk, place): int(total * shares[place] * wire) for desk in ("desk-01", "desk-02") for place in (0, 1)}
    return grown(amounts, amounts)


def rank(desk: int, **changes: Any) -> Rank:
    return dataclasses.replace(
        Rank(f"desk-0{desk}", f"spark-000{desk}", 4100 + desk, desk - 1, "aa", -1, -1, "library", "program"), **changes
    )


def nccl_evidence(text: str | None = None, **changes: Any) -> NcclEvidence:
    stderr = changes.pop("stderr", "")
    said = nccl_tests.read((nccl_text() if text is None else text) + "\n" + stderr)
    evidence = NcclEvidence(
        argv=("mpirun",),
        rc=0,
        output=NcclOutput.of(said),
        ranks=(rank(1), rank(2)),
        neighbours=neighbours(),
        growth=nccl_growth(nccl_moved(FIGURES)),
        available_kb={"desk-01": 110 << 20, "desk-02": 110 << 20},
    )
    return dataclasses.replace(evidence, **changes)


def shuffled(text: str, seed: int) -> str:
    """NCCL's log lines in another place: they interleave with the table."""
    lines = text.splitlines()
    log = [line for line in lines if " NCCL INFO " in line]
    rest = [line for line in lines if " NCCL INFO " not in line]
    chance = random.Random(seed)
    for line in log:
        rest.insert(chance.randrange(6, len(rest)), line)
    return "\n".join(rest) + "\n"
