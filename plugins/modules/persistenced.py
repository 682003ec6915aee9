#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: persistenced
short_description: Assert the NVIDIA persistence daemon of a desk
version_added: 1.0.0
description:
  - Reports what the judgement of the facts (M(labops.dgx_spark.spark_facts), role C(desk_facts)) found about C(nvidia-persistenced). DGX OS
    enables it on its own, so drift is reported, and repaired only on request.
options:
  repair:
    description: Enable and start the unit if it is off.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reports what a repair would change.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  platform:
    description: DGX OS.
    support: full
    platforms: posix
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Assert the persistence daemon
  labops.dgx_spark.persistenced:
    repair: false
"""

RETURN = r"""
findings:
  description: What was judged, see docs/findings.md.
  returned: always
  type: list
  elements: dict
commands:
  description: The commands that were run (in check mode those that would be).
  returned: when a repair was needed and asked for
  type: list
  elements: list
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk

REPAIR = ["systemctl", "enable", "--now", "nvidia-persistenced.service"]
SECONDS = 60.0


def main() -> None:
    """Enable and start the unit; the action asks for it only where the facts show it off."""
    module = AnsibleModule(argument_spec={"repair": {"type": "bool", "default": False}}, supports_check_mode=True)
    if not module.params["repair"]:
        module.exit_json(changed=False, findings=[])
    claim(module, "persistenced")
    if not module.check_mode:
        answer = LiveDesk().run(REPAIR, timeout=SECONDS)
        if not answer.ok:
            said = " ".join((answer.stderr or answer.stdout).split())[-300:] or "no message"
            module.fail_json(msg=f"{' '.join(REPAIR)} failed ({answer.error or answer.rc}): {said}")
    module.exit_json(changed=True, commands=[REPAIR], findings=[])


if __name__ == "__main__":
    main()
