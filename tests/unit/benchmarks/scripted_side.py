"""A side of a measurement that answers from a small model of two desks instead of running anything."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks.side import SideError, Started
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import MISSING, Answer, Link, Listing, Text
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.link import Endpoint
from proof_samples import ENDS, SECONDS

UID = 1000
"""User of both desks' agents."""
LIMITS = "Limit                     Soft Limit           Hard Limit           Units\nMax locked memory         {0}   {0}   bytes\n"
HEADER = " #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]\n"


@dataclasses.dataclass
class World:
    """What both desks and the cable do."""

    ends: tuple[Endpoint, Endpoint] = ENDS
    one_way: float = 109.0
    dual: float = 98.0
    both: float = 196.0
    both_alone: float = 213.0
    lean: float = 0.0
    """Gb/s that the head's direction has more, and the peer's less, with everything in use both ways."""
    tells_each_way: bool = True
    """Whether perftest knows --report-both."""
    no_gid: str | None = None
    blocked: str | None = None
    """Desk whose firewall drops."""
    stranger: str | None = None
    """Netdev behind which another machine answers."""
    missing: frozenset[tuple[str, str]] = frozenset()
    """(desk, program) that is not installed."""
    perftest_fails: tuple[str, str] | None = None
    """(device or all, what the client prints)."""
    server_ends: dict[str, tuple[int | None, str]] = dataclasses.field(default_factory=dict)
    """Desk to what its servers end with and say, after their clients have figures; null: they have to be stopped."""
    takes_ports: str | None = None
    """Desk on which another user's program listens on each port before the server that is started for it does."""
    lose_after: int | None = None
    """Starts after which the peer is lost."""
    nccl: Answer | None = None
    available_kb: int = 110 << 20
    ldd: str = ""
    stat: str = ""
    """What ``stat`` tells of a program and the folders above it."""
    counting: bool = True
    users: tuple[tuple[str, str, int, str, int], ...] = ()
    """(desk, gpu or rdma, process (0 for one of the kernel's services), program, start since which it is there)."""
    held: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    """Desk to the other run that works on it."""
    routes: dict[tuple[str, str], Answer] = dataclasses.field(default_factory=dict)
    """(desk, netdev) to what ``ip route get`` says there instead of that very device."""
    operstates: dict[tuple[str, str], str | None] = dataclasses.field(default_factory=dict)
    """(desk, netdev) to what the kernel says of its link instead of up; null: the interface is gone."""
    bare: frozenset[tuple[str, str]] = frozenset()
    """(desk, netdev) that has no address any more."""
    hangs: frozenset[tuple[str, str]] = frozenset()
    """(desk, program) that gives no answer."""
    log: list[tuple[str, str, Any]] = dataclasses.field(default_factory=list)
    environments: list[Mapping[str, str]] = dataclasses.field(default_factory=list)
    """Of the programs that were started, in their order."""
    octets: dict[tuple[str, str, str], int] = dataclasses.field(default_factory=dict)
    listening: dict[str, set[int]] = dataclasses.field(default_factory=lambda: {"desk-01": set(), "desk-02": set()})
    starts: int = 0


