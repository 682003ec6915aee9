#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cable_judge
short_description: Draw the cable map of a run and hold it against the planned pairs
version_added: 0.1.0
description:
  - Reads what every desk of the run answered (M(labops.dgx_spark.cx7_cable) and M(labops.dgx_spark.spark_facts)) and joins it to one map,
    matched by MAC address against the whole inventory.
  - Judges the map against the pairs of the inventory and finds the fewest hand movements that mend it.
  - Compares with the previous run, so that a moved cable is told.
options:
  show:
    description: Whether to print the map.
    type: bool
    default: false
  write_inventory:
    description: File to write the inventory to that matches the cabling; it must not exist. One-sided evidence makes no pair.
    type: path
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
seealso:
  - module: labops.dgx_spark.cx7_cable
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Which cable goes where
  labops.dgx_spark.cable_judge:
    show: true
  run_once: true
"""

RETURN = r"""
edges:
  description: The cables, each with its two ends, verdict, pair and evidence.
  returned: success
  type: list
  elements: dict
steps:
  description: The hand movements that make the cabling match the plan, in order.
  returned: success
  type: list
  elements: str
findings:
  description: Findings about cables.
  returned: success
  type: list
  elements: dict
inventory:
  description: The inventory that was written.
  returned: when write_inventory is given
  type: str
"""
