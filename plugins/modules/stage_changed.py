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
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
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
