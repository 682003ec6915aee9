# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error of a link change, and the place where tests let it crash."""

from __future__ import annotations


class ChangeError(Exception):
    """The change cannot go on; the text says why in one line."""


def after_step(name: str) -> None:
    """Called after each step that leaves a trace. Tests put a crash here."""
