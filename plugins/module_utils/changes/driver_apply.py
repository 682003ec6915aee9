# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the steps of a driver lock on the desk.

What could refuse is asked before the first change: room on the disk, whether apt can reach what is wanted (simulated), which
packages can be kept for a way back. Each step may be done twice. The record is written before the first change and says what
was there, so a run that was cut off anywhere is taken up by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from ..desk import Answer, WritableDesk
from ..judges.apt_errors import explain
from ..judges.catalogue import CODES, finding
from ..judges.common import named
from ..model.finding import Where
from . import apt_preferences, apt_text, lock_model, lock_record
from .apt_runner import APT_ENVIRONMENT, FETCH, QUICK, AptRunner, Limits, Outcome
from .apt_text import Offer
from .driver_group import DRIVER_NAMES, DRIVER_SOURCES, MODPROBE, NO_DRIVER, is_other_branch, is_other_version
from .lock_model import LockPlan, Step, WantedLock
from .lock_record import Debs, Record, deb_of
from .unwritten import unwritten

RESERVE_BYTES = 256 * 1024 * 1024
"""Room that stays free beside what is kept or installed (this collection's rule)."""
SMALL_BYTES = 16 * 1024 * 1024
"""Room that even pins and holds need."""

DRIVERS = f'?or(?source-package("{DRIVER_SOURCES}"),?name("{DRIVER_NAMES}"))'
"""apt's pattern (apt-patterns(7)) for every package that may be one of a driver, among all that apt knows."""

APT_CACHE = "/var/cache/apt/archives"

UNSATISFIABLE = "DRIVER_LOCK_UNSATISFIABLE"
UNFIT = (
    "The lock file's versions do not fit what else this desk or its archives have, such as the modules of a newer kernel, which need the "
    "newer driver; no kernel is removed for them. Write a new lock file from the desk that has the newest packages "
    "(playbooks/lock_from.yml) and give that one (driver_lock_from)."
)


