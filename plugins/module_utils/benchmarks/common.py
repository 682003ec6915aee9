# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both measurements ask of the desks: neighbours, counters, GIDs, free ports, reachability, limits."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from ..judges.counters import PHYSICAL, SYSFS
from ..model.link import Endpoint, EndpointFunction, OtherFunction, Path
from ..model.proof import Counters, Locked, Neighbour, Problem
from ..readers import ethtool_statistics, ip_neigh, ip_route
from ..readers import gids as gids_reader
from .side import Side, SideError

LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp."""

GID_SLOTS = 32
"""Entries of a GID table that are looked at; two addresses need at most eight."""

PROBE_SECONDS = 3.0

NEIGHBOUR_SECONDS = 4.0
"""Seconds for an answer to who has an address; the kernel itself asks three times, a second apart."""


def neighbours(side: Side, end: Endpoint, other: Endpoint) -> tuple[Neighbour, ...]:
    """Make the kernel ask who has the other desk's address on each function, then read who answered.

    Primes the neighbour table for RDMA as well.
    """
    found = []
    for mine, theirs in zip(end.functions, other.functions, strict=False):
        deadline = time.monotonic() + NEIGHBOUR_SECONDS
        mac = error = None
        while mac is None and time.monotonic() < deadline:
            side.ask("knock", source=mine.address, address=theirs.address)
            time.sleep(0.1)
            # iproute2 6.1 leaves "dev" out of the answer when it is asked for one device, so each device is asked alone.
            answer = side.run(["ip", "-j", "neigh", "show", "to", theirs.address, "dev", mine.netdev])
            mac, error = neighbour_mac(answer.stdout) if answer.ok else None, answer.error
        found.append(Neighbour(end.desk, mine.netdev, theirs.address, mac, error))
    return tuple(found)


def wrong_routes(side: Side, end: Endpoint, other: Endpoint) -> list[Problem]:
    """What keeps packets to the other end from leaving over the cable: the kernel's own choice for each pair of addresses.

    A Docker bridge or VPN with the same network, policy rules and other routing tables all show in it.
    """
    found = []
    for mine, theirs in zip(end.functions, other.functions, strict=False):
        argv = ["ip", "-j", "route", "get", theirs.address, "from", mine.address]
        answer = side.run(argv)
        told = {"netdev": mine.netdev, "command": " ".join(["ip", *argv[2:]])}
        if answer.error is not None:
            kind = "no_answer" if answer.error == "timeout" else "failed"
            found.append(Problem(kind, end.desk, f"{told['command']}: {answer.error}", told))
            continue
        chosen = ip_route.read(answer.stdout) if answer.ok else []
        if not chosen:
            said = " ".join((answer.stderr or answer.stdout).split())[-200:] or f"exit {answer.rc}"
            found.append(Problem("route", end.desk, f"{theirs.address} ({other.desk}) has no route from {mine.address}: {said}", told))
        elif chosen[0]["netdev"] != mine.netdev or chosen[0]["gateway"]:
            netdev, gateway = chosen[0]["netdev"], chosen[0]["gateway"]
            way = f"{netdev} through {gateway}" if gateway else netdev
            text = f"packets from {mine.address} to {theirs.address} ({other.desk}) leave over {way}, not {mine.netdev}"
            found.append(Problem("route", end.desk, text, {**told, "interface": netdev, "gateway": gateway}))
    return found


def both_neighbours(sides: Mapping[str, Side], path: Path) -> tuple[Neighbour, ...]:
    """Who answers at the other end of a path, asked from both."""
    first, second = path.ends
    return (*neighbours(sides[first.desk], first, second), *neighbours(sides[second.desk], second, first))


def all_right(seen: Sequence[Neighbour], ends: Sequence[Endpoint]) -> bool:
    """Whether the member that has the address itself answered on every function, both ways."""
    macs = {(end.desk, function.address): {item.mac.lower() for item in end.functions} for end in ends for function in end.functions}
    return bool(seen) and all(
        any(item.mac in known for (desk, address), known in macs.items() if desk != item.desk and address == item.address) for item in seen
    )


def neighbour_mac(text: str) -> str | None:
    """The link-layer address in the answer of ``ip -j neigh show to X dev Y``, null when nobody answered there."""
    return next((item["mac"] for item in ip_neigh.read(text) if item["mac"] and item["state"] != "FAILED"), None)


def counters(side: Side, end: Endpoint) -> Counters:
    """The counters of the table for every function of the desk, those that the cable does not use included."""
    functions: list[EndpointFunction | OtherFunction] = [*end.functions, *end.others]
    paths = [f"/sys/class/infiniband/{item.rdma_device}/{counter.path}" for item in functions for counter in SYSFS]
    texts = iter(side.read_texts(paths))
    values: dict[str, dict[str, int]] = {}
    for item in functions:
        mine: dict[str, int] = {}
        for counter in SYSFS:
            text = next(texts).text
            if text is not None and re.fullmatch("[0-9]{1,20}", text.strip()):
                mine[counter.name] = int(text)
        answer = side.run(["ethtool", "-S", item.netdev])
        if answer.ok:
            said = ethtool_statistics.read(answer.stdout)
            mine.update({counter.name: said[counter.name] for counter in PHYSICAL if said.get(counter.name, -1) >= 0})
        values[item.netdev] = mine
    return values


def gid_index(side: Side, function: EndpointFunction) -> int | None:
    """The index of the RoCE v2 GID that maps the function's address, read now; null when there is none."""
    base = f"/sys/class/infiniband/{function.rdma_device}/ports/1"
    slots = range(GID_SLOTS)
    texts = side.read_texts([f"{base}/gids/{slot}" for slot in slots] + [f"{base}/gid_attrs/types/{slot}" for slot in slots])
    for slot in slots:
        gid, kind = texts[slot].text, texts[GID_SLOTS + slot].text
        if gid and kind and kind.strip() == "RoCE v2" and gids_reader.ipv4_of(gid.strip()) == function.address:
            return slot
    return None


