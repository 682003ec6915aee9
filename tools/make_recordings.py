# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the recordings below tests/recordings: from the descriptions in this file, and from the packed ones that lie there.

    python3 tools/make_recordings.py                make those that are missing or out of date (about two seconds)
    python3 tools/make_recordings.py --check        exit 1 and name the golden that differs from what its description makes
    python3 tools/make_recordings.py --pack FOLDER  keep a recording as one file, tests/recordings/NAME.yml (with --name NAME)

Git keeps one file for each recording that cannot be made: those of real desks, and a few of the made ones as goldens, which show in
a review what a change of the format does. The folders are made, git ignores them; tests, tests/replay.py and the simulator ask for them.
"""

from __future__ import annotations

import argparse
import fcntl
import filecmp
import hashlib
import importlib
import os
import re
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.packed_recording import PackError, expand, pack  # noqa: E402
from tools.recorded_machine import Machine, build  # noqa: E402

PACKAGE = "ansible_collections.labops.dgx_spark"
TARGET = ROOT / "tests" / "recordings"
STAMP = ".made"
"""Holds the digest of what the folders beside it were made from, and their names, one a line."""

SOURCES = (
    *("tools/make_recordings.py", "tools/recorded_machine.py", "tools/packed_recording.py"),
    "plugins/plugin_utils/recording_writer.py",
)
NEWER = "6.17.0-1029-nvidia"
RUNNING = "6.17.0-1021-nvidia"

ASUS = {
    "sys_vendor": "ASUSTeK COMPUTER INC.",
    "product_name": "GX10",
    "product_version": "5.36_GX10DGX",
    "board_vendor": "ASUSTeK COMPUTER INC.",
    "board_name": "GX10",
    "bios_version": "GX10DGX.0105.2026.0505.1153",
    "bios_date": "05/05/2026",
}


def oem(vendor: str, product: str, bios: str, **more: str) -> dict[str, str]:
    """DMI of a partner's board; what public reports do not show is left out."""
    return {"sys_vendor": vendor, "product_name": product, "bios_version": bios, "board_vendor": vendor, **more}


def linked(machine: Machine, **changes: Any) -> Machine:
    """Change every function that has a link."""
    for item in machine.functions:
        if item.linked:
            for name, value in changes.items():
                setattr(item, name, value)
    return machine


def addressed(machine: Machine, nets: tuple[str, str] = ("192.168.100", "192.168.101"), mtu: int = 9000) -> Machine:
    """Give both functions of each cabled port an address in a network of its own."""
    for item in machine.functions:
        if item.linked:
            item.ipv4, item.mtu = [f"{nets[item.domain // 2]}.{10 + 2 * (1 - item.port)}/24"], mtu
    return machine


def one(machine: Machine, netdev: str, **changes: Any) -> Machine:
    """Change one function."""
    for item in machine.functions:
        if item.netdev == netdev:
            for name, value in changes.items():
                setattr(item, name, value)
    return machine


def netplan(addresses: dict[str, str], renderer: str = "NetworkManager", mtu: int = 9000) -> str:
    """A netplan file for some interfaces."""
    text = f"network:\n  version: 2\n  renderer: {renderer}\n  ethernets:\n"
    for netdev, address in addresses.items():
        text += f"    {netdev}:\n      addresses: [{address}]\n      dhcp4: false\n      mtu: {mtu}\n"
    return text


TWINS = ("enp1s0f1np1", "enP2p1s0f1np1")
Maker = Callable[[str, int], Machine]


def healthy_7_2_3(name: str, number: int) -> Machine:
    """Factory image of 2025 with a cable."""
    return Machine(
        name,
        number,
        "Founders Edition on the factory image 7.2.3: no hotplug power saving, port 1 cabled",
        otas=[],
        ubuntu="24.04.3",
        kernel="6.11.0-1016-nvidia",
        driver="580.95.05",
        hotplug=False,
    )


def healthy_7_6_0(name: str, number: int) -> Machine:
    """September 2026: the 7.0 kernel with its cure."""
    return Machine(
        name,
        number,
        "Founders Edition on 7.6.0 with kernel 7.0.0-1019 and kho=off from nvidia-spark-grub-kho",
        otas=[("7.5.0", "Tue Apr 21 09:41:10 UTC 2026"), ("7.6.0", "Sun Sep 27 18:02:11 UTC 2026")],
        ubuntu="24.04.5",
        kernel="7.0.0-1019-nvidia",
        kho="off",
        driver="580.178.04",
        packages={"nvidia-spark-grub-kho": "1.0-1"},
        held=True,
    )


