# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement's session: every side opened, and closed again whatever happens."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence

from ..desk import MISSING
from ..model.jumbo import JumboAnswer
from ..model.link import Endpoint, members, paths_of
from ..model.proof import Neighbour, Problem
from ..readers import ip_addr
from . import jumbo_ping
from .common import all_right, neighbours, wrong_routes
from .side import SSH_PORT, AgentSide, Side, SideError, ssh_argv, unit_argv

DOWN = ("down", "lowerlayerdown", "notpresent", "gone")
"""What the kernel says of an interface without a signal, or that is switched off; gone: it knows none of the name."""


class ElsewhereError(Exception):
    """Another run works on a member. ``holder``: who, as ``programs.lease`` tells it."""

    def __init__(self, desk: str, holder: Mapping[str, str]) -> None:
        self.desk, self.holder = desk, holder
        super().__init__(f"{desk}: another run is working on it")


class PathError(Exception):
    """What a cable's ends see of each other is wrong, so that nothing is started across it.

    ``problems``: addresses that are routed elsewhere; ``seen``: who answered on each function of the head; ``pings``: those of a member
    that answers small packets only.
    """

    def __init__(self, problems: Sequence[Problem] = (), seen: Sequence[Neighbour] = (), pings: Sequence[JumboAnswer] = ()) -> None:
        self.problems, self.seen, self.pings = tuple(problems), tuple(seen), tuple(pings)
        super().__init__("the path between the desks is not as the inventory says")


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
    port: int | Mapping[str, int] = SSH_PORT,
) -> Iterator[tuple[AgentSide, ...]]:
    """An agent on the head (in a transient unit) and one on each other member (over ssh to its address), in the order of ``ends``.

    ``port``: where ssh of the other members listens, by desk where they differ. Who is at the other end of the head's cables is asked
    before ssh, so that a plug in the wrong desk is told as that and not as a key of that desk. Raises SideError, and PathError for a route
    that leads elsewhere, for a wrong or silent neighbour and for a way that carries small packets only, and ElsewhereError.
    """
    names = members(ends)
    home = home_of(names[0], user)
    with contextlib.ExitStack() as opened:
        sides = [AgentSide(names[0], unit_argv(unit_name(what, stack, token), user, limit), token, limit)]
        opened.callback(sides[0].close)
        beside = [
            path.ends if path.first.desk == names[0] else path.ends[::-1] for path in paths_of(ends) if names[0] in members(path.ends)
        ]
        # The route first: where it leads elsewhere, nobody can answer on the cable.
        _refuse([item for mine, theirs in beside for item in wrong_ways(sides[0], mine, theirs)])
        seen = [item for mine, theirs in beside for item in neighbours(sides[0], mine, theirs)]
        if not all_right(seen, ends):
            raise PathError(seen=seen)
        for name, address in zip(names[1:], addresses[1:], strict=True):
            listens = port if isinstance(port, int) else port.get(name, SSH_PORT)
            try:
                side = AgentSide(name, ssh_argv(user, home, address, limit, listens), token, limit)
            except SideError as error:
                if error.kind in ("timed_out", "lost"):
                    _refuse_narrow(sides[0], [ends for ends in beside if ends[1].desk == name])
                raise
            opened.callback(side.close)
            if side.hello.get("held"):
                raise ElsewhereError(name, side.hello["held"])
            sides.append(side)
        side_of = dict(zip(names, sides, strict=True))
        others = [pair for path in paths_of(ends) for pair in (path.ends, path.ends[::-1]) if pair[0].desk != names[0]]
        _refuse([item for mine, theirs in others for item in wrong_ways(side_of[mine.desk], mine, theirs)])
        yield tuple(sides)


def wrong_ways(side: Side, mine: Endpoint, theirs: Endpoint) -> list[Problem]:
    """What keeps packets to the other end from leaving over the cable. Where the link is down, or its addresses are gone with it, the
    kernel knows no route either: that is then told alone."""
    netdevs = [item.netdev for item in mine.functions]
    read = side.read_texts([f"/sys/class/net/{netdev}/operstate" for netdev in netdevs])
    states = {netdev: "gone" if state.error == MISSING else (state.text or "").strip() for netdev, state in zip(netdevs, read, strict=True)}
    dark = [f"{netdev} is {state}" for netdev, state in states.items() if state in DOWN]
    if dark:
        return [Problem("link_down", mine.desk, f"{', '.join(dark)} (towards {theirs.desk})", {"interfaces": states})]
    wrong = wrong_routes(side, mine, theirs)
    asked = mine.functions if any(item.kind == "route" for item in wrong) else ()
    bare = [f"{item.address} on {item.netdev}" for item in asked if _without(side, item.netdev, item.address)]
    return [Problem("no_address", mine.desk, ", ".join(bare), {"addresses": bare})] if bare else wrong


def _without(side: Side, netdev: str, address: str) -> bool:
    """Whether an interface does not have the address (any more); false where that cannot be told."""
    answer = side.run(["ip", "-j", "addr", "show", "dev", netdev])
    told = ip_addr.read(answer.stdout) if answer.ok else []
    return bool(told) and not any(item["address"] == address for facts in told for item in facts["addresses"])


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise PathError(problems)


def _refuse_narrow(head: AgentSide, beside: Sequence[tuple[Endpoint, ...]]) -> None:
    """A connection begins with small packets and hangs with the first full one, where something between the desks drops it."""
    pings = [item for mine, theirs in beside for item in jumbo_ping.ask(head, mine, theirs)]
    if any(item.full is False and item.small for item in pings):
        raise PathError(pings=pings)
