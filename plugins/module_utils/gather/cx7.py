# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ConnectX-7: hotplug state, ports with their functions, the kernel log's plug events."""

from __future__ import annotations

import re
from typing import Any

from ..desk import MISSING, NOT_RECORDED
from ..model.port import Address, ConnectX7, Function, Gid, Port
from ..readers import ethtool, ethtool_driver, gids
from ..readers import kernel_log as plug_events
from ..readers.text import first_line, hex_int, to_int
from . import kernel_log
from .ask import Ask, first
from .functions import Found, functions, link_states, named_port, port_folder
from .links import NET, addresses_of, interfaces
from .options import Options
from .owners import foreign_files, owner, renderer_of

HOTPLUG = ("/sys/devices/platform/MTKP0001:00/pcie_hotplug", "/sys/bus/platform/devices/MTKP0001:00/pcie_hotplug")
MARKER = "/etc/nvidia/cx7-hotplug-enabled"
ROCE_OVERHEAD = 96
"""Bytes that the kernel takes off the netdev's MTU before it chooses the RoCE MTU (iboe_get_mtu in the Linux RDMA core)."""
ROCE_MTUS = (4096, 2048, 1024, 512, 256)
EMPTY_GIDS = 16
"""Empty slots after which the rest of a GID table (256 slots) is taken as empty."""
COUNTERS_LIMIT = 120

_PHYSICAL = {"LinkUp": "LINK_UP", "LinkErrorRecovery": "LINK_ERROR_RECOVERY"}
"""Names of sysfs that the rdma tool writes in another way; the others differ in case only."""


def gather(ask: Ask, options: Options) -> ConnectX7:
    """The adapter and its kernel log."""
    every = functions(ask)
    if not every.looked:
        ask.miss("cx7.ports", *every.sources)
    elif every.found and not any(item.rdma for item in every.found) and every.sources[1].error not in (None, MISSING):
        ask.miss("cx7.rdma_devices", every.sources[1])
    built = [_function(ask, item, every.others) for item in every.found]
    enabled, powered = (_flag(ask, name) for name in ("hotplug_enabled", "debug_state"))
    if not built:
        for fact, value, name in (("hotplug_enabled", enabled, "hotplug_enabled"), ("powered", powered, "debug_state")):
            ask.told(f"cx7.{fact}", value, ask.text(f"{HOTPLUG[0]}/{name}"))
    log = read_log(ask)
    plugged = log["plugged_after_boot"] if log else None
    if plugged is False and kernel_log.is_cut(ask):
        plugged = None
        ask.miss("cx7.plugged_after_boot", kernel_log.CUT)
    elif plugged is None:
        reason = "its plug events have no time stamps" if log else None
        ask.miss("cx7.plugged_after_boot", reason, ask.asked(*kernel_log.QUESTIONS[0]) if log is None else None)
    ports, ungrouped = _ports(built)
    if ungrouped:
        names = ", ".join(item.netdev or item.pci_address or "?" for item in ungrouped)
        ask.miss("cx7.ungrouped", f"phys_port_name could not be read: {names}")
    versions = sorted({item.firmware for item in built if item.firmware})
    return ConnectX7(
        hotplug_enabled=enabled,
        powered=powered,
        hotplug_marker=ask.exists(MARKER),
        ports=ports,
        ungrouped=ungrouped,
        plugged_after_boot=plugged,
        plug_events=tuple(log["plug_events"]) if log else (),
        firmware=versions[0] if versions else None,
        owners=foreign_files(ask, built, every.others),
    )


def read_log(ask: Ask) -> dict[str, Any] | None:
    """The kernel log of this boot, null when it cannot be read."""
    return ask.memo("plug-events", lambda: _read_log(ask))


def _read_log(ask: Ask) -> dict[str, Any] | None:
    text = kernel_log.text(ask)
    read = plug_events.read(text) if text is not None else None
    return read if read is not None and read["lines"] else None


def _flag(ask: Ask, name: str) -> bool | None:
    value = first(ask.number(f"{folder}/{name}") for folder in HOTPLUG)
    return None if value is None else value != 0


def _ports(built: list[Function]) -> tuple[tuple[Port, ...], tuple[Function, ...]]:
    """Functions grouped by phys_port_name and phys_switch_id, in PCI order."""
    groups: dict[tuple[str | None, int], list[Function]] = {}
    ungrouped = []
    for item in built:
        number = _port_number(item.phys_port_name)
        if number is None:
            ungrouped.append(item)
        else:
            groups.setdefault((item.phys_switch_id, number), []).append(item)
    ports = []
    for (switch, number), members in sorted(groups.items(), key=lambda pair: (pair[0][1], pair[0][0] or "")):
        carriers = [item.carrier for item in members]
        speeds = [item.speed_mbps for item in members if item.speed_mbps is not None]
        carrier = True if True in carriers else None if None in carriers else False
        ports.append(Port(number, switch, tuple(members), carrier, min(speeds) if speeds else None))
    return tuple(ports), tuple(ungrouped)