def stacked(name: str, number: int) -> Machine:
    """As stack_pair.yml leaves a desk."""
    machine = addressed(
        Machine(name, number, "Founders Edition as stack_pair.yml leaves it: our netplan file, MTU 9000, packages held", held=True)
    )
    machine.netplan = {
        "/etc/netplan/90-dgx-spark-link.yaml": netplan(dict(zip(TWINS, ("192.168.100.10/24", "192.168.101.10/24"), strict=True)))
    }
    machine.profiles = {name: f"netplan-{name}" for name in TWINS}
    return machine


def unmanaged(name: str, number: int) -> Machine:
    """A stacked desk on which somebody told NetworkManager to leave the adapter alone; the addresses are still there."""
    machine = stacked(name, number)
    machine.description, machine.expect = "NetworkManager was told to leave the ConnectX-7 alone (unmanaged-devices)", ["CX7_NOT_MANAGED"]
    machine.profiles, machine.managed = {}, dict.fromkeys(TWINS, "unmanaged")
    return machine


def asus(name: str, number: int) -> Machine:
    """Four OTA updates, the last with a date in French."""
    dates = (
        "Thu Jan 15 19:07:36 CET 2026",
        "Mon Feb  2 19:34:58 CET 2026",
        "Sat Apr  4 15:11:50 CEST 2026",
        "mer. 16 sept. 2026 17:08:05 CEST",
    )
    return Machine(
        name,
        number,
        "ASUS Ascent GX10 on 7.6.0: four OTA updates appended, the last date in the owner's language, kernel 6.17",
        host=f"gx10-{0x51E0 + number:04x}",
        dmi=ASUS,
        platform="GX10",
        otas=list(zip(("7.3.1", "7.4.0", "7.5.0", "7.6.0"), dates, strict=True)),
        ubuntu="24.04.5",
        kernel="6.17.0-1032-nvidia",
        driver="580.178.04",
    )


def lenovo(name: str, number: int) -> Machine:
    """ThinkStation PGX."""
    return Machine(
        name,
        number,
        "Lenovo ThinkStation PGX on 7.5.0",
        dmi=oem("LENOVO", "30KLS02X00", "S0QKT09A", bios_date="10/14/2025"),
        driver="580.142",
        kernel="6.17.0-1014-nvidia",
        held=True,
    )


def msi(name: str, number: int) -> Machine:
    """EdgeXpert; its DMI vendor was not captured by any report, so the file holds the maker's usual one."""
    dmi = oem("Micro-Star International Co., Ltd.", "MS-C931", "5.36_1.6.0")
    return Machine(
        name,
        number,
        "MSI EdgeXpert on 7.5.0",
        host=f"edgexpert-{0x2C00 + number:04x}",
        dmi=dmi,
        driver="580.142",
        kernel="6.17.0-1018-nvidia",
    )


def gigabyte(name: str, number: int) -> Machine:
    """AI TOP ATOM without a cable: its netdevs stay."""
    return Machine(
        name,
        number,
        "GIGABYTE AI TOP ATOM on 7.5.0 without a cable: the functions stay on the bus, none has carrier",
        host=f"aitopatom-{0x9A00 + number:04x}",
        dmi=oem("GIGABYTE", "AI TOP ATOM", "5.36_0ACUM08"),
        kernel="6.17.0-1014-nvidia",
        driver="580.142",
        hotplug=None,
        cabled=(),
        expect=["CX7_LINK_DOWN"],
        missing=["/sys/devices/platform/MTKP0001:00", "/sys/bus/platform/devices/MTKP0001:00", "/etc/nvidia/cx7-hotplug-enabled"],
    )


def dell(name: str, number: int) -> Machine:
    """Pro Max."""
    return Machine(
        name,
        number,
        "Dell Pro Max with GB10 on 7.5.0, networkd",
        host=f"promaxgb10-{0x7700 + number:04x}",
        dmi=oem("Dell Inc.", "Dell Pro Max with GB10 FCM1253", "5.36_3.0.0"),
        renderer="networkd",
    )


def hp(name: str, number: int) -> Machine:
    """Unquoted dgx-release."""
    return Machine(
        name,
        number,
        "HP ZGX Nano G1n on 7.5.0: values of dgx-release without quotes",
        quoted=False,
        platform="HP ZGX Nano G1n AI Station",
        dmi=oem("HP", "HP ZGX Nano G1n AI Station", "5.36_1.2.0"),
    )


def without_root(name: str, number: int) -> Machine:
    """What an unprivileged audit sees."""
    return Machine(
        name,
        number,
        "A healthy Founders Edition read without root: serial, kernel log and GRUB's environment are refused",
        root=False,
        expect=["FACTS_INCOMPLETE"],
    )


def sized(name: str, number: int) -> Machine:
    """The 64 GB model."""
    machine = Machine(
        name, number, "The 64 GB model; its MemTotal is half of the visible memory of the 128 GB model", expect=["MEMORY_SHORT"]
    )
    machine.memory |= {"MemTotal": 63767542, "MemFree": 50210344, "MemAvailable": 57204880}
    return machine


