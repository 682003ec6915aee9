#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dgx_os
short_description: Hold the facts of a desk against what DGX OS must be
version_added: 0.1.0
description:
  - Judges machine and DGX OS from the facts of the run. A version that could not be read is unknown, never accepted.
options:
  minimum:
    description: Oldest DGX OS that is accepted.
    type: str
attributes:
  check_mode:
    description: Changes nothing.
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
- name: Is this DGX OS 7.4.0 or newer
  labops.dgx_spark.dgx_os:
    minimum: 7.4.0
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
