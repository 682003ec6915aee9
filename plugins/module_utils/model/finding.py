# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding: one judged statement with a stable code, a severity, evidence and a remedy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SEVERITIES = ("ok", "note", "warn", "unknown", "fail")
"""From harmless to worst; the order decides a verdict."""

EVIDENCE_LIMIT = 2048
"""Bytes of JSON that the evidence of one finding may take in a result."""

VERDICT_OF_SEVERITY = {"ok": "PASS", "note": "PASS", "warn": "WARN", "unknown": "UNKNOWN", "fail": "FAIL"}


@dataclass(frozen=True)
class Where:
    """What a finding is about; only what applies is set."""

    pair: str | None = None
    desk: str | None = None
    port: int | None = None
    function: str | None = None

    @property
    def subject(self) -> str:
        """The place in words, such as ``desk-01 port 1``."""
        words = []
        if self.pair is not None and self.desk is None:
            words.append(f"pair {self.pair}")
        if self.desk is not None:
            words.append(self.desk)
        if self.port is not None:
            words.append(f"port {self.port}")
        if self.function is not None:
            words.append(self.function)
        return " ".join(words) or "lab"

    def as_dict(self) -> dict[str, Any]:
        """Only the keys that are set."""
        places = {"pair": self.pair, "desk": self.desk, "port": self.port, "function": self.function}
        return {key: value for key, value in places.items() if value is not None}


@dataclass(frozen=True)
class Finding:
    """One judged statement. Make it with ``catalogue.finding``, which checks the code and fills in the remedy."""

    code: str
    severity: str
    where: Where
    message: str
    remedy: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The finding as results and reports carry it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "subject": self.where.subject,
            "where": self.where.as_dict(),
            "message": self.message,
            "evidence": bounded(self.evidence),
            "remedy": self.remedy,
        }


def bounded(evidence: Mapping[str, Any], limit: int = EVIDENCE_LIMIT) -> dict[str, Any]:
    """``evidence`` as JSON of at most ``limit`` bytes; what had to be cut is marked ``truncated``."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(evidence), default=str, sort_keys=True))
    if len(json.dumps(plain).encode()) <= limit:
        return plain
    kept: dict[str, Any] = {"truncated": True}
    room = limit - 64
    for key, value in plain.items():
        text = value if isinstance(value, str) else json.dumps(value)
        share = max(80, room // max(1, len(plain)))
        small: Any = value if len(json.dumps(value).encode()) <= share else text[: share // 2] + " [cut]"
        if len(json.dumps({**kept, key: small}).encode()) > room:
            break
        kept[key] = small
    return kept


def worst(severities: Iterable[str]) -> str:
    """The worst of some severities; ``ok`` when there are none."""
    return max(severities, key=SEVERITIES.index, default="ok")


def verdict(severities: Iterable[str]) -> str:
    """PASS, WARN, UNKNOWN or FAIL: the worst severity decides."""
    return VERDICT_OF_SEVERITY[worst(severities)]
