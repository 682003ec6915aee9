"""The part of /sys (and /proc) that a container has no hardware for, as a tree of files and links.

``tree`` is pure: it says what the files hold.  ``Sync`` writes the difference in place, so that bind mounts, overlay
mounts and open readers keep working.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .counters import Traffic, hw_counters, port_counters
from .desk import Desk, fault_functions
from .netlink import Link
from .view import Function

GID_SLOTS = 16
GPU_ROOT, GPU = "000f:00:00.0", "000f:01:00.0"


@dataclass(frozen=True)
class SymLink:
    """A symbolic link, target as written."""

    target: str


Node = str | SymLink
Tree = dict[str, Node]


def device_path(pci: str) -> str:
    """Path of a PCI device below /sys, under the root port of its domain."""
    domain = pci.split(":")[0]
    root = f"{domain}:00:00.0"
    base = f"devices/pci{domain}:00/{root}"
    return base if pci == root else f"{base}/{pci}"


def _pci(tree: Tree, pci: str, facts: dict[str, str], driver: str | None) -> None:
    path = device_path(pci)
    for name, value in facts.items():
        tree[f"{path}/{name}"] = value + "\n"
    tree[f"{path}/numa_node"] = "0\n"
    tree[f"{path}/enable"] = "1\n"
    modalias = f"PCI_SLOT_NAME={pci}\n"
    tree[f"{path}/uevent"] = (f"DRIVER={driver}\n" if driver else "") + modalias
    tree[f"bus/pci/devices/{pci}"] = SymLink(f"../../../{path}")
    if driver:
        tree[f"{path}/driver"] = SymLink(os.path.relpath(f"bus/pci/drivers/{driver}", path))
        tree[f"bus/pci/drivers/{driver}/{pci}"] = SymLink(f"../../../../{path}")


def _ids(vendor: int, device: int, klass: int) -> dict[str, str]:
    return {"vendor": f"0x{vendor:04x}", "device": f"0x{device:04x}", "class": f"0x{klass:06x}"}


def _link(width: int, speed: str, max_width: int, max_speed: str) -> dict[str, str]:
    return {
        "current_link_width": str(width),
        "current_link_speed": speed,
        "max_link_width": str(max_width),
        "max_link_speed": max_speed,
    }


def guid(mac: str, offset: int = 0) -> str:
    """EUI-64 style GUID of a MAC, in the form of sysfs."""
    value = (int(mac.replace(":", ""), 16) + offset) & 0xFFFFFFFFFFFF
    digits = f"{value:012x}"
    full = digits[:6] + "0300" + digits[6:]
    return ":".join(full[i : i + 4] for i in range(0, 16, 4))


def system_guid(functions: list[Function]) -> str:
    """One GUID for the whole chip, from its lowest MAC."""
    return guid(min(f.mac for f in functions))


def real_infiniband(tree: Tree, desk: Desk, functions: list[Function]) -> None:
    """Hang the kernel's own RDMA devices below the functions; on top what soft-RoCE cannot say."""
    firmware = desk.model.get("cx7", {})
    for function in functions:
        if not function.live:
            continue
        base = f"{device_path(function.pci)}/infiniband/{function.rdma}"
        tree[f"class/infiniband/{function.rdma}"] = SymLink(f"../../{base}")
        tree[f"{base}/"] = ""
        up = f"up/{function.rdma}"
        tree[f"{up}/device"] = SymLink("../../../" + function.pci)
        tree[f"{up}/fw_ver"] = firmware.get("firmware", "28.45.4028") + "\n"
        tree[f"{up}/board_id"] = firmware.get("psid", "NVD0000000087") + "\n"
        for name in machine.COUNTERS:
            tree[f"{up}/ports/1/counters/{name}"] = f"{machine.port_counter(function.netdev, name)}\n"


