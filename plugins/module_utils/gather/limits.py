# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of the login user: those of a process of that user, because root's say nothing about the tests' user."""

from __future__ import annotations

import re
from typing import Any

from ..model.desk import Limits, Room
from ..readers import group, limits_conf, passwd, proc_limits, proc_status
from ..readers.text import to_int
from .ask import Ask
from .options import Options

ROOM = ("stat", "-f", "-c", "%a %S %d %c", "/")
"""Free blocks for users, their size, free inodes, all inodes."""
FOLDERS = ("/boot", "/home", "/tmp", "/var", "/var/lib/docker")
"""Those that labs give a file system of its own, and without room in which a desk is no good."""
OTHER_ROOM = ("df", "-k", "--output=target,avail,iavail,itotal", *FOLDERS)
"""Where the file system of each is mounted, kB for users, free inodes, all inodes. A folder that is not there has no line."""
MOUNTED = ("findmnt", "-n", "-o", "OPTIONS", "/")
ANCESTORS = 12
"""Parents to look through for a process of the login user (module, sudo, shell, sshd)."""


def login(ask: Ask, options: Options) -> dict[str, Any]:
    """The login user's account (name, uid, gid, home); without a name the user who gathers. Empty when not known."""
    if options.login_user is not None:
        return _account(ask, options.login_user) or {"name": options.login_user}
    own = proc_status.read(ask.text("/proc/self/status").text or "")["uid"]
    return (_account(ask, own) or {}) if own is not None else {}


def user_name(ask: Ask, uid: int | None) -> str | None:
    """The name of a user id."""
    found = _account(ask, uid) if uid is not None else None
    return found["name"] if found else None


def _account(ask: Ask, who: str | int) -> dict[str, Any] | None:
    """An account by name or number: from /etc/passwd, else from whatever the desk's name service asks (a directory)."""
    users = passwd.read(ask.text("/etc/passwd").text or "")
    key = "name" if isinstance(who, str) else "uid"
    known = next((user for user in users if user[key] == who), None)
    if known is not None or str(who).startswith("-"):
        return known
    answer = ask.run("getent", "passwd", str(who))
    told = passwd.read(answer.stdout) if answer.ok else []
    if not told:
        return None
    # A directory may give back the name in its own spelling; the desk knows the user by the one that the login uses as well.
    return {**told[0], "name": who} if isinstance(who, str) else told[0]


def gather(ask: Ask, options: Options) -> Limits:
    """The limits of a process of the login user, else what pam_limits would give."""
    user = login(ask, options)
    uid = user.get("uid")
    groups = groups_of(ask, user)
    if options.login_user is not None and uid is None:
        ask.miss("limits.uid", f"neither /etc/passwd nor getent passwd names {options.login_user}", ask.text("/etc/passwd"))
    soft, hard = _of_process(ask, uid, options.login_user is None)
    if soft is None and hard is None and user.get("name"):
        soft, hard = _configured(ask, user["name"], groups)
    if soft is None and hard is None:
        soft, hard = _recorded_ulimit(ask)
    ask.told("limits.memlock_soft", soft, f"no process of {user.get('name') or 'the login user'} to read and no line in limits.conf")
    free_kb, free_inodes = _room(ask)
    return Limits(
        root_free_kb=free_kb,
        root_free_inodes=free_inodes,
        other_room=_other_room(ask),
        root_read_only=_read_only(ask),
        user=user.get("name"),
        memlock_soft=soft,
        memlock_hard=hard,
        uid=uid,
        gid=user.get("gid"),
        home=user.get("home"),
        groups=groups,
    )


def _room(ask: Ask) -> tuple[int | None, int | None]:
    """What is left on the root file system. One without a number of inodes says 0 of 0."""
    answer = ask.run(*ROOM)
    words = [to_int(word) for word in answer.stdout.split()] if answer.ok else []
    if len(words) != 4:
        return None, None
    blocks, size, inodes, all_inodes = words
    return None if blocks is None or size is None else blocks * size // 1024, inodes if all_inodes else None


def _other_room(ask: Ask) -> tuple[Room, ...]:
    """What is left on the other file systems, each told once."""
    found: dict[str, Room] = {}
    for line in ask.run(*OTHER_ROOM).stdout.splitlines():
        path, *words = line.split() or [""]
        if path in FOLDERS and len(words) == 3:
            free_kb, inodes, all_inodes = map(to_int, words)
            found[path] = Room(path, free_kb, inodes if all_inodes else None)
    return tuple(found.values())


def _read_only(ask: Ask) -> bool | None:
    """Whether the kernel takes no writes to the root file system, as after an error of its drive."""
    answer = ask.run(*MOUNTED)
    options = answer.stdout.strip().split(",") if answer.ok else []
    return options[0] == "ro" if options[:1] in (["ro"], ["rw"]) else None


def groups_of(ask: Ask, user: dict[str, Any]) -> tuple[str, ...]:
    """The groups of an account in /etc/group."""
    entries = group.read(ask.text("/etc/group").text or "")
    name, gid = user.get("name"), user.get("gid")
    return tuple(sorted({item["name"] for item in entries if (gid is not None and item["gid"] == gid) or name in item["members"]}))


def _of_process(ask: Ask, uid: int | None, any_user: bool) -> tuple[int | None, int | None]:
    process = "self"
    for _step in range(ANCESTORS):
        status = proc_status.read(ask.text(f"/proc/{process}/status").text or "")
        if any_user or (uid is not None and status["uid"] == uid):
            read = proc_limits.read(ask.text(f"/proc/{process}/limits").text or "")
            return read["memlock_soft"], read["memlock_hard"]
        if not status["parent"] or status["parent"] <= 1:
            break
        process = str(status["parent"])
    return None, None


def _recorded_ulimit(ask: Ask) -> tuple[int | None, int | None]:
    """Soft and hard limit from a recording's ``bash -c 'ulimit -l'`` (KiB, as bash prints it); a live desk is never asked."""
    limits: dict[str, int | None] = {"soft": None, "hard": None}
    for argv in (*ask.recorded("bash"), *ask.recorded("sh")):
        asked = re.fullmatch(r"ulimit -(?:([SH])?l|l ?-([SH])|([SH]) -l)", argv[-1].strip())
        answer = ask.run(*argv) if asked else None
        if asked is None or answer is None or not answer.ok:
            continue
        said = answer.stdout.strip()
        kib = to_int(said)
        value = -1 if said == "unlimited" else kib * 1024 if kib is not None else None
        letter = asked.group(1) or asked.group(2) or asked.group(3)
        limits["hard" if letter == "H" else "soft"] = value
    return limits["soft"], limits["hard"]


def _configured(ask: Ask, name: str, groups: tuple[str, ...]) -> tuple[int | None, int | None]:
    entries = limits_conf.read(ask.text("/etc/security/limits.conf").text or "")
    for file in ask.names("/etc/security/limits.d"):
        if file.endswith(".conf"):
            entries += limits_conf.read(ask.text(f"/etc/security/limits.d/{file}").text or "")
    return limits_conf.memlock(entries, name, groups)
