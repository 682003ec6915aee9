# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the steps of a driver lock on the desk.

What could refuse is asked before the first change: room on the disk, whether apt can reach what is wanted (simulated), which
packages can be kept for a way back. Each step may be done twice. The record is written before the first change and says what
was there, so a run that was cut off anywhere is taken up by the next one.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ..desk import Answer, WritableDesk
from ..judges.catalogue import finding
from ..judges.common import named
from ..judges.driver_lock import archive_findings, codes, explain
from ..model.finding import Finding, Where
from . import apt_preferences, apt_text, driver_plan, lock_record
from .apt_text import Offer
from .driver_group import MODPROBE, belongs, is_other_branch
from .driver_plan import LockPlan, Step, WantedLock
from .lock_record import Debs, Record

RESERVE_BYTES = 256 * 1024 * 1024
"""Room that stays free beside what is kept or installed (this collection's rule)."""
SMALL_BYTES = 16 * 1024 * 1024
"""Room that even pins and holds need."""

APT_CACHE = "/var/cache/apt/archives"

PREVIEW = "/run/dgx_spark_driver_lock.preview"
"""The pins that are about to be written, for a simulation; removed after it."""

QUICK = 60.0
"""Seconds for a question to apt or dpkg."""
RETRY_PAUSE = 3.0
"""Seconds between two tries when the lock is held and the command cannot wait by itself."""

APT_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "NEEDRESTART_SUSPEND": "1",
    "APT_LISTCHANGES_FRONTEND": "none",
    "UCF_FORCE_CONFFOLD": "1",
}
KEEP_CONFIGURATION = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
FETCH = ("-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20")


@dataclass(frozen=True)
class Limits:
    """Time limits in seconds."""

    lock: float = 300.0
    """How long to wait for the package lock, which has four claimants on a stock desk."""
    fetch: float = 900.0
    """How long the download of the kept packages may take."""
    install: float = 1800.0
    """How long one installation may take once it has begun."""


@dataclass
class Outcome:
    """What was done."""

    changed: bool = False
    done: list[str] = field(default_factory=list)
    """Kinds of the steps that were done."""
    commands: list[list[str]] = field(default_factory=list)
    """Commands that changed something, in order."""
    findings: list[Finding] = field(default_factory=list)
    failed: bool = False
    debs: Debs | None = None
    conflicts: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    verified: bool = False
    replan: bool = False
    """Packages were changed: the desk must be read and planned again before the lock is set."""

    def fail(self, found: Finding) -> None:
        """A finding that ends the run."""
        self.findings.append(found)
        self.failed = True


