#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: facts_judge
short_description: Judge what only the facts of all desks together show
version_added: 0.1.0
description:
  - Compares the facts that the desks of this run gave. Identities that two desks share, pairs whose desks differ, and the drift from
    a baseline.
  - Works on the run's folder alone; no desk is contacted. The findings become part of the run's report.
options:
  purpose:
    description: What the facts are judged for, as in O(labops.dgx_spark.spark_facts#module:judge_options).
    type: str
    choices: [audit, onboard, stack, stacked]
    default: audit
  baseline:
    description:
      - The wanted state. The name of a desk of this run, the path of a YAML file with wanted facts by dotted path or of a fleet lock
        file (C(playbooks/lock_from.yml)), or a mapping of wanted facts.
      - Without it no drift is judged.
    type: raw
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Compare the desks with each other and with desk-01
  labops.dgx_spark.facts_judge:
    baseline: desk-01
  run_once: true
"""

RETURN = r"""
findings:
  description: DESK_IDENTITY_DUPLICATE, PAIR_DRIFT, PAIR_USER_MISMATCH, CX7_FIRMWARE_DRIFT, CX7_MTU_MISMATCH and DRIFT_FROM_BASELINE.
  returned: always
  type: list
  elements: dict
desks:
  description: How many desks' facts were compared.
  returned: always
  type: int
"""
