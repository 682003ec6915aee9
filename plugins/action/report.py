# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the report of a run from its parts, on the controller: JSON, HTML, JUnit, Prometheus text, and the table on the terminal."""

from __future__ import annotations

import datetime
import json
from typing import Any

from ..plugin_utils import audit
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.cable_report import picture
from ..plugin_utils.report.build import bad_desks, build
from ..plugin_utils.report.html import html
from ..plugin_utils.report.junit import junit
from ..plugin_utils.report.prometheus import prometheus
from ..plugin_utils.report.text import summary
from ..plugin_utils.run_store import RunStore, write_atomically


class ActionModule(DeskAction):
    """Result: verdicts by pair and desk, guilty (desk to reason), path. Succeeds whatever the verdict is."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        plan = self.required_plan(task_vars)
        store = RunStore(plan["run_dir"])
        now = datetime.datetime.now(datetime.UTC)
        report = build(store.run(), store.everything(), f"{now:%Y-%m-%dT%H:%M:%SZ}")
        folder = store.run_dir
        write_atomically(folder / "report.json", json.dumps(report, indent=1, sort_keys=True, default=str))
        write_atomically(folder / "index.html", html(report, picture(report)))
        write_atomically(folder / "junit.xml", junit(report))
        write_atomically(folder / "metrics.prom", prometheus(report, now.timestamp()), mode=0o644)
        if report["run"]["playbook"] == "audit":
            write_atomically(folder / "audit.json", json.dumps(audit.rows(report), indent=1))
        lines = summary(report, str(folder))
        write_atomically(folder / "summary.txt", "\n".join(lines) + "\n")
        self._display.display("\n" + "\n".join(lines))
        result.update(
            changed=False,
            path=str(folder),
            pairs={pair["name"]: pair["verdict"] for pair in report["pairs"]},
            desks={desk["name"]: desk["verdict"] for desk in report["desks"]},
            guilty=bad_desks(report) if not report["run"]["check_mode"] else _failing(report),
        )
        return result


def _failing(report: dict[str, Any]) -> dict[str, str]:
    """In check mode a missing measurement is no failure; a failing finding still is."""
    return {desk: reason for desk, reason in bad_desks(report).items() if " is FAIL" in reason}
