# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another run works on the desk."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.finding import Finding, Where
from .catalogue import finding


def held(where: Where, desk: str, holder: Mapping[str, str]) -> Finding:
    """RUN_ELSEWHERE: who has the desk, since when and what for, as far as it was told."""
    by = f" of {holder['by']}" if holder.get("by") else ""
    since = f" since {holder['since']}" if holder.get("since") else ""
    what = f" ({holder['what']})" if holder.get("what") else ""
    process = f", process {holder['process']} of user id {holder['uid']}" if holder.get("process") else ""
    message = f"{desk}: another run is working on this desk: {holder.get('run') or 'it did not say which'}{by}{since}{what}{process}."
    return finding("RUN_ELSEWHERE", where, message, evidence=dict(holder))
