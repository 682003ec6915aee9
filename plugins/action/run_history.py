# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a folder of reports, on the controller: list, compare, export, prune, rebuild."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.history.store import History, HistoryError, RunRow
from ..plugin_utils.history.tables import CSV_HEADER, ChoiceError, compared, csv_text, found, listed, outdated
from ..plugin_utils.report.again import names
from ..plugin_utils.report.read import ReportError, report_file
from ..plugin_utils.report.words import line
from ..plugin_utils.run.store import is_of_others, write_atomically


class ActionModule(DeskAction):
    """See the module documentation of run_history."""

    def work(self, call: Call) -> dict[str, Any]:
        """See the class."""
        base = Path.cwd() / Path(call.given["report_dir"]).expanduser()
        if not base.is_dir():
            raise AnsibleActionFail(f"{base} is not a report folder; set spark_report_dir to the one that your runs write to")
        try:
            changed, lines = self._do(History(base), call.given)
        except (HistoryError, ChoiceError, ReportError) as error:
            raise AnsibleActionFail(str(error)) from None
        except OSError as error:
            raise AnsibleActionFail(f"{error.filename or base}: {error.strerror}") from None
        self._display.display("\n" + "\n".join(lines))
        return {"changed": changed, "lines": lines}

    def _do(self, history: History, given: dict[str, Any]) -> tuple[bool, list[str]]:
        if given["rebuild"]:
            if self._task.check_mode:
                return True, [f"Would read {len(history.folders())} reports again."]
            count, problems = history.rebuild()
            return True, [f"{count} runs were read from their reports.", *(f"Left out: {problem}" for problem in problems)]
        for problem in history.sync():
            self._display.warning(f"left out: {problem}")
        runs = history.runs()
        if given.get("compare"):
            wanted = names(given["compare"])
            if len(wanted) != 2:
                raise ChoiceError(f"history_compare names {len(wanted)} runs; two were expected: -e history_compare=last-1,last")
            first, second = sorted((found(runs, item) for item in wanted), key=lambda row: row.started)
            return False, compared(history, first, second)
        if given.get("export"):
            return self._export(history, Path(given["export"]).expanduser(), len(runs))
        if given.get("prune"):
            gone = outdated(runs, given["prune"], datetime.datetime.now(datetime.UTC))
            return self._prune(history, gone, given["prune_reports"])
        limit = given["limit"]
        shown = runs[-limit:] if limit > 0 else runs
        lines = listed(shown) if runs else ["The history has no runs yet."]
        return False, lines + (
            [f"and {len(runs) - len(shown)} older runs (-e history_limit=0 lists all)"] if len(shown) < len(runs) else []
        )

    def _export(self, history: History, target: Path, runs: int) -> tuple[bool, list[str]]:
        if is_of_others(target, ",".join(CSV_HEADER)):
            raise AnsibleActionFail(f"{target} is there and was not written by an export, so it is left alone; name another file")
        if not self._task.check_mode:
            write_atomically(target, csv_text(history), mode=0o644)
        return True, [f"{'Would write' if self._task.check_mode else 'Wrote'} the figures of {runs} runs to {target}."]

    def _prune(self, history: History, gone: list[RunRow], reports: bool) -> tuple[bool, list[str]]:
        lines = [*listed(gone), ""] if gone else []
        if self._task.check_mode or not gone:
            return bool(gone), [*lines, f"{len(gone)} runs would be forgotten{' and their reports removed' if reports else ''}."]
        history.forget(row.id for row in gone)
        if not reports:
            return True, [*lines, f"{len(gone)} runs were forgotten; their reports stay (-e history_prune_reports=true removes them)."]
        # What is removed lies in the folder of reports, whatever a history that somebody sent calls it (``..``, or nothing at all).
        own = {folder.name: folder for folder in history.folders()}
        removed = [row for row in gone if row.folder in own and self._remove(own[row.folder], row)]
        return True, [*lines, f"{len(gone)} runs were forgotten, {len(removed)} folders of reports were removed."]

    def _remove(self, folder: Path, row: RunRow) -> bool:
        """Remove the folder of a run, after a look that it is one."""
        try:
            report, _digest = report_file(folder / "report.json")
        except ReportError:
            return False
        if report["run"]["id"] != row.id:
            self._display.warning(line(f"{folder} holds the report of another run and is left alone"))
            return False
        shutil.rmtree(folder)
        return True
