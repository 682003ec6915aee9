#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cx7_cable
short_description: Find out what is at the other end of a DGX Spark's QSFP cables
version_added: 1.0.0
description:
  - Finds out, for both QSFP cages of the desk, who answers there - by an IPv6 all-nodes echo on each ConnectX-7 function and the neighbour
    table that results, and by LLDP where C(lldpd) runs. Nothing is configured, no address is needed, and no packet leaves the cable.
  - If no neighbour was seen on a cage with a signal, and the module runs as root, it sends and listens for raw frames
    (EtherType 0x88B6) for a while. All desks must do this at the same time.
  - As root it also reads the plug's memory (vendor, part, serial number) through C(ethtool -m). It never uses mstflint or mlxlink and never
    rescans the PCI bus.
  - Which desk a MAC address belongs to is decided on the controller by M(labops.dgx_spark.spark_judge).
options:
  desk:
    description:
      - Name of the desk.
      - The action plugin fills in the inventory name.
    type: str
    default: desk
  run_id:
    description:
      - Identifier of the run; raw frames of other runs are ignored.
      - The action plugin fills it in.
    type: str
    default: none
  frames:
    description:
      - Whether raw frames may be used where nothing else found a neighbour.
      - With V(needs_forks) they are not used because Ansible works on fewer desks at a time than the run has; the action plugin sets this.
    type: str
    choices: [auto, 'off', needs_forks]
    default: auto
  frames_seconds:
    description:
      - Longest time to send and listen for raw frames. It ends as soon as both ends have heard each other.
      - The action plugin sets it so that all desks of a run stop at the same moment.
    type: float
    default: 6.0
  partners:
    description:
      - How many other desks are expected behind a cage, more than one on a switch. Raw frames go on until so many were heard.
      - The action plugin sets it from the plan.
    type: int
    default: 1
attributes:
  check_mode:
    description: The module only reads, so it does the same in check mode.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
  platform:
    description: DGX OS.
    support: full
    platforms: posix
notes:
  - An interface that is administratively down is not switched on, since the module changes nothing; its cage is then reported as not seen.
seealso:
  - module: labops.dgx_spark.spark_judge
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Ask the cables
  labops.dgx_spark.cx7_cable:
  become: true
  register: cable

- name: Ask without raw frames
  labops.dgx_spark.cx7_cable:
    frames: 'off'
"""

RETURN = r"""
cable:
  description: What the desk saw.
  returned: success
  type: dict
  contains:
    desk:
      description: Name of the desk.
      type: str
    ports:
      description: For each cage of the desk, its signal, its functions with the neighbours that they saw, and the plug's memory.
      type: list
      elements: dict
    privileged:
      description: Whether it ran as root.
      type: bool
    nic_present:
      description: Whether a ConnectX-7 function is present; V(null) when that could not be read.
      type: bool
    hotplug_enabled:
      description: Whether the desk powers the adapter off when no cable is in.
      type: bool
    powered:
      description: Whether the adapter is powered, according to the hotplug driver.
      type: bool
    frames:
      description: What became of the raw frames - V(used), V(not_needed), V(not_privileged), V(needs_forks), V(off) or V(failed).
      type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.frames import LiveFrames
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.cable import read_cables
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "desk": {"type": "str", "default": "desk"},
            "run_id": {"type": "str", "default": "none"},
            "frames": {"type": "str", "choices": ["auto", "off", "needs_forks"], "default": "auto"},
            "frames_seconds": {"type": "float", "default": 6.0},
            "partners": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    privileged = os.geteuid() == 0
    wanted = module.params["frames"]
    state = wanted if wanted != "auto" else "not_needed" if privileged else "not_privileged"
    probe = read_cables(
        LiveDesk(),
        name=module.params["desk"],
        run=module.params["run_id"],
        privileged=privileged,
        frames=LiveFrames() if wanted == "auto" and privileged else None,
        frames_state=state,
        seconds=min(max(module.params["frames_seconds"], 1.0), 300.0),
        partners=max(module.params["partners"], 1),
    )
    module.exit_json(changed=False, cable=as_dict(probe))


if __name__ == "__main__":
    main()
