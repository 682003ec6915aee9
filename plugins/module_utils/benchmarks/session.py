# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement's session: both sides opened, and closed again whatever happens."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
from collections.abc import Iterator

from .side import AgentSide, SideError, ssh_argv, unit_argv


def unit_name(what: str, pair: str, token: str) -> str:
    """Name of the transient unit on the head, such as dgx-spark-rdma-pair_a-1f2e3d4c."""
    return f"dgx-spark-{what}-{re.sub(r'[^A-Za-z0-9_.]', '_', pair)[:60]}-{token[:8]}"


def new_token() -> str:
    """A random mark for the processes of one measurement."""
    return secrets.token_hex(8)


def home_of(desk: str, user: str) -> str:
    """The login user's home. Raises SideError when there is no such user or when this process may not act for it."""
    if os.geteuid() != 0:
        raise SideError(desk, "failed", "the measurement starts units for the login user and needs root (become: true)")
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        raise SideError(desk, "failed", f"there is no user {user!r} on the desk") from None


@contextlib.contextmanager
def both_sides(
    what: str, pair: str, user: str, names: tuple[str, str], address: str, token: str, limit: float
) -> Iterator[tuple[AgentSide, AgentSide]]:
    """An agent on the head (in a transient unit) and one on the peer (over ssh to ``address``). Raises SideError."""
    home = home_of(names[0], user)
    head = AgentSide(names[0], unit_argv(unit_name(what, pair, token), user, limit), token, limit)
    try:
        peer = AgentSide(names[1], ssh_argv(user, home, address, limit), token, limit)
        try:
            yield head, peer
        finally:
            peer.close()
    finally:
        head.close()
