# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dpkg database /var/lib/dpkg/status."""

from __future__ import annotations

from typing import Any

from . import text as _text

PACKAGES_LIMIT = 50_000
_WANTED = ("Package:", "Version:", "Status:", "Architecture:")


def read(text: str) -> list[dict[str, Any]]:
    """A list of packages: name, version, architecture, want (install, hold ...), error (ok, reinstreq), state (installed, config-files,
    half-configured ...). A package without a status line is left out."""
    packages: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    for line in [*_text.lines(text), ""]:
        if line.startswith(_WANTED):
            name, _separator, value = line.partition(":")
            fields.setdefault(name, value.strip())
        elif not line and fields:
            if len(packages) < PACKAGES_LIMIT:
                packages += _package(fields)
            fields = {}
    return packages


def _package(fields: dict[str, str]) -> list[dict[str, Any]]:
    return entry(fields.get("Package", ""), fields.get("Version", ""), fields.get("Architecture"), fields.get("Status", ""))


def entry(name: str, version: str, architecture: str | None, status: str) -> list[dict[str, Any]]:
    """One package from its fields, nothing when they are not whole."""
    words = status.split()
    short = _text.word(name, 200)
    if not short or len(words) != 3:
        return []
    return [
        {
            "name": short,
            "version": _text.word(version, 200) or "",
            "architecture": _text.word(architecture, 32),
            "want": words[0],
            "error": words[1],
            "state": words[2],
        }
    ]
