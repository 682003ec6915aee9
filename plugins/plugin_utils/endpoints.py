# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From desks' facts and the judged cables to the ends that measurements need. The facts part is pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from ..module_utils.changes.settings import MANAGEMENT
from ..module_utils.model.data import from_dict
from ..module_utils.model.desk import Desk
from ..module_utils.model.link import Endpoint, EndpointFunction, OtherFunction
from ..module_utils.model.link import Path as MeasuredPath
from ..module_utils.model.port import Address, Function, Port
from .run.model import RING, Path, Stack
from .run.store import RunStore


class EndpointError(Exception):
    """The ends of a pair's cable are not known well enough to measure. ``desk`` is the desk that lacks something."""

    def __init__(self, desk: str, text: str) -> None:
        self.desk, self.text = desk, text
        super().__init__(f"{desk}: {text}")


def desk_facts(store: RunStore, desk: str) -> Desk:
    """The facts of a desk of this run. Raises EndpointError without them."""
    part = store.part("facts", desk)
    spark = part.data.get("spark") if part is not None else None
    if not isinstance(spark, Mapping):
        raise EndpointError(desk, "its facts were not read in this run")
    return from_dict(Desk, spark)


def cages_of(store: RunStore, desk: str) -> dict[str, int]:
    """The cage that leads to each other member of the desk's ring or switch stack, as the cable map of this run names them."""
    part = store.part("cable_map", desk)
    ports = part.data.get("ports") if part is not None else None
    return {str(other): int(port) for other, port in ports.items()} if isinstance(ports, Mapping) else {}


def cabled_port(store: RunStore, desk: str, other: str | None = None) -> int | None:
    """The port that the cable map of this run names for the desk (towards ``other``), null when it names none."""
    part = store.part("cable_map", desk)
    port = part.data.get("port") if part is not None else None
    if port is None and other is not None:
        port = cages_of(store, desk).get(other)
    return None if port is None else int(port)


def path_to_neighbour(stack: Stack, desk: str) -> Path:
    """The path that a desk is an end of."""
    return next(path for path in stack.paths if desk in (path.one.desk, path.other.desk))


def path_ends(store: RunStore, path: Path) -> tuple[Endpoint, Endpoint]:
    """Both ends of a path, in its order. Raises EndpointError."""
    one, other = path.one.desk, path.other.desk
    return ends_of(_known(store, one, other), _known(store, other, one))


def stack_paths(store: RunStore, stack: Stack) -> tuple[MeasuredPath, ...]:
    """Every path of a stack with its ends, the head's first. Raises EndpointError."""
    return tuple(MeasuredPath(*path_ends(store, path)) for path in stack.paths)


def stack_ends(stack: Stack, paths: Sequence[MeasuredPath]) -> tuple[Endpoint, ...]:
    """The ends of the paths by rank, each once: one for a desk on a switch, two for one in a ring."""
    found = dict.fromkeys(end for path in paths for end in path.ends)
    return tuple(sorted(found, key=lambda end: stack.members.index(end.desk)))


def meets_at(stack: Stack, bootstrap: str) -> str:
    """Where ssh, MPI and NCCL's bootstrap of a stack meet. No fabric network joins the three desks of a ring, so that they meet at the
    management addresses, as with NVIDIA's helper."""
    return MANAGEMENT if stack.topology == RING else bootstrap


def _known(store: RunStore, desk: str, other: str) -> tuple[str, Desk, int | None]:
    return desk, desk_facts(store, desk), cabled_port(store, desk, other)


def ends_of(head: tuple[str, Desk, int | None], peer: tuple[str, Desk, int | None]) -> tuple[Endpoint, Endpoint]:
    """Both ends from (name, facts, cabled port) of each desk. Raises EndpointError."""
    ports = _joined_ports(head, peer) or (_port(*head), _port(*peer))
    if len(ports[0].functions) != len(ports[1].functions):
        counts = f"{len(ports[0].functions)} on {head[0]}, {len(ports[1].functions)} on {peer[0]}"
        raise EndpointError(peer[0], f"the two ends of the cable have different numbers of functions ({counts})")
    chosen: tuple[list[EndpointFunction], list[EndpointFunction]] = ([], [])
    for mine, theirs in zip(ports[0].functions, ports[1].functions, strict=True):
        addresses = _common_network(head[0], mine, peer[0], theirs)
        chosen[0].append(_function(head[0], mine, addresses[0]))
        chosen[1].append(_function(peer[0], theirs, addresses[1]))
    return _end(head[0], head[1], ports[0], chosen[0]), _end(peer[0], peer[1], ports[1], chosen[1])


