# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stacks of an inventory, as plain values that everything else takes.

This file alone looks into Ansible's inventory object: ``groups`` is flat in templates, so which group is a child of
``spark_pairs`` can only be asked there (tried on ansible-core 2.19 and 2.21).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.judges.cable_map import natural
from .model import Member, Stack
from .wants import OUT_OF_SERVICE, PAIR_HEAD, SSH_PORT, STACK_MEMBERS, WantError

DESKS_GROUP = "spark_desks"
PAIRS_GROUP = "spark_pairs"
PATTERN = f"{DESKS_GROUP}:{PAIRS_GROUP}"
"""The hosts of every play."""


@dataclass(frozen=True)
class HostEntry:
    """One host of the inventory: what the checks need of it."""

    name: str
    address: str
    port: int = 22
    """Where the controller reaches its ssh."""
    ssh_port: int = 22
    """Where the other desks do."""
    head: bool | None = None
    out_of_service: bool = False
    origin: str | None = None
    """file:line of the address or host, where Ansible knows it"""
    stack_members: tuple[str, ...] = ()
    """All desks of its stack, where the inventory says so."""


@dataclass(frozen=True)
class InventoryView:
    """The inventory reduced to plain data."""

    desks: tuple[HostEntry, ...]
    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Child group of spark_pairs to its host names."""


class InventoryError(Exception):
    """The inventory cannot be used. ``problems`` holds one sentence each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def stacks_of(view: InventoryView) -> list[Stack]:
    """The stacks in natural name order, each head first. Raises InventoryError with every problem found, not only the first."""
    hosts = {host.name: host for host in view.desks}
    problems = _problems(view, hosts)
    if problems:
        raise InventoryError(problems)
    stacks = []
    for name in sorted(view.pairs, key=natural):
        members = sorted(view.pairs[name], key=lambda host: (not hosts[host].head, natural(host)))
        stacks.append(Stack(name, tuple(members), out_of_service=any(hosts[host].out_of_service for host in members)))
    return stacks


def members_of(view: InventoryView, stacks: Sequence[Stack], scope: Iterable[str]) -> dict[str, Member]:
    """Every desk of the inventory with its place, in natural order. ``scope`` are the hosts that the run may touch."""
    home = {desk: stack for stack in stacks for desk in stack.members}
    inside = set(scope)
    members = {}
    for host in view.desks:
        stack = home.get(host.name)
        members[host.name] = Member(
            host.name,
            host.address,
            stack.name if stack else None,
            stack.members.index(host.name) if stack else 0,
            host.out_of_service or bool(stack and stack.out_of_service),
            host.name in inside,
            host.ssh_port,
        )
    return members


def _problems(view: InventoryView, hosts: Mapping[str, HostEntry]) -> list[str]:
    problems = []
    home: dict[str, str] = {}
    for name in sorted(view.pairs, key=natural):
        members = view.pairs[name]
        if len(members) != 2:
            listed = ", ".join(_named(hosts[host]) for host in members) or "none"
            problems.append(
                f"group {name} of {PAIRS_GROUP} has {len(members)} host(s) ({listed}); a pair has exactly two"
                + (" (in a slice of a job the other one is elsewhere, PAIR_INCOMPLETE: docs/awx.md)" if len(members) == 1 else "")
            )
        for member in members:
            if member in home:
                problems.append(f"{_named(hosts[member])} is in two pairs, {home[member]} and {name}; a desk belongs to one pair")
            home.setdefault(member, name)
        heads = [host for host in members if hosts[host].head]
        if len(heads) > 1:
            problems.append(f"group {name}: spark_pair_head is true for {' and '.join(heads)}; only one desk of a pair is the head")
    seen: dict[tuple[str, int], HostEntry] = {}
    for host in view.desks:
        key = (host.address, host.port)
        if key in seen:
            problems.append(
                f"{_named(seen[key])} and {_named(host)} have the same address {host.address}; give each desk its own ansible_host"
            )
        seen.setdefault(key, host)
    if not view.desks:
        problems.append(
            f"the inventory has no desks: put every desk in group {DESKS_GROUP} and each pair in a child group of {PAIRS_GROUP}"
        )
    return problems


def _named(host: HostEntry) -> str:
    return f"{host.name} ({host.origin})" if host.origin else host.name


def view_of_inventory(inventory: Any, addresses: Mapping[str, Mapping[str, Any]]) -> InventoryView:
    """The plain view of Ansible's inventory manager.

    ``addresses`` gives each host's resolved variables (they may be templates in the inventory); what is missing there is
    read from the host itself. Raises InventoryError for a variable that cannot be read.
    """
    groups = inventory.groups
    members: dict[str, Any] = {}
    for group in (DESKS_GROUP, PAIRS_GROUP):
        for host in groups[group].get_hosts() if group in groups else ():
            members.setdefault(host.name, host)
    desks, problems = [], []
    for name in sorted(members, key=natural):
        try:
            desks.append(_entry(members[name], addresses.get(name, {})))
        except WantError as error:
            problems.append(str(error))
    if problems:
        raise InventoryError(problems)
    children = sorted(groups[PAIRS_GROUP].child_groups, key=lambda group: natural(group.name)) if PAIRS_GROUP in groups else []
    return _whole(InventoryView(tuple(desks), {group.name: tuple(host.name for host in group.get_hosts()) for group in children}))


def _whole(view: InventoryView) -> InventoryView:
    """The view with the desks that a slice of a job has taken out of stacks: they are in no run, and their stacks are not whole in it."""
    hosts = {host.name: host for host in view.desks}
    lost: dict[str, HostEntry] = {}
    pairs = {}
    for name, members in view.pairs.items():
        planned = {desk for member in members for desk in hosts[member].stack_members}
        absent = sorted(planned - set(hosts), key=natural) if set(members) <= planned else []
        lost |= {desk: HostEntry(desk, desk) for desk in absent}
        pairs[name] = (*members, *absent)
    return InventoryView(tuple(sorted((*view.desks, *lost.values()), key=lambda host: natural(host.name))), pairs)


def _entry(host: Any, resolved: Mapping[str, Any]) -> HostEntry:
    values = {**host.get_vars(), **resolved}
    origin = _origin(host)
    where = f"{host.name} ({origin})" if origin else str(host.name)
    port = values.get("ansible_port") or 22
    if not str(port).isdecimal() or not 0 < int(port) < 65536:
        raise WantError(f"{where}: ansible_port is {port!r}; a number from 1 to 65535 was expected")
    return HostEntry(
        name=host.name,
        address=str(values.get("ansible_host") or host.name),
        port=int(port),
        ssh_port=_ssh_port(values, where) or int(port),
        head=PAIR_HEAD.read(values, where),
        out_of_service=OUT_OF_SERVICE.read(values, where),
        origin=origin,
        stack_members=tuple(STACK_MEMBERS.read(values, where) or ()),
    )


def _ssh_port(values: Mapping[str, Any], where: str) -> int | None:
    port = SSH_PORT.read(values, where)
    if port is not None and not 0 < port < 65536:
        raise WantError(f"{where}: spark_ssh_port is {port}; a number from 1 to 65535 was expected")
    return port


def _origin(host: Any) -> str | None:
    """Where the inventory says this host's address, when Ansible keeps track of it."""
    try:
        from ansible._internal._datatag._tags import Origin
    except ImportError:
        return None
    for key in ("ansible_host", "spark_pair_head"):
        origin = Origin.get_tag(host.vars.get(key)) if key in host.vars else None
        if origin is not None and origin.path:
            return f"{origin.path}:{origin.line_num}" if origin.line_num else str(origin.path)
    return None
