# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the page of a run again, or one report of several runs, on the controller."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.history.judge import with_history
from ..plugin_utils.history.store import History, HistoryError
from ..plugin_utils.report.again import folder_of, merged_folder, names, report_of
from ..plugin_utils.report.merge import merged
from ..plugin_utils.report.read import ReportError
from ..plugin_utils.report.text import summary
from ..plugin_utils.report.versions import versions
from ..plugin_utils.report.write import Wishes, write


class ActionModule(DeskAction):
    """See the module documentation of report_again."""

    def work(self, call: Call) -> dict[str, Any]:
        """See the class."""
        base = Path.cwd() / Path(call.given["report_dir"]).expanduser()
        wanted = names(call.given["runs"])
        if not wanted:
            raise AnsibleActionFail(
                "name the run, or several: -e report_runs=last or -e report_runs=RUN,RUN (playbooks/history.yml lists them)"
            )
        now = datetime.datetime.now(datetime.UTC)
        try:
            folders = [folder_of(base, item) for item in wanted]
            read = [report_of(folder, versions()) for folder in folders]
        except ReportError as error:
            raise AnsibleActionFail(str(error)) from None
        several = len(read) > 1
        report, stands = read[0] if not several else (merged([item for item, _stands in read]), False)
        target = merged_folder(base, now) if several else folders[0]
        if call.given.get("to"):
            target, stands = Path.cwd() / Path(call.given["to"]).expanduser(), False
        if not stands:
            self._compare(report, base)
        lines = summary(report, str(target))
        self._display.display("\n" + "\n".join(lines))
        result: dict[str, Any] = {"changed": not self._task.check_mode, "path": str(target), "runs": [str(folder) for folder in folders]}
        if self._task.check_mode:
            return result
        if several and not call.given.get("to"):
            _make(target)
        written = write(target, report, lines, Wishes(certificates=False), again=stands)
        if written.problems:
            result.update(failed=True, msg=f"the report in {target} is incomplete: {'; '.join(written.problems)}")
        return result

    def _compare(self, report: dict[str, Any], base: Path) -> None:
        try:
            with_history(report, History(base), datetime.datetime.now().astimezone())
        except HistoryError as error:
            self._display.warning(f"{error}; the report says nothing about earlier runs")


def _make(folder: Path) -> None:
    """Make a folder of our own: in one of reports that somebody sent, a link may wait under its name. Raises AnsibleActionFail."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except OSError as error:
        raise AnsibleActionFail(
            f"{folder} cannot be made ({error.strerror}); run again, or name another folder with -e report_to=PATH"
        ) from None
