# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a run on a terminal: verdicts, figures beside their marks, changes, what to do, times. Pure: report in, lines out."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import audit
from ..workload import table as workload
from .build import ORDER, desk_word, outcome, stacks_of
from .levels import moved
from .todo import loud, tasks, why
from .words import chosen, duration, line, moment, short

WIDTH = 80
"""Columns that a terminal has at least; no line of ours is wider unless one word of it is."""

PAIR_COLUMNS = ("STACK", "VERDICT", "DESKS", "RDMA Gb/s", "NCCL GB/s", "WHY")
DESK_COLUMNS = ("DESK", "VERDICT", "WHY")
ENROL_COLUMNS = ("DESK", "VERDICT", "PAIR", "ENROLLED", "IDENTITY BY", "WHY")
ONBOARD_COLUMNS = ("DESK", "VERDICT", "HOST NAME", "LOGIN", "DOCKER GROUP", "DGX OS", "DRIVER", "GPU CONTAINER", "WHY")

MOST_NAMES = 3
"""Desks of a stack that stand in its row by name."""
CHANGES_SHOWN = 12
"""Desks whose changes are listed; the page has all."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], width: int | None = None) -> list[str]:
    """Aligned columns, two spaces between them.

    Where a row would be wider than ``width``, the last column (the reason) stands on a line of its own below each row that has one.
    """
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(cells[column]) for cells in lines) for column in range(len(header))]
    whole = ["  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True)).rstrip() for cells in lines]
    if width is None or max(map(len, whole)) <= width:
        return whole
    found = []
    for place, cells in enumerate(lines):
        found.append("  ".join(cell.ljust(size) for cell, size in zip(cells[:-1], widths[:-1], strict=True)).rstrip())
        if place and cells[-1]:
            found.append(f"    {cells[-1]}")
    return found


def summary(report: Mapping[str, Any], folder: str, notes: bool = False) -> list[str]:
    """Verdicts, what is wrong and what to do, what changed, how long it took, where the report lies. ``notes``: the notes as well."""
    lines = _tables(report) + _levels(report)
    told = tasks(report)
    if told:
        lines += ["", "What to do:"]
        for task in told:
            for item in task.told:
                lines += _wrapped(f"  {task.severity.upper():7} {task.code}: {item.text}", " " * 10)
            lines += _wrapped(f"          -> {task.remedy}", " " * 13)
    lines += _notes(report, notes)
    lines += _since(report)
    lines += _changed(report)
    run = report["run"]
    if run.get("interrupted"):
        lines += ["", "The run was interrupted: this is all that its stages left."]
    if run.get("check_mode"):
        lines += ["", "Check mode: nothing was changed and nothing was measured."]
    if run.get("only"):
        lines += ["", *_wrapped(f"{chosen(run['only'])}.", "")]
    for item in run.get("findings", ()):
        lines += _wrapped(f"Note: {line(item['message'])}", "      ")
    lines += _times(run)
    lines += ["", f"Report: {folder}/index.html", "        report.json, junit.xml, metrics.prom, facts.json and summary.txt are beside it"]
    return lines


def _tables(report: Mapping[str, Any]) -> list[str]:
    """What the playbook ends with: a table of its own, else the stacks and then the desks that are in none. Failures first."""
    playbook, desks = report["run"]["playbook"], _worst_first(report["desks"])
    if playbook == "audit":
        return _audit({**report, "desks": desks})
    if playbook == "check_workload":
        rows = workload.rows({desk["name"]: desk.get("workload") or () for desk in desks})
        return table(workload.COLUMNS, [tuple(line(cell) for cell in row) for row in rows], WIDTH)
    if playbook == "enrol":
        return table(ENROL_COLUMNS, [_enrol_row(desk) for desk in desks], WIDTH)
    if playbook == "onboard":
        return table(ONBOARD_COLUMNS, [_onboard_row(desk) for desk in desks], WIDTH)
    stacks = stacks_of(report)
    stacks.sort(key=lambda stack: ORDER.index(word) if (word := outcome(report, stack)) in ORDER else len(ORDER))
    lines = table(PAIR_COLUMNS, [_pair_row(report, stack) for stack in stacks], WIDTH) if stacks else []
    # A desk of a stack that is out may itself be in service, and is told then.
    out = {stack["name"] for stack in stacks if stack.get("out_of_service")}
    alone = [desk for desk in desks if desk["pair"] is None or not stacks or (desk["pair"] in out and not desk.get("out_of_service"))]
    if alone:
        lines += [""] if lines else []
        lines += table(DESK_COLUMNS, [(line(desk["name"]), desk_word(desk), _desk_reason(desk)) for desk in alone], WIDTH)
    return lines


def _levels(report: Mapping[str, Any]) -> list[str]:
    """What an update made of each desk, and what it would make of those that it left: a row for each level that moves."""
    lines = []
    for made, title in ((True, "BEFORE -> AFTER"), (False, "AS IT IS -> PLANNED")):
        rows, last = [], ""
        for item in moved(report, made):
            rows.append((item.desk if item.desk != last else "", item.what, f"{item.before} -> {item.after}"))
            last = item.desk
        lines += ["", *table(("DESK", "LEVEL", title), rows, WIDTH)] if rows else []
    return lines


def _worst_first(owners: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(owners, key=lambda owner: ORDER.index(word) if (word := desk_word(owner)) in ORDER else len(ORDER))


def _desk_reason(desk: Mapping[str, Any]) -> str:
    return "out of service" if desk.get("out_of_service") else why(desk["findings"])


def _audit(report: Mapping[str, Any]) -> list[str]:
    """The desks; kernels below them where they would make the rows too wide; then pairs about which something was found."""
    rows = [tuple(line(cell) for cell in row) for row in audit.table(report)]
    lines = table(audit.COLUMNS, rows)
    if max(map(len, lines)) > WIDTH:
        place = audit.COLUMNS.index("KERNEL")
        lines = table(_without(audit.COLUMNS, place), [_without(row, place) for row in rows], WIDTH)
        kernels: dict[str, list[str]] = {}
        for row in rows:
            kernels.setdefault(row[place], []).append(row[0])
        lines += [""]
        for kernel, desks in sorted(kernels.items()):
            lines += _wrapped(f"Kernel {kernel}: {', '.join(desks)}", "  ")
    odd = [stack for stack in stacks_of(report) if loud(stack["findings"])]
    if odd:
        lines += [
            "",
            *table(("STACK", "VERDICT", "WHY"), [(line(stack["name"]), outcome(report, stack), why(stack["reasons"])) for stack in odd]),
        ]
    return lines


def _without(row: Sequence[str], place: int) -> tuple[str, ...]:
    return (*row[:place], *row[place + 1 :])


def _notes(report: Mapping[str, Any], wanted: bool) -> list[str]:
    told = tasks(report, ("note",))
    if not told:
        return []
    count = sum(len(task.told) for task in told)
    if not wanted:
        return ["", f"{count} note{'s' if count > 1 else ''} in the report (shown here with -e spark_show_notes=true)."]
    lines = ["", "Notes:"]
    for task in told:
        for item in task.told:
            lines += _wrapped(f"  {task.code}: {item.text}", " " * 6)
    return lines


def _since(report: Mapping[str, Any]) -> list[str]:
    """An audit says what is different since an earlier run."""
    since = report.get("since")
    if not isinstance(since, Mapping) or report["run"]["playbook"] != "audit":
        return []
    rows = [(desk, seen) for desk, seen in (since.get("desks") or {}).items() if seen.get("differences")]
    if not rows:
        compared = since.get("compared") or 0
        return ["", f"Nothing has changed since the previous run ({compared} desks compared)."] if compared else []
    lines = ["", "Changed since the previous run:"]
    for desk, seen in rows:
        told = "; ".join(f"{line(item.get('title'))} {line(item.get('before'))} -> {line(item.get('now'))}" for item in seen["differences"])
        lines += _wrapped(f"  {line(desk)} (since {moment(seen.get('started'))}): {told}", " " * 6)
    return lines


def _changed(report: Mapping[str, Any]) -> list[str]:
    stages: dict[str, list[str]] = {}
    for item in report.get("changed") or ():
        stages.setdefault(line(item.get("desk")), []).append(line(item.get("stage")))
    if not stages:
        return []
    head = "Would change:" if report["run"].get("check_mode") else "Changed:"
    lines = ["", head]
    for desk, listed in list(stages.items())[:CHANGES_SHOWN]:
        lines += _wrapped(f"  {desk}: {', '.join(listed)}", " " * 6)
    if len(stages) > CHANGES_SHOWN:
        lines.append(f"  and {len(stages) - CHANGES_SHOWN} more desks")
    return lines


def _times(run: Mapping[str, Any]) -> list[str]:
    stages = [item for item in run.get("stages") or () if isinstance(item, Mapping)]
    if not stages:
        return []
    told = ", ".join(f"{line(item.get('stage'))} {took}" for item in stages if (took := duration(item.get("seconds"))) != "0 s")
    # A number and its unit stay on one line.
    lines = _wrapped(re.sub(r"(?<=\d) (?=\S)", "\xa0", f"Took {duration(run.get('seconds'))}: {told}"), "  ")
    return ["", *(item.replace("\xa0", " ") for item in lines)]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [text]


def _enrol_row(desk: Mapping[str, Any]) -> tuple[str, ...]:
    enrolled = next((item for item in desk["findings"] if item["code"] == "DESK_ENROLLED"), None)
    identity = line(enrolled["evidence"].get("identity", "")) if enrolled else ""
    return line(desk["name"]), desk_word(desk), line(desk["pair"] or ""), "yes" if enrolled else "no", identity, _desk_reason(desk)


def _pair_row(report: Mapping[str, Any], stack: Mapping[str, Any]) -> tuple[str, ...]:
    names = [line(member["desk"]) for member in stack["members"]]
    # The head stands for a large stack: twenty names would push the figures off the terminal.
    desks = " + ".join(names) if len(names) <= MOST_NAMES else f"{names[0]} + {len(names) - 1} more"
    figures = {item["id"]: item for item in stack["figures"]}
    chosen = stack["headline"]
    word = outcome(report, stack)
    reason = "out of service" if stack.get("out_of_service") else why(stack.get("reasons") or ())
    cells = (against(figures.get(chosen.get("rdma"))), against(figures.get(chosen.get("nccl"))))
    return line(stack["name"]), word, desks, *cells, reason


def against(item: Mapping[str, Any] | None) -> str:
    """A figure beside its mark: ``392 >= 368``."""
    if item is None:
        return "-"
    if not item["mark"]:
        return f"{item['value']:.1f}"
    sign = ">=" if item["reached"] else "<"
    return f"{short(item['value'])} {sign} {short(item['mark']['value'])}"


def _onboard_row(desk: Mapping[str, Any]) -> tuple[str, ...]:
    facts = desk["facts"]

    def fact(group: str, key: str) -> str:
        part = facts.get(group)
        return line((part.get(key) if isinstance(part, Mapping) else None) or "-")

    groups = (facts.get("limits") or {}).get("groups") or []
    docker = "-" if not groups else ("yes" if "docker" in groups else "no")
    codes = {item["code"] for item in desk["findings"]}
    container = "started" if "CONTAINER_GPU_OK" in codes else "FAILED" if "CONTAINER_GPU_FAILED" in codes else "UNKNOWN"
    return (
        line(desk["name"]),
        desk_word(desk),
        fact("identity", "hostname"),
        fact("limits", "user"),
        docker,
        fact("dgx_os", "version"),
        fact("driver", "module_version"),
        container if not desk.get("out_of_service") else "-",
        _desk_reason(desk),
    )
