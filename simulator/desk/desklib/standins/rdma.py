"""rdma, ibstat, ibv_devinfo, ibv_devices, ibdev2netdev and show_gids."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from .. import fakes
from ..view import Function
from . import common
from .common import Context


def _states(function: Function) -> tuple[str, str]:
    return ("ACTIVE", "LINK_UP") if function.active else ("DOWN", "DISABLED")


def rdma(argv: list[str]) -> int:
    """``rdma link|dev|resource``: text, or JSON with -j."""
    flags = [w for w in argv if w.startswith("-")]
    words = [w for w in argv if not w.startswith("-")]
    as_json = any(f == "--json" or (not f.startswith("--") and "j" in f) for f in flags)
    if "-V" in flags or "-Version" in flags:
        print("rdma utility, iproute2-6.1.0")
        return 0
    context = common.context()
    if not words or "link".startswith(words[0]):
        return _link(context, words[1:], as_json)
    if words[0] == "dev":
        return _dev(context, as_json)
    if "resource".startswith(words[0]):
        return _resource(context, words[1:], as_json)
    if "statistic".startswith(words[0]):
        return 0
    print(f"Unknown object '{words[0]}'.", file=sys.stderr)
    return 0


def _link(context: Context, words: list[str], as_json: bool) -> int:
    names = [w for w in words if w != "show"]
    chosen = context.functions
    if names:
        # A link is a device and a port; a device alone names none.
        chosen = [f for f in chosen if names[0] in (f"{f.rdma}/1", f"{f.rdma}/-")]
        if not chosen:
            if as_json:
                print("[]")
            print("Wrong device name", file=sys.stderr)
            return 1
    rows: list[dict[str, Any]] = []
    for number, function in enumerate(context.functions):
        if function not in chosen:
            continue
        state, physical = _states(function)
        row: dict[str, Any] = {"ifindex": number, "ifname": function.rdma, "port": 1, "state": state, "physical_state": physical}
        if function.live:
            row["netdev"] = function.netdev
            row["netdev_index"] = context.links[function.netdev].index if function.netdev in context.links else number + 3
        rows.append(row)
    if as_json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        netdev = f"netdev {row['netdev']} " if "netdev" in row else ""
        print(f"link {row['ifname']}/1 state {row['state']} physical_state {row['physical_state']} {netdev}")
    return 0


def _dev(context: Context, as_json: bool) -> int:
    rows = [
        {
            "ifindex": n,
            "ifname": f.rdma,
            "node_type": "ca",
            "protocol": "roce",
            "fw": context.desk.model["cx7"]["firmware"],
            "node_guid": fakes.guid(f.mac),
            "sys_image_guid": fakes.system_guid(context.functions),
        }
        for n, f in enumerate(context.functions)
    ]
    if as_json:
        print(json.dumps(rows))
        return 0
    for r in rows:
        told = " ".join(f"{key} {value}" for key, value in r.items() if key not in ("ifindex", "ifname"))
        print(f"{r['ifindex']}: {r['ifname']}: {told} ")
    return 0


def users(context: Context) -> list[dict[str, Any]]:
    """Processes that hold queue pairs: running benchmarks and the fault's process."""
    found = [
        {"device": b["device"], "pid": b["pid"], "comm": b.get("comm", "ib_write_bw"), "qps": int(b.get("qps", 1))}
        for b in context.benches
        if b.get("pid")
    ]
    holder = context.processes.get("rdma_user")
    if holder and context.functions:
        active = next((f for f in context.functions if f.active), context.functions[0])
        found.append({"device": holder.get("device", active.rdma), "pid": holder["pid"], "comm": holder.get("name", "python3"), "qps": 2})
    return found


