"""Facts of a made-up desk, for tests of the link plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.netplan import Interface, text
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Busy, Desk, Network, Setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import Address, ConnectX7, Function, Port

ADDRESSES = ("192.168.100.10/24", "192.168.101.10/24")


def function(
    port: int, domain: int, *, address: str | None = None, mtu: int = 1500, carrier: bool | None = None, **changes: Any
) -> Function:
    prefix = "enp1s0" if domain == 0 else "enP2p1s0"
    held = () if address is None else (Address(address.split("/")[0], int(address.split("/")[1]), "inet"),)
    return replace(
        Function(
            netdev=f"{prefix}f{port}np{port}",
            rdma_device=f"roce{prefix[2:]}f{port}",
            pci_address=f"000{domain}:01:00.{port}",
            pci_domain=domain,
            mac=f"02:00:5e:00:{domain:02x}:{port:02x}",
            phys_port_name=f"p{port}",
            phys_switch_id="0123456789abcdef",
            mtu=mtu,
            admin_up=True,
            carrier=(port == 0) if carrier is None else carrier,
            addresses=held,
            owner_kind="none",
            pcie_width=4,
            speed_mbps=200000,
        ),
        **changes,
    )


def desk(renderer: str | None = "NetworkManager", **changes: Any) -> Desk:
    """A desk with a cable on port 0 and no link yet."""
    ports = tuple(Port(number, "0123456789abcdef", (function(number, 0), function(number, 2)), carrier=number == 0) for number in (0, 1))
    made = Desk(
        subsets=("cx7", "network", "busy", "setup"),
        privileged=True,
        cx7=ConnectX7(ports=ports, powered=True),
        network=Network(
            management_netdev="enP7s7",
            session_netdev="enP7s7",
            renderer=renderer,
            routed_networks=("10.9.0.0/22 dev enP7s7", "172.17.0.0/16 dev docker0", "0.0.0.0/0 dev enP7s7"),
        ),
        busy=Busy(readable=True),
        setup=Setup(),
    )
    return replace(made, **changes)


def linked(renderer: str = "NetworkManager", mtu: int = 9000, addresses: tuple[str, str] = ADDRESSES) -> Desk:
    """A desk whose link is as wanted."""
    made = desk(renderer)
    functions = tuple(
        function(0, domain, address=address, mtu=mtu, owner_kind="ours") for domain, address in zip((0, 2), addresses, strict=True)
    )
    ports = (replace(made.cx7.ports[0], functions=functions), made.cx7.ports[1])
    content = text((Interface(str(item.netdev), address, mtu) for item, address in zip(functions, addresses, strict=True)), renderer)
    return replace(made, cx7=replace(made.cx7, ports=ports), setup=Setup(link_file=content))


def with_function(made: Desk, port: int, domain: int, **changes: Any) -> Desk:
    """The desk with one function changed; ``gone=True`` takes it away."""
    gone = changes.pop("gone", False)
    ports = []
    for item in made.cx7.ports:
        functions = tuple(
            replace(one, **changes) if item.number == port and one.pci_domain == domain else one
            for one in item.functions
            if not (gone and item.number == port and one.pci_domain == domain)
        )
        ports.append(replace(item, functions=functions))
    return replace(made, cx7=replace(made.cx7, ports=tuple(ports)))
