# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one self-contained page: no network, no script. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ...module_utils.judges.catalogue import CODES
from ..cable_report import WORDS as CABLE_WORDS
from .build import ORDER, desk_word, outcome, stacks_of
from .charts import nccl_chart, rdma_chart, trend_chart
from .figures import mark_at, rows_of
from .levels import moved
from .todo import loud, tasks
from .words import chosen, duration, figure, items, line, moment, plain, scrubbed, short, size, told

HERE = Path(__file__).parent
EVIDENCE_LIMIT = 1200
"""Characters of a finding's evidence that the page repeats; report.json has all of it."""
TOLD_LIMIT = 12
"""Sentences of one thing to do that stand at the top of the page; the stacks and desks below tell every one."""
TREND_ROWS = 10
"""Runs that a trend's table lists; the curve shows more."""
OPEN_LIMIT = 12
"""Stacks that are shown unfolded; of a lab where more than that is wrong the table above says which."""


def html(report: Mapping[str, Any], picture: str = "") -> str:
    """The page; ``picture`` is an SVG element of the cabling, made by us (everything else is escaped)."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(moment=moment, duration=duration, chosen=chosen)
    template = environment.from_string((HERE / "page.html.j2").read_text(encoding="utf-8"))
    return template.render(view(report), style=Markup((HERE / "page.css").read_text(encoding="utf-8")), picture=Markup(picture))


def view(report: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the page shows, in its order."""
    report = {**report, "run": scrubbed(report["run"])}
    sources = Sources()
    stacks = [_stack(number, stack, report, sources) for number, stack in enumerate(stacks_of(report), start=1)]
    stacks.sort(key=lambda item: item["rank"])
    for item in [item for item in stacks if item["loud"]][:OPEN_LIMIT]:
        item["open"] = True
    if len(stacks) == 1:
        stacks[0]["open"] = True
    home = {name: item for item in stacks for name in item["names"]}
    desks = [_desk(number, desk, home.get(desk["name"]), report) for number, desk in enumerate(report["desks"], start=1)]
    desks.sort(key=lambda item: item["rank"])
    todo = [
        {
            "code": task.code,
            "severity": task.severity,
            "remedy": task.remedy,
            "told": [told.text for told in task.told[:TOLD_LIMIT]],
            "more": max(0, len(task.told) - TOLD_LIMIT),
        }
        for task in tasks(report)
    ]
    run = report["run"]
    return {
        "run": run,
        "title": f"DGX Spark lab: {line(run['playbook'])}, {moment(run['started'])}",
        "stages": [item for item in run.get("stages") or () if isinstance(item, Mapping)],
        "versions": run.get("versions") or {},
        "merged": run.get("merged") or [],
        "counts": {"stacks": _counts(item["word"] for item in stacks), "desks": _counts(desk["verdict"] for desk in desks)},
        "judged": any(stack["judged"] for stack in stacks),
        "stacks": stacks,
        "levels": [("Before and after", moved(report, True)), ("Planned, left as it is", moved(report, False))],
        "desks": desks,
        "todo": todo,
        "cables": [_cable(edge) for edge in report.get("cables") or ()],
        "since": _since(report),
        "codes_told": _codes(report),
        "sources": sources.listed,
        "schema": report["schema"],
    }


class Sources:
    """Where marks come from: each told once at the end of the page, referred to by number."""

    def __init__(self) -> None:
        self.listed: list[str] = []

    def number(self, source: Any, weight: str) -> int:
        """The number of a source, from 1."""
        text = f"{line(source)} ({weight})"
        if text not in self.listed:
            self.listed.append(text)
        return self.listed.index(text) + 1


def _counts(words: Iterable[str]) -> list[tuple[str, int]]:
    counted = Counter(words)
    return [(word, counted[word]) for word in (*ORDER, *sorted(set(counted) - set(ORDER))) if counted[word]]


