# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enrolling one desk: who is it, may we enter, and what must be set so that everything later is key login with a checked host key.

The steps stand in the order of trust: nothing is changed before the desk's identity is proven, nothing is called enrolled before a
new connection with the key worked, and password login is closed only after that. All input and output goes through a door, so
that a scripted desk takes its place in tests. Passwords go over standard input and are blotted out of every text that comes back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..module_utils.judges.catalogue import finding
from ..module_utils.judges.common import serials_apart
from ..module_utils.model.finding import Finding, Where
from ..module_utils.programs import carrier, user_files
from . import enrol_program
from .admission import first_contact
from .admission.admit import AnswerInvalid, discreet
from .admission.text import ends, everything, line
from .connection_errors import classify
from .connection_reasons import REVOKED_KEY, login_shell
from .known_hosts import fingerprint, keys_of, names_of, remember, revoked_in, text_of
from .ssh_door import AdminKey, Answer, Door, Lost, Rejected, Unreachable

PROGRAM = carrier.text([user_files, enrol_program])
POLL_SECONDS = 10.0
TELL_SECONDS = 60.0
SETTLE_SECONDS = 5.0
"""After the upgrade's flag stands, how long to wait whether the desk starts again by itself."""
STARTING_SECONDS = 90.0
"""How long a desk that refuses or closes connections may still be starting, or starting again after its first-boot upgrade."""
STARTING = ("refused", "closed")
PROOF_TRIES = 5
PROOF_SECONDS = 2.0

KNOWN, FINGERPRINT, SERIAL, CONFIRMED = "known", "fingerprint", "serial", "confirmed"


@dataclass(frozen=True)
class Wanted:
    """One desk as the lab sheet and the admin's choices want it."""

    desk: str
    address: str
    user: str
    key: AdminKey
    known_hosts: Path
    port: int = 22
    serial: str | None = None
    host_key: str | None = None
    """Fingerprint, SHA256:..."""
    sudo_commands: tuple[str, ...] | None = None
    """Commands that need no sudo password; null keeps the password for all."""
    hostname: str | None = None
    avahi: bool = True
    close_password_login: bool = False
    upgrade_wait: float = 1800.0
    """Seconds to wait for the first-boot upgrade."""
    check_mode: bool = False


