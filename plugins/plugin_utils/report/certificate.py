# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate of one stack: what it was on the day it was proven, bound to the report by a checksum. Pure.

Everything in it follows from report.json, so it can be made again and compared; the signature says who issued it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from .build import stacks_of
from .html import HERE
from .todo import loud
from .words import duration, figure, line, moment, scrubbed, size, told

SCHEMA = "labops.dgx_spark/certificate/1"
CERTIFIED = ("PASS", "WARN")


class CertificateError(ValueError):
    """No certificate can be made or read; the text says why in one line."""


def certificates(report: Mapping[str, Any], report_sha256: str, serials: bool = False) -> Iterator[dict[str, Any]]:
    """The certificate of every stack that gets one: proven in that run, with no failure and nothing unknown."""
    if report["run"]["check_mode"]:
        return
    desks = {desk["name"]: desk for desk in report["desks"]}
    for stack in stacks_of(report):
        if _proven(stack):
            yield _certificate(report, stack, desks, report_sha256, serials)


def certificate(report: Mapping[str, Any], stack: str, report_sha256: str, serials: bool = False) -> dict[str, Any]:
    """The certificate of a stack as plain data, with the checksum of its page. Raises CertificateError.

    ``report`` is the report as it is read from report.json, ``report_sha256`` the checksum of that file. ``serials``: whether serial
    numbers of desks and cables are named.
    """
    found = next((item for item in stacks_of(report) if item["name"] == stack), None)
    if found is None or report["run"]["check_mode"] or not _proven(found):
        verdict = found["verdict"] if found else "not in the report"
        raise CertificateError(f"stack {stack} is {verdict}; only a stack that was measured and is PASS or WARN gets a certificate")
    return _certificate(report, found, {desk["name"]: desk for desk in report["desks"]}, report_sha256, serials)


def _certificate(
    report: Mapping[str, Any], found: Mapping[str, Any], desks: Mapping[str, Mapping[str, Any]], report_sha256: str, serials: bool
) -> dict[str, Any]:
    names = [member["desk"] for member in found["members"]]
    run = report["run"]
    data = {
        "schema": SCHEMA,
        "stack": found["name"],
        "verdict": found["verdict"],
        "topology": found.get("topology"),
        "desks": [_desk(desks.get(name) or {"name": name}, rank, serials) for rank, name in enumerate(names)],
        "cables": [
            _cable(edge, serials) for edge in report.get("cables") or () if {str(end["desk"]) for end in edge["ends"]} <= set(names)
        ],
        "figures": found["figures"],
        "nccl": {key: (found.get("nccl") or {}).get(key) for key in ("nccl_version", "collective", "transport")},
        "warnings": [{"code": item["code"], "message": item["message"]} for item in loud(found.get("reasons") or ())],
        "run": {key: run.get(key) for key in ("id", "started", "finished", "playbook")},
        "issued": run["finished"],
        "versions": run.get("versions") or {},
        "serials": serials,
        "report_sha256": report_sha256,
    }
    whole: dict[str, Any] = json.loads(json.dumps(scrubbed(data)))
    whole["page_sha256"] = hashlib.sha256(page(whole).encode()).hexdigest()
    return whole


def text(data: Mapping[str, Any]) -> str:
    """The certificate's file."""
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def page(data: Mapping[str, Any]) -> str:
    """The certificate as one page to print."""
    shown = {key: value for key, value in scrubbed(data).items() if key != "page_sha256"}
    return _template().render(item=shown)


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(moment=moment, duration=duration, figure=figure, told=told, size=size)
    environment.globals["style"] = Markup((HERE / "page.css").read_text(encoding="utf-8"))
    return environment.from_string((HERE / "certificate.html.j2").read_text(encoding="utf-8"))


def _proven(stack: Mapping[str, Any]) -> bool:
    return stack["verdict"] in CERTIFIED and bool(stack.get("judged", True)) and _measured(stack)


def _measured(stack: Mapping[str, Any]) -> bool:
    return all(isinstance(stack.get(kind), Mapping) and stack[kind].get("measured") for kind in ("rdma", "nccl"))


def _desk(desk: Mapping[str, Any], rank: int, serials: bool) -> dict[str, Any]:
    facts = desk.get("facts") or {}

    def fact(group: str, key: str) -> str | None:
        part = facts.get(group)
        value = part.get(key) if isinstance(part, Mapping) else None
        return None if value is None else line(value)

    found = {
        "name": line(desk["name"]),
        "rank": rank,
        "vendor": fact("identity", "vendor"),
        "product": fact("identity", "product"),
        "system_firmware": fact("identity", "bios_version"),
        "dgx_os": fact("dgx_os", "version"),
        "kernel": fact("kernel", "running"),
        "driver": fact("driver", "module_version"),
        "cx7_firmware": fact("cx7", "firmware"),
    }
    if serials:
        found["serial"] = fact("identity", "serial")
    return found


def _cable(edge: Mapping[str, Any], serials: bool) -> dict[str, Any]:
    found = {
        "ends": [{"desk": line(end["desk"]), "port": end["port"]} for end in edge["ends"]],
        "verdict": line(edge.get("verdict")),
        "vendor": line(edge.get("vendor") or ""),
        "part": line(edge.get("part") or ""),
    }
    if serials:
        found["serial"] = line(edge.get("serial") or "")
    return found
