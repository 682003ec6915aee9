# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the facts' judgement said of machine and DGX OS. On the controller; nothing is executed on the desk, nothing is judged again."""

from __future__ import annotations

from typing import Any

from ..module_utils.judges.codes.identity import CODES as IDENTITY
from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.judgement import judged

OWN = frozenset(code.code for code in IDENTITY)


class ActionModule(DeskAction):
    """See the module documentation of dgx_os."""

    def work(self, call: Call) -> dict[str, Any]:
        """The findings about machine and DGX OS, and the versions."""
        findings = judged(call, OWN, ("dgx_os.version",), "the version of DGX OS")
        return {"changed": False, "findings": findings, "dgx_os": dict((call.facts or {}).get("dgx_os") or {})}
