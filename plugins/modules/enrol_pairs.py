# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: enrol_pairs
short_description: Compare the login users of the two desks of each pair
version_added: 0.1.0
description:
  - Reads what M(labops.dgx_spark.enrol_desk) found in this run and tells the pairs whose desks have another login user, uid or gid.
  - Run it once, with C(run_once), after all desks.
attributes:
  check_mode:
    description: Works in check mode as without it.
    support: full
  diff_mode:
    description: There is nothing to show a difference of.
    support: none
  platform:
    description: Runs on the controller; no desk is contacted.
    support: full
    platforms: posix
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Compare the login users of each pair
  labops.dgx_spark.enrol_pairs:
  run_once: true
"""

RETURN = r"""
findings:
  description: PAIR_USER_MISMATCH for each pair whose login users differ.
  returned: always
  type: list
  elements: dict
"""
