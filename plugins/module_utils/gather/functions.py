# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ConnectX-7's functions: netdevs and RDMA devices joined by PCI address, never by name.

A netdev belongs to the adapter when its PCI device is 15b3:1021, or, where the id cannot be read, when its driver is mlx5_core. Where a
recording holds neither, an interface counts that an RDMA device names as its own, and last a predictable name of the adapter's fixed
place on the board (enp1s0f0np0 and its kin), whose PCI address is in the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..desk import MISSING, NOT_RECORDED, Answer
from ..readers import ethtool_driver, ibdev2netdev, rdma_link
from .ask import Ask, Source
from .links import NET, interfaces
from .pci import CX7_ID, device_id, pci
from .pci import FOLDER as BUS

INFINIBAND = "/sys/class/infiniband"
DRIVER = "mlx5_core"
LINKS = (("rdma", "link", "show"), ("rdma", "link"), ("rdma", "-j", "link", "show"), ("rdma", "-j", "link"))
FUNCTIONS_LIMIT = 64

_ADDRESS = re.compile(r"([0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7])(?:/|$)")
_PREDICTABLE = re.compile(r"en(?:P([0-9]{1,4}))?p([0-9]{1,3})s([0-9]{1,3})f([0-7])n(p[01])")
_PREDICTABLE_RDMA = re.compile(r"roce(?:P([0-9]{1,4}))?p([0-9]{1,3})s([0-9]{1,3})f([0-7])")


@dataclass
class Found:
    """One function as it is being put together."""

    pci_address: str | None = None
    netdev: str | None = None
    rdma: str | None = None
    driver: str | None = None


@dataclass(frozen=True)
class Functions:
    """The functions found, and what failed when the adapter could not be looked for."""

    found: tuple[Found, ...]
    looked: bool
    sources: tuple[Source, ...]
    others: tuple[str, ...]
    """Interfaces that are no ConnectX-7 function."""


def functions(ask: Ask) -> Functions:
    """The adapter's functions."""
    return ask.memo("functions", lambda: _functions(ask))


def address_in(target: str | None) -> str | None:
    """The last PCI address in a sysfs path."""
    found = _ADDRESS.findall((target or "")[-500:])
    return found[-1].lower() if found else None


def named_port(netdev: str | None) -> str | None:
    """The port name inside a predictable interface name: udev made the name of enp1s0f0np0 from phys_port_name p0. Null for any other
    name, because users rename."""
    found = _PREDICTABLE.fullmatch(netdev or "")
    return found.group(5) if found else None


def _named_place(pattern: re.Pattern[str], name: str) -> str | None:
    """The PCI address inside a predictable name."""
    found = pattern.fullmatch(name)
    if found is None:
        return None
    domain, bus, slot, function = (int(part or 0) for part in found.groups()[:4])
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function}"


def _functions(ask: Ask) -> Functions:
    net = ask.listing(NET)
    rdma = ask.listing(INFINIBAND)
    bus = pci(ask)
    # A recording may hold the answers of the tools and nothing of sysfs.
    names = tuple(interfaces(ask).by_name or ()) if net.error == NOT_RECORDED else net.names
    unplaced = any(_rdma_place(ask, device) is None and _ndev(ask, device) is None for device in rdma.names)
    rdma_links = _rdma_links(ask, unplaced or rdma.error not in (None, MISSING))
    owned = {netdev for _device, netdev in rdma_links.items() if netdev}
    by_key: dict[str, Found] = {}
    others: list[str] = []
    for name in names[:1024]:
        place, driver, belongs = _netdev(ask, name, owned)
        if belongs:
            item = by_key.setdefault(place or f"netdev {name}", Found(place))
            # A VLAN or a representor on the same PCI device must not hide the function's own netdev.
            if item.netdev is None:
                item.netdev, item.driver = name, driver
        elif name != "lo":
            others.append(name)
    # What sysfs lists is all there is; the tools' list counts where sysfs could not be listed.
    for device in sorted(rdma.names if rdma.error is None else set(rdma.names) | set(rdma_links)):
        netdev = rdma_links.get(device) or _ndev(ask, device)
        place = _rdma_place(ask, device) or _named_place(_PREDICTABLE_RDMA, device)
        identity, driver = _rdma_id(ask, device, place)
        if not _is_cx7(identity, driver, assume=netdev is not None or device.startswith(("roce", "mlx5_"))):
            continue
        same = by_key.get(place or "") or next((found for found in by_key.values() if netdev and found.netdev == netdev), None)
        item = same if same is not None else by_key.setdefault(place or f"rdma {device}", Found(place))
        item.rdma = item.rdma or device
        item.pci_address = item.pci_address or place
        if item.netdev is None and netdev and "." not in netdev:
            item.netdev = netdev
    for place in bus.having(CX7_ID):
        if re.fullmatch(_ADDRESS.pattern, place):
            by_key.setdefault(place, Found(place, driver=bus.drivers.get(place)))
    for item in by_key.values():
        # Where the class folders could not be listed, the PCI device names what hangs below it.
        if item.pci_address is not None and item.netdev is None:
            item.netdev = next(iter(ask.names(f"{BUS}/{item.pci_address}/net")), None)
        if item.pci_address is not None and item.rdma is None:
            item.rdma = next(iter(ask.names(f"{BUS}/{item.pci_address}/infiniband")), None)
    told_by_tools = net.error == NOT_RECORDED and interfaces(ask).by_name is not None
    looked = bool(by_key) or net.error is None or bus.devices is not None or told_by_tools
    stray = [key for key, item in by_key.items() if item.pci_address is None and item.netdev is None]
    if stray and len(stray) < len(by_key):
        # Nothing tells whose RDMA devices these are: they are no functions of their own.
        ask.miss("cx7.rdma_devices", f"nothing recorded gives the interface of {', '.join(by_key.pop(key).rdma or '?' for key in stray)}")
    found = sorted(by_key.values(), key=lambda item: (item.pci_address or "~", item.netdev or "", item.rdma or ""))
    return Functions(tuple(found[:FUNCTIONS_LIMIT]), looked, (net, rdma), tuple(others))