def _resource(context: Context, words: list[str], as_json: bool) -> int:
    names = [w for w in words if w != "show"]
    held = users(context)
    if names[:1] == ["qp"]:
        rows = []
        for index, function in enumerate(context.functions):
            rows.append(
                {
                    "ifindex": index,
                    "ifname": function.rdma,
                    "port": 1,
                    "lqpn": 1,
                    "type": "GSI",
                    "state": "RTS",
                    "sq-psn": 0,
                    "comm": "ib_core",
                }
            )
            for user in held:
                if user["device"] == function.rdma:
                    for number in range(user["qps"]):
                        qpn = 297 + number
                        rows.append(
                            {
                                "ifindex": index,
                                "ifname": function.rdma,
                                "port": 1,
                                "lqpn": qpn,
                                "rqpn": qpn,
                                "type": "RC",
                                "state": "RTS",
                                "rq-psn": 0,
                                "sq-psn": 0,
                                "path-mig-state": "MIGRATED",
                                "pdn": 9,
                                "pid": user["pid"],
                                "comm": user["comm"],
                            }
                        )
        if as_json:
            print(json.dumps(rows))
            return 0
        for row in rows:
            comm = row["comm"] if "pid" in row else f"[{row['comm']}]"
            middle = " ".join(f"{k} {v}" for k, v in row.items() if k not in ("ifindex", "ifname", "port", "comm"))
            print(f"link {row['ifname']}/1 {middle} comm {comm} ")
        return 0
    totals = []
    for number, function in enumerate(context.functions):
        qps = 1 + sum(u["qps"] for u in held if u["device"] == function.rdma)
        contexts = len({u["pid"] for u in held if u["device"] == function.rdma})
        totals.append(
            {
                "ifindex": number,
                "ifname": function.rdma,
                "pd": 1 + contexts,
                "cq": 1 + contexts,
                "qp": qps,
                "cm_id": 0,
                "mr": contexts,
                "ctx": contexts,
                "srq": 2,
            }
        )
    if as_json:
        print(json.dumps(totals))
        return 0
    for row in totals:
        rest = " ".join(f"{k} {v}" for k, v in row.items() if k not in ("ifindex", "ifname"))
        print(f"{row['ifindex']}: {row['ifname']}: {rest} ")
    return 0


def _hex(guid: str) -> str:
    return "0x" + guid.replace(":", "")


def ibstat(argv: list[str]) -> int:
    """``ibstat [-l|-p|-s] [DEVICE [PORT]]``, layout of infiniband-diags 56."""
    context = common.context()
    names = [w for w in argv if not w.startswith("-")]
    wrong = next((w for w in argv if w.startswith("-") and w not in ("-l", "-p", "-s", "-V")), None)
    if wrong is not None:
        print(f"ibstat: invalid option -- '{wrong.strip('-')[:1]}'\n\nUsage: ibstat [options] <ca_name> [portnum]", file=sys.stderr)
        return 2
    if "-V" in argv:
        print("ibstat BUILD VERSION: 50.0", file=sys.stderr)
        return 0
    # The library sorts the devices by their names.
    chosen = sorted((f for f in context.functions if not names or f.rdma == names[0]), key=lambda f: f.rdma)
    if names and not chosen:
        print(f"ibpanic: [{os.getpid()}] main: '{names[0]}' IB device can't be found: Success", file=sys.stderr)
        return 255
    if "-l" in argv or "-p" in argv:
        print("\n".join(f.rdma if "-l" in argv else _hex(fakes.guid(f.mac)) for f in chosen))
        return 0
    if len(names) > 1 and names[1] != "1":
        print(f"ibwarn: [{os.getpid()}] ca_stat: CA: '{names[0]}' has no port number {names[1]} - max (1)", file=sys.stderr)
        print(f"ibwarn: [{os.getpid()}] main: stat of IB device '{names[0]}' failed", file=sys.stderr)
        return 0
    for function in chosen:
        active = function.active
        port = [
            ("State", "Active" if active else "Down"),
            ("Physical state", "LinkUp" if active else "Disabled"),
            ("Rate", function.rate.split()[0]),
            ("Base lid", "0"),
            ("LMC", "0"),
            ("SM lid", "0"),
            ("Capability mask", "0x00010000"),
            ("Port GUID", _hex(fakes.guid(function.mac))),
            ("Link layer", "Ethernet"),
        ]
        if len(names) > 1:
            print(f"CA: '{function.rdma}'\nPort 1:")
            print("\n".join(f"{name}: {value}" for name, value in port))
            continue
        print(
            f"CA '{function.rdma}'\n\tCA type: MT4129\n\tNumber of ports: 1\n"
            f"\tFirmware version: {context.desk.model['cx7']['firmware']}\n\tHardware version: 0\n"
            f"\tNode GUID: {_hex(fakes.guid(function.mac))}\n"
            f"\tSystem image GUID: {_hex(fakes.system_guid(context.functions))}"
        )
        if "-s" not in argv:
            print("\tPort 1:\n" + "\n".join(f"\t\t{name}: {value}" for name, value in port))
    return 0


