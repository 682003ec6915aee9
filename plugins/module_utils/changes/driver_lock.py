# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver lock from beginning to end: read the desk, plan, apply, read again. What the module driver_lock runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..desk import WritableDesk
from ..judges.catalogue import finding
from ..model.data import as_dict
from ..model.desk import Desk
from ..model.finding import Finding, Where
from . import apt_preferences, driver_plan, lock_model
from .apt_preferences import CUDA_ARCHIVE
from .apt_runner import Limits
from .driver_apply import Applier
from .driver_group import BRANCH
from .lock_model import LockPlan, LockView, WantedLock

TURNS = 4
"""Times that a desk is planned at most: packages are mended, then locked, then checked."""

ASKING = (lock_model.RECORD, lock_model.VERIFY, lock_model.SETTLE)
"""Steps that change nothing but the lock's own record."""

SUBSETS = ("identity", "dgx_os", "kernel", "driver", "apt", "busy", "setup")
"""Parts of the facts that the plan rests on."""


def wanted(arguments: Mapping[str, Any]) -> WantedLock:
    """What is wanted, from the module's options. Raises ValueError for a value that cannot be (the text names the option)."""
    branch = int(arguments.get("branch") or BRANCH)
    if not 100 <= branch <= 999:
        raise ValueError(f"branch is {branch}; a driver branch of three digits, such as {BRANCH}, was expected")
    archives = {}
    for option, default in (("refused_archives", [CUDA_ARCHIVE]), ("trusted_archives", [])):
        given = arguments.get(option)
        archives[option] = tuple(str(item) for item in (default if given is None else given))
        for item in archives[option]:
            if not item.startswith(("release ", "origin ")) or "\n" in item:
                raise ValueError(f"{option} has {item!r}; an apt_preferences expression such as 'release l=NVIDIA CUDA' was expected")
    versions = {str(name): str(version) for name, version in (arguments.get("versions") or {}).items()}
    for name, version in versions.items():
        if any(character.isspace() for character in name + version) or not name or not version:
            raise ValueError(f"versions has {name!r}: {version!r}; a package and its version were expected")
    return WantedLock(
        state=str(arguments.get("state") or lock_model.PRESENT),
        branch=branch,
        level=str(arguments.get("level") or lock_model.BRANCH_LEVEL),
        versions=versions,
        refused_archives=archives["refused_archives"],
        trusted_archives=archives["trusted_archives"],
        repair=str(arguments.get("repair") or lock_model.IF_NEEDED),
        **{
            option: default if arguments.get(option) is None else bool(arguments[option])
            for option, default in (
                ("protect_platform", True),
                ("keep_debs", True),
                ("retry_debs", False),
                ("accept", False),
                ("allow_downgrade", False),
                ("roll_back", False),
                ("force", False),
            )
        },
    )


def run(
    desk: WritableDesk,
    want: WantedLock,
    observe: Callable[[], Desk],
    *,
    name: str | None = None,
    limits: Limits | None = None,
    check_mode: bool = False,
) -> dict[str, Any]:
    """Bring the desk to ``want`` and say what was done: see the return values of the module driver_lock.

    ``observe`` reads the facts that the plan rests on (`SUBSETS`): before the change and after it.

    Never raises for what the desk answers: a failure is ``failed`` with a finding.
    """
    facts = observe()
    where = Where(desk=name or facts.identity.hostname)
    applier = Applier(desk, where, want, limits, check_mode)
    outcome = applier.outcome
    plan = first = _plan(desk, facts, want, name)
    for turn in range(TURNS):
        if plan.blocked:
            outcome.failed = True
        if plan.blocked or not plan.steps:
            break
        if turn and not outcome.replan:
            kinds = ", ".join(item for item in plan.kinds() if item not in ASKING)
            # Without such kinds it is a conflict that only the admin can end: apt is asked about it in every run.
            if kinds:
                message = f"{where.subject}: the lock did not hold: right after it was set, {kinds} would have to be done again"
                outcome.fail(finding("APT_FAILED", where, message, evidence={"steps": [item.title for item in plan.steps]}))
            break
        # What apt could not mend a moment ago it cannot mend now; the lock itself is still worth setting.
        want = replace(want, retry_debs=want.retry_debs and not turn, repair=lock_model.NEVER if outcome.replan else want.repair)
        if outcome.replan:
            applier.want, outcome.replan = want, False
            plan = _plan(desk, facts, want, name)
            if plan.blocked or not plan.steps:
                outcome.failed = outcome.failed or plan.blocked
                break
        applier.apply(plan)
        if outcome.failed or check_mode:
            break
        want = replace(want, retry_debs=False, accept=False)
        facts = observe()
        plan = _plan(desk, facts, want, name)
    now = _plan(desk, observe(), want, name) if outcome.failed and outcome.changed and not check_mode else plan
    return result_of(first, applier, plan.findings, now.before if outcome.changed and not check_mode else first.after)


def _plan(desk: WritableDesk, facts: Desk, want: WantedLock, name: str | None) -> LockPlan:
    return driver_plan.plan(facts, want, name=name, preferences_now=desk.read_text(apt_preferences.PATH).text)


def result_of(plan: LockPlan, applier: Applier, standing: Sequence[Finding], after: LockView) -> dict[str, Any]:
    """The module's result. ``after`` is what the desk really is, or in check mode what it would be."""
    outcome = applier.outcome
    # What a step said and the standing record repeats is told once.
    findings = list(outcome.findings)
    told = {item.code for item in findings}
    findings += [item for item in standing if item.code not in told]
    result = {
        "changed": outcome.changed,
        "steps": [item.title for item in plan.steps],
        "done": outcome.done,
        "commands": outcome.commands,
        "before": view(plan.before),
        "after": view(after),
        "findings": [item.as_dict() for item in findings],
        "diff": {
            "before": plan.before.text(),
            "after": after.text(),
            "before_header": "driver lock",
            "after_header": "driver lock",
        },
    }
    if outcome.failed:
        worst = next((item for item in reversed(findings) if item.severity in ("fail", "unknown")), findings[-1] if findings else None)
        result["failed"] = True
        result["msg"] = worst.message if worst else "the driver lock failed"
    return result


def view(lock: LockView) -> dict[str, Any]:
    """One side of the difference as plain data."""
    data: dict[str, Any] = as_dict(lock)
    return data
