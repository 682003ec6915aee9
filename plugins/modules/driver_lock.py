#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: driver_lock
short_description: Lock the GPU driver of a DGX Spark desk, or unlock it
version_added: 1.0.0
description:
  - Keeps driver, kernel modules, kernels and NCCL of a desk together. Pins shut out drivers of other branches
    (from the CUDA archive and from Ubuntu alike), holds keep the installed group from moving apart.
  - What was there before is recorded on the desk in C(/var/lib/dgx_spark/driver_lock), with the packages of the group
    as far as archives still have them, so that O(state=absent) gives it back.
  - Mends half installed packages, a missing driver and a next boot without a kernel module, where apt can do it without moving
    anything of the group. It never removes a package and never runs autoremove.
  - The pins that DGX OS ships are read first by apt and are not touched.
  - As an action it compares the facts of the run with what is wanted on the controller first; when nothing is to be done, nothing is
    executed on the desk.
options:
  state:
    description:
      - V(present) locks, V(absent) gives back what was there before the lock.
      - V(paused) releases the holds (other branches stay shut out) so that both desks of a pair can take a DGX OS update; V(present)
        locks the new versions again.
    type: str
    choices: [present, absent, paused]
    default: present
  branch:
    description: Driver branch. DGX OS 7 has 580.
    type: int
    default: 580
  level:
    description:
      - V(branch) lets apt know any version of the branch; the holds keep the installed ones.
      - V(exact) also pins each package of the group to its one version, for a fleet that must not move.
    type: str
    choices: [branch, exact]
    default: branch
  versions:
    description:
      - Package to version, as a fleet lock file has them. Installed packages of the group with another version are brought to it,
        all at once or not at all.
    type: dict
    default: {}
  refused_archives:
    description: Archives (C(Pin) expressions of apt_preferences) from which no driver package is taken.
    type: list
    elements: str
    default: ['release l=NVIDIA CUDA']
  trusted_archives:
    description: When given, driver packages of the branch come from these archives only (C(Pin) expressions).
    type: list
    elements: str
    default: []
  protect_platform:
    description: Mark platform packages (C(dgx-*), C(nv-*), C(nvidia-*)) as wanted, so that autoremove never offers to remove them.
    type: bool
    default: true
  repair:
    description: Whether a missing or half installed driver is mended.
    type: str
    choices: [if_needed, never]
    default: if_needed
  keep_debs:
    description: Keep the packages of the group on the desk before the first change, for a way back.
    type: bool
    default: true
  retry_debs:
    description: Try again to keep packages that no archive gave before.
    type: bool
    default: false
  accept:
    description: Take versions that were changed by hand since as the locked ones.
    type: bool
    default: false
  allow_downgrade:
    description: Whether O(versions) may bring a package to an older version.
    type: bool
    default: false
  roll_back:
    description: With O(state=absent) also put the recorded package versions back from the kept files.
    type: bool
    default: false
  force:
    description: Change packages although somebody uses the GPU or RDMA.
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
  desk:
    description: Name of the desk in findings; the host name when not given.
    type: str
attributes:
  check_mode:
    description: Plans and lets apt simulate; changes nothing.
    support: full
  diff_mode:
    description: Preferences, holds and versions before and after.
    support: full
  platform:
    description: DGX OS 7 (Ubuntu 24.04).
    support: full
    platforms: debian
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

- name: Give back what was there before
  labops.dgx_spark.driver_lock:
    state: absent
"""

RETURN = r"""
steps:
  description: What was planned, in words, in order. Empty when nothing was to be done.
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
  description: The same as they are now; as planned in check mode.
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
