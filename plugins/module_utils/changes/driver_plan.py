# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan of the driver lock: from what a desk is to what it should be, as a list of steps. Pure.

The controller plans from the facts, and an empty plan means that nothing is executed on the desk. The module plans again
from the desk's own state before it writes. Every step may be done twice, so a run that was cut off is taken up by the next.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ..judges.busy import busy_findings
from ..judges.catalogue import finding
from ..judges.common import named
from ..judges.dgx_os import unknown_major
from ..model.data import sha256
from ..model.desk import Desk
from ..model.driver import Package
from ..model.finding import Finding, Where
from . import apt_preferences, lock_record
from .debian_version import compare
from .driver_group import driver_package, held_group, module_package, present, superseded, user_space_present
from .lock_model import (
    ABSENT,
    EXACT_LEVEL,
    FORGET,
    HOLD,
    KEEP_DEBS,
    MOVE,
    NEVER,
    OPEN,
    PAUSED,
    PREFERENCES,
    PRESENT,
    PROTECT,
    RECORD,
    REPAIR,
    ROLL_BACK,
    SETTLE,
    UNHOLD,
    UNPROTECT,
    VERIFY,
    LockPlan,
    LockView,
    Step,
    WantedLock,
)
from .lock_record import Before, Debs, Record, RecordError


def plan(desk: Desk, want: WantedLock, *, name: str | None = None, preferences_now: str | None = None) -> LockPlan:
    """The steps from ``desk`` to ``want``. ``preferences_now`` is the text of our file where it could be read (on the desk)."""
    where = Where(desk=name or desk.identity.hostname)
    have, problem = _record(desk, where)
    now_sha = sha256(preferences_now) if preferences_now is not None else desk.setup.pair_files.get(apt_preferences.PATH)
    before = _view(desk, want, have, preferences_now, now_sha)
    unread = _unread(desk)
    if unread:
        message = f"{where.subject}: {', '.join(sorted(unread))} could not be read; the driver lock was not changed"
        found = finding("DRIVER_LOCK_UNREADABLE", where, message, evidence=unread)
        return LockPlan((), before, before, "", (found,), have, blocked=True)
    unknown = unknown_major(desk, where) if want.state != ABSENT else []
    if unknown:
        return LockPlan((), before, before, "", tuple(unknown), have, blocked=True)
    if want.state == ABSENT:
        return _absent(desk, want, where, have, before, now_sha)
    return _locked(desk, want, where, have, problem, before, now_sha)


# --- state present and paused ---