def both_ports(name: str, number: int) -> Machine:
    """Two cables."""
    return Machine(name, number, "Both ports cabled, nothing addressed yet", cabled=(0, 1), expect=["CX7_NO_ADDRESS"])


def renamed(name: str, number: int) -> Machine:
    """Interfaces and RDMA devices with names of the owner's choice."""
    machine = Machine(name, number, "Interfaces renamed and RDMA devices called mlx5_0 to mlx5_3: only phys_port_name tells the ports")
    for place, item in enumerate(machine.functions):
        item.netdev, item.rdma = ("fabric-a0", "fabric-a1", "fabric-b0", "fabric-b1")[place], f"mlx5_{place}"
    return addressed(machine)


def no_cable(name: str, number: int) -> Machine:
    """Hotplug removed the adapter."""
    machine = Machine(
        name,
        number,
        "No cable with hotplug on: all four functions were removed, by design",
        powered=False,
        cabled=(),
        expect=["CX7_ABSENT_NO_CABLE"],
    )
    machine.functions = []
    return machine


def no_cable_hotplug_off(name: str, number: int) -> Machine:
    """7.2.3 without a cable."""
    machine = healthy_7_2_3(name, number)
    machine.description = "Factory image 7.2.3 without a cable, hotplug power saving off: the functions stay, down"
    machine.expect = ["CX7_LINK_DOWN"]
    for item in machine.functions:
        item.linked = False
    return machine


def adapter_missing(name: str, number: int) -> Machine:
    """Powered, and not there."""
    machine = Machine(name, number, "The hotplug driver sees a cable, but no function is on the bus", expect=["CX7_ABSENT_FAULT"])
    machine.functions = []
    return machine


def twin_missing(name: str, number: int) -> Machine:
    """Three functions."""
    machine = addressed(Machine(name, number, "The second function of the cabled port is missing", expect=["CX7_FUNCTION_MISSING"]))
    machine.functions = [item for item in machine.functions if (item.port, item.domain) != (1, 2)]
    return machine


def half_rate(name: str, number: int) -> Machine:
    """Two lanes in the second PCI domain, as one ASUS owner reported."""
    machine = Machine(
        name, number, "ASUS GX10 whose second PCI domain runs on two lanes", dmi=ASUS, platform="GX10", expect=["CX7_PCIE_WIDTH_LOW"]
    )
    for item in machine.functions:
        item.width = 2 if item.domain else 4
    return machine


def phased(name: str, number: int) -> Machine:
    """Before the fatal reboot."""
    return Machine(
        name,
        number,
        "A phased update brought kernel 6.17.0-1029 without its driver modules; 6.17.0-1021 still runs",
        kernels={NEWER: False, RUNNING: True},
        reboot=["linux-image-6.17.0-1029-nvidia", "linux-base"],
        expect=["NEXT_BOOT_KERNEL_WITHOUT_DRIVER", "REBOOT_REQUIRED"],
    )


def no_ramdisk(name: str, number: int) -> Machine:
    """An update that ran out of room in /boot."""
    return Machine(
        name,
        number,
        "Kernel 6.17.0-1029 and its driver module are there, its initrd is not; 6.17.0-1021 still runs",
        kernels={NEWER: True, RUNNING: True},
        ramdisks=(RUNNING,),
        reboot=["linux-image-6.17.0-1029-nvidia", "linux-base"],
        expect=["NEXT_BOOT_KERNEL_WITHOUT_INITRD", "REBOOT_REQUIRED"],
    )


FAILED = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running."
)


def phased_booted(name: str, number: int) -> Machine:
    """After it."""
    return Machine(
        name,
        number,
        "The kernel without driver modules was started: no driver is loaded",
        kernel=NEWER,
        kernels={NEWER: False, RUNNING: True},
        module=None,
        smi_error=(9, FAILED),
        expect=["DRIVER_MISSING", "NEXT_BOOT_KERNEL_WITHOUT_DRIVER"],
    )


def mismatch(name: str, number: int) -> Machine:
    """User space newer than the loaded module."""
    said = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.173"
    return Machine(
        name,
        number,
        "The driver was upgraded and the desk not rebooted: user space 580.173.02, loaded module 580.142",
        driver="580.173.02",
        module="580.142",
        smi_error=(18, said),
        expect=["DRIVER_MISMATCH"],
    )


def gpu_lost(name: str, number: int) -> Machine:
    """No devices, exit code 0."""
    return Machine(
        name,
        number,
        "After an upgrade nvidia-smi finds no device and returns 0 (driver and GSP firmware not paired)",
        driver="580.173.02",
        gsp=None,
        smi_error=(0, "No devices were found"),
        expect=["GPU_NOT_FOUND", "VERSION_KNOWN_BAD"],
    )


