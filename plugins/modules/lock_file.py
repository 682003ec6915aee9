#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lock_file
short_description: Write the fleet's lock file from a known-good desk
version_added: 1.0.0
description:
  - Writes a desk's driver, kernel, modules, DGX OS release, NCCL, ConnectX-7 firmware and package versions, as in this run's facts,
    to a YAML file on the controller. Refused for a desk that is not PASS.
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
options:
  path:
    description: File on the controller.
    type: str
    required: true
  branch:
    description: Driver branch.
    type: int
    default: 580
attributes:
  check_mode:
    description: Says whether the file would change.
    support: full
  diff_mode:
    description: The file before and after.
    support: full
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Let this desk represent the fleet
  labops.dgx_spark.lock_file:
    path: fleet.lock.yml
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
facts:
  description: Wanted facts.
  returned: always
  type: dict
packages:
  description: Wanted versions.
  returned: always
  type: dict
"""