def _locked(
    desk: Desk, want: WantedLock, where: Where, have: Record | None, problem: Finding | None, before: LockView, now_sha: str | None
) -> LockPlan:
    findings: list[Finding] = [problem] if problem else []
    group = held_group(desk.driver.packages, want.branch)
    versions = {item.name: item.version for item in group}
    paused = want.state == PAUSED
    changed_by_hand = _changed_by_hand(have, want, versions)
    if changed_by_hand and not want.accept:
        findings.append(_held_upgraded(where, want, changed_by_hand))
    locked_versions = _locked_versions(have, want, versions, changed_by_hand)

    steps: list[Step] = []
    repair, refusals = _repair(desk, want, where)
    holds_now = frozenset(desk.driver.holds)
    move, move_refusals = _move(group, want, where, holds_now - set(have.added_holds if have else ()))
    wanted_holds = () if paused else tuple(item.name for item in group)
    to_hold = tuple(name for name in wanted_holds if name not in holds_now)
    # A removed package keeps its hold word until somebody clears it; only what is on the desk is released.
    here = {item.name for item in present(desk.driver.packages)}
    added = have.added_holds if have else ()
    to_release = tuple(name for name in added if name in holds_now and name in here and name not in wanted_holds)
    exact = {} if paused or want.level != EXACT_LEVEL else {**locked_versions, **dict(want.versions)}
    text = apt_preferences.render(want.branch, exact, want.refused_archives, want.trusted_archives)
    autos = desk.apt.autoremove_platform
    to_protect = autos if want.protect_platform else ()
    if autos and not want.protect_platform:
        message = f"{where.subject}: {len(autos)} platform packages are marked as automatically installed"
        findings.append(finding("PLATFORM_PACKAGES_AUTO", where, message, evidence={"packages": list(autos)}))

    record = Record(
        phase=lock_record.SETTLED,
        state=want.state,
        branch=want.branch,
        level=want.level,
        packages=locked_versions,
        held=tuple(sorted({*(have.held if have else ()), *wanted_holds} & {*here, *wanted_holds})) if not paused else (),
        protected=tuple(sorted({*(have.protected if have else ()), *to_protect})),
        preferences_sha256=sha256(text),
        pins=have.pins if have else (),
        conflicts=have.conflicts if have else (),
        before=have.before if have else Before(None, tuple(sorted(holds_now)), versions),
        debs=have.debs if have else Debs((), (), want.keep_debs),
    )
    if move:
        opened = tuple(sorted(name for name in added if name in holds_now and name in here))
        if opened:
            steps.append(Step(OPEN, "release the lock's own holds while packages move together", opened))
            to_hold = tuple(sorted({*to_hold, *(item for item in opened if item in wanted_holds)}))
    if want.keep_debs and (have is None or want.retry_debs or _debs_unsettled(have)):
        specs = tuple(f"{name}={version}" for name, version in sorted((have.before.versions if have else versions).items()))
        steps.append(Step(KEEP_DEBS, "keep the group's packages for a rollback", specs))
    # apt of everybody but root passes over a file that it may not read, and shows what the lock forbids.
    if now_sha != sha256(text) or apt_preferences.PATH in desk.setup.wrong_modes:
        steps.append(Step(PREFERENCES, f"write {apt_preferences.PATH}", text=text))
    # Packages are changed with the pins in force, so that apt cannot mix archives.
    steps += [item for item in (repair, move) if item]
    if to_hold:
        steps.append(Step(HOLD, f"hold {len(to_hold)} packages together", to_hold))
    if to_release:
        steps.append(Step(UNHOLD, f"release {len(to_release)} holds of the lock", to_release))
    if to_protect:
        steps.append(Step(PROTECT, f"mark {len(to_protect)} platform packages as manually installed", to_protect))
    if steps or have is None or have.conflicts or not _pins_seen(desk, have):
        steps.append(Step(VERIFY, "ask apt which drivers it would choose now"))
    if steps or have != record:
        steps.insert(0, Step(RECORD, f"record what was there before in {lock_record.PATH}"))
        steps.append(Step(SETTLE, "record what is locked now"))

    findings += _standing(where, have, want, desk)
    if paused:
        message = f"{where.subject}: the driver lock is paused"
        findings.append(finding("DRIVER_LOCK_PAUSED", where, message, evidence={"versions": versions}))
    refusals = [*refusals, *move_refusals, *(_refusals(desk, want, where, steps) if steps else [])]
    if refusals:
        return LockPlan((), before, before, "", (*findings, *refusals), have, blocked=True)
    after = LockView(
        preferences=text,
        preferences_sha256=sha256(text),
        holds=tuple(sorted((holds_now | set(wanted_holds)) - set(to_release))),
        versions=_versions_after(versions, repair, move),
        protected=record.protected,
        state=want.state,
    )
    return LockPlan(tuple(steps), before, after, _diff(before, after), tuple(findings), record)


def _locked_versions(have: Record | None, want: WantedLock, installed: Mapping[str, str], changed: Mapping[str, Any]) -> dict[str, str]:
    """Versions that the record names: what was locked first stays named until a change is accepted, wanted or made while paused."""
    if have is not None and have.state == PAUSED and want.state == PAUSED:
        return dict(have.packages)
    if have is None or have.state == PAUSED or have.phase != lock_record.SETTLED or want.accept or want.state == PAUSED:
        return dict(installed)
    named = {name: have.packages.get(name, version) for name, version in installed.items()}
    named.update({name: want.versions[name] for name in named if name in want.versions})
    return named


