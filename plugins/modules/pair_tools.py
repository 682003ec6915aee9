#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pair_tools
short_description: Install the programs that measure a DGX Spark pair, and remove only what was added
version_added: 1.0.0
description:
  - Installs perftest and the Open MPI runtime from the desk's package sources or from C(.deb) files.
  - Records in C(/var/lib/dgx_spark/pair_tools.json) what it added. O(state=absent) removes that and nothing else.
  - Waits for the package lock and never upgrades, downgrades or removes other packages.
options:
  packages:
    description: Packages that must be installed.
    type: list
    elements: str
    default: [perftest, openmpi-bin]
  debs:
    description: Paths of package files to install from. The action plugin copies them from the controller.
    type: list
    elements: path
    default: []
  checksums:
    description:
      - SHA-256 of each of O(debs), by file name. If the task gives them, the files on the controller must match; the action plugin
        fills in the rest. Root installs from its own copies, which must match.
    type: dict
    default: {}
  user:
    description: The login user, whose files are received; defaults to the user who became root. The action plugin fills it in.
    type: str
    default: ''
  lock_timeout:
    description: Seconds to wait for the package lock.
    type: int
    default: 300
  state:
    description: Whether the programs should be installed.
    type: str
    choices: [present, absent]
    default: present
  desk:
    description: Name of the desk in findings.
    type: str
    default: desk
attributes:
  check_mode:
    description: Changes nothing in check mode.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  platform:
    description: DGX OS.
    support: full
    platforms: debian
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Install perftest and Open MPI
  labops.dgx_spark.pair_tools:
  become: true
"""

RETURN = r"""
findings:
  description: Why it failed, see docs/findings.md.
  returned: on failure
  type: list
  elements: dict
added:
  description: Packages that were added.
  returned: always
  type: list
  elements: str
removed:
  description: Packages that were removed.
  returned: always
  type: list
  elements: str
kept:
  description: What stays after a removal, and why; one sentence each.
  returned: always
  type: list
  elements: str
commands:
  description: The commands that were run (in check mode, those that would be).
  returned: always
  type: list
  elements: list
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import received, tools
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.apt_errors import ARCHIVE_CODES
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where


def own_copies(desk: LiveDesk, given: dict, room: str) -> list[str]:
    """Root's own copies of the package files that were sent, each proven; apt's own user may read them."""
    user, copies = received.login_user(given["user"]), []
    for path in given["debs"]:
        name = os.path.basename(path)
        copies.append(received.received(desk, path, str(given["checksums"].get(name) or ""), user, room, name))
        os.chmod(copies[-1], 0o644)
    os.chmod(room, 0o755)
    return copies


def main() -> None:
    """Install or remove."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": ["perftest", "openmpi-bin"]},
            "debs": {"type": "list", "elements": "path", "default": []},
            "checksums": {"type": "dict", "default": {}},
            "user": {"type": "str", "default": ""},
            "lock_timeout": {"type": "int", "default": 300},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "desk": {"type": "str", "default": "desk"},
        },
        supports_check_mode=True,
    )
    claim(module, "pair_tools")
    given, desk = module.params, LiveDesk()
    try:
        if given["state"] == "present" and given["debs"] and not module.check_mode:
            with received.room() as room:
                outcome = tools.install(desk, given["packages"], own_copies(desk, given, room), given["lock_timeout"], False)
        elif given["state"] == "present":
            outcome = tools.install(desk, given["packages"], given["debs"], given["lock_timeout"], module.check_mode)
        else:
            outcome = tools.remove(desk, given["lock_timeout"], module.check_mode)
    except received.ReceivedError as error:
        found = finding("PAIR_TOOLS_MISSING", Where(desk=given["desk"]), f"{given['desk']}: {error}")
        module.fail_json(msg=found.message, findings=[found.as_dict()])
    except tools.ToolsError as error:
        remedy = error.remedy
        if remedy and given["state"] == "present" and error.code in ARCHIVE_CODES:
            remedy += " Or give the desk the .deb files by path (pair_tools_debs)."
        text, evidence = f"{given['desk']}: {error.text}", {"apt": error.said}
        found = finding("PAIR_TOOLS_MISSING", Where(desk=given["desk"]), text, evidence=evidence, remedy=remedy)
        module.fail_json(msg=f"{found.message}: {error.said}"[:900], findings=[found.as_dict()])
    module.exit_json(changed=outcome.changed, added=outcome.added, removed=outcome.removed, kept=outcome.kept, commands=outcome.commands)


if __name__ == "__main__":
    main()