def against(item: Mapping[str, Any] | None, missed: bool = False) -> dict[str, Any] | None:
    """A figure and its mark in words: ``392 >= 368 Gb/s``."""
    if item is None:
        return None
    words = short(item["value"])
    limit = item["mark"]
    below = item.get("reached") is False
    if limit:
        words += f" {'<' if below else '≥'} {short(limit['value'])}"
    # A sum that decides nothing by itself is red where a figure behind it is.
    return {"text": words, "unit": line(item["unit"]), "missed": below and bool(limit) and (limit["judged"] or missed)}


def _stack(number: int, stack: Mapping[str, Any], report: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    word = outcome(report, stack)
    names = [line(member["desk"]) for member in stack["members"]]
    figures = {item["id"]: item for item in stack["figures"]}
    chosen = stack["headline"]
    reasons = loud(stack.get("reasons") or ())
    rank = ORDER.index(word) if word in ORDER else len(ORDER)
    nccl = stack.get("nccl") or {}
    return {
        "id": f"s{number}",
        "rank": (rank, number),
        "name": line(stack["name"]),
        "label": _label(stack),
        "word": word,
        "names": names,
        "judged": stack.get("judged", True),
        "loud": bool(reasons),
        "open": False,
        "rdma": against(figures.get(chosen.get("rdma")), any(_missed(item) for item in figures.values() if item["id"].startswith("rdma."))),
        "nccl": against(figures.get(chosen.get("nccl"))),
        "why": list(dict.fromkeys(line(item["code"]) for item in reasons)),
        "findings": [_finding(item) for item in stack.get("findings") or () if item["severity"] != "ok"],
        "desk_findings": [
            _finding(item)
            for desk in report["desks"]
            if desk["name"] in names
            for item in desk["findings"]
            if item["severity"] in ("fail", "unknown", "warn")
        ],
        "rdma_chart": Markup(rdma_chart(stack, stack["figures"])),
        "rdma_rows": [_figure_row(item, sources) for item in stack["figures"] if item["id"].startswith("rdma.")],
        "nccl_chart": Markup(nccl_chart(nccl)),
        "nccl_rows": [_nccl_row(nccl, row, sources) for row in rows_of(nccl)],
        "nccl_told": _nccl_told(nccl),
        "trends": _trends(stack, figures, report),
        "stages": [item for item in stack.get("stages") or () if isinstance(item, Mapping)],
        "changed": [_changed(item) for item in stack.get("changed") or ()],
        "commands": _commands(stack),
        "environment": _environment(nccl),
    }


def _label(stack: Mapping[str, Any]) -> str:
    topology = stack.get("topology") or "direct"
    kind = "pair" if topology == "direct" and len(stack["members"]) == 2 else line(topology)
    # A pair that is called pair_a needs no "pair" in front.
    return "" if line(stack["name"]).lower().startswith(kind) else kind


def _figure_row(item: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    limit = item["mark"]
    return {
        "title": line(item["title"]).removeprefix("RDMA, "),
        "devices": " / ".join(dict.fromkeys(item.get("devices") or ())),
        "value": figure(item["value"]),
        "unit": line(item["unit"]),
        "mark": figure(limit["value"]) if limit else "-",
        "state": _state(item),
        "missed": _missed(item),
        "source": sources.number(limit.get("source"), _weight(limit)) if limit else 0,
    }


def _missed(item: Mapping[str, Any]) -> bool:
    """Whether a figure lies below a mark that decides something."""
    return item.get("reached") is False and bool(item["mark"]) and bool(item["mark"]["judged"])


def _state(item: Mapping[str, Any]) -> str:
    if not item["mark"]:
        return "no mark"
    if item["reached"]:
        return "reached"
    if not item["mark"]["judged"]:
        return "below (not decisive)"
    return "missed"


def _weight(limit: Mapping[str, Any]) -> str:
    """What missing a mark means."""
    return "missing it fails" if limit.get("fails") else "missing it warns" if limit.get("judged") else "not decisive"


def _nccl_row(nccl: Mapping[str, Any], row: tuple[int, float, float | None, float | None], sources: Sources) -> dict[str, Any]:
    length, mean, out, inside = row
    limit = mark_at(nccl, length)
    return {
        "size": size(length),
        "mean": figure(mean, 2),
        "out": figure(out, 2),
        "inside": figure(inside, 2),
        "mark": figure(limit.value, 2) if limit else "-",
        "state": "no mark" if limit is None else "reached" if mean >= limit.value else "missed",
        "missed": limit is not None and mean < limit.value,
        "source": sources.number(limit.source, "missing it fails" if limit.may_fail else "missing it warns") if limit else 0,
    }


def _nccl_told(nccl: Mapping[str, Any]) -> str:
    if not nccl:
        return ""
    words = [
        f"NCCL {line(nccl['nccl_version'])}" if nccl.get("nccl_version") else "",
        f"transport {line(nccl.get('transport') or 'not seen')}",
    ]
    hcas = nccl.get("hcas")
    if isinstance(hcas, Mapping):
        words += [f"{line(host)}: {', '.join(map(line, used))}" for host, used in hcas.items() if isinstance(used, list)]
    return ", ".join(item for item in words if item)


def _trends(stack: Mapping[str, Any], figures: Mapping[str, Mapping[str, Any]], report: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    runs = [item for item in stack.get("trend") or () if isinstance(item, Mapping) and isinstance(item.get("values"), Mapping)]
    for key in stack["headline"].values():
        now = figures.get(key)
        if now is None:
            continue
        rows = [(moment(item.get("started")), item["values"].get(key), line(item.get("verdict"))) for item in runs]
        rows.append((moment(report["run"]["started"]), now["value"], line(stack["verdict"])))
        limit = now["mark"]["value"] if now["mark"] else None
        chart = trend_chart([(started[:10], value) for started, value, _verdict in rows], now["unit"], now["title"], limit)
        if chart:
            listed = [{"started": started, "value": figure(value, 2), "verdict": verdict} for started, value, verdict in rows]
            words = {"title": line(now["title"]), "unit": line(now["unit"])}
            found.append({**words, "chart": Markup(chart), "rows": listed[::-1][:TREND_ROWS]})
    return found


def _changed(item: Mapping[str, Any]) -> dict[str, Any]:
    commands = [line(command)[:400] for command in items(item.get("commands"))]
    return {"desk": line(item.get("desk")), "stage": line(item.get("stage")), "commands": commands, "more": item.get("more_commands") or 0}


def _commands(stack: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    rdma, nccl = stack.get("rdma") or {}, stack.get("nccl") or {}
    for command in items(rdma.get("commands")):
        found.append(("RDMA", " ".join(map(line, command)) if isinstance(command, list) else line(command)))
    options = rdma.get("options")
    if not found and isinstance(options, Mapping):
        words = ", ".join(f"{line(key).replace('_', ' ')} {line(value)}" for key, value in options.items())
        found.append(("RDMA", f"ib_write_bw: {words}"))
    if isinstance(nccl.get("command"), list) and nccl["command"]:
        found.append(("NCCL", " ".join(map(line, nccl["command"]))))
    return found


def _environment(nccl: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Settings of the ranks by desk, once where all desks have the same."""
    known = nccl.get("environment")
    if not isinstance(known, Mapping):
        return []
    texts = {
        line(desk): "\n".join(f"{line(key)}={line(value)}" for key, value in sorted(settings.items()))
        if isinstance(settings, Mapping)
        else "\n".join(map(line, str(settings).splitlines()))
        for desk, settings in known.items()
    }
    if len(set(texts.values())) == 1:
        return [(" and ".join(texts), next(iter(texts.values())))]
    return list(texts.items())


def _finding(item: Mapping[str, Any]) -> dict[str, Any]:
    evidence = plain(json.dumps(scrubbed(item["evidence"]), indent=1, ensure_ascii=False)) if item.get("evidence") else ""
    if len(evidence) > EVIDENCE_LIMIT:
        evidence = evidence[:EVIDENCE_LIMIT] + "\n... (report.json has all of it)"
    return {
        "code": line(item["code"]),
        "known": item["code"] in CODES,
        "severity": item["severity"],
        "message": told(item["message"]),
        "remedy": told(item.get("remedy") or ""),
        "evidence": evidence,
    }


def _desk(number: int, desk: Mapping[str, Any], stack: Mapping[str, Any] | None, report: Mapping[str, Any]) -> dict[str, Any]:
    facts = desk.get("facts") or {}
    verdict = desk_word(desk)
    own_rank = ORDER.index(verdict) if verdict in ORDER else len(ORDER)
    stack_word = stack["word"] if stack else ""
    beside = ""
    if stack and stack_word in ORDER and ORDER.index(stack_word) < own_rank:
        beside = f"its stack {stack['name']} is {stack_word}"
    rank = min(own_rank, ORDER.index(stack_word) + 0.5 if stack_word in ORDER else len(ORDER))
    quiet = [_finding(item) for item in desk["findings"] if item["severity"] in ("note",)]
    own = [_finding(item) for item in desk["findings"] if item["severity"] in ("fail", "unknown", "warn")]
    return {
        "id": f"d{number}",
        "rank": (rank, number),
        "name": line(desk["name"]),
        "verdict": verdict,
        "told": beside,
        "stack": stack,
        "machine": _machine(_fact(facts, "identity", "vendor"), _fact(facts, "identity", "product")),
        "dgx_os": _fact(facts, "dgx_os", "version"),
        "kernel": _fact(facts, "kernel", "running"),
        "driver": _fact(facts, "driver", "module_version"),
        "firmware": _fact(facts, "cx7", "firmware"),
        "why": list(dict.fromkeys(item["code"] for item in own)),
        "own": [] if stack else own,
        "notes": quiet,
        "changed": [_changed(item) for item in report.get("changed") or () if item.get("desk") == desk["name"]] if not stack else [],
    }


def _machine(vendor: str, product: str) -> str:
    """Vendor and product; the vendor once."""
    return product if product.lower().startswith(vendor.lower()) else f"{vendor} {product}".strip()


def _fact(facts: Mapping[str, Any], group: str, key: str) -> str:
    part = facts.get(group)
    value = part.get(key) if isinstance(part, Mapping) else None
    return line(value) if value is not None else ""


def _cable(edge: Mapping[str, Any]) -> dict[str, Any]:
    ends = [f"{line(end['desk'])} port {line(end['port'])}" for end in edge["ends"]]
    plug = " ".join(line(edge[key]) for key in ("vendor", "part") if edge.get(key))
    verdict = line(edge.get("verdict"))
    return {
        "ends": ends,
        "verdict": CABLE_WORDS.get(verdict, verdict),
        "wrong": verdict in ("wrong", "looped"),
        "stack": line(edge.get("pair") or ""),
        "plug": plug,
        "methods": ", ".join(map(line, edge.get("methods") or ())),
    }


def _since(report: Mapping[str, Any]) -> dict[str, Any] | None:
    since = report.get("since")
    if not isinstance(since, Mapping):
        return None
    rows = []
    for desk, seen in (since.get("desks") or {}).items():
        rows.append(
            {
                "desk": line(desk),
                "run": line(seen.get("run")),
                "started": moment(seen.get("started")),
                "verdict": line(seen.get("verdict")),
                "now": next((item["verdict"] for item in report["desks"] if item["name"] == desk), ""),
                "differences": [
                    f"{line(item.get('title'))}: {line(item.get('before'))} → {line(item.get('now'))}"
                    for item in seen.get("differences") or ()
                ],
            }
        )
    return {"wanted": line(since.get("wanted")), "compared": since.get("compared") or 0, "rows": rows}


def _codes(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """The explanation of each code that occurs, once."""
    used = {
        item["code"]
        for owner in (*report["pairs"], *report["desks"], {"findings": report["run"].get("findings") or ()})
        for item in owner["findings"]
    }
    return [
        {"code": code, "title": CODES[code].title, "meaning": CODES[code].meaning, "source": CODES[code].source}
        for code in sorted(used)
        if code in CODES
    ]