def proprietary(name: str, number: int) -> Machine:
    """The wrong flavour."""
    return Machine(
        name, number, "The proprietary kernel module was installed", open_module=False, smi_error=(9, FAILED), expect=["DRIVER_PROPRIETARY"]
    )


def branch(name: str, number: int) -> Machine:
    """590 from the CUDA repository."""
    return Machine(name, number, "Branch 590 came in from the CUDA repository", driver="590.48.01", expect=["DRIVER_BRANCH_WRONG"])


def kho_bug(name: str, number: int) -> Machine:
    """CmaTotal 0 and CmaFree above."""
    machine = healthy_7_6_0(name, number)
    machine.description = "Kernel 7.0.0-1019 without kho=off: CmaTotal is 0 while CmaFree is not, RDMA memory cannot be registered"
    machine.kho, machine.packages, machine.expect = None, {}, ["KERNEL_ROCE_ENOMEM"]
    machine.memory |= {"CmaTotal": 0, "CmaFree": 58112}
    return machine


def kho_on_6_17(name: str, number: int) -> Machine:
    """The cure where it may hurt."""
    return Machine(
        name,
        number,
        "kho=off on a 6.17 kernel, where one owner saw 12.7 Gb/s",
        kernel="6.17.0-1032-nvidia",
        kho="off",
        driver="580.178.04",
        expect=["KHO_OFF_ON_6_17"],
    )


def sync(name: str, number: int) -> Machine:
    """NVIDIA Sync's netplan."""
    machine = addressed(
        Machine(name, number, "NVIDIA Sync configured the link", expect=["CX7_FOREIGN_OWNER"]), ("10.100.184", "10.100.185")
    )
    machine.netplan = {
        "/etc/netplan/99-nvidia-sync-cluster.yaml": netplan(dict(zip(TWINS, ("10.100.184.10/24", "10.100.185.10/24"), strict=True)))
    }
    machine.profiles = {name: f"netplan-{name}" for name in TWINS}
    return machine


def bonded(name: str, number: int) -> Machine:
    """A bond of an admin over both twins; its address is not theirs."""
    machine = Machine(name, number, "A bond over both functions of the cabled port", expect=["CX7_BONDED", "CX7_FOREIGN_OWNER"])
    machine.bond = ("bond-lab", "10.1.2.3/24", TWINS)
    members = ", ".join(TWINS)
    machine.netplan = {
        "/etc/netplan/60-bond.yaml": "network:\n  version: 2\n  bonds:\n    bond-lab:\n"
        f"      interfaces: [{members}]\n      addresses: [10.1.2.3/24]\n"
    }
    machine.profiles = {netdev: f"netplan-{netdev}" for netdev in TWINS}
    return machine


def link_local(name: str, number: int) -> Machine:
    """NetworkManager's fallback."""
    machine = Machine(name, number, "Link-local addresses only on the cabled port", expect=["CX7_NO_ADDRESS"])
    for place, item in enumerate(item for item in machine.functions if item.linked):
        item.ipv4 = [f"169.254.{31 + place}.7/16"]
    machine.profiles = dict(zip(TWINS, ("Wired connection 3", "Wired connection 4"), strict=True))
    return machine


def slow_link(name: str, number: int) -> Machine:
    """100G from a switch."""
    return linked(Machine(name, number, "A switch negotiated 100 Gb/s", expect=["CX7_SPEED_LOW"]), speed=100000)


def misaddressed(name: str, number: int) -> Machine:
    """Both functions in one subnet, MTUs that differ."""
    machine = addressed(
        Machine(
            name,
            number,
            "Twins in one subnet (as older guides had it) with MTUs that differ",
            expect=["CX7_MTU_MISMATCH", "CX7_TWINS_SAME_SUBNET"],
        )
    )
    return one(machine, TWINS[1], ipv4=["192.168.100.60/24"], mtu=1500)


def no_gid(name: str, number: int) -> Machine:
    """Addressed, and no RoCE v2 entry."""
    return linked(addressed(Machine(name, number, "Addressed functions without a RoCE v2 GID", expect=["CX7_GID_MISSING"])), gids=False)


def routed(name: str, number: int) -> Machine:
    """DHCP left on: a default route through the fabric."""
    machine = addressed(Machine(name, number, "A default route leads into the cable", expect=["CX7_DEFAULT_ROUTE"]))
    machine.routes = [(TWINS[0], "00000000", "0164A8C0", "00000000", 50)]
    return machine


