# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done below a login user's home, done as that user: our lines in files that others write too, and the pair's key.

This runs on the desk as a program of its own (see `programs.carrier`), with the user's ids and no other right. A link that the user
made can lead it only where the user may go anyway. It reads one JSON request from standard input and prints one JSON answer.

A file is replaced as a whole and keeps every byte that is not ours, also bytes that are no UTF-8. A file that is a link stays one:
what it points to is replaced, when it is the user's own. Standard library only.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import json
import os
import secrets
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MARK = b"dgx_spark_pair"
"""Ends every line of ours."""

LIMIT = 4 * 1024 * 1024
"""Bytes of one file."""

LINES = 64
"""Lines of ours that are told of one file, and the bytes of each below; there are never more than a handful."""
LINE_BYTES = 2000

LOCK_SECONDS = 10.0
TRIES = 5
"""Times that a merge begins anew because somebody else wrote meanwhile."""

MISSING, DENIED, TOO_LARGE, UNREADABLE, DAMAGED = "missing", "denied", "too_large", "unreadable", "damaged"


class UserFileError(Exception):
    """Something cannot or must not be done; the text says what to do."""


class ForeignFileError(UserFileError):
    """A file of somebody else's; ``where`` is its path. What it says may be what is wanted already."""

    def __init__(self, where: str, text: str) -> None:
        self.where = where
        super().__init__(text)


def before_rename(path: str) -> None:
    """Called before a file is replaced. Tests let somebody else write here."""


# ---- reading ------------------------------------------------------------------------------------------------------------


def content_of(path: str) -> tuple[bytes, os.stat_result]:
    """A file's bytes and what it was then. Only regular files: no pipe can hold us up. Raises OSError, UserFileError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise UserFileError(f"{path} is not a regular file")
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise UserFileError(f"{path} is larger than {LIMIT} bytes")
    return data, about


def is_ours(line: bytes) -> bool:
    """Whether a line carries our mark."""
    return line.rstrip().endswith(MARK)


def marked(data: bytes) -> str:
    """Our lines of a file, and nothing of others."""
    found = [line[:LINE_BYTES].decode("utf-8", "replace") for line in data.split(b"\n") if is_ours(line)]
    return "".join(f"{line.rstrip()}\n" for line in found[:LINES])


def reason(error: OSError) -> str:
    """An error as `desk.Text` has it."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return MISSING
    return DENIED if isinstance(error, PermissionError) else UNREADABLE


def next_step(error: OSError, path: str) -> str:
    """What to look at where a file may not be written, as the end of a sentence."""
    folder = os.path.dirname(path)
    looks = {
        errno.EACCES: f"sudo ls -ld {folder} shows whose the folder is and its mode",
        errno.EPERM: f"lsattr -d {folder} {path} shows whether one is immutable (i) or append-only (a); sudo chattr -i -a lifts that",
        errno.ENOSPC: f"df -h {folder} and df -i {folder} show whether blocks or inodes are used up",
        errno.EDQUOT: "quota -s shows whose limit is reached",
        errno.EROFS: f"findmnt -T {folder} shows the mount, sudo journalctl -k why the kernel made it read-only",
        errno.ELOOP: f"ls -ld {folder} {path} shows a symbolic link, which is not followed there: put a real folder or file in its place",
        errno.EBUSY: f"findmnt {path} shows what is mounted right there: unmount that first",
    }
    return f"; {looks[error.errno]}" if error.errno in looks else ""


def told(path: str) -> dict[str, Any]:
    """Our lines of a file, or why there are none."""
    try:
        return {"text": marked(content_of(path)[0])}
    except OSError as error:
        return {"error": reason(error)}
    except UserFileError:
        return {"error": UNREADABLE}


def is_foreign(path: str) -> bool:
    """Whether a file belongs to somebody else; a link is none."""
    try:
        about = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(about.st_mode) and about.st_uid != os.geteuid()


