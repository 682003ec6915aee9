# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that pass between the login user and root: root takes its own copy and proves it, and gives away what it made.

What Ansible sends lies in the login user's folder, where that user may swap it at any moment. So root copies it, as that user, into a
folder of its own, and only the copy is hashed, compared with what was told over the connection, and used.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import posixpath
import pwd
import tempfile
import time
from collections.abc import Iterator

from ..desk import LiveDesk
from ..programs import lease

PLACE = "/var/tmp"
"""On a disk: sources of NCCL with what is built of them are a few gigabytes."""

PREFIX = "dgx-spark-"
HANDED_PREFIX = "dgx-spark-handed-"
LEFT_SECONDS = 86400.0
"""Age at which a room of ours is nobody's any more: its module was killed."""
REMOVE_SECONDS = 600.0


class ReceivedError(Exception):
    """A file is not what was announced, or cannot be handed over; the text says what to do."""


def digest(path: str) -> str:
    """SHA-256 of a file of ours."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def login_user(named: str | None) -> str | None:
    """Whose files are received: the one that the controller names, else the one who became root; null for this process' own."""
    name = named or (_became_root() if os.geteuid() == 0 else None)
    if not name:
        return None
    try:
        return name if pwd.getpwnam(name).pw_uid != os.geteuid() else None
    except KeyError:
        raise ReceivedError(f"there is no user {name} on the desk; set ansible_user to the login user") from None


def _became_root() -> str | None:
    """Who logged in, as sudo tells it, else (su, doas) as the kernel notes it."""
    name = os.environ.get("SUDO_USER")
    with contextlib.suppress(KeyError, ValueError):
        name = name or pwd.getpwuid(int(lease.logged_in() or "")).pw_name
    return name


@contextlib.contextmanager
def room() -> Iterator[str]:
    """A new folder of ours that nobody else may list, gone afterwards. What an earlier module that was killed left goes first."""
    for name in os.listdir(PLACE):
        path = posixpath.join(PLACE, name)
        with contextlib.suppress(OSError):
            about = os.lstat(path)
            ours = name.startswith(HANDED_PREFIX) or (name.startswith(PREFIX) and about.st_uid == os.geteuid())
            if ours and about.st_mtime < time.time() - LEFT_SECONDS:
                _remove(path)
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=PLACE)
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(path: str) -> None:
    """Not by shutil: whoever made what is in it may have nested it deeper than Python, or its open files, can go."""
    LiveDesk().run(["rm", "-rf", "--one-file-system", "--", path], timeout=REMOVE_SECONDS)


def given_away(folder: str, user: str | None) -> str:
    """A new folder inside one of ours for a user alone. The way to it is opened, its name stays unknown. Its path."""
    inside = tempfile.mkdtemp(prefix="work-", dir=folder)
    if user is not None:
        account = pwd.getpwnam(user)
        os.chmod(folder, 0o711)
        os.chown(inside, account.pw_uid, account.pw_gid)
    return inside


def lend(path: str, user: str | None) -> None:
    """Let a user read a file of ours that lies where everybody may pass, and nobody else."""
    if user is not None:
        os.chown(path, -1, pwd.getpwnam(user).pw_gid)
        os.chmod(path, 0o640)


def received(desk: LiveDesk, source: str, sha256: str, user: str | None, folder: str, name: str) -> str:
    """Our own copy of what was sent, proven. Its path. Raises ReceivedError. ``user`` null: whoever the file belongs to."""
    target = posixpath.join(folder, name)
    try:
        desk.copy_as(user or _owner(source), source, target)
    except OSError as error:
        raise ReceivedError(f"{source} cannot be read: {error.strerror}") from error
    got = digest(target)
    if got != sha256:
        raise ReceivedError(
            f"{source} has SHA-256 {got}, but {sha256 or 'none'} was announced: it was changed in transit or on the desk. None of it was "
            "used."
        )
    return target


def _owner(path: str) -> str | None:
    """The user whom a file belongs to; null for this process' own."""
    uid = os.lstat(path).st_uid
    try:
        return None if uid == os.geteuid() else pwd.getpwuid(uid).pw_name
    except KeyError:
        raise PermissionError(errno.EPERM, f"it belongs to user id {uid}, which has no name") from None


def handed(path: str, user: str | None) -> str:
    """Move a file of ours into a new folder that belongs to the login user, who fetches it. Where it is then. Raises ReceivedError."""
    folder = tempfile.mkdtemp(prefix=HANDED_PREFIX, dir=PLACE)
    target = posixpath.join(folder, posixpath.basename(path))
    os.chmod(path, 0o400)
    os.rename(path, target)
    if user is not None:
        account = pwd.getpwnam(user)
        os.chown(target, account.pw_uid, account.pw_gid)
        os.chown(folder, account.pw_uid, account.pw_gid)
    return target
