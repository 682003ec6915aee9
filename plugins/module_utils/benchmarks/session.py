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

from ..model.link import Endpoint, members, paths_of
from ..model.proof import Neighbour
from .common import all_right, neighbours
from .side import SSH_PORT, AgentSide, SideError, ssh_argv, unit_argv


class StrangerError(Exception):
    """Not the member that the inventory names is at the other end of a cable of the head. ``seen``: who answered on each function."""

    def __init__(self, desk: str, seen: tuple[Neighbour, ...]) -> None:
        self.desk, self.seen = desk, seen
        super().__init__(f"{desk}: another machine, or none, is at the other end")


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
    what: str,
    stack: str,
    user: str,
    ends: Sequence[Endpoint],
    addresses: Sequence[str],
    token: str,
    limit: float,
    port: int = SSH_PORT,
) -> Iterator[tuple[AgentSide, ...]]:
    """An agent on the head (in a transient unit) and one on each other member (over ssh to its address), in the order of ``ends``.

    ``port``: where ssh of the other members listens. Who is at the other end of the head's cables is asked before ssh, so that a plug
    in the wrong desk is told as that and not as a key of that desk. Raises SideError, and StrangerError for a wrong or silent neighbour.
    """
    names = members(ends)
    home = home_of(names[0], user)
    with contextlib.ExitStack() as opened:
        sides = [AgentSide(names[0], unit_argv(unit_name(what, stack, token), user, limit), token, limit)]
        opened.callback(sides[0].close)
        beside = [
            path.ends if path.first.desk == names[0] else path.ends[::-1] for path in paths_of(ends) if names[0] in members(path.ends)
        ]
        seen = tuple(item for mine, theirs in beside for item in neighbours(sides[0], mine, theirs))
        if not all_right(seen, ends):
            raise StrangerError(names[0], seen)
        for name, address in zip(names[1:], addresses[1:], strict=True):
            side = AgentSide(name, ssh_argv(user, home, address, limit, port), token, limit)
            opened.callback(side.close)
            sides.append(side)
        yield tuple(sides)