def _changed_by_hand(have: Record | None, want: WantedLock, installed: Mapping[str, str]) -> dict[str, dict[str, str]]:
    if have is None or have.state != PRESENT or have.phase != lock_record.SETTLED:
        return {}
    return {
        name: {"locked": have.packages[name], "found": version}
        for name, version in installed.items()
        if name in have.packages and have.packages[name] != version and want.versions.get(name) != version
    }


def _held_upgraded(where: Where, want: WantedLock, changed: Mapping[str, Mapping[str, str]]) -> Finding:
    told = "; ".join(f"{name} was locked at {item['locked']} and is {item['found']}" for name, item in sorted(changed.items())[:4])
    more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
    severity = "fail" if want.level == EXACT_LEVEL else "warn"
    return finding("DRIVER_HELD_UPGRADED", where, f"{where.subject}: {told}{more}", evidence=dict(changed), severity=severity)


def _repair(desk: Desk, want: WantedLock, where: Where) -> tuple[Step | None, list[Finding]]:
    """The step that mends half installed packages, a missing driver, and a next boot without module."""
    packages: list[str] = []
    reasons: list[str] = []
    broken = tuple(item.name for item in desk.apt.broken_packages)
    if broken:
        reasons.append(f"finish {', '.join(broken[:6])}")
    if not user_space_present(desk.driver.packages, want.branch):
        packages.append(driver_package(want.branch))
        reasons.append(f"install {driver_package(want.branch)}")
    here = {item.name for item in present(desk.driver.packages)}
    without = [item.release for item in desk.kernel.installed if item.has_driver is False]
    # An update that was cut off still has its reboot to come: apt took the running kernel's module away together with its driver.
    journal = desk.setup.update_journal
    kernels = (desk.kernel.next_boot,) if journal is not None and journal.open else (desk.kernel.next_boot, desk.kernel.running)
    for release in dict.fromkeys(item for item in kernels if item in without):
        if release and module_package(release, want.branch) not in here:
            packages.append(module_package(release, want.branch))
            reasons.append(f"install the module for kernel {release}")
    if not reasons:
        return None, []
    if want.repair == NEVER:
        if not broken:
            return None, []
        message = f"{where.subject}: {', '.join(broken[:6])} half installed, but driver_lock_repair is never"
        return None, [finding("DPKG_BROKEN", where, message, evidence={"packages": list(broken)})]
    return Step(REPAIR, "; ".join(reasons), tuple(packages)), []


OLDER = (
    "Where the older packages are meant, and apt-cache madison {name} on the desk still lists that version, run again with "
    "-e driver_lock_allow_downgrade=true. Otherwise write a new lock file from a desk that is as it should be (playbooks/lock_from.yml) "
    "and give that one (driver_lock_from)."
)


def _move(group: tuple[Package, ...], want: WantedLock, where: Where, foreign: frozenset[str]) -> tuple[Step | None, list[Finding]]:
    """The step that brings installed packages to the wanted versions, all of them at once. ``foreign``: holds that are not the lock's."""
    targets = [(item, want.versions[item.name]) for item in group if want.versions.get(item.name, item.version) != item.version]
    if not targets:
        return None, []
    down = [f"{item.name} {item.version} -> {version}" for item, version in targets if compare(version, item.version) < 0]
    if down and not want.allow_downgrade:
        message = f"{where.subject}: the lock file requires older packages ({', '.join(down[:4])}) and driver_lock_allow_downgrade is false"
        remedy = OLDER.format(name=down[0].split()[0])
        return None, [finding("DRIVER_LOCK_UNSATISFIABLE", where, message, evidence={"downgrades": down}, remedy=remedy)]
    leaving = superseded(group, want.versions)
    stuck = sorted(name for name in (*(item.name for item, _version in targets), *leaving) if name in foreign)
    if stuck:
        message = f"{where.subject}: {', '.join(stuck[:4])} must move, but they are held, and not by the lock"
        remedy = f"Release them (sudo apt-mark unhold {' '.join(stuck[:8])}) and run again; the lock holds the whole group afterwards."
        return None, [finding("DRIVER_LOCK_UNSATISFIABLE", where, message, evidence={"held": stuck}, remedy=remedy)]
    title = f"bring {len(targets)} packages to the lock file's versions"
    return Step(MOVE, title, tuple(f"{i.name}={v}" for i, v in targets), leaving=leaving), []