def replugged(name: str, number: int) -> Machine:
    """The trigger of the 13 Gb/s link."""
    log = [
        "[ 5311.700200] HOST kernel: mlx5_core 0000:01:00.1: Port module event: module 1, Cable unplugged",
        "[ 5311.990100] HOST kernel: cx7-pcie-hotplug MTKP0001:00: Cable removal",
        "[ 5340.100700] HOST kernel: cx7-pcie-hotplug MTKP0001:00: Cable plugin",
        "[ 5348.200900] HOST kernel: mlx5_core 0000:01:00.1: Port module event: module 1, Cable plugged",
    ]
    return Machine(name, number, "The cable was moved an hour and a half after boot", log=log, expect=["CX7_PLUGGED_AFTER_BOOT"])


def drifted_firmware(name: str, number: int) -> Machine:
    """Functions that report different firmware."""
    return one(
        Machine(name, number, "One function reports older firmware", expect=["CX7_FIRMWARE_DRIFT"]), "enP2p1s0f0np0", firmware="28.40.1202"
    )


def dark_twin(name: str, number: int) -> Machine:
    """One function without carrier."""
    return one(Machine(name, number, "One function of the cabled port has no carrier", expect=["CX7_LINK_DOWN"]), TWINS[1], linked=False)


def boxed(name: str, number: int) -> Machine:
    """Mid-upgrade on first boot."""
    return Machine(
        name,
        number,
        "First boot: the one-shot upgrade is running and holds the package lock",
        otas=[],
        kernel="6.14.0-1015-nvidia",
        driver="580.95.05",
        first_boot="pending",
        lock_holder="apt-get",
        expect=["FIRST_BOOT_UPGRADE_PENDING", "DPKG_LOCKED"],
    )


def neglected(name: str, number: int) -> Machine:
    """Several small troubles at once."""
    return Machine(
        name,
        number,
        "A desk nobody looked after: interrupted upgrade, no time server, low memlock, firewall, stale CDI, firmware updater, daemon off",
        packages={"mlnx-fw-updater": "25.10-1.7.1", "libnvidia-gl-580": "580.167.08-0ubuntu0.24.04.1"},
        states={"libnvidia-gl-580": "install ok half-configured"},
        synchronized=False,
        memlock="8388608",
        ufw=True,
        cdi="580.95.05",
        persistence=False,
        expect=[
            "CDI_STALE",
            "CLOCK_UNSYNCED",
            "DPKG_BROKEN",
            "FIREWALL_ACTIVE",
            "MEMLOCK_LOW",
            "MLNX_FW_UPDATER_PRESENT",
            "PERSISTENCED_INACTIVE",
        ],
    )


def short_memory(name: str, number: int) -> Machine:
    """Part of the memory is gone; CUDA 12 on the host."""
    machine = Machine(
        name,
        number,
        "A quarter of the memory is not seen, and CUDA 12.8 is the default toolkit",
        cuda="12.8.1",
        expect=["CUDA_MAJOR_WRONG", "MEMORY_SHORT"],
    )
    machine.memory |= {"MemTotal": 94111222, "MemAvailable": 88111222}
    return machine


def known_bad(name: str, number: int) -> Machine:
    """7.4.0 with its kernel."""
    return Machine(
        name,
        number,
        "7.4.0 with kernel 6.17.0-1008, of which lost GPUs were reported",
        otas=[("7.4.0", "Mon Feb  9 10:00:01 UTC 2026")],
        kernel="6.17.0-1008-nvidia",
        driver="580.126.09",
        expect=["VERSION_KNOWN_BAD"],
    )


def capped(name: str, number: int) -> Machine:
    """30 W under load, and therefore busy."""
    return Machine(
        name,
        number,
        "Full load at 29 W and 624 MHz: the power supply was not negotiated",
        utilisation=99,
        clock=624,
        power=29.3,
        expect=["GPU_POWER_CAPPED"],
    )


def rdma_user(name: str, number: int) -> Machine:
    """Somebody runs a benchmark."""
    line = "link rocep1s0f1/1 lqpn 291 rqpn 288 type RC state RTS rq-psn 4 sq-psn 9 path-mig-state MIGRATED pid 20411 comm ib_write_bw\n"
    return addressed(Machine(name, number, "A user runs ib_write_bw", queue_pairs=line, expect=["PAIR_BUSY"]))


def too_old(name: str, number: int) -> Machine:
    """Older than any desk that was sold."""
    return Machine(name, number, "DGX OS 7.1.0, below the minimum", factory="7.1.0", otas=[], expect=["DGX_OS_TOO_OLD"])


def too_new(name: str, number: int) -> Machine:
    """A release of next year."""
    return Machine(
        name,
        number,
        "DGX OS 7.9.1, newer than any that is known",
        otas=[("7.9.1", "Mon Mar  1 10:00:00 UTC 2027")],
        expect=["DGX_OS_UNKNOWN_NEWER"],
    )


