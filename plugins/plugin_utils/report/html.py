# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

TEMPLATE = Path(__file__).with_name("page.html.j2")


def html(report: Mapping[str, Any], picture: str = "") -> str:
    """The page; ``picture`` is an SVG element of the cabling, made by us (everything else is escaped)."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(report=report, picture=picture, number=_number, bad=_bad, word=_word)


def _number(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, (int, float)) else "-"


def _bad(findings: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [item for item in findings if item["severity"] not in ("ok", "note")]


def _word(facts: Mapping[str, Any], group: str, key: str) -> str:
    return str((facts.get(group) or {}).get(key) or "")
