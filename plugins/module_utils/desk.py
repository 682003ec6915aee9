# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to the machine: read a file, list a folder, run a command.

Everything that a module learns about a desk passes through a `Desk`. `LiveDesk` asks the operating system; in tests and
replays a recording takes its place. A refused, missing or hanging answer is a value with an ``error``, never an exception.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import select
import selectors
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, NoReturn, Protocol

FILE_LIMIT = 4 * 1024 * 1024
"""Bytes read from one file at most; more is an error ``too_large``, not a cut text."""

OUTPUT_LIMIT = 8 * 1024 * 1024
"""Bytes kept of each of a command's two outputs."""

DEFAULT_TIMEOUT = 10.0
"""Seconds that a reading command may take."""

COPY_SECONDS = 600.0
"""Seconds that copying a file which a user gave may take."""

COPY_LIMIT = 8 << 30
"""Bytes copied of it; what a user puts in its place at the last moment may have no end."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

MISSING = "missing"
DENIED = "denied"
TIMEOUT = "timeout"
TOO_LARGE = "too_large"
UNREADABLE = "unreadable"
DAMAGED = "damaged"
"""A key of ours that is there and of no use: half of it is gone, or others may read it."""
NOT_RECORDED = "not_recorded"


@dataclass(frozen=True)
class Text:
    """What reading a file gave. ``text`` is null when ``error`` is set."""

    path: str
    text: str | None = None
    error: str | None = None
    """missing, denied, too_large, unreadable (a folder, a symlink loop, an I/O error), damaged (a key), not_recorded"""


@dataclass(frozen=True)
class Listing:
    """What listing a folder gave: sorted names."""

    path: str
    names: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Link:
    """Where a symbolic link points."""

    path: str
    target: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a command gave. ``rc`` is null when it did not run to its end."""

    argv: tuple[str, ...]
    rc: int | None = None
    stdout: str = ""
    stderr: str = ""
    error: str | None = None
    """missing (not installed), denied, timeout, too_large (output was cut), unreadable, not_recorded"""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it ran to its end and returned 0."""
        return self.error is None and self.rc == 0


INFOROM = "WARNING: infoROM is corrupted"
"""With this behind its readings, all of which are there, nvidia-smi ends with 14."""


def readings(answer: Answer) -> Answer:
    """A command's answer; where nvidia-smi only adds a warning to its readings, they come as usual and the warning as error output."""
    if answer.rc != 14 or answer.error is not None or INFOROM not in answer.stdout:
        return answer
    lines = answer.stdout.splitlines(keepends=True)
    warned = "".join(line for line in lines if line.startswith(INFOROM))
    return replace(answer, rc=0, stdout="".join(line for line in lines if not line.startswith(INFOROM)), stderr=answer.stderr + warned)