class Applier:
    """Carries out plans on one desk."""

    def __init__(self, desk: WritableDesk, where: Where, want: WantedLock, limits: Limits | None = None, check_mode: bool = False) -> None:
        self.desk, self.where, self.want = desk, where, want
        self.limits = limits or Limits()
        self.check_mode = check_mode
        self.outcome = Outcome()
        self._offers: dict[str, Offer] = {}

    # --- the way through a plan ---

    def apply(self, plan: LockPlan) -> Outcome:
        """Do the plan's steps; see `Outcome`. Never raises for what the desk answers."""
        try:
            self._preflight(plan)
            if self.outcome.failed:
                return self.outcome
            for step in plan.steps:
                self._do(step, plan)
                if self.outcome.failed:
                    break
                if step.kind in (driver_plan.REPAIR, driver_plan.MOVE) and not self.check_mode:
                    self.outcome.replan = True
                    break
        except OSError as error:
            self.outcome.fail(self._write_error(error))
        return self.outcome

    def _do(self, step: Step, plan: LockPlan) -> None:
        actions: dict[str, Callable[[], None]] = {
            driver_plan.RECORD: partial(self._record, plan),
            driver_plan.OPEN: partial(self._select, step.packages, "install"),
            driver_plan.KEEP_DEBS: partial(self._keep_debs, step),
            driver_plan.REPAIR: partial(self._repair, step),
            driver_plan.MOVE: partial(self._install, step.packages),
            driver_plan.PREFERENCES: partial(self._preferences, step),
            driver_plan.HOLD: partial(self._select, step.packages, "hold"),
            driver_plan.UNHOLD: partial(self._select, step.packages, "install"),
            driver_plan.PROTECT: partial(self._mark, "manual", step.packages),
            driver_plan.UNPROTECT: partial(self._mark, "auto", step.packages),
            driver_plan.VERIFY: self._verify,
            driver_plan.SETTLE: partial(self._settle, plan),
            driver_plan.ROLL_BACK: partial(self._roll_back, step),
            driver_plan.FORGET: self._forget,
        }
        if self.check_mode:
            # What preflight simulated stands for the packages; the other steps are certain.
            if step.kind == driver_plan.REPAIR and step.packages:
                refusal = self._simulate(step.packages, frozenset(), _pins_of(plan))
                if refusal is not None:
                    self.outcome.findings.append(refusal)
            self.outcome.changed = self.outcome.changed or step.kind != driver_plan.VERIFY
            self.outcome.done.append(step.kind)
            return
        actions[step.kind]()
        if not self.outcome.failed:
            self.outcome.done.append(step.kind)

    def _preflight(self, plan: LockPlan) -> None:
        kinds = plan.kinds()
        if not kinds:
            return
        steps = {item.kind: item for item in plan.steps}
        needs_archives = [kind for kind in (driver_plan.KEEP_DEBS, driver_plan.REPAIR, driver_plan.MOVE) if kind in steps]
        for path in (lock_record.FOLDER, "/etc/apt/preferences.d", *([APT_CACHE] if needs_archives else [])):
            free = self.desk.free_bytes(path)
            if free < SMALL_BYTES and driver_plan.FORGET not in kinds:
                self._disk_full(path, SMALL_BYTES, free)
                return
        if needs_archives and not self.check_mode:
            self._update()
            if self.outcome.failed:
                return
        if driver_plan.KEEP_DEBS in steps:
            self._preflight_debs(steps[driver_plan.KEEP_DEBS])
        if driver_plan.MOVE in steps and not self.outcome.failed:
            self._preflight_move(steps[driver_plan.MOVE], _pins_of(plan))

    # --- steps ---

    def _record(self, plan: LockPlan) -> None:
        """Note what was there before, and what is about to be held and marked, before anything changes."""
        if plan.record is None:
            return
        have = self._read_record()
        before = plan.record.before
        if have is None:
            text = self.desk.read_text(apt_preferences.PATH).text
            before = replace(before, preferences=None if text is None or apt_preferences.is_ours(text) else text)
        union = replace(
            plan.record,
            phase=lock_record.CHANGING,
            before=before,
            debs=have.debs if have else plan.record.debs,
            held=tuple(sorted({*plan.record.held, *(have.held if have else ())})),
            protected=tuple(sorted({*plan.record.protected, *(have.protected if have else ())})),
        )
        self.desk.make_folder(lock_record.FOLDER)
        self._write_record(union)

    def _settle(self, plan: LockPlan) -> None:
        """Note what is locked now."""
        if plan.record is None:
            return
        have = self._read_record()
        done = self.outcome
        record = replace(
            plan.record,
            before=have.before if have else plan.record.before,
            debs=done.debs or plan.record.debs,
            conflicts=done.conflicts if done.verified else plan.record.conflicts,
            pins=done.pins if done.verified else plan.record.pins,
        )
        self._write_record(record)

    def _preferences(self, step: Step) -> None:
        """Write, put back or remove our preferences file."""
        if step.text is None:
            self.desk.remove(apt_preferences.PATH)
            self.outcome.commands.append(["remove", apt_preferences.PATH])
        else:
            self.desk.write_text(apt_preferences.PATH, step.text)
            self.outcome.commands.append(["write", apt_preferences.PATH])
        self.outcome.changed = True

    def _select(self, packages: Sequence[str], action: str) -> None:
        """Hold or release all packages in one write of the dpkg database: all or none."""
        self._locked_command(["dpkg", "--set-selections"], stdin="".join(f"{name} {action}\n" for name in packages), shown=packages)

    def _mark(self, mark: str, packages: Sequence[str]) -> None:
        """Mark platform packages as wanted, or as they were."""
        listed = self.desk.run(["dpkg-query", "-W", "-f", "${Package}\\t${db:Status-Status}\\n"], timeout=QUICK)
        installed = {words[0] for line in listed.stdout.splitlines() if len(words := line.split("\t")) == 2 and words[1] == "installed"}
        names = [name for name in packages if name in installed]
        if names:
            self._locked_command(["apt-mark", mark, *names])

    def _repair(self, step: Step) -> None:
        """Finish what was begun, then install what is missing, and nothing else."""
        self._locked_command(["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"], timeout=self.limits.install)
        if not self.outcome.failed:
            self._apt(["-y", "--no-remove", "-f", "install"])
        if step.packages and not self.outcome.failed:
            refusal = self._simulate(step.packages, frozenset())
            if refusal is not None:
                # The lock itself is still worth setting: it keeps things from getting worse.
                self.outcome.findings.append(refusal)
                return
            self._install(step.packages)

    def _install(self, packages: Sequence[str], extra: Sequence[str] = ()) -> None:
        downgrade = ["--allow-downgrades"] if self.want.allow_downgrade else []
        self._apt(["-y", "--no-remove", "--no-install-recommends", *downgrade, *extra, "install", *packages])

    def _roll_back(self, step: Step) -> None:
        """Put the recorded versions back from the kept files, all at once."""
        self._locked_command(["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"], timeout=self.limits.install)
        files = [f"{lock_record.DEBS}/{name}" for name in self._deb_files(step.packages)]
        if len(files) != len(step.packages):
            message = f"{self.where.subject}: {lock_record.DEBS} has {len(files)} of {len(step.packages)} packages that are to be put back"
            self.outcome.fail(finding("DRIVER_ROLLBACK_IMPOSSIBLE", self.where, message, severity="fail"))
            return
        self._apt(["-y", "--no-remove", "--allow-downgrades", "--no-install-recommends", "install", *files])

    def _forget(self) -> None:
        self.desk.remove_folder(lock_record.FOLDER)
        self.outcome.changed = True

    def _verify(self) -> None:
        """Ask apt itself: no driver of another branch may be a candidate."""
        names = self.desk.run(["apt-cache", "pkgnames"], timeout=QUICK)
        if not names.ok:
            self.outcome.fail(explain(names.argv, names.stderr or names.stdout, self.where, timeout=names.error == "timeout"))
            return
        watched = sorted(name for name in names.stdout.split() if is_other_branch(name, self.want.branch) or name == MODPROBE)
        choices: list[apt_text.Choice] = []
        for start in range(0, len(watched), 400):
            answer = self.desk.run(["apt-cache", "policy", *watched[start : start + 400]], timeout=QUICK)
            choices.extend(apt_text.policy(answer.stdout))
        wrong = {item.package: item.candidate for item in choices if item.candidate and item.candidate != item.installed}
        wrong = {name: version for name, version in wrong.items() if name != MODPROBE or not version.startswith(f"{self.want.branch}.")}
        listing = self.desk.list_dir("/etc/apt/preferences.d")
        self.outcome.verified = True
        self.outcome.pins = tuple(listing.names)
        self.outcome.conflicts = tuple(sorted(wrong))
        if not wrong:
            return
        paths = ["/etc/apt/preferences", *(f"/etc/apt/preferences.d/{name}" for name in listing.names)]
        files = {path: text for path in paths if (text := self.desk.read_text(path).text)}
        culprits = apt_preferences.opponents(files, wrong)
        told = ", ".join(f"{name} {version}" for name, version in sorted(wrong.items())[:4])
        message = (
            f"{self.where.subject}: apt would still install {told}, because of {', '.join(culprits) or 'a setting that was not found'}"
        )
        evidence = {"candidates": wrong, "files": list(culprits)}
        self.outcome.findings.append(finding("DRIVER_LOCK_CONFLICT", self.where, message, evidence=evidence))

    # --- packages kept for a way back ---

    def _preflight_debs(self, step: Step) -> None:
        """Which packages can be kept, whether there is room, and what is lost: said before anything changes."""
        self._offers = self._ask_offers(step.packages)
        missing = [spec for spec in step.packages if spec not in self._offers and not self._has_deb(spec)]
        needed = sum(item.size for item in self._offers.values()) + RESERVE_BYTES
        free = self.desk.free_bytes(lock_record.DEBS)
        if free < needed:
            self._disk_full(lock_record.DEBS, needed, free)
            return
        if missing and self.check_mode:
            self._no_way_back(missing)

    def _keep_debs(self, step: Step) -> None:
        self.desk.make_folder(lock_record.DEBS)
        wanted = [item for item in self._offers.values() if item.spec in step.packages]
        if wanted:
            specs = [item.spec for item in wanted]
            answer = self._download(specs)
            if not answer.ok:
                self._download_failed(answer)
                # One bad file must not cost the others.
                for spec in specs if answer.error != "timeout" else ():
                    if not self._has_deb(spec):
                        self._download([spec])
        kept = tuple(spec for spec in step.packages if self._has_deb(spec))
        missing = tuple(spec for spec in step.packages if spec not in kept)
        self.outcome.debs = Debs(kept, missing, True)
        record = self._read_record()
        if record is not None:
            # A run that is cut off later must not have to fetch them again.
            self._write_record(replace(record, debs=self.outcome.debs))
        if missing:
            self._no_way_back(missing)

    def _download(self, specs: Sequence[str]) -> Answer:
        argv = ["env", f"--chdir={lock_record.DEBS}", "apt-get", "-q", *FETCH, "download", *specs]
        self.outcome.commands.append(argv)
        return self.desk.run(argv, timeout=self.limits.fetch, env=APT_ENVIRONMENT)

    def _download_failed(self, answer: Answer) -> None:
        text = answer.stderr + answer.stdout
        found = explain(answer.argv, text, self.where, severity="warn", timeout=answer.error == "timeout")
        if found.code == "DISK_FULL":
            self.outcome.fail(found)
        elif found.code not in {item.code for item in self.outcome.findings}:
            self.outcome.findings.append(found)

    def _no_way_back(self, missing: Sequence[str]) -> None:
        told = f"{self.where.subject}: no way back to {named(missing, 4)}: "
        if self.check_mode:
            told += "not in the package lists that the desk has now, which check mode does not refresh"
        else:
            told += "the package could not be got from an archive"
        severity = "note" if self.check_mode else "warn"
        evidence = {"missing": list(missing)}
        self.outcome.findings.append(finding("DRIVER_ROLLBACK_IMPOSSIBLE", self.where, told, evidence=evidence, severity=severity))

    def _ask_offers(self, specs: Sequence[str]) -> dict[str, Offer]:
        answer = self.desk.run(["apt-cache", "show", *specs], timeout=QUICK)
        wanted = set(specs)
        return {item.spec: item for item in apt_text.offers(answer.stdout) if item.spec in wanted}

    def _deb_files(self, specs: Iterable[str]) -> list[str]:
        names = self.desk.list_dir(lock_record.DEBS).names
        return [found for spec in specs if (found := _deb_of(spec, names))]

    def _has_deb(self, spec: str) -> bool:
        return bool(self._deb_files([spec]))

    # --- apt and dpkg ---

    def _update(self) -> None:
        """Fresh lists; an archive that fails is named, and fails the run only where a package is needed from it."""
        argv = ["apt-get", "-q", *FETCH, "-o", "APT::Update::Error-Mode=any", "update"]
        answer = self._patient(argv, timeout=self.limits.fetch)
        text = answer.stderr + answer.stdout
        if answer.error == "timeout":
            self.outcome.findings.append(
                finding(
                    "APT_ARCHIVE_UNREACHABLE", self.where, f"{self.where.subject}: apt-get update did not end in {self.limits.fetch:.0f} s"
                )
            )
            return
        if not answer.ok and codes(text)[:1] in (("DPKG_LOCKED",), ("DISK_FULL",)):
            self.outcome.fail(explain(argv, text, self.where, severity="fail"))
            return
        self.outcome.findings.extend(archive_findings(text, self.where))

    def _preflight_move(self, step: Step, pins: str | None) -> None:
        moving = frozenset(spec.partition("=")[0] for spec in step.packages)
        refusal = self._simulate(step.packages, moving, pins)
        if refusal is not None:
            self.outcome.fail(refusal)

    def _simulate(self, packages: Sequence[str], upgrades_allowed: frozenset[str], pins: str | None = None) -> Finding | None:
        """Why apt would not do this, and nothing else; null when it would. ``pins``: preferences that are not in force yet."""
        downgrade = ["--allow-downgrades"] if self.want.allow_downgrade else []
        # The lock's own holds are released when packages move together; the plan refuses when somebody else's hold is among them.
        held = ["--allow-change-held-packages"] if upgrades_allowed else []
        argv = ["apt-get", "-q", "-s", "-y", "--no-remove", "--no-install-recommends", *held, *downgrade]
        if pins is not None:
            self.desk.write_text(PREVIEW, pins)
            argv += ["-o", f"Dir::Etc::preferences={PREVIEW}"]
        try:
            answer = self.desk.run([*argv, "install", *packages], timeout=QUICK, env=APT_ENVIRONMENT)
        finally:
            if pins is not None:
                self.desk.remove(PREVIEW)
        if not answer.ok:
            return explain(answer.argv, answer.stderr + answer.stdout, self.where, severity="fail", timeout=answer.error == "timeout")
        would = apt_text.simulated(answer.stdout)
        moved = {name: f"{old} -> {new}" for name, (old, new) in would.upgrades.items() if name not in upgrades_allowed}
        moved = {name: change for name, change in moved.items() if belongs(name, self.want.branch)}
        if not moved and not would.removals:
            return None
        told = ", ".join(
            [*(f"{name} {change}" for name, change in sorted(moved.items())[:4]), *(f"removal of {i}" for i in would.removals[:4])]
        )
        message = f"{self.where.subject}: installing {', '.join(packages[:4])} would also mean {told}"
        evidence = {"wanted": list(packages), "would_change": moved, "would_remove": list(would.removals)}
        return finding("DRIVER_LOCK_UNSATISFIABLE", self.where, message, evidence=evidence)

    def _apt(self, arguments: Sequence[str]) -> None:
        argv = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={self.limits.lock:.0f}", *KEEP_CONFIGURATION, *FETCH, *arguments]
        answer = self.desk.run(argv, timeout=self.limits.lock + self.limits.install, env=APT_ENVIRONMENT)
        self._judge(answer)

    def _locked_command(self, argv: list[str], *, stdin: str | None = None, shown: Sequence[str] = (), timeout: float = QUICK) -> None:
        answer = self._patient(argv, stdin=stdin, timeout=timeout)
        self._judge(answer, [*argv, *shown])

    def _patient(self, argv: list[str], *, stdin: str | None = None, timeout: float = QUICK) -> Answer:
        """Run a command that cannot wait for the package lock by itself; try again until the lock's time limit is over."""
        deadline = time.monotonic() + self.limits.lock
        while True:
            answer = self.desk.run(argv, timeout=timeout, stdin=stdin, env=APT_ENVIRONMENT)
            locked = not answer.ok and "DPKG_LOCKED" in codes(answer.stderr + answer.stdout)
            if not locked or time.monotonic() + RETRY_PAUSE > deadline:
                return answer
            time.sleep(RETRY_PAUSE)

    def _judge(self, answer: Answer, shown: Sequence[str] | None = None) -> None:
        self.outcome.commands.append(list(shown or answer.argv))
        if answer.ok:
            self.outcome.changed = True
            return
        text = answer.stderr + answer.stdout
        self.outcome.fail(explain(answer.argv, text, self.where, severity="fail", timeout=answer.error == "timeout"))

    # --- small things ---

    def _read_record(self) -> Record | None:
        text = self.desk.read_text(lock_record.PATH).text
        if not text:
            return None
        try:
            return lock_record.parse(text)
        except lock_record.RecordError:
            return None

    def _write_record(self, record: Record) -> None:
        self.desk.write_text(lock_record.PATH, record.to_json())
        self.outcome.changed = True

    def _disk_full(self, path: str, needed: int, free: int) -> None:
        message = f"{self.where.subject}: {path} has {free // 1024**2} MiB free, {needed // 1024**2} MiB are needed; nothing was changed"
        evidence = {"path": path, "needed_bytes": needed, "free_bytes": free}
        self.outcome.fail(finding("DISK_FULL", self.where, message, evidence=evidence))

    def _write_error(self, error: OSError) -> Finding:
        message = f"{self.where.subject}: {error.filename or 'a file'} cannot be written: {error.strerror}"
        code = "DISK_FULL" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "APT_FAILED"
        return finding(code, self.where, message, evidence={"path": error.filename, "error": error.strerror})


def _pins_of(plan: LockPlan) -> str | None:
    """The pins that a plan is about to write."""
    return next((step.text for step in plan.steps if step.kind == driver_plan.PREFERENCES), None)


def _deb_of(spec: str, names: Iterable[str]) -> str | None:
    """The kept file of NAME=VERSION."""
    name, _equals, version = spec.partition("=")
    start = f"{name}_{version.replace(':', '%3a')}_"
    return next((item for item in names if item.startswith(start) and item.endswith(".deb")), None)
