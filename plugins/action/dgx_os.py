# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the facts of a desk against what DGX OS must be. On the controller; nothing is executed on the desk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.identity import dgx_os, machine
from ..module_utils.judges.options import options_from_dict
from ..module_utils.model.data import as_dict, from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.finding import Finding, Where
from ..plugin_utils.actions import DeskAction


class ActionModule(DeskAction):
    """See the module documentation of dgx_os."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See the class."""
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        facts = self.facts(task_vars)
        arguments = self.arguments()
        findings = judge(facts, self.desk_name(task_vars), arguments.get("minimum"))
        system = as_dict(from_dict(Desk, facts).dgx_os) if facts else {}
        result.update(changed=False, findings=[item.as_dict() for item in findings], dgx_os=system)
        return result


def judge(facts: Mapping[str, Any] | None, name: str, minimum: str | None = None) -> list[Finding]:
    """Findings about machine and DGX OS; unknown when the facts do not tell. Pure."""
    where = Where(desk=name)
    desk: Desk = from_dict(Desk, facts or {})
    if facts is None or desk.dgx_os.present is None or (desk.dgx_os.present and desk.dgx_os.version is None):
        reason = desk.unread.get("dgx_os.version") or desk.unread.get("dgx_os.present") or "there are no facts of this run"
        message = f"{name}: the version of DGX OS is not known: {reason}"
        return [finding("FACTS_INCOMPLETE", where, message, evidence={"dgx_os": reason}, severity="unknown")]
    return [*machine(desk, where), *dgx_os(desk, where, options_from_dict({"minimum_dgx_os": minimum}))]
