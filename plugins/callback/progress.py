# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: What a run does, stack by stack
version_added: 1.0.0
description:
  - On a terminal, a live view with one line for each stack, its stage and time, and a bar for the whole run, estimated from earlier
    runs; findings appear above it as they are made. It is drawn with the Python package C(rich).
  - Without a terminal or C(rich), or with C(NO_COLOR), C(CI) or C(TERM=dumb) set, one line with the time for each stage that ended on a
    desk, with its findings, what changed, failures, and the recap.
  - With C(-v) or more, the task-by-task output of the default callback is shown as well.
  - An interrupted run still gets its report, from what its stages left. With another callback C(playbooks/report.yml) makes
    it.
  - Nothing that decides a verdict lives here.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - Set as stdout in configuration
  - rich (Python package) for the live view
author:
  - LabOps (@labops)
"""

import atexit
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.plugins.callback.default import CallbackModule as Default
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import SEVERITIES
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.text import clean

from ansible_collections.labops.dgx_spark.plugins.plugin_utils.history.store import History, HistoryError
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.progress_view import RunView
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.again import report_of
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.read import ReportError
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.text import summary
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.versions import versions
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.words import line
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.report.write import Wishes, write

try:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    HAS_RICH = True
except ImportError:
    HAS_RICH = False

RUN = "labops.dgx_spark.spark_run"
PROMPTS = ("pause", "ansible.builtin.pause", "labops.dgx_spark.pair_isolate")
COLOURS = {"ok": C.COLOR_OK, "note": C.COLOR_OK, "warn": C.COLOR_WARN, "unknown": C.COLOR_UNREACHABLE, "fail": C.COLOR_ERROR}
STYLES = {"ok": "green", "note": "green", "warn": "yellow", "unknown": "magenta", "fail": "red"}
TICK = 0.5
"""Seconds between two pictures of the live view."""


def wants_live(stream: Any, environment: Any, verbosity: int) -> bool:
    """Whether the live view suits: a terminal that a person looks at, and rich to draw with."""
    quiet = any(environment.get(name) for name in ("NO_COLOR", "CI", "ANSIBLE_NOCOLOR")) or environment.get("TERM", "dumb") == "dumb"
    return HAS_RICH and verbosity < 1 and not quiet and bool(getattr(stream, "isatty", lambda: False)())


class CallbackModule(Default):
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "labops.dgx_spark.progress"

    def __init__(self) -> None:
        super().__init__()
        self._view = RunView(time.monotonic())
        self._live: LiveView | None = None
        self._run_dir: str | None = None
        self._reported = False
        atexit.register(self._at_exit)

    def _quiet(self) -> bool:
        return self._display.verbosity < 1

    def _say(self, text: str, color: str | None = None) -> None:
        """One line with its time."""
        self._display.display(f"{time.strftime('%H:%M:%S')}  {text}", color=color)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """The play's name as a headline."""
        if not self._quiet():
            super().v2_playbook_on_play_start(play)
            return
        self._play = play
        self._display.display(f"\n{play.get_name().strip()}", color=C.COLOR_HIGHLIGHT)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Tasks are named only when they have something to say; a question of a task is never drawn over."""
        if not self._quiet():
            super().v2_playbook_on_task_start(task, is_conditional)
        elif self._live is not None:
            (self._live.stop if task.action in PROMPTS else self._live.start)()

    def v2_playbook_on_vars_prompt(self, *arguments: Any, **more: Any) -> None:
        """A question before a play."""
        if self._live is not None:
            self._live.stop()
        super().v2_playbook_on_vars_prompt(*arguments, **more)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A desk began something: which stage it belongs to is in the task."""
        if not self._quiet():
            super().v2_runner_on_start(host, task)
        stage = stage_of(task)
        if stage:
            self._view.begin(str(host.get_name()), stage, time.monotonic())

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Includes are noise."""
        if not self._quiet():
            super().v2_playbook_on_include(included_file)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Skipped tasks are noise."""
        if not self._quiet():
            super().v2_runner_on_skipped(result)

    def v2_runner_on_ok(self, result: Any) -> None:
        """A stage that ended, or a task of another kind that changed something."""
        data, task, host = self._data(result), self._task(result), self._host(result)
        if task.action == RUN and data.get("run_dir"):
            self._begin(data)
        elif task.action == RUN and "guilty" in data:
            self._reported = True
        if not self._quiet():
            super().v2_runner_on_ok(result)
            return
        stage = data.get("stage")
        if isinstance(stage, dict) and "state" in stage:
            self._stage(host, stage, data)
        elif data.get("changed"):
            name = str(task.get_name()).rsplit(" : ", 1)[-1]
            self._say(f"{host:16} changed: {name}", color=C.COLOR_CHANGED)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """One line; the stage's line and the report tell the rest."""
        if not self._quiet():
            super().v2_runner_on_failed(result, ignore_errors)
            return
        task, host, data = self._task(result), self._host(result), self._data(result)
        message = str(data.get("msg") or data.get("exception") or "failed")
        name = str(task.get_name()).rsplit(" : ", 1)[-1]
        # Only what the run itself says of the inventory has lines of its own.
        text = clean(message) if task.action == RUN else line(message[:400])
        self._say(f"{host:16} {name}: {text}", color=C.COLOR_ERROR)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """One line."""
        if not self._quiet():
            super().v2_runner_on_unreachable(result)
            return
        message = clean(" ".join(str(self._data(result).get("msg", "")).split())[:300])
        self._say(f"{self._host(result):16} unreachable: {message}", color=C.COLOR_UNREACHABLE)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The end: the view makes room for the recap."""
        self._run_dir = None
        if self._live is not None:
            self._live.close()
            self._live = None
        super().v2_playbook_on_stats(stats)

    def _begin(self, plan: dict[str, Any]) -> None:
        """The run has a plan: what earlier runs took, and the live view where one suits."""
        self._run_dir = str(plan.get("run_dir") or "") or None
        known: dict[str, float] = {}
        if self._run_dir:
            try:
                known = History(Path(self._run_dir).parent).stage_seconds(str(plan.get("playbook")))
            except HistoryError:
                known = {}
        self._view = RunView(time.monotonic(), known)
        self._view.plan(plan)
        if self._live is None and wants_live(sys.stdout, os.environ, self._display.verbosity):
            self._live = LiveView(sys.stdout)
        if self._live is not None:
            self._live.view = self._view
            self._live.start()

    def _stage(self, host: str, ended: dict[str, Any], data: dict[str, Any]) -> None:
        state, reason, stage = ended.get("state"), ended.get("reason"), str(ended.get("name"))
        listed = [item for item in data.get("findings") or [] if isinstance(item, dict)]
        took = self._view.end(host, stage, {str(item.get("code")): str(item.get("severity")) for item in listed}, time.monotonic())
        if state == "none":
            return
        findings = [item for item in listed if item.get("severity") in ("warn", "unknown", "fail")]
        worst = max((item["severity"] for item in findings), key=SEVERITIES.index, default="ok")
        codes = ", ".join(dict.fromkeys(f"{item['code']} ({item['severity']})" for item in findings))
        words = {"done": codes or "ok", "skipped": f"skipped: {reason}", "failed": f"FAILED {codes or reason}"}
        colour = C.COLOR_SKIP if state == "skipped" else C.COLOR_ERROR if state == "failed" else COLOURS[worst]
        if self._live is not None and state == "done" and not findings:
            return  # the view shows it; above it only what asks for something scrolls by
        time_ = f"  {took:.0f} s" if took is not None and state != "skipped" else ""
        self._say(f"{host:16} {stage:12} {line(words.get(str(state), state))}{time_}", color=colour)

    def _at_exit(self) -> None:
        """A run that did not come to its end: give the terminal back, and write the report of what there is."""
        if self._live is not None:
            self._live.close()
            self._live = None
        run_dir, self._run_dir = self._run_dir, None
        if not run_dir or self._reported:
            return
        folder = Path(run_dir)
        try:
            report, stands = report_of(folder, versions())
            if stands:
                return
            lines = summary(report, run_dir)
            self._display.display("\n" + "\n".join(lines))
            for problem in write(folder, report, lines, Wishes(certificates=False)).problems:
                self._display.display(f"The report is incomplete: {problem}", color=C.COLOR_ERROR)
        except (ReportError, OSError) as error:
            self._display.display(
                f"The run was interrupted and its report could not be made ({error}); playbooks/report.yml -e report_runs={folder.name} "
                "tries again",
                color=C.COLOR_ERROR,
            )

    # ansible-core 2.19 carries the parts of a result in private names, later versions in public ones.
    @staticmethod
    def _data(result: Any) -> dict[str, Any]:
        found = getattr(result, "result", None)
        return dict(found if isinstance(found, dict) else result._result)

    @staticmethod
    def _task(result: Any) -> Any:
        return getattr(result, "task", None) or result._task

    @staticmethod
    def _host(result: Any) -> str:
        return str((getattr(result, "host", None) or result._host).get_name())


def stage_of(task: Any) -> str:
    """The stage that a task belongs to (the variable ``spark_stage`` of its role), empty when to none."""
    stage = (task.get_vars() or {}).get("spark_stage")
    return stage if isinstance(stage, str) and "{{" not in stage else ""


class LiveView:
    """Draws a RunView in place, twice a second, below everything that is printed meanwhile."""

    def __init__(self, stream: Any) -> None:
        self.view = RunView(time.monotonic())
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._live: Any = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._tick, name="progress", daemon=True)
        self._thread.start()

    def start(self) -> None:
        """Draw (again)."""
        with self._lock:
            if self._live is None and not self._stop.is_set():
                # What others print goes through rich, so that it lands above the view.
                self._live = Live(self._picture(), console=self._console, auto_refresh=False, transient=True, redirect_stderr=True)
                self._live.start()

    def stop(self) -> None:
        """Take the view away, for a question or for the end."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def close(self) -> None:
        """Stop for good."""
        self._stop.set()
        self.stop()
        self._thread.join(2.0)

    def _tick(self) -> None:
        while not self._stop.wait(TICK):
            with self._lock:
                if self._live is not None:
                    self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Any:
        now = time.monotonic()
        table = Table.grid(padding=(0, 2))
        for name, stage, seconds, worst, codes in self.view.rows(now, max(3, self._console.height - 6)):
            table.add_row(Text(name, style="bold"), Text(stage), Text(seconds, justify="right"), Text(codes, style=STYLES.get(worst, "")))
        share = self.view.share(now)
        told = Text(self.view.told(now), style="dim")
        parts: list[Any] = [Text(""), table]
        if share is not None:
            progress = Table.grid()
            progress.add_row(ProgressBar(total=1.0, completed=min(share, 0.99), width=min(60, self._console.width)))
            parts.append(progress)
        return Group(*parts, told)
