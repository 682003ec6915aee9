"""ib_write_bw, ib_read_bw and ib_write_lat: the options, output and exit codes of perftest in field use.

The two ends meet over TCP as the real tools do, then both desks' hardware puts frames on the wire of the chosen
functions.  Only when those frames arrive at the other end is there a result; its figure comes from the desk's model,
and both ends' counters grow by what the figure implies.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any, NoReturn

from .. import client, fakes, figures
from ..view import Function, Gid
from . import common
from .common import Context

RULE = "-" * 87
WIRE_OCTETS = 2_000_000
# A container cannot raise its limit above the machine's; what is below 8 MiB stands for "too low".
MEMLOCK_ENOUGH = 8 << 20
_SIZES = [1 << n for n in range(1, 24)]


class Failed(Exception):
    """The tool gives up: text for stderr and an exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Run:
    """One run of a tool, one end of it."""

    options: argparse.Namespace
    verb: str  # Write or Read
    kind: str  # bw or lat
    context: Context
    function: Function
    gid: Gid | None
    gid_index: int
    hardware: client.Session | None
    mine: dict[str, Any] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)

    @property
    def server(self) -> bool:
        return self.options.host is None

    @property
    def mtu(self) -> int:
        """RoCE path MTU: the smaller of the two ends."""
        return min(self.function.roce_mtu, int(self.theirs.get("mtu", self.function.roce_mtu)))


@dataclass(frozen=True)
class Option:
    """An option of perftest 4.5 and 25.01 as its help lists it."""

    names: tuple[str, ...]
    dest: str = ""
    """Empty: taken and without effect here, because it changes nothing that the simulator shows."""
    value: type | None = None
    default: Any = None
    kinds: str = "write bw, read bw, write lat"
    """The tests that have it."""


_BW, _READ, _LAT = "write bw, read bw", "read bw", "write lat"
OPTIONS = (
    Option(("-d", "--ib-dev"), "ib_dev", str),
    Option(("-i", "--ib-port"), "ib_port", str, "1"),
    Option(("-p", "--port"), "port", int, 18515),
    Option(("-x", "--gid-index"), "gid_index", int),
    Option(("-s", "--size"), "size", str),
    Option(("-n", "--iters"), "iters", int),
    Option(("-D", "--duration"), "duration", int),
    Option(("-m", "--mtu"), "mtu", int),
    Option(("-c", "--connection"), "connection", str, "RC"),
    Option(("-F", "--CPU-freq"), "F"),
    Option(("-R", "--rdma_cm"), "R"),
    Option(("-a", "--all"), "a"),
    Option(("-V", "--version"), "V"),
    Option(("-h", "--help"), "h"),
    Option(("--out_json",), "out_json"),
    Option(("--out_json_file",), "out_json_file", str),
    Option(("-q", "--qp"), "qp", int, 1, _BW),
    Option(("-t", "--tx-depth"), "tx_depth", int, 128, _BW),
    Option(("-Q", "--cq-mod"), "cq_mod", int, None, _BW),
    Option(("-b", "--bidirectional"), "b", kinds=_BW),
    Option(("--report_gbits",), "report_gbits", kinds=_BW),
    Option(("--report-both",), "report_both", kinds=_BW),
    Option(("--run_infinitely",), "run_infinitely", kinds=_BW),
    Option(("-S", "--sl"), value=int),
    Option(("-T", "--tos"), value=int),
    Option(("-L", "--hop_limit"), value=int),
    Option(("-u", "--qp-timeout"), value=int),
    Option(("-f", "--margin"), value=int),
    Option(("-I", "--inline_size"), value=int, kinds="write bw, write lat"),
    Option(("-l", "--post_list"), value=int, kinds=_BW),
    Option(("-N", "--noPeak"), kinds=_BW),
    Option(("-e", "--events"), kinds=_READ),
    Option(("-C", "--report-cycles"), kinds=_LAT),
    Option(("-H", "--report-histogram"), kinds=_LAT),
    Option(("-U", "--report-unsorted"), kinds=_LAT),
    Option(("--force-link",), value=str),
    Option(("--tclass",), value=int),
    Option(("--pkey_index",), value=int),
    Option(("--ipv6",)),
    Option(("--use_hugepages",)),
    Option(("--perform_warm_up",)),
    Option(("--dont_xchg_versions",)),
    Option(("--disable_pcie_relaxed",), kinds=_BW),
)


