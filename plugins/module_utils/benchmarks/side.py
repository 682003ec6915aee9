# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sides of a measurement, driven alike: an agent in a transient unit on the head, an agent over ssh on the peer.

The peer is reached as the login user with the pair's own key. That ssh command is the one place where an argument list becomes a line
of text: sshd hands it to the login shell, whichever that is (`remote_command`), and what the shell's start-up files print comes before
the agent's frames.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import select
import selectors
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from .. import desk as desk_module
from ..desk import DEFAULT_TIMEOUT, Answer, Desk, Link, Listing, Text, command_environment
from ..model.link import KNOWN_HOSTS
from ..programs import carrier, lease
from . import agent as agent_module

T = TypeVar("T")

KEY_NAME = "id_ed25519_dgx_spark_pair"
SSH_PORT = 22

REPLY_LIMIT = 1 << 26
"""Bytes of one answer of an agent. The agent itself cuts outputs far below."""

SSH_FAILED = 255
"""Exit code of ssh for a failure of its own; any other one is the remote command's."""

NOISE_LIMIT = 65536
"""Bytes that are kept of what is no frame."""

LAST_WORDS = 16
"""Times that the pipe of a program which has ended is read; it holds 64 KiB."""

GREETING = 30.0
"""Seconds until the agent must have answered for the first time."""

TAKING = 30.0
"""Seconds until an agent must have taken what it is sent."""

PAST_THE_END = 30.0
"""Seconds after an agent's time limit in which it is still listened to."""

HEARTBEAT = 5.0
"""Seconds between signs of life to an agent."""


FORMS: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
    "float": (int, float),
    "tuple[str, ...]": (tuple,),
}
"""What a member of an answer may be, by how its dataclass declares it."""

ANSWERS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "hello": lambda told: _is_holder(told.get("held") or {}) and isinstance(told["uid"], int),
    "marked": lambda told: _numbers(told["pids"]),
    "end_marked": lambda told: _numbers(told["ended"]),
    "listen": lambda told: isinstance(told["error"], str) if "error" in told else told["port"] in range(1, 65536),
    "connect": lambda told: isinstance(told.get("error", ""), str),
}
"""Whether the answer to an operation that has no method of its own is as the agent gives it."""


class SideError(Exception):
    """A side of the measurement could not be started or was lost. ``kind``: trust, host_key, algorithm, expired, no_route,
    refused, port, damaged, timed_out, closed, lost, login (the login works, its shell does not let the agent answer), failed.
    """

    def __init__(self, desk: str, kind: str, text: str) -> None:
        self.desk, self.kind, self.text = desk, kind, text
        super().__init__(f"{desk}: {text}")


@dataclass(frozen=True)
class Started:
    """A program that was started. ``pid`` is null when it could not be; ``error`` says why (missing, denied)."""

    pid: int | None
    limits: str | None = None
    """Text of /proc/PID/limits right after the start."""
    error: str | None = None


class Side(Desk, Protocol):
    """One desk during a measurement: answers like a `Desk` and runs programs beside that."""

    name: str
    hello: Mapping[str, Any]
    """What the agent said of itself when it began; ``uid`` is its user, and so that of all that it starts."""

    def start(self, argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None, cwd: str | None = None) -> Started:
        """Start a program in a process group of its own, ended at the time limit."""

    def wait(self, pid: int, patience: float) -> Answer | None:
        """What the program gave once it has ended, null while it runs after ``patience`` seconds."""

    def stop(self, pid: int) -> Answer:
        """End the program's process group and say what it gave."""

    def read_texts(self, paths: Sequence[str]) -> list[Text]:
        """Several files at once."""

    def ask(self, operation: str, patience: float = DEFAULT_TIMEOUT, **arguments: Any) -> Any:
        """A request of the agent that has no method of its own."""


def program() -> str:
    """The agent with what it needs, as one text."""
    return carrier.text([desk_module, lease, agent_module])


def bootstrap_argv(limit: float) -> list[str]:
    """The command that loads the agent; ``timeout`` ends it for certain a little after its own time limit."""
    return ["timeout", "--kill-after=10", str(int(limit) + 10), *carrier.argv()]


def unit_argv(unit: str, user: str, limit: float) -> list[str]:
    """The agent on the head: a transient unit of the login user that may lock memory and that systemd ends."""
    return [
        "systemd-run",
        "--quiet",
        "--pipe",
        "--wait",
        "--collect",
        f"--unit={unit}",
        f"--uid={user}",
        "--property=LimitMEMLOCK=infinity",
        f"--property=RuntimeMaxSec={int(limit) + 20}",
        "--property=KillMode=control-group",
        "--property=TimeoutStopSec=10",
        *bootstrap_argv(limit),
    ]