def public_half(data: bytes) -> str | None:
    """The public key that a private key file of OpenSSH holds in clear; null when it is none, or locked by a passphrase."""
    lines = data.strip().splitlines()
    if len(lines) < 3 or lines[0] != b"-----BEGIN OPENSSH PRIVATE KEY-----" or lines[-1] != b"-----END OPENSSH PRIVATE KEY-----":
        return None
    try:
        blob = base64.b64decode(b"".join(lines[1:-1]), validate=True)
        if not blob.startswith(b"openssh-key-v1\0"):
            return None
        rest = blob[15:]
        fields = []
        for _field in ("cipher", "kdf", "options"):
            size = struct.unpack(">I", rest[:4])[0]
            fields.append(rest[4 : 4 + size])
            rest = rest[4 + size :]
        count, size = struct.unpack(">II", rest[:8])
        public = rest[8 : 8 + size]
        secret = struct.unpack(">I", rest[8 + size : 12 + size])[0]
        if fields[0] != b"none" or count != 1 or len(public) != size or len(rest) < 12 + size + secret:
            return None
        kind = public[4 : 4 + struct.unpack(">I", public[:4])[0]].decode("ascii")
    except (ValueError, struct.error):
        return None
    return f"{kind} {base64.b64encode(public).decode()} {MARK.decode()}"


def key_told(path: str) -> dict[str, Any]:
    """The public half of a key that ssh can use, read from its private half: nothing else proves that the key is there."""
    try:
        data, about = content_of(path)
    except OSError as error:
        # Its other half alone is no key, but it is something of ours; so is a key that became another's, as when a home is copied back.
        damaged = os.path.lexists(f"{path}.pub") if reason(error) == MISSING else is_foreign(path)
        return {"error": DAMAGED if damaged else reason(error)}
    except UserFileError:
        return {"error": DAMAGED}
    public = public_half(data)
    if public is None or about.st_mode & 0o077 or about.st_uid != os.geteuid():
        return {"error": DAMAGED}
    # ssh offers what the .pub says, so one that says something else makes the key useless; one that is gone does not.
    try:
        beside = content_of(f"{path}.pub")[0].split()[:2]
    except OSError as error:
        return {"text": public} if reason(error) == MISSING else {"error": DAMAGED}
    except UserFileError:
        return {"error": DAMAGED}
    return {"text": public} if beside == public.encode().split()[:2] else {"error": DAMAGED}


# ---- writing ------------------------------------------------------------------------------------------------------------


def with_lines(data: bytes | None, lines: Sequence[bytes]) -> bytes | None:
    """A file's bytes with exactly these lines of ours; everything else stays as it is. Null stays null without lines."""
    if data is None and not lines:
        return None
    wanted = list(lines)
    kept = []
    for line in _split(data or b""):
        bare = line.rstrip(b"\r\n")
        if not is_ours(bare):
            kept.append(line)
        elif bare in wanted:
            wanted.remove(bare)
            kept.append(line)
    if kept and wanted and not kept[-1].endswith(b"\n"):
        kept[-1] += b"\n"
    return b"".join([*kept, *(line + b"\n" for line in wanted)])


def _split(data: bytes) -> list[bytes]:
    """Lines that end with a line feed, and nothing else that Python might take for an end."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def with_key(data: bytes | None, line: bytes) -> bytes:
    """A file's bytes with one more line at its end, unless the same key stands in it already."""
    words = line.split()[:2]
    present = data or b""
    if any(item.split()[:2] == words for item in present.split(b"\n")):
        return present
    return present + (b"" if not present or present.endswith(b"\n") else b"\n") + line.strip() + b"\n"