def options_of(verb: str, kind: str) -> list[Option]:
    """The options of one test."""
    return [option for option in OPTIONS if f"{verb.lower()} {kind}" in option.kinds]


class _Refused(Exception):
    """The command line is wrong: what the tool says."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Refused(message)


def _parser(name: str, verb: str, kind: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=name, add_help=False, allow_abbrev=False)
    parser.add_argument("host", nargs="?")
    for option in options_of(verb, kind):
        dest = option.dest or f"unused_{option.names[0].strip('-')}"
        if option.value is None:
            parser.add_argument(*option.names, dest=dest, action="store_true")
        else:
            parser.add_argument(*option.names, dest=dest, type=option.value, default=option.default)
    # What the other tests have and this one asks for all the same.
    parser.set_defaults(qp=1, tx_depth=128, cq_mod=None, b=False, report_gbits=False, report_both=False, run_infinitely=False)
    return parser


def _usage(name: str, verb: str, kind: str) -> str:
    lines = ["Usage:", f"  {name}            start a server and wait for connection", f"  {name} <host>     connect to server at <host>"]
    lines += ["", "Options:"]
    for option in options_of(verb, kind):
        value = "" if option.value is None else "=<value>"
        lines.append("  " + ", ".join(option.names) + value if len(option.names) > 1 else f"      {option.names[0]}{value}")
    return "\n".join([*lines, ""])


def _size(text: str | None, default: int) -> int:
    if text is None:
        return default
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    return int(text[:-1] if factor > 1 else text) * factor


def ib_write_bw(argv: list[str]) -> int:
    return _main("ib_write_bw", "Write", "bw", argv)


def ib_read_bw(argv: list[str]) -> int:
    return _main("ib_read_bw", "Read", "bw", argv)


def ib_write_lat(argv: list[str]) -> int:
    return _main("ib_write_lat", "Write", "lat", argv)


def _main(name: str, verb: str, kind: str, argv: list[str]) -> int:
    try:
        options, unknown = _parser(name, verb, kind).parse_known_args(argv)
        if unknown and unknown[0].startswith("-"):
            raise _Refused(f"unrecognized option '{unknown[0].partition('=')[0]}'")
    except _Refused as refused:
        print(_usage(name, verb, kind))
        sys.stdout.flush()
        wrong = re.match(r"argument (?:-\w/)?-{1,2}([\w-]+): expected one argument", str(refused))
        text = f"option requires an argument -- '{wrong.group(1)}'" if wrong else str(refused)
        print(f"{name}: {text}\n Invalid Command or flag.\n Please check command line and run again.\n", file=sys.stderr)
        print(" Parser function exited with Error", file=sys.stderr)
        return 1
    if unknown:
        print(" Invalid Command line. Please check command rerun \n Parser function exited with Error", file=sys.stderr)
        return 1
    if options.V:
        # Both endings are the tool's own way: it stops before it measures.
        print("Version: 6.23")
        return 1
    if options.h:
        print(_usage(name, verb, kind))
        return 1
    if not str(options.ib_port).isdecimal():
        print(f" IB Port argument {options.ib_port} should be uint8_t\n Parser function exited with Error", file=sys.stderr)
        return 1
    options.ib_port = int(options.ib_port)
    try:
        return _run(_prepare(options, verb, kind))
    except Failed as error:
        sys.stdout.flush()
        print(error, file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130


def _prepare(options: argparse.Namespace, verb: str, kind: str) -> Run:
    """Open the device as the real tool does before it speaks to anyone."""
    context = common.context()
    if not context.functions:
        raise Failed(" Did not detect devices \n If device exists, check if driver is up\n Unable to find the Infiniband/RoCE device")
    if options.ib_dev is None:
        options.ib_dev = context.functions[0].rdma
    function = context.by_rdma(options.ib_dev)
    if function is None:
        raise Failed(f"IB device {options.ib_dev} not found\n Unable to find the Infiniband/RoCE device")
    if options.ib_port != 1:
        raise Failed(
            f" Unable to query port {options.ib_port} attributes\n Couldn't set the link layer\n Couldn't get context for the device"
        )
    if not function.active:
        raise Failed(" Port number 1 state is Down\n Couldn't set the link layer\n Couldn't get context for the device")
    soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    low = soft != resource.RLIM_INFINITY and soft < MEMLOCK_ENOUGH
    if context.desk.fault("kho_enomem") is not None or low:
        raise Failed("Couldn't allocate MR\nfailed to create mr\nFailed to create MR\n Couldn't create IB resources")
    index = options.gid_index if options.gid_index is not None else default_gid(function)
    gid = next((g for g in function.gids if g.index == index), None)
    try:
        hardware: client.Session | None = client.Session()
    except OSError:
        hardware = None
    return Run(options, verb, kind, context, function, gid, index, hardware)


def default_gid(function: Function) -> int:
    """The index that the tool takes by itself: RoCE v2 of the first IPv4 address, else of the link-local one."""
    second = [g for g in function.gids if g.kind == "RoCE v2"]
    four = [g for g in second if ":ffff:" in g.value and g.value.startswith("0000")]
    chosen = (four or second)[:1]
    return chosen[0].index if chosen else 0


def gid_ip(gid: Gid | None) -> str:
    """IPv4 address in a GID, else the GID itself."""
    if gid is None:
        return ""
    if gid.value.startswith("0000:0000:0000:0000:0000:ffff:"):
        return ".".join(str(b) for b in bytes.fromhex(gid.value[-9:].replace(":", "")))
    return gid.value


def _meet(run: Run) -> socket.socket:
    """The TCP connection over which the two ends tell each other who they are."""
    if run.server:
        print("\n" + "*" * 36 + "\n* Waiting for client to connect... *\n" + "*" * 36, flush=True)
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("::", run.options.port))
            except OSError as error:
                raise Failed(
                    f"{os.strerror(error.errno or 0)}\n Couldn't bind to port {run.options.port}\n"
                    " Unable to open file descriptor for socket connection"
                ) from error
            listener.listen(1)
            connection, _peer = listener.accept()
            return connection
    try:
        return socket.create_connection((run.options.host, run.options.port), timeout=20)
    except OSError as error:
        raise Failed(
            f"Couldn't connect to {run.options.host}:{run.options.port}\n"
            "Unable to open file descriptor for socket connection\n Unable to init the socket connection"
        ) from error


class Channel:
    """JSON lines between the two ends."""

    def __init__(self, sock: socket.socket) -> None:
        self._stream = sock.makefile("rwb")
        self._socket = sock

    def put(self, document: dict[str, Any]) -> None:
        try:
            self._stream.write(json.dumps(document).encode() + b"\n")
            self._stream.flush()
        except OSError as error:
            raise Failed("Failed to exchange data between server and clients\n Unable to write to socket/rdma_cm") from error

    def get(self, timeout: float | None = 60.0) -> dict[str, Any]:
        self._socket.settimeout(timeout)
        try:
            line = self._stream.readline()
        except OSError as error:
            raise Failed("Failed to exchange data between server and clients\n Unable to read to socket/rdma_cm") from error
        if not line:
            raise Failed(
                "ethernet_read_keys: Couldn't read remote address\n Unable to read to socket/rdma_cm\n"
                "Failed to exchange data between server and clients"
            )
        document: dict[str, Any] = json.loads(line)
        return document


def _describe(run: Run) -> dict[str, Any]:
    chance = random.SystemRandom()
    return {
        "qpn": chance.randrange(0x100, 0x800),
        "psn": chance.randrange(1 << 24),
        "rkey": chance.randrange(0x180000, 0x1FFFFF),
        "vaddr": chance.randrange(0xE00000000000, 0xFFFFFFFFF000) & ~0xFFF,
        "gid": run.gid.value if run.gid else "",
        "ip": gid_ip(run.gid),
        "mac": run.function.mac,
        "mtu": run.function.roce_mtu,
        "token": os.urandom(8).hex(),
        "figures": run.context.desk.port(run.function.port).get("figures"),
        "size": _size(run.options.size, 2 if run.kind == "lat" else 65536),
        "both_ways": bool(run.options.b),
        "verb": run.verb,
        "kind": run.kind,
    }


def _decimal(gid: str) -> str:
    return ":".join(f"{b:02d}" for b in bytes.fromhex(gid.replace(":", "") or "0" * 32))


def _header(run: Run) -> str:
    options = run.options
    two_way = " Bidirectional" if options.b else ""
    title = f"RDMA_{run.verb}{two_way} BW Test" if run.kind == "bw" else f"RDMA_{run.verb} Latency Test"
    lines = [
        RULE,
        " " * 20 + title,
        f" Dual-port       : OFF\t\tDevice         : {run.function.rdma}",
        f" Number of qps   : {options.qp}\t\tTransport type : IB",
        f" Connection type : {options.connection}\t\tUsing SRQ      : OFF",
        f" PCIe relax order: {'ON' if run.kind == 'bw' else 'OFF'}",
        " ibv_wr* API     : ON",
    ]
    # A run of a duration takes every completion; one of a number of messages goes as deep as there are messages.
    depth = options.tx_depth if options.duration else min(options.tx_depth, options.iters or 5000)
    lines.append(f" TX depth        : {depth if run.kind == 'bw' else 1}")
    if run.kind == "bw":
        lines.append(f" CQ Moderation   : {options.cq_mod or (1 if options.duration else min(100, depth))}")
    lines += [f" Mtu             : {run.mtu}[B]", " Link type       : Ethernet", f" GID index       : {run.gid_index}"]
    if run.verb == "Read":
        lines.append(" Outstand reads  : 16")
    else:
        lines.append(f" Max inline data : {0 if run.kind == 'bw' else 220}[B]")
    lines += [
        f" rdma_cm QPs     : {'ON' if options.R else 'OFF'}",
        f" Data ex. method : {'rdma_cm' if options.R else 'Ethernet'}",
        RULE,
    ]
    for which, facts in (("local", run.mine), ("remote", run.theirs)):
        for number in range(options.qp):
            lines.append(
                f" {which + ' address:':<16}LID 0000 QPN {facts['qpn'] + number:#06x} PSN {facts['psn']:#x} "
                f"{'OUT 0x10 ' if run.verb == 'Read' else ''}RKey {facts['rkey']:#08x} VAddr {facts['vaddr']:#016x}"
            )
            lines.append(f" GID:            {_decimal(facts['gid'])}")
    lines.append(RULE)
    return "\n".join(lines)


def _columns(run: Run) -> str:
    if run.kind == "lat":
        return (
            " #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   "
            "99% percentile[usec]   99.9% percentile[usec] "
        )
    unit = "Gb/sec" if run.options.report_gbits else "MiB/sec"
    return f" #bytes     #iterations    BW peak[{unit}]    BW average[{unit}]   MsgRate[Mpps]"


def _run(run: Run) -> int:
    options = run.options
    if options.duration or options.run_infinitely:
        print(" WARNING: BW peak won't be measured in this run.", flush=True)
    channel = Channel(_meet(run))
    run.mine = _describe(run)
    if run.server:
        run.theirs = channel.get()
        channel.put(run.mine)
    else:
        channel.put(run.mine)
        run.theirs = channel.get()
    if run.theirs["kind"] != run.kind or run.theirs["verb"] != run.verb:
        raise Failed(" The tests of server and client differ; both must run the same one")
    print(_header(run))
    print(_columns(run), flush=True)
    if not run.mine["gid"] or not run.theirs["gid"]:
        # A GID index that does not exist: the tool prints its header, no row, and ends with 0.
        return 0
    if run.hardware is None:
        raise Failed(" The hardware of this simulated desk does not respond (is hardwared running?)")
    bench = {
        "op": "bench",
        "device": run.function.rdma,
        "direction": _direction(run),
        "pid": os.getpid(),
        "comm": os.path.basename(sys.argv[0])[:15],
        "qps": options.qp,
    }
    run.hardware.ask(bench)
    _wire(run, channel)
    rows = _serve(run, channel) if run.server else _drive(run, channel)
    print(RULE, flush=True)
    if options.b and options.report_both and run.kind == "bw" and not options.a:
        _print_each_way(run, rows[-1:])
    _json_out(run, rows)
    return 0


def _direction(run: Run) -> str:
    if run.options.b or run.kind == "lat":
        return "both"
    return "rx" if run.server != (run.verb == "Read") else "tx"


def _wire(run: Run, channel: Channel) -> None:
    """Frames of both ends cross the cable; whoever misses the other's ends the run as a lost connection does."""
    assert run.hardware is not None
    one_half = _carries_nothing(run)
    run.hardware.ask({"op": "listen", "device": run.function.rdma, "token": run.theirs["token"]})
    channel.put({"ready": True})
    channel.get()
    outcome: dict[str, Any] = {"ok": False, "bytes": 0}
    if not one_half:
        with client.Session(timeout=30) as sender:
            outcome = sender.ask(
                {
                    "op": "send",
                    "device": run.function.rdma,
                    "token": run.mine["token"],
                    "peer_ip": run.theirs["ip"],
                    "peer_mac": run.theirs["mac"],
                    "payload": run.mtu,
                    "bytes": WIRE_OCTETS if _direction(run) != "rx" else 64 * run.mtu,
                }
            )
    arrived = run.hardware.ask({"op": "arrived", "token": run.theirs["token"], "timeout": 3.0})
    good = bool(outcome.get("bytes")) and bool(arrived.get("bytes"))
    channel.put({"good": good})
    theirs = channel.get()
    if good and theirs.get("good"):
        return
    if run.server:
        raise SystemExit(1)
    _lost()


