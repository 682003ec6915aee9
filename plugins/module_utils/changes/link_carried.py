# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The link program as one text, from the modules that it is made of."""

from __future__ import annotations

from .. import desk
from ..programs import carrier
from .link_program import arming, change, files, live, main, names, settling, stage, steps, undoing, wire

MODULES = (desk, names, steps, files, stage, live, arming, undoing, change, settling, wire, main)
"""Each stands behind those that it imports."""


def program() -> str:
    """The text that is fed to an interpreter, and that lies on the desk as ``undo.py``."""
    return carrier.text(MODULES)