def _is_cx7(identity: tuple[str | None, str | None], driver: str | None, assume: bool = False) -> bool:
    if identity[0] is not None:
        return identity == CX7_ID
    if driver is not None:
        return driver == DRIVER
    return assume


def _netdev(ask: Ask, name: str, owned: set[str]) -> tuple[str | None, str | None, bool]:
    """A netdev's PCI address, its driver and whether it is one of the adapter's."""
    folder = f"{NET}/{name}/device"
    target = ask.target(folder)
    place = address_in(target)
    identity, driver = device_id(ask, folder)
    if identity[0] is None and place is not None:
        identity = (pci(ask).devices or {}).get(place, (None, None))
    if identity[0] is None and driver is None:
        if name == "lo" or (target is None and ask.listing(folder).error is None and not ask.names(folder)):
            return None, None, False
        named = _named_place(_PREDICTABLE, name)
        place = place or named
        if named is None and name not in owned and not _switched(ask, name):
            answer = ask.run("ethtool", "-i", name) if target is not None else None
            told = ethtool_driver.read(answer.stdout) if answer is not None and answer.ok else {}
            return place or address_in(told.get("bus_info")), told.get("driver"), told.get("driver") == DRIVER
        return place, None, True
    return place, driver, _is_cx7(identity, driver)


def _switched(ask: Ask, name: str) -> bool:
    """Whether a netdev names a port of a switch, as the adapter's do and the Realtek and the Wi-Fi do not."""
    port = ask.word(f"{NET}/{name}/phys_port_name") or ""
    return bool(re.fullmatch(r"p[01]", port) and ask.word(f"{NET}/{name}/phys_switch_id"))


def _rdma_place(ask: Ask, device: str) -> str | None:
    place = address_in(ask.target(f"{INFINIBAND}/{device}/device"))
    if place is None:
        # The class entry itself is a link that runs through the PCI device.
        place = address_in((ask.target(f"{INFINIBAND}/{device}") or "").partition("/infiniband/")[0])
    return place


def _rdma_id(ask: Ask, device: str, place: str | None) -> tuple[tuple[str | None, str | None], str | None]:
    identity = (pci(ask).devices or {}).get(place or "", (None, None))
    if identity[0] is not None:
        return identity, None
    return device_id(ask, f"{INFINIBAND}/{device}/device")


def port_folder(ask: Ask, device: str) -> str:
    """The device's port folder in sysfs; a ConnectX-7 function has one port, 1."""
    names = ask.names(f"{INFINIBAND}/{device}/ports")
    return f"{INFINIBAND}/{device}/ports/{names[0] if names else 1}"


def _ndev(ask: Ask, device: str) -> str | None:
    """The netdev of an RDMA device: what its device folder lists, else the one that its GIDs name."""
    listed = [name for name in ask.names(f"{INFINIBAND}/{device}/device/net") if "." not in name]
    if listed:
        return listed[0]
    folder = f"{port_folder(ask, device)}/gid_attrs/ndevs"
    for index in sorted(ask.names(folder), key=lambda name: (len(name), name))[:16]:
        netdev = ask.word(f"{folder}/{index}")
        if netdev and "." not in netdev:
            return netdev
    return None


def link_states(ask: Ask) -> dict[str, dict[str, str | None]]:
    """What ``rdma link show`` says, by device."""
    return ask.memo("rdma-links", lambda: {item["device"]: item for item in rdma_link.read(_ask_links(ask).stdout)})


def _ask_links(ask: Ask) -> Answer:
    forms = [argv for argv in ask.recorded("rdma") if "link" in argv and "statistic" not in argv]
    return ask.first_answer(*LINKS, *forms)


def _rdma_links(ask: Ask, needed: bool) -> dict[str, str | None]:
    """RDMA device to netdev from the tools, where sysfs could not be listed."""
    if not needed:
        return {}
    found = {device: item["netdev"] for device, item in link_states(ask).items()}
    if not found:
        answer = ask.first_answer(("ibdev2netdev",), *ask.recorded("ibdev2netdev"))
        found = {item["device"]: item["netdev"] for item in ibdev2netdev.read(answer.stdout)}
    return found
