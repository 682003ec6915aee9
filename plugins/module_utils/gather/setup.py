# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this collection itself has left on the desk."""

from __future__ import annotations

import posixpath
import re
import typing
from collections.abc import Sequence
from typing import Any

from ..desk import DAMAGED, MISSING, NOT_RECORDED, Answer, Text
from ..model import mpi_guard
from ..model.data import from_dict, sha256
from ..model.desk import MpiGuard, Setup, SshServer
from ..model.kinds import Kind, PublicKeyLine
from ..model.update import Journal
from ..readers import ufw, update_journal
from ..readers.text import json_value, word
from . import sshd
from .ask import Ask
from .identity import host_public_keys
from .limits import login
from .options import Options
from .owners import OURS

JOURNAL = "/var/lib/dgx_spark/link/journal.json"
SETTINGS = "/etc/dgx_spark"
PAIR_ENV = f"{SETTINGS}/pair.env"
TRUST = f"{SETTINGS}/trust.json"
UPDATE = "/var/lib/dgx_spark/update/journal.json"
DRIVER_LOCK = "/var/lib/dgx_spark/driver_lock/lock.json"
PREFERENCES = "/etc/apt/preferences.d/zz-dgx-spark-driver-lock"
BUNDLE = "/opt/dgx_spark/nccl"
MANIFEST = f"{BUNDLE}/manifest.json"
PROGRAMS = ("/usr/local/bin/pair-check", "/usr/local/bin/pair-ssh")
UFW_RULES = "/etc/ufw/user.rules"
KEY = "id_ed25519_dgx_spark_pair"
UNSETTLED = ("prepared", "armed", "applying", "applied", "undoing", "undo_failed", "undone")
"""States of a link change that the next run has to settle (see `changes.link_program`)."""
MARK = "dgx_spark_pair"
"""Comment at the end of our lines in authorized_keys and known_hosts."""
PUBLIC = re.compile(next(item.pattern for item in typing.get_args(PublicKeyLine) if isinstance(item, Kind)))
"""A public key of a type that ssh has: whoever may log in as the user may lay down a key of any other."""
TEXT_LIMIT = 65536
FILE_MODE, PROGRAM_MODE, FOLDER_MODE = "644", "755", "755"
HASH_SECONDS = 60.0
"""The library of NCCL has some hundred megabytes; a desk hashes about a gigabyte in a second."""


def gather(ask: Ask, options: Options) -> Setup:
    """Our files, as texts or fingerprints."""
    user = login(ask, options)
    home, name = user.get("home"), user.get("name")
    authorized, known, key, others = _of_user(ask, home, name, sshd.gather(ask, options))
    _note(ask, "setup.link_file", OURS)
    _note(ask, "setup.driver_lock", DRIVER_LOCK)
    _note(ask, "setup.update_journal", UPDATE)
    # A file elsewhere is sshd's to read as that user; what it cannot read lets nobody in.
    if authorized.error not in (None, MISSING, NOT_RECORDED) and authorized.path.startswith(f"{home}/"):
        ask.miss("setup.trust_authorized", authorized)
    inside = ask.names(SETTINGS)[:64]
    files = {f"{SETTINGS}/{item}": _digest(ask, f"{SETTINGS}/{item}") for item in inside if item != "pair.env"}
    files |= {path: _digest(ask, path) for path in (PREFERENCES, mpi_guard.UNIT, *PROGRAMS)}
    hosts = ask.text("/etc/hosts")
    names = _marked(hosts)
    if names:
        files["/etc/hosts"] = sha256("\n".join(names))
    modes = {SETTINGS: FOLDER_MODE, **{f"{SETTINGS}/{item}": FILE_MODE for item in inside}} if inside else {}
    modes |= {path: PROGRAM_MODE for path in PROGRAMS if files.get(path)}
    modes |= {path: FILE_MODE for path in (PREFERENCES, mpi_guard.UNIT) if files.get(path)}
    public = word(key.text, 2000)
    usable = public is not None and PUBLIC.fullmatch(public) is not None
    trusted = any((authorized.text, known.text, key.text, key.error == DAMAGED, inside, files.get(PROGRAMS[1]), files.get(mpi_guard.UNIT)))
    return Setup(
        link_file=_whole(ask, OURS),
        link_journal=_journal(ask),
        pair_env=_whole(ask, PAIR_ENV),
        pair_files={path: digest for path, digest in sorted(files.items()) if digest},
        wrong_modes=_wrong_modes(ask, modes),
        firewall_rules=_firewall_rules(ask) if trusted else None,
        mpi_guard=_mpi_guard(ask) if trusted else None,
        trust_public_key=public if usable else None,
        trust_key_damaged=key.error == DAMAGED or (public is not None and not usable),
        trust_authorized=_marked(authorized),
        trust_left_in=tuple(item.path for item in others if _marked(item)),
        trust_known_hosts=_marked(known),
        foreign_names=_foreign_names(hosts.text or ""),
        trust_user=_recorded(ask, "user"),
        trust_home=_recorded(ask, "home"),
        host_public_keys=host_public_keys(ask),
        driver_lock=_whole(ask, DRIVER_LOCK),
        update_journal=_update(ask),
        nccl_bundle=_bundle(ask),
    )


