# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices as ``fwupdmgr get-devices --json`` and ``fwupdmgr get-updates --json`` tell them."""

from __future__ import annotations

from typing import Any

from . import text as _text

DEVICES = 256


def read(text: str) -> list[dict[str, Any]] | None:
    """Each device: name, version, vendor, offered (version of the first release), problems, id; null for what is no such answer."""
    data = _text.json_value(text)
    listed = data.get("Devices") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        return None
    found = []
    for item in listed[:DEVICES]:
        name = _text.word(item.get("Name"), 200) if isinstance(item, dict) else None
        if name is None:
            continue
        releases = item.get("Releases")
        newest = releases[0] if isinstance(releases, list) and releases and isinstance(releases[0], dict) else {}
        problems = item.get("Problems")
        found.append(
            {
                "id": _text.word(item.get("DeviceId"), 80),
                "name": name,
                "version": _text.word(item.get("Version"), 80),
                "vendor": _text.word(item.get("Vendor"), 80),
                "offered": _text.word(newest.get("Version"), 80),
                "problems": [word for entry in (problems if isinstance(problems, list) else [])[:16] if (word := _text.word(entry, 80))],
            }
        )
    return found
