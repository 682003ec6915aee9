# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a client on the controller: a time limit, a bounded output, its own process group."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ...module_utils.desk import Answer, LiveDesk


def run(argv: Sequence[str], limit: float, env: Mapping[str, str] | None = None, stdin: str | None = None) -> Answer:
    """Run a command of the controller without a shell, with the user's PATH. Never raises for what the command does."""
    return LiveDesk().run(argv, timeout=limit, stdin=stdin, env={"PATH": os.environ.get("PATH", os.defpath), **(env or {})})
