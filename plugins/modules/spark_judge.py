#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spark_judge
short_description: Judge what only all desks of a run together can show
version_added: 1.0.0
description:
  - Internal to the playbooks of this collection. Reads what the stages of the run left behind; contacts no desk.
  - V(desks) looks for desks that share an identity, desks of a stack that differ, and drift from C(audit_baseline).
  - V(cables) combines every desk's answer (M(labops.dgx_spark.cx7_cable)) into one cable map, matched by MAC address against the whole
    inventory, compares it with the planned stacks, finds the fewest re-plugs that fix it, and compares with the previous run.
  - V(logins) compares the login users of each stack after enrolment.
  - V(updates) compares what an update would do to each desk with the other desks, and prints the plan.
options:
  subject:
    description: What to judge.
    type: str
    choices: [desks, cables, logins, updates]
    required: true
  show:
    description: With V(cables), whether to print the map.
    type: bool
    default: false
  write_inventory:
    description:
      - With V(cables), a file for an inventory that matches the cabling; it must not exist. One-sided evidence does not make a pair.
    type: path
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
seealso:
  - module: labops.dgx_spark.cx7_cable
  - module: labops.dgx_spark.spark_facts
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Which cable goes where
  labops.dgx_spark.spark_judge:
    subject: cables
    show: true
  run_once: true
"""

RETURN = r"""
findings:
  description: What was found, see docs/findings.md.
  returned: success
  type: list
  elements: dict
edges:
  description: The cables, each with its two ends, verdict, pair and evidence.
  returned: with subject cables
  type: list
  elements: dict
steps:
  description: The re-plugs that make the cabling match the plan, in order.
  returned: with subject cables
  type: list
  elements: str
inventory:
  description: The inventory that was written.
  returned: when write_inventory is given
  type: str
"""
