#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stage_waves
short_description: Choose which pairs a changing stage takes first
version_added: 0.1.0
description:
  - Splits the desks of the run into waves for a stage that can cost a desk its network. M(labops.dgx_spark.stage_gate) keeps a wave
    from starting when one before it lost a desk.
  - A pair goes as a whole; a desk in no pair goes alone. Pairs that are skipped anyway are not counted.
  - How many pairs a wave takes is O(labops.dgx_spark.run_begin#module:waves). Where nothing is wished one pair goes first and then all
    others; links go all at once where a whole pair of the run carries a link of this collection already. In check mode all go at once.
options:
  stage:
    description: Name of the stage.
    type: str
    required: true
  scope:
    description: As in O(labops.dgx_spark.stage_gate#module:scope).
    type: str
    choices: [desk, pair, head]
    default: desk
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
seealso:
  - module: labops.dgx_spark.stage_gate
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Which pairs are linked first
  labops.dgx_spark.stage_waves:
    stage: link
    scope: pair
  run_once: true
  register: spark_waves_of_link
"""

RETURN = r"""
waves:
  description: The waves in their order.
  returned: success
  type: list
  elements: dict
  contains:
    number:
      description: From 1.
      type: int
    desks:
      description: The desks that the stage runs on in this wave.
      type: list
      elements: str
    after:
      description: The desks of all waves before.
      type: list
      elements: str
"""
