# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the driver lock on the controller from the run's facts; execute the module only when something is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.changes import driver_plan, lock_model
from ..module_utils.changes.driver_lock import view, wanted
from ..module_utils.changes.lock_model import LockPlan, WantedLock
from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.driver_lock import lock_file_drift
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Finding, Where
from ..plugin_utils.actions import DeskAction
from ..plugin_utils.lock_file import LockFile, LockFileError, read


class ActionModule(DeskAction):
    """The module's options, and lock_file: a fleet lock file on the controller whose versions are wanted."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        arguments = self.arguments()
        name = self.desk_name(task_vars)
        arguments.setdefault("desk", name)
        lock = self._lock_file(arguments.pop("lock_file", None), arguments)
        try:
            want = wanted(arguments)
        except (TypeError, ValueError) as error:
            raise AnsibleActionFail(f"driver_lock on {name}: {error}") from None
        facts = self._facts_of_run(task_vars)
        refusal = half_a_pair(want, self.plan(task_vars), name)
        if refusal is not None:
            result.update(failed=True, msg=refusal.message, findings=[refusal.as_dict()], changed=False)
            return result
        plan: LockPlan | None = None
        if facts is not None:
            plan = driver_plan.plan(facts, want, name=name)
            if plan.blocked or not plan.steps:
                result.update(settled(plan))
                if lock is not None:
                    result["findings"] += [item.as_dict() for item in drift(facts, lock, name)]
                return result
        result.update(self.execute("labops.dgx_spark.driver_lock", arguments, task_vars))
        return result

    def _facts_of_run(self, task_vars: Mapping[str, Any]) -> Desk | None:
        """This run's facts. Facts of another run (a cache) are as good as none: then the module decides alone."""
        facts, plan = self.facts(task_vars), self.plan(task_vars)
        if facts is None or (plan is not None and facts.get("run_id") not in (None, plan["run_id"])):
            return None
        desk: Desk = from_dict(Desk, facts)
        return desk

    def _lock_file(self, path: Any, arguments: dict[str, Any]) -> LockFile | None:
        if not path:
            return None
        try:
            lock = read(Path(str(path)).expanduser())
        except LockFileError as error:
            raise AnsibleActionFail(f"the lock file cannot be used; nothing was changed: {error}") from None
        arguments.update(branch=lock.branch, versions=dict(lock.packages), level=lock_model.EXACT_LEVEL)
        return lock


def settled(plan: LockPlan) -> dict[str, Any]:
    """The result when nothing is executed: nothing to do, or nothing allowed. Pure."""
    result: dict[str, Any] = {
        "changed": False,
        "steps": [],
        "before": view(plan.before),
        "after": view(plan.after),
        "findings": [item.as_dict() for item in plan.findings],
    }
    if plan.blocked:
        reasons = [item.message for item in plan.findings if item.severity in ("fail", "unknown")] or ["nothing may be changed"]
        result.update(failed=True, msg="; ".join(reasons))
    return result


def half_a_pair(want: WantedLock, run: Mapping[str, Any] | None, name: str) -> Finding | None:
    """Why a lock may not be opened: the update that it is opened for must reach both desks of the pair. Pure."""
    if want.state != lock_model.PAUSED or want.force or run is None:
        return None
    me = (run.get("desks") or {}).get(name) or {}
    peer = me.get("peer")
    if peer is None or run["desks"][peer].get("in_scope"):
        return None
    message = f"{name}: the lock is opened for both desks of a pair together, and {peer} is not in this run"
    return finding("PAIR_INCOMPLETE", Where(pair=me.get("pair"), desk=name), message)


def drift(desk: Desk, lock: LockFile, name: str) -> list[Finding]:
    """What still differs from the lock file (a kernel that waits for its reboot, another OTA level)."""
    return lock_file_drift(desk, lock.facts, lock.packages, Where(desk=name), lock.name)
