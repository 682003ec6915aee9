# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses a desk's link gets: from its place in its stack and the admin's variables. Pure.

Two networks for each cable, because NVIDIA requires twins in different subnets (connect-two-sparks playbook since 2026-07-21).
A direct cable is a network of its own, so every pair may use the same numbers. The desks of a ring have two cables each, so that its three
cables need six networks; behind a switch all desks share two.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..module_utils.changes.link_plan import LinkRequest
from ..module_utils.changes.link_program.names import DHCP
from ..module_utils.judges.catalogue import finding
from ..module_utils.model.finding import Finding, Where
from .run.model import RING, SWITCH, Stack

STATIC = "static"
FUNCTIONS_PER_PORT = 2
POINT_TO_POINT = 31
"""Prefix length of a network of two hosts, 0 and 1 (RFC 3021)."""
DEFAULT_SUBNETS = ("192.168.100.0/24", "192.168.101.0/24", "192.168.102.0/24", "192.168.103.0/24")
"""The first two are NVIDIA's (connect-two-sparks playbook, and its switch playbook); a second cabled port takes the others."""
DEFAULT_RING_SUBNETS = tuple(f"192.168.{number}.0/24" for number in range(6))
"""NVIDIA's (connect-three-sparks playbook, manual way): two for the cable of desks 1 and 2, two for 1 and 3, two for 2 and 3."""
RING_SUBNETS = 6


class AddressingError(ValueError):
    """The variables do not give an address; the text says which."""


@dataclass(frozen=True)
class Numbers:
    """The variables of the role pair_link."""

    subnets: tuple[str, ...] = DEFAULT_SUBNETS
    """CIDR networks, two for each cabled port, the first for the function in the lower PCI domain."""
    head_host: int = 10
    """Host number of the pair's first desk."""
    peer_host: int = 11
    """Host number of the second; further members of a topology count on from here."""
    mtu: int = 9000
    """Bytes."""
    port: int | None = None
    ring_subnets: tuple[str, ...] = DEFAULT_RING_SUBNETS
    """CIDR networks of a ring, two for each cable: ranks 0 and 1, then 0 and 2, then 1 and 2."""
    ring_hosts: tuple[int, ...] = (1, 2)
    """Host numbers of a ring's cable, that of the lower rank first."""
    source: str = STATIC
    """Where addresses come from: `STATIC`, or `DHCP` on a switch, where the numbers say nothing then."""


def addresses(numbers: Numbers, position: int, cable: int = 0) -> tuple[str, ...]:
    """The addresses of the desk at ``position`` among the pair's members on its ``cable``-th cabled port (both from 0).

    Raises AddressingError.
    """
    first = cable * FUNCTIONS_PER_PORT
    chosen = numbers.subnets[first : first + FUNCTIONS_PER_PORT]
    if len(chosen) < FUNCTIONS_PER_PORT:
        raise AddressingError(
            f"pair_link_subnets has {len(numbers.subnets)} network(s); cabled port {cable + 1} of a desk needs numbers {first + 1} "
            f"and {first + FUNCTIONS_PER_PORT}"
        )
    if numbers.head_host == numbers.peer_host:
        raise AddressingError(
            f"pair_link_head_host and pair_link_peer_host are both {numbers.head_host}; the two desks need different numbers"
        )
    host = numbers.head_host if position == 0 else numbers.peer_host + position - 1
    made = tuple(_address(subnet, host) for subnet in chosen)
    one, other = (ipaddress.IPv4Interface(address).network for address in made)
    if one.overlaps(other):
        raise AddressingError(f"pair_link_subnets: {one} and {other} overlap; the two functions of a port need networks of their own")
    return made


def ring_addresses(numbers: Numbers, rank: int, other: int) -> tuple[str, ...]:
    """The addresses of the member of rank ``rank`` of a ring on its cable to the member of rank ``other``. Raises AddressingError."""
    subnets, hosts = numbers.ring_subnets, numbers.ring_hosts
    if len(subnets) != RING_SUBNETS:
        raise AddressingError(f"pair_link_ring_subnets has {len(subnets)} network(s); a ring of three cables needs {RING_SUBNETS}")
    if len(hosts) != FUNCTIONS_PER_PORT or hosts[0] == hosts[1]:
        raise AddressingError(f"pair_link_ring_hosts is {list(hosts)}; two different host numbers were expected")
    try:
        networks = [ipaddress.IPv4Network(subnet) for subnet in subnets]
    except ValueError as error:
        raise AddressingError(f"pair_link_ring_subnets: no IPv4 network: {error}") from error
    twice = next((f"{one} and {two}" for one, two in itertools.combinations(networks, 2) if one.overlaps(two)), None)
    if twice is not None:
        raise AddressingError(f"pair_link_ring_subnets: {twice} overlap; each of a ring's {RING_SUBNETS} networks is one of its own")
    cable = list(itertools.combinations(range(3), 2)).index((min(rank, other), max(rank, other)))
    host = hosts[0] if rank < other else hosts[1]
    return tuple(_address(subnet, host) for subnet in subnets[cable * FUNCTIONS_PER_PORT : (cable + 1) * FUNCTIONS_PER_PORT])


