#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stage_end
short_description: Write what a stage gave for a desk
version_added: 0.1.0
description:
  - Writes the results of a stage, or the error that ended it, into the folder of the run (C(parts/STAGE/DESK.json)).
options:
  stage:
    description: Name of the stage.
    type: str
    required: true
  gate:
    description: Result of M(labops.dgx_spark.stage_gate).
    type: dict
    default: {}
  result:
    description: Result of the stage's role.
    type: dict
    default: {}
  failed_task:
    description: Name of the task that failed, if one did.
    type: str
    default: ""
  failed_result:
    description: Result of the task that failed, if one did.
    type: dict
    default: {}
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Write the part of the link stage
  labops.dgx_spark.stage_end:
    stage: link
    gate: "{{ spark_gate }}"
    result: "{{ pair_link_result }}"
"""

RETURN = r"""
state:
  description: How the stage ended for the desk, C(done), C(failed), C(skipped), or C(none) where it was not the desk's business.
  returned: success
  type: str
reason:
  description: Why it failed or was skipped.
  returned: success
  type: str
findings:
  description: The findings of the stage.
  returned: success
  type: list
  elements: dict
"""