def _joined_ports(head: tuple[str, Desk, int | None], peer: tuple[str, Desk, int | None]) -> tuple[Port, Port] | None:
    """The one port of each desk whose functions share networks, where the cable map names none of either; null where that is not told.

    So it is in a run of the measurements alone (``spark_stages``), in which desks of a ring have two addressed ports each.
    """
    if head[2] is not None or peer[2] is not None:
        return None
    found = [
        (mine, theirs)
        for mine in head[1].cx7.ports
        for theirs in peer[1].cx7.ports
        if mine.functions
        and len(mine.functions) == len(theirs.functions)
        and mine.carrier is not False
        and theirs.carrier is not False
        and all(_shared(one, other) is not None for one, other in zip(mine.functions, theirs.functions, strict=True))
    ]
    return found[0] if len(found) == 1 else None


def _port(name: str, desk: Desk, number: int | None) -> Port:
    if number is not None:
        found = next((port for port in desk.cx7.ports if port.number == number), None)
        if found is None:
            raise EndpointError(name, f"port {number}, where the cable is, was not found")
        return found
    carried = [port for port in desk.cx7.ports if any(_inet(function) for function in port.functions) and port.carrier is not False]
    if len(carried) != 1:
        raise EndpointError(name, f"{len(carried)} ports are cabled and addressed, so it is not known which one to measure")
    return carried[0]


def _inet(function: Function) -> list[Address]:
    return [address for address in function.addresses if address.family == "inet"]


def _shared(mine: Function, theirs: Function) -> tuple[Address, Address] | None:
    """An address of each function in one network."""
    there: dict[object, list[Address]] = {}
    for second in _inet(theirs):
        there.setdefault(ipaddress.ip_interface(f"{second.address}/{second.prefix_length}").network, []).append(second)
    for first in _inet(mine):
        for second in there.get(ipaddress.ip_interface(f"{first.address}/{first.prefix_length}").network, ()):
            if first.address != second.address:
                return first, second
    return None


def _common_network(head: str, mine: Function, peer: str, theirs: Function) -> tuple[Address, Address]:
    found = _shared(mine, theirs)
    if found is not None:
        return found
    for name, function in ((head, mine), (peer, theirs)):
        if not _inet(function):
            raise EndpointError(name, f"{function.netdev} has no IPv4 address")
    one, other = (", ".join(f"{item.address}/{item.prefix_length}" for item in _inet(function)) for function in (mine, theirs))
    raise EndpointError(peer, f"{mine.netdev} of {head} ({one}) and {theirs.netdev} of {peer} ({other}) have no addresses in one network")


def _function(desk: str, function: Function, address: Address) -> EndpointFunction:
    for value, name in (
        (function.netdev, "interface name"), (function.rdma_device, "RDMA device"), (function.mac, "MAC address"),
        (function.mtu, "MTU"), (function.pci_domain, "PCI domain"),
    ):  # fmt: skip
        if value is None:
            raise EndpointError(desk, f"the {name} of {function.netdev or function.pci_address} could not be read")
    return EndpointFunction(
        netdev=str(function.netdev),
        rdma_device=str(function.rdma_device),
        pci_domain=int(function.pci_domain or 0),
        mac=str(function.mac).lower(),
        address=address.address,
        gid_index=function.roce_v2_ipv4_gid_index,
        mtu=int(function.mtu or 0),
        speed_mbps=function.speed_mbps,
        pcie_width=function.pcie_width,
        prefix_length=address.prefix_length,
        carrier_down_count=function.carrier_down_count,
    )


def _end(name: str, desk: Desk, port: Port, functions: list[EndpointFunction]) -> Endpoint:
    management = next((item for item in desk.network.management_addresses if item.family == "inet"), None)
    network = None
    if management is not None:
        network = str(ipaddress.ip_interface(f"{management.address}/{management.prefix_length}").network)
    used = {function.netdev for function in functions}
    others = [
        OtherFunction(item.netdev, item.rdma_device)
        for item in desk.cx7.functions
        if item.netdev and item.rdma_device and item.netdev not in used
    ]
    return Endpoint(
        desk=name,
        port=int(port.number or 0),
        management_address=management.address if management else None,
        functions=tuple(functions),
        others=tuple(others),
        hostname=desk.identity.hostname,
        management_netdev=desk.network.management_netdev,
        management_network=network,
        boot_id=desk.identity.boot_id,
        kernel=desk.kernel.running,
        kho=desk.kernel.kho,
        cma_total_kb=desk.memory.cma_total_kb,
        cma_free_kb=desk.memory.cma_free_kb,
        ufw_active=desk.network.ufw_active,
        perftest=desk.toolkit.perftest,
        open_mpi=desk.toolkit.open_mpi,
        nccl=desk.toolkit.nccl,
        nccl_bundle=desk.setup.nccl_bundle,
        pair_env=desk.setup.pair_env,
        plugged_after_boot=desk.cx7.plugged_after_boot,
    )