def _lost() -> NoReturn:
    raise Failed(" Completion with error at client\n Failed status 12: wr_id 0 syndrom 0x81\nscnt=128, ccnt=0")


def _carries_nothing(run: Run) -> bool:
    return run.function.netdev in fakes.half_open(run.context.desk)


def _twins(run: Run) -> list[Function]:
    """Functions that ran beside this one for most of its time, in the same direction."""
    assert run.hardware is not None
    answer = run.hardware.ask({"op": "overlap"})
    total = max(float(answer.get("seconds", 0.0)), 0.05)
    names = [name for name, seconds in answer.get("others", {}).items() if seconds > 0.3 * total]
    mine = _direction(run)
    ways = {b["device"]: b["direction"] for b in client.ask({"op": "state"}).get("benches", [])}
    names = [n for n in names if n not in ways or ways[n] == mine or "both" in (mine, ways[n])]
    return [f for f in run.context.functions if f.rdma in names]


def _seconds(run: Run) -> float:
    """How long a run really takes: the asked duration, at most what the desk allows (3 s unless desk.json says)."""
    limit = float(run.context.desk.data.get("bench_seconds_max", 3.0))
    return min(float(run.options.duration or 0.4), limit)


def _drive(run: Run, channel: Channel) -> list[dict[str, Any]]:
    """The client: run, work out the figure, tell the server, print."""
    options = run.options
    rows = []
    sizes = _SIZES if options.a else [run.mine["size"]]
    while True:
        if options.run_infinitely:
            time.sleep(float(options.duration or 5))
        elif options.a:
            time.sleep(0.02)
        else:
            time.sleep(_seconds(run))
        twins = _twins(run)
        for size in sizes:
            row = _row(run, size, twins)
            rows.append(row)
            channel.put({"row": row, "more": bool(options.run_infinitely)})
            _print_row(run, row)
            _credit(run, row)
        channel.put({"round": "done", "more": bool(options.run_infinitely)})
        if not options.run_infinitely:
            channel.get()
            return rows


