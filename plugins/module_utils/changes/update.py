# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Update one desk, and take an update back. The reboot between is the controller's.

Every step is noted in the journal before it is made, and every step may be made twice: a run that was cut off anywhere is taken up by the
next one. Nothing is changed before apt has been asked what it would do and the packages for the way there and back are on the desk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..desk import WritableDesk
from ..judges import update as judge
from ..judges.apt_errors import explain
from ..judges.catalogue import finding
from ..judges.common import named, same_version
from ..judges.dgx_os import unknown_major
from ..judges.driver import lack, next_boot_ramdisk, uncover
from ..model.desk import Desk
from ..model.finding import Finding, Where
from ..model.update import CHANGING, INSTALLED, ROLLED_BACK, ROLLING_BACK, STARTED, Change, Journal, Look
from ..readers import grub
from . import apt_text, lock_record
from .apt_runner import APT_ENVIRONMENT, FETCH, QUICK, AptRunner, Limits
from .driver_group import belongs, held_group, present
from .lock_model import PAUSED, WantedLock
from .lock_record import deb_of
from .unwritten import unwritten
from .update_journal import DEBS, FOLDER, PATH, begun, parse, to_json
from .update_look import NO_PHASES, SIMULATION, changes_of, new_kernels, upgrade_words

SUBSETS = ("identity", "dgx_os", "kernel", "driver", "apt", "busy", "setup")
"""Parts of the facts that an update rests on."""
GRUB_CFG = "/boot/grub/grub.cfg"
FWUPD_REFRESH, FWUPD_UPDATE = 300.0, 1800.0
NOTHING_TO_DO = 2
"""Exit status of fwupdmgr where there was nothing to do."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of the desk."""

    wishes: judge.Wishes = field(default_factory=judge.Wishes)
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package to version; empty for the newest of the branch."""
    expected: Mapping[str, str] = field(default_factory=dict)
    """Versions of driver, kernel and NCCL that the look at this desk said it would end at."""
    run_id: str = "unknown"
    stack: str | None = None


@dataclass
class Result:
    """What became of it."""

    reboot: bool = False
    """Whether the desk is to be rebooted now."""
    kernel_after: str | None = None
    journal: Journal | None = None


class Updater(AptRunner):
    """Works on one desk. What was done is in ``outcome``."""

    def __init__(self, desk: WritableDesk, where: Where, want: Wanted, observe: Callable[[], Desk], limits: Limits | None = None) -> None:
        lock = WantedLock(branch=want.wishes.branch, allow_downgrade=want.wishes.allow_downgrade)
        super().__init__(desk, where, lock, limits)
        self.wanted, self.observe = want, observe
        self.result = Result()

    # ---- forward --------------------------------------------------------------------------------------------------------

    def update(self) -> Result:
        """Packages, the proof of the next kernel, firmware where it was asked for. Never raises for what the desk answers."""
        return self._guarded(self._update_desk)

    def _update_desk(self) -> None:
        facts = self._ready()
        if facts is None:
            return
        last = self._journal()
        if facts.apt.broken_packages and not self._repair():
            return
        self._update()
        if self.outcome.failed:
            return
        installed = {item.name: item.version for item in held_group(facts.driver.packages, self.want.branch)}
        words = upgrade_words(self.wanted.versions, installed)
        changes = self._simulated(words)
        if self.outcome.failed or self._moved(facts, changes, installed):
            return
        going_on = last is not None and last.open
        if changes:
            journal = begun(
                last, changes, self.want.branch, self.wanted.expected, facts.kernel.running, self.wanted.run_id, self.wanted.stack
            )
            self._note(journal)
            journal = self._keep(journal)
            if self.outcome.failed or not self._room(changes):
                return
            self._install(words, journal, any(item.new is None for item in changes))
            if self.outcome.failed:
                return
        elif last is None or not going_on:
            if not self.wanted.wishes.firmware:
                return
            self._note(begun(None, (), self.want.branch, self.wanted.expected, facts.kernel.running, self.wanted.run_id, self.wanted.stack))
        self._prove_next_boot()

    def _prove_next_boot(self) -> None:
        """The kernel that GRUB will start has its R580 open module, before anybody reboots."""
        facts = self.observe()
        journal = self._journal()
        if journal is None:
            return
        journal = replace(journal, phase=STARTED if journal.phase == STARTED else INSTALLED, kernel_after=facts.kernel.next_boot)
        refusal = self._blind(facts, facts.kernel.next_boot)
        self._note(journal)
        if refusal is not None:
            self.outcome.fail(refusal)
            return
        if self.wanted.wishes.firmware and not journal.firmware:
            journal = self._firmware(journal)
            if self.outcome.failed:
                return
        waits = reboot_needed(facts) or bool(journal.firmware and journal.phase == INSTALLED)
        if not waits:
            journal = replace(journal, phase=STARTED)
        self._note(journal)
        self.result = Result(waits, facts.kernel.next_boot, journal)

    def _blind(self, facts: Desk, release: str | None) -> Finding | None:
        image = next((item for item in facts.kernel.installed if item.release == release), None)
        if image is not None and image.has_driver:
            return next(iter(next_boot_ramdisk(facts, self.where, release)), None)
        told, remedy = "could not be examined", None
        if image is not None and image.has_driver is False:
            told, remedy = lack(image).removeprefix("which "), f"On the desk: {uncover(image)}." if image.module_path else None
        message = f"{self.where.subject}: the packages are in, but kernel {release or 'unknown'} that GRUB would start {told}; not rebooted"
        evidence = {"next_boot": release, "with_driver": [item.release for item in facts.kernel.installed if item.has_driver]}
        return finding("UPDATE_KERNEL_WITHOUT_MODULE", self.where, message, evidence=evidence, remedy=remedy)

    def _moved(self, facts: Desk, changes: Sequence[Change], installed: Mapping[str, str]) -> bool:
        """Whether apt would now do something else than what the look said, or something that an update may not do."""
        look = Look(changes=tuple(changes))
        if changes:
            look = replace(look, offered_modules=self._offered_modules(changes))
        refusals = judge.judge_changes(facts, look, self.where, self.wanted.wishes)
        after = judge.versions_after(installed, changes)
        differ = {
            name: [version, after.get(name)]
            for name, version in self.wanted.expected.items()
            if name in installed and after.get(name) != version
        }
        if differ:
            told = named(f"{name} {found or 'nothing'} instead of {wanted}" for name, (wanted, found) in differ.items())
            message = f"{self.where.subject}: the archives have changed since the plan ({told}); nothing was changed"
            refusals.append(finding("UPDATE_REFUSED", self.where, message, evidence={"versions": differ}))
        for item in refusals:
            self.outcome.fail(item)
        return bool(refusals)

    def _offered_modules(self, changes: Sequence[Change]) -> tuple[str, ...]:
        names = [f"linux-modules-nvidia-{self.want.branch}-open-{release}" for release in new_kernels(changes)]
        if not names:
            return ()
        answer = self.desk.run(["apt-cache", "policy", *names], timeout=QUICK)
        return tuple(item.package for item in apt_text.policy(answer.stdout) if item.candidate)

    def _install(self, words: Sequence[str], journal: Journal, removes: bool) -> None:
        """Fetch everything first: an archive that goes away in the middle then costs nothing. After that only dpkg is at work."""
        kept = [] if removes else ["--no-remove"]
        options = [*NO_PHASES, *kept, *self._direction(words)]
        self._apt(["-y", "--download-only", *options, *words])
        if self.outcome.failed:
            return
        self._note(replace(journal, phase=CHANGING))
        self._apt(["-y", *options, *words])

    def _direction(self, words: Sequence[str]) -> list[str]:
        return ["--allow-downgrades"] if self.wanted.wishes.allow_downgrade and words[0] == "install" else []

    def _simulated(self, words: Sequence[str]) -> tuple[Change, ...]:
        if list(words) == ["install"]:
            return ()
        argv = ["apt-get", "-q", "-s", "-y", *NO_PHASES, *self._direction(words), *words]
        answer = self.desk.run(argv, timeout=SIMULATION, env=APT_ENVIRONMENT)
        if not answer.ok:
            text = answer.stderr + answer.stdout
            self.outcome.fail(explain(answer.argv, text, self.where, severity="fail", timeout=answer.error == "timeout"))
            return ()
        return changes_of(answer.stdout)

    def _room(self, changes: Sequence[Change]) -> bool:
        """Room for what is unpacked, asked again after the packages for the way back were fetched."""
        sizes = self._sizes([f"{item.name}={item.new}" for item in changes if item.new])
        look = Look(
            changes=tuple(changes),
            fetch_bytes=sum(size for size, _unpacked in sizes.values()),
            install_bytes=sum(unpacked for _size, unpacked in sizes.values()),
            free={path: self.desk.free_bytes(path) for path in ("/", "/boot", "/var")},
        )
        for item in judge.room(look, self.where):
            self.outcome.fail(item)
        return not self.outcome.failed

    def _sizes(self, specs: Sequence[str]) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for place in range(0, len(specs), 200):
            answer = self.desk.run(["apt-cache", "show", *specs[place : place + 200]], timeout=QUICK)
            found |= {offer.spec: (offer.size, offer.installed_size) for offer in apt_text.offers(answer.stdout)}
        return {spec: sizes for spec, sizes in found.items() if spec in set(specs)}

    def _firmware(self, journal: Journal) -> Journal:
        """Hand the vendor's firmware to the next boot. fwupd asks itself whether the desk may be flashed."""
        refresh = self.desk.run(["fwupdmgr", "refresh", "--force"], timeout=FWUPD_REFRESH)
        if not refresh.ok and refresh.rc != NOTHING_TO_DO:
            self._firmware_failed(refresh.stderr or refresh.stdout or str(refresh.error), "refresh")
            return journal
        argv = ["fwupdmgr", "update", "--assume-yes", "--no-reboot-check"]
        answer = self.desk.run(argv, timeout=FWUPD_UPDATE)
        self.outcome.commands.append(argv)
        if answer.rc == NOTHING_TO_DO:
            return journal
        if not answer.ok:
            self._firmware_failed(answer.stderr or answer.stdout or str(answer.error), "update")
            return journal
        self.outcome.changed = True
        return replace(journal, phase=INSTALLED, firmware=("handed to the next boot",))

    def _firmware_failed(self, text: str, what: str) -> None:
        told = " ".join(text.split())[-300:]
        message = f"{self.where.subject}: fwupdmgr {what} failed: {told}; the packages are in"
        self.outcome.fail(finding("UPDATE_FIRMWARE", self.where, message, evidence={"fwupdmgr": told}))

    # ---- packages for the way back --------------------------------------------------------------------------------------

    def _keep(self, journal: Journal) -> Journal:
        """Keep the packages from before; what the driver lock kept and what an admin laid there counts too."""
        self.desk.make_folder(DEBS)
        specs = [f"{name}={version}" for name, version in sorted(journal.before.items())]
        wanted = [spec for spec in specs if self._kept(spec) is None]
        offered = [spec for spec in wanted if spec in self._sizes(wanted)]
        if offered:
            answer = self._download(offered)
            if not answer:
                for spec in offered:
                    if self._kept(spec) is None and not self.outcome.failed:
                        self._download([spec])
        for name in self.desk.list_dir(DEBS).names:
            # Those of an earlier update, and what apt left of a file that it refused.
            if not any(deb_of(spec, [name]) for spec in specs):
                self.desk.remove(f"{DEBS}/{name}")
        kept = tuple(spec for spec in specs if self._kept(spec) is not None)
        journal = replace(journal, kept=kept, lost=tuple(spec for spec in specs if spec not in kept))
        self._note(journal)
        return journal

    def _download(self, specs: Sequence[str]) -> bool:
        argv = ["env", f"--chdir={DEBS}", "apt-get", "-q", *FETCH, "download", *specs]
        self.outcome.commands.append(argv)
        answer = self.desk.run(argv, timeout=self.limits.fetch, env=APT_ENVIRONMENT)
        if not answer.ok:
            found = explain(argv, answer.stderr + answer.stdout, self.where, severity="warn", timeout=answer.error == "timeout")
            if found.code == "DISK_FULL":
                self.outcome.fail(found)
        return answer.ok

    def _kept(self, spec: str) -> str | None:
        """Path of the kept file of NAME=VERSION."""
        for folder in (DEBS, lock_record.DEBS):
            name = deb_of(spec, self.desk.list_dir(folder).names)
            if name is not None:
                return f"{folder}/{name}"
        return None

    # ---- back -----------------------------------------------------------------------------------------------------------

    def roll_back(self) -> Result:
        """Versions and default kernel from before. After the reboot that it asks for it is called again. Never raises for what the desk
        answers."""
        return self._guarded(self._roll_back)

    def _roll_back(self) -> None:
        journal = self._journal()
        if journal is None:
            message = f"{self.where.subject}: there is no update in its journal ({PATH}), so there is nothing to undo"
            self.outcome.findings.append(finding("UPDATE_ROLLBACK_IMPOSSIBLE", self.where, message, severity="note"))
            return
        facts = self._ready()
        if facts is None or (facts.apt.broken_packages and not self._repair()):
            return
        now = {item.name: item.version for item in present(facts.driver.packages)}
        back = [f"{name}={version}" for name, version in sorted(journal.before.items()) if now.get(name) != version]
        # dpkg refuses to remove the kernel that runs: it goes after the reboot into the old one.
        running = facts.kernel.running or ""
        going = [name for name in journal.added if name in now and not (running and name.endswith(f"-{running}"))]
        words = self._words_back(back)
        if self.outcome.failed:
            return
        if words or going:
            words = [*words, *(f"{name}-" for name in going)]
            if not self._allowed(words, going):
                return
            self._note(replace(journal, phase=ROLLING_BACK))
            self._apt(["-y", "--allow-downgrades", "--no-install-recommends", "install", *words])
            if self.outcome.failed:
                return
        elif journal.phase != ROLLED_BACK:
            self._note(replace(journal, phase=ROLLING_BACK))
        self._old_kernel(replace(journal, phase=ROLLING_BACK))

    def _words_back(self, back: Sequence[str]) -> list[str]:
        """Kept files, else what an archive still has; a package that is nowhere ends it before anything is changed."""
        files = {spec: path for spec in back if (path := self._kept(spec)) is not None}
        rest = [spec for spec in back if spec not in files]
        offered = self._sizes(rest) if rest else {}
        missing = [spec for spec in rest if spec not in offered]
        # Without these the rest works as it did; driver, kernel and NCCL go back together or not at all.
        needed = [spec for spec in missing if belongs(spec.partition("=")[0], self.want.branch) or spec.startswith("linux-")]
        if needed:
            message = f"{self.where.subject}: {named(needed, 4)} was not kept, and no archive has it; nothing was changed"
            self.outcome.fail(finding("UPDATE_ROLLBACK_IMPOSSIBLE", self.where, message, evidence={"missing": needed}))
            return []
        if missing:
            message = f"{self.where.subject}: {named(missing, 4)} stays as it is: it was not kept, and no archive has it"
            found = finding("UPDATE_ROLLBACK_IMPOSSIBLE", self.where, message, evidence={"missing": missing}, severity="note")
            self.outcome.findings.append(found)
        return [files.get(spec, spec) for spec in back if spec in files or spec in offered]

    def _allowed(self, words: Sequence[str], going: Sequence[str]) -> bool:
        """Whether apt would remove only what the update brought."""
        argv = ["apt-get", "-q", "-s", "-y", "--allow-downgrades", "--no-install-recommends", "install", *words]
        answer = self.desk.run(argv, timeout=SIMULATION, env=APT_ENVIRONMENT)
        if not answer.ok:
            text = answer.stderr + answer.stdout
            self.outcome.fail(explain(argv, text, self.where, severity="fail", timeout=answer.error == "timeout"))
            return False
        journal = self._journal()
        added = set(journal.added) if journal else set()
        lost = [item.name for item in changes_of(answer.stdout) if item.new is None and item.name not in {*going, *added}]
        if lost:
            message = f"{self.where.subject}: a rollback would remove {named(lost)}, which the update did not install; nothing was changed"
            self.outcome.fail(finding("UPDATE_UNSATISFIABLE", self.where, message, evidence={"would_remove": lost}))
        return not lost

    def _old_kernel(self, journal: Journal) -> None:
        """Start the kernel from before: by itself where it is the highest again, else once by GRUB, until the newer one can go."""
        facts = self.observe()
        wanted = journal.kernel_before
        refusal = self._blind(facts, wanted)
        if refusal is not None:
            self.outcome.fail(refusal)
            return
        if facts.kernel.next_boot != wanted and facts.kernel.running != wanted:
            entry = grub.entries(self.desk.read_text(GRUB_CFG).text or "").get(str(wanted))
            done = self.desk.run(["grub-reboot", entry], timeout=QUICK) if entry else None
            if done is None or not done.ok or self.observe().kernel.next_boot != wanted:
                message = f"{self.where.subject}: GRUB could not be set to start kernel {wanted}; not rebooted"
                remedy = f"Start the desk and choose kernel {wanted} in GRUB's menu (Advanced options), then run again."
                evidence = {"kernel": wanted, "entry": entry}
                self.outcome.fail(finding("REBOOT_REFUSED", self.where, message, evidence=evidence, remedy=remedy))
                return
            self.outcome.commands.append(["grub-reboot", str(entry)])
            self.outcome.changed = True
        waits = reboot_needed(facts) or facts.kernel.running != wanted
        journal = replace(journal, kernel_after=wanted, phase=ROLLING_BACK if waits else ROLLED_BACK)
        if journal != self._journal():
            self._note(journal)
        self.result = Result(waits, wanted, journal)

    # ---- shared ---------------------------------------------------------------------------------------------------------

    def note(self, phase: str) -> Result:
        """Note how far it came."""

        def write() -> None:
            journal = self._journal()
            if journal is not None and journal.phase != phase:
                self._note(replace(journal, phase=phase))
                self.result = Result(journal=replace(journal, phase=phase))

        return self._guarded(write)

    def _guarded(self, work: Callable[[], None]) -> Result:
        try:
            work()
        except OSError as error:
            self.outcome.fail(unwritten(self.where, error))
        return replace(self.result, journal=self._journal())

    def _ready(self) -> Desk | None:
        """The desk's facts, where packages may be changed at all."""
        facts = self.observe()
        refusals = [*unknown_major(facts, self.where)]
        lock = None
        if facts.setup.driver_lock:
            try:
                lock = lock_record.parse(facts.setup.driver_lock)
            except lock_record.RecordError as error:
                message = f"{self.where.subject}: {error}; nothing was changed"
                refusals.append(finding("DRIVER_LOCK_RECORD_MISSING", self.where, message, severity="fail"))
        if not refusals and (lock is None or lock.state != PAUSED):
            message = f"{self.where.subject}: the driver lock is not paused, so packages cannot move together; nothing was changed"
            refusals.append(finding("UPDATE_REFUSED", self.where, message, evidence={"lock": lock.state if lock else "absent"}))
        if not refusals and not self.wanted.wishes.force:
            refusals += judge.busy(facts, self.where)
        for item in refusals:
            self.outcome.fail(item)
        return None if refusals else facts

    def _repair(self) -> bool:
        """Finish what was cut off."""
        argv = ["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"]
        self._locked_command(argv, timeout=self.limits.install)
        if not self.outcome.failed:
            self._apt(["-y", "-f", "install"])
        return not self.outcome.failed

    def _journal(self) -> Journal | None:
        return parse(self.desk.read_text(PATH).text)

    def _note(self, journal: Journal) -> None:
        self.desk.make_folder(FOLDER)
        self.desk.write_text(PATH, to_json(journal))
        self.outcome.changed = True


def reboot_needed(facts: Desk) -> bool:
    """Whether what is installed needs a new start."""
    kernel, driver = facts.kernel, facts.driver
    return bool(
        facts.apt.reboot_required
        or (kernel.next_boot and kernel.next_boot != kernel.running)
        or not same_version(driver.module_version, driver.user_space_version)
    )


def result_of(updater: Updater, result: Result) -> dict[str, Any]:
    """The module's result."""
    outcome = updater.outcome
    told = {
        "changed": outcome.changed,
        "commands": outcome.commands,
        "reboot": result.reboot and not outcome.failed,
        "kernel_after": result.kernel_after,
        "phase": result.journal.phase if result.journal else None,
        "findings": [item.as_dict() for item in outcome.findings],
    }
    if outcome.failed:
        worst = next((item for item in reversed(outcome.findings) if item.severity in ("fail", "unknown")), outcome.findings[-1])
        told.update(failed=True, msg=worst.message)
    return told
