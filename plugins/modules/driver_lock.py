#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: driver_lock
short_description: Lock the GPU driver of a DGX Spark desk, or unlock it
version_added: 1.0.0
description:
  - Keeps driver, kernel modules, kernels and NCCL of a desk together. Pins block drivers of other branches
    (from the CUDA archive and from Ubuntu alike), holds keep the installed group from moving apart.
  - What was there before is recorded on the desk in C(/var/lib/dgx_spark/driver_lock), with the packages of the group
    as far as archives still have them, so that O(state=absent) restores it.
  - Repairs half installed packages, a missing driver and a next boot without a kernel module, if apt can do so without moving
    any package of the group. It never removes a package and never runs autoremove.
  - apt reads the pins that DGX OS ships first; they are not touched.
  - The action first compares the facts of the run with what is wanted, on the controller; when there is nothing to do, nothing is
    executed on the desk.
extends_documentation_fragment:
  - labops.dgx_spark.packages
options:
  state:
    description:
      - V(present) locks, V(absent) restores what was there before the lock.
      - V(paused) releases the holds (other branches stay blocked) so that both desks of a pair can take a DGX OS update; V(present)
        locks the new versions again.
    type: str
    choices: [present, absent, paused]
    default: present
  level:
    description:
      - V(branch) lets apt see every version of the branch; the holds keep the installed ones.
      - V(exact) also pins each package of the group to its one version, for a fleet that must not move.
    type: str
    choices: [branch, exact]
    default: branch
  versions:
    description:
      - Package to version, as a fleet lock file has them. Installed packages of the group that have another version are brought to it,
        all at once or not at all.
    type: dict
    default: {}
  protect_platform:
    description: Mark platform packages (C(dgx-*), C(nv-*), C(nvidia-*)) as manual, so that autoremove never offers to remove them.
    type: bool
    default: true
  repair:
    description: Whether to repair a missing or half installed driver.
    type: str
    choices: [if_needed, never]
    default: if_needed
  keep_debs:
    description: Keep the packages of the group on the desk before the first change, for a rollback.
    type: bool
    default: true
  retry_debs:
    description: Try again to keep packages that no archive could provide before.
    type: bool
    default: false
  accept:
    description: Accept versions that were changed by hand since as the locked ones.
    type: bool
    default: false
  roll_back:
    description: With O(state=absent), also restore the recorded package versions from the kept files.
    type: bool
    default: false
  force:
    description: Change packages even while the GPU or RDMA is in use.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for the package lock. A stock desk has four programs that take it.
    type: int
    default: 300
  fetch_timeout:
    description: Seconds that fetching lists or the kept packages may take.
    type: int
    default: 900
  install_timeout:
    description: Seconds that one installation may take once it has begun.
    type: int
    default: 1800
  lock_file:
    description:
      - A fleet lock file on the controller, as C(playbooks/lock_from.yml) writes it. Read by the action; its branch and versions take the
        place of O(branch) and O(versions), and O(level) is V(exact).
    type: str
attributes:
  check_mode:
    description: Plans and lets apt simulate; changes nothing.
    support: full
  diff_mode:
    description: Preferences, holds and versions before and after.
    support: full
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
# Before: no pins beside those of DGX OS, holds: none
# After:  /etc/apt/preferences.d/zz-dgx-spark-driver-lock, kernel, modules, driver and NCCL held
- name: Lock the driver
  labops.dgx_spark.driver_lock:
    level: branch

- name: Open the lock for an update of both desks of the pair
  labops.dgx_spark.driver_lock:
    state: paused

- name: Restore what was there before
  labops.dgx_spark.driver_lock:
    state: absent
"""

RETURN = r"""
steps:
  description: What was planned, in words, in order. Empty when there was nothing to do.
  returned: always
  type: list
  elements: str
done:
  description: Kinds of the steps that were done.
  returned: when executed on the desk
  type: list
  elements: str
commands:
  description: Commands that changed something, in order.
  returned: when executed on the desk
  type: list
  elements: list
before:
  description: Preferences, holds and versions as they were.
  returned: always
  type: dict
after:
  description: The same as they are now (in check mode, as planned).
  returned: always
  type: dict
findings:
  description: Findings about the lock, see docs/findings.md.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.apt_runner import Limits
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.driver_lock import SUBSETS, run, wanted
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import Options

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent", "paused"], "default": "present"},
    "branch": {"type": "int", "default": 580},
    "level": {"type": "str", "choices": ["branch", "exact"], "default": "branch"},
    "versions": {"type": "dict", "default": {}},
    "refused_archives": {"type": "list", "elements": "str", "default": ["release l=NVIDIA CUDA"]},
    "trusted_archives": {"type": "list", "elements": "str", "default": []},
    "protect_platform": {"type": "bool", "default": True},
    "repair": {"type": "str", "choices": ["if_needed", "never"], "default": "if_needed"},
    "keep_debs": {"type": "bool", "default": True},
    "retry_debs": {"type": "bool", "default": False},
    "accept": {"type": "bool", "default": False},
    "allow_downgrade": {"type": "bool", "default": False},
    "roll_back": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "lock_timeout": {"type": "int", "default": 300},
    "fetch_timeout": {"type": "int", "default": 900},
    "install_timeout": {"type": "int", "default": 1800},
    "lock_file": {"type": "str"},
    "desk": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    claim(module, "driver_lock")
    options = module.params
    try:
        want = wanted(options)
    except ValueError as error:
        module.fail_json(msg=f"driver_lock: {error}", findings=[])
    limits = Limits(float(options["lock_timeout"]), float(options["fetch_timeout"]), float(options["install_timeout"]))
    desk = LiveDesk()
    result = run(
        desk, want, lambda: collect(desk, Options(subsets=SUBSETS)), name=options["desk"], limits=limits, check_mode=module.check_mode
    )
    if not module._diff:
        result.pop("diff", None)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
