# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as text for Prometheus' node_exporter textfile collector. Pure. Names are documented in docs/report.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .build import stacks_of
from .timing import epoch
from .words import line, number

VALUES = {"PASS": 0, "WARN": 1, "UNKNOWN": 2, "FAIL": 3}
GBPS, GIGABYTES = 1e9 / 8, 1e9

Labels = dict[str, str]
Sample = tuple[Labels, float | None]


def prometheus(report: Mapping[str, Any], finished_epoch: float, labels: Mapping[str, str] | None = None) -> str:
    """Metrics of a run. Verdicts: 0 PASS, 1 WARN, 2 UNKNOWN, 3 FAIL; bandwidths in bytes per second; what was not measured is absent.

    ``labels`` are added to every sample (the playbook, where the files of several playbooks lie in one folder).
    """
    lines: list[str] = []

    def family(name: str, text: str, samples: Iterable[Sample]) -> None:
        _family(lines, f"dgx_spark_{name}", text, samples, labels or {})

    run, stacks, desks = report["run"], stacks_of(report), report["desks"]
    known = run.get("versions") or {}
    versions = {key: line(known[key]) for key in ("collection", "ansible_core", "python") if known.get(key)}
    family("run_info", "The run: always 1.", [({"run": line(run["id"]), "playbook": line(run["playbook"]), **versions}, 1)])
    family("run_finished_seconds", "When the run ended, seconds since 1970.", [({}, finished_epoch)])
    family("run_started_timestamp_seconds", "When the run began, seconds since 1970.", [({}, epoch(run["started"]))])
    stages = [item for item in run.get("stages") or () if isinstance(item, Mapping)]
    family(
        "stage_duration_seconds", "From a stage's first beginning to its last end.",
        [({"stage": line(item.get("stage"))}, number(item.get("seconds"))) for item in stages],
    )  # fmt: skip
    help_text = "Verdict: 0 PASS, 1 WARN, 2 UNKNOWN, 3 FAIL."
    # A playbook that measures nothing across desks has no verdict to give about a stack in which it found nothing wrong.
    judged = [item for item in stacks if not item.get("out_of_service") and (item.get("judged", True) or item["verdict"] != "UNKNOWN")]
    family("stack_verdict", help_text, [({"stack": line(item["name"])}, VALUES[item["verdict"]]) for item in judged])
    family("pair_verdict", help_text, [({"pair": line(item["name"])}, VALUES[item["verdict"]]) for item in judged])
    family(
        "desk_verdict",
        help_text,
        [({"desk": line(item["name"])}, VALUES[item["verdict"]]) for item in desks if not item.get("out_of_service")],
    )
    _figures(family, stacks)
    _infos(family, desks)
    found: list[Sample] = []
    for kind, owners in (("pair", stacks), ("desk", desks)):
        for owner in owners:
            for code, severity in dict.fromkeys((item["code"], item["severity"]) for item in owner.get("findings") or ()):
                if severity != "ok":
                    found.append(({kind: line(owner["name"]), "code": line(code), "severity": line(severity)}, 1))
    family("finding", "A finding of the last run.", found)
    return "\n".join(lines) + "\n"


def _figures(family: Any, stacks: Iterable[Mapping[str, Any]]) -> None:
    pairs_rdma: list[Sample] = []
    pairs_nccl: list[Sample] = []
    rdma: list[tuple[Labels, float, float | None]] = []
    nccl: list[tuple[Labels, float, float | None]] = []
    latency: list[Sample] = []
    for stack in stacks:
        name = line(stack["name"])
        for item in stack["figures"]:
            kind, *rest = item["id"].split(".")
            against = item["mark"]["value"] if item["mark"] else None
            if kind == "rdma" and item["unit"] == "Gb/s":
                place = {"stack": name, "path": line(item.get("path")), "function": rest[1].removeprefix("function"), "direction": rest[2]}
                rdma.append((place, item["value"] * GBPS, None if against is None else against * GBPS))
                if rest[:3] == ["0", "sum", "both_ways"]:
                    pairs_rdma.append(({"pair": name}, item["value"] * GBPS))
            elif kind == "rdma":
                latency.append(({"stack": name, "path": line(item.get("path"))}, item["value"] / 1e6))
            elif kind == "nccl" and item.get("bytes"):
                place = {"stack": name, "collective": rest[0], "message_bytes": str(item["bytes"])}
                nccl.append((place, item["value"] * GIGABYTES, None if against is None else against * GIGABYTES))
            elif kind == "nccl":
                pairs_nccl.append(({"pair": name}, item["value"] * GIGABYTES))
    family("rdma_bytes_per_second", "RDMA by path, function (sum: all) and direction.", [(place, value) for place, value, _mark in rdma])
    family("rdma_mark_bytes_per_second", "The mark that it is compared with.", [(place, limit) for place, _value, limit in rdma])
    family("rdma_latency_seconds", "RDMA latency of a small write.", latency)
    family("nccl_busbw_bytes_per_second", "NCCL bus bandwidth by message size.", [(place, value) for place, value, _mark in nccl])
    family("nccl_busbw_mark_bytes_per_second", "The mark that it is compared with.", [(place, limit) for place, _value, limit in nccl])
    family("pair_rdma_bytes_per_second", "RDMA, both functions and directions.", pairs_rdma)
    family("pair_nccl_busbw_bytes_per_second", "Average NCCL bus bandwidth.", pairs_nccl)


def _infos(family: Any, desks: Iterable[Mapping[str, Any]]) -> None:
    infos: list[Sample] = []
    read: list[Sample] = []
    for desk in desks:
        facts = desk.get("facts") or {}
        labels = {"desk": line(desk["name"]), "stack": line(desk.get("pair") or "")}
        for label, group, key in (
            ("machine", "identity", "product"),
            ("vendor", "identity", "vendor"),
            ("dgx_os", "dgx_os", "version"),
            ("kernel", "kernel", "running"),
            ("driver", "driver", "module_version"),
            ("cx7_firmware", "cx7", "firmware"),
        ):
            part = facts.get(group)
            labels[label] = line((part.get(key) if isinstance(part, Mapping) else None) or "")
        if facts:
            infos.append((labels, 1))
        read.append(({"desk": line(desk["name"])}, number(facts.get("collected_at"))))
    family("desk_info", "What the desk is: always 1.", infos)
    family("desk_read_timestamp_seconds", "When the desk's facts were read, seconds since 1970.", read)


def _family(lines: list[str], name: str, text: str, samples: Iterable[Sample], more: Mapping[str, str]) -> None:
    known: dict[tuple[tuple[str, str], ...], float] = {}
    for labels, value in samples:
        if value is not None:
            # Names that became alike when they were made harmless must not make a series twice.
            known.setdefault(tuple({**labels, **more}.items()), value)
    if not known:
        return
    lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    for listed, value in known.items():
        inner = ",".join(f'{key}="{_escape(item)}"' for key, item in listed)
        lines.append(f"{name}{{{inner}}} {_number(value)}" if inner else f"{name} {_number(value)}")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
