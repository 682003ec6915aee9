# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""UTC time stamps on the controller."""

from __future__ import annotations

import datetime


def utc(moment: datetime.datetime | None = None) -> str:
    """ISO 8601 to the second, such as ``2026-11-22T10:15:00Z``."""
    return f"{moment or _now():%Y-%m-%dT%H:%M:%SZ}"


def utc_precise() -> str:
    """ISO 8601 to the microsecond: parts of a run are put in order by it."""
    return f"{_now():%Y-%m-%dT%H:%M:%S.%f}Z"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
