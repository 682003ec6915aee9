# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run apt and dpkg on a desk: patient with the package lock, simulated before it is done, every error with its code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..desk import Answer, WritableDesk
from ..judges.apt_errors import archive_findings, codes, explain
from ..judges.catalogue import finding
from ..model.finding import Finding, Where
from . import apt_text
from .driver_group import belongs
from .lock_model import WantedLock
from .lock_record import Debs

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


class AptRunner:
    """apt and dpkg on one desk. What they do and what goes wrong is kept in ``outcome``."""

    def __init__(self, desk: WritableDesk, where: Where, want: WantedLock, limits: Limits | None = None, check_mode: bool = False) -> None:
        self.desk, self.where, self.want = desk, where, want
        self.limits = limits or Limits()
        self.check_mode = check_mode
        self.outcome = Outcome()

    def _update(self) -> None:
        """Fresh lists; an archive that fails is named, and fails the run only where a package is needed from it."""
        argv = ["apt-get", "-q", *FETCH, "-o", "APT::Update::Error-Mode=any", "update"]
        self._lists(self._patient(argv, timeout=self.limits.fetch))

    def _lists(self, answer: Answer) -> None:
        """Keep what an ``apt-get update`` said of the archives."""
        text = answer.stderr + answer.stdout
        if answer.error == "timeout":
            self.outcome.findings.append(
                finding(
                    "APT_ARCHIVE_UNREACHABLE",
                    self.where,
                    f"{self.where.subject}: apt-get update did not end within {self.limits.fetch:.0f} s",
                )
            )
            return
        if not answer.ok and codes(text)[:1] in (("DPKG_LOCKED",), ("DISK_FULL",), ("APT_FAILED",)):
            self.outcome.fail(explain(answer.argv, text, self.where, severity="fail"))
            return
        self.outcome.findings.extend(archive_findings(text, self.where))

    def _simulate(
        self,
        packages: Sequence[str],
        upgrades_allowed: frozenset[str],
        pins: str | None = None,
        *,
        leaving: Sequence[str] = (),
        downgrade: bool = False,
    ) -> Finding | None:
        """Why apt would not do this, and nothing else; null when it would. ``pins``: preferences that are not in force yet; ``leaving``:
        the packages that may be removed."""
        down = ["--allow-downgrades"] if self.want.allow_downgrade or downgrade else []
        # The lock's own holds are released when packages move together; the plan refuses when somebody else's hold is among them.
        held = ["--allow-change-held-packages"] if upgrades_allowed else []
        argv = ["apt-get", "-q", "-s", "-y", *([] if leaving else ["--no-remove"]), "--no-install-recommends", *held, *down]
        if pins is not None:
            self.desk.write_text(PREVIEW, pins)
            argv += ["-o", f"Dir::Etc::preferences={PREVIEW}"]
        try:
            answer = self.desk.run([*argv, "install", *packages, *(f"{name}-" for name in leaving)], timeout=QUICK, env=APT_ENVIRONMENT)
        finally:
            if pins is not None:
                self.desk.remove(PREVIEW)
        if not answer.ok:
            return explain(answer.argv, answer.stderr + answer.stdout, self.where, severity="fail", timeout=answer.error == "timeout")
        would = apt_text.simulated(answer.stdout)
        moved = {name: f"{old} -> {new}" for name, (old, new) in would.upgrades.items() if name not in upgrades_allowed}
        moved = {name: change for name, change in moved.items() if belongs(name, self.want.branch)}
        removed = [name for name in would.removals if name not in leaving]
        if not moved and not removed:
            return None
        told = ", ".join([*(f"{name} {change}" for name, change in sorted(moved.items())[:4]), *(f"removal of {i}" for i in removed[:4])])
        message = f"{self.where.subject}: installing {', '.join(packages[:4])} would also mean {told}"
        evidence = {"wanted": list(packages), "would_change": moved, "would_remove": removed}
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
