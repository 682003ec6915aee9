# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns of a lab sheet that are the admin's own (rack, room, owner ...) become variables of the desk: under which name, or why not.

A sheet is often filled in by others, so a column can never set what Ansible, a connection or this collection reads.
"""

from __future__ import annotations

import keyword
import re

from ansible.vars.reserved import get_reserved_names

from .run.stages import STAGES
from .sheet_titles import OWN, plain

VARIABLE = re.compile(r"[a-z_][a-z0-9_]{0,63}")

PREFIXES = (
    "ansible",
    "spark",
    *sorted({stage.role for stage in STAGES.values() if stage.role}),
    *("audit", "calibrate", "certificate", "history", "isolate", "new_lab", "record", "report"),
)
"""First words of the variables that Ansible and this collection read."""
NAMES = frozenset(
    (
        *("accept_unsigned", "allowed_signers", "desk", "images", "indexes", "lock_file", "paths"),
        *("requirements", "signer_fingerprint", "wheels", "write_inventory"),
        # Ansible's own that its list of reserved names leaves out.
        *("group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname", "inventory_hostname_short"),
        *("play_hosts", "playbook_dir", "role_name", "role_names", "role_path", "role_uuid", "loop_var", "item"),
    )
)
"""Variables that are read and begin with none of `PREFIXES`."""


class NoVariable(ValueError):
    """A title that cannot name a variable; the text says why and what to write instead."""


def variable_of(told: str) -> str:
    """The variable that a column's cells become. Raises NoVariable."""
    name = plain(told)
    if name[:1].isdigit():
        name = f"{OWN}{name}"
    if not VARIABLE.fullmatch(name):
        raise NoVariable("a variable's name has letters from a to z, digits and underscores, 64 at most")
    if is_taken(name):
        raise NoVariable(f"{name} is a name that Ansible or this collection reads; {OWN}{name} would be a variable of the desk")
    return name


def is_taken(name: str) -> bool:
    """Whether Ansible or this collection reads a variable of this name."""
    if name in NAMES or keyword.iskeyword(name) or name in get_reserved_names(include_private=True):
        return True
    return any(name == prefix or name.startswith(f"{prefix}_") for prefix in PREFIXES)
