# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a desk who is at the other end of its QSFP cages. Reads only; what it sends ends at the other end of a direct cable.

For each function with carrier: an IPv6 all-nodes echo with the neighbour table read behind it, and LLDP where lldpd runs. Where
neither told of a foreign MAC on a cage and root may, raw frames. With root the plug's memory, through ethtool alone: mstflint,
mlxlink and a PCI rescan can crash a desk whose adapter is switched off.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..desk import DENIED, MISSING, TIMEOUT, Desk
from ..model.cable import PORTS, CableProbe, Eeprom, Neighbour, ProbedFunction, ProbedPort
from ..model.frame import Frames, Speaker
from ..readers import ethtool_module, ip_neigh, lldp, ping

NET = "/sys/class/net"
HOTPLUG = "/sys/devices/platform/MTKP0001:00/pcie_hotplug"
VENDOR = "0x15b3"
"""Mellanox, PCI vendor of the ConnectX-7."""

ECHOES = {True: ("3", "0.2"), False: ("2", "1")}
"""With root or without: how many echoes, and the seconds between them. To a group, ping lets a user send one a second at most; and
one alone would end with the desk's own reply."""

PING_LIMIT = 6.0
"""Seconds for all echoes with ping's own deadline of 2 s."""

TOOL_LIMIT = 20.0
"""Seconds for lldpctl and for the plug's memory. Both take milliseconds; a busy desk may take seconds, and half an answer is no proof."""

CONFIRMED = ("REACHABLE", "DELAY", "PROBE")
"""Neighbour states that stand for an answer within the last half minute. A STALE entry counts only when its address answered now."""


def read_cables(
    desk: Desk,
    *,
    name: str,
    run: str,
    privileged: bool,
    frames: Frames | None,
    frames_state: str = "not_needed",
    seconds: float = 6.0,
    partners: int = 1,
) -> CableProbe:
    """Everything that the desk can tell of its cables.

    ``frames``: the raw-frame door, null when it must not be used; ``frames_state`` then says why (not_privileged, needs_forks, off).
    ``seconds``: how long to send and listen at most; a desk whose partners begin at the same time needs a fraction of it.
    ``partners``: how many other desks are expected behind a cage, several on a switch.
    """
    ports, unread = _ports(desk)
    hotplug, powered = _switch(desk, "hotplug_enabled"), _switch(desk, "debug_state")
    present: bool | None = bool(ports) if ports or not unread else None
    active = [item for functions in ports.values() for item in functions if item.carrier]
    with ThreadPoolExecutor(max_workers=8) as pool:
        told = pool.submit(_lldp, desk)
        plugs = {number: pool.submit(_plug, desk, functions, privileged) for number, functions in ports.items()}
        echoes = list(pool.map(lambda item: _echo(desk, item, privileged), active))
        neighbours_told, lldp_used = told.result()
        asked = {item.netdev: item for item in echoes}
        own = {item.mac: number for number, functions in ports.items() for item in functions if item.mac}
        probed: dict[int, list[ProbedFunction]] = {}
        for number, functions in ports.items():
            probed[number] = [_seen(asked.get(item.netdev, item), neighbours_told, lldp_used, own, number) for item in functions]
        state, error = frames_state, None
        quiet = [
            number for number, functions in probed.items() if any(item.carrier for item in functions) and not _foreign(functions, partners)
        ]
        if not quiet:
            state = "not_needed"
        elif frames is not None:
            state, error = _frames(frames, probed, quiet, name, run, seconds, partners)
        # A plug whose memory is slow to read must not make this desk miss the moment at which its partner sends.
        eeproms = {number: future.result() for number, future in plugs.items()}
    return CableProbe(
        desk=name,
        ports=tuple(
            ProbedPort(
                number,
                _any(item.carrier for item in functions),
                tuple(functions),
                *eeproms[number],
            )
            for number, functions in sorted(probed.items())
        ),
        privileged=privileged,
        nic_present=present,
        hotplug_enabled=hotplug,
        powered=powered,
        frames=state,
        frames_error=error,
        unread=tuple(unread),
    )


