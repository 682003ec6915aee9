# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dpkg-query -W`` with tab-separated fields (name, version and, in the full form, architecture and status), in any other format that
is named, and the table of ``dpkg -l``."""

from __future__ import annotations

import re
from typing import Any

from . import text as _text
from .dpkg_status import PACKAGES_LIMIT, entry

_FIELD = re.compile(r"\$\{([A-Za-z:-]{1,40})(?:;[^}]{0,20})?\}")
_NAMES = {"Package": "name", "binary:Package": "name", "Version": "version", "Architecture": "architecture"}
_NAMES |= {"Status": "status", "db:Status-Abbrev": "short", "db:Status-Want": "want", "db:Status-Status": "state"}
_WANTS = {"u": "unknown", "i": "install", "h": "hold", "r": "deinstall", "p": "purge"}
_STATES = {"n": "not-installed", "c": "config-files", "H": "half-installed", "U": "unpacked", "F": "half-configured"}
_STATES |= {"W": "triggers-awaited", "t": "triggers-pending", "i": "installed"}
_ROW = re.compile(r"([uihrp])([ncHUFWti])(R?)\s{1,8}(\S{1,200})\s{1,200}(\S{1,200})\s{1,80}(\S{1,32})")


def read(text: str, form: str | None = None) -> list[dict[str, Any]]:
    """A list of packages with the keys of `dpkg_status`. In the short form (name and version) a package with a version counts as
    installed and its wanted action is not known (null). ``form`` is the format of another question (``${Package} ${Version}``)."""
    found: list[dict[str, Any]] = []
    fields = [_NAMES.get(name) for name in _FIELD.findall(form or "")]
    for line in _text.lines(text):
        if len(found) >= PACKAGES_LIMIT:
            break
        row = _ROW.match(line) if form is None else None
        cells = line.split("\t")
        if row:
            found += _described(row.group(4), row.group(5), row.group(6), row.group(1) + row.group(2) + row.group(3))
        elif form is not None:
            found += _formed(line, fields)
        elif len(cells) >= 4:
            found += entry(cells[0].partition(":")[0], cells[1], cells[2], cells[3])
        elif len(cells) == 2 and cells[1].strip():
            found += _installed(cells[0], cells[1], None)
    return found


def _installed(name: str, version: str, architecture: str | None) -> list[dict[str, Any]]:
    return [item | {"want": None} for item in entry(name.partition(":")[0], version, architecture, "unknown ok installed")]


def _described(name: str, version: str, architecture: str | None, letters: str) -> list[dict[str, Any]]:
    """A package with the letters of dpkg's own table, such as ii, hi or iFR."""
    want, state = _WANTS.get(letters[:1]), _STATES.get(letters[1:2])
    if want is None or state is None:
        return []
    error = "reinstreq" if letters[2:3] == "R" else "ok"
    return entry(name.partition(":")[0], version, architecture, f"{want} {error} {state}")


def _formed(line: str, fields: list[str | None]) -> list[dict[str, Any]]:
    """One line of a question with a format of its own. Only a status has blanks inside, and always three words."""
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) != len(fields):
        words = line.replace(",", " ").replace("|", " ").replace("=", " ").split()
        cells = []
        for name in fields:
            count = 3 if name == "status" else 1
            cells.append(" ".join(words[:count]))
            words = words[count:]
    values = {name: cell for name, cell in zip(fields, cells, strict=False) if name}
    name, version = values.get("name", ""), values.get("version", "")
    if values.get("status"):
        return entry(name.partition(":")[0], version, values.get("architecture"), values["status"])
    if values.get("short"):
        return _described(name, version, values.get("architecture"), values["short"])
    if values.get("state"):
        return entry(name.partition(":")[0], version, values.get("architecture"), f"{values.get('want') or 'install'} ok {values['state']}")
    return _installed(name, version, values.get("architecture")) if version else []
