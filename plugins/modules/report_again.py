#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report_again
short_description: Rebuild the report of a run, or combine several runs in one
version_added: 1.0.0
description:
  - Rebuilds page, tables and metrics from a run's C(report.json), which itself stays as it is.
  - A run that was interrupted has none yet; it is built from what its stages left, and what was not reached is UNKNOWN.
  - Several runs become one report, in which the newest run of each desk counts, and for each stack the newest that had all of its desks.
options:
  runs:
    description: Runs, as ids, parts of ids, paths of their folders, or C(last).
    type: list
    elements: str
    default: []
  report_dir:
    description: The folder of the reports.
    type: path
    default: reports
  to:
    description: Where to write the report; defaults to the run's own folder, or to C(merged/TIME) below O(report_dir) for several runs.
    type: path
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: One page of two nights
  labops.dgx_spark.report_again:
    runs: [20261123T101500Z-3f2a, 20261124T101500Z-91bc]
"""

RETURN = r"""
path:
  description: Folder of the report.
  returned: success
  type: str
runs:
  description: Folders that were read.
  returned: success
  type: list
  elements: str
"""
