# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sshd -T``: what sshd goes by, all files and Match blocks put together. One keyword and its value a line, in small letters."""

from __future__ import annotations

from typing import Any

from . import text as _text

WORDS = (
    "authorizedkeysfile",
    "allowusers",
    "denyusers",
    "allowgroups",
    "denygroups",
    "pubkeyacceptedalgorithms",
    "authenticationmethods",
    "port",
)
"""Keywords with a list; those that may stand several times are put together."""


def read(text: str) -> dict[str, Any]:
    """Keys: authorized_keys_files, allow_users, deny_users, allow_groups, deny_groups, pubkey_algorithms, authentication_methods (lists,
    null where not said), pubkey_authentication (bool or null), force_command (a text, empty for none, null where not said), max_sessions
    (int or null), ports (list, empty where not said)."""
    lists: dict[str, list[str]] = {}
    single: dict[str, str] = {}
    for line in _text.lines(text, _text.TEXT_LIMIT):
        keyword, _blank, value = line.strip().partition(" ")
        keyword = keyword.lower()
        if keyword in WORDS:
            lists.setdefault(keyword, []).extend(
                value.replace(",", " ").split() if keyword == "pubkeyacceptedalgorithms" else value.split()
            )
        else:
            single.setdefault(keyword, value.strip())
    files, forced = lists.get("authorizedkeysfile"), single.get("forcecommand")
    return {
        "authorized_keys_files": None if files is None else [name for name in files if name.lower() != "none"],
        "allow_users": lists.get("allowusers"),
        "deny_users": lists.get("denyusers"),
        "allow_groups": lists.get("allowgroups"),
        "deny_groups": lists.get("denygroups"),
        "pubkey_algorithms": lists.get("pubkeyacceptedalgorithms"),
        "authentication_methods": lists.get("authenticationmethods"),
        "pubkey_authentication": {"yes": True, "no": False}.get(single.get("pubkeyauthentication", "").lower()),
        "force_command": None if forced is None else "" if forced.lower() == "none" else _text.word(forced, 200),
        "ports": [port for port in map(_text.to_int, lists.get("port") or ()) if port is not None and 0 < port < 65536],
        "max_sessions": _text.to_int(single.get("maxsessions")),
    }
