# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an error of apt or dpkg means, and how far a desk is from the fleet's lock file. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .catalogue import finding

REFUSED_LOCK = r"Could not get lock|is another process using it|locked by another process|Unable to lock|dpkg frontend lock"
NO_ROOM = r"No space left on device|don't have enough free space|Disk quota exceeded|not enough free disk space"
NO_KEY = r"NO_PUBKEY|is not signed|couldn't be verified because the public key|EXPKEYSIG|cannot be authenticated"
WRONG_SUM = r"Hash Sum mismatch|has unexpected size|Hashes of expected file|hash mismatch"
HALF_DONE = r"dpkg was interrupted|leaving unconfigured|Errors were encountered while processing|Sub-process /usr/bin/dpkg"
NO_ARCHIVE = (
    r"Failed to fetch|Could not connect|Could not resolve|Connection (failed|timed out|refused|reset)|Temporary failure resolving|"
    r"Unable to connect|Network is unreachable|Some index files failed|does not have a Release file"
)
NO_SOLUTION = (
    r"unmet dependencies|Unable to locate package|has no installation candidate|Version '.*' for '.*' was not found|"
    r"Packages need to be removed|Held packages were changed|held broken packages|Packages were downgraded|Unable to correct problems"
)
ERRORS: tuple[tuple[str, str], ...] = (
    ("DPKG_LOCKED", REFUSED_LOCK),
    ("DISK_FULL", NO_ROOM),
    ("APT_KEY_MISSING", NO_KEY),
    ("APT_CHECKSUM_WRONG", WRONG_SUM),
    ("DPKG_BROKEN", HALF_DONE),
    ("APT_ARCHIVE_UNREACHABLE", NO_ARCHIVE),
    ("DRIVER_LOCK_UNSATISFIABLE", NO_SOLUTION),
)
"""Code and what apt or dpkg (C locale) prints for it, most telling first."""

LINE = re.compile(r"^(E|W|Err|dpkg|W|Error)[: ]")


def codes(text: str) -> tuple[str, ...]:
    """Codes of the errors that a text of apt or dpkg names, most telling first."""
    return tuple(code for code, pattern in ERRORS if re.search(pattern, text, re.IGNORECASE))


def telling_lines(text: str, code: str, limit: int = 4) -> list[str]:
    """Lines that made the code, without repetition."""
    pattern = dict(ERRORS).get(code, "")
    lines = [line.strip() for line in text.splitlines() if pattern and re.search(pattern, line, re.IGNORECASE)]
    if not lines:
        lines = [line.strip() for line in text.splitlines() if LINE.match(line)] or [line.strip() for line in text.splitlines()[-limit:]]
    return [line[:300] for line in dict.fromkeys(lines)][:limit]


def explain(argv: Sequence[str], text: str, where: Where, *, severity: str | None = None, timeout: bool = False) -> Finding:
    """The finding for a command that failed. ``severity`` is used where the code allows it."""
    if timeout:
        code, lines = "APT_FAILED", [f"{argv[0]} did not end within its time limit"]
    else:
        found = codes(text)
        code = found[0] if found else "APT_FAILED"
        lines = telling_lines(text, code)
    message = f"{where.subject}: {' '.join(lines[:2]) or 'no message'}"
    evidence = {"command": list(argv)[:24], "says": lines}
    try:
        return finding(code, where, message, evidence=evidence, severity=severity)
    except ValueError:
        return finding(code, where, message, evidence=evidence)


def archive_findings(text: str, where: Where, severity: str = "warn") -> list[Finding]:
    """Findings about the archives from what ``apt-get update`` printed, warnings included."""
    found = []
    for code in codes(text):
        if code in ("APT_KEY_MISSING", "APT_ARCHIVE_UNREACHABLE", "APT_CHECKSUM_WRONG"):
            lines = telling_lines(text, code)
            found.append(finding(code, where, f"{where.subject}: {lines[0]}", evidence={"says": lines}, severity=severity))
    # A refused signature is also a failed fetch: the key is the cause, not the line.
    if any(item.code == "APT_KEY_MISSING" for item in found):
        found = [item for item in found if item.code != "APT_ARCHIVE_UNREACHABLE"]
    return found


DRIFT_PATHS: tuple[tuple[str, str, str], ...] = (
    ("driver.module_version", "module of the driver", "fail"),
    ("driver.user_space_version", "user space of the driver", "fail"),
    ("toolkit.nccl", "NCCL", "fail"),
    ("kernel.running", "kernel", "warn"),
    ("dgx_os.version", "DGX OS", "warn"),
    ("cx7.firmware", "firmware of the ConnectX-7", "note"),
)
"""Fact, its name in words, and how bad a difference is (drivers and NCCL must agree; firmware differs between vendors by design)."""


def lock_file_drift(desk: Desk, facts: Mapping[str, Any], packages: Mapping[str, str], where: Where, name: str) -> list[Finding]:
    """DRIVER_LOCK_DRIFT: differences from a fleet lock file. ``facts`` and ``packages`` are the file's; ``name`` tells which file it is.

    A wanted fact that the desk could not tell is a difference with found null and makes the finding a warning, never silence.
    """
    differences: dict[str, dict[str, Any]] = {}
    severities = []
    for path, words, severity in DRIFT_PATHS:
        wanted = facts.get(path)
        if wanted is None:
            continue
        part, _dot, key = path.partition(".")
        found = getattr(getattr(desk, part), key)
        if found != wanted:
            differences[words] = {"wanted": wanted, "found": found}
            severities.append("warn" if found is None else severity)
    installed = {item.name: item.version for item in desk.driver.packages if item.state == "installed"}
    for package, version in sorted(packages.items()):
        if package in installed and installed[package] != version:
            differences[package] = {"wanted": version, "found": installed[package]}
            severities.append("warn")
    if not differences:
        return []
    order = ("note", "warn", "fail")
    told = "; ".join(f"{words} is {item['found'] or 'unknown'}, not {item['wanted']}" for words, item in list(differences.items())[:4])
    more = f" and {len(differences) - 4} more" if len(differences) > 4 else ""
    message = f"{where.subject} differs from {name}: {told}{more}"
    worst = max(severities, key=order.index)
    return [finding("DRIVER_LOCK_DRIFT", where, message, evidence=differences, severity=worst)]
