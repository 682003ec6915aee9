# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict table that a run prints. Pure: report in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import audit
from ..workload import table as workload

COLOURS = {"PASS": "green", "WARN": "yellow", "UNKNOWN": "bright yellow", "FAIL": "red"}
"""Ansible's colour names for the verdicts."""

PAIR_COLUMNS = ("PAIR", "VERDICT", "DESKS", "RDMA Gb/s", "NCCL GB/s", "WHY")
DESK_COLUMNS = ("DESK", "VERDICT", "WHY")
ENROL_COLUMNS = ("DESK", "VERDICT", "PAIR", "ENROLLED", "IDENTITY BY", "WHY")
ONBOARD_COLUMNS = ("DESK", "VERDICT", "HOST NAME", "LOGIN", "DOCKER GROUP", "DGX OS", "DRIVER", "GPU CONTAINER", "WHY")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Aligned columns, two spaces between them."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def summary(report: Mapping[str, Any], folder: str) -> list[str]:
    """Pair table, table of desks without a pair, what is wrong and what to do, where the report lies."""
    lines = _tables(report)
    told = _to_tell(report)
    if told:
        lines += ["", "What to do:"]
        for item, subjects in told:
            lines += [f"  {item['severity'].upper():7} {item['code']}: {_named(item, subjects)}", f"          -> {item['remedy']}"]
    run = report["run"]
    if run.get("check_mode"):
        lines += ["", "Check mode: nothing was changed and nothing was measured."]
    lines += [f"Note: {item['message']}" for item in run.get("findings", ())]
    lines += ["", f"Report: {folder}/index.html  (report.json, junit.xml, metrics.prom beside it)"]
    return lines


def _tables(report: Mapping[str, Any]) -> list[str]:
    """What the playbook ends with: a table of its own, else the pairs and then the desks that are in none."""
    playbook, desks = report["run"]["playbook"], report["desks"]
    if playbook == "audit":
        return table(audit.COLUMNS, audit.table(report))
    if playbook == "check_workload":
        return table(workload.COLUMNS, workload.rows({desk["name"]: desk.get("workload") or () for desk in desks}))
    if playbook == "enrol":
        return table(ENROL_COLUMNS, [_enrol_row(desk) for desk in desks])
    if playbook == "onboard":
        return table(ONBOARD_COLUMNS, [_onboard_row(desk) for desk in desks])
    lines = table(PAIR_COLUMNS, [_pair_row(pair) for pair in report["pairs"]]) if report["pairs"] else []
    alone = [desk for desk in desks if desk["pair"] is None or not report["pairs"]]
    if alone:
        lines += [""] if lines else []
        lines += table(DESK_COLUMNS, [(desk["name"], desk["verdict"], _why(desk["findings"])) for desk in alone])
    return lines


def _to_tell(report: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], list[str]]]:
    """Each loud finding once, the worst first, with everything that it is about: forty desks may share one sentence."""
    seen: dict[tuple[str, str, str], tuple[Mapping[str, Any], list[str]]] = {}
    for owner in (*report["pairs"], *report["desks"]):
        for item in owner["findings"]:
            if item["severity"] in ("warn", "unknown", "fail"):
                _first, subjects = seen.setdefault((item["code"], item["severity"], item["message"]), (item, []))
                if item.get("subject") and item["subject"] not in subjects:
                    subjects.append(item["subject"])
    order = {"fail": 0, "unknown": 1, "warn": 2}
    return sorted(seen.values(), key=lambda told: (order[told[0]["severity"]], told[0].get("subject", "")))


def _named(item: Mapping[str, Any], subjects: Sequence[str]) -> str:
    """The message, with what it is about in front where it does not say so itself."""
    missing = [subject for subject in subjects if subject.split()[0] not in item["message"] and subject not in item["message"]]
    return f"{', '.join(missing)}: {item['message']}" if missing else item["message"]


def _enrol_row(desk: Mapping[str, Any]) -> tuple[str, ...]:
    enrolled = next((item for item in desk["findings"] if item["code"] == "DESK_ENROLLED"), None)
    identity = str(enrolled["evidence"].get("identity", "")) if enrolled else ""
    return desk["name"], desk["verdict"], desk["pair"] or "", "yes" if enrolled else "no", identity, _why(desk["findings"])


def _pair_row(pair: Mapping[str, Any]) -> tuple[str, ...]:
    desks = " + ".join(member["desk"] for member in pair["members"])
    return pair["name"], pair["verdict"], desks, _rdma(pair), _nccl(pair), _why(pair["reasons"], bool(pair.get("out_of_service")))


def _onboard_row(desk: Mapping[str, Any]) -> tuple[str, ...]:
    facts = desk["facts"]

    def fact(group: str, key: str) -> str:
        return str((facts.get(group) or {}).get(key) or "-")

    groups = (facts.get("limits") or {}).get("groups") or []
    docker = "-" if not groups else ("yes" if "docker" in groups else "no")
    codes = {item["code"] for item in desk["findings"]}
    container = "started" if "CONTAINER_GPU_OK" in codes else "FAILED" if "CONTAINER_GPU_FAILED" in codes else "UNKNOWN"
    versions = fact("dgx_os", "version"), fact("driver", "module_version")
    return (
        desk["name"],
        desk["verdict"],
        fact("identity", "hostname"),
        fact("limits", "user"),
        docker,
        *versions,
        container,
        _why(desk["findings"]),
    )


def _number(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, (int, float)) else "-"


def _rdma(pair: Mapping[str, Any]) -> str:
    """Sum of both functions, both directions, in Gb/s."""
    return _number((pair.get("rdma") or {}).get("sum_both_ways_gbps"))


def _nccl(pair: Mapping[str, Any]) -> str:
    """Average bus bandwidth as nccl-tests prints it, in GB/s."""
    return _number((pair.get("nccl") or {}).get("avg_busbw"))


def _why(findings: Sequence[Mapping[str, Any]], out_of_service: bool = False) -> str:
    if out_of_service:
        return "out of service"
    bad = [item for item in findings if item["severity"] in ("warn", "unknown", "fail")]
    if not bad:
        return ""
    more = f" (+{len(bad) - 1})" if len(bad) > 1 else ""
    return f"{bad[0]['code']}{more}"
