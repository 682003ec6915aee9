# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role used by itself, in a playbook that begins no run: what takes the run's place, what is said on the console, what fails the play.

Roles of one play learn from each other as the stages of a run do, from parts in Ansible's own temporary folder of this process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail

from ..module_utils.model.finding import verdict
from .report.figures import figures_of, headline
from .report.text import against
from .report.words import line
from .run.clock import utc
from .run.gate import changed_since_facts
from .run.inventory import InventoryError, members_of, stacks_of, view_of_inventory
from .run.model import Member, Run
from .run.stages import DESK, STAGES, Stage
from .run.store import DONE, Part, RunStore

ROLES = "labops.dgx_spark."
FACTS_ROLE = f"{ROLES}desk_facts"
FAILURE_KEYS = ("failed", "unreachable", "exception", "timedout")
"""What Ansible takes a result for a failed one by."""
LOUD = ("warn", "unknown", "fail")
FAILS_ON: Mapping[str, tuple[str, ...]] = {"": (), "fail": ("fail",), "unknown": ("fail", "unknown"), "never": ()}
"""Value of spark_fail_on to the severities that fail the play."""


def stage_of(task: Any) -> Stage | None:
    """The stage that a task of one of our roles is, by the role and the file that the task stands in. Null for any other task."""
    role = getattr(task, "_role", None)
    name = str(role.get_name()) if role is not None else ""
    if not name.startswith(ROLES):
        return None
    entry = Path(str(task.get_path()).rpartition(":")[0]).stem
    found = (stage for stage in STAGES.values() if stage.role == name.removeprefix(ROLES) and stage.entry == entry)
    return next((stage for stage in found if not stage.after_change), None)


def run_of_play(task_vars: Mapping[str, Any], needs_stacks: bool, check_mode: bool, forks: int) -> Run:
    """What a run knows, from the inventory alone. Hosts in none of our groups are desks in no stack.

    Raises AnsibleActionFail where stacks are needed and the inventory's cannot be used.
    """
    scope = [str(host) for host in task_vars.get("ansible_play_hosts_all") or [task_vars["inventory_hostname"]]]
    hostvars: Any = task_vars.get("hostvars") or {}
    addresses = {host: str((hostvars.get(host) or {}).get("ansible_host") or host) for host in scope}
    members = {host: Member(host, address) for host, address in addresses.items()}
    stacks = []
    try:
        view = view_of_inventory(hostvars._inventory, {host: {"ansible_host": address} for host, address in addresses.items()})
        if view.desks:
            stacks = stacks_of(view)
            members = {**members, **members_of(view, stacks, scope)}
    except InventoryError as error:
        if needs_stacks:
            raise AnsibleActionFail(f"the inventory cannot be used; no desk was touched: {error}") from None
    folder = Path(C.DEFAULT_LOCAL_TMP)
    return Run(
        f"play {folder.name}",
        str(folder / "dgx_spark"),
        utc(),
        "",
        check_mode,
        forks=forks,
        members=members,
        stacks=tuple(stacks),
    )


def fails(part: Part, fail_on: str) -> bool:
    """Whether the play fails on this desk: the task could not do its work, or found what the admin does not want."""
    if fail_on == "never":
        return False
    return part.state != DONE or part.elsewhere or any(item["severity"] in FAILS_ON[fail_on] for item in part.findings)


def hint(run: Run, store: RunStore, stage: Stage, part: Part) -> str:
    """The role to call first, where facts that a role needs are missing or older than a change. Empty where they are neither."""
    if FACTS_ROLE in str(part.reason) or (stage.scope == DESK and part.findings):
        return ""
    stack = run.stack_of(part.desk)
    desks = (part.desk, *(stack.others(part.desk) if stack is not None and stage.scope != DESK else ()))
    missing = [desk for desk in desks if store.part("facts", desk) is None]
    if missing:
        return f"Role {FACTS_ROLE} must have run before on {' and '.join(missing)}, in the same playbook."
    changed = (STAGES.get(name) for desk in desks for name in changed_since_facts(store, desk) if name != part.stage)
    roles = ", ".join(dict.fromkeys(item.role for item in changed if item is not None))
    return f"Role {FACTS_ROLE} must run again: {roles} changed a desk since." if roles else ""


