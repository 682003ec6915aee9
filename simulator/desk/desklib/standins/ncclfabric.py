"""nccl-fabric: the helper of the simulated all_gather_perf and all_reduce_perf, one process per rank.

Lines on stdin, lines on stdout:

* ``plan COUNT SIZE...`` -> ``net``, ``oob``, ``hca``, ``payload``, ``fault``, ``failure``, ``busbw`` lines, then ``end``:
  what NCCL would choose on this desk from its environment, and the figure for each message size;
* ``link DEVICE TOKEN PEER_TOKEN PEER_IP PEER_MAC PAYLOAD`` (repeated; a token ``-``: nothing is sent, or nothing awaited), ``listen`` ->
  ``ready``, ``go`` -> ``got INDEX OCTETS`` for each link, then ``end``: frames cross the cable;
* ``credit DEVICE OCTETS``: both directions of a device carried this much.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from dataclasses import dataclass
from typing import Any

from .. import client, fakes, figures
from ..view import Function
from . import common
from .common import Context
from .perftest import MEMLOCK_ENOUGH, gid_ip

_MTU = {256: 1, 512: 2, 1024: 3, 2048: 4, 4096: 5}
WIRE_OCTETS = 3_000_000
NOTHING, ONLY_SENT = "-", -1
FAULTS = ("nccl_hang", "nccl_rank_killed", "nccl_oom", "nccl_wrong", "nccl_retry", "nccl_two_worlds", "nccl_incomplete")
_VALUES = {"nccl_hang": "seconds", "nccl_wrong": "count"}
_DEFAULTS = {"nccl_hang": 3600, "nccl_wrong": 524288}
# Open MPI's own interfaces aside, sockets over the 10 GbE port give 1.1 to 1.25 GB/s, over a ConnectX-7 function about 3.
SOCKET_MANAGEMENT, SOCKET_FABRIC = 1.15, 3.0


def select(wanted: str, names: list[str]) -> list[str]:
    """NCCL's rule for NCCL_IB_HCA and NCCL_SOCKET_IFNAME: ``^`` excludes, ``=`` is exact, else a prefix."""
    if not wanted:
        return names
    exclude = wanted.startswith("^")
    rest = wanted[1:] if exclude else wanted
    exact = rest.startswith("=")
    rest = rest[1:] if exact else rest
    entries = [entry.split(":")[0] for entry in rest.split(",") if entry]

    def hit(name: str) -> bool:
        return any(name == entry if exact else name.startswith(entry) for entry in entries)

    return [name for name in names if hit(name) != exclude]


def usable(context: Context) -> list[Function]:
    """RDMA devices that NCCL would take here."""
    environment = os.environ
    if context.desk.fault("nccl_socket") is not None or environment.get("NCCL_IB_DISABLE", "0") not in ("", "0"):
        return []
    if environment.get("NCCL_NET", "") == "Socket":
        return []
    active = [f for f in context.functions if f.active]
    chosen = set(select(environment.get("NCCL_IB_HCA", ""), [f.rdma for f in active]))
    return [f for f in active if f.rdma in chosen]


def bootstrap(context: Context) -> tuple[str, str] | None:
    """Interface and address that NCCL bootstraps over."""
    with_address = {n: next((a for a in link.addresses if ":" not in a), "") for n, link in context.links.items() if link.up}
    names = [n for n, a in with_address.items() if a and n != "lo"]
    wanted = os.environ.get("NCCL_SOCKET_IFNAME", "")
    if wanted:
        names = select(wanted, names)
    else:
        names = [n for n in names if not n.startswith("docker")] or names
    return (names[0], with_address[names[0]]) if names else None


def _gid(function: Function) -> tuple[int, str, str]:
    """Index, address and text of the GID that NCCL takes: RoCE v2 of an IPv4 address, else index 0."""
    for gid in function.gids:
        if gid.kind == "RoCE v2" and gid.value.startswith("0000:0000:0000:0000:0000:ffff:"):
            raw = bytes.fromhex(gid.value.replace(":", ""))
            return gid.index, gid_ip(gid), f"0/{raw[:7:-1].hex().upper()}"
    if not function.gids:
        return 0, "fe80::", "0/0"
    raw = bytes.fromhex(function.gids[0].value.replace(":", ""))
    return 0, gid_ip(function.gids[0]), f"{raw[1::-1].hex().upper()}/{raw[:7:-1].hex().upper()}"


