# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the driver lock on the controller from the run's facts; execute the module only when something is to be done."""

from __future__ import annotations

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
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.lock_file import LockFile, LockFileError, read
from ..plugin_utils.run.model import Run


class ActionModule(DeskAction):
    """The module's options, and lock_file: a fleet lock file on the controller whose versions are wanted."""

    def work(self, call: Call) -> dict[str, Any]:
        """Plan, and execute the module where the plan is not empty."""
        name = call.desk
        arguments = {"desk": name, **call.only_named()}
        lock = self._lock_file(arguments.pop("lock_file", None), arguments)
        try:
            want = wanted(arguments)
        except (TypeError, ValueError) as error:
            raise AnsibleActionFail(f"driver_lock on {name}: {error}") from None
        facts = _facts_of_run(call)
        refusal = half_a_stack(want, call.known_run, name)
        if refusal is not None:
            return self.refused([refusal])
        plan: LockPlan | None = None
        if facts is not None:
            plan = driver_plan.plan(facts, want, name=name)
            if plan.blocked or not plan.steps:
                result = settled(plan)
                if lock is not None:
                    result["findings"] += [item.as_dict() for item in drift(facts, lock, name)]
                return result
        return self.execute("labops.dgx_spark.driver_lock", arguments, call)

    @staticmethod
    def _lock_file(path: Any, arguments: dict[str, Any]) -> LockFile | None:
        if not path:
            return None
        try:
            lock = read(Path(str(path)).expanduser())
        except LockFileError as error:
            raise AnsibleActionFail(f"the lock file cannot be used; nothing was changed: {error}") from None
        arguments.update(branch=lock.branch, versions=dict(lock.packages), level=lock_model.EXACT_LEVEL)
        return lock


def _facts_of_run(call: Call) -> Desk | None:
    """This run's facts. Facts of another run (a cache) are as good as none: then the module decides alone."""
    facts, run = call.facts, call.known_run
    if facts is None or (run is not None and facts.get("run_id") not in (None, run.run_id)):
        return None
    return from_dict(Desk, facts)


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


def half_a_stack(want: WantedLock, run: Run | None, name: str) -> Finding | None:
    """Why a lock may not be opened: the update that it is opened for must reach every desk of the stack. Pure."""
    stack = run.stack_of(name) if run is not None else None
    if want.state != lock_model.PAUSED or want.force or run is None or stack is None or not run.outside(stack):
        return None
    message = (
        f"{name}: the lock can only be opened for both desks of a pair together, and {', '.join(run.outside(stack))} is not in this run"
    )
    return finding("PAIR_INCOMPLETE", Where(pair=stack.name, desk=name), message)


def drift(desk: Desk, lock: LockFile, name: str) -> list[Finding]:
    """What still differs from the lock file (a kernel that waits for its reboot, another OTA level)."""
    return lock_file_drift(desk, lock.facts, lock.packages, Where(desk=name), lock.name)
