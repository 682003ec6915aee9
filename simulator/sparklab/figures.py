"""What a cable carries: the figures that the stand-ins print, from the two ends, the cable's past and the faults. Pure.

The healthy figures are those reported for a direct cable between two DGX Sparks: 109 Gb/s for one function one way,
196.1 Gb/s for both functions at once with MTU 9000, NCCL all_gather bus bandwidth 20.8 GB/s at 1 GiB to 23.0 GB/s at 16 GiB
(user reports and NVIDIA's dgx-spark-playbooks). The figure after a re-plug, about 13 Gb/s a function and 2.82 GB/s in
NCCL, is the most reported fault of the machine. Nothing here was measured by this project on real hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparklab.switches import SECOND_BRIDGE_GBPS

HEALTHY: dict[str, float] = {
    "one_way_gbps": 109.0,
    "dual_sum_gbps": 196.1,
    "both_ways_gbps": 213.0,
    "latency_us": 1.47,
}
HEALTHY_NCCL: dict[str, float] = {"1073741824": 20.8, "4294967296": 22.4, "17179869184": 23.0}
REPLUG_GBPS = 13.0
REPLUG_NCCL = 2.82
SPEED_MBPS = 200000
FULL_WIDTH = 4

# Faults of a desk that change what its cable carries, seen from both ends, with their parameters and defaults.
# `port` null means every port of the desk. simulator/desk/faults.json lists those that the desk itself shows too.
FIGURE_FAULTS: dict[str, dict[str, Any]] = {
    "slow_13g": {"port": None, "one_way_gbps": 13.1},
    "link_25g": {"port": None, "gbps": 25.0},
    "tx_capped": {"port": None, "gbps": 12.7},
    "bidir_degraded": {"port": None, "both_ways_gbps": 26.0},
    "speed_100g": {"port": None},
}
# Those of them that only the lab knows, with a sentence each.
OUTSIDE_FIGURE_FAULTS = {
    "link_25g": "The link came back at about 25 Gb/s after a reconnection, as some GIGABYTE boards did.",
    "tx_capped": "The desk sends at 12.7 Gb/s at most, as with kho=off on kernel 6.17.0-1032.",
}


@dataclass(frozen=True)
class EndState:
    """What one end contributes: PCIe width of each function of the port, whether it was plugged after boot, its faults."""

    port: int
    link_widths: tuple[int, ...]
    plugged_after_boot: bool
    faults: dict[str, dict[str, Any]]


def figures(ends: tuple[EndState, EndState]) -> dict[str, Any]:
    """The figures of a cable: the worst of its two ends.

    :returns: `one_way_gbps`, `dual_sum_gbps`, `both_ways_gbps` (Gb/s), `latency_us`, `nccl_busbw` (bytes -> GB/s).
    """
    worst = _end_figures(ends[0])
    other = _end_figures(ends[1])
    result: dict[str, Any] = {}
    for key in HEALTHY:
        result[key] = max(worst[key], other[key]) if key == "latency_us" else min(worst[key], other[key])
    result["nccl_busbw"] = {size: min(worst["nccl_busbw"][size], other["nccl_busbw"][size]) for size in HEALTHY_NCCL}
    return result


def behind_a_switch(end: EndState, port: dict[str, Any]) -> dict[str, Any]:
    """The figures of a cable to a switch: what this end gives, and what the switch's port lets through."""
    result = _end_figures(end)
    if port["speed"] < SPEED_MBPS // 1000:
        result = _cap(result, port["speed"] * 0.98 / 2, round(HEALTHY_NCCL["4294967296"] * port["speed"] / 200, 2))
    if port["bridge"] != 1:
        result = _cap(result, SECOND_BRIDGE_GBPS / 2, round(SECOND_BRIDGE_GBPS / 8, 2))
    return result


def speed_mbps(end: EndState) -> int:
    """The speed that ethtool would show at this end: it says nothing about the 13 Gb/s state, as on the real machine."""
    return 100000 if "speed_100g" in _faults(end) else SPEED_MBPS


def _faults(end: EndState) -> dict[str, dict[str, Any]]:
    found = {}
    for name, params in end.faults.items():
        if name not in FIGURE_FAULTS:
            continue
        merged = {**FIGURE_FAULTS[name], **params}
        if merged["port"] is None or int(merged["port"]) == end.port:
            found[name] = merged
    return found


def _end_figures(end: EndState) -> dict[str, Any]:
    lanes = [min(1.0, width / FULL_WIDTH) for width in end.link_widths]
    # A narrow function limits itself; its twin still carries what it can.
    share = sum(lanes) / len(lanes) if lanes else 0.0
    result: dict[str, Any] = {
        "one_way_gbps": round(HEALTHY["one_way_gbps"] * max(lanes, default=0.0), 2),
        "dual_sum_gbps": round(HEALTHY["dual_sum_gbps"] * share, 2),
        "both_ways_gbps": round(HEALTHY["both_ways_gbps"] * share, 2),
        "latency_us": HEALTHY["latency_us"],
        "nccl_busbw": {size: round(value * share, 2) for size, value in HEALTHY_NCCL.items()},
    }
    if end.plugged_after_boot:
        result = _cap(result, REPLUG_GBPS, REPLUG_NCCL)
    for name, params in _faults(end).items():
        if name == "bidir_degraded":
            # One way the cable looks healthy; only both directions at once show it.
            result["both_ways_gbps"] = min(result["both_ways_gbps"], float(params["both_ways_gbps"]))
            continue
        gbps = {"speed_100g": 98.0 / 2}.get(name) or float(params.get("gbps", params.get("one_way_gbps", REPLUG_GBPS)))
        result = _cap(result, gbps, round(REPLUG_NCCL * gbps / REPLUG_GBPS, 2))
    return result


def _cap(result: dict[str, Any], per_function: float, nccl: float) -> dict[str, Any]:
    """Limit each function to `per_function` Gb/s one way, and NCCL's bus bandwidth to `nccl` GB/s."""
    return {
        "one_way_gbps": min(result["one_way_gbps"], per_function),
        "dual_sum_gbps": min(result["dual_sum_gbps"], 2 * per_function),
        "both_ways_gbps": min(result["both_ways_gbps"], 2 * per_function),
        "latency_us": result["latency_us"],
        "nccl_busbw": {size: min(value, nccl) for size, value in result["nccl_busbw"].items()},
    }
