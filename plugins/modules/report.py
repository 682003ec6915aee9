#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Make the report of a run
version_added: 0.1.0
description:
  - Makes C(report.json), C(index.html), C(junit.xml), C(metrics.prom) and C(summary.txt) from the parts of the run.
  - Prints the verdict table.
  - Succeeds whatever the verdict is; M(labops.dgx_spark.verdict) fails afterwards on exactly the guilty desks.
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Write the report
  labops.dgx_spark.report:
  run_once: true
  register: spark_report
"""

RETURN = r"""
path:
  description: Folder of the run with the report.
  returned: success
  type: str
pairs:
  description: Verdict (PASS, WARN, UNKNOWN, FAIL) by pair.
  returned: success
  type: dict
desks:
  description: Verdict by desk.
  returned: success
  type: dict
guilty:
  description: Desk to the reason why it ends the run as failed.
  returned: success
  type: dict
"""
