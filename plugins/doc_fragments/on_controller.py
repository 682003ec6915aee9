# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes of the modules that only their action plugin runs, on the controller."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc; the name is the loader's."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Works the same in check mode, since nothing on a desk is touched.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  platform:
    description: Runs on the controller; no desk is contacted.
    support: full
    platforms: posix
"""