def _serve(run: Run, channel: Channel) -> list[dict[str, Any]]:
    """The server: print and count what the client found."""
    rows = []
    while True:
        message = channel.get(timeout=None)
        if "row" in message:
            row = message["row"]
            rows.append(row)
            _print_row(run, row)
            _credit(run, row)
        elif not message.get("more"):
            channel.put({"bye": True})
            return rows


def _row(run: Run, size: int, twins: list[Function]) -> dict[str, Any]:
    options = run.options
    wobble = 1 + 0.0004 * (random.random() - 0.5)
    if run.kind == "lat":
        typical = figures.latency(run.context.desk, run.function) * wobble + size / 12000
        count = options.iters or 1000
        return {"bytes": size, "iterations": count, "typical": typical, "direction_bytes": size * count}
    far = run.theirs.get("figures")
    gbps = figures.bandwidth(run.context.desk, run.function, twins, run.mine["both_ways"], size, far) * wobble
    per_direction = gbps / 2 if run.mine["both_ways"] else gbps
    seconds = float(options.duration or (5 if options.run_infinitely else 0))
    if seconds:
        count = int(per_direction * 1e9 * seconds / 8 / size)
    else:
        count = (options.iters or 5000) * options.qp
    return {"bytes": size, "iterations": count, "gbps": gbps, "peak": 0.0 if seconds else gbps * 1.001, "direction_bytes": size * count}