def _refusals(desk: Desk, want: WantedLock, where: Where, steps: list[Step]) -> list[Finding]:
    """Why nothing may be changed now."""
    found = []
    if desk.apt.first_boot_upgrade == "pending":
        message = f"{where.subject}: the first-boot upgrade has not ended; nothing was changed"
        found.append(finding("FIRST_BOOT_UPGRADE_PENDING", where, message, severity="fail"))
    touching = [item for item in steps if item.kind in (REPAIR, MOVE, ROLL_BACK)]
    if touching and not want.force:
        # Where no module is loaded nobody computes, so a silent nvidia-smi hides nothing; and what is half installed must be finished
        # unless somebody is seen to be in the way.
        require = desk.driver.loaded is not False and any(item.packages for item in touching)
        found.extend(busy_findings(desk, where, require=require))
    return found


def _standing(where: Where, have: Record | None, want: WantedLock, desk: Desk) -> list[Finding]:
    """Findings that stay true between runs although nothing is to be done."""
    found = []
    if have and have.debs.missing and have.debs.wanted and not want.retry_debs:
        message = f"{where.subject}: no rollback to {named(have.debs.missing, 4)}: no archive could provide the package"
        found.append(finding("DRIVER_ROLLBACK_IMPOSSIBLE", where, message, evidence={"missing": list(have.debs.missing)}))
    modprobe = next((item for item in present(desk.driver.packages) if item.name == apt_preferences.MODPROBE), None)
    if modprobe and not modprobe.version.startswith(f"{want.branch}."):
        message = f"{where.subject}: nvidia-modprobe is {modprobe.version}; the driver's branch is {want.branch}"
        found.append(finding("NVIDIA_MODPROBE_NEWER", where, message, evidence={"version": modprobe.version}))
    return found


def _debs_unsettled(have: Record) -> bool:
    """Whether a run was cut off before it knew which packages can be kept."""
    return have.phase != lock_record.SETTLED and have.debs.wanted and not (have.debs.kept or have.debs.missing)


def _pins_seen(desk: Desk, have: Record) -> bool:
    return set(desk.driver.pins) <= {*have.pins, apt_preferences.PATH.rsplit("/", 1)[1]}


# --- state absent ---


