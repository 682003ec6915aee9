# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say whether a certificate still is what was issued, on the controller; fails when not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..plugin_utils.actions import Call, DeskAction
from ..plugin_utils.report.verifying import check
from ..plugin_utils.report.words import moment


class ActionModule(DeskAction):
    """See the module documentation of certificate_verify."""

    def work(self, call: Call) -> dict[str, Any]:
        """See the class."""
        given = call.given
        if not given["path"]:
            raise AnsibleActionFail("name the certificate: -e certificate=reports/RUN/certificates/STACK.json")

        def place(name: str) -> Path | None:
            return Path.cwd() / Path(given[name]).expanduser() if given.get(name) else None

        path = Path.cwd() / Path(given["path"]).expanduser()
        found = check(
            path,
            report=place("report"),
            allowed=place("allowed_signers"),
            fingerprint=given.get("fingerprint") or "",
            unsigned=given["accept_unsigned"],
        )
        signer = None if found.signer is None else {"fingerprint": found.signer.fingerprint, "principal": found.signer.principal}
        result: dict[str, Any] = {
            "changed": False,
            "stack": found.stack,
            "verdict": found.verdict,
            "issued": found.issued,
            "signer": signer,
            "problems": found.problems,
        }
        if found.problems:
            reasons = "\n".join(f"  - {problem}" for problem in found.problems)
            return {**result, "failed": True, "msg": f"{path} does NOT verify:\n{reasons}"}
        by = (
            f"signed by {signer['principal'] or signer['fingerprint']}"
            if signer
            else ("not signed: its files belong together, but nothing proves who made them")
        )
        message = f"{path} verifies: stack {found.stack} was {found.verdict} on {moment(found.issued)}; {by}"
        self._display.display("\n" + message)
        return {**result, "msg": message}