def infiniband(tree: Tree, desk: Desk, functions: list[Function], traffic: dict[str, Traffic]) -> None:
    """Add the RDMA devices of all functions."""
    firmware = desk.model.get("cx7", {})
    for number, function in enumerate(functions):
        base = f"{device_path(function.pci)}/infiniband/{function.rdma}"
        tree[f"class/infiniband/{function.rdma}"] = SymLink(f"../../{base}")
        tree[f"{base}/device"] = SymLink("../../../" + function.pci)
        facts = {
            "node_guid": guid(function.mac),
            "sys_image_guid": system_guid(functions),
            "fw_ver": firmware.get("firmware", "28.45.4028"),
            "board_id": firmware.get("psid", "NVD0000000087"),
            "hca_type": "MT4129",
            "hw_rev": "0",
            "node_type": "1: CA",
            "node_desc": f"{desk.hostname} {function.rdma}",
        }
        for name, value in facts.items():
            tree[f"{base}/{name}"] = value + "\n"
        port = f"{base}/ports/1"
        for name, value in {
            "state": function.state,
            "phys_state": function.phys_state,
            "rate": function.rate,
            "link_layer": "Ethernet",
            "lid": "0x0",
            "lid_mask_count": "0",
            "sm_lid": "0x0",
            "sm_sl": "0",
            "cap_mask": "0x00010000",
        }.items():
            tree[f"{port}/{name}"] = value + "\n"
        for gid in function.gids:
            tree[f"{port}/gids/{gid.index}"] = gid.value + "\n"
            tree[f"{port}/gid_attrs/types/{gid.index}"] = gid.kind + "\n"
            tree[f"{port}/gid_attrs/ndevs/{gid.index}"] = function.netdev + "\n"
        for slot in range(len(function.gids), GID_SLOTS):
            tree[f"{port}/gids/{slot}"] = ":".join(["0000"] * 8) + "\n"
        tree[f"{port}/pkeys/0"] = "0xffff\n"
        data = traffic.get(function.rdma, Traffic())
        for name, number_ in port_counters(data).items():
            tree[f"{port}/counters/{name}"] = f"{number_}\n"
        for name, number_ in hw_counters(data).items():
            tree[f"{port}/hw_counters/{name}"] = f"{number_}\n"
        verbs = f"{device_path(function.pci)}/infiniband_verbs/uverbs{number}"
        tree[f"class/infiniband_verbs/uverbs{number}"] = SymLink(f"../../{verbs}")
        tree[f"{verbs}/ibdev"] = function.rdma + "\n"
        tree[f"{verbs}/abi_version"] = "1\n"


def tree(desk: Desk, functions: list[Function], links: dict[str, Link], traffic: dict[str, Traffic]) -> Tree:
    """Everything below /sys that this desk adds, and below ``proc/`` what it puts over /proc."""
    out: Tree = {"class/infiniband/": "", "class/infiniband_verbs/": "", "class/net/": "", "up/": "", "proc/driver/": ""}
    if desk.virtual:
        del out["class/infiniband_verbs/"]
    for pci in ("0000:00:00.0", "0002:00:00.0"):
        below = [f for f in functions if f.root == pci]
        width = min((f.width for f in below), default=4)
        _pci(out, pci, {**_ids(0x14C3, 0x0A06, 0x060400), **_link(width, "32.0 GT/s PCIe", 4, "32.0 GT/s PCIe")}, "pcieport")
    for function in functions:
        facts = {
            **_ids(0x15B3, 0x1021, 0x020000),
            "subsystem_vendor": "0x15b3",
            "subsystem_device": "0x0087",  # not captured
            **_link(function.width, function.link_speed, 4, "32.0 GT/s PCIe"),
        }
        _pci(out, function.pci, facts, "mlx5_core")
    if desk.virtual:
        real_infiniband(out, desk, functions)
    else:
        infiniband(out, desk, functions, traffic)
    # The GPU reads gen1 x1 on a healthy machine.
    _pci(out, GPU_ROOT, {**_ids(0x10DE, 0x22CE, 0x060400), **_link(1, "2.5 GT/s PCIe", 1, "2.5 GT/s PCIe")}, "pcieport")
    gpu_driver = "nvidia" if desk.driver().module_version else None
    _pci(out, GPU, {**_ids(0x10DE, 0x2E12, 0x030000), **_link(1, "2.5 GT/s PCIe", 1, "2.5 GT/s PCIe")}, gpu_driver)
    _management(out, desk, links)
    for function in functions:
        if function.live:
            _netdev(out, desk, function, links[function.netdev])
    named = {f.netdev for f in functions} | {m for m in (_management_name(desk),) if m in links}
    for name in links:
        if name not in named:
            out[f"class/net/{name}"] = SymLink(f"../../devices/virtual/net/{name}")
    hotplug = "devices/platform/MTKP0001:00/pcie_hotplug"
    out[f"{hotplug}/hotplug_enabled"] = "1\n" if desk.hotplug_enabled else "0\n"
    out[f"{hotplug}/debug_state"] = "1\n" if desk.powered else "0\n"
    _dmi(out, desk)
    _proc(out, desk)
    if desk.virtual:
        _for_pcilib(out)
    return out


