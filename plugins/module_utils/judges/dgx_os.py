# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this collection knows the rules of a desk's DGX OS at all: which driver, which kernel, which packages."""

from __future__ import annotations

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import version_key
from .options import NEWEST_KNOWN_DGX_OS


def rules_unknown(desk: Desk, newest_known: str = NEWEST_KNOWN_DGX_OS) -> bool:
    """Whether the desk runs a newer major version of DGX OS than is known; false where its version could not be read."""
    runs, known = version_key(desk.dgx_os.version), version_key(newest_known)
    return bool(runs and known and runs[0] > known[0])


def unknown_major(desk: Desk, where: Where, newest_known: str = NEWEST_KNOWN_DGX_OS) -> list[Finding]:
    """DGX_OS_RULES_UNKNOWN."""
    if not rules_unknown(desk, newest_known):
        return []
    major = (version_key(newest_known) or (0,))[0]
    message = (
        f"DGX OS {desk.dgx_os.version} is running; the rules for driver, kernel and packages are not known for this version (DGX OS "
        f"{major} is the newest known). Nothing is judged by the old rules, and nothing is changed."
    )
    evidence = {"version": desk.dgx_os.version, "newest_known": newest_known, "driver": desk.driver.module_version}
    return [finding("DGX_OS_RULES_UNKNOWN", where, message, evidence=evidence)]
