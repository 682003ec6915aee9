# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library packaging, in one place. ansible-core itself needs it, so that it is there wherever a playbook runs; only a reader of our
files without Ansible (a check of imports, say) may lack it."""

from __future__ import annotations

try:
    from packaging.markers import InvalidMarker, UndefinedComparison, UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
    from packaging.version import InvalidVersion, Version
except ImportError:
    PACKAGING = False
else:
    PACKAGING = True

__all__ = [
    "InvalidMarker",
    "InvalidRequirement",
    "InvalidSdistFilename",
    "InvalidSpecifier",
    "InvalidVersion",
    "InvalidWheelFilename",
    "Requirement",
    "SpecifierSet",
    "UndefinedComparison",
    "UndefinedEnvironmentName",
    "Version",
    "parse_sdist_filename",
    "parse_wheel_filename",
]

if not PACKAGING:
    globals().update(dict.fromkeys(__all__))
