#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stage_gate
short_description: Decide whether a stage concerns a desk
version_added: 0.1.0
description:
  - Looks at what the earlier stages of the run wrote and at the plan, and says whether the stage shall run for this desk.
options:
  stage:
    description: Name of the stage.
    type: str
    required: true
  scope:
    description: >-
      C(desk) runs unless the desk broke before; C(pair) runs when both desks of the pair are in the run and have not failed;
      C(head) is C(pair) on the head of the pair only.
    type: str
    choices: [desk, pair, head]
    default: desk
  despite:
    description: Stages whose failing findings do not keep this one from running.
    type: list
    elements: str
    default: []
  after:
    description:
      - Desks on which this stage ran in earlier waves (M(labops.dgx_spark.stage_waves)). When it lost one of them, the stage does not
        run here.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Shall the link stage run here
  labops.dgx_spark.stage_gate:
    stage: link
    scope: pair
  register: spark_gate
"""

RETURN = r"""
proceed:
  description: Whether the stage shall run.
  returned: success
  type: bool
silent:
  description: Whether the stage never was this desk's business, so that nothing needs to be reported.
  returned: success
  type: bool
reason:
  description: Why the stage does not run; empty when it does.
  returned: success
  type: str
findings:
  description: WAVE_STOPPED when a wave before lost a desk.
  returned: success
  type: list
  elements: dict
started:
  description: UTC time.
  returned: success
  type: str
"""
