"""A desk behind a scripted door: it has keys, a password, sudo, a serial number, a state of its first boot, and it notes everything
that was asked of it and changed on it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import carrier
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.enrolment import PROGRAM, Enrolment, Outcome, Secrets, Wanted
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.known_hosts import fingerprint
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.ssh_door import AdminKey, Answer, Lost, Rejected, Unreachable

USER = "labadmin"
PASSWORD = "hunter2-Zebra"
SUDO_PASSWORD = "root-of-all-3vil"
SERIAL = "1581924000017"
ADMIN = AdminKey("ssh-ed25519 QURNSU4= admin@lab")


def host_key(word: str) -> str:
    """A host key made from a word."""
    return f"ssh-ed25519 {base64.b64encode(word.encode()).decode()}"


KEY, OTHER_KEY = host_key("desk-01"), host_key("another")
PRINT, OTHER_PRINT = str(fingerprint(KEY)), str(fingerprint(OTHER_KEY))


@dataclass
class ScriptedDesk:
    """What stands at the address. A ``Door``."""

    keys: tuple[str, ...] = (KEY,)
    password: str | None = PASSWORD
    """The right one; null: no login with a password."""
    sudo_password: str | None = SUDO_PASSWORD
    """The right one; null: the user may not use sudo."""
    sudo_free: bool = False
    serial: str | None = SERIAL
    uid: int = 1000
    gid: int = 1000
    oobe: bool = False
    boots: Iterator[tuple[str, str]] | None = None
    """(state of the first boot, boot id) of each look; a desk that stays as it is without."""
    unreachable: list[Exception] = field(default_factory=list)
    """Raised by the next connections, one after the other."""
    lost: list[str] = field(default_factory=list)
    """Looks that lose the connection with these words, one after the other."""
    refuses: str | None = None
    """The words with which a check on the desk refuses root's changes."""
    echoes: str = ""
    """What it prints on standard error."""
    greets: str = ""
    """What the login's start-up files print before any command's output."""
    instead: Answer | None = None
    """What they run in place of any command."""

    authorised: set[str] = field(default_factory=set)
    root_files: dict[str, Any] = field(default_factory=dict)
    closed: bool = False
    argvs: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    inside: bool = False
    host_key: str | None = None

    # ---- the door

    def host_keys(self) -> tuple[str, ...]:
        if self.unreachable:
            raise self.unreachable.pop(0)
        return self.keys

    def login(self, user: str, password: str | None, key: AdminKey, host_keys: Sequence[str]) -> str:
        self.logins.append(user)
        if self.unreachable:
            raise self.unreachable.pop(0)
        if not set(host_keys) & set(self.keys):
            raise Unreachable("remote host identification has changed between two connections")
        self.host_key = next(item for item in self.keys if item in host_keys)
        if user == USER and key.public in self.authorised:
            self.inside = True
            return "key"
        if user != USER or password is None or password != self.password:
            raise Rejected(f"permission denied for {user}")
        self.inside = True
        return "password"

    def has(self, host_key: str) -> bool:
        return self.inside and host_key in self.keys

    def run(self, argv: Sequence[str], stdin: str = "", seconds: float = 60.0) -> Answer:
        if not self.inside:
            raise Lost("there is no connection")
        if self.lost:
            self.inside = False
            raise Lost(self.lost.pop(0))
        self.argvs.append(" ".join(argv))
        if self.instead is not None:
            return self.instead
        root = argv[0] == "sudo"
        before, program, text = stdin.partition(carrier.feed(PROGRAM))
        assert program and list(argv[-4:]) == carrier.argv()
        if root and self.sudo_password is None:
            return Answer(1, "", f"{USER} is not in the sudoers file.")
        if root and not self.sudo_free and before != f"{self.sudo_password}\n":
            return Answer(
                1, "", f"sudo: no password was provided {self.echoes}" if not before else f"sudo: incorrect password {self.echoes}"
            )
        request = json.loads(text)
        self.requests.append(request)
        answer: dict[str, Any] = {"changes": []}
        if root and self.refuses and len(request) > 1:
            answer["refused"] = self.refuses
        else:
            answer["changes"] = self._change(request)
        state, boot = next(self.boots) if self.boots else ("done", "boot-1")
        answer["look"] = {
            "user": USER,
            "uid": self.uid,
            "gid": self.gid,
            "root": root,
            "hostname": "spark-a1b2",
            "serial": self.serial if root else None,
            "boot_id": boot,
            "first_boot": state,
            "oobe": self.oobe,
        }
        return Answer(0, f"{self.greets}{json.dumps(answer)}\n", self.echoes)

    def close(self) -> None:
        self.inside = False

    # ---- what changes on it

    def _change(self, request: dict[str, Any]) -> list[str]:
        apply, changes = bool(request.get("apply")), []
        if request.get("key") and request["key"] not in self.authorised:
            changes.append("authorized_keys")
            if apply:
                self.authorised.add(request["key"])
        for name in ("sudo_commands", "hostname", "avahi"):
            if name in request and self.root_files.get(name, None if name != "avahi" else False) != request[name]:
                changes.append(name)
                if apply:
                    self.root_files[name] = request[name]
        if request.get("keys_only") and not self.closed:
            changes.append("keys only")
            self.closed = self.closed or apply
        if request.get("reopen"):
            self.closed = False
            changes.append("re-enabled")
        return changes

    @property
    def touched(self) -> bool:
        """Whether anything was changed on it."""
        return bool(self.authorised or self.root_files or self.closed)


@dataclass
class Person:
    """The admin at the terminal, or nobody."""

    says: bool = False
    asked: list[str] = field(default_factory=list)

    def ask(self, question: str) -> bool:
        self.asked.append(question)
        return self.says


@dataclass
class Run:
    """One way of one desk, with a clock that only sleeping moves."""

    outcome: Outcome
    desk: ScriptedDesk
    person: Person
    said: list[str]
    slept: float
    known_hosts: Path

    @property
    def codes(self) -> dict[str, str]:
        """Code to severity."""
        return {item.code: item.severity for item in self.outcome.findings}

    @property
    def known(self) -> str:
        """The text of known_hosts."""
        return self.known_hosts.read_text(encoding="utf-8") if self.known_hosts.exists() else ""

    @property
    def shown(self) -> str:
        """Everything that a person, a log or a report can get to see."""
        findings = [item.as_dict() for item in self.outcome.findings]
        told = json.dumps([findings, self.outcome.changes, self.outcome.data, self.said, self.person.asked, self.desk.argvs])
        return told + self.known


def enrol(
    desk: ScriptedDesk,
    known_hosts: Path,
    *,
    prove: Callable[[ScriptedDesk], str | None] | None = None,
    says: bool = False,
    secrets: Secrets | None = None,
    **wanted: Any,
) -> Run:
    """Enrol the scripted desk."""
    values: dict[str, Any] = {"desk": "desk-01", "address": "192.0.2.11", "user": USER, "key": ADMIN, "serial": SERIAL}
    person, said, now = Person(says), [], [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def proof() -> str | None:
        if prove is not None:
            return prove(desk)
        return None if ADMIN.public in desk.authorised else f"{USER}@192.0.2.11: Permission denied (publickey)."

    outcome = Enrolment(
        Wanted(**{**values, "known_hosts": known_hosts, **wanted}),
        secrets or Secrets(PASSWORD, SUDO_PASSWORD),
        desk,
        prove=proof,
        ask=person.ask,
        say=said.append,
        sleep=sleep,
        clock=lambda: now[0],
    ).run()
    return Run(outcome, desk, person, said, now[0], known_hosts)