def target_of(path: str) -> str:
    """The file that is replaced: the path itself or, where it is a link, what that leads to. Raises UserFileError for what is not ours to
    write."""
    where = os.path.realpath(path)
    linked = f", which {path} leads to," if where != path else ""
    try:
        about = os.lstat(where)
    except FileNotFoundError:
        return where
    except OSError as error:
        raise UserFileError(f"{where}{linked} cannot be looked at: {error.strerror}{next_step(error, where)}") from error
    if stat.S_ISLNK(about.st_mode):
        raise UserFileError(f"{path} is a symbolic link that leads in a circle; replace it with a file")
    if not stat.S_ISREG(about.st_mode):
        raise UserFileError(f"{where}{linked} is not a regular file; replace it with one")
    if about.st_uid != os.geteuid():
        said = f"{where}{linked} belongs to user id {about.st_uid} and not to the login user; give the file to the login user"
        raise ForeignFileError(where, said)
    if about.st_nlink > 1:
        raise UserFileError(
            f"{where}{linked} has {about.st_nlink} names (hard links), of which the others would keep what stands in it now; "
            f"sudo find / -xdev -samefile {where} names them. Make it a file of its own (cp -p FILE FILE.new, then mv FILE.new FILE) or a "
            "symbolic link"
        )
    return where


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """One at a time in a folder. Raises UserFileError when another one takes too long."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UserFileError(f"{folder} has been locked by another change for more than {LOCK_SECONDS:.0f} s") from None
                time.sleep(0.05)
            except OSError as error:
                # A home on a network file system may know no locks; the look before the rename is still there.
                if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF):
                    break
                raise
        yield
    finally:
        os.close(descriptor)


def same_file(path: str, about: os.stat_result | None) -> bool:
    """Whether a path still is what it was."""
    try:
        now = os.lstat(path)
    except FileNotFoundError:
        return about is None
    return about is not None and (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns) == (
        about.st_dev,
        about.st_ino,
        about.st_size,
        about.st_mtime_ns,
    )


@contextlib.contextmanager
def old_file(path: str, about: os.stat_result | None) -> Iterator[int | None]:
    """The file that is about to be replaced, held open; null when there is none (any more)."""
    try:
        descriptor = -1 if about is None else os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        descriptor = -1
    if descriptor < 0:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def carry_over(old: int | None, before: bytes, path: str) -> None:
    """What somebody who still had the old file open has added to it since it was read goes to the end of the new one."""
    if old is None:
        return
    late = os.pread(old, LIMIT, len(before))
    if late and os.pread(old, len(before), 0) == before:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(descriptor, late)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def take_away(path: str, old: int | None, before: bytes, fresh: str) -> None:
    """Remove a file in which nothing is left; what somebody added at this very moment makes it a file again (``fresh``, empty so far)."""
    os.unlink(path)
    carry_over(old, before, fresh)
    if os.path.getsize(fresh):
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)


ACL = "system.posix_acl_access"
"""Where Linux keeps a file's access list (setfacl)."""


def keep_acl(old: str, new: str) -> None:
    """Give a file the access list of another one, if that has any."""
    with contextlib.suppress(OSError):
        os.setxattr(new, ACL, os.getxattr(old, ACL, follow_symlinks=False), follow_symlinks=False)


