#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dgx_os
short_description: Report what a desk's facts show about its DGX OS
version_added: 1.0.0
description:
  - Reports what the judgement of the facts (M(labops.dgx_spark.spark_facts), role C(desk_facts)) found about machine and DGX OS. A version
    that could not be read is unknown, never accepted.
  - The oldest DGX OS that is accepted is the variable C(dgx_os_minimum), which that judgement reads.
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
options: {}
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Read the desk and judge its facts
  ansible.builtin.import_role:
    name: labops.dgx_spark.desk_facts
  vars:
    dgx_os_minimum: 7.4.0

- name: Report what they show about DGX OS
  labops.dgx_spark.dgx_os:
"""

RETURN = r"""
findings:
  description: What was judged, see docs/findings.md.
  returned: always
  type: list
  elements: dict

dgx_os:
  description: Version, factory image and history of updates.
  returned: always
  type: dict
"""