def _port_number(name: str | None) -> int | None:
    found = re.fullmatch(r"p([0-9]{1,2})", name or "")
    return int(found.group(1)) if found else None


def _function(ask: Ask, item: Found, others: tuple[str, ...]) -> Function:
    net = f"{NET}/{item.netdev}" if item.netdev else None
    told = interfaces(ask).facts(item.netdev)
    flags = hex_int(ask.word(f"{net}/flags")) if net else None
    names = told.get("flags") or []
    admin_up = bool(flags & 1) if flags is not None else ("UP" in names if names else None)
    mac = ((ask.word(f"{net}/address") if net else None) or told.get("mac") or "").lower() or None
    mtu = (ask.number(f"{net}/mtu") if net else None) or told.get("mtu")
    driver = ethtool_driver.read(ask.run("ethtool", "-i", item.netdev).stdout) if item.netdev and _firmware(ask, item) is None else {}
    addresses = addresses_of(told)
    if item.netdev and interfaces(ask).by_name is None:
        ask.miss("cx7.addresses", interfaces(ask).source)
    table = _gids(ask, item)
    port = port_folder(ask, item.rdma) if item.rdma else None
    link = link_states(ask).get(item.rdma or "", {}) if item.rdma and ask.word(f"{port}/state") is None else {}
    known = Function(netdev=item.netdev, mac=mac, driver=item.driver, pci_address=item.pci_address)
    managed = owner(ask, known, others) if item.netdev else None
    if managed is not None and managed.kind is None:
        ask.miss("cx7.owner", managed.reason)
    carrier = _carrier(ask, item, names, admin_up)
    return Function(
        netdev=item.netdev,
        rdma_device=item.rdma,
        pci_address=item.pci_address,
        pci_domain=int(item.pci_address.partition(":")[0], 16) if item.pci_address else None,
        pcie_width=to_int(_pcie(ask, item, "current_link_width")),
        pcie_max_width=to_int(_pcie(ask, item, "max_link_width")),
        pcie_speed=_pcie(ask, item, "current_link_speed"),
        mac=mac,
        phys_port_name=_net_word(ask, item, "phys_port_name") or _named_port(ask, item),
        phys_switch_id=_net_word(ask, item, "phys_switch_id"),
        mtu=mtu,
        admin_up=admin_up,
        carrier=carrier,
        operstate=(ask.word(f"{net}/operstate") if net else None) or _lower(told.get("operstate")),
        speed_mbps=_speed(ask, item, carrier),
        addresses=addresses,
        rdma_state=_state(ask.word(f"{port}/state") if port else None) or link.get("state"),
        rdma_physical_state=_physical(ask.word(f"{port}/phys_state") if port else None) or link.get("physical_state"),
        rdma_rate=ask.word(f"{port}/rate") if port else None,
        active_mtu=next((size for size in ROCE_MTUS if mtu is not None and size <= mtu - ROCE_OVERHEAD), None),
        gids=table,
        roce_v2_ipv4_gid_index=_gid_index(table, addresses),
        counters=_counters(ask, port) if port else {},
        firmware=_firmware(ask, item) or driver.get("firmware"),
        carrier_down_count=ask.number(f"{net}/carrier_down_count") if net else None,
        renderer=renderer_of(ask, item.netdev) if item.netdev else None,
        owner=managed.name if managed else None,
        owner_kind=managed.kind if managed else None,
        driver=item.driver or driver.get("driver"),
        master=told.get("master"),
        master_addresses=addresses_of(interfaces(ask).facts(told.get("master"))),
    )


def _lower(value: object) -> str | None:
    return value.lower() if isinstance(value, str) else None


def _net_word(ask: Ask, item: Found, name: str) -> str | None:
    return ask.word(f"{NET}/{item.netdev}/{name}") if item.netdev else None


def _named_port(ask: Ask, item: Found) -> str | None:
    """The port as a predictable interface name tells it, only where nobody recorded phys_port_name."""
    asked = ask.text(f"{NET}/{item.netdev}/phys_port_name")
    return named_port(item.netdev) if asked.error == NOT_RECORDED else None


def _carrier(ask: Ask, item: Found, flags: list[str], admin_up: bool | None) -> bool | None:
    """Carrier; the kernel refuses to tell it for an interface that is administratively down."""
    if item.netdev is None:
        return None
    value = ask.number(f"{NET}/{item.netdev}/carrier")
    if value is not None:
        return value == 1
    if "NO-CARRIER" in flags:
        return False
    if "LOWER_UP" in flags:
        return True
    if ask.word(f"{NET}/{item.netdev}/operstate") == "up":
        return True
    if admin_up is False:
        return None
    link: bool | None = ethtool.read(ask.run("ethtool", item.netdev).stdout)["link"]
    return link


