# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of findings: system."""

from __future__ import annotations

from .code import Code

CODES: tuple[Code, ...] = ()
