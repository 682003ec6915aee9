# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the desk's ssh server and its names leave room for what lets the desks of a stack log in to each other."""

from __future__ import annotations

from ..model.desk import Desk
from ..model.finding import Finding, Where
from .catalogue import finding
from .common import named
from .options import JudgeOptions


def judge_login(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    """PAIR_LOGIN_CLOSED for a server that will not take the peer's key, PAIR_NAME_TAKEN for names of ours that others gave away."""
    return [*_closed(desk, where, options), *_names(desk, where, options)]


def _closed(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    server, user = desk.network.sshd, desk.limits.user or "the login user"
    reasons = [
        text
        for known, text in (
            (server.pubkey, "PubkeyAuthentication is no"),
            (server.accepts_ed25519, "PubkeyAcceptedAlgorithms has no ssh-ed25519"),
            (server.key_is_enough, "AuthenticationMethods requires more than a key"),
            (server.runs_commands, "ForceCommand or MaxSessions 0 keeps a login from running a command"),
            (server.user_allowed, f"AllowUsers, DenyUsers, AllowGroups or DenyGroups keeps {user} out"),
        )
        if known is False
    ]
    if reasons:
        message = f"sshd will not let {user} in from the other desk with a key: {named(reasons)}."
        severity = options.used("note")
        remedy = (
            f"Let {user} in with a key alone from the pair's networks: a Match Address block in /etc/ssh/sshd_config.d, then sudo "
            "systemctl reload ssh. Check with: sudo sshd -T -C user=USER,host=PEER,addr=PEER,laddr=OWN,lport=PORT (PEER and OWN: the "
            "addresses of the other desk and of this one on their cable; PORT: this desk's ssh port)."
        )
        return [finding("PAIR_LOGIN_CLOSED", where, message, severity=severity, evidence={"settings": reasons}, remedy=remedy)]
    home = desk.limits.home
    if server.key_files is None or home is None or desk.setup.trust_authorized:
        return []
    if any(path.startswith(f"{home.rstrip('/')}/") for path in server.key_files):
        return []
    return [keys_elsewhere(where, user, server.key_files[0] if server.key_files else None, options.used("note", "warn"))]


def keys_elsewhere(where: Where, user: str, path: str | None, severity: str, line: str | None = None) -> Finding:
    """The ssh server reads the user's keys where only the desk's admin writes; ``line`` is what belongs there, once it is known."""
    place = f"only in {path}, which is not in {user}'s home" if path else "in no file (AuthorizedKeysFile none)"
    message = f"sshd looks for {user}'s keys {place}; this collection does not write keys there."
    usual = "let sshd read .ssh/authorized_keys too (AuthorizedKeysFile in /etc/ssh/sshd_config.d, then sudo systemctl reload ssh)"
    added = f"add this line to {path} on this desk: {line} - or " if path and line else ""
    waits = " The line to add is shown once the pair's keys exist." if path and not line else ""
    remedy = f"{added}{usual}, and run again.{waits}"
    return finding(
        "PAIR_LOGIN_CLOSED", where, message, severity=severity, evidence={"key_file": path}, remedy=remedy[0].upper() + remedy[1:]
    )


def _names(desk: Desk, where: Where, options: JudgeOptions) -> list[Finding]:
    taken = desk.setup.foreign_names
    if not taken:
        return []
    told = [f"{name} ({address})" for address, _blank, name in (item.partition(" ") for item in taken)]
    message = f"/etc/hosts gives names of the pair to other machines: {named(told)}."
    return [finding("PAIR_NAME_TAKEN", where, message, severity=options.used("note", "warn"), evidence={"lines": list(taken)})]
