# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who works on a desk: one run at a time changes or measures it.

The mark is a name in the kernel's abstract socket space. It is bound by the process that works, so it is gone with it, whatever ended
it, and needs no file, no age and no clean-up; root's modules and the login user's agent share it. Whoever finds it taken connects and is
told the run, the admin and since when; process and user come from the kernel, the rest is the holder's own word.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Mapping

NAME = "\0dgx_spark/working"
VARIABLE = "DGX_SPARK_RUN"
"""Environment variable of a module: JSON with ``run`` (its id) and ``by`` (admin and controller)."""

LOGIN_UID, NOBODY_LOGGED_IN = "/proc/self/loginuid", str(2**32 - 1)

PATIENCE = 3.0
"""Seconds for a holder to say who it is."""

TRIES = 5
"""A holder may end between our bind and our question."""

NOBODY = {"run": "", "by": "", "what": "", "since": "", "process": "", "uid": ""}
"""A holder that says nothing."""

_HELD: list[tuple[socket.socket, bytes]] = []


def told(environment: Mapping[str, str]) -> dict[str, str]:
    """Who this process works for."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        given = json.loads(environment.get(VARIABLE) or "{}")
        if given.get("run"):
            return {"run": str(given["run"])[:80], "by": str(given.get("by") or "")[:120]}
    return {"run": f"process {os.getpid()}", "by": ""}


def take(me: Mapping[str, str], what: str, name: str = NAME) -> dict[str, str] | None:
    """Take the desk for this process; null when it is ours (now, or already by the same run), else who has it.

    Keys of the answer: run, by, what, since (UTC), process, user id; empty where the holder did not say.
    """
    since = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    for _try in range(TRIES):
        mine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            mine.bind(name)
            mine.listen(8)
        except OSError as error:
            mine.close()
            if error.errno != errno.EADDRINUSE:
                return None  # a kernel without such names keeps nobody from working
            holder = _ask(name)
            if holder is None:
                time.sleep(0.1)
                continue
            return None if holder["run"] == me["run"] and _may_be_ours(holder["uid"]) else holder
        content = json.dumps({**me, "what": what, "since": since}).encode()
        _HELD.append((mine, content))
        threading.Thread(target=_answer, args=(mine, content), daemon=True).start()
        return None
    return dict(NOBODY)


def _may_be_ours(uid: str) -> bool:
    """Whether a user may hold the name for our run: root, this user, or the one who became root. Everybody may ask for a run's id."""
    asked_by = os.environ.get("SUDO_UID") or logged_in()
    return uid in ("0", str(os.getuid()), asked_by) or (os.getuid() == 0 and asked_by is None)


def logged_in() -> str | None:
    """Who logged in, whatever made root of that; null where nobody did, or where the kernel keeps no note of it."""
    with contextlib.suppress(OSError), open(LOGIN_UID, encoding="ascii") as file:
        uid = file.read().strip()
        return None if uid in ("", NOBODY_LOGGED_IN) else uid
    return None


def give_back() -> None:
    """Free the desk before this process ends."""
    while _HELD:
        held, _content = _HELD.pop()
        with contextlib.suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)
        held.close()


def keep(seconds: int) -> None:
    """Let a process of its own hold the desk on when this one has ended, until the desk goes down or for ``seconds`` at most."""
    if not _HELD or os.fork():
        return
    try:
        os.setsid()
        signal.alarm(seconds)  # its default action ends this process
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        _answer(*_HELD[-1])
    finally:
        os._exit(0)


def _answer(mine: socket.socket, content: bytes) -> None:
    while True:
        try:
            asker, _address = mine.accept()
        except OSError:
            return
        with asker, contextlib.suppress(OSError):
            asker.settimeout(PATIENCE)
            asker.sendall(content)


def _ask(name: str) -> dict[str, str] | None:
    """Who holds the name, null when nobody does any more."""
    found = dict(NOBODY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        asker.settimeout(PATIENCE)
        try:
            asker.connect(name)
        except ConnectionRefusedError:
            return None
        except OSError:
            return found
        with contextlib.suppress(OSError, struct.error):
            pid, uid, _gid = struct.unpack("3i", asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
            found["process"], found["uid"] = str(pid), str(uid)
        content, deadline = b"", time.monotonic() + PATIENCE
        with contextlib.suppress(OSError):
            # Any user of the desk may hold the name, and tell one byte at a time.
            while len(content) < 4096 and time.monotonic() < deadline and (chunk := asker.recv(4096)):
                content += chunk
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        said = json.loads(content.decode("utf-8", "replace"))
        for key in ("run", "by", "what", "since"):
            text = str(said.get(key) or "")[:120]
            found[key] = "".join(character if character.isprintable() else " " for character in text)
    return found
