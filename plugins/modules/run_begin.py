#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_begin
short_description: Begin a run and refuse a broken inventory
version_added: 0.1.0
description:
  - Reads the pairs of the inventory (child groups of C(spark_pairs)) and refuses a broken inventory before any desk is touched.
  - Makes the folder of the run on the controller and returns the plan that every later task of the run uses.
  - Run it once, with C(run_once), and register it as C(spark_plan).
options:
  playbook:
    description: Name of the playbook; decides which checks a verdict requires.
    type: str
    required: true
  needs_pairs:
    description: Whether to refuse an inventory without pairs.
    type: bool
    default: false
  report_dir:
    description: Folder on the controller below which the run's folder is made; relative to the working directory.
    type: path
    default: reports
  waves:
    description:
      - How many pairs each wave of a stage takes that can cost a desk its network, as whole numbers or as percentages of the pairs that
        take part, see M(labops.dgx_spark.stage_waves). The last entry repeats until all are taken.
    type: list
    elements: raw
  notes:
    description: Sentences that the report shows.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Begin a run
  labops.dgx_spark.run_begin:
    playbook: stack_pair
    needs_pairs: true
  run_once: true
  register: spark_plan
"""

RETURN = r"""
run_id:
  description: Identifier of the run, UTC time and four random hex digits.
  returned: success
  type: str
  sample: 20261122T101500Z-3f2a
run_dir:
  description: Folder of the run on the controller.
  returned: success
  type: str
pairs:
  description: The pairs in natural name order, with head, peer, members, topology, out_of_service, in_scope and complete.
  returned: success
  type: list
  elements: dict
desks:
  description: Every desk of the inventory by name, with address, pair, peer, head, position, out_of_service and in_scope.
  returned: success
  type: dict
findings:
  description: Findings about the run itself, such as too few forks.
  returned: success
  type: list
  elements: dict
"""