def remote_command(limit: float) -> str:
    """The agent's command as one line that every login shell (sh, tcsh, fish, ...) takes for the same words.

    The line begins with /bin/sh and has one text in single quotes, in which there is nothing that a shell expands within quotes: no
    backslash, exclamation mark, quote or line break. The program that loads the agent is therefore written as numbers.
    """
    *before, code = bootstrap_argv(limit)
    numbers = ",".join(str(byte) for byte in code.encode())
    return f"/bin/sh -c 'exec {' '.join(before)} \"exec(bytes([{numbers}]))\"'"


def ssh_options(home: str) -> list[str]:
    """Options of every ssh between the desks of a pair: the pair's key only, host keys always checked, nothing forwarded."""
    return [
        "-F", "none", "-T",
        "-i", f"{home}/.ssh/{KEY_NAME}",
        "-o", "IdentitiesOnly=yes",
        "-o", "BatchMode=yes",
        "-o", "StrictHostKeyChecking=yes",
        "-o", f"UserKnownHostsFile={KNOWN_HOSTS}",
        "-o", "ConnectTimeout=10",
        "-o", "ServerAliveInterval=5",
        "-o", "ServerAliveCountMax=3",
        "-o", "ClearAllForwardings=yes",
        "-o", "LogLevel=ERROR",
    ]  # fmt: skip


def ssh_argv(user: str, home: str, address: str, limit: float, port: int = SSH_PORT) -> list[str]:
    """The agent on another desk, over ssh as the login user."""
    where = ["-p", str(port)] if port != SSH_PORT else []
    return ["runuser", "-u", user, "--", "ssh", *ssh_options(home), *where, f"{user}@{address}", remote_command(limit)]