def _for_pcilib(out: Tree) -> None:
    """The files without which pcilib gives up (the real perftest looks at the whole bus)."""
    for path in [path for path in out if path.startswith("devices/pci") and path.endswith("/vendor")]:
        folder = path.rpartition("/")[0]
        out[f"{folder}/resource"] = (" ".join(["0x" + "0" * 16] * 3) + "\n") * 13
        out[f"{folder}/irq"] = "0\n"
        out[f"{folder}/config"] = "\0" * 256


def _management_name(desk: Desk) -> str:
    return str((desk.data.get("management") or {}).get("netdev", "enP7s7"))


def _management(out: Tree, desk: Desk, links: dict[str, Link]) -> None:
    """The wired and the wireless adapter; both are on the bus, one of them is used."""
    adapters = {
        "enP7s7": ("0007", _ids(0x10EC, 0x8127, 0x020000), "r8127", "10000"),
        "wlP9s9": ("0009", _ids(0x14C3, 0x7925, 0x028000), "mt7925e", "-1"),
    }
    name = _management_name(desk)
    for netdev, (domain, ids, driver, speed) in adapters.items():
        pci = f"{domain}:01:00.0"
        _pci(out, f"{domain}:00:00.0", {**_ids(0x14C3, 0x0A06, 0x060400), **_link(1, "8.0 GT/s PCIe", 1, "8.0 GT/s PCIe")}, "pcieport")
        _pci(out, pci, {**ids, **_link(1, "8.0 GT/s PCIe", 1, "8.0 GT/s PCIe")}, driver)
        if name == netdev and name in links:
            out[f"class/net/{name}"] = SymLink(f"../../{device_path(pci)}/net/{name}")
            out[f"{device_path(pci)}/net/{name}/"] = ""
            up = f"up/{name}"
            out[f"{up}/device"] = SymLink(f"../../../{pci}")
            out[f"{up}/speed"] = (speed if links[name].carrier else "-1") + "\n"
            out[f"{up}/iflink"] = f"{links[name].index}\n"
            if domain == "0009":
                out[f"{up}/wireless/"] = ""
                out[f"{up}/phy80211"] = SymLink("../../ieee80211/phy0")


def _netdev(out: Tree, desk: Desk, function: Function, link: Link) -> None:
    """What a veth cannot say about a ConnectX-7 netdev; the rest of the folder is the live one."""
    name = function.netdev
    out[f"class/net/{name}"] = SymLink(f"../../{device_path(function.pci)}/net/{name}")
    out[f"{device_path(function.pci)}/net/{name}/"] = ""
    up = f"up/{name}"
    out[f"{up}/device"] = SymLink(f"../../../{function.pci}")
    out[f"{up}/phys_port_name"] = function.port_name + "\n"
    out[f"{up}/phys_switch_id"] = str(desk.data.get("switch_id", "")) + "\n"
    out[f"{up}/speed"] = f"{function.speed_mbps if function.carrier else -1}\n"
    out[f"{up}/duplex"] = "full\n" if function.carrier else "unknown\n"
    out[f"{up}/iflink"] = f"{link.index}\n"
    out[f"{up}/dev_id"] = "0x0\n"
    out[f"{up}/dev_port"] = f"{function.port}\n"
    flapping = desk.fault("flapping")
    if flapping is not None and int(flapping.get("port", function.port)) == function.port:
        count = int(flapping.get("count", 21))
        out[f"{up}/carrier_down_count"] = f"{count}\n"
        out[f"{up}/carrier_up_count"] = f"{count + function.carrier}\n"
        out[f"{up}/carrier_changes"] = f"{2 * count + function.carrier}\n"


def _dmi(out: Tree, desk: Desk) -> None:
    """World-readable DMI strings; serials are root-only, as on the machine (mode set by Sync)."""
    dmi = dict(desk.model.get("dmi", {}))
    dmi.setdefault("chassis_vendor", dmi.get("sys_vendor", ""))
    dmi.setdefault("chassis_type", "3")
    base = "devices/virtual/dmi/id"
    out["class/dmi/id"] = SymLink(f"../../{base}")
    for name, value in dmi.items():
        out[f"{base}/{name}"] = f"{value}\n"
    for name in PRIVATE:
        out[f"{base}/{name}"] = desk.serial + "\n"