class Desk(Protocol):
    """What readers of a desk may ask."""

    def read_text(self, path: str) -> Text:
        """The file's text, decoded as UTF-8 with undecodable bytes replaced."""

    def list_dir(self, path: str) -> Listing:
        """The folder's names."""

    def read_link(self, path: str) -> Link:
        """The target of a symbolic link, as written."""

    def run(
        self, argv: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> Answer:
        """Run a command without a shell, in the C locale, ended with its whole process group at the time limit."""


class WritableDesk(Desk, Protocol):
    """What changes of a desk may do beyond reading. Unlike a reading call, a write that fails raises OSError."""

    def write_text(self, path: str, text: str, mode: int = 0o644) -> None:
        """Replace a file so that a reader, a crash or a kill sees the old or the new text and nothing between.

        Raises OSError.
        """

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is no error. Raises OSError."""

    def remove_folder(self, path: str) -> None:
        """Remove a folder with all that is in it; one that is not there is no error. Raises OSError."""

    def remove_empty_folder(self, path: str) -> None:
        """Remove a folder in which nothing is left; one that holds something stays, one that is not there is no error. Raises OSError."""

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        """Make a folder with this mode, and its parents with 0755, whatever the umask is; what is there keeps its mode. Raises OSError."""

    def set_mode(self, path: str, mode: int) -> None:
        """Make a file or folder root's, with this mode. Raises OSError."""

    def free_bytes(self, path: str) -> int:
        """Bytes that root may still write on the file system of the nearest existing folder of ``path``. Raises OSError."""


class HomesDesk(WritableDesk, Protocol):
    """What may be asked of a desk about files below users' homes; the live one is `programs.homes.LiveHomes`."""

    def read_as(self, user: str, paths: Sequence[str], keys: Sequence[str] = ()) -> list[Text]:
        """Of each file below a user's home the lines that carry our mark, then of each of our keys there its public half.

        Read as that user, in one helper.
        """

    def ask_as(self, user: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have something of a user's done as that user (see `programs.user_files`): the helper's answer, ``error`` when it gave none.

        Root never reads or writes below a user's home itself: a link that the user put there would lead it anywhere.
        """


def _reason(error: OSError) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return MISSING
    if isinstance(error, PermissionError):
        return DENIED
    return UNREADABLE


class LiveDesk:
    """The machine that this process runs on."""

    def read_text(self, path: str) -> Text:
        """See `Desk`. Never blocks on a pipe or a device: only regular files are read."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return Text(path, error=_reason(error))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Text(path, error=UNREADABLE)
            chunks, size = [], 0
            while chunk := os.read(descriptor, 65536):
                chunks.append(chunk)
                size += len(chunk)
                if size > FILE_LIMIT:
                    return Text(path, error=TOO_LARGE)
        except OSError as error:
            return Text(path, error=_reason(error))
        finally:
            os.close(descriptor)
        return Text(path, b"".join(chunks).decode("utf-8", "replace"))

    def list_dir(self, path: str) -> Listing:
        """See `Desk`."""
        try:
            return Listing(path, tuple(sorted(os.listdir(path))))
        except OSError as error:
            return Listing(path, error=_reason(error))

    def read_link(self, path: str) -> Link:
        """See `Desk`."""
        try:
            return Link(path, os.readlink(path))
        except OSError as error:
            return Link(path, error=_reason(error))

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> Answer:
        """See `Desk`. Always in ``/``: what lies in the login user's home is nothing that a command should find. ``user``: as that user."""
        command = tuple(argv)
        begun = time.monotonic()
        try:
            who = identity(user)
            # Not AnsibleModule.run_command: it knows no time limit, and this door also serves replays and tests without a module.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                command,
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=command_environment(env) if who is None else {**who.environment, **(env or {})},
                cwd="/",
                start_new_session=True,
                **({} if who is None else who.credentials),
            )
        except OSError as error:
            return Answer(command, stderr=(error.strerror or "") if user is not None else "", error=_reason(error))
        try:
            stdout, stderr, fault = _converse(process, stdin, begun + timeout)
        finally:
            # The group may outlive its leader: a helper that kept a pipe open must not survive the time limit either.
            if process.poll() is None:
                _end_group(process)
        seconds = time.monotonic() - begun
        if fault == TIMEOUT:
            return Answer(command, None, stdout, stderr, TIMEOUT, seconds)
        return Answer(command, process.returncode, stdout, stderr, fault, seconds)

    def copy_as(self, user: str | None, source: str, target: str) -> None:
        """Copy what a user gave into a new file of ours (0600): opened by a program of that user, so only what the user may read.

        That program gets a pipe and never the file: where a user may look into processes of its own, it would take the open file from it
        and write there after we have looked. ``user`` null: of this process. Raises OSError.
        """
        who = identity(user)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        deadline, said = time.monotonic() + COPY_SECONDS, b""
        with os.fdopen(descriptor, "wb") as file:
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                ["head", "-c", str(COPY_LIMIT), "--", source],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=command_environment() if who is None else who.environment,
                cwd="/",
                start_new_session=True,
                **({} if who is None else who.credentials),
            )
            try:
                _drain(process, file, deadline, source)
                process.wait(max(0.05, deadline - time.monotonic()))
                if process.returncode and process.stderr and select.select([process.stderr], [], [], 0.0)[0]:
                    said = os.read(process.stderr.fileno(), 4096)
            except subprocess.TimeoutExpired:
                raise _late(source) from None
            finally:
                if process.poll() is None:
                    _end_group(process)
                for stream in (process.stdout, process.stderr):
                    if stream is not None:
                        stream.close()
        if process.returncode:
            words = " ".join(said.decode("utf-8", "replace").split())[-200:]
            raise OSError(errno.EACCES, words or f"head ended with {process.returncode}", source)

    def done_as(self, user: str | None, work: Callable[[], Any], timeout: float) -> Any:
        """The plain data that ``work`` gives, done by a child process that is that user, so that a link in a folder of the user's leads it
        only where the user may go anyway. ``user`` null: by this process. Raises OSError."""
        who = identity(user)
        if who is None or not who.credentials:
            return work()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            _work_as(who, work, writing)
        os.close(writing)
        deadline, said = time.monotonic() + timeout, b""
        try:
            while len(said) <= OUTPUT_LIMIT and select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
                chunk = os.read(reading, 1 << 20)
                if not chunk:
                    return json.loads(said)
                said += chunk
            raise OSError(errno.ETIMEDOUT, f"what is done as user {user} did not end within {timeout:.0f} s, or says too much")
        except (ValueError, RecursionError):
            raise OSError(errno.EIO, f"what is done as user {user} broke off") from None
        finally:
            os.close(reading)
            # The user may have stopped it, or it may still work.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def write_text(self, path: str, text: str, mode: int = 0o644) -> None:
        """See `WritableDesk`. A kill leaves at most one hidden file, which the next write takes."""
        folder, name = os.path.split(path)
        temporary = os.path.join(folder, f".{name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(folder)

    def remove(self, path: str) -> None:
        """See `WritableDesk`."""
        folder, name = os.path.split(path)
        for item in (path, os.path.join(folder, f".{name}.new")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(item)
        with contextlib.suppress(FileNotFoundError):
            sync_folder(folder)

    def remove_folder(self, path: str) -> None:
        """See `WritableDesk`."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)

    def remove_empty_folder(self, path: str) -> None:
        """See `WritableDesk`."""
        try:
            os.rmdir(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        """See `WritableDesk`."""
        make_folder(path, mode)

    def set_mode(self, path: str, mode: int) -> None:
        """See `WritableDesk`."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fchown(descriptor, os.geteuid(), os.getegid())
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    def free_bytes(self, path: str) -> int:
        """See `WritableDesk`."""
        here = path
        while not os.path.isdir(here) and here not in ("/", ""):
            here = os.path.dirname(here)
        figures = os.statvfs(here or "/")
        return figures.f_bavail * figures.f_frsize


def make_folder(path: str, mode: int = 0o755) -> None:
    """See `WritableDesk.make_folder`."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path.rstrip("/"))
    if parent and not os.path.isdir(parent):
        make_folder(parent)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if os.path.isdir(path):
            return
        raise
    # mkdir takes the umask away, and root's may be 077.
    os.chmod(path, mode)


def sync_folder(folder: str) -> None:
    """Make a rename or a removal in a folder last through a power cut."""
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Identity:
    """Another user, as a child process is made to be."""

    credentials: dict[str, Any]
    """Keywords of `subprocess`; none when this process is that user already."""
    environment: dict[str, str]


def identity(user: str | None) -> Identity | None:
    """How a child becomes a user; null for this process' own. Raises PermissionError when it may not, or when there is none."""
    if user is None:
        return None
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise PermissionError(errno.EPERM, f"there is no user {user}") from None
    environment = {"LC_ALL": "C", "LANG": "C", "PATH": PATH, "HOME": account.pw_dir, "USER": user, "LOGNAME": user, "SHELL": "/bin/sh"}
    if account.pw_uid == os.geteuid():
        return Identity({}, environment)
    if os.geteuid() != 0:
        raise PermissionError(errno.EPERM, f"only root may act for user {user}")
    groups = os.getgrouplist(user, account.pw_gid)
    return Identity({"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups, "umask": 0o022}, environment)


def _work_as(who: Identity, work: Callable[[], Any], writing: int) -> NoReturn:
    """Be another user for the rest of this process, a child: do the work, hand over what it gives, end."""
    try:
        os.setsid()
        os.setgroups(who.credentials["extra_groups"])
        os.setgid(who.credentials["group"])
        os.setuid(who.credentials["user"])
        os.umask(who.credentials["umask"])
        os.chdir("/")
        os.environ.update(who.environment)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(work()).encode())
    finally:
        # Nothing of what the parent would do at its end is done here too.
        os._exit(0)


def command_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every command: C locale, a full PATH (sbin included), no X11."""
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "LANGUAGE") and not key.startswith("LC_")}
    environment.update(LC_ALL="C", LANG="C", PATH=PATH)
    environment.update(extra or {})
    return environment


def _converse(process: subprocess.Popen[bytes], stdin: str | None, deadline: float) -> tuple[str, str, str | None]:
    """Feed and drain a process until it ends or the deadline passes; keep at most OUTPUT_LIMIT of each output."""
    kept: dict[str, list[bytes]] = {"out": [], "err": []}
    sizes = {"out": 0, "err": 0}
    pending = (stdin or "").encode("utf-8", "surrogateescape")
    error: str | None = None
    with selectors.DefaultSelector() as selector:
        for stream, name in ((process.stdout, "out"), (process.stderr, "err")):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, name)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, "in")
        while selector.get_map():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                error = TIMEOUT
                break
            for key, _mask in selector.select(min(remaining, 0.5)):
                if key.data == "in":
                    try:
                        pending = pending[os.write(key.fd, pending[:65536]) :]
                    except (BrokenPipeError, ConnectionResetError):
                        pending = b""
                    if not pending:
                        selector.unregister(key.fileobj)
                        if process.stdin is not None:
                            process.stdin.close()
                    continue
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                    continue
                room = OUTPUT_LIMIT - sizes[key.data]
                sizes[key.data] += len(chunk)
                if room > 0:
                    kept[key.data].append(chunk[:room])
                else:
                    error = TOO_LARGE
    if error != TIMEOUT:
        try:
            process.wait(max(0.05, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            error = TIMEOUT
    if error == TIMEOUT:
        _end_group(process)
    for stream in (process.stdout, process.stderr, process.stdin):
        if stream is not None and not stream.closed:
            stream.close()
    return b"".join(kept["out"]).decode("utf-8", "replace"), b"".join(kept["err"]).decode("utf-8", "replace"), error


def _late(source: str) -> OSError:
    return OSError(errno.ETIMEDOUT, f"could not be read within {COPY_SECONDS:.0f} s", source)


def _drain(process: subprocess.Popen[bytes], file: IO[bytes], deadline: float, source: str) -> None:
    """Write what a process prints into a file, until its end. Somebody else may hold the pipe too, so time and size are ours to bound."""
    stream, size = process.stdout, 0
    while stream is not None:
        ended = process.poll() is not None
        if not select.select([stream], [], [], 0.0 if ended else 0.2)[0]:
            if ended:
                return
            if time.monotonic() > deadline:
                raise _late(source)
            continue
        chunk = os.read(stream.fileno(), 1 << 20)
        size += len(chunk)
        if not chunk:
            return
        if time.monotonic() > deadline:
            raise _late(source)
        if size > COPY_LIMIT:
            raise OSError(errno.EFBIG, f"is larger than {COPY_LIMIT >> 30} GiB", source)
        file.write(chunk)


def _end_group(process: subprocess.Popen[bytes], grace: float = 2.0) -> None:
    """End the process group that the command leads: politely first, then for good."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, grace)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        # The leader is gone; a member that ignores SIGTERM must still be ended.
        if number == signal.SIGTERM:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        return
