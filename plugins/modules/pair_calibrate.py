#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pair_calibrate
short_description: Write a lab's own marks from good pairs
version_added: 1.0.0
description:
  - Takes the measurements of this run and writes marks five percent below the slowest of them to a file of variables.
  - Refuses fewer than three measurements, pairs with a failing finding other than being slow, and marks at or below the known sick states.
  - An action plugin; it needs the run's plan as C(spark_plan) and runs on the controller only.
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
options:
  path:
    description: The file of variables on the controller, which gets C(pair_proof_marks). One that holds other variables is refused.
    type: path
    default: spark_marks.yml
  runs:
    description: Only hold this number of measurements for each pair against the three that a mark needs, before any desk is measured.
    type: int
attributes:
  check_mode:
    description: Writes nothing in check mode.
    support: full
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Refuse too few measurements
  labops.dgx_spark.pair_calibrate:
    runs: 3

- name: Write the marks
  labops.dgx_spark.pair_calibrate:
    path: group_vars/all/spark_marks.yml
"""

RETURN = r"""
marks:
  description: The marks that were written.
  returned: written
  type: list
  elements: dict
path:
  description: The file.
  returned: written
  type: str
"""