def _print_row(run: Run, row: dict[str, Any]) -> None:
    if run.kind == "lat":
        t = row["typical"]
        print(
            f" {row['bytes']:<7} {row['iterations']:<10}    {t * 0.966:<7.2f}        {t * 1.313:<7.2f}      {t:<7.2f}     \t       "
            f"{t:<7.2f}     \t{0.0:<7.2f}\t\t{t * 1.068:<7.2f} \t\t{t * 1.313:<7.2f}",
            flush=True,
        )
        return
    unit = 1.0 if run.options.report_gbits else 1e9 / 8 / (1 << 20)
    rate = row["gbps"] * 1e9 / 8 / row["bytes"] / 1e6
    print(
        f" {row['bytes']:<7}    {row['iterations']:<10}       {row['peak'] * unit:<7.2f}            {row['gbps'] * unit:<7.2f}\t\t   "
        f"{rate:<7.6f}",
        flush=True,
    )


def _print_each_way(run: Run, rows: list[dict[str, Any]]) -> None:
    """--report-both: the tables of each direction, this end's own first."""
    for which in ("Local", "Remote"):
        print(f"\n {which} results: ")
        print(RULE)
        print(_columns(run))
        for row in rows:
            _print_row(run, {**row, "gbps": row["gbps"] / 2, "peak": row["peak"] / 2})
        print(RULE, flush=True)