class ScriptedSide:
    """See `Side`."""

    def __init__(self, world: World, which: int) -> None:
        self.world, self.which = world, which
        self.end, self.other = world.ends[which], world.ends[1 - which]
        self.name = self.end.desk
        self.hello = {"held": world.held.get(self.name), "uid": UID}
        self.jobs: dict[int, tuple[list[str], bool]] = {}
        self.beside: dict[int, bool] = {}
        """Clients, and whether the other function's server listened when they were started: both carry in that step."""

    def read_text(self, path: str) -> Text:
        world = self.world
        if path == "/proc/meminfo":
            return Text(path, f"MemTotal: 127535000 kB\nMemAvailable: {world.available_kb} kB\n")
        if path in ("/proc/net/tcp", "/proc/net/tcp6"):
            ports = sorted(world.listening[self.name]) if path.endswith("tcp") else []
            user = 65534 if world.takes_ports == self.name and self.jobs else UID
            rows = [f"   0: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {user} 0 9" for port in ports]
            return Text(path, "\n".join(["header", *rows]) + "\n")
        parts = path.split("/")
        if path.startswith("/proc/") and path.endswith("/status"):
            return Text(path, "Name:\tpython3\nPPid:\t1\nUid:\t1007\t1007\t1007\t1007\n")
        if path.startswith("/sys/class/net/") and parts[-1] == "operstate":
            state = world.operstates.get((self.name, parts[4]), "up")
            return Text(path, error=MISSING) if state is None else Text(path, f"{state}\n")
        if path.startswith("/sys/class/infiniband/"):
            device = parts[4]
            if parts[-1] in ("port_xmit_data", "port_rcv_data"):
                return Text(path, f"{1000 + world.octets.get((self.name, device, parts[-1]), 0) // 4}\n")
            function = next((item for item in self.end.functions if item.rdma_device == device), None)
            if function is not None and parts[-1] == "3" and world.no_gid != device:
                high, low = (int(item) for item in function.address.split(".")[:2]), (int(item) for item in function.address.split(".")[2:])
                mapped = "".join(f"{item:02x}" for item in high) + ":" + "".join(f"{item:02x}" for item in low)
                return Text(path, "RoCE v2\n" if "types" in parts else f"0000:0000:0000:0000:0000:ffff:{mapped}\n")
        if path.endswith("/rank.json"):
            return Text(path, f'{{"hostname": "{self.end.hostname}", "pid": 1, "rank": {self.which}, "libnccl_sha256": "x", "other": 1}}')
        return Text(path, error=MISSING)

    def read_texts(self, paths: Sequence[str]) -> list[Text]:
        return [self.read_text(path) for path in paths]

    def list_dir(self, path: str) -> Listing:
        return Listing(path, error=MISSING)

    def read_link(self, path: str) -> Link:
        return Link(path, error=MISSING)

    def run(self, argv: Sequence[str], *, timeout: float = 10.0, stdin: str | None = None, env: Mapping[str, str] | None = None) -> Answer:
        command = tuple(argv)
        self.world.log.append((self.name, "run", command))
        if (self.name, command[0]) in self.world.missing:
            return Answer(command, error=MISSING)
        if (self.name, command[0]) in self.world.hangs:
            return Answer(command, error="timeout")
        if command[0] in ("nvidia-smi", "rdma", "getent"):
            return Answer(command, 0, self._users(command))
        if command[:4] == ("ip", "-j", "route", "get"):
            mine = next(item for item in self.end.functions if item.address == command[6])
            plain = Answer(
                command, 0, f'[{{"dst": "{command[4]}", "from": "{command[6]}", "dev": "{mine.netdev}", "uid": 1000, "cache": []}}]'
            )
            return self.world.routes.get((self.name, mine.netdev), plain)
        if command[:3] == ("ip", "-j", "addr"):
            held = (
                [] if (self.name, command[-1]) in self.world.bare else [item for item in self.end.functions if item.netdev == command[-1]]
            )
            rows = [{"family": "inet", "local": item.address, "prefixlen": item.prefix_length} for item in held]
            return Answer(command, 0, json.dumps([{"ifindex": 5, "ifname": command[-1], "flags": ["UP"], "mtu": 9000, "addr_info": rows}]))
        if command[:3] == ("ip", "-j", "neigh"):
            if (self.name, "ip neigh") in self.world.hangs:
                return Answer(command, error="timeout")
            netdev = command[-1]
            function = next(item for item in self.other.functions if item.address == command[5])
            mac = "02:00:5e:00:09:09" if self.world.stranger == netdev else function.mac
            return Answer(command, 0, f'[{{"dst": "{function.address}", "lladdr": "{mac}", "state": ["REACHABLE"]}}]')
        if command[0] == "ethtool":
            device = next((item.rdma_device for item in self.end.functions if item.netdev == command[2]), "")
            rows = {name: 5000 + self.world.octets.get((self.name, device, name), 0) for name in ("tx_bytes_phy", "rx_bytes_phy")}
            return Answer(command, 0, "NIC statistics:\n" + "".join(f"     {name}: {value}\n" for name, value in rows.items()))
        if command[0] == "ldd":
            return Answer(command, 0, self.world.ldd)
        if command[0] == "stat":
            return Answer(command, 1, self.world.stat)
        if command[0] == "test" and (self.name, "program") in self.world.missing:
            return Answer(command, 1)
        return Answer(command, 0)

    def _users(self, command: tuple[str, ...]) -> str:
        if command[0] == "getent":
            return "mara:x:1007:1007::/home/mara:/bin/bash\n"
        kind = "gpu" if command[0] == "nvidia-smi" else "rdma"
        there = [item for item in self.world.users if item[:2] == (self.name, kind) and self.world.starts >= item[4]]
        if kind == "gpu":
            return "".join(f"{pid}, {program}, 512 MiB\n" for _desk, _kind, pid, program, _since in there)
        rows = [
            f"link rocep1s0f0/1 lqpn 300 type RC state RTS {f'pid {pid} comm {program}' if pid else f'comm [{program}]'} \n"
            for _desk, _kind, pid, program, _since in there
        ]
        return "".join(["link rocep1s0f0/1 lqpn 1 type GSI state RTS sq-psn 0 comm [ib_core]\n", *rows])

    def close(self) -> None:
        self.world.log.append((self.name, "close", None))

    def ask(self, operation: str, patience: float = 10.0, **arguments: Any) -> Any:
        self.world.log.append((self.name, operation, arguments))
        if operation == "listen":
            return {"port": arguments["port"]}
        if operation == "connect":
            target = next(end.desk for end in self.world.ends if any(item.address == arguments["address"] for item in end.functions))
            return {"error": "timeout", "text": "timed out"} if self.world.blocked == target else {}
        if operation == "end_marked":
            return {"ended": []}
        return {}

    def start(self, argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None, cwd: str | None = None) -> Started:
        world = self.world
        world.starts += 1
        if world.lose_after is not None and world.starts > world.lose_after:
            raise SideError("desk-02", "lost", "the connection ended without any output")
        world.log.append((self.name, "start", tuple(argv)))
        world.environments.append(dict(env or {}))
        if (self.name, argv[0]) in world.missing:
            return Started(None, None, MISSING)
        pid = 100 + world.starts
        server = argv[0].startswith("ib_") and "." not in argv[-1]
        self.jobs[pid] = (list(argv), server)
        self.beside[pid] = len(world.listening[self.other.desk]) > 1
        if server:
            world.listening[self.name].add(int(argv[list(argv).index("-p") + 1]))
        return Started(pid, LIMITS.format("unlimited"))

    def wait(self, pid: int, patience: float) -> Answer | None:
        argv, server = self.jobs[pid]
        if argv[0] == "mpirun":
            return self.world.nccl
        if server:
            if self.world.takes_ports == self.name:
                return Answer(tuple(argv), 1, "", "Couldn't listen to port 18515\n")
            if patience < 1.0:
                return None
            self.world.listening[self.name].discard(int(argv[argv.index("-p") + 1]))
            rc, said = self.world.server_ends.get(self.name, (0, ""))
            return None if rc is None else Answer(tuple(argv), rc, "", said)
        return self._client(argv, self.beside[pid])

    def stop(self, pid: int) -> Answer:
        return Answer(tuple(self.jobs[pid][0]), None, "so far", "", "timeout", 24.0)

    def _client(self, argv: list[str], together: bool) -> Answer:
        world, device = self.world, argv[argv.index("-d") + 1]
        if argv[0] == "ib_write_lat":
            table = " #bytes #iterations t_min[usec] t_max[usec] t_typical[usec] t_avg[usec] t_stdev[usec] 99% percentile[usec]"
            return Answer(tuple(argv), 0, f"{table}   99.9% percentile[usec] \n 2  1000  1.42  1.93  1.47  1.47  0.00  1.57  1.93\n")
        if world.perftest_fails is not None and world.perftest_fails[0] in (device, "all"):
            return Answer(tuple(argv), 1, HEADER, world.perftest_fails[1])
        both = "-b" in argv
        if "--report-both" in argv and not world.tells_each_way:
            return Answer(tuple(argv), 1, "", "ib_write_bw: unrecognized option '--report-both'\n Invalid Command or flag.")
        if both:
            gbps = world.both if together else world.both_alone
        else:
            gbps = world.dual if together else world.one_way
        size, ways = 1 << 20, 2 if both else 1
        octets = int(gbps / ways * 1e9 / 8 * SECONDS)
        if world.counting:
            for number, (sender, receiver) in enumerate(((self.name, self.other.desk), (self.other.desk, self.name))[:ways]):
                moved = octets + int((world.lean if both and together else 0.0) * (1, -1)[number] * 1e9 / 8 * SECONDS)
                for desk, names in ((sender, ("port_xmit_data", "tx_bytes_phy")), (receiver, ("port_rcv_data", "rx_bytes_phy"))):
                    for name in names:
                        world.octets[(desk, device, name)] = world.octets.get((desk, device, name), 0) + moved
        banner = " GID index       : 3\n Mtu             : 4096[B]\n"
        row = f" {size}    {octets // 2 // size}   0.00    {{0:.2f}}    0.011687\n"
        text = f"{banner}{HEADER}" + row.format(gbps)
        if "--report-both" in argv:
            text += "".join(
                f"\n {which} results: \n{HEADER}" + row.format(gbps / 2 + lean)
                for which, lean in (("Local", world.lean), ("Remote", -world.lean))
            )
        return Answer(tuple(argv), 0, text)
