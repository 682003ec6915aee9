# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dpkg-query -W`` with tab-separated fields: name, version and, in the full form, architecture and status."""

from __future__ import annotations

from typing import Any

from . import text as _text
from .dpkg_status import PACKAGES_LIMIT, entry


def read(text: str) -> list[dict[str, Any]]:
    """A list of packages with the keys of `dpkg_status`. In the short form (name and version) a package with a version counts as
    installed and its wanted action is not known (null)."""
    found: list[dict[str, Any]] = []
    for line in _text.lines(text):
        cells = line.split("\t")
        if len(found) >= PACKAGES_LIMIT:
            break
        if len(cells) >= 4:
            found += entry(cells[0].partition(":")[0], cells[1], cells[2], cells[3])
        elif len(cells) == 2 and cells[1].strip():
            found += [item | {"want": None} for item in entry(cells[0].partition(":")[0], cells[1], None, "unknown ok installed")]
    return found
