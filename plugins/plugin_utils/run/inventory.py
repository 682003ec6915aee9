# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stacks of an inventory, as plain values that everything else takes.

This file alone looks into Ansible's inventory object: ``groups`` is flat in templates, so which group is a child of
``spark_pairs`` or ``spark_stacks`` can only be asked there (tried on ansible-core 2.19 and 2.21).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.judges.cable_map import natural
from ..admission.text import shown
from ..known_hosts import NO_NAME, looked_for
from .model import DIRECT, RING, SIZES, SWITCH, TOPOLOGIES, Member, Stack
from .wants import OUT_OF_SERVICE, PAIR_HEAD, SSH_PORT, STACK_MEMBERS, TOPOLOGY, WantError

DESKS_GROUP = "spark_desks"
PAIRS_GROUP = "spark_pairs"
STACKS_GROUP = "spark_stacks"
GROUPS = (DESKS_GROUP, PAIRS_GROUP, STACKS_GROUP)
PATTERN = "~spark_(desks|pairs|stacks)$"
"""The hosts of every play. One expression: Ansible warns of each listed group that an inventory does not have."""


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
    topology: str | None = None
    """What spark_topology says of it, as it is written."""
    topology_origin: str | None = None
    """file:line of that"""
    stack_members: tuple[str, ...] = ()
    """All desks of its stack, where the inventory says so."""


