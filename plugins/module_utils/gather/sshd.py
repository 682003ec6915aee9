# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the desk's ssh server will let the login user in from the peer, with a key: sshd's own answer for that very connection.

Files, included files and Match blocks are put together by ``sshd -T``; nobody else knows how. It needs root.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import posixpath
import re
from collections.abc import Sequence
from typing import Any

from ..model.desk import SshServer
from ..readers import passwd, sshd_config
from .ask import Ask
from .functions import functions
from .limits import groups_of, login
from .links import interfaces
from .options import Options

OWN, PEER = "192.168.100.11", "192.168.100.10"
"""Addresses of a pair as they are given by default, for a desk that has none yet."""
KEY_TYPE = "ssh-ed25519"
SSH_PORT = 22
FILES_LIMIT = 16
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@\\-]{0,255}\$?")


def gather(ask: Ask, options: Options) -> SshServer:
    """Where it looks for the login user's keys, and what else decides."""
    return ask.memo("sshd", lambda: _gather(ask, options))


def _gather(ask: Ask, options: Options) -> SshServer:
    user = login(ask, options)
    name, home = user.get("name"), user.get("home")
    if not name or not home or not _USER.fullmatch(name):
        return SshServer()
    said = _said(ask, name, options.ssh_port)
    if said is None:
        return SshServer()
    theirs = _addresses(ask)[1]
    named = said["authorized_keys_files"]
    files = None if named is None else tuple(path for path in (_path(item, user) for item in named[:FILES_LIMIT]) if path)
    accepted = said["pubkey_algorithms"]
    return SshServer(
        key_files=ask.told("network.sshd.key_files", files, "sshd -T reports no authorizedkeysfile"),
        pubkey=said["pubkey_authentication"],
        accepts_ed25519=None if accepted is None else KEY_TYPE in accepted,
        key_is_enough=_key_is_enough(said["authentication_methods"]),
        runs_commands=_runs_commands(said["force_command"], said["max_sessions"]),
        user_allowed=_all_of(_allowed(name, theirs, said), _groups_allowed(ask, user, said)),
    )


def _said(ask: Ask, name: str, port: int | None) -> dict[str, Any] | None:
    """What sshd goes by for the peer's connection, at the port that it will come in on: a Match block may ask for that too (LocalPort)."""
    mine, theirs = _addresses(ask)
    asked = f"user={name},host={theirs},addr={theirs},laddr={mine},lport="
    # The addresses in a recording are stand-ins, and whose they are is not always told there.
    answer = ask.first_answer(("sshd", "-T", "-C", f"{asked}{port or SSH_PORT}"), *ask.recorded("sshd", "-T"))
    said = sshd_config.read(answer.stdout)
    if answer.ok and port is None and said["ports"] and SSH_PORT not in said["ports"]:
        # Nobody told the port, and it is another one.
        again = ask.run("sshd", "-T", "-C", f"{asked}{said['ports'][0]}")
        answer, said = (again, sshd_config.read(again.stdout)) if again.ok else (answer, said)
    if not answer.ok:
        ask.miss("network.sshd", answer)
        return None
    return said


def _addresses(ask: Ask) -> tuple[str, str]:
    """The desk's own fabric address and its peer's, as well as they are known."""
    for function in functions(ask).found:
        for item in interfaces(ask).facts(function.netdev).get("addresses", ()):
            own = ipaddress.ip_address(item["address"]) if item["family"] == "inet" else None
            if own is not None and not own.is_link_local:
                return str(own), str(type(own)(int(own) ^ 1))  # .10 and .11, .102 and .103, both ends of a /31
    return OWN, PEER


def _path(name: str, user: dict[str, Any]) -> str | None:
    """A file name of sshd's with its tokens filled in; null for a token that is not known."""
    values = {"%%": "%", "%h": user["home"], "%u": user["name"], "%U": str(user.get("uid"))}
    if any(token not in values for token in re.findall("%.?", name)):
        return None
    told = re.sub("%.", lambda found: values[found.group()], name)
    return posixpath.normpath(posixpath.join(user["home"], told))


def _key_is_enough(methods: Sequence[str] | None) -> bool | None:
    """Whether a key alone opens a login; ``any`` is the default."""
    if not methods:
        return None
    return any(chain.lower() in ("any", "publickey") for chain in methods)


def _runs_commands(forced: str | None, sessions: int | None) -> bool | None:
    """Whether a login gets a session, and in it what it asks for."""
    if forced or sessions == 0:
        return False
    return None if forced is None and sessions is None else True


def _allowed(name: str, peer: str, said: dict[str, Any]) -> bool | None:
    """What DenyUsers and AllowUsers say of the login user from its peer; null where a pattern cannot be told from here."""
    denied = [_matches(pattern, name, peer) for pattern in said["deny_users"] or ()]
    if True in denied:
        return False
    if not said["allow_users"]:
        return None if None in denied else True
    allowed = [_matches(pattern, name, peer) for pattern in said["allow_users"]]
    if True in allowed:
        return None if None in denied else True
    return None if None in allowed or None in denied else False


def _groups_allowed(ask: Ask, user: dict[str, Any], said: dict[str, Any]) -> bool | None:
    """What DenyGroups and AllowGroups say of the login user; null where a directory may know more groups, or where a pattern is negated."""
    denied, allowed = said["deny_groups"] or (), said["allow_groups"] or ()
    mine = groups_of(ask, user)
    if any(fnmatch.fnmatchcase(group, pattern) for group in mine for pattern in denied):
        return False
    known = any(item["name"] == user["name"] for item in passwd.read(ask.text("/etc/passwd").text or ""))
    if not known and denied:
        return None
    if not allowed or any(fnmatch.fnmatchcase(group, pattern) for group in mine for pattern in allowed):
        return True
    return False if known and not any(pattern.startswith("!") for pattern in allowed) else None


def _all_of(*answers: bool | None) -> bool | None:
    return False if False in answers else None if None in answers else True


def _matches(pattern: str, name: str, peer: str) -> bool | None:
    """One USER or USER@HOST pattern; null where the host is a name or negated."""
    who, at, host = pattern.rpartition("@")
    if not at or (name.endswith(host) and "@" in name):
        return fnmatch.fnmatchcase(name, pattern)
    if not fnmatch.fnmatchcase(name, who):
        return False
    try:
        return ipaddress.ip_address(peer) in ipaddress.ip_network(host, strict=False)
    except ValueError:
        return fnmatch.fnmatchcase(peer, host) if re.fullmatch(r"[0-9.*?]+", host) else None
