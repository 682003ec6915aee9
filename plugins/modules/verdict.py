#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: verdict
short_description: Fail on the desks whose verdict is bad
version_added: 0.1.0
description:
  - Fails on exactly those desks whose own verdict, or whose pair's, is FAIL or UNKNOWN, so that the recap names them.
options:
  report:
    description: Result of M(labops.dgx_spark.report).
    type: dict
    required: true
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Verdict
  labops.dgx_spark.verdict:
    report: "{{ spark_report }}"
"""

RETURN = r"""
msg:
  description: The verdict and the reason.
  returned: always
  type: str
"""
