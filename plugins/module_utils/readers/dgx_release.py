# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/dgx-release: the factory image, then one appended block for each over-the-air update (OTA).

Values may be unquoted and OTA dates are localised text, so only the order of the blocks counts: the last one is what runs.
The chassis serial number in the file is left out of `read`; only `serial_number` gives it.
"""

from __future__ import annotations

import re
from typing import Any

from . import text as _text

_PASTED = re.compile(r"\b(DGX_[A-Z_]{1,32})=(\"[^\"]{0,200}\"|'[^']{0,200}'|[^\s\"',;]{1,200})")
_VERSION = re.compile(r"[0-9]{1,6}(?:\.[0-9A-Za-z+~-]{1,32}){1,8}")


def read(text: str) -> dict[str, Any]:
    """Keys: version (running: last OTA, else factory), factory_version, ota_history (versions in file order), ota_dates
    (texts as written), name, pretty_name, platform, build_date, commit_id. Null for what is not there; the running version
    is null too when the file breaks off inside the last one."""
    first: dict[str, str] = {}
    history: list[str | None] = []
    dates: list[str] = []
    for name, value in _pairs(text):
        if not value.strip('"' + "'"):
            continue
        if name == "DGX_OTA_VERSION":
            history.append(_version(value))
        elif name == "DGX_OTA_DATE":
            dates.append(_text.unquoted(value))
        else:
            first[name] = value if name == "DGX_SWBUILD_VERSION" else _text.unquoted(value)
    factory = _version(first.get("DGX_SWBUILD_VERSION", ""))
    return {
        "version": history[-1] if history else factory,
        "factory_version": factory,
        "ota_history": [version for version in history if version],
        "ota_dates": [item for item in (_text.word(date) for date in dates) if item],
        "name": _text.word(first.get("DGX_NAME")),
        "pretty_name": _text.word(first.get("DGX_PRETTY_NAME")),
        "platform": _text.word(first.get("DGX_PLATFORM")),
        "build_date": _text.word(first.get("DGX_SWBUILD_DATE")),
        "commit_id": _text.word(first.get("DGX_COMMIT_ID")),
    }


def _pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of the file in order, values with their quotes. Where somebody pasted it, one line holds several pairs or has words
    before its pair."""
    found: list[tuple[str, str]] = []
    for line in _text.lines(text.replace("\r\n", "\n").replace("\r", "\n")):
        pasted = [] if line.lstrip().startswith("#") else _PASTED.findall(line)
        own = [(key.removeprefix("export ").strip(), value) for key, value in _text.key_values(line, keep_quotes=True)]
        whole = [(key, _without_comment(value)) for key, value in own if re.fullmatch(r"DGX_[A-Z_]{1,32}", key)]
        found += pasted if len(pasted) > 1 or not whole else whole
    return found


def _without_comment(value: str) -> str:
    """A value that has no quotes, without the words that a comment adds behind it."""
    return value if value[:1] in ('"', "'") else value.partition(" #")[0].rstrip()


def _version(value: str) -> str | None:
    """A whole version; null for what the end of a truncated file left of one. DGX OS versions have three numbers, so one of
    three whose closing quote is gone is taken as whole."""
    quote = value[:1]
    plain = _text.word(_text.unquoted(value), 64)
    if plain is None or not _VERSION.fullmatch(plain):
        return None
    cut_off = quote in ('"', "'") and quote not in value[1:]
    return plain if not cut_off or plain.count(".") >= 2 else None


def serial_number(text: str) -> str | None:
    """The chassis serial number, for callers that were asked for it."""
    for key, value in _pairs(text):
        if key == "DGX_SERIAL_NUMBER":
            return _text.word(_text.unquoted(value))
    return None
