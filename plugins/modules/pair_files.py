#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pair_files
short_description: Maintain the small files of a DGX Spark pair on a desk
version_added: 1.0.0
description:
  - Maintains this collection's own files, its lines in C(authorized_keys) and C(/etc/hosts), the pair's ssh key and the
    firewall rules for the pair's fabric interfaces and for Open MPI's ports, all in one execution.
  - Other lines and rules are never touched. A line of this collection ends with C(dgx_spark_pair); a rule has that as its comment.
  - The private key is made on the desk and never leaves it.
  - Nothing below a login user's home is read or written as root. A helper that runs as that user does it, keeps every other byte and
    keeps C(authorized_keys) a symbolic link if it is one, as long as its target is the user's own file.
  - Used by the roles C(pair_trust) and C(pair_settings) through their action plugins.
options:
  files:
    description: Whole files below C(/etc/dgx_spark) or named C(/usr/local/bin/pair-...).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: str
        required: true
      content:
        description: Its text. Without it, the file is removed.
        type: str
      mode:
        description: Its mode, in octal.
        type: str
        default: '0644'
  lines:
    description: This collection's lines in shared files; exactly these, each ending with C(dgx_spark_pair).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: str
        required: true
      lines:
        description: The lines. An empty list removes ours.
        type: list
        elements: str
        required: true
      user:
        description: The user who owns the file, in whose home it is, and who reads and writes it. Omitted for a file of root's.
        type: str
      mode:
        description: Mode of the file, in octal.
        type: str
        default: '0600'
  key:
    description: The pair's key of the login user.
    type: dict
    suboptions:
      path:
        description: Path of the private key.
        type: str
        required: true
      user:
        description: The login user.
        type: str
        required: true
      state:
        description: Whether the key should exist.
        type: str
        choices: [present, absent]
        default: present
  rules:
    description: Firewall rules (ufw) with this collection's mark, exactly these; without it, the firewall is left alone.
    type: list
    elements: dict
    suboptions:
      netdev:
        description: Interface on which the peer connects.
        type: str
        required: true
      source:
        description: The peer's address.
        type: str
        required: true
  guard:
    description: Who may reach the ports that Open MPI uses in a measurement; without it, what guards them is left alone.
    type: dict
    suboptions:
      uid:
        description: Number of the login user, whose programs may. Without it, what guards the ports is removed.
        type: int
      sources:
        description: Addresses of the other desks, which may; on each of these, its own rules decide for which user.
        type: list
        elements: str
        default: []
attributes:
  check_mode:
    description: Plans and changes nothing in check mode.
    support: full
  diff_mode:
    description: Shows the texts before and after.
    support: full
  platform:
    description: DGX OS.
    support: full
    platforms: posix
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Make the pair's key
  labops.dgx_spark.pair_files:
    key:
      path: /home/lab/.ssh/id_ed25519_dgx_spark_pair
      user: lab
  become: true
"""

RETURN = r"""
commands:
  description: The commands that were run (in check mode, those that would be).
  returned: always
  type: list
  elements: list
steps:
  description: What was done, as kind and path.
  returned: always
  type: list
  elements: str
unguarded:
  description: Why Open MPI's ports stay open to everybody.
  returned: when they should be guarded and cannot be
  type: str
public_key:
  description: The pair's public key, when a key is kept.
  returned: when a key was wanted
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import pair_files
from ansible_collections.labops.dgx_spark.plugins.module_utils.model import mpi_guard
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs.homes import LiveHomes


def main() -> None:
    """Read, plan, apply, read the public key."""
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "content": {"type": "str", "no_log": False},
                    "mode": {"type": "str", "default": "0644"},
                },
            },
            "lines": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "lines": {"type": "list", "elements": "str", "required": True},
                    "user": {"type": "str"},
                    "mode": {"type": "str", "default": "0600"},
                },
            },
            "key": {
                "type": "dict",
                "no_log": False,
                "options": {
                    "path": {"type": "str", "required": True},
                    "user": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                },
            },
            "guard": {
                "type": "dict",
                "options": {"uid": {"type": "int"}, "sources": {"type": "list", "elements": "str", "default": []}},
            },
            "rules": {
                "type": "list",
                "elements": "dict",
                "options": {"netdev": {"type": "str", "required": True}, "source": {"type": "str", "required": True}},
            },
        },
        supports_check_mode=True,
    )
    claim(module, "pair_files")
    given, desk = module.params, LiveHomes()
    key, guard = given["key"], given["guard"]
    want = pair_files.Wanted(
        files=tuple(pair_files.WantedFile(item["path"], item["content"], int(item["mode"], 8)) for item in given["files"]),
        lines=tuple(
            pair_files.WantedLines(item["path"], tuple(item["lines"]), item["user"], int(item["mode"], 8)) for item in given["lines"]
        ),
        key=pair_files.WantedKey(key["path"], key["user"], key["state"] == "present") if key else None,
        guard=mpi_guard.Guard(guard["uid"], tuple(guard["sources"])) if guard and guard["uid"] is not None else None,
        no_guard=guard is not None and guard["uid"] is None,
        rules=None if given["rules"] is None else tuple(pair_files.Rule(item["netdev"], item["source"]) for item in given["rules"]),
    )
    unguarded = None
    try:
        have = pair_files.read(desk, want)
        steps = pair_files.plan(have, want)
        if want.guard is not None and have.guard is None:
            unguarded = mpi_guard.NOT_ASKED
        run = [argv for step in steps for argv in pair_files.commands(step)]
        if not module.check_mode:
            run = pair_files.apply(desk, steps)
    except pair_files.UnguardedError as error:
        run, unguarded = error.commands, str(error)
    except pair_files.PairFilesError as error:
        module.fail_json(msg=str(error))
    result = {"changed": bool(steps), "commands": run, "steps": [f"{step.kind} {step.path}" for step in steps]}
    if module._diff:
        result["diff"] = pair_files.difference(steps)
    if unguarded:
        result["unguarded"] = unguarded
    if want.key is not None:
        result["public_key"] = desk.read_as(want.key.user, (), (want.key.path,))[0].text
    module.exit_json(**result)


if __name__ == "__main__":
    main()
