"""The lab's own network: a namespace with the management bridge and one bridge per cable.

Names inside the namespace: `mgmt` (management bridge), `host` (leg to this machine), `c<N>` (cable N), for switch N a bridge for each of
its networks, `s<N>v<V>b<B>`, and for desk N `d<N>m` (management leg) and `d<N>f0` .. `d<N>f3` (ConnectX-7 legs). The other end of each
desk leg is in the desk, under its real name. A leg that is down gives the desk carrier 0, as an empty port does.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from sparklab import shell, subnets
from sparklab.errors import LabError

CABLE_MTU = 9216
LLDP_MASK = 1 << 14
"""A cable carries LLDP frames, which a bridge keeps to itself otherwise."""
NETNS_DIR = Path("/run/netns")
CONF = Path("/proc/sys/net/ipv6/conf")


def netns_name(lab: str) -> str:
    """The network namespace of a lab."""
    return f"lab-{lab}"


def host_interface(number: int) -> str:
    """This machine's leg into the lab whose subnet is 10.N.0.0/22."""
    return f"sparklab{number}"


def exists(netns: str) -> bool:
    """Whether the namespace is there."""
    return (NETNS_DIR / netns).exists()


def batch(netns: str | None, lines: Sequence[str], force: bool = False) -> None:
    """Run several `ip` commands in one process."""
    if not lines:
        return
    argv = ["ip", *(["-n", netns] if netns else []), *(["-force"] if force else []), "-batch", "-"]
    done = shell.run(argv, stdin="\n".join(lines) + "\n", check=False)
    if done.returncode != 0 and not force:
        raise LabError(f"the network of the lab could not be made: {' '.join(done.stderr.split())}")


def links(netns: str | None) -> dict[str, dict[str, str]]:
    """The links of a namespace: name -> `master`, `state`, `flags`."""
    argv = ["ip", *(["-n", netns] if netns else []), "-j", "link", "show"]
    found = {}
    for link in json.loads(shell.run(argv).stdout or "[]"):
        found[str(link["ifname"])] = {
            "master": str(link.get("master", "")),
            "up": "yes" if "UP" in link.get("flags", []) else "",
            "index": str(link["ifindex"]),
            "mtu": str(link.get("mtu", "")),
        }
    return found


def used_networks() -> list[str]:
    """Networks that this machine routes or has addresses in."""
    routes = json.loads(shell.run(["ip", "-j", "-4", "route", "show", "table", "all"]).stdout or "[]")
    return [str(route["dst"]) for route in routes if route.get("type", "unicast") in ("unicast", "local")]


def make(netns: str, number: int, cables: int) -> None:
    """Make, or complete, the namespace, the management bridge, the leg to this machine and the cables' bridges."""
    if not exists(netns):
        shell.run(["ip", "netns", "add", netns])
    inside = links(netns)
    lines = ["link set lo up"]
    if "mgmt" not in inside:
        lines += ["link add mgmt type bridge forward_delay 0"]
    lines += [
        f"address replace {subnets.server_address(number)}/{subnets.PREFIX} dev mgmt",
        "link set mgmt up",
    ]
    for cable in range(cables):
        if f"c{cable}" not in inside:
            lines += [f"link add c{cable} mtu {CABLE_MTU} type bridge forward_delay 0 mcast_snooping 0 group_fwd_mask {LLDP_MASK}"]
        lines += [f"link set c{cable} addrgenmode none", f"link set c{cable} up"]
    batch(netns, lines)
    name = host_interface(number)
    if "host" not in inside:
        if name in links(None):
            shell.run(["ip", "link", "delete", name])
        batch(
            netns,
            [
                f"link add host type veth peer name {name} netns {os.getpid()}",
                "link set host master mgmt",
                "link set host up",
            ],
        )
    with contextlib.suppress(OSError):
        # A desk that calls itself a router must not become this machine's.
        (CONF / name / "accept_ra").write_text("0", encoding="ascii")
    batch(
        None,
        [f"address replace {subnets.host_address(number)}/{subnets.PREFIX} dev {name}", f"link set {name} up"],
    )


def processes(netns: str) -> list[int]:
    """The processes of this machine that live in the namespace: services of the lab; desks have their own."""
    return [int(word) for word in shell.run(["ip", "netns", "pids", netns], check=False).stdout.split()]


def destroy(netns: str) -> None:
    """Remove the namespace with everything in it (the legs' other ends go with them)."""
    if exists(netns):
        shell.run(["ip", "netns", "delete", netns])


def add_leg(netns: str, leg: str, pid: int, netdev: str, mac: str) -> None:
    """Join a desk to the lab: a veth pair, `leg` here (down) and `netdev` with this MAC in the desk."""
    batch(netns, [f"link delete {leg}"], force=True)
    batch(
        netns,
        [
            f"link add {leg} mtu {CABLE_MTU} type veth peer name {netdev} mtu 1500 address {mac} netns {pid}",
            f"link set {leg} addrgenmode none",
        ],
    )


def add_taps(netns: str, legs: Sequence[str]) -> None:
    """Legs (down) for the adapters of a virtual machine: it opens them by name."""
    batch(netns, [f"link delete {leg}" for leg in legs], force=True)
    batch(netns, [f"tuntap add dev {leg} mode tap" for leg in legs])
    batch(netns, [line for leg in legs for line in (f"link set {leg} mtu {CABLE_MTU}", f"link set {leg} addrgenmode none")])


def remove_legs(netns: str, legs: Sequence[str]) -> None:
    """Take netdevs out of a desk."""
    batch(netns, [f"link delete {leg}" for leg in legs], force=True)


def bridge_lines(bridge: str) -> list[str]:
    """`ip` lines that make the bridge of a switch's network."""
    return [
        f"link add {bridge} mtu {CABLE_MTU} type bridge forward_delay 0 mcast_snooping 0",
        f"link set {bridge} addrgenmode none",
        f"link set {bridge} up",
    ]


def attach_lines(leg: str, bridge: str | None, up: bool, mtu: int = CABLE_MTU) -> list[str]:
    """`ip` lines that put a leg on a bridge (None: on none), give it carrier or not, and say how large a packet it takes."""
    master = f"link set {leg} master {bridge}" if bridge else f"link set {leg} nomaster"
    return [master, f"link set {leg} mtu {mtu}", f"link set {leg} {'up' if up else 'down'}"]
