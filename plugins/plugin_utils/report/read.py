# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a report.json that may be torn, foreign or forged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...module_utils.model.finding import SEVERITIES, VERDICT_OF_SEVERITY
from ..run.store import file_bytes
from .build import SCHEMA
from .words import line, number, scrubbed

VERDICTS = tuple(VERDICT_OF_SEVERITY.values())


class ReportError(ValueError):
    """The file is no report that can be used; the text says why in one line, whatever the folder is called that somebody sent."""

    def __init__(self, text: str) -> None:
        super().__init__(line(text))


def report_file(path: Path) -> tuple[dict[str, Any], str]:
    """The report in a file and the SHA-256 of the file. Raises ReportError."""
    try:
        raw = file_bytes(path)
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from None
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path} is not JSON: {' '.join(str(error).split())[:200]}") from None
    return checked(data, str(path)), hashlib.sha256(raw).hexdigest()


def checked(data: Any, name: str) -> dict[str, Any]:
    """The data as a report whose shape can be relied upon, harmless in every text. Raises ReportError naming what is wrong."""
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, Mapping) else type(data).__name__
        raise ReportError(f"{name} is not a report ({found!r}); {SCHEMA} was expected")
    report: dict[str, Any] = scrubbed(data)
    run = report.get("run")
    if not isinstance(run, dict) or not all(isinstance(run.get(key), str) for key in ("id", "started", "finished", "playbook")):
        raise ReportError(f"{name}: run lacks id, started, finished or playbook")
    run["findings"] = _findings(run.get("findings") or [], f"{name}: run")
    run["check_mode"] = run.get("check_mode") is True
    for kind in ("desks", "pairs"):
        listed = report.get(kind)
        if not isinstance(listed, list):
            raise ReportError(f"{name}: {kind} is not a list")
        for owner in listed:
            _owner(owner, f"{name}: {kind}")
    for pair in report["pairs"]:
        _pair(pair, f"{name}: pair {pair['name']}")
    for desk in report["desks"]:
        desk["facts"] = desk["facts"] if isinstance(desk.get("facts"), Mapping) else {}
        desk["pair"] = desk["pair"] if isinstance(desk.get("pair"), str) else None
        stages = desk.get("stages")
        desk["stages"] = {key: item for key, item in stages.items() if isinstance(item, Mapping)} if isinstance(stages, Mapping) else {}
    cables = report.get("cables")
    report["cables"] = [edge for edge in cables if _is_edge(edge)] if isinstance(cables, list) else []
    if not _stacks_fit(report.get("stacks"), report["pairs"]):
        # It follows from the pairs and is made anew of them.
        report.pop("stacks", None)
    report["changed"] = [_changed(item) for item in _maps(report.get("changed")) if isinstance(item.get("desk"), str)]
    _run(run)
    since = _since(report.pop("since", None))
    if since is not None:
        report["since"] = since
    return report


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _maps(value: Any) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]


def _run(run: dict[str, Any]) -> None:
    versions = run.get("versions")
    run["versions"] = {key: str(item) for key, item in versions.items()} if isinstance(versions, dict) else {}
    run["stages"] = _stages(run.get("stages"))
    run["seconds"] = number(run.get("seconds"))
    run["only"] = [str(item) for item in run["only"]] if isinstance(run.get("only"), list) else None
    if "merged" in run:
        run["merged"] = [str(item) for item in _list(run["merged"])]


def _stages(value: Any) -> list[dict[str, Any]]:
    return [
        {"stage": item["stage"], "seconds": number(item.get("seconds")), "desks": int(number(item.get("desks")) or 0)}
        for item in _maps(value)
        if isinstance(item.get("stage"), str)
    ]


def _changed(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"desk": item["desk"], "stage": str(item.get("stage"))}
    if isinstance(item.get("commands"), list):
        found["commands"] = [str(command) for command in item["commands"]]
    if number(item.get("more_commands")):
        found["more_commands"] = int(number(item["more_commands"]) or 0)
    return found


def _since(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict) or not isinstance(value.get("desks"), dict):
        return None
    desks = {}
    for desk, seen in value["desks"].items():
        if isinstance(seen, dict):
            told = {key: str(seen.get(key) or "") for key in ("run", "started", "verdict")}
            desks[desk] = {**told, "differences": _maps(seen.get("differences"))}
    return {"wanted": str(value.get("wanted") or ""), "compared": int(number(value.get("compared")) or 0), "desks": desks}