def _of_user(ask: Ask, home: str | None, name: str | None, server: SshServer) -> tuple[Text, Text, Text, Sequence[Text]]:
    """What is ours, read as the login user: the file of its keys that counts, known_hosts, the pair's key, and the other files that may
    hold lines of ours."""
    if not name or not home or not home.startswith("/"):
        nothing = Text("", error=NOT_RECORDED)
        return nothing, nothing, nothing, ()
    ssh = f"{home.rstrip('/')}/.ssh"
    places = (server.key_file(home), f"{ssh}/authorized_keys", _recorded(ask, "authorized_keys"), *(server.key_files or ()))
    wanted = list(dict.fromkeys(path for path in places if path and path.startswith("/")))
    *read, known, key = ask.read_as(name, (*wanted, f"{ssh}/known_hosts"), (f"{ssh}/{KEY}",))
    return read[0], known, key, read[1:]


_OURS = re.compile(r"pair-(?:head|peer[0-9]*)")


def _foreign_names(hosts: str) -> tuple[str, ...]:
    """Names of ours that somebody else's lines of /etc/hosts give away."""
    found = []
    for line in hosts.split("\n")[:10_000]:
        words = line.partition("#")[0].split()
        if not line.rstrip().endswith(MARK):
            found += [word(f"{words[0]} {name}", 300) for name in words[1:] if _OURS.fullmatch(name.lower())]
    return tuple(item for item in found if item)[:16]


def _wrong_modes(ask: Ask, wanted: dict[str, str]) -> tuple[str, ...]:
    """Those of our paths that root does not own or that have another mode; what could not be asked is not among them."""
    if not wanted:
        return ()
    paths = sorted(wanted)
    found = _stats(ask.run("stat", "-c", "%a %u %s %n", "--", *paths))
    return tuple(path for path in paths if path in found and found[path][:2] != (wanted[path], "0"))


def _stats(answer: Answer) -> dict[str, tuple[str, str, str]]:
    """Path to mode, owner and size; what is not there is left out, as ``stat`` leaves it out."""
    rows = (line.split(" ", 3) for line in answer.stdout.splitlines())
    return {row[3]: (row[0], row[1], row[2]) for row in rows if len(row) == 4}


def _firewall_rules(ask: Ask) -> tuple[str, ...] | None:
    """Our rules as ufw keeps them; only lines of ours are asked for. ``grep`` says 1 for none and 2 for no such file."""
    answer = ask.run("grep", "-s", f"comment={MARK.encode().hex()}$", UFW_RULES)
    return ufw.allowed(answer.stdout, MARK) if answer.error is None and answer.rc in (0, 1) else None


