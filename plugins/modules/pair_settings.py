#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pair_settings
short_description: Write the settings that a pair of DGX Sparks was proven with
version_added: 1.0.0
description:
  - Writes C(/etc/dgx_spark/pair.env), the MPI hostfile, the names C(pair-head) and C(pair-peer) and C(pair-check) after a proof,
    withdraws them after a failure and marks them stale when nothing was measured.
  - Runs M(labops.dgx_spark.pair_files) on the desk only when there is something to do.
  - An action plugin; it needs the run's plan as C(spark_plan).
options:
  state:
    description: C(present) follows what the run measured, C(absent) removes the settings.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Plans and changes nothing in check mode.
    support: full
  diff_mode:
    description: Shows what M(labops.dgx_spark.pair_files) shows.
    support: full
  platform:
    description: DGX OS.
    support: full
    platforms: posix
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Write the proven settings
  labops.dgx_spark.pair_settings:
  become: true
"""

RETURN = r"""
commands:
  description: The commands that were run on the desk; empty when there was nothing to do.
  returned: always
  type: list
  elements: list
settings:
  description: What the run found about the pair, C(proven), C(failed), C(unknown), or C(kept) in check mode.
  returned: when present was wanted
  type: str
"""
