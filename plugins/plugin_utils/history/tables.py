# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history on a terminal and as CSV: the list of runs, two runs beside each other, every figure. Pure but for reading the history."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Sequence

from ..report.text import table
from ..report.words import duration, line, moment
from .state import differences
from .store import History, RunRow

COLUMNS = ("RUN", "STARTED", "PLAYBOOK", "VERDICT", "TOOK")
CSV_HEADER = ("run", "started", "playbook", "stack", "verdict", "figure", "title", "value", "unit", "mark")
WORTH_TELLING = 0.01
"""Share by which a figure must differ to be listed."""


class ChoiceError(ValueError):
    """What was asked for does not exist; the text says what does, in one line."""

    def __init__(self, text: str) -> None:
        super().__init__(line(text))


def found(runs: Sequence[RunRow], wanted: str) -> RunRow:
    """The run of an id, of a part of one that only it has, or ``last``, ``last-1`` and so on. Raises ChoiceError."""
    if not runs:
        raise ChoiceError("the history has no runs yet")
    if wanted.startswith("last"):
        back = wanted.removeprefix("last").removeprefix("-") or "0"
        if back.isascii() and back.isdecimal() and int(back) < len(runs):
            return runs[-1 - int(back)]
    hits = [row for row in runs if row.id == wanted] or [row for row in runs if wanted and wanted in row.id]
    if len(hits) == 1:
        return hits[0]
    known = ", ".join(row.id for row in (hits or runs)[-5:])
    raise ChoiceError(f"{wanted!r} is {'not a run' if not hits else f'{len(hits)} runs'}; " + (f"known runs are {known}" if known else ""))


def listed(runs: Iterable[RunRow]) -> list[str]:
    """One line a run, newest first."""
    rows = [
        (
            line(row.id),
            moment(row.started),
            line(row.playbook) + (" (check)" if row.check_mode else ""),
            row.verdict,
            duration(row.seconds),
        )
        for row in runs
    ]
    return table(COLUMNS, rows[::-1])


def compared(history: History, first: RunRow, second: RunRow) -> list[str]:
    """What differs from the first run to the second: verdicts, figures, desks."""
    lines = [f"{first.id} ({moment(first.started)}, {first.playbook}) and {second.id} ({moment(second.started)}, {second.playbook})"]
    figures: dict[str, dict[tuple[str, str], tuple[str, float, str]]] = {first.id: {}, second.id: {}}
    verdicts: dict[str, dict[str, str]] = {first.id: history.stack_verdicts(first.id), second.id: history.stack_verdicts(second.id)}
    for run, _started, _playbook, stack, _verdict, id_, title, value, unit, _mark in history.figures((first.id, second.id)):
        figures[run][(stack, id_)] = (title, value, unit)
    changed = [
        (line(stack), before, now)
        for stack, now in verdicts[second.id].items()
        if (before := verdicts[first.id].get(stack)) is not None and before != now
    ]
    lines += ["", "Verdicts:", *(f"  {stack}: {before} -> {now}" for stack, before, now in changed)] if changed else []
    moved = []
    for key, (title, now, unit) in figures[second.id].items():
        old = figures[first.id].get(key)
        if old is not None and old[1] and abs(now / old[1] - 1) >= WORTH_TELLING:
            moved.append(
                (
                    now / old[1] - 1,
                    f"  {line(key[0])}: {line(title)} {old[1]:.1f} -> {now:.1f} {line(unit)} ({100 * (now / old[1] - 1):+.1f} %)",
                )
            )
    lines += ["", "Figures (1 % and more):", *(text for _share, text in sorted(moved))] if moved else []
    desks = []
    for name in history.desks_of(second.id):
        rows = {row.run: row for row in history.desk_rows(name)}
        if first.id in rows and second.id in rows:
            told = [f"{item.title} {item.before} -> {item.now}" for item in differences(name, rows[first.id].state, rows[second.id].state)]
            if told:
                desks.append(f"  {line(name)}: {'; '.join(told)}")
    lines += ["", "Desks:", *desks] if desks else []
    if len(lines) == 1:
        lines += ["", "Nothing that both of them saw differs."]
    return lines


def csv_text(history: History) -> str:
    """Every figure of every run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for row in history.figures():
        writer.writerow([_cell(item) for item in row])
    return text.getvalue()


def outdated(runs: Sequence[RunRow], wanted: str, now: datetime.datetime) -> list[RunRow]:
    """Runs that ``wanted`` gives up: ``90`` or ``90d`` (older than that many days), or ``keep=20`` (all but the newest). Never the newest.

    Raises ChoiceError.
    """
    word = wanted.strip().lower()
    if word.startswith("keep="):
        count = _count(word.removeprefix("keep="), wanted)
        return list(runs[: max(0, len(runs) - max(1, count))])
    days = _count(word.removesuffix("d"), wanted)
    limit = (now.astimezone(datetime.UTC) - datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [row for row in runs[:-1] if row.started < limit]


def _count(text: str, wanted: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise ChoiceError(f"history_prune is {wanted!r}; a number of days (90 or 90d) or keep=20 was expected")
    return int(text)


def _cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, str):
        text = line(value)
        return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
    return "" if value is None else value