def _speed(ask: Ask, item: Found, carrier: bool | None) -> int | None:
    """Mb/s of a link that is up. The kernel answers -1 or refuses where there is none."""
    if item.netdev is None or carrier is False:
        return None
    value = ask.number(f"{NET}/{item.netdev}/speed")
    if value is None and carrier:
        read: int | None = ethtool.read(ask.run("ethtool", item.netdev).stdout)["speed_mbps"]
        value = read
    return value if value is not None and value > 0 else None


def _pcie(ask: Ask, item: Found, name: str) -> str | None:
    folders = [f"/sys/bus/pci/devices/{item.pci_address}"] if item.pci_address else []
    folders += [f"{NET}/{item.netdev}/device"] if item.netdev else []
    folders += [f"/sys/class/infiniband/{item.rdma}/device"] if item.rdma else []
    value = first(ask.word(f"{folder}/{name}") for folder in folders)
    return value if value is not None else _recorded_pcie(ask, item).get(name)


def _recorded_pcie(ask: Ask, item: Found) -> dict[str, str]:
    """Link width and rate from a recording's ``lspci -vv``; sysfs holds both on a live desk."""
    found: dict[str, str] = {}
    for argv in ask.recorded("lspci"):
        if not any(word.startswith(("-v", "-Dv")) for word in argv):
            continue
        for block in re.split(r"\n(?=[0-9a-f])", ask.run(*argv).stdout[: 4 * 1024 * 1024]):
            place = block.partition(" ")[0].lower()
            if item.pci_address not in (place, f"0000:{place}"):
                continue
            for kind, name in (("Cap", "max"), ("Sta", "current")):
                told = re.search(rf"Lnk{kind}:[^\n]{{0,200}}?Speed ([0-9.]{{1,5}})GT/s[^\n]{{0,40}}?Width x([0-9]{{1,2}})", block)
                if told:
                    found |= {f"{name}_link_speed": f"{told.group(1)} GT/s", f"{name}_link_width": told.group(2)}
    return found


def _firmware(ask: Ask, item: Found) -> str | None:
    return ask.word(f"/sys/class/infiniband/{item.rdma}/fw_ver") if item.rdma else None


def _state(value: str | None) -> str | None:
    """ACTIVE of ``4: ACTIVE``."""
    return (value or "").rpartition(":")[2].strip() or None


def _physical(value: str | None) -> str | None:
    """LINK_UP of ``5: LinkUp``, as ``rdma link`` writes it."""
    name = _state(value)
    return _PHYSICAL.get(name or "", name.upper() if name else None)


def _gids(ask: Ask, item: Found) -> tuple[Gid, ...]:
    if item.rdma is None:
        return ()
    port = port_folder(ask, item.rdma)
    if ask.listing(f"{port}/gids").error is not None:
        ask.miss("cx7.gids", ask.listing(f"{port}/gids"))
    indexes = sorted(index for index in (to_int(name) for name in ask.names(f"{port}/gids")) if index is not None)
    found, empty = [], 0
    for index in indexes[:1024]:
        value = ask.word(f"{port}/gids/{index}") or ""
        if not value.replace("0", "").replace(":", ""):
            empty += 1
            if empty >= EMPTY_GIDS:
                break
            continue
        empty = 0
        netdev = ask.word(f"{port}/gid_attrs/ndevs/{index}")
        if netdev is not None and item.netdev is not None and netdev != item.netdev:
            continue
        kind = ask.text(f"{port}/gid_attrs/types/{index}")
        if kind.error is not None:
            ask.miss("cx7.gids", kind)
        found.append(Gid(index, value[:64].lower(), first_line(kind.text), gids.ipv4_of(value)))
    return tuple(found)


def _gid_index(table: tuple[Gid, ...], addresses: tuple[Address, ...]) -> int | None:
    """The first RoCE v2 GID of an IPv4 address that the interface has (of any, when its addresses are not known)."""
    own = {item.address for item in addresses if item.family == "inet"}
    for gid in table:
        if gid.kind == "RoCE v2" and gid.ipv4 is not None and (not own or gid.ipv4 in own):
            return gid.index
    return None


def _counters(ask: Ask, port: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for folder in ("counters", "hw_counters"):
        for name in ask.names(f"{port}/{folder}"):
            value = ask.number(f"{port}/{folder}/{name}") if name != "lifespan" else None
            if value is not None and len(found) < COUNTERS_LIMIT:
                found[name] = value
    return found