def fill(folder: str, name: str, data: bytes, mode: int, gid: int | None = None) -> str:
    """A new file with a random name in the folder, on the disk when this returns; its path. Raises OSError."""
    fresh = os.path.join(folder, f".{name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        error.filename = os.path.join(folder, name)  # what somebody can look at
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if gid is not None:
                with contextlib.suppress(OSError):
                    os.fchown(file.fileno(), -1, gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(fresh)
        raise
    return fresh


def sync(folder: str) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def make_folder(path: str) -> None:
    """The folder of a file, only for the user where it is new. Raises OSError."""
    if not os.path.isdir(path):
        os.makedirs(path, mode=0o700, exist_ok=True)
        os.chmod(path, 0o700)


def merge(request: Mapping[str, Any]) -> dict[str, Any]:
    """Make our lines of a file the wanted ones (``lines``), or add one key (``key``). Raises OSError, UserFileError."""
    path, apply = str(request["path"]), bool(request.get("apply"))
    key = request.get("key")
    lines = [str(line).encode() for line in request.get("lines") or ()]
    foreign: ForeignFileError | None = None
    try:
        where = target_of(path)
    except ForeignFileError as error:
        # As a desk's configuration management writes it. Where it has what is wanted nothing needs to be written.
        foreign, where, apply = error, error.where, False
    folder, name = os.path.split(where)
    if apply and (lines or key):
        make_folder(folder)
    with locked(folder) if apply and os.path.isdir(folder) else contextlib.nullcontext():
        for _try in range(TRIES):
            try:
                before, about = content_of(where)
            except FileNotFoundError:
                before, about = None, None
            except PermissionError as error:
                raise foreign or error from None
            after = with_lines(before, lines) if key is None else with_key(before, str(key).encode())
            answer = {"changed": after != before, "before": marked(before or b""), "after": marked(after or b"")}
            if foreign is not None and answer["changed"]:
                raise foreign
            if after is None or after == before or not apply:
                return answer
            mode, gid = int(request.get("mode") or 0o600), None
            if about is not None:
                # Who may read it is the user's choice; sshd takes no file that others may write.
                mode, gid = about.st_mode & 0o644 | 0o600, about.st_gid
            fresh = fill(folder, name, after, mode, gid)
            try:
                keep_acl(where, fresh)
                before_rename(where)
                with old_file(where, about) as old:
                    if same_file(where, about):
                        if not after and not os.path.islink(path):
                            take_away(where, old, before or b"", fresh)
                        else:
                            os.replace(fresh, where)
                            carry_over(old, before or b"", where)
                        sync(folder)
                        return answer
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(fresh)
    raise UserFileError(f"{path} is constantly being written by another program; try again")


def make_key(path: str) -> dict[str, Any]:
    """The key made, or what is left of it made whole. Its private half never leaves this folder. Raises OSError, UserFileError."""
    # The name is ours: whoever may write to its folder may put a key of the user's in the place of another's.
    folder, name = os.path.split(path if is_foreign(path) else target_of(path))
    make_folder(folder)
    with locked(folder):
        if key_told(path).get("text"):
            return {"changed": False}
        private = os.path.join(folder, name)
        try:
            data, about = content_of(private)
            public = public_half(data) if about.st_uid == os.geteuid() else None
        except (OSError, UserFileError):
            public = None
        room = os.path.join(folder, f".{name}.{secrets.token_hex(8)}")
        os.mkdir(room, 0o700)
        try:
            if public is None:
                made = os.path.join(room, "key")
                argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", MARK.decode(), "-f", made]
                # It runs by itself, without Ansible, so there is no run_command here.
                done = subprocess.run(  # pylint: disable=ansible-bad-function
                    argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20, cwd="/"
                )
                if done.returncode:
                    raise UserFileError(f"ssh-keygen failed: {' '.join(done.stderr.decode('utf-8', 'replace').split())[-200:]}")
                public = public_half(content_of(made)[0])
                if public is None:
                    raise UserFileError("ssh-keygen made a key that is not in OpenSSH format")
                os.replace(made, private)
            else:
                os.chmod(private, 0o600)
            os.replace(fill(room, "pub", f"{public}\n".encode(), 0o644), f"{private}.pub")
            sync(folder)
        finally:
            for left in os.listdir(room):
                os.unlink(os.path.join(room, left))
            os.rmdir(room)
    if not key_told(path).get("text"):
        raise UserFileError(
            f"{private} was made, but ssh will not use it (mode {stat.S_IMODE(os.stat(private).st_mode):o}): the file system of the home "
            f"keeps no modes or owners (findmnt -T {folder}); a login user with a home on the desk's own disk is needed"
        )
    return {"changed": True}


def remove_key(path: str) -> dict[str, Any]:
    """Both halves gone. Raises OSError."""
    changed = False
    for half in (path, f"{path}.pub"):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(half)
            changed = True
    return {"changed": changed}


# ---- the program --------------------------------------------------------------------------------------------------------


def handle(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one request."""
    operation = request.get("op")
    try:
        if operation == "read":
            texts = [told(str(path)) for path in request["paths"]] + [key_told(str(path)) for path in request.get("keys") or ()]
            return {"texts": texts}
        if operation == "merge":
            return merge(request)
        if operation == "make_key":
            return make_key(str(request["path"]))
        if operation == "remove_key":
            return remove_key(str(request["path"]))
    except UserFileError as error:
        return {"error": str(error)}
    except OSError as error:
        place = str(error.filename2 or error.filename or request.get("path"))
        return {"error": f"{place}: {error.strerror or error}{next_step(error, place)}", "reason": reason(error)}
    return {"error": f"unknown request {operation!r}"}


def main(arguments: Sequence[str] = ()) -> int:
    """Read one request, do it, answer."""
    os.umask(0o077)
    print(json.dumps(handle(json.loads(sys.stdin.read()))))  # pylint: disable=ansible-bad-function
    return 0
