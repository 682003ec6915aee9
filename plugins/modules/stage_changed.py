#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stage_changed
short_description: Tell whether a stage of the run changed the desk
version_added: 0.1.0
description:
  - Says which stages of this run changed the desk since its facts were read, so that facts are read again only then.
attributes:
  check_mode:
    description: Works in check mode as without it, since nothing on a desk is touched.
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
- name: Ask whether facts are stale
  labops.dgx_spark.stage_changed:
  register: spark_changed
"""

RETURN = r"""
any:
  description: Whether a stage changed the desk.
  returned: success
  type: bool
stages:
  description: Names of those stages.
  returned: success
  type: list
  elements: str
"""
