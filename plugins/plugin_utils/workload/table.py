# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a check on the terminal: one line an item, desks of one mind together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...module_utils.model.workload import VERDICTS

COLUMNS = ("ITEM", "VERDICT", "GPU", "DESKS", "WHY")
WIDTH = 100


def rows(told: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[str, str, str, str, str]]:
    """Rows of COLUMNS from desk to its items (Judged as dicts), in the order in which they were asked for."""
    grouped: dict[tuple[str, str, str, str], list[str]] = {}
    order: dict[str, int] = {}
    for desk, items in told.items():
        for item in items:
            name = str(item.get("item"))
            order.setdefault(name, len(order))
            key = (name, str(item.get("verdict")), str(item.get("gpu") or "-"), str(item.get("reason")))
            grouped.setdefault(key, []).append(desk)
    found = sorted(grouped.items(), key=lambda entry: (order[entry[0][0]], _rank(entry[0][1])))
    return [
        (_cut(name, 60), verdict, gpu, "all" if len(desks) == len(told) > 1 else _named(desks), _cut(reason, WIDTH))
        for (name, verdict, gpu, reason), desks in found
    ]


def _rank(verdict: str) -> int:
    return -VERDICTS.index(verdict) if verdict in VERDICTS else 0


def _named(desks: Iterable[str]) -> str:
    names = list(desks)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
