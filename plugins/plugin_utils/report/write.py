# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report's folder: report.json and everything that is made of it. What cannot be written is said, and costs nothing but itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import audit
from ..cable_report import picture
from ..run.store import file_name, is_of_others, write_atomically
from .certificate import certificates, page
from .certificate import text as certificate_text
from .html import html
from .junit import junit
from .prometheus import prometheus
from .read import checked
from .signing import SigningError, sign
from .timing import epoch
from .words import line

CERTIFICATES = "certificates"


@dataclass
class Written:
    """What was written, and what was not."""

    sha256: str = ""
    """Of report.json."""
    problems: list[str] = field(default_factory=list)
    """A sentence for each file that could not be written."""
    warnings: list[str] = field(default_factory=list)
    """What a key or a folder outside the report did not allow."""
    certificates: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wishes:
    """What an admin may ask of the folder."""

    certificates: bool = True
    key: Path | None = None
    """The ssh key that signs certificates."""
    serials: bool = False
    metrics: Path | None = None
    """A folder (of node_exporter's textfile collector) or a file for the metrics."""


def report_text(report: Mapping[str, Any]) -> str:
    """report.json: small, yet with one line a desk, stack and cable, so that two can be compared with plain tools."""
    lines = []
    for key, value in report.items():
        if isinstance(value, list) and value:
            inner = ",\n  ".join(_compact(item) for item in value)
            lines.append(f" {_compact(key)}: [\n  {inner}\n ]")
        else:
            lines.append(f" {_compact(key)}: {_compact(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write(folder: Path, report: Mapping[str, Any], lines: list[str], wishes: Wishes | None = None, again: bool = False) -> Written:
    """Write everything into a folder. ``lines`` is the summary; ``again``: report.json is there already and is left as it is."""
    wishes = wishes or Wishes()
    found = Written()
    raw = report_text(report)
    if again:
        try:
            found.sha256 = hashlib.sha256((folder / "report.json").read_bytes()).hexdigest()
        except OSError as error:
            found.problems.append(f"report.json: {error.strerror}")
    else:
        found.sha256 = hashlib.sha256(raw.encode()).hexdigest()
        _put(found, folder / "report.json", lambda: raw)
    _put(found, folder / "index.html", lambda: html(report, picture(report)))
    _put(found, folder / "facts.json", lambda: _facts(report))
    _put(found, folder / "junit.xml", lambda: junit(report))
    finished = epoch(report["run"]["finished"]) or 0.0
    _put(found, folder / "metrics.prom", lambda: prometheus(report, finished), mode=0o644)
    if report["run"]["playbook"] == "audit":
        _put(found, folder / "audit.json", lambda: json.dumps(audit.rows(report), indent=1))
    _put(found, folder / "summary.txt", lambda: "\n".join(lines) + "\n")
    if wishes.certificates and not found.problems:
        _certificates(found, folder, raw if not again else (folder / "report.json").read_text(encoding="utf-8"), wishes)
    if wishes.metrics:
        _outside(found, wishes.metrics, report, finished)
    return found


def _put(found: Written, path: Path, make: Callable[[], str], mode: int = 0o640) -> None:
    try:
        write_atomically(path, make(), mode=mode)
    except OSError as error:
        found.problems.append(f"{path.name}: {error.strerror}")
    except Exception as error:  # a fault of ours in one page takes no desk's verdict, and no other file
        reason = line(f"{type(error).__name__}: {error}")[:200]
        found.warnings.append(f"{path.name} could not be made ({reason}); report.json has everything, please report this as a bug")


def _facts(report: Mapping[str, Any]) -> str:
    return json.dumps({desk["name"]: desk.get("facts") or {} for desk in report["desks"]}, indent=1, sort_keys=True) + "\n"


def _certificates(found: Written, folder: Path, raw: str, wishes: Wishes) -> None:
    """Made of the report as it is read from its file, so that whoever verifies makes the same."""
    report = checked(json.loads(raw), "report.json")
    for data in certificates(report, found.sha256, wishes.serials):
        path = folder / CERTIFICATES / f"{file_name(data['stack'])}.json"
        _put(found, path.with_suffix(".html"), lambda data=data: page(data))  # type: ignore[misc]
        _put(found, path, lambda data=data: certificate_text(data))  # type: ignore[misc]
        if found.problems:
            return
        found.certificates.append(str(path))
        if wishes.key:
            try:
                sign(path, wishes.key)
            except SigningError as error:
                found.warnings.append(f"the certificates are not signed: {error}")
                return


def _outside(found: Written, target: Path, report: Mapping[str, Any], finished: float) -> None:
    """Each playbook has a file and a label of its own: two files with the same series would make the collector refuse both."""
    playbook = line(report["run"]["playbook"])
    path = target / f"dgx_spark_{playbook}.prom" if target.is_dir() else target
    if is_of_others(path, "dgx_spark_"):
        found.warnings.append(f"the metrics were not written: {path} holds something else (spark_metrics_path)")
        return
    try:
        write_atomically(path, prometheus(report, finished, {"playbook": playbook}), mode=0o644)
    except OSError as error:
        found.warnings.append(f"the metrics could not be written to {path}: {error.strerror}")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
