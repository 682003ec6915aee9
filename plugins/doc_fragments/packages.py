# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of driver_lock and desk_update: which driver packages a desk may have, and from where."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc and by `plugin_utils.documented`; the name is the loader's."""

    DOCUMENTATION = r"""
options:
  branch:
    description: Driver branch. DGX OS 7 has 580.
    type: int
    default: 580
  allow_downgrade:
    description: Whether O(versions) may bring a package to an older version.
    type: bool
    default: false
  refused_archives:
    description: Archives (C(Pin) expressions of apt_preferences) from which no driver package is taken.
    type: list
    elements: str
    default: ['release l=NVIDIA CUDA']
  trusted_archives:
    description: When given, driver packages of the branch come from these archives only (C(Pin) expressions).
    type: list
    elements: str
    default: []
  desk:
    description: Name of the desk in findings; the host name when not given.
    type: str
attributes:
  platform:
    description: DGX OS 7 (Ubuntu 24.04).
    support: full
    platforms: debian
"""
