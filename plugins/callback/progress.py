# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: One line for each stage of each desk
version_added: 0.1.0
description:
  - Shows the plays, one line for each stage that ended on a desk with its findings, what changed, failures, and the recap.
  - With C(-v) or more, the task by task output of the default callback is shown as well.
  - Nothing that decides a verdict lives here.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - Set as stdout in configuration
author:
  - LabOps (@labops)
"""

from typing import Any

from ansible import constants as C
from ansible.plugins.callback.default import CallbackModule as Default
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.text import clean, line

RUN = "labops.dgx_spark.spark_run"
COLOURS = {"ok": C.COLOR_OK, "note": C.COLOR_OK, "warn": C.COLOR_WARN, "unknown": C.COLOR_UNREACHABLE, "fail": C.COLOR_ERROR}
ORDER = ("ok", "note", "warn", "unknown", "fail")


class CallbackModule(Default):
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "labops.dgx_spark.progress"

    def _quiet(self) -> bool:
        return self._display.verbosity < 1

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """The play's name as a headline."""
        if not self._quiet():
            super().v2_playbook_on_play_start(play)
            return
        self._play = play
        self._display.display(f"\n{play.get_name().strip()}", color=C.COLOR_HIGHLIGHT)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Tasks are named only when they have something to say."""
        if not self._quiet():
            super().v2_playbook_on_task_start(task, is_conditional)

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
        if not self._quiet():
            super().v2_runner_on_ok(result)
            return
        data = self._data(result)
        task, host = self._task(result), self._host(result)
        stage = data.get("stage")
        if isinstance(stage, dict) and "state" in stage:
            self._stage(host, stage, data)
        elif data.get("changed"):
            name = str(task.get_name()).rsplit(" : ", 1)[-1]
            self._display.display(f"  {host:16} changed: {name}", color=C.COLOR_CHANGED)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """One line; the stage's line and the report tell the rest."""
        if not self._quiet():
            super().v2_runner_on_failed(result, ignore_errors)
            return
        task, host, data = self._task(result), self._host(result), self._data(result)
        message = str(data.get("msg") or data.get("exception") or "failed")
        name = str(task.get_name()).rsplit(" : ", 1)[-1]
        text = clean(message if "\n" in message or task.action == RUN else message[:400])
        self._display.display(f"  {host:16} {name}: {text}", color=C.COLOR_ERROR)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """One line."""
        if not self._quiet():
            super().v2_runner_on_unreachable(result)
            return
        message = clean(" ".join(str(self._data(result).get("msg", "")).split())[:300])
        self._display.display(f"  {self._host(result):16} unreachable: {message}", color=C.COLOR_UNREACHABLE)

    def _stage(self, host: str, stage: dict[str, Any], data: dict[str, Any]) -> None:
        state, reason = stage.get("state"), line(str(stage.get("reason")))
        if state == "none":
            return
        findings = [item for item in data.get("findings") or [] if item.get("severity") in ("warn", "unknown", "fail")]
        worst = max((item["severity"] for item in findings), key=ORDER.index, default="ok")
        codes = ", ".join(dict.fromkeys(f"{item['code']} ({item['severity']})" for item in findings))
        words = {"done": codes or "ok", "skipped": f"skipped: {reason}", "failed": f"FAILED {codes or reason}"}
        colour = C.COLOR_SKIP if state == "skipped" else C.COLOR_ERROR if state == "failed" else COLOURS[worst]
        self._display.display(f"  {host:16} {stage.get('name'):12} {words.get(str(state), state)}", color=colour)

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
