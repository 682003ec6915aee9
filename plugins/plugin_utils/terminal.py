# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question to the person who runs the playbook, refused where nobody sits there."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsiblePromptNoninteractive

RUNNER = "AWX_ISOLATED_DATA_DIR"
"""Set by ansible-runner, and so by AWX: it gives the job a terminal of its own, at which a question would wait for ever."""


def ask(display: Any, question: str) -> str:
    """The answer, one line. Raises AnsiblePromptNoninteractive where nobody can give one, AnsiblePromptInterrupt at Ctrl+C."""
    if os.environ.get(RUNNER):
        raise AnsiblePromptNoninteractive("a job of ansible-runner has nobody to ask")
    return bytes(display.prompt_until(question)).decode("utf-8", "replace").strip()