class AgentSide:
    """See `Side`. Talks to one agent over a process that carries its pipe."""

    _ends = float("inf")
    """When the agent has ended whatever it says: one that answers slowly for ever must not keep the head's desk taken."""

    def __init__(self, name: str, argv: Sequence[str], token: str, limit: float) -> None:
        self.name = name
        self._number = 0
        self._replies: dict[int, dict[str, Any]] = {}
        self._buffer = b""
        self._errors = b""
        self._said = b""
        """What came on the agent's way that was no frame: a login's own words."""
        self._frame = agent_module.frame_head(token)
        self._over_ssh = "ssh" in argv
        self._greeted = False
        self._writing = threading.Lock()
        self._closed = threading.Event()
        try:
            # A conversation with a process that lives on; run_command only knows commands that end.
            self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=command_environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise SideError(name, "failed", f"{argv[0]} cannot be started: {error.strerror}") from error
        self._ends = time.monotonic() + limit + PAST_THE_END
        order = json.dumps({"token": token, "limit": limit, "run": lease.told(os.environ)})
        self._send(carrier.feed(program(), f"{order}\n").encode())
        threading.Thread(target=self._keep_alive, daemon=True).start()
        self.hello: Mapping[str, Any] = self.ask("hello", patience=GREETING)
        self._greeted = True

    def _keep_alive(self) -> None:
        """An empty line now and then: an agent that hears nothing any more ends what it started."""
        while not self._closed.wait(HEARTBEAT):
            with contextlib.suppress(OSError, ValueError, SideError):
                self._write(b"\n")

    def _send(self, data: bytes) -> None:
        try:
            self._write(data)
        except (BrokenPipeError, ConnectionResetError):
            self._collect(0.5)
            self._lost()

    def _write(self, data: bytes) -> None:
        """Hand data to the agent's pipe, piece by piece: one that is never read must not hold root's process on the head."""
        stream = self._process.stdin
        with self._writing:
            while data and stream is not None:
                if not select.select((), (stream,), (), TAKING)[1]:
                    raise SideError(self.name, "timed_out", f"it took no question for {TAKING:.0f} s")
                data = data[os.write(stream.fileno(), data[: select.PIPE_BUF]) :]

    def _lost(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)
        # What ssh said may still lie in the pipe when its end was seen first.
        stream = self._process.stderr
        if stream is not None and not stream.closed and self._process.poll() is not None:
            # Its user may hold the pipe open, and fill it for ever.
            for _part in range(LAST_WORDS):
                if not select.select((stream,), (), (), 0.0)[0] or not (chunk := os.read(stream.fileno(), 65536)):
                    break
                self._errors = (self._errors + chunk)[-4096:]
        text = _plain(self._errors)
        kind = classify_ssh(text)
        ended = self._process.poll()
        if self._over_ssh and not self._greeted and ended not in (None, SSH_FAILED):
            # ssh itself ends with 255; anything else is what the login shell ended with, so host and key were right.
            text = (
                f"the login shell ended with {ended} before the measurement's program answered{': ' if text else ''}{text}{self._before()}"
            )
            raise SideError(self.name, "expired" if kind == "expired" else "login", text)
        # What a running program said must not be taken for ssh's own words.
        kind = kind if not self._greeted or kind in ("no_route", "timed_out", "damaged") else "lost"
        raise SideError(self.name, kind, (text or "the connection ended without any output") + self._before())

    def _before(self) -> str:
        """What the login said that was no frame, as a part of a message."""
        said = _plain(self._said)
        return f"; the login printed: {said[:200]}" if said and not self._greeted else ""

    def _collect(self, patience: float) -> bool:
        """Read what there is; false when the agent is gone."""
        with selectors.DefaultSelector() as selector:
            for stream, kind in ((self._process.stdout, "out"), (self._process.stderr, "err")):
                if stream is not None and not stream.closed:
                    selector.register(stream, selectors.EVENT_READ, kind)
            if not selector.get_map():
                return False
            for key, _mask in selector.select(patience):
                chunk = os.read(key.fd, 262144)
                if key.data == "err":
                    if chunk:
                        self._errors = (self._errors + chunk)[-4096:]
                    elif self._process.stderr is not None:
                        self._process.stderr.close()
                    continue
                if not chunk:
                    return False
                self._buffer += chunk
                if len(self._buffer) > REPLY_LIMIT:
                    raise SideError(self.name, "failed", f"its answer is longer than {REPLY_LIMIT} bytes; none of it was read")
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._buffer) > NOISE_LIMIT and self._frame not in self._buffer:
            self._heard(self._buffer[:-NOISE_LIMIT])
            self._buffer = self._buffer[-NOISE_LIMIT:]
        return True

    def _take(self, line: bytes) -> None:
        """Keep a reply that is waited for. A peer that talks on must not fill the memory of root's process on the head."""
        # A window's title has no line end, so a frame may begin within a line.
        before, found, frame = line.partition(self._frame)
        self._heard(before if found else line)
        with contextlib.suppress(ValueError, RecursionError):
            reply = json.loads(frame) if found else None
            if isinstance(reply, dict) and reply.get("id") == self._number:
                self._replies = {self._number: reply}

    def _heard(self, noise: bytes) -> None:
        if noise.strip() and len(self._said) < NOISE_LIMIT:
            self._said = (self._said + noise + b" ")[:NOISE_LIMIT]

    def ask(self, operation: str, patience: float = DEFAULT_TIMEOUT, **arguments: Any) -> Any:
        """See `Side`. Raises SideError when the agent is lost or does not answer in time."""
        self._number += 1
        number = self._number
        self._send((json.dumps({"id": number, "op": operation, **arguments}) + "\n").encode())
        deadline = min(time.monotonic() + patience + 10.0, self._ends)
        while number not in self._replies:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                self._heard(self._buffer)
                errors = _plain(self._errors)[-200:]
                said = self._before() or (f": {errors}" if errors else "")
                kind = "login" if self._over_ssh and not self._greeted and said else "timed_out"
                raise SideError(self.name, kind, f"no answer to {operation} within {patience + 10.0:.0f} s{said}")
            if not self._collect(min(remaining, 1.0)) and number not in self._replies:
                self._lost()
        reply = self._replies.pop(number)
        if "value" not in reply:
            raise SideError(self.name, "failed", f"{operation}: {str(reply.get('failure') or 'an answer without a value')[:600]}")
        value, formed = reply["value"], ANSWERS.get(operation)
        if formed is not None and not self._shaped(operation, formed, value):
            raise SideError(self.name, "failed", f"{operation}: its answer does not have the expected form")
        return value

    def _shaped(self, operation: str, make: Callable[[Any], T], value: Any) -> T:
        """What ``make`` reads in an answer. Raises SideError for an answer of another shape: the fault is this side's, not the head's."""
        try:
            made = make(value)
            for item in made if isinstance(made, list) else [made]:
                _hold(item)
            return made
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
            raise SideError(self.name, "failed", f"{operation}: its answer does not have the expected form") from None

    def read_text(self, path: str) -> Text:
        """See `Desk`."""
        return self._shaped("read_text", lambda value: Text(**value), self.ask("read_text", path=path))

    def read_texts(self, paths: Sequence[str]) -> list[Text]:
        """See `Side`."""
        value = self.ask("read_texts", paths=list(paths))
        return self._shaped("read_texts", lambda items: [Text(**item) for _path, item in zip(paths, items, strict=True)], value)

    def list_dir(self, path: str) -> Listing:
        """See `Desk`."""
        value = self.ask("list_dir", path=path)
        return self._shaped("list_dir", lambda told: Listing(told["path"], tuple(told["names"]), told["error"]), value)

    def read_link(self, path: str) -> Link:
        """See `Desk`."""
        return self._shaped("read_link", lambda value: Link(**value), self.ask("read_link", path=path))

    def run(
        self, argv: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> Answer:
        """See `Desk`."""
        value = self.ask("run", patience=timeout + 5.0, argv=list(argv), timeout=timeout, stdin=stdin, env=dict(env or {}))
        return self._shaped("run", lambda told: Answer(**{**told, "argv": tuple(told["argv"])}), value)

    def start(self, argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None, cwd: str | None = None) -> Started:
        """See `Side`."""
        value = self.ask("start", argv=list(argv), timeout=timeout, env=dict(env or {}), cwd=cwd)
        return self._shaped("start", lambda told: Started(told.get("pid"), told.get("limits"), told.get("error")), value)

    def wait(self, pid: int, patience: float) -> Answer | None:
        """See `Side`."""
        value = self.ask("wait", patience=patience, pid=pid, seconds=patience)
        return self._shaped("wait", lambda told: _answer(told) if told["ended"] else None, value)

    def stop(self, pid: int) -> Answer:
        """See `Side`."""
        return self._shaped("stop", _answer, self.ask("stop", patience=10.0, pid=pid))

    def close(self) -> None:
        """Let the agent clean up and end; its pipe's end is its order to do so."""
        self._closed.set()
        with contextlib.suppress(OSError, ValueError), self._writing:
            if self._process.stdin is not None:
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20.0)
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, 15)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                stream.close()


