# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that changes a desk's link and takes the change back.

The module lays the modules of this folder, with the few of the collection that they need, as one file (see `programs.carrier`) at
``/var/lib/dgx_spark/link/undo.py`` before a change. From then on the desk can restore itself without a controller, without Ansible
and after a reboot: nothing but the standard library is needed. Order of a change, and why it is fixed:

1. ``stage``: the whole netplan is generated in a temporary root with and without the change. What comes out for any other interface
   must be equal, else the change is refused before anything is written.
2. ``prepare``: the journal (everything as it was, the files' content included) is on the disk, then the undo timer runs and the
   boot-time undo is linked, then both are looked at. Only now may anything be written.
3. ``apply``: files first, then the renderer is told about the ConnectX-7 interfaces alone. ``netplan apply`` is never used: it blips
   the management link. Generated files of our interfaces are taken from the staged root, so that a management interface's generated
   file keeps its inode and time stamp and networkd sees no reason to reconfigure it.
4. ``confirm``: the state is set first and made durable, then the timer is stopped: a timer that fires in between does nothing.

Any failure, the timer, or a boot while armed leads to ``undo``, which restores from the journal and may be repeated.
Every command prints one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from .change import apply, check, prepare
from .files import Desk
from .settling import confirm, settle, status, tidy
from .steps import ChangeError
from .undoing import undo
from .wire import probe


def main(arguments: Sequence[str], root: str = "/") -> int:
    """Run one command: check, prepare, apply, undo, confirm, settle, status, tidy, probe."""
    desk = Desk(root)
    command, *rest = arguments or [""]
    try:
        if command in ("check", "prepare"):
            change = json.loads(rest[0])
            result = check(desk, change) if command == "check" else prepare(desk, change)
        elif command == "apply":
            result = apply(desk)
        elif command == "undo":
            result = undo(desk, rest[0] if rest else None)
        elif command == "confirm":
            result = confirm(desk, rest[0])
        elif command == "settle":
            result = settle(desk)
        elif command == "status":
            result = status(desk)
        elif command == "tidy":
            result = tidy(desk)
        elif command == "probe":
            result = probe(rest[0], rest[1])
        else:
            result = {"ok": False, "error": f"unknown command {command!r}"}
    except ChangeError as error:
        result = {"ok": False, "error": str(error)}
    except OSError as error:
        result = {"ok": False, "error": f"{error.strerror or error}{': ' + str(error.filename) if error.filename else ''}"}
    print(json.dumps(result, sort_keys=True))  # pylint: disable=ansible-bad-function
    if command == "undo":
        return 1 if result.get("problems") or result.get("error") else 0
    return 0 if result["ok"] else 1