def listeners(side: Side) -> dict[int, set[int | None]]:
    """TCP ports on which something listens on the desk, and the users whose programs do; null is a user that cannot be read."""
    found: dict[int, set[int | None]] = {}
    for text in side.read_texts(["/proc/net/tcp", "/proc/net/tcp6"]):
        for line in (text.text or "").splitlines()[1:]:
            fields = line.split()
            port = fields[1].rpartition(":")[2] if len(fields) > 3 and fields[3] == LISTEN else ""
            if re.fullmatch("[0-9A-Fa-f]{1,4}", port):
                user = fields[7] if len(fields) > 7 else ""
                found.setdefault(int(port, 16), set()).add(int(user) if re.fullmatch("[0-9]{1,10}", user) else None)
    return found


def listening_ports(side: Side) -> set[int]:
    """TCP ports on which something listens on the desk."""
    return set(listeners(side))


def free_ports(side: Side, first: int, count: int, wanted: int) -> list[int]:
    """``wanted`` ports of ``first`` .. ``first + count - 1`` on which nothing listens. Raises SideError where there are fewer."""
    used = listening_ports(side)
    free = [port for port in range(first, first + count) if port not in used][:wanted]
    if len(free) < wanted:
        raise SideError(side.name, "port_busy", f"programs listen on nearly all TCP ports from {first} to {first + count - 1}")
    return free


def wait_for_listener(side: Side, pid: int, port: int, patience: float) -> str | None:
    """Why a started server cannot be used, null once it listens; what listens must be its user's, and the server must still run.

    ``server``: it ended, or did not begin to listen within ``patience`` seconds. ``taken``: because another user's program listens there.
    """
    deadline = time.monotonic() + patience
    users: set[int | None] = set()
    while time.monotonic() < deadline:
        users = listeners(side).get(port, set())
        ours = side.hello["uid"] in users
        # Asked after: what a server that has ended left the port to is no server of ours.
        if side.wait(pid, 0.0 if ours else 0.05) is not None:
            break
        if ours:
            return None
    return "taken" if users and side.hello["uid"] not in users else "server"


def probe(sides: Sequence[Side], ends: Sequence[Endpoint], ports: Sequence[int], functions: Sequence[int]) -> list[Problem]:
    """Try a TCP connection between the two ends of a path over each function, both ways, before anything is launched.

    A listener is opened at the very address and port, so a refusal, silence or "no route" can only come from a filter on the way.
    """
    problems = []
    for here, there in ((0, 1), (1, 0)):
        for place in functions:
            source, target = ends[here].functions[place], ends[there].functions[place]
            opened = sides[there].ask("listen", address=target.address, port=ports[place % len(ports)])
            if "error" in opened:
                text = f"cannot listen at {target.address} on {target.netdev}: {opened['error']}"
                problems.append(Problem("port_busy", ends[there].desk, text, {"netdev": target.netdev, "address": target.address}))
                continue
            answer = sides[here].ask(
                "connect",
                patience=PROBE_SECONDS + 1,
                address=target.address,
                port=opened["port"],
                source=source.address,
                timeout=PROBE_SECONDS,
            )
            sides[there].ask("unlisten", port=opened["port"])
            if "error" not in answer:
                continue
            # The neighbour answers, so that only a filter that rejects ("admin-prohibited") makes the kernel say that there is no route.
            rejected = answer["error"] in ("timeout", "ConnectionRefusedError") or "No route to host" in str(answer.get("text"))
            kind = "firewall" if rejected else "no_route"
            evidence = {
                "from": f"{ends[here].desk} {source.netdev} {source.address}",
                "to": f"{ends[there].desk} {target.netdev} {target.address} port {opened['port']}",
                "answer": answer["error"],
                "netdev": target.netdev,
                "source": source.address,
                "ufw_active": ends[there].ufw_active,
            }
            problems.append(Problem(kind, ends[there].desk, str(answer.get("text") or answer["error"]), evidence))
    return problems


_LOCKED = re.compile(r"^Max locked memory\s+([0-9]{1,20}|unlimited)\s+([0-9]{1,20}|unlimited)\b", re.MULTILINE)


def locked(desk: str, limits: str | None) -> Locked:
    """The locked-memory limit in a text of /proc/PID/limits."""
    found = _LOCKED.search(limits or "")
    if found is None:
        return Locked(desk, None, None)
    soft, hard = (-1 if value == "unlimited" else int(value) if value.isdecimal() else None for value in found.groups())
    return Locked(desk, soft, hard)


def available_kb(side: Side) -> int | None:
    """MemAvailable of the desk now, in kB."""
    found = re.search(r"^MemAvailable:\s+([0-9]{1,18}) kB", side.read_text("/proc/meminfo").text or "", re.MULTILINE)
    return int(found.group(1)) if found else None


def tail(text: str, lines: int = 6, limit: int = 700) -> str:
    """The last lines of a program's output, for a message."""
    return "\n".join(line.strip() for line in text.strip().splitlines()[-lines:])[-limit:]