def _owner(owner: Any, name: str) -> None:
    if not isinstance(owner, dict) or not isinstance(owner.get("name"), str) or owner.get("verdict") not in VERDICTS:
        raise ReportError(f"{name}: an entry lacks a name or a verdict ({', '.join(VERDICTS)})")
    owner["findings"] = _findings(owner.get("findings") or [], f"{name} {owner['name']}")


def _pair(pair: dict[str, Any], name: str) -> None:
    members = pair.get("members")
    if not isinstance(members, list) or not all(isinstance(item, Mapping) and isinstance(item.get("desk"), str) for item in members):
        raise ReportError(f"{name}: members is not a list of desks")
    pair["reasons"] = _findings(pair.get("reasons") or [], name)
    for key in ("rdma", "nccl"):
        pair[key] = pair[key] if isinstance(pair.get(key), Mapping) else None
    pair["judged"] = pair.get("judged", True) is not False
    pair["out_of_service"] = pair.get("out_of_service") is True


def _findings(listed: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(listed, list):
        raise ReportError(f"{name}: findings is not a list")
    found = []
    for item in listed:
        if not isinstance(item, Mapping) or item.get("severity") not in SEVERITIES or not isinstance(item.get("code"), str):
            raise ReportError(f"{name}: a finding lacks its code or severity ({', '.join(SEVERITIES)})")
        where = item.get("where")
        found.append(
            {
                **item,
                "message": str(item.get("message") or ""),
                "subject": str(item.get("subject") or ""),
                "remedy": str(item.get("remedy") or ""),
                "where": where if isinstance(where, Mapping) else {},
                "evidence": item["evidence"] if isinstance(item.get("evidence"), Mapping) else {},
            }
        )
    return found


def _is_edge(edge: Any) -> bool:
    ends = edge.get("ends") if isinstance(edge, Mapping) else None
    return (
        isinstance(ends, list)
        and len(ends) == 2
        and all(isinstance(end, Mapping) and isinstance(end.get("desk"), str) and isinstance(end.get("port"), int) for end in ends)
        and isinstance(edge.get("verdict"), str)
    )


def _stacks_fit(stacks: Any, pairs: list[dict[str, Any]]) -> bool:
    """Whether the stacks have the shape that renderings need and say of their pairs what the pairs say."""
    verdicts = {pair["name"]: pair["verdict"] for pair in pairs}
    if not isinstance(stacks, list):
        return False
    for stack in stacks:
        if not isinstance(stack, dict) or not isinstance(stack.get("name"), str) or stack.get("verdict") not in VERDICTS:
            return False
        if verdicts.get(stack["name"], stack["verdict"]) != stack["verdict"]:
            return False
        members, head = stack.get("members"), stack.get("headline")
        if not isinstance(members, list) or not all(isinstance(item, Mapping) and isinstance(item.get("desk"), str) for item in members):
            return False
        if not isinstance(head, Mapping) or not all(head.get(key) is None or isinstance(head[key], str) for key in ("rdma", "nccl")):
            return False
        if not isinstance(stack.get("figures"), list) or not all(map(_is_figure, stack["figures"])):
            return False
        stack["headline"] = {key: head.get(key) for key in ("rdma", "nccl")}
        stack["stages"] = _stages(stack.get("stages"))
        stack["trend"] = [
            {**{key: str(item.get(key) or "") for key in ("run", "started", "verdict")}, "values": values}
            for item in _maps(stack.get("trend"))
            if isinstance(values := item.get("values"), dict)
        ]
    return True


def _is_figure(figure: Any) -> bool:
    if not isinstance(figure, Mapping) or not all(isinstance(figure.get(key), str) for key in ("id", "title", "unit")):
        return False
    against, kind = figure.get("mark"), figure["id"].split(".")
    if against is not None and (not isinstance(against, Mapping) or number(against.get("value")) is None or "judged" not in against):
        return False
    if not isinstance(figure.get("devices", []), list) or not all(isinstance(item, str) for item in figure.get("devices", [])):
        return False
    if kind[0] == "rdma" and (len(kind) < 3 or not isinstance(figure.get("path"), str) or (figure["unit"] == "Gb/s" and len(kind) < 4)):
        return False
    if kind[0] not in ("rdma", "nccl") or len(kind) < 3 or ("bytes" in figure and not number(figure["bytes"])):
        return False
    value, limit = number(figure.get("value")), None if against is None else number(against["value"])
    if value is None or "mark" not in figure:
        return False
    return figure.get("reached") is (None if limit is None else value >= limit)