def _any(values: Iterable[bool | None]) -> bool | None:
    known = [value for value in values if value is not None]
    return any(known) if known else None


# ---- which functions there are -----------------------------------------------------------------------------------------


def _ports(desk: Desk) -> tuple[dict[int, list[ProbedFunction]], list[str]]:
    """Port number to its functions; and what could not be read."""
    listing = desk.list_dir(NET)
    if listing.error:
        return {}, [f"{NET}: {listing.error}"]
    ports: dict[int, list[ProbedFunction]] = {}
    unread: list[str] = []
    with_link_local = _link_locals(desk)
    for netdev in listing.names:
        if (_word(desk, f"{NET}/{netdev}/device/vendor") or "").lower() != VENDOR:
            continue
        match = re.fullmatch(r"p([0-9])", _word(desk, f"{NET}/{netdev}/phys_port_name") or "")
        if match is None or int(match.group(1)) not in PORTS:
            unread.append(f"{netdev}: its port could not be read")
            continue
        flags, carrier = _word(desk, f"{NET}/{netdev}/flags"), _word(desk, f"{NET}/{netdev}/carrier")
        up = bool(int(flags, 16) & 1) if flags and re.fullmatch(r"0x[0-9a-fA-F]{1,8}", flags) else None
        ports.setdefault(int(match.group(1)), []).append(
            ProbedFunction(
                netdev=netdev,
                mac=(_word(desk, f"{NET}/{netdev}/address") or "").lower() or None,
                admin_up=up,
                # The kernel refuses to tell the carrier of an interface that is switched off.
                carrier={"1": True, "0": False}.get(carrier or "") if up is not False else None,
                link_local=None if with_link_local is None else netdev in with_link_local,
            )
        )
    return ports, unread


def _word(desk: Desk, path: str) -> str | None:
    text = desk.read_text(path).text
    return text.strip() if text else None


def _switch(desk: Desk, name: str) -> bool | None:
    return {"1": True, "0": False}.get(_word(desk, f"{HOTPLUG}/{name}") or "")


def _link_locals(desk: Desk) -> set[str] | None:
    """Interfaces with an IPv6 link-local address (scope 0x20); an IPv6 that is compiled out leaves no file."""
    answer = desk.read_text("/proc/net/if_inet6")
    if answer.error == MISSING:
        return set()
    if answer.text is None:
        return None
    rows = (line.split() for line in answer.text.splitlines())
    return {row[5] for row in rows if len(row) == 6 and row[3] == "20"}


# ---- who is there ------------------------------------------------------------------------------------------------------


def _echo(desk: Desk, function: ProbedFunction, privileged: bool) -> ProbedFunction:
    if function.link_local is False:
        return dataclasses.replace(function, reason="no IPv6 link-local address")
    count, interval = ECHOES[privileged]
    answer = desk.run(["ping", "-6", "-n", "-c", count, "-i", interval, "-w", "2", f"ff02::1%{function.netdev}"], timeout=PING_LIMIT)
    if answer.error in (MISSING, DENIED) or (answer.error is None and answer.rc == 2 and not answer.stdout.strip()):
        return dataclasses.replace(function, reason=f"ping: {answer.error or ' '.join(answer.stderr.split())[:120]}")
    answered = set(ping.read(answer.stdout))
    table = desk.run(["ip", "-j", "-6", "neigh", "show", "dev", function.netdev])
    if not table.ok:
        return dataclasses.replace(function, reason=f"neighbour table: {table.error or ' '.join(table.stderr.split())[:120]}")
    found = {
        str(item["mac"]): Neighbour(str(item["mac"]), "ipv6")
        for item in ip_neigh.read(table.stdout)
        if item["mac"] and (item["address"].lower() in answered or item["state"] in CONFIRMED)
    }
    return dataclasses.replace(function, neighbours=tuple(found[mac] for mac in sorted(found)), methods=("ipv6",))