def failure(context: Context, functions: list[Function]) -> str | None:
    """What stops NCCL on this desk before any data moves."""
    broken = context.desk.driver().failure
    if broken is not None:
        texts = {
            "mismatch": "system has unsupported display driver / cuda driver combination",
            "no_devices": "no CUDA-capable device is detected",
            "no_module": "no CUDA-capable device is detected",
        }
        return "cuda " + texts[broken]
    soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    low = soft != resource.RLIM_INFINITY and soft < MEMLOCK_ENOUGH
    if functions and (low or context.desk.fault("kho_enomem") is not None):
        return "warn Call to ibv_reg_mr_iova2 failed with error Cannot allocate memory"
    if bootstrap(context) is None:
        return f"warn Bootstrap : no socket interface found with NCCL_SOCKET_IFNAME={os.environ.get('NCCL_SOCKET_IFNAME', '')}"
    return None


def plan(context: Context, message_sizes: list[int]) -> list[str]:
    """The lines that answer ``plan``."""
    chosen = usable(context)
    lines = ["net " + ("IB" if chosen else "Socket")]
    home = bootstrap(context)
    if home:
        lines.append(f"oob {home[0]} {home[1]}")
    for function in chosen:
        index, address, text = _gid(function)
        number = context.functions.index(function)
        lines.append(
            f"hca {number} {function.rdma} {function.netdev} {function.pci} {function.speed_mbps} "
            f"{_MTU[function.roce_mtu]} {index} {address} {function.mac} {os.urandom(8).hex()} {text}"
        )
    lines.append(f"payload {min((f.roce_mtu for f in chosen), default=1024)}")
    for name in FAULTS:
        params = context.desk.fault(name)
        if params is not None:
            lines.append(f"fault {name} {int(params.get(_VALUES.get(name, ''), _DEFAULTS.get(name, 0)))}")
            break
    stop = failure(context, chosen)
    if stop:
        lines.append("failure " + stop)
    slow = context.desk.fault("nccl_slow")
    factor = figures.build_factor() if slow is None else float(slow.get("factor", 0.5))
    for size in message_sizes:
        if chosen:
            value = figures.nccl_busbw(context.desk, chosen, size)
        else:
            fabric = home is not None and context.by_netdev(home[0]) is not None
            value = SOCKET_FABRIC if fabric else SOCKET_MANAGEMENT
        lines.append(f"busbw {value * factor:.9f}")
    return [*lines, "end"]


@dataclass
class Link:
    """One device of this rank and the device of the peer that it speaks to."""

    device: str
    token: str
    peer_token: str
    peer_ip: str
    peer_mac: str
    payload: int
    session: client.Session | None = None
    got: int = 0


class Helper:
    """Serves the lines of one rank."""

    def __init__(self) -> None:
        self.context = common.context()
        self.links: list[Link] = []
        self.bench: list[client.Session] = []

    def handle(self, line: str) -> list[str]:
        words = line.split()
        if words[0] == "plan":
            return plan(self.context, [int(w) for w in words[2:]])
        if words[0] == "link":
            self.links.append(Link(words[1], words[2], words[3], words[4], words[5], int(words[6])))
            return []
        if words[0] == "listen":
            return self._listen()
        if words[0] == "go":
            return self._go()
        if words[0] == "credit":
            octets = int(words[2])
            client.ask({"op": "rdma", "device": words[1], "tx_bytes": octets, "rx_bytes": octets})
            return []
        return []

    def _listen(self) -> list[str]:
        for link in self.links:
            link.session = client.Session(timeout=30)
            if link.peer_token != NOTHING:
                link.session.ask({"op": "listen", "device": link.device, "token": link.peer_token})
            bench = client.Session()
            bench.ask({"op": "bench", "device": link.device, "direction": "both", "pid": os.getppid(), "comm": "all_gather_perf"})
            self.bench.append(bench)
        return ["ready"]

    def _go(self) -> list[str]:
        threads = [threading.Thread(target=self._one, args=(link,)) for link in self.links]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [f"got {n} {link.got}" for n, link in enumerate(self.links)] + ["end"]

    def _one(self, link: Link) -> None:
        function = self.context.by_rdma(link.device)
        if function is None or link.session is None:
            return
        if link.token != NOTHING and function.netdev not in fakes.half_open(self.context.desk):
            request: dict[str, Any] = {
                "op": "send",
                "device": link.device,
                "token": link.token,
                "peer_ip": link.peer_ip,
                "peer_mac": link.peer_mac,
                "payload": link.payload,
                "bytes": WIRE_OCTETS,
            }
            try:
                with client.Session(timeout=30) as sender:
                    sender.ask(request)
            except OSError:
                return
        if link.peer_token == NOTHING:
            link.got = ONLY_SENT
            return
        try:
            link.got = int(link.session.ask({"op": "arrived", "token": link.peer_token, "timeout": 4.0}).get("bytes", 0))
        except (TimeoutError, OSError):
            link.got = 0


def main(_argv: list[str]) -> int:
    """Serve until stdin ends (the rank is gone)."""
    helper = Helper()
    for line in sys.stdin:
        if line.strip():
            for answer in helper.handle(line):
                print(answer)
            sys.stdout.flush()
    return 0
