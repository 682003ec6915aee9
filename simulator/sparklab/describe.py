"""Making desk.json: all that a desk knows of its own hardware. Pure: record and models in, plain data out."""

from __future__ import annotations

import hashlib
from typing import Any

from sparklab import figures, laws
from sparklab.spec import CableSpec, DeskSpec, End, digest
from sparklab.switches import SwitchSpec

# NVIDIA's daqiri tutorial and user reports: two ports, each with one function in each of two PCIe domains.
FUNCTIONS: tuple[dict[str, Any], ...] = (
    {"netdev": "enp1s0f0np0", "rdma": "rocep1s0f0", "pci": "0000:01:00.0", "phys_port_name": "p0", "port": 0},
    {"netdev": "enp1s0f1np1", "rdma": "rocep1s0f1", "pci": "0000:01:00.1", "phys_port_name": "p1", "port": 1},
    {"netdev": "enP2p1s0f0np0", "rdma": "roceP2p1s0f0", "pci": "0002:01:00.0", "phys_port_name": "p0", "port": 0},
    {"netdev": "enP2p1s0f1np1", "rdma": "roceP2p1s0f1", "pci": "0002:01:00.1", "phys_port_name": "p1", "port": 1},
)
# The last byte of a function's MAC, counted from the adapter's first.
_MAC_STEP = {"0000:01:00.0": 0, "0000:01:00.1": 1, "0002:01:00.0": 4, "0002:01:00.1": 5}


def _mac(first: int, seed: str, step: int = 0) -> str:
    body = hashlib.sha256(seed.encode()).digest()
    octets = [0x02, first, body[0], body[1], body[2], (body[3] & 0xF0) + step]
    return ":".join(f"{octet:02x}" for octet in octets)


def management_mac(desk: DeskSpec) -> str:
    """The MAC of the management interface (locally administered, made from the desk's name)."""
    return _management_mac(desk.name)


def _management_mac(name: str) -> str:
    return _mac(0x5A, f"management {name}")


def functions(desk: DeskSpec, model: dict[str, Any], faults: dict[str, Any]) -> list[dict[str, Any]]:
    """The four ConnectX-7 functions of a desk; a model may rename them or leave some out."""
    found = []
    for number, entry in enumerate(model.get("functions") or FUNCTIONS):
        function = {
            "mac": _mac(0x51, f"cx7 {desk.name}", _MAC_STEP.get(str(entry.get("pci")), number)),
            "link_width": figures.FULL_WIDTH,
            "link_speed": "32.0 GT/s PCIe",
            "present": True,
            **entry,
        }
        if "nic_missing" in faults:
            function["present"] = False
        missing = faults.get("twin_missing")
        if missing is not None and _named(function, missing, "enP2p1s0f0np0"):
            function["present"] = False
        found.append(function)
    return found


def _named(function: dict[str, Any], params: dict[str, Any], default: str | None) -> bool:
    wanted = params.get("function", default)
    if "port" in params and "function" not in params:
        return int(params["port"]) == function["port"]
    names = [wanted] if isinstance(wanted, str) else list(wanted or [])
    return bool({function["netdev"], function["rdma"], function["pci"]} & set(names))


def _end_state(end: End, wiring: laws.Wiring, lists: dict[str, list[dict[str, Any]]], faults: dict[str, Any]) -> figures.EndState:
    mine = faults.get(end.desk, {})
    widths = []
    for function in lists[end.desk]:
        if function["port"] != end.port or not function["present"]:
            continue
        width = int(function["link_width"])
        narrow = mine.get("half_width")
        if narrow is not None and (_named(function, narrow, None) or (not narrow.get("function") and function["pci"].startswith("0002:"))):
            width = int(narrow.get("width", 2))
        widths.append(width)
    return figures.EndState(end.port, tuple(widths), end in wiring.stale, mine)


def ports(
    desk: str,
    wiring: laws.Wiring,
    cables: dict[str, CableSpec],
    lists: dict[str, list[dict[str, Any]]],
    faults: dict[str, Any],
    of_switches: dict[str, tuple[SwitchSpec, dict[int, dict[str, Any]]]] | None = None,
) -> dict[str, Any]:
    """The two ports of a desk: cable, far end, figures. `of_switches`: each switch and what its ports are set to now."""
    result: dict[str, Any] = {}
    for number in (0, 1):
        end = End(desk, number)
        cable = wiring.at(end)
        peer = wiring.peer(end)
        mine = _end_state(end, wiring, lists, faults)
        port: dict[str, Any] = {
            "cable": None,
            "carrier": laws.carrier(wiring, end),
            "plugged_after_boot": end in wiring.stale,
            "speed_mbps": figures.speed_mbps(mine),
            "figures": None,
        }
        if cable is not None:
            about = cables[cable]
            port["cable"] = {
                "id": cable,
                "vendor": about.vendor,
                "part": about.part,
                "serial": about.serial,
                "length_m": about.length_m,
                "peer": None if peer is None else _peer(peer, lists, of_switches or {}),
            }
            if peer is not None and peer.desk in (of_switches or {}):
                settings = (of_switches or {})[peer.desk][1][peer.port]
                port["figures"] = figures.behind_a_switch(mine, settings)
                port["speed_mbps"] = min(port["speed_mbps"], settings["speed"] * 1000)
            elif peer is not None:
                port["figures"] = figures.figures((mine, _end_state(peer, wiring, lists, faults)))
        result[str(number)] = port
    return result


def _peer(
    end: End, lists: dict[str, list[dict[str, Any]]], of_switches: dict[str, tuple[SwitchSpec, dict[int, dict[str, Any]]]]
) -> dict[str, Any]:
    """Who is at the other end, with what its lldpd would send."""
    if end.desk in of_switches:
        switch = of_switches[end.desk][0]
        return {"switch": end.desk, "port": end.port, "lldp": switch.lldp, "mac": switch.mac}
    functions = [{"netdev": item["netdev"], "mac": item["mac"]} for item in lists[end.desk] if int(item["port"]) == end.port]
    return {"desk": end.desk, "port": end.port, "mac": _management_mac(end.desk), "functions": functions}


def desk_json(
    desk: DeskSpec,
    model: dict[str, Any],
    record: dict[str, Any],
    wiring: laws.Wiring,
    cables: dict[str, CableSpec],
    lists: dict[str, list[dict[str, Any]]],
    faults: dict[str, Any],
    of_switches: dict[str, tuple[SwitchSpec, dict[int, dict[str, Any]]]] | None = None,
) -> dict[str, Any]:
    """The whole truth about one desk, as its inside reads it."""
    return {
        "name": desk.name,
        "hostname": desk.hostname,
        "serial": desk.serial,
        "boot_count": record.get("boot_count", 0),
        "booted_at": record.get("booted_at", 0.0),
        "boot_id": record.get("boot_id", ""),
        "model": model,
        "renderer": desk.renderer,
        "management": {
            "netdev": desk.management,
            "mac": management_mac(desk),
            "wifi": desk.management.startswith("wl"),
        },
        "switch_id": digest("switch", desk.name)[:16],
        "functions": lists[desk.name],
        "hotplug": {"enabled": hotplug(desk, model), "powered": bool(record.get("nic"))},
        "ports": ports(desk.name, wiring, cables, lists, faults, of_switches),
        "faults": faults.get(desk.name, {}),
        "processes": [],
    }


def hotplug(desk: DeskSpec, model: dict[str, Any]) -> bool:
    """Whether the adapter leaves the bus without a cable: only where both the model's DGX OS and the desk say so."""
    return desk.hotplug and bool((model.get("hotplug") or {}).get("enabled", True))