_MTU = {256: 1, 512: 2, 1024: 3, 2048: 4, 4096: 5}


def ibv_devinfo(argv: list[str]) -> int:
    """Devices as libibverbs sees them."""
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-d", "-i") and rest:
            rest.pop(0)
        elif word.startswith("-") and word not in ("-l", "--list", "-v", "--verbose"):
            print("Usage: ibv_devinfo             print the ca attributes\n\nOptions:\n  -d, --ib-dev=<dev>\n  -i, --ib-port=<port>")
            print("  -l, --list\n  -v, --verbose\n")
            sys.stdout.flush()
            print(f"ibv_devinfo: invalid option -- '{word.strip('-')[:1]}'", file=sys.stderr)
            return 255
    context = common.context()
    chosen = list(context.functions)
    if "-d" in argv[:-1]:
        name = argv[argv.index("-d") + 1]
        chosen = [f for f in chosen if f.rdma == name]
        if context.functions and not chosen:
            print(f"IB device '{name}' wasn't found", file=sys.stderr)
            return 255
    if not chosen:
        print("No IB devices found", file=sys.stderr)
        return 255
    if "-l" in argv or "--list" in argv:
        print(f"{len(chosen)} HCA{'s' if len(chosen) != 1 else ''} found:")
        print("\n".join(f"\t{f.rdma}" for f in chosen) + "\n")
        return 0
    if "-i" in argv[:-1] and argv[argv.index("-i") + 1] != "1":
        print("Invalid port requested for device", file=sys.stderr)
        return 4
    cx7 = context.desk.model["cx7"]
    for function in chosen:
        state = "PORT_ACTIVE (4)" if function.active else "PORT_DOWN (1)"
        print(
            f"hca_id:\t{function.rdma}\n\ttransport:\t\t\tInfiniBand (0)\n\tfw_ver:\t\t\t\t{cx7['firmware']}\n"
            f"\tnode_guid:\t\t\t{fakes.guid(function.mac)}\n\tsys_image_guid:\t\t\t{fakes.system_guid(context.functions)}\n"
            f"\tvendor_id:\t\t\t0x02c9\n\tvendor_part_id:\t\t\t4129\n\thw_ver:\t\t\t\t0x0\n\tboard_id:\t\t\t{cx7['psid']}\n"
            f"\tphys_port_cnt:\t\t\t1\n\t\tport:\t1\n\t\t\tstate:\t\t\t{state}\n\t\t\tmax_mtu:\t\t4096 (5)\n"
            f"\t\t\tactive_mtu:\t\t{function.roce_mtu} ({_MTU[function.roce_mtu]})\n\t\t\tsm_lid:\t\t\t0\n"
            "\t\t\tport_lid:\t\t0\n\t\t\tport_lmc:\t\t0x00\n\t\t\tlink_layer:\t\tEthernet\n"
        )
    return 0


def ibv_devices(_argv: list[str]) -> int:
    context = common.context()
    print("    device          \t   node GUID\n    ------          \t----------------")
    for function in context.functions:
        print(f"    {function.rdma:<16}\t{fakes.guid(function.mac).replace(':', '')}")
    return 0


def ibdev2netdev(_argv: list[str]) -> int:
    """RDMA device to netdev, with the state of the link."""
    for function in common.context().functions:
        if function.live:
            print(f"{function.rdma} port 1 ==> {function.netdev} ({'Up' if function.active else 'Down'})")
    return 0


def show_gids(argv: list[str]) -> int:
    """GID table of all devices, or of the one named."""
    context = common.context()
    names = [w for w in argv if not w.startswith("-")]
    print("DEV\tPORT\tINDEX\tGID\t\t\t\t\tIPv4  \t\tVER\tDEV\n---\t----\t-----\t---\t\t\t\t\t------------  \t---\t---")
    count = 0
    for function in context.functions:
        if names and function.rdma not in names:
            continue
        for gid in function.gids:
            count += 1
            four = ""
            if gid.value.startswith("0000:0000:0000:0000:0000:ffff:"):
                raw = bytes.fromhex("".join(gid.value.split(":")[6:]))
                four = ".".join(str(b) for b in raw)
            version = "v2" if gid.kind == "RoCE v2" else "v1"
            print(f"{function.rdma}\t1\t{gid.index}\t{gid.value}\t{four or '':<12}  \t{version}\t{function.netdev}")
    print(f"n_gids_found={count}")
    return 0