class Applier(AptRunner):
    """Carries out plans on one desk."""

    def __init__(self, desk: WritableDesk, where: Where, want: WantedLock, limits: Limits | None = None, check_mode: bool = False) -> None:
        super().__init__(desk, where, want, limits, check_mode)
        self._offers: dict[str, Offer] = {}
        self._leaving: tuple[str, ...] = ()
        """Packages that must go for what is to be installed, as the simulation showed."""

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
                if step.kind in (lock_model.REPAIR, lock_model.MOVE) and not self.check_mode:
                    self.outcome.replan = True
                    break
        except OSError as error:
            self.outcome.fail(unwritten(self.where, error))
        return self.outcome

    def _do(self, step: Step, plan: LockPlan) -> None:
        actions: dict[str, Callable[[], None]] = {
            lock_model.RECORD: partial(self._record, plan),
            lock_model.OPEN: partial(self._select, step.packages, "install"),
            lock_model.KEEP_DEBS: partial(self._keep_debs, step),
            lock_model.REPAIR: partial(self._repair, step),
            lock_model.MOVE: partial(self._move, step.packages),
            lock_model.PREFERENCES: partial(self._preferences, step),
            lock_model.HOLD: partial(self._select, step.packages, "hold"),
            lock_model.UNHOLD: partial(self._select, step.packages, "install"),
            lock_model.PROTECT: partial(self._mark, "manual", step.packages),
            lock_model.UNPROTECT: partial(self._mark, "auto", step.packages),
            lock_model.VERIFY: self._verify,
            lock_model.SETTLE: partial(self._settle, plan),
            lock_model.ROLL_BACK: partial(self._roll_back, step),
            lock_model.FORGET: self._forget,
        }
        if self.check_mode:
            # What preflight simulated stands for the packages; the other steps are certain.
            if step.kind == lock_model.REPAIR and step.packages:
                refusal = self._simulate(step.packages, frozenset(), _pins_of(plan))
                if refusal is not None:
                    self.outcome.findings.append(refusal)
            self.outcome.changed = self.outcome.changed or step.kind != lock_model.VERIFY
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
        needs_archives = [kind for kind in (lock_model.KEEP_DEBS, lock_model.REPAIR, lock_model.MOVE) if kind in steps]
        for path in (lock_record.FOLDER, "/etc/apt/preferences.d", *([APT_CACHE] if needs_archives else [])):
            free = self.desk.free_bytes(path)
            if free < SMALL_BYTES and lock_model.FORGET not in kinds:
                self._disk_full(path, SMALL_BYTES, free)
                return
        if needs_archives and not self.check_mode:
            self._update()
            if self.outcome.failed:
                return
        if lock_model.KEEP_DEBS in steps:
            self._preflight_debs(steps[lock_model.KEEP_DEBS])
        if lock_model.MOVE in steps and not self.outcome.failed:
            self._preflight_move(steps[lock_model.MOVE], _pins_of(plan))

    def _preflight_move(self, step: Step, pins: str | None) -> None:
        moving = frozenset(spec.partition("=")[0] for spec in step.packages)
        refusal = self._simulate(step.packages, moving, pins)
        if refusal is not None and step.leaving:
            # The new firmware may not stand beside the old one, whose package has another name.
            refusal = self._simulate(step.packages, moving, pins, leaving=step.leaving)
            self._leaving = step.leaving if refusal is None else ()
        if refusal is not None:
            if refusal.code == UNSATISFIABLE and refusal.remedy == CODES[UNSATISFIABLE].remedy:
                refusal = replace(refusal, remedy=UNFIT)  # an update never brings a desk to the versions of a file
            self.outcome.fail(refusal)

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

    def _install(self, packages: Sequence[str]) -> None:
        downgrade = ["--allow-downgrades"] if self.want.allow_downgrade else []
        self._apt(["-y", "--no-remove", "--no-install-recommends", *downgrade, "install", *packages])

    def _move(self, packages: Sequence[str]) -> None:
        """Bring packages to their versions; what must go for it was simulated, and nothing else may."""
        if not self._leaving:
            self._install(packages)
            return
        downgrade = ["--allow-downgrades"] if self.want.allow_downgrade else []
        self._apt(["-y", "--no-install-recommends", *downgrade, "install", *packages, *_going(self._leaving)])

    def _roll_back(self, step: Step) -> None:
        """Put the recorded versions back from the kept files, all at once."""
        self._locked_command(["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"], timeout=self.limits.install)
        files = [f"{lock_record.DEBS}/{name}" for name in self._deb_files(step.packages)]
        if len(files) != len(step.packages):
            message = f"{self.where.subject}: {lock_record.DEBS} has {len(files)} of {len(step.packages)} packages that are to be restored"
            self.outcome.fail(finding("DRIVER_ROLLBACK_IMPOSSIBLE", self.where, message, severity="fail"))
            return
        if not step.leaving:
            self._apt(["-y", "--no-remove", "--allow-downgrades", "--no-install-recommends", "install", *files])
            return
        names = frozenset(spec.partition("=")[0] for spec in step.packages)
        refusal = self._simulate(files, names, leaving=step.leaving, downgrade=True)
        if refusal is not None:
            self.outcome.fail(refusal)
            return
        self._apt(["-y", "--allow-downgrades", "--no-install-recommends", "install", *files, *_going(step.leaving)])

    def _forget(self) -> None:
        self.desk.remove_folder(lock_record.FOLDER)
        self.outcome.changed = True

    def _verify(self) -> None:
        """Ask apt itself about every package that a driver's source or name tells of: none of another branch may be a candidate."""
        answer = self.desk.run(["apt-cache", "policy", DRIVERS], timeout=QUICK)
        if not answer.ok:
            self.outcome.fail(explain(answer.argv, answer.stderr or answer.stdout, self.where, timeout=answer.error == "timeout"))
            return
        wrong = {
            item.package: item.candidate
            for item in apt_text.policy(answer.stdout)
            if item.candidate and item.candidate != item.installed and self._is_other(item.package, item.candidate)
        }
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

    def _is_other(self, package: str, version: str) -> bool:
        """Whether a package is of a driver of another branch: by its name, else by its version."""
        if NO_DRIVER.match(package):
            return False
        return is_other_version(package, version, self.want.branch) or (package != MODPROBE and is_other_branch(package, self.want.branch))

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
        for name in self.desk.list_dir(lock_record.DEBS).names:
            if not name.endswith(".deb"):
                # apt leaves a file that it refused under another name.
                self.desk.remove(f"{lock_record.DEBS}/{name}")
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
        told = f"{self.where.subject}: no rollback to {named(missing, 4)}: "
        if self.check_mode:
            told += "not in the desk's current package lists, which check mode does not refresh"
        else:
            told += "no archive could provide the package"
        severity = "note" if self.check_mode else "warn"
        evidence = {"missing": list(missing)}
        self.outcome.findings.append(finding("DRIVER_ROLLBACK_IMPOSSIBLE", self.where, told, evidence=evidence, severity=severity))

    def _ask_offers(self, specs: Sequence[str]) -> dict[str, Offer]:
        answer = self.desk.run(["apt-cache", "show", *specs], timeout=QUICK)
        wanted = set(specs)
        return {item.spec: item for item in apt_text.offers(answer.stdout) if item.spec in wanted}

    def _deb_files(self, specs: Iterable[str]) -> list[str]:
        names = self.desk.list_dir(lock_record.DEBS).names
        return [found for spec in specs if (found := deb_of(spec, names))]

    def _has_deb(self, spec: str) -> bool:
        return bool(self._deb_files([spec]))

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
        message = f"{self.where.subject}: {path} has {free // 1024**2} MiB free; {needed // 1024**2} MiB are needed; nothing was changed"
        evidence = {"path": path, "needed_bytes": needed, "free_bytes": free}
        self.outcome.fail(finding("DISK_FULL", self.where, message, evidence=evidence))


def _going(names: Iterable[str]) -> list[str]:
    """apt's way to say that packages are to be removed by an installation."""
    return [f"{name}-" for name in names]


def _pins_of(plan: LockPlan) -> str | None:
    """The pins that a plan is about to write."""
    return next((step.text for step in plan.steps if step.kind == lock_model.PREFERENCES), None)