def next_major(name: str, number: int) -> Machine:
    """A major version with other rules, and the driver that NVIDIA names for it."""
    return Machine(
        name,
        number,
        "DGX OS 8.0.1 with a driver of branch 595: its rules are not known",
        otas=[("8.0.1", "Mon Mar  1 10:00:00 UTC 2027")],
        driver="595.99.02",
        expect=["DGX_OS_RULES_UNKNOWN"],
    )


XID = "HOST kernel: NVRM: Xid (PCI:000f:01:00):"


def dead_gpu(name: str, number: int) -> Machine:
    """Exit code 0 and no reading at all."""
    log = [
        f"[ 5402.771000] {XID} 119, pid=2112, name=python3, Timeout after 6s of waiting for RPC response from GPU0 GSP!",
        f"[ 5402.891000] {XID} 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)",
    ]
    return Machine(name, number, "The GPU reports that it needs a reset instead of every reading", log=log, expect=["GPU_FAILED"])


def program_errors(name: str, number: int) -> Machine:
    """What a program did to itself."""
    log = [f"[ 7000.00000{count}] {XID} 13, Graphics SM Global Exception on (GPC 0, TPC 1, SM 0)" for count in range(5)]
    log += ["[ 7200.000000] HOST kernel: Out of memory: Killed process 4242 (python3) total-vm:120000000kB"]
    return Machine(name, number, "A program's errors and used up memory, hours ago", log=log, expect=["GPU_ERRORS_LOGGED"])


def no_addressing(name: str, number: int) -> Machine:
    """A kernel that was built by hand."""
    return Machine(name, number, "nvidia-smi works, programs find no GPU: addressing mode None", expect=["GPU_MEMORY_MODE"])


def warned_gpu(name: str, number: int) -> Machine:
    """Readings with a warning behind them."""
    return Machine(name, number, "nvidia-smi warns of a damaged infoROM behind all its readings", expect=["GPU_WARNED"])


def newer_settings(name: str, number: int) -> Machine:
    """One package of another archive."""
    packages = {"nvidia-settings": "610.57.04-1ubuntu1", "libxnvctrl0": "610.57.04-1ubuntu1"}
    return Machine(name, number, "nvidia-settings 610 beside a driver 580", packages=packages, expect=["NVIDIA_SETTINGS_OTHER"])


def pcie_errors(name: str, number: int) -> Machine:
    """The link is up again, and may not be trusted."""
    log = [
        "[ 9123.410001] HOST kernel: pcieport 0000:00:00.0: AER: Uncorrectable (Fatal) error message received from 0000:00:00.0",
        "[ 9123.620410] HOST kernel: mlx5_core 0000:01:00.1: mlx5_pci_err_detected Device state = 1 health sensors: 1 pci_status: 1",
        "[ 9190.120402] HOST kernel: pcieport 0000:00:00.0: AER: device recovery failed",
    ]
    return Machine(name, number, "Fatal PCIe errors of the ConnectX-7 since boot", log=log, expect=["CX7_PCIE_ERRORS"])


def hot_plug(name: str, number: int) -> Machine:
    """An optical cable, as one owner had it in a GX10."""
    log = ["[ 8021.550113] HOST kernel: mlx5_core 0000:01:00.1: Port module event[error]: module 1, Cable error, High Temperature"]
    return Machine(name, number, "A plug of the ConnectX-7 got too hot", log=log, expect=["CX7_PLUG_ERROR"])


def lockup(name: str, number: int) -> Machine:
    """A processor that did not answer."""
    log = ["[ 9150.334120] HOST kernel: watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [kworker/3:1:220]"]
    return Machine(name, number, "A processor hung for 26 seconds", log=log, expect=["KERNEL_LOCKUP"])


def plain_ubuntu(name: str, number: int) -> Machine:
    """GB10 hardware without DGX OS."""
    return Machine(
        name,
        number,
        "A GB10 machine re-imaged with plain Ubuntu",
        remove=["/etc/dgx-release", "/etc/fastos-release"],
        missing=["/etc/dgx-release", "/etc/fastos-release"],
        expect=["DGX_RELEASE_MISSING"],
    )


def hanging(name: str, number: int) -> Machine:
    """nvidia-smi does not answer."""
    return Machine(
        name, number, "nvidia-smi hangs until its time limit; /proc still tells module and libraries", expect=["FACTS_INCOMPLETE"]
    )


def laptop(name: str, number: int) -> Machine:
    """Another machine at the address."""
    return Machine(
        name,
        number,
        "An office PC answers at the desk's address",
        host="pc-1207",
        dmi=oem("Dell Inc.", "OptiPlex 7090", "1.9.0", board_name="0M5CPR"),
        remove=[
            "/etc/dgx-release",
            "/etc/fastos-release",
            "/proc/driver/nvidia",
            "/sys/devices/pci000f:00",
            "/sys/bus/pci/devices/000f:01:00.0",
            "/usr/local/cuda",
        ],
        missing=["/etc/dgx-release", "/etc/fastos-release", "/proc/driver/nvidia"],
        hotplug=None,
        expect=["DESK_NOT_AARCH64", "DESK_NOT_GB10", "DGX_RELEASE_MISSING"],
    )