def _mpi_guard(ask: Ask) -> MpiGuard | None:
    """The rules themselves: a unit that says it is active does not know who flushed them."""
    ipv4, ipv6 = (answer.stdout if answer.ok else None for answer in (ask.run(*argv) for argv in mpi_guard.COMMANDS))
    return mpi_guard.found(ask.target(mpi_guard.WANTED_BY) is not None, ipv4, ipv6, ask.text(mpi_guard.IPV6).text)


def _bundle(ask: Ask) -> str | None:
    """The manifest's fingerprint, if each file that it names is there as it says and can be run by everybody."""
    digest = _digest(ask, MANIFEST)
    manifest: Any = json_value(ask.text(MANIFEST).text or "")
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if digest is None or not isinstance(files, dict):
        return digest
    names = sorted(
        name for name in files if isinstance(name, str) and posixpath.normpath(name) == name and not name.startswith(("/", ".."))
    )
    modes = {MANIFEST: FILE_MODE, **{f"{BUNDLE}/{name}": PROGRAM_MODE for name in names[:64]}}
    modes |= {folder: FOLDER_MODE for path in modes for folder in (posixpath.dirname(path), posixpath.dirname(BUNDLE))}
    if _wrong_modes(ask, modes):
        return None
    paths = [f"{BUNDLE}/{name}" for name in names]
    answer = ask.run("sha256sum", "--", *paths, timeout=HASH_SECONDS)
    if answer.error is not None:
        return digest  # it could not be asked, which says nothing about the files
    found = _sums(answer.stdout)
    return digest if all(found.get(f"{BUNDLE}/{name}") == files[name] for name in names) else None


def _sums(text: str) -> dict[str, str]:
    rows: Sequence[tuple[str, str, str]] = [line.partition("  ") for line in text.splitlines()]
    return {path: digest for digest, _blank, path in rows}


def _note(ask: Ask, fact: str, path: str) -> None:
    """A file that is not there is no gap; one that may not be read is."""
    file = ask.text(path)
    if file.error not in (None, MISSING, NOT_RECORDED):
        ask.miss(fact, file)


def _whole(ask: Ask, path: str) -> str | None:
    text = ask.text(path).text
    return text[:TEXT_LIMIT] if text is not None else None


def _digest(ask: Ask, path: str) -> str | None:
    text = ask.text(path).text
    return sha256(text) if text is not None else None


def _marked(read: Text) -> tuple[str, ...]:
    lines = (read.text or "").split("\n")[:10_000]
    found = [word(line, 2000) for line in lines if line.rstrip().endswith(MARK)]
    return tuple(line for line in found if line)[:64]


def _recorded(ask: Ask, name: str) -> str | None:
    """What the record of the trust says: it may have been set up for another login user than today's."""
    data = json_value(ask.text(TRUST).text or "")
    return word(data.get(name), 4096) if isinstance(data, dict) else None


def _update(ask: Ask) -> Journal | None:
    """The journal of the last update. One that cannot be understood is a gap: it may stand for an update that was cut off."""
    file = ask.text(UPDATE)
    if file.text is None:
        return None
    data = update_journal.read(file.text)
    if data is None:
        ask.miss("setup.update_journal", f"{UPDATE} is not a journal that this version knows")
        return None
    return from_dict(Journal, data)


def _journal(ask: Ask) -> str | None:
    """The state that the journal of a link change names; the journal is gone once a change is settled."""
    file = ask.text(JOURNAL)
    if file.text is None:
        _note(ask, "setup.link_journal", JOURNAL)
        return None
    data = json_value(file.text)
    state = word(data.get("state"), 32) if isinstance(data, dict) else None
    return ask.told("setup.link_journal", state, f"{JOURNAL} gives no state")
