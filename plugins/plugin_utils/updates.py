# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of an update for all desks of a run: which stacks have something to do, whether they would end at one version, one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.judges.update import judge_together
from .audit import by_desk
from .report.text import WIDTH, table
from .report.words import line
from .run.clock import utc_precise
from .run.model import Run
from .run.store import DONE, Part, RunStore

STAGE = "update_targets"
COLUMNS = ("DESK", "STACK", "LEVEL", "NOW -> AFTERWARDS")


def judge_updates(run: Run, store: RunStore) -> tuple[list[str], list[dict[str, Any]]]:
    """The plan in lines, and findings about desks that would part. Every desk gets a part that says whether there is something to do."""
    plans = {name: part for name, part in store.parts("update_plan").items() if part.state == DONE}
    units = {stack.name: stack.members for stack in run.stacks if run.in_scope(stack)}
    versions = {name: dict(plan.data.get("versions") or {}) for name, plan in plans.items() if not plan.data.get("refused")}
    found = judge_together(units, versions)
    now = utc_precise()
    for name, listed in by_desk(run, found).items():
        stack = run.stack_of(name)
        own = tuple(item.as_dict() for item in listed)
        data = {"todo": to_do(plans, stack.members if stack is not None else (name,))}
        store.write(Part(STAGE, name, DONE, run.members[name].stack, None, now, now, False, own, data))
    return plan_lines(run, plans), [item.as_dict() for item in found]


def to_do(plans: Mapping[str, Part], members: tuple[str, ...]) -> bool:
    """Whether a stack is to be updated: there is something to do for a member, and every member may."""
    listed = [plans.get(name) for name in members]
    if any(plan is None or plan.data.get("refused") for plan in listed):
        return False
    return any(plan is not None and plan.data.get("todo") for plan in listed)


def plan_lines(run: Run, plans: Mapping[str, Part]) -> list[str]:
    """One row for each level that would change."""
    rows = []
    for name in run.scope:
        plan, stack = plans.get(name), run.members[name].stack or ""
        if plan is None:
            rows.append((line(name), line(stack), "not examined", ""))
            continue
        moving = [(key, value) for key, value in (plan.data.get("levels") or {}).items() if "->" in str(value)]
        count = len((plan.data.get("look") or {}).get("changes") or ())
        if plan.data.get("refused"):
            codes = sorted({str(item["code"]) for item in plan.findings if item.get("severity") in ("fail", "unknown")})
            rows.append((line(name), line(stack), "refused", ", ".join(codes)))
        elif not plan.data.get("todo"):
            rows.append((line(name), line(stack), "nothing to do", ""))
        else:
            rows.append((line(name), line(stack), "packages", str(count)))
        rows += [("", "", line(key), line(value)) for key, value in moving]
    return table(COLUMNS, rows, WIDTH)