DESKS: dict[str, Maker] = {
    "founders_7_2_3": healthy_7_2_3,
    "founders_7_5_0": lambda name, number: Machine(name, number, "Founders Edition on 7.5.0, port 1 cabled, link not set up"),
    "founders_7_6_0": healthy_7_6_0,
    "founders_stacked": stacked,
    "founders_without_root": without_root,
    "asus_gx10": asus,
    "lenovo_pgx": lenovo,
    "msi_edgexpert": msi,
    "gigabyte_atom_no_cable": gigabyte,
    "dell_promax": dell,
    "hp_zgx": hp,
    "spark_64gb": sized,
    "both_ports_cabled": both_ports,
    "renamed_interfaces": renamed,
    "no_cable_hotplug_on": no_cable,
    "no_cable_hotplug_off": no_cable_hotplug_off,
    "adapter_missing": adapter_missing,
    "twin_missing": twin_missing,
    "twin_dark": dark_twin,
    "pcie_half_rate": half_rate,
    "link_100g": slow_link,
    "link_local_only": link_local,
    "link_misaddressed": misaddressed,
    "link_without_gid": no_gid,
    "link_default_route": routed,
    "link_foreign_nvidia_sync": sync,
    "cable_moved_after_boot": replugged,
    "adapter_firmware_drift": drifted_firmware,
    "driver_phased_kernel": phased,
    "driver_phased_kernel_booted": phased_booted,
    "driver_library_mismatch": mismatch,
    "driver_gpu_not_found": gpu_lost,
    "driver_proprietary": proprietary,
    "driver_branch_590": branch,
    "kernel_kho_bug": kho_bug,
    "kernel_kho_off_on_6_17": kho_on_6_17,
    "version_known_bad": known_bad,
    "first_boot_upgrade": boxed,
    "neglected_desk": neglected,
    "memory_short_cuda_12": short_memory,
    "gpu_power_capped": capped,
    "rdma_in_use": rdma_user,
    "dgx_os_too_old": too_old,
    "dgx_os_newer": too_new,
    "plain_ubuntu": plain_ubuntu,
    "nvidia_smi_hangs": hanging,
    "not_a_spark": laptop,
    "dgx_os_next_major": next_major,
    "gpu_requires_reset": dead_gpu,
    "gpu_errors_of_programs": program_errors,
    "gpu_addressing_none": no_addressing,
    "gpu_inforom": warned_gpu,
    "nvidia_settings_newer": newer_settings,
    "cx7_pcie_errors": pcie_errors,
    "kernel_lockup": lockup,
    "link_bonded": bonded,
    "adapter_unmanaged": unmanaged,
    "plug_too_hot": hot_plug,
    "kernel_without_initrd": no_ramdisk,
}


def adjusted(name: str, parts: dict[str, Any]) -> dict[str, Any]:
    """What a description of a desk cannot say."""
    for entry in parts["commands"]:
        if name == "nvidia_smi_hangs" and entry["argv"][0] == "nvidia-smi":
            entry["responses"] = [{"error": "timeout"}]
        if name == "not_a_spark" and entry["argv"][0] == "nvidia-smi":
            entry["responses"] = [{"error": "missing"}]
        if name == "not_a_spark" and entry["argv"] == ["uname", "-m"]:
            entry["responses"] = [{"rc": 0, "stdout": "x86_64\n"}]
        if name == "gpu_requires_reset" and entry["argv"][0] == "nvidia-smi":
            _reworded(entry, r"\b37( C)?\b|\b\d+ MHz|\b4\.21 W|\b0 %", "[GPU requires reset]")
        if name == "gpu_inforom" and entry["argv"][0] == "nvidia-smi":
            for response in entry["responses"]:
                response.update(rc=14, stdout=response.get("stdout", "") + "WARNING: infoROM is corrupted at gpu 000F:01:00.0\n")
        if name == "gpu_addressing_none" and entry["argv"] == ["nvidia-smi", "-q"]:
            _reworded(entry, r"(?m)^(    Persistence Mode +: Enabled\n)", "\\1    Addressing Mode                       : None\n")
    return parts


def _reworded(entry: dict[str, Any], pattern: str, words: str) -> None:
    for response in entry["responses"]:
        response["stdout"] = re.sub(pattern, words, response.get("stdout", ""))


def writer() -> Any:
    """The collection's recording writer, without Ansible."""
    parts = PACKAGE.split(".")
    for number in range(1, len(parts) + 1):
        name = ".".join(parts[:number])
        if name not in sys.modules:
            package = types.ModuleType(name)
            package.__path__ = [str(ROOT)] if number == len(parts) else []
            sys.modules[name] = package
    return importlib.import_module(f"{PACKAGE}.plugins.plugin_utils.recording_writer")


