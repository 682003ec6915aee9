# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement's session: every side opened, and closed again whatever happens."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
from collections.abc import Iterator, Sequence

from .side import SSH_PORT, AgentSide, SideError, ssh_argv, unit_argv


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
def all_sides(
    what: str, stack: str, user: str, names: Sequence[str], addresses: Sequence[str], token: str, limit: float, port: int = SSH_PORT
) -> Iterator[tuple[AgentSide, ...]]:
    """An agent on the head (``names[0]``, in a transient unit) and one on each other member (over ssh to its address).

    ``port``: where ssh of the other members listens. Raises SideError.
    """
    home = home_of(names[0], user)
    with contextlib.ExitStack() as opened:
        sides = [AgentSide(names[0], unit_argv(unit_name(what, stack, token), user, limit), token, limit)]
        opened.callback(sides[0].close)
        for name, address in zip(names[1:], addresses[1:], strict=True):
            side = AgentSide(name, ssh_argv(user, home, address, limit, port), token, limit)
            opened.callback(side.close)
            sides.append(side)
        yield tuple(sides)
