#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_history
short_description: List, compare, export and prune the runs of a folder of reports
version_added: 1.0.0
description:
  - The history is one SQLite file (C(history.sqlite)) beside the reports. It is built from their C(report.json) and adds any that it
    does not know yet, including those that another controller wrote.
  - Without options, it lists the runs.
options:
  report_dir:
    description: The folder of the reports.
    type: path
    default: reports
  limit:
    description: How many runs to list, newest first; 0 lists all.
    type: int
    default: 20
  compare:
    description: Two runs (ids, parts of ids, C(last), C(last-1)) whose verdicts, figures and desks to compare.
    type: list
    elements: str
  export:
    description: Write every figure of every run to this CSV file.
    type: path
  prune:
    description: Forget runs older than C(90) or C(90d) days, or all but the newest C(keep=20). The newest run always stays.
    type: str
  prune_reports:
    description: Also remove the folders of forgotten runs.
    type: bool
    default: false
  rebuild:
    description: Forget everything, including what was pruned, and read every report again.
    type: bool
    default: false
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: What changed between the last two runs
  labops.dgx_spark.run_history:
    compare: [last-1, last]

- name: Keep three months
  labops.dgx_spark.run_history:
    prune: 90d
    prune_reports: true
"""

RETURN = r"""
lines:
  description: What was printed.
  returned: success
  type: list
  elements: str
"""
