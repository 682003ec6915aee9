# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the desk's addresses the current ssh session came over.

Kept apart from the facts' questions: environments of processes may hold secrets and must not get into a recording.
"""

from __future__ import annotations

import ipaddress

from ..desk import Desk
from ..readers import proc_status

ANCESTORS = 12
"""Parents to look through: sudo drops SSH_CONNECTION, so the login shell above it is asked."""


def session_address(desk: Desk) -> str | None:
    """The server's address in SSH_CONNECTION of this process or of one of its parents; null when there is none."""
    process = "self"
    for _step in range(ANCESTORS):
        for setting in (desk.read_text(f"/proc/{process}/environ").text or "").split("\x00"):
            name, _separator, value = setting.partition("=")
            words = value.split()
            if name == "SSH_CONNECTION" and len(words) == 4:
                return _address(words[2])
        parent = proc_status.read(desk.read_text(f"/proc/{process}/status").text or "")["parent"]
        if not parent or parent <= 1:
            return None
        process = str(parent)
    return None


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
