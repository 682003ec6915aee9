# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runs of a lab in one SQLite file beside their reports.

It holds nothing that is not in a report.json, so it can be made again at any time; a run that another controller wrote is taken in as soon
as its report is seen. Several controllers may write at once: each change is one transaction, and taking a run in twice changes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...module_utils.model.finding import VERDICT_OF_SEVERITY
from ...module_utils.model.history import Carrier, Past
from ..report.build import stacks_of
from ..report.read import ReportError, report_file
from ..report.timing import seconds_between
from ..report.words import number, plain, scrubbed
from .state import counts_of, states_of

FILE = "history.sqlite"
VERSION = 1
PATIENCE = 30.0
"""Seconds to wait for another controller's transaction."""

TABLES = """
CREATE TABLE runs (id TEXT PRIMARY KEY, started TEXT NOT NULL, finished TEXT NOT NULL, seconds REAL, playbook TEXT NOT NULL,
    check_mode INTEGER NOT NULL, verdict TEXT NOT NULL, folder TEXT NOT NULL, sha256 TEXT NOT NULL, versions TEXT NOT NULL,
    stages TEXT NOT NULL);
CREATE TABLE stacks (run TEXT NOT NULL, name TEXT NOT NULL, verdict TEXT NOT NULL, judged INTEGER NOT NULL, members TEXT NOT NULL,
    PRIMARY KEY (run, name));
CREATE TABLE figures (run TEXT NOT NULL, stack TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, value REAL NOT NULL,
    unit TEXT NOT NULL,    mark REAL, PRIMARY KEY (run, stack, id));
CREATE TABLE desks (run TEXT NOT NULL, name TEXT NOT NULL, verdict TEXT NOT NULL, stack TEXT, state TEXT NOT NULL, boot_id TEXT,
    counts TEXT NOT NULL, settled INTEGER NOT NULL, PRIMARY KEY (run, name));
CREATE TABLE findings (run TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT NOT NULL, code TEXT NOT NULL, severity TEXT NOT NULL,
    message TEXT NOT NULL);
CREATE TABLE pruned (id TEXT PRIMARY KEY);
CREATE INDEX figures_of_stack ON figures (stack, id);
CREATE INDEX desks_by_name ON desks (name);
CREATE INDEX findings_of_run ON findings (run);
"""
NAMES = ("runs", "stacks", "figures", "desks", "findings", "pruned")
JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""What a journal of SQLite begins with, and its end where it names a file."""
STATEMENTS = tuple(text.strip() for text in TABLES.split(";") if text.strip())


class HistoryError(Exception):
    """The history cannot be used now; the text says why in one line. Reports are not touched by that."""


@dataclass(frozen=True)
class RunRow:
    """One remembered run."""

    id: str
    started: str
    finished: str
    seconds: float | None
    playbook: str
    check_mode: bool
    verdict: str
    folder: str
    """Name of its folder beside the history."""
    stages: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeskRow:
    """What one run saw of one desk."""

    run: str
    started: str
    name: str
    verdict: str
    stack: str | None
    state: Mapping[str, str]
    carrier: Carrier
    settled: bool


class History:
    """The history of one folder of reports."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.path = base / FILE

    # ---- taking runs in ----------------------------------------------------------------------------------------------

    def sync(self) -> list[str]:
        """Take in every report of the folder that is not known yet; gives a sentence for each that cannot be read."""
        problems = []
        with self._open(write=True) as database:
            known = {row[0] for row in database.execute("SELECT folder FROM runs")}
            pruned = {row[0] for row in database.execute("SELECT id FROM pruned")}
        for folder in self.folders():
            if folder.name in known or folder.name in pruned:
                continue
            try:
                report, digest = report_file(folder / "report.json")
            except ReportError as error:
                problems.append(str(error))
                continue
            if report["run"]["id"] not in pruned:
                self.add(report, digest, folder.name)
        return problems

    def add(self, report: Mapping[str, Any], sha256: str, folder: str) -> None:
        """Take one run in; one that is known already is replaced by what its report says now."""
        with self._open(write=True) as database, _transaction(database):
            _insert(database, report, sha256, folder)

    def rebuild(self) -> tuple[int, list[str]]:
        """Forget everything and read every report again; gives the number of runs and a sentence for each report that cannot be read."""
        with self._open(write=True) as database, _transaction(database):
            for name in NAMES:
                database.execute(f"DELETE FROM {name}")
        problems = self.sync()
        return len(self.runs()), problems

    def forget(self, runs: Iterable[str]) -> int:
        """Forget runs for good, also when their reports stay; gives how many were known."""
        count = 0
        with self._open(write=True) as database, _transaction(database):
            for run in runs:
                count += _delete(database, run)
                database.execute("INSERT OR IGNORE INTO pruned VALUES (?)", (run,))
        return count

    # ---- asking --------------------------------------------------------------------------------------------------------

    def runs(self) -> list[RunRow]:
        """All runs, oldest first."""
        with self._open() as database:
            found = _rows(
                database.execute(
                    "SELECT id, started, finished, seconds, playbook, check_mode, verdict, folder, stages, versions "
                    "FROM runs ORDER BY started, id"
                ),
                "tttNtnttjj",
            )
        return [
            RunRow(row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6], row[7], tuple(_stages(row[8])), _texts(row[9]))
            for row in found
        ]

    def past(self, stack: str, members: Sequence[str], figure: str, before: str, limit: int = 30) -> tuple[Past, ...]:
        """A figure of a stack with the same members in runs before a time, oldest first, the last ``limit`` of them."""
        with self._open() as database:
            cursor = database.execute(
                "SELECT runs.id, runs.started, figures.value FROM figures JOIN runs ON runs.id = figures.run "
                "JOIN stacks ON stacks.run = figures.run AND stacks.name = figures.stack "
                "WHERE figures.stack = ? AND figures.id = ? AND stacks.members = ? AND runs.started < ? AND runs.check_mode = 0 "
                "ORDER BY runs.started DESC, runs.id DESC LIMIT ?",
                (stack, figure, _members(members), before, limit),
            )
            return tuple(Past(*row) for row in reversed(_rows(cursor, "ttn")))

    def stack_runs(self, stack: str, members: Sequence[str], before: str, limit: int) -> list[tuple[str, str, str, dict[str, float]]]:
        """Runs that measured a stack: id, started, verdict, figures by id; oldest first."""
        with self._open() as database:
            cursor = database.execute(
                "SELECT runs.id, runs.started, stacks.verdict FROM stacks JOIN runs ON runs.id = stacks.run WHERE stacks.name = ? "
                "AND stacks.members = ? AND runs.started < ? AND runs.check_mode = 0 AND EXISTS "
                "(SELECT 1 FROM figures WHERE figures.run = runs.id AND figures.stack = stacks.name) "
                "ORDER BY runs.started DESC, runs.id DESC LIMIT ?",
                (stack, _members(members), before, limit),
            )
            found = []
            for run, started, verdict in reversed(_rows(cursor, "ttt")):
                values = _rows(database.execute("SELECT id, value FROM figures WHERE run = ? AND stack = ?", (run, stack)), "tn")
                found.append((run, started, verdict, dict(values)))
        return found

    def desk_rows(self, desk: str, before: str | None = None) -> list[DeskRow]:
        """What runs saw of a desk that answered, oldest first."""
        with self._open() as database:
            cursor = database.execute(
                "SELECT runs.id, runs.started, desks.name, desks.verdict, desks.stack, desks.state, desks.boot_id, desks.counts, "
                "desks.settled FROM desks JOIN runs ON runs.id = desks.run WHERE desks.name = ? AND desks.state != '{}' "
                "AND (? IS NULL OR runs.started < ?) ORDER BY runs.started, runs.id",
                (desk, before, before),
            )
            return [
                DeskRow(
                    row[0],
                    row[1],
                    row[2],
                    row[3],
                    row[4],
                    _texts(row[5]),
                    Carrier(row[0], row[1], row[6], _counts(row[7])),
                    bool(row[8]),
                )
                for row in _rows(cursor, "ttttTjTjn")
            ]

    def figures(self, runs: Sequence[str] = ()) -> list[tuple[str, str, str, str, str, str, str, float, str, float | None]]:
        """Figures of some runs (of all without a choice): run, started, playbook, stack, verdict, id, title, value, unit, mark."""
        chosen = f"WHERE runs.id IN ({', '.join('?' * len(runs))}) " if runs else ""
        with self._open() as database:
            cursor = database.execute(
                "SELECT runs.id, runs.started, runs.playbook, figures.stack, stacks.verdict, figures.id, figures.title, figures.value, "
                "figures.unit, figures.mark FROM figures JOIN runs ON runs.id = figures.run "
                f"JOIN stacks ON stacks.run = figures.run AND stacks.name = figures.stack {chosen}"
                "ORDER BY runs.started, runs.id, figures.stack, figures.id",
                tuple(runs),
            )
            return _rows(cursor, "tttttttntN")

    def stack_verdicts(self, run: str) -> dict[str, str]:
        """Each stack's verdict in a run."""
        with self._open() as database:
            return dict(_rows(database.execute("SELECT name, verdict FROM stacks WHERE run = ? ORDER BY name", (run,)), "tt"))

    def desks_of(self, run: str) -> list[str]:
        """The desks of a run."""
        with self._open() as database:
            return [row[0] for row in _rows(database.execute("SELECT name FROM desks WHERE run = ? ORDER BY name", (run,)), "t")]

    def stage_seconds(self, playbook: str, limit: int = 5) -> dict[str, float]:
        """What each stage of a playbook took in the last runs (the median), in the order of the newest run."""
        rows = [row for row in self.runs() if row.playbook == playbook and not row.check_mode and row.stages][-limit:]
        times: dict[str, list[float]] = {}
        for row in reversed(rows):
            for item in row.stages:
                times.setdefault(str(item["stage"]), []).append(float(item["seconds"]))
        return {stage: sorted(listed)[len(listed) // 2] for stage, listed in times.items()}

    # ---- below -----------------------------------------------------------------------------------------------------------

    def folders(self) -> list[Path]:
        """Folders of runs that have a report."""
        try:
            return sorted(item for item in self.base.iterdir() if not item.is_symlink() and (item / "report.json").is_file())
        except OSError:
            return []

    @contextlib.contextmanager
    def _open(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection to a history that is whole; one that is damaged or of another version is made anew."""
        try:
            database = self._connect()
        except sqlite3.DatabaseError as error:
            raise HistoryError(f"the history {self.path} cannot be opened: {error}") from None
        except OSError as error:
            raise HistoryError(f"the history {self.path} cannot be opened: {error.strerror}") from None
        try:
            yield database
        except sqlite3.DatabaseError as error:
            raise HistoryError(f"the history {self.path} cannot be {'written' if write else 'read'}: {error}") from None
        finally:
            database.close()

    def _connect(self) -> sqlite3.Connection:
        for attempt in (1, 2):
            self._prepare()
            database = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
            try:
                if self._journal_is_foreign():
                    raise sqlite3.DatabaseError("its journal is of another program")
                if not _is_whole(database):
                    with _transaction(database):
                        # Another controller may have been faster.
                        if not _is_whole(database):
                            _create(database)
                return database
            except sqlite3.OperationalError:
                database.close()
                raise
            except sqlite3.DatabaseError:
                database.close()
                if attempt == 2:
                    raise
                # No history of ours (torn by a full disk, written over, of another version): what it held is in the reports.
                self.path.replace(self.path.with_name(f"{FILE}.damaged"))
                self._journal.unlink(missing_ok=True)
        raise AssertionError("unreachable")

    @property
    def _journal(self) -> Path:
        return self.path.with_name(f"{FILE}-journal")

    def _prepare(self) -> None:
        """Make the file where there is none: like the reports, for the admin. Who may read it may also hold its locks. Raises OSError."""
        try:
            if not stat.S_ISREG(os.lstat(self.path).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
        except FileNotFoundError:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o660))

    def _journal_is_foreign(self) -> bool:
        """Whether a journal beside it names a file at its end, which SQLite would remove once it has played the journal back.

        SQLite writes such a name where one transaction changes several databases, so none of ours has it.
        """
        try:
            descriptor = os.open(self._journal, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return True
            file.seek(-min(len(JOURNAL), os.fstat(descriptor).st_size), os.SEEK_END)
            return file.read() == JOURNAL


def _is_whole(database: sqlite3.Connection) -> bool:
    """Whether it has our tables; false where there is nothing yet. Raises DatabaseError for anything else: a view or a trigger of a file
    that somebody sent would work at our questions, without end if it likes."""
    found = {row[0] for row in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    if found and (found != set(STATEMENTS) or database.execute("PRAGMA user_version").fetchone()[0] != VERSION):
        raise sqlite3.DatabaseError("it is not a history of this version")
    return bool(found)


def _create(database: sqlite3.Connection) -> None:
    for statement in STATEMENTS:
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {VERSION}")


def _rows(cursor: Iterable[tuple[Any, ...]], kinds: str) -> list[Any]:
    """The rows that hold what their columns are for: to SQLite any value does in any column, and the file may be another's.

    ``kinds``: a letter for each column, t for text, n for a number (in capitals: or nothing), j for JSON.
    """
    return [
        tuple(_json(value) if kind == "j" else plain(value) if kind == "t" else value for value, kind in zip(row, kinds, strict=True))
        for row in cursor
        if all(map(_fits, row, kinds))
    ]


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, (int, float)):
        return kind in "nN" and number(value) is not None
    return kind in "tTj" if isinstance(value, str) else value is None and kind in "TN"


def _json(text: str) -> Any:
    try:
        return scrubbed(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _counts(value: Any) -> dict[str, int]:
    return {key: item for key, item in value.items() if isinstance(item, int)} if isinstance(value, Mapping) else {}


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _delete(database: sqlite3.Connection, run: str) -> int:
    for name in ("stacks", "figures", "desks", "findings"):
        database.execute(f"DELETE FROM {name} WHERE run = ?", (run,))
    return database.execute("DELETE FROM runs WHERE id = ?", (run,)).rowcount


def _insert(database: sqlite3.Connection, report: Mapping[str, Any], sha256: str, folder: str) -> None:
    run = report["run"]
    name = run["id"]
    _delete(database, name)
    seconds = seconds_between(run["started"], run["finished"])
    database.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name, run["started"], run["finished"], seconds, run["playbook"], int(run["check_mode"]), overall(report), folder, sha256,
            json.dumps(_texts(run.get("versions"))), json.dumps([] if run.get("interrupted") else _stages(run.get("stages"))),
        ),
    )  # fmt: skip
    for stack in stacks_of(report):
        members = [str(member["desk"]) for member in stack["members"]]
        database.execute(
            "INSERT OR REPLACE INTO stacks VALUES (?, ?, ?, ?, ?)",
            (name, stack["name"], stack["verdict"], int(stack.get("judged", True)), _members(members)),
        )
        measured = any(isinstance(stack.get(kind), Mapping) and stack[kind].get("measured") for kind in ("rdma", "nccl"))
        for item in stack.get("figures") or () if measured else ():
            # SQLite holds no whole number of 64 bits.
            value, against = number(item["value"]), number(item["mark"]["value"]) if item.get("mark") else None
            database.execute(
                "INSERT OR REPLACE INTO figures VALUES (?, ?, ?, ?, ?, ?, ?)",
                (name, stack["name"], item["id"], item["title"], value, item["unit"], against),
            )
    states = states_of(report)
    for desk in report["desks"]:
        facts = desk.get("facts") or {}
        boot = (facts.get("identity") or {}).get("boot_id") if isinstance(facts.get("identity"), Mapping) else None
        database.execute(
            "INSERT OR REPLACE INTO desks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                name, desk["name"], desk["verdict"], desk.get("pair"), json.dumps(states.get(desk["name"]) or {}),
                boot if isinstance(boot, str) else None, json.dumps(counts_of(facts)), int(bool(desk.get("settled"))),
            ),
        )  # fmt: skip
    for kind, owners in (("stack", report["pairs"]), ("desk", report["desks"])):
        for owner in owners:
            for item in owner["findings"]:
                if item["severity"] != "ok":
                    row = (name, kind, owner["name"], item["code"], item["severity"], item["message"][:1000])
                    database.execute("INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?)", row)


def overall(report: Mapping[str, Any]) -> str:
    """The worst verdict of the desks and judged stacks of a report."""
    order = list(VERDICT_OF_SEVERITY.values())
    verdicts = [desk["verdict"] for desk in report["desks"] if not desk.get("out_of_service")]
    verdicts += [
        pair["verdict"] for pair in report["pairs"] if not pair.get("out_of_service") and (pair["judged"] or pair["verdict"] != "UNKNOWN")
    ]
    return max(verdicts, key=order.index, default="PASS")


def _members(members: Sequence[str]) -> str:
    return json.dumps(sorted(members))


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(item) for key, item in value.items()} if isinstance(value, Mapping) else {}


def _stages(value: Any) -> list[dict[str, Any]]:
    found = []
    for item in value if isinstance(value, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("seconds"), (int, float)) and item.get("stage"):
            found.append({"stage": str(item["stage"]), "seconds": item["seconds"]})
    return found


def last_counts(rows: Iterable[DeskRow]) -> Carrier | None:
    """The newest counts that hold: read after the last change of a link, with the start-up that they belong to."""
    whole = [row for row in rows if row.settled and row.carrier.counts and row.carrier.boot_id]
    return whole[-1].carrier if whole else None
