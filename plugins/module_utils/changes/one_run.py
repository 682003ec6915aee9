# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time on a desk: what every module that changes or measures does first."""

from __future__ import annotations

import os
from typing import Any

from ..programs import lease


def claim(module: Any, what: str, keep: int = 0) -> None:
    """Take the desk until this module ends, or for ``keep`` seconds more; where another run has it, end the module with nothing done.

    ``module``: an AnsibleModule. Its action makes RUN_ELSEWHERE of what it says. Check mode changes nothing, so it takes nothing.
    """
    if module.check_mode:
        return
    holder = lease.take(lease.told(os.environ), what)
    if holder is None:
        if keep:
            lease.keep(keep)
        return
    module.exit_json(changed=False, held_elsewhere=holder)
