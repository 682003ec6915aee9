# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this collection itself has left on the desk."""

from __future__ import annotations

import hashlib

from ..desk import MISSING, NOT_RECORDED
from ..model.desk import Setup
from ..readers.text import json_value, word
from .ask import Ask
from .identity import host_public_keys
from .limits import login
from .options import Options
from .owners import OURS

JOURNAL = "/var/lib/dgx_spark/link/journal.json"
SETTINGS = "/etc/dgx_spark"
PAIR_ENV = f"{SETTINGS}/pair.env"
TRUST = f"{SETTINGS}/trust.json"
DRIVER_LOCK = "/var/lib/dgx_spark/driver_lock/lock.json"
PREFERENCES = "/etc/apt/preferences.d/zz-dgx-spark-driver-lock"
MANIFEST = "/opt/dgx_spark/nccl/manifest.json"
KEY = "id_ed25519_dgx_spark_pair"
UNSETTLED = ("prepared", "armed", "applying", "applied", "undoing", "undo_failed", "undone")
"""States of a link change that the next run has to settle (see `changes.link_program`)."""
MARK = "dgx_spark_pair"
"""Comment at the end of our lines in authorized_keys and known_hosts."""
TEXT_LIMIT = 65536


def gather(ask: Ask, options: Options) -> Setup:
    """Our files, as texts or fingerprints."""
    home = login(ask, options).get("home")
    ssh = f"{home.rstrip('/')}/.ssh" if home and home.startswith("/") else None
    public_key = ask.word(f"{ssh}/{KEY}.pub") if ssh else None
    _note(ask, "setup.link_file", OURS)
    _note(ask, "setup.driver_lock", DRIVER_LOCK)
    if ssh:
        _note(ask, "setup.trust_authorized", f"{ssh}/authorized_keys")
    files = {f"{SETTINGS}/{name}": _digest(ask, f"{SETTINGS}/{name}") for name in ask.names(SETTINGS)[:64] if name != "pair.env"}
    files |= {path: _digest(ask, path) for path in (PREFERENCES, "/usr/local/bin/pair-check", "/usr/local/bin/pair-ssh")}
    names = _marked(ask, "/etc/hosts")
    if names:
        files["/etc/hosts"] = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return Setup(
        link_file=_whole(ask, OURS),
        link_journal=_journal(ask),
        pair_env=_whole(ask, PAIR_ENV),
        pair_files={path: digest for path, digest in sorted(files.items()) if digest},
        trust_public_key=public_key,
        trust_authorized=_marked(ask, f"{ssh}/authorized_keys") if ssh else (),
        trust_known_hosts=_marked(ask, f"{ssh}/known_hosts") if ssh else (),
        trust_user=_recorded(ask, "user"),
        trust_home=_recorded(ask, "home"),
        host_public_keys=host_public_keys(ask),
        driver_lock=_whole(ask, DRIVER_LOCK),
        nccl_bundle=_digest(ask, MANIFEST),
    )


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
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() if text is not None else None


def _marked(ask: Ask, path: str) -> tuple[str, ...]:
    lines = (ask.text(path).text or "").split("\n")[:10_000]
    found = [word(line, 2000) for line in lines if line.rstrip().endswith(MARK)]
    return tuple(line for line in found if line)[:64]


def _recorded(ask: Ask, name: str) -> str | None:
    """What the record of the trust says: it may have been set up for another login user than today's."""
    data = json_value(ask.text(TRUST).text or "")
    return word(data.get(name), 4096) if isinstance(data, dict) else None


def _journal(ask: Ask) -> str | None:
    """The state that the journal of a link change names; the journal is gone once a change is settled."""
    file = ask.text(JOURNAL)
    if file.text is None:
        _note(ask, "setup.link_journal", JOURNAL)
        return None
    data = json_value(file.text)
    state = word(data.get("state"), 32) if isinstance(data, dict) else None
    return ask.told("setup.link_journal", state, f"{JOURNAL} names no state")
