#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: desk_update
short_description: Update a DGX Spark desk, show what that would do, or undo it
version_added: 0.1.0
description:
  - Brings packages of DGX OS, kernel, driver and NCCL to the newest of the driver's branch, or to named versions, with the rules of the
    driver lock keeping other branches out. One desk of a stack at a time; C(playbooks/update.yml) does this in waves, with a proof of each
    stack before and after.
  - Before anything changes, apt is asked what it would do (it may not remove, downgrade or move held packages), the packages from
    before are kept for a rollback, and all new ones are fetched. Before the reboot, the kernel that GRUB will start is proven to have its
    open module. Never runs autoremove.
  - Each step is first recorded in C(/var/lib/dgx_spark/update/journal.json). The next run resumes one that was cut off anywhere.
  - DGX OS 8 and newer are refused, because their rules are not known.
extends_documentation_fragment:
  - labops.dgx_spark.packages
options:
  step:
    description:
      - V(plan) only shows what would happen, with its own package lists, so that nothing on the desk changes.
      - V(update) changes the desk and reboots it where that is needed. V(prove) says whether the stack's proof after the update is as good
        as the one before.
      - V(roll_back) undoes the last update of one stack.
      - V(note) writes O(phase) to the journal; used by the action itself.
    type: str
    choices: [plan, update, prove, roll_back, note]
    required: true
  phase:
    description: With V(note), how far the update got.
    type: str
    choices: [started, settled]
  versions:
    description: Package to version that the update should reach; empty for the newest of the branch.
    type: dict
    default: {}
  lock_file:
    description: A fleet lock file on the controller, as C(playbooks/lock_from.yml) writes it. Its branch and versions replace
      O(branch) and O(versions).
    type: str
  expected:
    description: Versions that the plan for this desk said it would reach. From the run's plan.
    type: dict
    default: {}
  firmware:
    description: Also flash the firmware that the vendor offers through fwupd. Never on battery. It cannot be undone.
    type: bool
    default: false
  accept_known_bad:
    description: Install a version even if this collection's table lists a fault of it.
    type: bool
    default: false
  force:
    description: Change packages and reboot even while the GPU or RDMA is in use.
    type: bool
    default: false
  run_id:
    description: Id of the run, for the journal.
    type: str
  stack:
    description: Name of the stack, for the journal.
    type: str
  patience:
    description: Seconds to wait for the desk after the reboot. Firmware updates before the boot take about 15 minutes.
    type: int
    default: 1800
  lock_timeout:
    description: Seconds to wait for the package lock, which unattended upgrades or the Dashboard may take at any time.
    type: int
    default: 900
  fetch_timeout:
    description: Seconds that fetching lists or packages may take.
    type: int
    default: 1800
  install_timeout:
    description: Seconds that one installation may take once it has begun.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Shows what would be done; changes nothing.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Show what an update would do
  labops.dgx_spark.desk_update:
    step: plan
"""

RETURN = r"""
look:
  description: What would change (packages, firmware, disk space), as C(plugins/module_utils/model/update.py) describes it.
  returned: with step plan
  type: dict
commands:
  description: Commands that changed something, in order.
  returned: when the desk was changed
  type: list
  elements: list
reboot:
  description: Whether the desk is to be rebooted now.
  returned: with step update and roll_back
  type: bool
kernel_after:
  description: The kernel that the next boot starts, proven to have its module.
  returned: with step update and roll_back
  type: str
phase:
  description: How far the update got, from the desk's journal.
  returned: when there is one
  type: str
todo:
  description: Whether there is something to do on the desk.
  returned: with step plan
  type: bool
refused:
  description: Whether the update is refused.
  returned: with step plan
  type: bool
versions:
  description: Versions of driver, kernel and NCCL that the desk would reach.
  returned: with step plan
  type: dict
levels:
  description: Before and after in words, by subject.
  returned: with step plan and prove
  type: dict
now:
  description: The levels before anything was done, in words.
  returned: with step plan, update and roll_back
  type: dict
rebooted:
  description: Whether the desk was rebooted and is back.
  returned: with step update and roll_back
  type: bool
findings:
  description: What was judged, see docs/findings.md.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import apt_preferences
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.apt_runner import Limits
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.unwritten import unwritten
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update import SUBSETS, Updater, Wanted, result_of
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update_look import Looker
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import Options
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.update import Wishes
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where

ARGUMENTS = {
    "step": {"type": "str", "choices": ["plan", "update", "prove", "roll_back", "note"], "required": True},
    "phase": {"type": "str", "choices": ["started", "settled"]},
    "branch": {"type": "int", "default": 580},
    "versions": {"type": "dict", "default": {}},
    "lock_file": {"type": "str"},
    "expected": {"type": "dict", "default": {}},
    "firmware": {"type": "bool", "default": False},
    "accept_known_bad": {"type": "bool", "default": False},
    "allow_downgrade": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "refused_archives": {"type": "list", "elements": "str", "default": ["release l=NVIDIA CUDA"]},
    "trusted_archives": {"type": "list", "elements": "str", "default": []},
    "run_id": {"type": "str"},
    "stack": {"type": "str"},
    "patience": {"type": "int", "default": 1800},
    "lock_timeout": {"type": "int", "default": 900},
    "fetch_timeout": {"type": "int", "default": 1800},
    "install_timeout": {"type": "int", "default": 3600},
    "desk": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options, step = module.params, module.params["step"]
    if step == "prove":
        module.fail_json(msg="desk_update with step prove judges a run on the controller; use the role desk_update", findings=[])
    if step == "note" and not options["phase"]:
        module.fail_json(msg="desk_update with step note needs phase", findings=[])
    desk = LiveDesk()
    limits = Limits(float(options["lock_timeout"]), float(options["fetch_timeout"]), float(options["install_timeout"]))

    def observe() -> Desk:
        return collect(desk, Options(subsets=SUBSETS))

    name = options["desk"] or desk.run(["hostname"]).stdout.strip()
    where = Where(desk=name)
    if step == "plan" or (module.check_mode and step != "note"):
        pins = apt_preferences.render(options["branch"], {}, tuple(options["refused_archives"]), tuple(options["trusted_archives"]))
        looker = Looker(desk, where, options["branch"], pins, limits)
        try:
            look = looker.look(observe(), options["versions"])
        except OSError as error:
            found = unwritten(where, error)
            module.fail_json(msg=found.message, findings=[found.as_dict()])
        findings = [item.as_dict() for item in looker.outcome.findings]
        if looker.outcome.failed:
            module.fail_json(msg=looker.outcome.findings[-1].message, findings=findings)
        module.exit_json(changed=False, look=as_dict(look), findings=findings)
    if module.check_mode:
        module.exit_json(changed=False, findings=[])
    claim(module, "desk_update")
    wishes = Wishes(**{key: options[key] for key in ("branch", "firmware", "accept_known_bad", "allow_downgrade", "force")})
    want = Wanted(wishes, options["versions"], options["expected"], options["run_id"] or "unknown", options["stack"])
    updater = Updater(desk, where, want, observe, limits)
    if step == "note":
        result = updater.note(options["phase"])
    else:
        result = updater.update() if step == "update" else updater.roll_back()
    told = result_of(updater, result)
    if told.pop("failed", False):
        module.fail_json(**told)
    module.exit_json(**told)


if __name__ == "__main__":
    main()