def _lldp(desk: Desk) -> tuple[Mapping[str, list[Neighbour]], bool]:
    """Interface to the neighbours that lldpd knows, and whether lldpd answered."""
    answer = desk.run(["lldpctl", "-f", "json"], timeout=TOOL_LIMIT)
    if not answer.ok:
        return {}, False
    found: dict[str, list[Neighbour]] = {}
    for item in lldp.read(answer.stdout):
        port_mac = item["port_id"] if item["port_id"] in item["macs"] or str(item["port_id"]).lower() in item["macs"] else None
        neighbour = Neighbour(
            mac=str(port_mac).lower() if port_mac else None,
            method="lldp",
            told_desk=item["chassis_name"],
            told_port=item["port_description"] if port_mac else item["port_id"],
            chassis_mac=str(item["chassis_id"]).lower() if str(item["chassis_id"]).lower() in item["macs"] else None,
        )
        found.setdefault(str(item["netdev"]), []).append(neighbour)
    return found, True


def _seen(
    function: ProbedFunction, told: Mapping[str, list[Neighbour]], lldp_used: bool, own: Mapping[str, int], number: int
) -> ProbedFunction:
    """Both methods together, without the functions of the same cage."""
    known = [*function.neighbours, *told.get(function.netdev, ())]
    foreign = tuple(item for item in known if item.mac is None or own.get(item.mac) != number)
    methods = (*function.methods, *(("lldp",) if lldp_used and function.carrier else ()))
    return dataclasses.replace(function, neighbours=foreign, methods=methods, reason=None if methods else function.reason)


def _foreign(functions: Sequence[ProbedFunction], partners: int = 1) -> bool:
    """Whether enough was seen behind a cage. On a switch each function sees both of every partner; its own LLDP tells of none."""
    if partners == 1:
        return any(item.mac for function in functions for item in function.neighbours)
    lit = [function for function in functions if function.carrier]
    return all(len({item.mac for item in function.neighbours if item.mac and item.method != "lldp"}) >= 2 * partners for function in lit)


def _frames(
    frames: Frames,
    probed: dict[int, list[ProbedFunction]],
    quiet: Sequence[int],
    name: str,
    run: str,
    seconds: float,
    partners: int,
) -> tuple[str, str | None]:
    speakers = [
        Speaker(item.netdev, item.mac, number) for number in quiet for item in probed[number] if item.carrier and item.admin_up and item.mac
    ]
    heard, error = frames.exchange(speakers, name, run, seconds, partners)
    if error:
        return "failed", error
    for number in quiet:
        for place, function in enumerate(probed[number]):
            more = tuple(
                Neighbour(item.mac, "frame", item.desk, None if item.port is None else str(item.port))
                for item in heard
                if item.netdev == function.netdev
            )
            if function.carrier:
                probed[number][place] = dataclasses.replace(
                    function, neighbours=function.neighbours + more, methods=(*function.methods, "frame"), reason=None
                )
    return "used", None


def _plug(desk: Desk, functions: Sequence[ProbedFunction], privileged: bool) -> tuple[Eeprom | None, str | None]:
    """The plug's memory, asked through the first function of the cage (both tell the same)."""
    if not privileged:
        return None, "needs_root"
    answer = desk.run(["ethtool", "-m", functions[0].netdev], timeout=TOOL_LIMIT)
    if answer.error is not None:
        return None, answer.error if answer.error in (MISSING, TIMEOUT) else "refused"
    told = ethtool_module.read(answer.stdout)
    if not told["vendor_pn"] and not told["vendor_name"]:
        return None, "refused"
    return Eeprom(told["vendor_name"], told["vendor_pn"], told["vendor_sn"], told["length_m"]), None
