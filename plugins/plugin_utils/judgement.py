# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one judgement of a desk's facts, for roles that repair a part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.judges.catalogue import finding
from ..module_utils.model.finding import Where
from .actions import Call

REGISTERED = "desk_facts_result"
"""As which role desk_facts registers its result: where a playbook composes roles without a run."""


def judged(call: Call, codes: frozenset[str], paths: Sequence[str], what: str) -> list[dict[str, Any]]:
    """The findings with one of ``codes`` that the judge of the facts made; FACTS_INCOMPLETE when facts below ``paths`` are not known.

    Raises AnsibleActionFail when the desk's facts were not judged before.
    """
    findings = _all(call)
    unread = {path: reason for path, reason in ((call.facts or {}).get("unread") or {}).items() if path.startswith(tuple(paths))}
    own = [dict(item) for item in findings if item["code"] in codes]
    if not own and any(_tells(item, unread) for item in findings):
        reasons = "; ".join(f"{path} ({reason})" for path, reason in unread.items())
        message = f"{call.desk}: {what} is not known: {reasons}"
        own.append(finding("FACTS_INCOMPLETE", Where(desk=call.desk), message, evidence=unread, severity="unknown").as_dict())
    return own


def _tells(item: Mapping[str, Any], unread: Mapping[str, str]) -> bool:
    """Whether the judge of the facts called one of these facts required and missing."""
    required = (item.get("evidence") or {}).get("required") or {}
    return item["code"] == "FACTS_INCOMPLETE" and bool(set(required) & set(unread))


def _all(call: Call) -> list[Mapping[str, Any]]:
    part = call.store.part("facts", call.desk) if call.known_run else None
    if part is not None:
        return list(part.findings)
    registered = call.task_vars.get(REGISTERED)
    if isinstance(registered, Mapping) and "findings" in registered:
        return list(registered["findings"])
    raise AnsibleActionFail(f"{call.action}: the facts of {call.desk} were not read before; run role labops.dgx_spark.desk_facts first")
