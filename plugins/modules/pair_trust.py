#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pair_trust
short_description: Let the two DGX Sparks of a pair log in to each other
version_added: 1.0.0
description:
  - Creates the pair's key on the desk, lets the peer's key run commands from the peer's fabric addresses only, copies the peer's ssh host
    keys over Ansible's own connection, opens the firewall for the peer on the pair's fabric interfaces, closes Open MPI's ports to others,
    or removes all of it.
  - Works out on the controller, from both desks' facts in the run, what there is to do, and runs M(labops.dgx_spark.pair_files) on the desk
    only if there is something.
  - An action plugin; it needs the run's plan as C(spark_plan).
options:
  state:
    description: C(keys) creates the desk's own key, C(present) exchanges keys, C(absent) removes everything.
    type: str
    choices: [keys, present, absent]
    default: present
  bootstrap:
    description: Which addresses the desks use to reach each other.
    type: str
    choices: [fabric, management]
    default: fabric
  open_firewall:
    description: Whether to allow the peer's addresses in on the pair's fabric interfaces.
    type: bool
    default: true
  guard_mpi:
    description: Whether to keep everybody but the login user of the pair's desks away from the ports that Open MPI uses in a measurement.
    type: bool
    default: true
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
- name: Exchange keys with the peer
  labops.dgx_spark.pair_trust:
    state: present
  become: true
"""

RETURN = r"""
commands:
  description: The commands that were run on the desk; empty when there was nothing to do.
  returned: always
  type: list
  elements: list
unguarded:
  description: Why Open MPI's ports stay open to everybody, which is PAIR_MPI_PORTS_OPEN as well.
  returned: when they should be guarded and cannot be
  type: str
"""