def make_one(name: str, number: int, target: Path) -> None:
    """Write the recording that a description makes to ``target/name``."""
    module = writer()
    machine = DESKS[name](name, number)
    about: dict[str, Any] = {"name": name, "source": machine.source, "description": machine.description, "login_user": "lab"}
    about["expect"] = machine.expect
    module.write(module.recorded_from_dict(adjusted(name, build(machine))), target / name, about, replace=True)


def write_all(target: Path) -> None:
    """Write every recording below ``target``, made ones and packed ones."""
    for number, name in enumerate(DESKS, start=1):
        make_one(name, number, target)
    for packed in sorted(TARGET.glob("*.yml")):
        if packed.stem not in DESKS:
            expand(packed, target / packed.stem)


def digest() -> str:
    """Changes with everything that decides what the recordings hold."""
    found = hashlib.sha256()
    for path in (*(ROOT / source for source in SOURCES), *sorted(TARGET.glob("*.yml"))):
        found.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def ready() -> Path:
    """The folder of the recordings, made anew where something is missing or out of date; safe for several processes at once."""
    names = {*DESKS, *(packed.stem for packed in TARGET.glob("*.yml"))}
    stamp, wanted = TARGET / STAMP, digest()

    def told() -> list[str]:
        return stamp.read_text(encoding="utf-8").split("\n") if stamp.is_file() else [""]

    def done() -> bool:
        return told()[0] == wanted and all((TARGET / name / "recording.yml").is_file() for name in names)

    if done():
        return TARGET
    with (TARGET / ".lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done():
            return TARGET
        with tempfile.TemporaryDirectory(prefix=".making.", dir=TARGET) as folder:
            write_all(Path(folder))
            for name in sorted(names):
                # A folder that is right stays as it is: another process may be reading it.
                if not (TARGET / name).is_dir() or difference(TARGET / name, Path(folder) / name):
                    shutil.rmtree(TARGET / name, ignore_errors=True)
                    (Path(folder) / name).rename(TARGET / name)
        for name in set(told()[1:]) - names:
            shutil.rmtree(TARGET / name, ignore_errors=True)
        stamp.write_text("\n".join((wanted, *sorted(names))), encoding="utf-8")
    return TARGET


def stale() -> str | None:
    """The first golden that differs from what its description makes."""
    numbers = {name: number for number, name in enumerate(DESKS, start=1)}
    with tempfile.TemporaryDirectory() as folder:
        for golden in sorted(TARGET.glob("*.yml")):
            if golden.stem not in DESKS:
                continue
            make_one(golden.stem, numbers[golden.stem], Path(folder))
            expand(golden, Path(folder) / "golden" / golden.stem)
            found = difference(Path(folder) / golden.stem, Path(folder) / "golden" / golden.stem)
            if found:
                return f"{golden.stem}: {os.path.relpath(found, Path(folder) / golden.stem)}"
    return None


def difference(left: Path, right: Path) -> str | None:
    """The first path that differs between two trees; links are compared by their targets."""
    names = sorted({*os.listdir(left), *os.listdir(right)}) if left.is_dir() and right.is_dir() else []
    for name in names:
        one_, two = left / name, right / name
        if os.path.islink(one_) or os.path.islink(two):
            same = os.path.islink(one_) and os.path.islink(two) and os.readlink(one_) == os.readlink(two)
        elif one_.is_dir() and two.is_dir():
            deeper = difference(one_, two)
            if deeper:
                return deeper
            continue
        else:
            same = one_.is_file() and two.is_file() and filecmp.cmp(one_, two, shallow=False)
        if not same:
            return str(one_)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the shipped recordings, or keep one as a single file.")
    parser.add_argument("--check", action="store_true", help="only say whether the goldens are what their descriptions make")
    parser.add_argument("--pack", metavar="FOLDER", type=Path, help="write this recording to tests/recordings/NAME.yml")
    parser.add_argument("--name", help="NAME for --pack; the folder's name when left out")
    options = parser.parse_args(arguments)
    try:
        if options.pack is not None:
            target = TARGET / f"{options.name or options.pack.resolve().name}.yml"
            target.write_text(pack(options.pack), encoding="utf-8")
            print(f"wrote {target.relative_to(ROOT)}")
        elif options.check:
            found = stale()
            if found:
                print(f"{found} differs from its description: look at the difference, then pack the new folder again (--pack)")
                return 1
        else:
            print(f"{len(list(ready().glob('*/recording.yml')))} recordings below {TARGET.relative_to(ROOT)}")
    except PackError as error:
        print(f"make_recordings: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