PRIVATE = ("product_serial", "board_serial", "chassis_serial", "product_uuid")


def _proc(out: Tree, desk: Desk) -> None:
    driver = desk.driver()
    if driver.module_version:
        kind = "Open Kernel Module for aarch64" if driver.open else "aarch64 Kernel Module"
        build = desk.model["driver"].get("module_build", "Sat May 23 04:11:52 UTC 2026")
        out["proc/driver/nvidia/version"] = (
            f"NVRM version: NVIDIA UNIX {kind}  {driver.module_version}  Release Build  (dvs-builder@U22-I3-SIM-01-1)  {build}\n"
            "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04.1) \n"
        )
        out["proc/driver/nvidia/params"] = "ResmanDebugLevel: 4294967295\nOpenRmEnableUnsupportedGpus: 1\n"
    out["proc/meminfo"] = meminfo(desk)


def meminfo(desk: Desk) -> str:
    """/proc/meminfo of the model; the kernel handover fault empties CmaTotal but not CmaFree."""
    values = {k: int(v) for k, v in desk.model.get("meminfo", {}).items()}
    if desk.fault("kho_enomem") is not None:
        values["CmaTotal"] = 0
        values["CmaFree"] = max(values.get("CmaFree", 0), 65536)
    gpu = desk.fault("gpu_process")
    if gpu is not None:
        used = int(gpu.get("mib", 21504)) * 1024
        for name in ("MemFree", "MemAvailable"):
            values[name] = max(values.get(name, 0) - used, 1048576)
    order = ["MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal"]
    order += ["SwapFree", "Dirty", "Writeback", "AnonPages", "Mapped", "Shmem", "Slab", "CommitLimit", "Committed_AS"]
    order += ["CmaTotal", "CmaFree"]
    lines = [f"{name + ':':<16}{values.get(name, 0):>8} kB\n" for name in order]
    lines += ["HugePages_Total:       0\n", "HugePages_Free:        0\n", "Hugepagesize:       2048 kB\n"]
    return "".join(lines)


def write_text(target: Path, text: str, mode: int = 0o444) -> None:
    """Write a file in place: bind mounts and open readers keep it."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        data = text.encode()
        os.pwrite(handle, data, 0)
        os.ftruncate(handle, len(data))
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


class Sync:
    """Write a tree below a folder and remove what an earlier tree had and this one has not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._before: Tree = {}

    def apply(self, new: Tree) -> None:
        kept = {path.rstrip("/") for path in new if path.endswith("/")}
        for path in sorted(set(self._before) - set(new), reverse=True):
            self._remove(path, kept)
        for path, node in new.items():
            if self._before.get(path) != node or path not in self._before:
                self._write(path, node)
        self._before = dict(new)

    def adopt(self, manifest: Path) -> None:
        """Take over what an earlier daemon wrote, so that what is gone since gets removed."""
        with contextlib.suppress(OSError, ValueError):
            self._before = dict.fromkeys(json.loads(manifest.read_text(encoding="utf-8")), "\0")

    def save(self, manifest: Path) -> None:
        """Leave the list of paths for the next daemon."""
        manifest.write_text(json.dumps(sorted(self._before)), encoding="utf-8")

    def _write(self, path: str, node: Node) -> None:
        target = self.root / path
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(node, SymLink):
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(target) == node.target:
                    return
                os.unlink(target)
            os.symlink(node.target, target)
            return
        write_text(target, node, 0o400 if target.name in PRIVATE else 0o444)

    def _remove(self, path: str, kept: set[str]) -> None:
        target = self.root / path.rstrip("/")
        with contextlib.suppress(OSError):
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target) if path.startswith("up/") else target.rmdir()
            else:
                target.unlink()
        parent = target.parent
        while parent != self.root and str(parent.relative_to(self.root)) not in kept:
            try:
                parent.rmdir()
            except OSError:
                return
            parent = parent.parent


def half_open(desk: Desk) -> list[str]:
    """Netdevs whose RDMA carries nothing although every status is green."""
    default = [f["netdev"] for f in desk.data["functions"] if f["pci"] == "0002:01:00.0"]
    return fault_functions(desk, "rdma_one_half", default)