@dataclass(frozen=True)
class InventoryView:
    """The inventory reduced to plain data."""

    desks: tuple[HostEntry, ...]
    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Child group of spark_pairs to its host names."""
    stacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Child group of spark_stacks to its host names."""

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Both kinds in natural order."""
        both = {**self.stacks, **self.pairs}
        return {name: both[name] for name in sorted(both, key=natural)}


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
    for name, group in view.groups.items():
        members = sorted(group, key=lambda host: (not hosts[host].head, natural(host)))
        word = DIRECT if name in view.pairs else next((str(hosts[host].topology) for host in group if hosts[host].topology), DIRECT)
        stacks.append(Stack(name, tuple(members), word, any(hosts[host].out_of_service for host in members)))
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
            stack.rounds if stack else 1,
            host.out_of_service,
        )
    return members


def _problems(view: InventoryView, hosts: Mapping[str, HostEntry]) -> list[str]:
    problems = []
    home: dict[str, str] = {}
    for name, members in view.groups.items():
        if name in view.pairs and name in view.stacks:
            problems.append(f"group {name} is a child of both {PAIRS_GROUP} and {STACKS_GROUP}; a stack belongs into one of them")
        problems += _wrong_topology(name, [hosts[host] for host in members], name in view.pairs)
        for member in members:
            if member in home:
                kind = "pair" if name in view.pairs and home[member] in view.pairs else "stack"
                problems.append(f"{_named(hosts[member])} is in two {kind}s, {home[member]} and {name}; a desk belongs to one {kind}")
            home.setdefault(member, name)
        heads = [host for host in members if hosts[host].head]
        if len(heads) > 1:
            kind = "pair" if name in view.pairs else "stack"
            problems.append(f"group {name}: spark_pair_head is true for {' and '.join(heads)}; only one desk of a {kind} is the head")
    seen: dict[tuple[str, int], HostEntry] = {}
    names: dict[str, HostEntry] = {}
    at: dict[str, list[HostEntry]] = {}
    for host in view.desks:
        at.setdefault(looked_for(host.address), []).append(host)
    for host in view.desks:
        # Its proven key goes under its name and address: a name that stands for other desks would let its key stand for them too.
        wrong = next((text for text in (host.name, host.address) if NO_NAME.search(text)), None)
        if wrong is not None:
            problems.append(
                f"{shown(wrong)} is the name or address of a desk; one without blanks, commas, brackets, quotes, *?! and signs of a "
                "shell, that begins with none of -#@|, was expected: known_hosts or ssh would take it for more than this desk"
            )
        own = looked_for(host.name)
        other = next((item for item in at.get(own, ()) if item.name != host.name), None)
        if other is not None and looked_for(host.address) != own:
            problems.append(f"desk {shown(host.name)} has the address of {_named(other)} as its name; give it another one")
        alike = names.setdefault(own, host)
        if alike is not host:
            problems.append(
                f"{_named(alike)} and {_named(host)} are one name to ssh, so that the key of one stands for both; rename one of them"
            )
        key = (looked_for(host.address), host.port)
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


_COUNTS = {DIRECT: "a pair has exactly two", RING: "a ring has exactly three", SWITCH: "a switch joins two and more"}


def _wrong_topology(name: str, members: Sequence[HostEntry], of_pairs: bool) -> list[str]:
    """What is wrong with the topology of one child group: its word, and how many desks it has."""
    parent = PAIRS_GROUP if of_pairs else STACKS_GROUP
    told: dict[str, list[HostEntry]] = {}
    for host in members:
        told.setdefault(host.topology or "", []).append(host)
    words = [word for word in told if word]
    listed = ", ".join(_named(host) for host in members) or "none"
    at = next((f" ({host.topology_origin})" for host in members if host.topology_origin), "")
    if len(told) > 1:
        said = "; ".join(f"{word or 'nothing'} for {', '.join(_named(host) for host in hosts)}" for word, hosts in told.items())
        return [f"group {name} of {parent}: spark_topology{at} says {said}; set it once, for the whole group"]
    if words and words[0] not in TOPOLOGIES:
        return [f"group {name} of {parent}: spark_topology is {words[0]!r}{at}; one of {', '.join(TOPOLOGIES)} was expected"]
    word = words[0] if words else DIRECT
    if of_pairs and word != DIRECT:
        return [f"group {name} of {parent}: spark_topology is {word}{at}; a {word} is a child group of {STACKS_GROUP}"]
    least, most = SIZES[word]
    if least <= len(members) <= (most or len(members)):
        return []
    count = f"group {name} of {parent} has {len(members)} host(s) ({listed})"
    if not words and not of_pairs and len(members) > least:
        return [f"{count} and no spark_topology; set it to ring (three desks) or switch, for the whole group"]
    slice_of = " (in a slice of a job the other one is elsewhere, PAIR_INCOMPLETE: docs/awx.md)" if of_pairs and len(members) == 1 else ""
    return [f"{count}{at and f', spark_topology {word}{at}'}; {_COUNTS[word]}{slice_of}"]


def _named(host: HostEntry) -> str:
    return f"{host.name} ({host.origin})" if host.origin else host.name


def view_of_inventory(inventory: Any, addresses: Mapping[str, Mapping[str, Any]]) -> InventoryView:
    """The plain view of Ansible's inventory manager.

    ``addresses`` gives each host's resolved variables (they may be templates in the inventory); what is missing there is
    read from the host itself. Raises InventoryError for a variable that cannot be read.
    """
    groups = inventory.groups
    members: dict[str, Any] = {}
    for group in GROUPS:
        for host in groups[group].get_hosts() if group in groups else ():
            members.setdefault(host.name, host)
    desks, problems = [], []
    for name in sorted(members, key=natural):
        try:
            desks.append(_entry(members[name], addresses.get(name, {})))
        except WantError as error:
            problems.append(str(error))
    problems += _in_no_child(groups)
    if problems:
        raise InventoryError(problems)
    return _whole(InventoryView(tuple(desks), _children(groups, PAIRS_GROUP), _children(groups, STACKS_GROUP)))


def _in_no_child(groups: Mapping[str, Any]) -> list[str]:
    """Desks that stand in spark_pairs or spark_stacks itself: which of them belong together would be anybody's guess."""
    found = []
    for parent in (group for group in (PAIRS_GROUP, STACKS_GROUP) if group in groups):
        inside = {host.name for child in groups[parent].child_groups for host in child.get_hosts()}
        alone = sorted({host.name for host in groups[parent].hosts} - inside, key=natural)
        if alone:
            kind = "pair" if parent == PAIRS_GROUP else "stack"
            verb = "is" if len(alone) == 1 else "are"
            found.append(
                f"{', '.join(alone[:8])} {verb} in group {parent} itself and in no child group of it; make each {kind} a child group (see "
                f"inventories/lab), and put desks that are in none into {DESKS_GROUP}"
            )
    return found


