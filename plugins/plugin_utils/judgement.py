# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one judgement of a desk's facts, for roles that repair a part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.missing import EXPLAINED_BY
from ..module_utils.model.finding import Where
from .actions import Call

REGISTERED = "desk_facts_result"
"""As which role desk_facts registers its result: where a playbook composes roles without a run."""


def judged(call: Call, codes: frozenset[str], needed: Sequence[str], what: str) -> list[dict[str, Any]]:
    """The findings with one of ``codes`` that the judge of the facts made; FACTS_INCOMPLETE when a fact in ``needed`` has no value.

    Raises AnsibleActionFail when the desk's facts were not judged before.
    """
    findings = _all(call)
    own = [dict(item) for item in findings if item["code"] in codes]
    explained = tuple(prefix for item in findings for prefix in EXPLAINED_BY.get(str(item["code"]), ()))
    facts = call.facts or {}
    unread = facts.get("unread") or {}
    missing = {
        path: str(unread.get(path) or "the facts of this run do not include it")
        for path in needed
        if _fact(facts, path) is None and not path.startswith(explained)
    }
    if missing and not own:
        message = f"{call.desk}: {what} is not known: {'; '.join(f'{path} ({reason})' for path, reason in missing.items())}"
        own.append(finding("FACTS_INCOMPLETE", Where(desk=call.desk), message, evidence=missing, severity="unknown").as_dict())
    return own


def _fact(facts: Mapping[str, Any], path: str) -> Any:
    group, _dot, key = path.partition(".")
    return (facts.get(group) or {}).get(key)


def _all(call: Call) -> list[Mapping[str, Any]]:
    part = call.store.part("facts", call.desk) if call.known_run else None
    if part is not None:
        return list(part.findings)
    registered = call.task_vars.get(REGISTERED)
    if isinstance(registered, Mapping) and "findings" in registered:
        return list(registered["findings"])
    raise AnsibleActionFail(f"{call.action}: the facts of {call.desk} have not been read; run role labops.dgx_spark.desk_facts first")