def _credit(run: Run, row: dict[str, Any]) -> None:
    """Move this end's counters by what the printed row implies."""
    assert run.hardware is not None
    octets, way = int(row["direction_bytes"]), _direction(run)
    run.hardware.ask(
        {
            "op": "rdma",
            "device": run.function.rdma,
            "tx_bytes": octets if way in ("tx", "both") else 0,
            "rx_bytes": octets if way in ("rx", "both") else 0,
        }
    )


def _json_out(run: Run, rows: list[dict[str, Any]]) -> None:
    if not (run.options.out_json or run.options.out_json_file) or run.kind != "bw" or not rows:
        return
    last = rows[-1]
    document = {
        "test_info": {
            "test": f"RDMA_{run.verb}_BW_Test",
            "Dual_port": "OFF",
            "Device": run.function.rdma,
            "Number_of_qps": run.options.qp,
            "Transport_type": "IB",
            "Connection_type": run.options.connection,
            "Using_SRQ": "OFF",
            "PCIe_relax_order": "ON",
            "ibv_wr_API": "ON",
            "TX_depth": run.options.tx_depth,
            "CQ_Moderation": run.options.cq_mod or 1,
            "Mtu": run.mtu,
            "Link_type": "Ethernet",
            "GID_index": run.gid_index,
            "Max_inline_data": 0,
            "rdma_cm_QPs": "OFF",
            "Data_ex_method": "Ethernet",
        },
        "results": {
            "MsgSize": last["bytes"],
            "n_iterations": last["iterations"],
            "BW_peak": round(last["peak"], 2),
            "BW_average": round(last["gbps"], 2),
            "MsgRate": round(last["gbps"] * 1e3 / 8 / last["bytes"], 6),
        },
    }
    path = run.options.out_json_file or "perftest_out.json"
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=2)