@dataclass(frozen=True)
class Secrets:
    """What must never be shown."""

    password: str | None = field(default=None, repr=False)
    become: str | None = field(default=None, repr=False)

    def blot(self, text: str) -> str:
        """The text without the secrets; the longer one first, which may begin with the other, and as texts of several lines are joined."""
        told = [secret for secret in (self.password, self.become) if secret]
        forms = {form for secret in told for form in (secret, " ".join(secret.split())) if form}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, "********")
        return text

    def blot_all(self, value: Any) -> Any:
        """The value with every text in it blotted."""
        if isinstance(value, Mapping):
            return {key: self.blot_all(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.blot_all(item) for item in value]
        return self.blot(value) if isinstance(value, str) else value


@dataclass
class Outcome:
    """What became of a desk."""

    findings: list[Finding] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the desk is not enrolled."""
        return any(item.severity in ("fail", "unknown") for item in self.findings)


class _Stop(Exception):
    """The desk goes no further; its finding is noted."""


class Enrolment:
    """One desk's way. ``ask`` shows a question to a person and is false when nobody is there; ``say`` tells progress."""

    def __init__(
        self,
        wanted: Wanted,
        secrets: Secrets,
        door: Door,
        prove: Callable[[], str | None],
        ask: Callable[[str], bool],
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wanted, self.secrets, self.door = wanted, secrets, door
        self.prove, self.ask, self.say, self.sleep, self.clock = prove, ask, say, sleep, clock
        self.outcome = Outcome()
        self.host_keys: tuple[str, ...] = ()
        self.trusted: tuple[str, ...] = ()
        """Those of them that are proven: a password goes to no other. Where only the serial number can prove the desk: all of them until
        the login, then the one that the login met."""
        self.changed_from: str | None = None
        self.root = False

    def run(self) -> Outcome:
        """Go the whole way, or to the first thing that stops it."""
        try:
            by, entered = self._first_contact()
            if by is None and self.door.host_key:
                self.trusted = (self.door.host_key,)
            if self._identify(by, entered)["first_boot"] == "pending":
                self._await_upgrade()
            self._set_up()
        except _Stop:
            pass
        except Unreachable as error:
            self._unreachable(str(error))
        except Lost as error:
            self._unreachable(f"lost connection: {error}")
        except AnswerInvalid as invalid:
            self._note("DESK_ANSWER_INVALID", f"its answer was not accepted: {invalid.refused}", invalid.finding.evidence)
        finally:
            self.door.close()
            # A desk that was given a password could hand it back as its name.
            self.outcome.data = self._discreet(everything(self.secrets.blot_all(self.outcome.data)))
        return self.outcome

    # ---- who is it

    def _first_contact(self) -> tuple[str | None, dict[str, Any]]:
        """Key and login; once more while the desk may be starting. Nothing was changed before, so trying again is harmless."""
        begun, told = self.clock(), False
        while True:
            try:
                return self._trust(), self._enter()
            except (Unreachable, Lost) as error:
                lost = isinstance(error, Lost)
                if (not lost and classify(str(error)).kind not in STARTING) or self.clock() - begun > STARTING_SECONDS:
                    raise
                self.door.close()
            if not told:
                self.say(f"{self.wanted.desk}: it refuses or closes connections and may be starting; retrying for {STARTING_SECONDS:.0f} s")
                told = True
            self.sleep(POLL_SECONDS)

    def _trust(self) -> str | None:
        """What makes the host key trusted before the login, null when only the serial number can."""
        wanted = self.wanted
        self.host_keys = tuple(key for key in self.door.host_keys() if fingerprint(key))
        if not self.host_keys:
            raise Unreachable(f"{wanted.address} presents no host key that ssh can use")
        self.trusted = self.host_keys
        shown = [fingerprint(key) for key in self.host_keys]
        listed = text_of(wanted.known_hosts)
        known = keys_of(listed, wanted.desk)
        self.outcome.data["host_key_fingerprints"] = [item for item in shown if item]
        if revoked := sorted({fingerprint(key) or "" for key in revoked_in(listed) & set(self.host_keys)}):
            message = f"{REVOKED_KEY.sentence} ({wanted.known_hosts}): {', '.join(revoked)}"
            self._stop(REVOKED_KEY.code, message, {"revoked": revoked}, remedy=REVOKED_KEY.remedy)
        in_sheet = wanted.host_key in shown if wanted.host_key else None
        if in_sheet is False:
            self.changed_from = f"the lab sheet says {wanted.host_key}"
        if known and set(known) & set(self.host_keys):
            self.trusted = tuple(key for key in self.host_keys if key in known)
            return KNOWN
        if in_sheet:
            self.trusted = tuple(key for key in self.host_keys if fingerprint(key) == wanted.host_key)
            if known:
                self.changed_from = "known_hosts has a different key"
            return FINGERPRINT
        if known:
            self.changed_from = f"known_hosts has {fingerprint(known[0])}"
        if wanted.serial:
            return None
        if self.changed_from:
            self._stop("DESK_IDENTITY_WRONG", f"unexpected ssh host key: {shown[0]}; {self.changed_from}", {"shown": shown})
        question = f"{wanted.desk} at {wanted.address} presents the ssh host key {shown[0]} ({self.host_keys[0].split()[0]})"
        if wanted.check_mode or not self.ask(question):
            message = f"nothing proves that {wanted.address} is this desk: its host key {shown[0]} was not confirmed"
            self._stop("HOST_KEY_UNCONFIRMED", message, {"shown": shown})
        self.trusted = self.host_keys[:1]
        return CONFIRMED

    def _enter(self) -> dict[str, Any]:
        """Log in and look, as root where that is possible."""
        wanted = self.wanted
        try:
            method = self.door.login(wanted.user, self.secrets.password, wanted.key, self.trusted)
        except Rejected as error:
            remedy = (
                "Check the login user's name and password (--ask-pass, or a vaulted ansible_password for each desk). A desk whose "
                "first-time setup was never finished has no user yet: finish the wizard at the desk."
            )
            self._stop("AUTH_FAILED", f"the desk answers, but refuses the login of {wanted.user}", {"error": str(error)}, remedy=remedy)
        self.outcome.data["login"] = method
        return self._look()

    def _look(self) -> dict[str, Any]:
        request = {"user": self.wanted.user}
        answer, words = self._program(request, root=True)
        self.root = answer is not None
        if answer is None:
            self.outcome.data["sudo"] = self._end(words, 200)
            answer, words = self._program(request, root=False)
        if answer is None:
            shell = login_shell(words)
            said = self._end(words, 300)
            told = f"{shell[0]}: {said}" if shell else said
            remedy = shell[1] if shell else None
            self._stop("DESK_STAGE_FAILED", f"the desk cannot be examined: {told}", {"error": said}, remedy=remedy)
        look: dict[str, Any] = answer["look"]
        return look

    def _identify(self, by: str | None, look: dict[str, Any]) -> dict[str, Any]:
        """Compare the chassis serial number; stop before anything is changed on a machine that is not the one meant."""
        wanted, serial = self.wanted, look.get("serial")
        if not self.root and self.secrets.become is None and by is None:
            self._no_root("its serial number cannot be read, and nothing else proves which desk it is")
        if not self.root and self.secrets.become is not None:
            self._no_root("becoming root with sudo does not work")
        if wanted.serial and serial and serial.strip().casefold() != wanted.serial.strip().casefold():
            expected, found = serials_apart(wanted.serial.strip(), serial.strip())
            message = (
                "the serial number of the chassis at this address is not the one in the lab sheet (shortened: "
                f"{expected} was expected, {found} was found): a lease moved, desks were swapped, or the sheet is wrong"
            )
            self._stop("DESK_IDENTITY_WRONG", message, {"compared": "serial number"})
        if by is None and not (wanted.serial and serial):
            message = (
                "the serial number in the lab sheet could not be compared, because the desk's could not be read, and its host key "
                "is not known"
            )
            self._stop("DESK_IDENTITY_WRONG", message, {"compared": "serial number"}, severity="unknown")
        self.outcome.data["identity"] = by or SERIAL
        self.outcome.data.update({key: look.get(key) for key in ("user", "uid", "gid", "hostname", "first_boot")})
        if self.changed_from:
            shown = self.outcome.data["host_key_fingerprints"]
            message = f"the ssh host key is {shown[0]}, {self.changed_from}"
            message += "; the chassis serial number is right" if wanted.serial and serial else ""
            self._note("HOST_KEY_CHANGED", message, {"shown": shown, "expected": wanted.host_key})
        if look["oobe"]:
            self._stop("OOBE_PENDING", "the first-time setup (wizard) of the desk is not finished", {"unit": enrol_program.OOBE_UNIT})
        return look

    def _no_root(self, why: str) -> None:
        words = str(self.outcome.data.get("sudo", ""))
        self._stop("BECOME_FAILED", f"the login of {self.wanted.user} works, {why}", {"sudo": words})

    # ---- patience

    def _await_upgrade(self) -> None:
        """Wait for the upgrade of the first boot and the restart that it does by itself; a lost connection is part of it."""
        wanted = self.wanted
        begun, told = self.clock(), -TELL_SECONDS
        if wanted.check_mode:
            self._stop("FIRST_BOOT_UPGRADE_PENDING", "the first-boot upgrade is running", {"waited_s": 0})
        while True:
            passed = self.clock() - begun
            if passed - told >= TELL_SECONDS:
                told = passed
                self.say(
                    f"{wanted.desk}: first-boot upgrade is running, waited {passed / 60:.0f} of {wanted.upgrade_wait / 60:.0f} minutes"
                )
            if passed > wanted.upgrade_wait:
                message = f"the first-boot upgrade has not ended within {wanted.upgrade_wait / 60:.0f} minutes"
                self._stop("FIRST_BOOT_UPGRADE_PENDING", message, {"waited_s": round(passed)})
            self.sleep(POLL_SECONDS)
            try:
                look = self._look_again()
                if look["first_boot"] == "pending":
                    continue
                # The flag stands before the desk starts again: only a desk that stays is through.
                self.sleep(SETTLE_SECONDS)
                again = self._look_again()
            except (Lost, Unreachable) as error:
                if classify(str(error)).kind == "host_key":
                    raise  # another machine has taken the address meanwhile
                self.door.close()
                continue
            if again["first_boot"] != "pending" and again["boot_id"] == look["boot_id"]:
                self.outcome.data["first_boot"] = again["first_boot"]
                self.say(f"{wanted.desk}: first-boot upgrade is done")
                return

    def _look_again(self) -> dict[str, Any]:
        """Look once more, over a new connection where the old one is gone. The host key must be the one that was trusted."""
        try:
            return self._look()
        except Lost:
            try:
                self.door.login(self.wanted.user, self.secrets.password, self.wanted.key, self.trusted)
            except Rejected as error:
                # pam refuses logins while a desk goes down or comes up (nologin).
                raise Lost(str(error)) from None
            return self._look()

    # ---- setting up

    def _set_up(self) -> None:
        wanted, apply = self.wanted, not self.wanted.check_mode
        own = {"user": wanted.user, "key": wanted.key.public, "apply": apply}
        self._change(own, root=False)
        if self.root:
            roots: dict[str, Any] = {"user": wanted.user, "apply": apply, "avahi": wanted.avahi, "hostname": wanted.hostname}
            roots["sudo_commands"] = None if wanted.sudo_commands is None else list(wanted.sudo_commands)
            self._change(roots, root=True)
        names = names_of(wanted.desk, wanted.address, wanted.port)
        # All kinds of the desk's keys, but none that it passed on from another machine, which would later be taken for this desk.
        keys = [key for key in self.host_keys if key == self.door.host_key or self.door.has(key)]
        if remember(wanted.known_hosts, wanted.desk, names, keys, write=apply):
            self.outcome.changes.append(f"known_hosts: {len(keys)} host key{'' if len(keys) == 1 else 's'}")
        if not apply and self.outcome.changes:
            return
        error = self._proof()
        if error is not None:
            self._stop("KEY_LOGIN_FAILED", f"a new connection with the admin's key does not work: {error}", {})
        if wanted.close_password_login and self.root:
            closed = self._change({"user": wanted.user, "keys_only": True, "apply": apply}, root=True)
            error = self._proof() if closed and apply else None
            if error is not None:
                self._program({"user": wanted.user, "reopen": True, "apply": True}, root=True)
                self._stop(
                    "KEY_LOGIN_FAILED", f"password login was re-enabled, because the key login failed after it was disabled: {error}", {}
                )
        how = {
            KNOWN: "its host key is known",
            FINGERPRINT: "its host key has the lab sheet's fingerprint",
            SERIAL: "its chassis has the lab sheet's serial number",
            CONFIRMED: "its host key was confirmed by hand",
        }[self.outcome.data["identity"]]
        self._note("DESK_ENROLLED", f"{how}, and the admin's key opens it", {"identity": self.outcome.data["identity"]})

    def _proof(self) -> str | None:
        """A new login with the key, null when it works. sshd does not listen for a moment while it is reloaded."""
        for _try in range(PROOF_TRIES - 1):
            error = self.prove()
            if error is None or classify(error).kind not in STARTING:
                return error
            self.sleep(PROOF_SECONDS)
        return self.prove()

    def _change(self, request: dict[str, Any], root: bool) -> bool:
        answer, words = self._program(request, root)
        if answer is None:
            said = self._end(words, 300)
            self._stop("DESK_STAGE_FAILED", f"the desk rejected the changes: {said}", {"error": said})
        if answer.get("refused"):
            self._stop("ENROL_REFUSED", str(answer["refused"]), {})
        changes = answer.get("changes") or []
        self.outcome.changes += [self.secrets.blot(item) for item in changes]
        return bool(changes)

    def _program(self, request: Mapping[str, Any], root: bool) -> tuple[Any, str]:
        """Run the program on the desk: its answer, or null and the words of whatever refused."""
        stdin = carrier.feed(PROGRAM, json.dumps(request))
        argv: Sequence[str] = carrier.argv()
        if root and self.secrets.become is not None:
            argv, stdin = ["sudo", "-k", "-S", "-p", "", "--", *argv], f"{self.secrets.become}\n{stdin}"
        elif root:
            argv = ["sudo", "-k", "-n", "--", *argv]
        answer: Answer = self.door.run(argv, stdin, 120.0)
        words = " ".join((answer.stderr or answer.stdout).split()) or f"the command ended with {answer.rc}"
        return first_contact.told(self.wanted.desk, answer.stdout), self.secrets.blot(words)

    # ---- findings

    def _discreet(self, value: Any) -> Any:
        return discreet(value, (self.wanted.desk,))

    def _end(self, words: str, limit: int) -> str:
        """Words of a desk without their middle; looked through before, lest a value is left without the key that tells it."""
        return ends(str(self._discreet(words)), limit)

    def _unreachable(self, text: str) -> None:
        reason = classify(text)
        # Blotted before it is cut, lest half a secret is left.
        text = self._discreet(self.secrets.blot(text))
        evidence = {"reason": reason.kind, "error": ends(text, 400), "address": self.wanted.address}
        self._note(reason.code, reason.told(text), evidence, remedy=reason.remedy)

    def _note(self, code: str, message: str, evidence: Mapping[str, Any], severity: str | None = None, remedy: str | None = None) -> None:
        # Here every text ends that a desk may have written.
        text = self._discreet(line(self.secrets.blot(f"{self.wanted.desk}: {message}")))
        told = self._discreet(everything(self.secrets.blot_all(evidence)))
        self.outcome.findings.append(finding(code, Where(desk=self.wanted.desk), text, evidence=told, severity=severity, remedy=remedy))

    def _stop(self, code: str, message: str, evidence: Mapping[str, Any], severity: str | None = None, remedy: str | None = None) -> Any:
        self._note(code, message, evidence, severity, remedy)
        raise _Stop
