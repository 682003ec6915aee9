#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: desk_reboot
short_description: Reboot a desk if that is needed, allowed and safe
version_added: 1.0.0
description:
  - Reads the desk again when it may need a reboot. Refuses when the kernel that would start next has no driver module, when the desk
    is in use, when packages are half installed or being changed, or when the pair's other desk has not come back.
  - One desk of a pair at a time. Afterwards the desk is read again.
options:
  policy:
    description:
      - V(never) does nothing; V(if_needed) reboots a desk that needs it; V(always) reboots it in any case.
      - Refusals hold for all of them.
    type: str
    choices: [never, if_needed, always]
    default: never
  force:
    description: Reboot even if the desk is in use.
    type: bool
    default: false
  patience:
    description: Seconds to wait for the desk. Firmware updates before the boot take about 15 minutes.
    type: int
    default: 1800
attributes:
  check_mode:
    description: Says whether the desk would be rebooted.
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
- name: Reboot a desk that needs it
  labops.dgx_spark.desk_reboot:
    policy: if_needed
"""

RETURN = r"""
findings:
  description: What was judged, see docs/findings.md.
  returned: always
  type: list
  elements: dict

rebooted:
  description: Whether the desk was rebooted and is back.
  returned: always
  type: bool
reasons:
  description: Why the desk needs a reboot.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim

GOING_DOWN = 180
"""Seconds that the desk stays taken: the reboot itself is another module, which begins when this one has ended."""


def main() -> None:
    """Take the desk for the run that is about to reboot it; everything else is done on the controller."""
    module = AnsibleModule(
        argument_spec={
            "policy": {"type": "str", "choices": ["never", "if_needed", "always"], "default": "never"},
            "force": {"type": "bool", "default": False},
            "patience": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    if module.params["policy"] != "never":
        claim(module, "desk_reboot", keep=GOING_DOWN)
    module.exit_json(changed=False, rebooted=False, reasons=[], findings=[])


if __name__ == "__main__":
    main()
