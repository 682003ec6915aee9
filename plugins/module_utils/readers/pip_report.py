# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip answers: the report of a dry run, and its errors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

INSTALL_LIMIT = 2000
REQUIRES_LIMIT = 500


@dataclass(frozen=True)
class Chosen:
    """One distribution that pip would install."""

    name: str
    version: str
    url: str
    sha256: str | None = None
    requested: bool = False
    requires: tuple[str, ...] = ()
    """As its metadata says, with markers."""


class PipReportError(ValueError):
    """The text is no report."""


def chosen(text: str) -> tuple[Chosen, ...]:
    """What pip would install. Raises PipReportError."""
    try:
        data = json.loads(text[text.index("{") :])
        entries = data["install"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PipReportError("pip gave no report") from None
    if not isinstance(entries, list):
        raise PipReportError("pip gave no report")
    found = []
    for item in entries[:INSTALL_LIMIT]:
        made = _chosen(item)
        if made is not None:
            found.append(made)
    return tuple(found)


def _chosen(item: Any) -> Chosen | None:
    try:
        metadata, info = item["metadata"], item["download_info"]
        name, version, url = metadata["name"], metadata["version"], info["url"]
        hashes = (info.get("archive_info") or {}).get("hashes") or {}
        requires = metadata.get("requires_dist") or []
    except (KeyError, TypeError, AttributeError):
        return None
    if not all(isinstance(text, str) for text in (name, version, url)) or not isinstance(requires, list) or not isinstance(hashes, dict):
        return None
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", name) or not re.fullmatch(r"[A-Za-z0-9.!+_-]{1,128}", version):
        return None
    digest = hashes.get("sha256")
    return Chosen(
        name,
        version,
        url[:4096],
        digest if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) else None,
        item.get("requested") is True,
        tuple(text[:1000] for text in requires[:REQUIRES_LIMIT] if isinstance(text, str)),
    )


@dataclass(frozen=True)
class Refusal:
    """Why pip gave no set."""

    kind: str
    """no_pip, no_network, timeout, no_wheel, conflict, syntax, hashes, other"""
    project: str | None = None
    """Of no_wheel: which project has nothing that fits, as pip spells it."""
    words: str = ""
    names: tuple[str, ...] = field(default=())
    """Of conflict: the requirements that exclude one another."""


def refusal(text: str) -> Refusal:
    """Why pip refused, by its error output."""
    lines = [" ".join(line.split()) for line in text[-20000:].splitlines() if line.strip()]
    joined = "\n".join(lines)
    crashed = "Traceback (most recent call last)" in joined
    errors = [] if crashed else [line for line in lines if line.startswith("ERROR:")]
    words = (errors or lines or ["pip said nothing"])[-1][:300]
    if re.search(r"No module named pip\b|no such option: --(?:report|dry-run)|use-feature: invalid choice", joined):
        return Refusal("no_pip", words=words)
    if not crashed and re.search(
        r"Invalid requirement|InvalidRequirement|error: (?:unrecognized|no such option|argument)|pip: error:|Could not open requirements",
        joined,
    ):
        return Refusal("syntax", words=words)
    if re.search(r"DO NOT MATCH THE HASHES|In --require-hashes mode|Hashes are required", joined):
        return Refusal("hashes", words=words)
    found = re.search(r"No matching distribution found for ([A-Za-z0-9][A-Za-z0-9._-]{0,127})", joined)
    unreached = re.search(
        r"NewConnectionError|Temporary failure in name resolution|Connection refused|ProxyError|SSLError|ConnectTimeout|ReadTimeout|"
        r"Name or service not known|Connection aborted|Max retries exceeded|Network is unreachable",
        joined,
    )
    if unreached and (found or "ResolutionImpossible" not in joined):
        return Refusal("no_network", words=words)
    conflict = "ResolutionImpossible" in joined or "conflicting dependencies" in joined
    if conflict:
        told = re.findall(r"^(?:ERROR: )?(.{1,200}?) depends on .{1,200}$|^The user requested (.{1,200})$", joined, re.MULTILINE)
        return Refusal("conflict", words=words, names=tuple(dict.fromkeys(one or other for one, other in told))[:8])
    if found:
        return Refusal("no_wheel", found.group(1), words)
    return Refusal("other", words=words)
