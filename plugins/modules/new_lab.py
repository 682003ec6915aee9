#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: new_lab
short_description: Write a sample inventory, ansible.cfg and .gitignore for a new lab
version_added: 0.1.0
description:
  - Starts the folder of a lab on the controller. It writes C(inventory/lab.desks.csv), C(inventory/group_vars/spark_desks.yml),
    C(ansible.cfg) (the inventory plugin, forks, the collection's path if Ansible does not look there anyway) and a C(.gitignore) that
    keeps secrets and reports out of git, and prints the next three commands.
  - An existing file is never touched.
options:
  folder:
    description: The folder, created if it is missing; relative to the working directory.
    type: path
    default: .
  sheet:
    description: Format of the sample lab sheet.
    type: str
    choices: [csv, yaml]
    default: csv
  user:
    description: The login user that the first-boot wizard created on the desks.
    type: str
    default: labadmin
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: A folder for the lab of building 7
  labops.dgx_spark.new_lab:
    folder: ~/lab-7
    user: lab
"""

RETURN = r"""
folder:
  description: The folder.
  returned: success
  type: str
created:
  description: Files below the folder that were written (in check mode, that would be).
  returned: success
  type: list
  elements: str
kept:
  description: Files that already existed and are unchanged.
  returned: success
  type: list
  elements: str
next:
  description: What is printed about the next steps.
  returned: success
  type: list
  elements: str
"""
