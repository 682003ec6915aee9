# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pairs of an inventory, as a plain list that everything else takes.

This file alone looks into Ansible's inventory object: ``groups`` is flat in templates, so which group is a child of
``spark_pairs`` can only be asked there (tried on ansible-core 2.19 and 2.21).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

DESKS_GROUP = "spark_desks"
PAIRS_GROUP = "spark_pairs"
DIRECT = "direct"
"""The one topology of today: a cable from desk to desk. A ring and a switch are other values of the same field."""


@dataclass(frozen=True)
class HostEntry:
    """One host of the inventory: what the checks need of it."""

    name: str
    address: str
    port: int = 22
    head: bool | None = None
    out_of_service: bool = False
    origin: str | None = None
    """file:line of the address or host, where Ansible knows it"""


@dataclass(frozen=True)
class InventoryView:
    """The inventory reduced to plain data."""

    desks: tuple[HostEntry, ...]
    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Child group of spark_pairs to its host names."""


@dataclass(frozen=True)
class Pair:
    """Two desks that are stacked, head first."""

    name: str
    members: tuple[str, ...]
    topology: str = DIRECT
    out_of_service: bool = False

    @property
    def head(self) -> str:
        """The desk that starts the measurements and takes the lower address."""
        return self.members[0]

    @property
    def peer(self) -> str:
        """The other desk."""
        return self.members[1]


class InventoryError(Exception):
    """The inventory cannot be used. ``problems`` holds one sentence each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def natural_key(name: str) -> tuple[Any, ...]:
    """Sorts desk-9 before desk-10."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)


def pairs_of(view: InventoryView) -> list[Pair]:
    """The pairs in natural name order. Raises InventoryError with every problem found, not only the first."""
    hosts = {host.name: host for host in view.desks}
    problems = _problems(view, hosts)
    if problems:
        raise InventoryError(problems)
    pairs = []
    for name in sorted(view.pairs, key=natural_key):
        members = sorted(view.pairs[name], key=lambda host: (not hosts[host].head, natural_key(host)))
        pairs.append(Pair(name, tuple(members), out_of_service=any(hosts[host].out_of_service for host in members)))
    return pairs


def _problems(view: InventoryView, hosts: Mapping[str, HostEntry]) -> list[str]:
    problems = []
    home: dict[str, str] = {}
    for name in sorted(view.pairs, key=natural_key):
        members = view.pairs[name]
        if len(members) != 2:
            listed = ", ".join(_named(hosts[host]) for host in members) or "none"
            problems.append(f"group {name} of {PAIRS_GROUP} has {len(members)} host(s) ({listed}); a pair has exactly two")
        for member in members:
            if member in home:
                problems.append(f"{_named(hosts[member])} is in two pairs, {home[member]} and {name}; a desk belongs to one pair")
            home.setdefault(member, name)
        heads = [host for host in members if hosts[host].head]
        if len(heads) > 1:
            problems.append(f"group {name}: spark_pair_head is true for {' and '.join(heads)}; one desk of a pair is the head")
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
            f"the inventory has no desks: put every desk into group {DESKS_GROUP} and each pair into a child group of {PAIRS_GROUP}"
        )
    return problems


def _named(host: HostEntry) -> str:
    return f"{host.name} ({host.origin})" if host.origin else host.name


def view_of_inventory(inventory: Any, addresses: Mapping[str, Mapping[str, Any]]) -> InventoryView:
    """The plain view of Ansible's inventory manager.

    ``addresses`` gives each host's resolved variables (they may be templates in the inventory); what is missing there is
    read from the host itself.
    """
    groups = inventory.groups
    members: dict[str, Any] = {}
    for group in (DESKS_GROUP, PAIRS_GROUP):
        for host in groups[group].get_hosts() if group in groups else ():
            members.setdefault(host.name, host)
    desks = tuple(_entry(members[name], addresses.get(name, {})) for name in sorted(members, key=natural_key))
    children = sorted(groups[PAIRS_GROUP].child_groups, key=lambda group: natural_key(group.name)) if PAIRS_GROUP in groups else []
    return InventoryView(desks, {group.name: tuple(host.name for host in group.get_hosts()) for group in children})


def _entry(host: Any, resolved: Mapping[str, Any]) -> HostEntry:
    values = {**host.get_vars(), **resolved}
    head = values.get("spark_pair_head")
    return HostEntry(
        name=host.name,
        address=str(values.get("ansible_host") or host.name),
        port=int(values.get("ansible_port") or 22),
        head=None if head is None else _truth(head),
        out_of_service=_truth(values.get("spark_out_of_service", False)),
        origin=_origin(host),
    )


def _truth(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "yes", "on", "1")


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
