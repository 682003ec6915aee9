"""What a measurement would show: the desk's figures scaled by MTU, functions in use, PCIe width and direction. Pure.

The figures themselves (Gb/s of one function, of both, both ways) come with desk.json, computed by the lab per cable.
"""

from __future__ import annotations

import itertools
from typing import Any

from .desk import RUN_DIR, Desk
from .view import Function

HEALTHY_ONE_WAY = 109.0
RING_SHARE = 13.86 / 22.4
# NVIDIA's performance guide: 92.57 + 97.28 Gb/s with MTU 1500; reports with MTU 9000: 98.04 + 98.04.
_MTU1500_DUAL = 189.85 / 196.08
_MTU1500_SPLIT = {"0000": 92.57 / 189.85, "0002": 97.28 / 189.85}
_MTU1500_ALONE = 108.9 / 109.0


def lane_cap(function: Function) -> float:
    """Gb/s one way that the function's PCIe link allows."""
    return HEALTHY_ONE_WAY * min(4, function.width) / 4


def bandwidth(
    desk: Desk, function: Function, twins: list[Function], both_ways: bool, size: int, far: dict[str, Any] | None = None
) -> float:
    """Gb/s that ``ib_write_bw`` prints for this function while ``twins`` run in the same direction.

    With ``both_ways`` the figure is the sum of the two directions, as the tool prints it. ``far``: the figures of the other end's port,
    which are others behind a switch. Functions of the other port share the adapter's budget: 200 Gb/s in all, and each PCIe domain's link.
    """
    port = desk.port(function.port)
    known: dict[str, Any] = dict(port.get("figures") or {})
    for key in ("one_way_gbps", "dual_sum_gbps", "both_ways_gbps"):
        if far and key in far:
            known[key] = min(float(known.get(key, far[key])), float(far[key]))
    one_way = min(float(known.get("one_way_gbps", HEALTHY_ONE_WAY)), lane_cap(function))
    dual = float(known.get("dual_sum_gbps", 196.1))
    both = min(float(known.get("both_ways_gbps", 213.0)), 2 * lane_cap(function))
    small = function.roce_mtu < 4096
    together = [function, *twins]
    if len(together) > 1:
        widths = sum(f.width for f in together)
        share = function.width / widths
        if small and len(together) == 2 and len({f.width for f in together}) == 1:
            share = _MTU1500_SPLIT.get(function.pci[:4], share)
        one_way = min(one_way, dual * share * (_MTU1500_DUAL if small else 1.0))
    elif small:
        one_way *= _MTU1500_ALONE
    result = min(both, 2 * one_way) if both_ways else one_way
    return result * (1.0 if size >= 8192 else max(size, 1) / 8192)


def latency(desk: Desk, function: Function) -> float:
    """Typical one-way latency in microseconds."""
    return float((desk.port(function.port).get("figures") or {}).get("latency_us", 1.47))


def build_factor() -> float:
    """What the running kernel's driver leaves of NCCL's bandwidth; some builds of the archives are slow on purpose."""
    try:
        return float((RUN_DIR / "nccl_factor").read_text(encoding="ascii") or 1.0)
    except (OSError, ValueError):
        return 1.0


def nccl_busbw(desk: Desk, functions: list[Function], size: int) -> float:
    """Bus bandwidth in GB/s of an all_gather of ``size`` octets over the given functions of one port, or of both in a ring."""
    if not functions:
        return 0.0
    ports = {f.port for f in functions}
    if len(ports) > 1:
        # One report of a ring of three: 13.86 GB/s, where two desks give about 22.4; NVIDIA's own mark for it is 10.
        return RING_SHARE * min(nccl_busbw(desk, [f for f in functions if f.port == number], size) for number in ports)
    figures = desk.port(functions[0].port).get("figures") or {}
    points = sorted((int(k), float(v)) for k, v in (figures.get("nccl_busbw") or {"4294967296": 22.4}).items())
    small = any(f.roce_mtu < 4096 for f in functions)
    low, high = points[0], points[-1]
    if size < low[0]:
        # Smaller messages carry less: about 18.5 of 23 GB/s at 32 MiB.
        value = low[1] * (size / (size + 4.0e6)) * (1 + 4.0e6 / low[0])
    elif size >= high[0]:
        value = high[1]
    else:
        value = low[1]
        for (size_a, a), (size_b, b) in itertools.pairwise(points):
            if size_a <= size <= size_b:
                value = a + (b - a) * (size - size_a) / (size_b - size_a)
    if len(functions) == 1:
        # One function alone: 11.8 to 13.5 GB/s in reports; a slow link stays slow.
        value = min(value, 13.0 * functions[0].width / 4)
    return value * (0.985 if small else 1.0)