def stack_requests(numbers: Numbers, stack: Stack, desk: str, ports: Mapping[str, int]) -> list[LinkRequest]:
    """What a member of a ring or switch stack asks for. ``ports``: the cage that leads to each other member. Raises AddressingError."""
    rank = stack.members.index(desk)
    missing = [other for other in stack.others(desk) if other not in ports]
    if missing:
        raise AddressingError(f"the cable map of this run names no cage that leads to {', '.join(missing)}")
    if numbers.port is not None and (stack.topology == RING or numbers.port not in ports.values()):
        raise AddressingError(f"pair_link_port is {numbers.port}; of a ring or switch the cable map says which cage leads where")
    if numbers.source == DHCP:
        return [LinkRequest(next(iter(ports.values())), (DHCP,) * FUNCTIONS_PER_PORT, numbers.mtu)]
    if stack.topology != RING:
        counted = range(numbers.peer_host, numbers.peer_host + len(stack.members) - 1)
        if numbers.head_host in counted:
            raise AddressingError(
                f"pair_link_head_host is {numbers.head_host}, which another desk of {stack.name} would get too: the others count on from "
                f"pair_link_peer_host, {counted[0]} to {counted[-1]}"
            )
        return [LinkRequest(next(iter(ports.values())), addresses(numbers, rank), numbers.mtu)]
    return [
        LinkRequest(ports[other], ring_addresses(numbers, rank, stack.members.index(other)), numbers.mtu) for other in stack.others(desk)
    ]


def wrong_sources(stacks: Iterable[Stack], chosen: Mapping[str, str]) -> list[str]:
    """What is wrong with where the desks' addresses come from (``chosen``: desk to its pair_link_addresses), one sentence each."""
    problems = []
    for stack in stacks:
        told = {desk: chosen[desk] for desk in stack.members if desk in chosen}
        if DHCP in told.values() and stack.topology != SWITCH:
            kind = "pair" if stack.is_pair else stack.topology
            problems.append(
                f"pair_link_addresses is dhcp for {stack.name}, which is a {kind}: there is no DHCP server on a direct cable; set it for "
                "stacks on a switch alone"
            )
        elif len(set(told.values())) > 1:
            said = ", ".join(f"{word} for {desk}" for desk, word in told.items())
            problems.append(f"pair_link_addresses is {said}; set it once, for the whole group {stack.name}")
    return problems


def wrong_numbers(stacks: Iterable[Stack], given: Mapping[str, Numbers]) -> list[str]:
    """Why the numbers of desks (``given``) give one of them no address, each sentence once."""
    problems: dict[str, None] = {}
    for stack in stacks:
        for rank, desk in enumerate(stack.members):
            numbers = given.get(desk)
            try:
                if numbers is not None and stack.is_pair:
                    addresses(numbers, rank)
                elif numbers is not None:
                    # Which cage leads where is not known yet, and the numbers do not depend on it.
                    stack_requests(replace(numbers, port=None), stack, desk, dict.fromkeys(stack.others(desk), 0))
            except AddressingError as error:
                problems[str(error)] = None
    return list(problems)


def _address(subnet: str, host: int) -> str:
    try:
        network = ipaddress.IPv4Network(subnet)
    except ValueError as error:
        raise AddressingError(f"pair_link_subnets: {subnet!r} is not an IPv4 network: {error}") from error
    first, last = (0, network.num_addresses - 1) if network.prefixlen >= POINT_TO_POINT else (1, network.num_addresses - 2)
    if network.num_addresses < FUNCTIONS_PER_PORT or not first <= host <= last:
        raise AddressingError(
            f"host number {host} does not fit {network} ({first} to {last}); pair_link_head_host and pair_link_peer_host set it"
        )
    return f"{network[host]}/{network.prefixlen}"


def request(numbers: Numbers, position: int, port: int | None) -> LinkRequest:
    """What the desk at ``position`` asks for on its port. Raises AddressingError."""
    return LinkRequest(port if numbers.port is None else numbers.port, addresses(numbers, position), numbers.mtu)


def keeps_role(own: Mapping[str, Any] | None, other: Mapping[str, Any] | None, numbers: Numbers, position: int) -> bool:
    """Whether both desks already carry each other's addresses and none of their own, so that their places are kept the other way round.

    ``own`` and ``other`` are facts (``ansible_facts.spark``) of a pair's two desks; without both there is nothing to keep. One address each
    is enough: many guides give one function of the port an address and leave its twin bare.
    """
    if own is None or other is None or position not in (0, 1):
        return False
    mine, theirs = set(addresses(numbers, position)), set(addresses(numbers, 1 - position))
    here, there = carried(own), carried(other)
    return bool(theirs & here) and bool(mine & there) and not mine & here and not theirs & there


def carried(facts: Mapping[str, Any]) -> set[str]:
    """IPv4 addresses (with prefix length) on the ConnectX-7 of a desk."""
    ports: Sequence[Mapping[str, Any]] = (facts.get("cx7") or {}).get("ports") or ()
    return {
        f"{item['address']}/{item['prefix_length']}"
        for port in ports
        for function in port.get("functions") or ()
        for item in function.get("addresses") or ()
        if item.get("family") == "inet"
    }


def role_kept(where: Where, kept: Sequence[str]) -> Finding:
    """CX7_ROLE_KEPT."""
    message = f"The desk has {', '.join(kept)}, which its role in the pair assigns to the other desk; both keep what they have."
    return finding("CX7_ROLE_KEPT", where, message, evidence={"addresses": list(kept)})


def mtu_differs(where: Where, desk: str, mtu: int, other: str, other_mtu: int) -> Finding:
    """CX7_MTU_MISMATCH between the two desks' variables, before anything is changed."""
    message = f"pair_link_mtu is {mtu} for {desk} and {other_mtu} for {other}; both ends of a cable need the same."
    return finding(
        "CX7_MTU_MISMATCH",
        where,
        message,
        severity="fail",
        evidence={desk: mtu, other: other_mtu},
        remedy="Set pair_link_mtu for the pair, not for one desk, then run again.",
    )
