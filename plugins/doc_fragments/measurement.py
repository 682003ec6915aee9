# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rdma_pair and nccl_pair have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc and by `plugin_utils.documented`; the name is the loader's."""

    DOCUMENTATION = r"""
options:
  pair:
    description: Name of the pair in findings. Defaults to that of the run's plan.
    type: str
  peer:
    description: The peer's end of the cable, like O(head).
    type: dict
  ssh_port:
    description: ssh port of the other desks, if it is not 22.
    type: int
    default: 22
  ssh_ports:
    description: Desk to the port of its ssh, where those of a stack differ.
    type: dict
  user:
    description: The login user, the same on both desks. Defaults to that of the run's facts.
    type: str
  marks:
    description: A lab's own marks (C(name), C(value), C(bytes)) instead of the shipped ones; C(playbooks/calibrate.yml) writes them.
    type: list
    elements: dict
    default: []
  force:
    description:
      - Measure even while the GPU or RDMA of a desk is in use. This is checked on every desk right before and right after the measurement.
        A use found before prevents the measurement (PAIR_BUSY); one that began meanwhile invalidates it (PAIR_DISTURBED).
    type: bool
    default: false
attributes:
  check_mode:
    description: Measures nothing in check mode and reports NOT_MEASURED_CHECK_MODE.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  platform:
    description: DGX OS on a pair of DGX Sparks.
    support: full
    platforms: posix
"""