def _absent(desk: Desk, want: WantedLock, where: Where, have: Record | None, before: LockView, now_sha: str | None) -> LockPlan:
    if have is None and now_sha is None and not desk.setup.driver_lock:
        return LockPlan((), before, before, "", ())
    steps: list[Step] = []
    findings: list[Finding] = []
    holds_now = frozenset(desk.driver.holds)
    versions = {item.name: item.version for item in held_group(desk.driver.packages, want.branch)}
    to_release: tuple[str, ...] = ()
    restored: str | None = None
    if have is None:
        message = f"{where.subject}: {apt_preferences.PATH} exists but its record does not: holds were left as they are"
        findings.append(finding("DRIVER_LOCK_RECORD_MISSING", where, message, evidence={"holds": sorted(holds_now)}))
    else:
        here = {item.name for item in present(desk.driver.packages)}
        to_release = tuple(name for name in have.added_holds if name in holds_now and name in here)
        restored = have.before.preferences
    back: tuple[str, ...] = ()
    if want.roll_back and have is not None:
        back = tuple(f"{name}={version}" for name, version in sorted(have.before.versions.items()) if versions.get(name) != version)
        lost = tuple(item for item in back if item not in have.debs.kept)
        if lost:
            message = f"{where.subject}: {', '.join(lost[:4])} cannot be restored: the package was not kept; nothing was changed"
            severe = finding("DRIVER_ROLLBACK_IMPOSSIBLE", where, message, evidence={"missing": list(lost)}, severity="fail")
            return LockPlan((), before, before, "", (*findings, severe), have, blocked=True)
    if to_release:
        steps.append(Step(UNHOLD, f"release {len(to_release)} holds of the lock", to_release))
    if now_sha != (None if restored is None else sha256(restored)):
        title = f"remove {apt_preferences.PATH}" if restored is None else f"restore {apt_preferences.PATH}"
        steps.append(Step(PREFERENCES, title, text=restored))
    if back:
        leaving = superseded(desk.driver.packages, have.before.versions if have else ())
        steps.append(Step(ROLL_BACK, f"restore {len(back)} packages to their recorded versions", back, leaving=leaving))
    if have is not None and have.protected:
        steps.append(Step(UNPROTECT, f"restore the old mark of {len(have.protected)} platform packages", have.protected))
    steps.append(Step(FORGET, f"remove {lock_record.FOLDER}"))
    refusals = _refusals(desk, want, where, steps)
    if refusals:
        return LockPlan((), before, before, "", (*findings, *refusals), have, blocked=True)
    after = LockView(
        preferences=restored,
        holds=tuple(sorted(holds_now - set(to_release))),
        versions=_versions_after(versions, None, Step(ROLL_BACK, "", back)),
    )
    return LockPlan(tuple(steps), before, after, _diff(before, after), tuple(findings), None)


# --- shared ---


def _record(desk: Desk, where: Where) -> tuple[Record | None, Finding | None]:
    if not desk.setup.driver_lock:
        if apt_preferences.PATH in desk.setup.pair_files:
            message = f"{where.subject}: {apt_preferences.PATH} exists, {lock_record.PATH} does not; a new record is made"
            return None, finding("DRIVER_LOCK_RECORD_MISSING", where, message)
        return None, None
    try:
        return lock_record.parse(desk.setup.driver_lock), None
    except RecordError as error:
        return None, finding("DRIVER_LOCK_RECORD_MISSING", where, f"{where.subject}: {error}; a new record is made")


def _unread(desk: Desk) -> dict[str, str]:
    """Facts that the plan rests on and that could not be read, with the reason."""
    needed = ("driver.packages", "driver.holds", "apt.first_boot_upgrade", "setup.driver_lock", "setup.pair_files", "apt.broken_packages")
    found = {path: reason for path, reason in desk.unread.items() if any(path == item or item.startswith(path + ".") for item in needed)}
    if not desk.driver.packages and not found:
        found["driver.packages"] = "no driver, kernel or NCCL package is known"
    return found


def _view(desk: Desk, want: WantedLock, have: Record | None, text: str | None, now_sha: str | None) -> LockView:
    if text is None and now_sha is not None:
        for exact in ({}, dict(have.packages) if have else {}):
            candidate = apt_preferences.render(want.branch, exact, want.refused_archives, want.trusted_archives)
            if sha256(candidate) == now_sha:
                text = candidate
    return LockView(
        preferences=text,
        preferences_sha256=now_sha,
        holds=tuple(sorted(desk.driver.holds)),
        versions={item.name: item.version for item in held_group(desk.driver.packages, want.branch)},
        protected=have.protected if have else (),
        state=have.state if have else ABSENT,
    )


def _versions_after(now: Mapping[str, str], *steps: Step | None) -> dict[str, str]:
    after = dict(now)
    for step in steps:
        for spec in step.packages if step else ():
            name, _equals, version = spec.partition("=")
            after[name] = version or after.get(name) or "(newest of the branch)"
    return after


def _diff(before: LockView, after: LockView) -> str:
    lines = difflib.unified_diff(before.text().splitlines(True), after.text().splitlines(True), "before", "after", n=1)
    return "".join(lines)