def lines(part: Part, role: str, before: Iterable[Part], notes: bool, more: Iterable[str] = ()) -> list[str]:
    """What the admin reads of a role on one desk; ``more`` are words for its first line. What an earlier role told is not told again."""
    told = {(item["code"], item["message"]) for earlier in before if earlier.stage != part.stage for item in earlier.findings}
    shown = [item for item in part.findings if item["severity"] in LOUD or (notes and item["severity"] == "note")]
    fresh = [item for item in shown if (item["code"], item["message"]) not in told]
    quiet = sum(item["severity"] == "note" for item in part.findings if item not in shown)
    word = verdict(item["severity"] for item in part.findings)
    words = ["changed"] if part.changed else []
    if part.state == DONE:
        words.append("ok" if word == "PASS" else word)
    elif not fresh:
        words.append(f"not done: {line(part.reason)}")
    else:
        words.append(f"not done, {word}")
    words += ["reported above"] if len(fresh) < len(shown) else []
    words += [line(item) for item in more if item]
    words += [f"{quiet} note{'s' if quiet > 1 else ''} (spark_show_notes=true shows them)"] if quiet else []
    return [f"  {part.desk:16} {role}: {', '.join(words)}", *told_of(fresh)]


def told_of(findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Findings, each with what to do below it."""
    found = []
    for item in findings:
        found += [f"      {item['severity'].upper():7} {item['code']}: {line(item['message'])}", f"              -> {line(item['remedy'])}"]
    return found


def found_words(stage: Stage, answer: Mapping[str, Any], members: Iterable[str]) -> list[str]:
    """What a role found or did, in a few words beside its verdict."""
    facts = (answer.get("ansible_facts") or {}).get("spark") or {}
    system = answer.get("dgx_os") or facts.get("dgx_os") or {}
    words = [f"DGX OS {system['version']}"] if system.get("version") else []
    driver = (facts.get("driver") or {}).get("module_version")
    words += [f"driver {driver}"] if driver else []
    if stage.name in ("rdma", "nccl") and answer.get("measured"):
        figures = figures_of({"members": [{"desk": desk} for desk in members], stage.name: answer})
        chosen = headline(figures)[stage.name]
        words += [f"{against(item)} {item['unit']}" for item in figures if item["id"] == chosen]
    done = [str(item) for name in ("steps", "added", "removed", "changes", "reasons") for item in answer.get(name) or ()]
    words += ["; ".join(done[:4]) + (" ..." if len(done) > 4 else "")] if done else []
    return words


def result(part: Part, answer: Mapping[str, Any], failed: bool, hinted: str) -> dict[str, Any]:
    """The task's result: its answer, the verdict in one word, and ``failed`` as the admin wants it."""
    kept = {key: value for key, value in answer.items() if key not in FAILURE_KEYS}
    told = {**kept, "failed": failed, "changed": part.changed, "findings": [dict(item) for item in part.findings]}
    loud = [item for item in part.findings if item["severity"] in ("fail", "unknown")]
    # What was not done is never a pass.
    told["verdict"] = "UNKNOWN" if part.state != DONE and not loud else verdict(item["severity"] for item in part.findings)
    if failed and loud:
        told["msg"] = f"{part.desk}: {codes(loud)}, see above"
    elif part.state != DONE:
        told["msg"] = " ".join(text for text in (str(part.reason or answer.get("msg") or ""), hinted) if text)
    return told


def codes(findings: Iterable[Mapping[str, Any]]) -> str:
    """Codes with their severities, each once."""
    return ", ".join(dict.fromkeys(f"{item['code']} ({item['severity']})" for item in findings))