def _children(groups: Mapping[str, Any], parent: str) -> dict[str, tuple[str, ...]]:
    """Each child group with its hosts, in natural order."""
    children = sorted(groups[parent].child_groups, key=lambda group: natural(group.name)) if parent in groups else []
    return {group.name: tuple(host.name for host in group.get_hosts()) for group in children}


def _whole(view: InventoryView) -> InventoryView:
    """The view with the desks that a slice of a job has taken out of stacks: they are in no run, and their stacks are not whole in it."""
    hosts = {host.name: host for host in view.desks}
    lost: dict[str, HostEntry] = {}

    def whole(members: tuple[str, ...]) -> tuple[str, ...]:
        planned = {desk for member in members for desk in hosts[member].stack_members}
        absent = sorted(planned - set(hosts), key=natural) if set(members) <= planned else []
        word = hosts[members[0]].topology if members else None
        lost.update({desk: HostEntry(desk, desk, topology=word) for desk in absent})
        return (*members, *absent)

    pairs = {name: whole(members) for name, members in view.pairs.items()}
    stacks = {name: whole(members) for name, members in view.stacks.items()}
    return InventoryView(tuple(sorted((*view.desks, *lost.values()), key=lambda host: natural(host.name))), pairs, stacks)


def _entry(host: Any, resolved: Mapping[str, Any]) -> HostEntry:
    values = {**host.get_vars(), **resolved}
    origin = _origin(host)
    where = f"{host.name} ({origin})" if origin else str(host.name)
    port = values.get("ansible_port") or 22
    if not str(port).isdecimal() or not 0 < int(port) < 65536:
        raise WantError(f"{where}: ansible_port is {port!r}; a number from 1 to 65535 was expected")
    address = str(values.get("ansible_host") or host.name)
    if re.search(r"[\s/@]", address) and "{{" not in address:
        raise WantError(
            f"{where}: ansible_host is {address!r}; an address such as 192.0.2.11 or a host name was expected, nothing around it"
        )
    return HostEntry(
        name=host.name,
        address=address,
        port=int(port),
        ssh_port=_ssh_port(values, where) or int(port),
        head=PAIR_HEAD.read(values, where),
        out_of_service=OUT_OF_SERVICE.read(values, where),
        origin=origin,
        topology=TOPOLOGY.read(values, where),
        topology_origin=next((at for group in host.get_groups() if (at := _origin_of(group.vars, "spark_topology"))), None),
        stack_members=tuple(STACK_MEMBERS.read(values, where) or ()),
    )


def _ssh_port(values: Mapping[str, Any], where: str) -> int | None:
    port = SSH_PORT.read(values, where)
    if port is not None and not 0 < port < 65536:
        raise WantError(f"{where}: spark_ssh_port is {port}; a number from 1 to 65535 was expected")
    return port


def _origin(host: Any) -> str | None:
    """Where the inventory says this host's address, when Ansible keeps track of it."""
    return next((at for key in ("ansible_host", "spark_pair_head") if (at := _origin_of(host.vars, key))), None)


def _origin_of(variables: Mapping[str, Any], key: str) -> str | None:
    """file:line of a variable's value, when Ansible keeps track of it."""
    try:
        from ansible._internal._datatag._tags import Origin
    except ImportError:
        return None
    origin = Origin.get_tag(variables.get(key)) if key in variables else None
    if origin is None or not origin.path:
        return None
    return f"{origin.path}:{origin.line_num}" if origin.line_num else str(origin.path)
