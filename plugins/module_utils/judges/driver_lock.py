# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver lock tells: apt's and dpkg's errors (see `apt_errors`), and how far a desk is from the fleet's lock file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .apt_errors import archive_findings, codes, explain, telling_lines
from .catalogue import finding

__all__ = ["DRIFT_PATHS", "archive_findings", "codes", "explain", "lock_file_drift", "telling_lines"]

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
