# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is this the machine that is meant, and does it run DGX OS?"""

from __future__ import annotations

import hashlib

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named, older, serials_apart, unread_reason
from .dgx_os import unknown_major
from .options import JudgeOptions

ARCHITECTURES = ("aarch64", "arm64")


def judge_identity(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """Findings about machine, expected identity and DGX OS."""
    return [*expected_identity(desk, where, options), *machine(desk, where), *dgx_os(desk, where, options)]


def expected_identity(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """DESK_IDENTITY_WRONG when the lab sheet names another chassis or host key; unknown when neither can be compared."""
    wanted = serial_hashes(options)
    keys = frozenset(options.expected_host_key_fingerprints)
    if not wanted and not keys:
        return []
    identity = desk.identity
    wrong: list[str] = []
    unknown: list[str] = []
    right: list[str] = []
    if wanted:
        if identity.serial_sha256 is None:
            unknown.append(f"the chassis serial could not be read ({unread_reason(desk, 'identity.serial_sha256') or 'no answer'})")
        else:
            same = identity.serial_sha256.lower() in wanted
            (right if same else wrong).append("the chassis serial" if same else f"the chassis serial is different{_serials(desk, options)}")
    if keys:
        if not identity.host_key_fingerprints:
            unknown.append(f"the ssh host keys could not be read ({unread_reason(desk, 'identity.host_key_fingerprints') or 'no answer'})")
        else:
            same = bool(keys & frozenset(identity.host_key_fingerprints))
            told = f"({named(sorted(keys), 1)} was expected, {named(identity.host_key_fingerprints, 1)} was found)"
            (right if same else wrong).append("the ssh host key" if same else f"none of the ssh host keys is the expected one {told}")
    evidence = {"hostname": identity.hostname, "product": identity.product, "matching": right, "differing": wrong, "unread": unknown}
    if wrong:
        message = f"The machine that answers is not the one in the lab sheet: {' and '.join(wrong)} (it calls itself {identity.hostname})."
        return [finding("DESK_IDENTITY_WRONG", where, message, evidence=evidence)]
    if unknown and not right:
        message = f"It is not known whether this is the machine in the lab sheet: {' and '.join(unknown)}."
        return [finding("DESK_IDENTITY_WRONG", where, message, evidence=evidence, severity="unknown")]
    return []


def _serials(desk: Desk, options: JudgeOptions) -> str:
    """What was expected and what was found, shortened; empty where one of them is known as a hash only."""
    if options.expected_serial is None or desk.identity.serial is None:
        return ""
    wanted, found = serials_apart(options.expected_serial.strip(), desk.identity.serial.strip())
    return f" (shortened: {wanted} was expected, {found} was found)"


def serial_hashes(options: JudgeOptions) -> frozenset[str]:
    """Hashes that the expected serial number may have: a sheet's spelling may differ in upper and lower case, a hash knows only one."""
    if options.expected_serial_sha256 is not None:
        return frozenset({options.expected_serial_sha256.strip().lower()})
    if options.expected_serial is None:
        return frozenset()
    text = options.expected_serial.strip()
    return frozenset(hashlib.sha256(spelling.encode()).hexdigest() for spelling in (text, text.upper(), text.lower()))


def machine(desk: Desk, where: Where) -> list[Finding]:
    """DESK_NOT_GB10 and DESK_NOT_AARCH64."""
    found = []
    identity = desk.identity
    if identity.is_gb10 is False:
        evidence = {
            "vendor": identity.vendor,
            "product": identity.product,
            "board": identity.board,
            "architecture": identity.architecture,
            "evidence": list(identity.gb10_evidence),
        }
        message = (
            f"This is not a GB10 machine: vendor {identity.vendor or 'unknown'}, product {identity.product or 'unknown'}, "
            f"architecture {identity.architecture or 'unknown'}; a DGX Spark or a partner's GB10 board was expected."
        )
        found.append(finding("DESK_NOT_GB10", where, message, evidence=evidence))
    if identity.architecture is not None and identity.architecture not in ARCHITECTURES:
        message = f"The kernel reports the architecture {identity.architecture}; aarch64 was expected."
        found.append(finding("DESK_NOT_AARCH64", where, message, evidence={"architecture": identity.architecture}))
    return found


def dgx_os(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """DGX_RELEASE_MISSING, DGX_OS_TOO_OLD, DGX_OS_RULES_UNKNOWN and DGX_OS_UNKNOWN_NEWER."""
    system = desk.dgx_os
    if system.present is False:
        runs = desk.ubuntu.pretty_name or desk.ubuntu.id
        message = f"There is no /etc/dgx-release; the system is {runs or 'unknown'}; DGX OS {options.minimum_dgx_os} or newer was expected."
        # Nobody shall be told to re-image a machine that only answers at the wrong address.
        remedy = (
            "Check the address of this desk in the inventory first: the machine is not a DGX Spark."
            if desk.identity.is_gb10 is False
            else None
        )
        return [finding("DGX_RELEASE_MISSING", where, message, evidence={"system": runs}, remedy=remedy)]
    evidence = {"version": system.version, "factory_version": system.factory_version, "ota_history": list(system.ota_history)}
    if older(system.version, options.minimum_dgx_os):
        updates = named(system.ota_history) or "none"
        message = (
            f"DGX OS {system.version} is running (factory image {system.factory_version or 'unknown'}, OTA updates: {updates}); "
            f"{options.minimum_dgx_os} or newer was expected."
        )
        return [finding("DGX_OS_TOO_OLD", where, message, evidence=evidence)]
    unknown = unknown_major(desk, where, options.newest_known_dgx_os)
    if unknown:
        return unknown
    if older(options.newest_known_dgx_os, system.version):
        message = f"DGX OS {system.version} is running; the newest that this collection knows is {options.newest_known_dgx_os}."
        return [finding("DGX_OS_UNKNOWN_NEWER", where, message, evidence=evidence)]
    return []