def _plain(said: bytes) -> str:
    """A machine's words for a message: one line without control characters and sequences."""
    text = re.sub(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]|\x1b.", " ", said.decode("utf-8", "replace"))
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())[-600:]


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) for item in value)


def _is_holder(value: Any) -> bool:
    """Whether it is what `lease.take` says: the head's module hands it on in its own answer."""
    return (
        isinstance(value, dict)
        and set(value) <= set(lease.NOBODY)
        and all(isinstance(item, str) and len(item) < 200 for item in value.values())
    )


def _hold(made: Any) -> None:
    """Hold what was made of an answer against what its dataclass declares. Raises TypeError."""
    for item in dataclasses.fields(made) if dataclasses.is_dataclass(made) else ():
        value = getattr(made, item.name)
        parts = value if isinstance(value, tuple) else ()
        if not isinstance(value, FORMS[str(item.type)]) or not all(isinstance(part, str) for part in parts):
            raise TypeError(item.name)


def _answer(value: Mapping[str, Any]) -> Answer:
    return Answer(tuple(value["argv"]), value["rc"], value["stdout"], value["stderr"], value["error"], float(value["seconds"]))


SSH_SIGNS = (
    ("host_key", ("host key verification failed", "host identification has changed")),
    # Nothing in common to talk with says nothing about who answers.
    ("algorithm", ("no matching host key type", "no matching key exchange", "no matching cipher", "no matching mac found")),
    # The login is closed until somebody acts, though key and host are right; without a terminal sshd ends it with a code of its own.
    ("expired", ("password has expired", "password change required", "required to change your password", "account has expired")),
    ("nologin", ("not permitted to log in", "pam_nologin")),
    ("trust", ("permission denied (", "permission denied, please", "too many authentication failures", "no such identity", "load key")),
    ("no_route", ("no route to host", "network is unreachable")),
    ("refused", ("connection refused",)),
    ("port", ("banner line contains invalid characters",)),
    ("damaged", ("message authentication code incorrect", "corrupted mac on input", "bad packet length", "packet corrupt")),
    ("timed_out", ("timed out", "not responding")),
    # Closed before the server said who it is: nothing was refused that belongs to this user or key.
    ("closed", ("kex_exchange", "exceeded maxstartups", "not allowed at this time")),
    ("lost", ("connection closed", "connection reset", "broken pipe")),
    # Before anything left this desk: a rule, a filter or an address that it does not have.
    ("no_route", ("ssh: connect to host ",)),
)


def classify_ssh(text: str) -> str:
    """Which kind of failure an ssh client's text tells of."""
    low = text.lower()
    return next((kind for kind, signs in SSH_SIGNS if any(sign in low for sign in signs)), "lost")
