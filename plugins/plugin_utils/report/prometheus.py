# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as text for Prometheus' node_exporter textfile collector. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

VALUES = {"PASS": 0, "WARN": 1, "UNKNOWN": 2, "FAIL": 3}


def prometheus(report: Mapping[str, Any], finished_epoch: float) -> str:
    """Metrics of a run. Verdicts: 0 PASS, 1 WARN, 2 UNKNOWN, 3 FAIL; bandwidths in bytes per second."""
    lines: list[str] = []
    _family(lines, "dgx_spark_run_finished_seconds", "gauge", "When the run ended, seconds since 1970.", [({}, finished_epoch)])
    verdict_help = "Verdict: 0 PASS, 1 WARN, 2 UNKNOWN, 3 FAIL."
    pairs, desks = report["pairs"], report["desks"]
    _family(lines, "dgx_spark_pair_verdict", "gauge", verdict_help, [({"pair": pair["name"]}, VALUES[pair["verdict"]]) for pair in pairs])
    _family(lines, "dgx_spark_desk_verdict", "gauge", verdict_help, [({"desk": desk["name"]}, VALUES[desk["verdict"]]) for desk in desks])
    rdma = [({"pair": pair["name"]}, (pair.get("rdma") or {}).get("sum_both_ways_gbps")) for pair in pairs]
    _family(lines, "dgx_spark_pair_rdma_bytes_per_second", "gauge", "RDMA, both functions and directions.", _scaled(rdma, 1e9 / 8))
    nccl = [({"pair": pair["name"]}, (pair.get("nccl") or {}).get("avg_busbw")) for pair in pairs]
    _family(lines, "dgx_spark_pair_nccl_busbw_bytes_per_second", "gauge", "Average NCCL bus bandwidth.", _scaled(nccl, 1e9))
    found = [
        ({kind: owner["name"], "code": item["code"], "severity": item["severity"]}, 1)
        for kind, owners in (("pair", pairs), ("desk", desks))
        for owner in owners
        for item in {(item["code"], item["severity"]): item for item in owner["findings"]}.values()
        if item["severity"] != "ok"
    ]
    _family(lines, "dgx_spark_finding", "gauge", "A finding of the last run.", found)
    return "\n".join(lines) + "\n"


def _scaled(samples: Iterable[tuple[dict[str, str], Any]], factor: float) -> list[tuple[dict[str, str], float]]:
    return [(labels, value * factor) for labels, value in samples if isinstance(value, (int, float))]


def _family(lines: list[str], name: str, kind: str, text: str, samples: Iterable[tuple[dict[str, str], float]]) -> None:
    listed = list(samples)
    if not listed:
        return
    lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in listed:
        inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{inner}}} {value:g}" if inner else f"{name} {value:.3f}")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
