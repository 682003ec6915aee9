# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report beside the runs before it: trends, links lost in between, desks that changed. Nothing is written here."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.judges.history import judge_changed, judge_flaps, judge_slower
from ...module_utils.model.finding import Finding
from ...module_utils.model.history import Carrier, Difference, Series
from ..report.build import judge_again, stacks_of
from .since import LAST, NEVER, chosen
from .state import counts_of, differences, states_of
from .store import DeskRow, History, last_counts

TREND_RUNS = 20
"""Runs of a stack that its trend shows."""


def with_history(report: dict[str, Any], history: History, now: datetime.datetime, since: str = LAST) -> None:
    """Add to a report what only earlier runs show: ``trend`` of each stack, ``since``, and findings, which count for the verdicts.

    Raises SinceError for a ``since`` that cannot be understood, HistoryError when the history cannot be read.
    """
    started = report["run"]["started"]
    states = states_of(report)
    names = [str(desk["name"]) for desk in report["desks"]]
    rows = {name: [row for row in history.desk_rows(name, started) if row.run != report["run"]["id"]] for name in names}
    added = _slower(report, history, rows, states)
    added += _flaps(report, rows)
    added += _changed(report, rows, states, now, since)
    judge_again(report, [item.as_dict() for item in added])


def _slower(
    report: dict[str, Any], history: History, rows: Mapping[str, Sequence[DeskRow]], states: Mapping[str, Mapping[str, str]]
) -> list[Finding]:
    found: list[Finding] = []
    started = report["run"]["started"]
    whole = {stack["name"]: stack for stack in stacks_of(report)}
    for stack in report.get("stacks") or ():
        members = [str(member["desk"]) for member in stack["members"]]
        full = whole[stack["name"]]
        shown = [item["id"] for item in stack["figures"] if _in_trend(item, stack["headline"])]
        earlier = history.stack_runs(stack["name"], members, started, TREND_RUNS)
        stack["trend"] = [
            {"run": run, "started": begun, "verdict": verdict, "values": {key: values[key] for key in shown if key in values}}
            for run, begun, verdict, values in earlier
            if run != report["run"]["id"]
        ]
        if not any(isinstance(full.get(kind), Mapping) and full[kind].get("measured") for kind in ("rdma", "nccl")):
            continue
        series = [
            Series(item["id"], item["title"], item["unit"], item["value"], history.past(stack["name"], members, item["id"], started))
            for item in stack["figures"]
            if _in_trend(item, stack["headline"])
        ]
        found += judge_slower(stack["name"], series, lambda run, members=members: _since(run, members, rows, states))  # type: ignore[misc]
    return found


def _in_trend(item: Mapping[str, Any], headline: Mapping[str, Any]) -> bool:
    """Figures whose trend is judged: the sums, each function alone one way, and NCCL at its largest message."""
    if item["id"] in headline.values():
        return True
    parts = item["id"].split(".")
    return parts[0] == "rdma" and (parts[2] == "sum" or (parts[2].startswith("function") and parts[-1] in ("forward", "back")))


def _since(
    run: str, members: Sequence[str], rows: Mapping[str, Sequence[DeskRow]], states: Mapping[str, Mapping[str, str]]
) -> list[Difference]:
    """What is different on the members since a run, each with the run that saw it first ("" for this one)."""
    found = []
    for desk in members:
        earlier = list(rows.get(desk) or ())
        begin = next((place for place, row in enumerate(earlier) if row.run == run), None)
        if begin is None or desk not in states:
            continue
        for item in differences(desk, earlier[begin].state, states[desk]):
            new = states[desk][item.path]
            first = next((row.run for row in earlier[begin + 1 :] if row.state.get(item.path) == new), "")
            found.append(Difference(desk, item.path, item.title, item.before, item.now, first))
    return found


def _flaps(report: dict[str, Any], rows: Mapping[str, Sequence[DeskRow]]) -> list[Finding]:
    found: list[Finding] = []
    desks = {desk["name"]: desk for desk in report["desks"]}
    members = {
        str(member["desk"]): [str(item["desk"]) for item in stack["members"]] for stack in report["pairs"] for member in stack["members"]
    }
    linked = {str(item["desk"]) for item in report.get("changed") or () if item.get("stage") == "link"}
    for name, desk in desks.items():
        others = [other for other in members.get(name, [name]) if other != name]
        # A link stage of this run, or a partner that was started again, takes the link down without fault.
        if linked & {name, *others}:
            continue
        told = {str((item.get("where") or {}).get("function")) for item in desk["findings"] if item["code"] == "CX7_LINK_FLAPPED"}
        before = last_counts(rows[name])
        if before is None or any(not _same_boot(rows.get(other) or (), before, desks.get(other)) for other in others):
            continue
        now = Carrier(report["run"]["id"], report["run"]["started"], _boot(desk), counts_of(desk.get("facts") or {}))
        found += [item for item in judge_flaps(name, before, now) if item.where.function not in told]
    return found


def _same_boot(rows: Sequence[DeskRow], before: Carrier, desk: Mapping[str, Any] | None) -> bool:
    """Whether a partner was seen in the same run and has not been started again since."""
    row = next((row for row in rows if row.run == before.run), None)
    return row is not None and desk is not None and row.carrier.boot_id is not None and row.carrier.boot_id == _boot(desk)


def _boot(desk: Mapping[str, Any]) -> str | None:
    identity = (desk.get("facts") or {}).get("identity")
    boot = identity.get("boot_id") if isinstance(identity, Mapping) else None
    return boot if isinstance(boot, str) else None


def _changed(
    report: dict[str, Any],
    rows: Mapping[str, Sequence[DeskRow]],
    states: Mapping[str, Mapping[str, str]],
    now: datetime.datetime,
    since: str,
) -> list[Finding]:
    """Each desk is compared with the run that is meant among those that read it."""
    found: list[Finding] = []
    told: dict[str, Any] = {}
    known = sorted({(row.run, row.started) for listed in rows.values() for row in listed}, key=lambda item: item[1])
    chosen(since, known, now)
    named = any(run == since for run, _started in known)
    for name, state in states.items():
        listed = rows[name]
        run = since if named else chosen(since, [(row.run, row.started) for row in listed], now) if listed and state else None
        row = next((row for row in listed if row.run == run), None)
        if row is None:
            continue
        changes = differences(name, row.state, state)
        if changes or row.verdict != _verdict(report, name):
            told[name] = {
                "run": row.run,
                "started": row.started,
                "verdict": row.verdict,
                "differences": [{"path": item.path, "title": item.title, "before": item.before, "now": item.now} for item in changes],
            }
        found += judge_changed(name, row.run, row.started, changes)
    if since != NEVER:
        compared = sum(bool(rows[name]) and bool(state) for name, state in states.items())
        report["since"] = {"wanted": since, "compared": compared, "desks": told}
    return found


def _verdict(report: Mapping[str, Any], name: str) -> str:
    return next((str(desk["verdict"]) for desk in report["desks"] if desk["name"] == name), "UNKNOWN")
