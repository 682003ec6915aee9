# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/dgx-release: the factory image, then one appended block for each over-the-air update (OTA).

Values may be unquoted and OTA dates are localised text, so only the order of the blocks counts: the last one is what runs.
The chassis serial number in the file is left out of `read`; only `serial_number` gives it.
"""

from __future__ import annotations

from typing import Any

from . import text as _text


def read(text: str) -> dict[str, Any]:
    """Keys: version (running: last OTA, else factory), factory_version, ota_history (versions in file order), ota_dates
    (texts as written), name, pretty_name, platform, build_date, commit_id. Null for what is not there."""
    first: dict[str, str] = {}
    history: list[str] = []
    dates: list[str] = []
    for key, value in _text.key_values(text):
        name = key.removeprefix("export ").strip()
        if not value:
            continue
        if name == "DGX_OTA_VERSION":
            history.append(value)
        elif name == "DGX_OTA_DATE":
            dates.append(value)
        else:
            first[name] = value
    factory = _text.word(first.get("DGX_SWBUILD_VERSION"))
    versions = [item for item in (_text.word(version) for version in history) if item]
    return {
        "version": versions[-1] if versions else factory,
        "factory_version": factory,
        "ota_history": versions,
        "ota_dates": [item for item in (_text.word(date) for date in dates) if item],
        "name": _text.word(first.get("DGX_NAME")),
        "pretty_name": _text.word(first.get("DGX_PRETTY_NAME")),
        "platform": _text.word(first.get("DGX_PLATFORM")),
        "build_date": _text.word(first.get("DGX_SWBUILD_DATE")),
        "commit_id": _text.word(first.get("DGX_COMMIT_ID")),
    }


def serial_number(text: str) -> str | None:
    """The chassis serial number, for callers that were asked for it."""
    for key, value in _text.key_values(text):
        if key.removeprefix("export ").strip() == "DGX_SERIAL_NUMBER":
            return _text.word(value)
    return None
