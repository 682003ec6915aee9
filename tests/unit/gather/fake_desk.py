# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desks made of dictionaries. Values are made up; layouts follow public reports of DGX Spark."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import (
    DEFAULT_TIMEOUT,
    MISSING,
    NOT_RECORDED,
    Answer,
    Link,
    Listing,
    Text,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.apt import FILES

NET = "/sys/class/net"
RDMA = "/sys/class/infiniband"
PCI = "/sys/bus/pci/devices"
HOTPLUG = "/sys/devices/platform/MTKP0001:00/pcie_hotplug"
SWITCH = "02005e0003000000"

FUNCTIONS = (
    ("enp1s0f0np0", "rocep1s0f0", "0000:01:00.0", "p0", "02:00:5e:00:10:00"),
    ("enp1s0f1np1", "rocep1s0f1", "0000:01:00.1", "p1", "02:00:5e:00:10:01"),
    ("enP2p1s0f0np0", "roceP2p1s0f0", "0002:01:00.0", "p0", "02:00:5e:00:10:04"),
    ("enP2p1s0f1np1", "roceP2p1s0f1", "0002:01:00.1", "p1", "02:00:5e:00:10:05"),
)
KERNEL = "6.17.0-1021-nvidia"
DRIVER = "580.159.03"

NVIDIA_SMI_Q = f"""
==============NVSMI LOG==============

Timestamp                                              : Mon Nov 23 00:00:00 2026
Driver Version                                         : {DRIVER}
CUDA Version                                           : 13.0

Attached GPUs                                          : 1
GPU 0000000F:01:00.0
    Product Name                                       : NVIDIA GB10
    Product Architecture                               : Blackwell
    Persistence Mode                                   : Enabled
    VBIOS Version                                      : 9A.0B.2D.00.00
    GSP Firmware Version                               : {DRIVER}
    FB Memory Usage
        Total                                          : Not Supported
    Utilization
        GPU                                            : 3 %
    Temperature
        GPU Current Temp                               : 41 C
    GPU Power Readings
        Instantaneous Power Draw                       : 5.20 W
        Current Power Limit                            : N/A
    Clocks
        SM                                             : 208 MHz
    Max Clocks
        SM                                             : 3003 MHz
    Processes
        GPU instance ID                                : N/A
        Process ID                                     : 2100
            Type                                       : G
            Name                                       : /usr/lib/xorg/Xorg
            Used GPU Memory                            : 120 MiB
"""
QUERY_GPU = (
    "index, name, pci.bus_id, driver_version, vbios_version, compute_cap, persistence_mode, clocks.current.sm [MHz], clocks.max.sm [MHz], "
    "power.draw [W], temperature.gpu, utilization.gpu [%]\n"
    f"0, NVIDIA GB10, 0000000F:01:00.0, {DRIVER}, 9A.0B.2D.00.00, 12.1, Enabled, 208 MHz, 3003 MHz, 5.20 W, 41, 3 %\n"
)


class FakeDesk:
    """A desk of files (path to text), links, commands (words joined by blanks to Answer or text) and errors (path to error).

    What it does not hold is ``absent``: missing as on a live desk, or not_recorded as in a recording.
    """

    def __init__(self, files: Mapping[str, str], links: Mapping[str, str], commands: Mapping[str, Any], absent: str = MISSING) -> None:
        self.files = dict(files)
        self.links = dict(links)
        self.commands = dict(commands)
        self.errors: dict[str, str] = {}
        self.absent = absent
        self.asked: list[str] = []

    def resolve(self, path: str, last: bool = True) -> str:
        for _step in range(40):
            parts = path.strip("/").split("/")
            for number in range(1, len(parts) + (1 if last else 0)):
                head = "/" + "/".join(parts[:number])
                if head in self.links:
                    rest = "/".join(parts[number:])
                    path = posixpath.normpath(posixpath.join(posixpath.dirname(head), self.links[head], rest))
                    break
            else:
                return posixpath.normpath(path)
        return path

    def recorded_commands(self) -> tuple[tuple[str, ...], ...]:
        """A recording tells which commands it holds; a live desk has none to tell."""
        return tuple(tuple(words.split(" ")) for words in self.commands) if self.absent == NOT_RECORDED else ()

    def read_text(self, path: str) -> Text:
        self.asked.append(path)
        here = self.resolve(path)
        if here in self.errors:
            return Text(path, error=self.errors[here])
        if here in self.files:
            return Text(path, self.files[here])
        return Text(path, error="unreadable" if self.below(here) else self.absent)

    def below(self, path: str) -> set[str]:
        prefix = path.rstrip("/") + "/"
        return {item[len(prefix) :].split("/")[0] for item in (*self.files, *self.links, *self.errors) if item.startswith(prefix)}

    def read_as(self, user: str, paths: Sequence[str], keys: Sequence[str] = ()) -> list[Text]:
        return [*map(self.read_text, paths), *(Text(path, (told := self.read_text(f"{path}.pub")).text, told.error) for path in keys)]

    def list_dir(self, path: str) -> Listing:
        here = self.resolve(path)
        if here in self.errors:
            return Listing(path, error=self.errors[here])
        names = tuple(sorted(name for name in self.below(here) if name))
        return Listing(path, names) if names else Listing(path, error=self.absent)

    def read_link(self, path: str) -> Link:
        here = self.resolve(path, last=False)
        return Link(path, self.links[here]) if here in self.links else Link(path, error=self.absent)

    def run(
        self, argv: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> Answer:
        words = " ".join(argv)
        self.asked.append(words)
        answer = self.commands.get(words)
        if answer is None:
            return Answer(tuple(argv), error=self.absent)
        if isinstance(answer, str):
            return Answer(tuple(argv), 0, answer)
        return Answer(tuple(argv), answer.rc, answer.stdout, answer.stderr, answer.error)


def said(stdout: str = "", rc: int | None = 0, stderr: str = "", error: str | None = None) -> Answer:
    return Answer((), None if error else rc, stdout, stderr, error)


def gid(address: str) -> str:
    first, second, third, fourth = (int(part) for part in address.split("."))
    return f"0000:0000:0000:0000:0000:ffff:{first:02x}{second:02x}:{third:02x}{fourth:02x}"


def function_files(
    name: str, rdma: str, place: str, port: str, mac: str, *, carrier: bool = False, address: str | None = None, mtu: int = 1500
) -> tuple[dict[str, str], dict[str, str]]:
    """Files and links of one ConnectX-7 function."""
    domain = place[:4]
    device = f"/sys/devices/pci{domain}:00/{domain}:00:00.0/{place}"
    net = f"{device}/net/{name}"
    card = f"{device}/infiniband/{rdma}"
    links = {
        f"{NET}/{name}": f"../../devices/pci{domain}:00/{domain}:00:00.0/{place}/net/{name}",
        f"{RDMA}/{rdma}": f"../../devices/pci{domain}:00/{domain}:00:00.0/{place}/infiniband/{rdma}",
        f"{PCI}/{place}": f"../../../devices/pci{domain}:00/{domain}:00:00.0/{place}",
        f"{net}/device": f"../../../{place}",
        f"{card}/device": f"../../../{place}",
    }
    files = {
        f"{device}/uevent": f"DRIVER=mlx5_core\nPCI_CLASS=20000\nPCI_ID=15B3:1021\nPCI_SLOT_NAME={place}\n",
        f"{device}/current_link_width": "4\n",
        f"{device}/max_link_width": "4\n",
        f"{device}/current_link_speed": "32.0 GT/s PCIe\n",
        f"{net}/address": f"{mac}\n",
        f"{net}/mtu": f"{mtu}\n",
        f"{net}/flags": "0x1003\n",
        f"{net}/carrier": f"{int(carrier)}\n",
        f"{net}/operstate": "up\n" if carrier else "down\n",
        f"{net}/speed": "200000\n" if carrier else "-1\n",
        f"{net}/phys_port_name": f"{port}\n",
        f"{net}/phys_switch_id": f"{SWITCH}\n",
        f"{net}/carrier_down_count": "1\n",
        f"{card}/fw_ver": "28.45.4028\n",
        f"{card}/ports/1/state": "4: ACTIVE\n" if carrier else "1: DOWN\n",
        f"{card}/ports/1/phys_state": "5: LinkUp\n" if carrier else "3: Disabled\n",
        f"{card}/ports/1/rate": "200 Gb/sec (2X NDR)\n" if carrier else "40 Gb/sec (4X QDR)\n",
        f"{card}/ports/1/counters/port_xmit_data": "1234\n",
        f"{card}/ports/1/hw_counters/out_of_sequence": "0\n",
    }
    local = "fe80:0000:0000:0000:0000:5eff:fe00:1000"
    table = [(local, "IB/RoCE v1"), (local, "RoCE v2")]
    table += [(gid(address), "IB/RoCE v1"), (gid(address), "RoCE v2")] if address else []
    for index, (value, kind) in enumerate(table):
        files[f"{card}/ports/1/gids/{index}"] = f"{value}\n"
        files[f"{card}/ports/1/gid_attrs/types/{index}"] = f"{kind}\n"
        files[f"{card}/ports/1/gid_attrs/ndevs/{index}"] = f"{name}\n"
    for index in range(len(table), len(table) + 2):
        files[f"{card}/ports/1/gids/{index}"] = "0000:0000:0000:0000:0000:0000:0000:0000\n"
    return files, links


def ip_json(entries: Sequence[tuple[str, str, int, Sequence[str], str | None]]) -> str:
    import json

    return json.dumps(
        [
            {
                "ifindex": number,
                "ifname": name,
                "flags": list(flags),
                "mtu": mtu,
                "operstate": "UP" if "LOWER_UP" in flags else "DOWN",
                "address": mac,
                "addr_info": [
                    {"family": "inet", "local": address.split("/")[0], "prefixlen": int(address.split("/")[1]), "scope": "global"}
                    for address in [address]
                    if address
                ],
            }
            for number, (name, mac, mtu, flags, address) in enumerate(entries, start=2)
        ]
    )


def dpkg(packages: Mapping[str, str], **states: str) -> str:
    return "\n".join(
        f"Package: {name}\nStatus: {states.get(name.replace('-', '_').replace('.', '_'), 'install ok installed')}\nArchitecture: arm64\n"
        f"Version: {version}\nDescription: x\n"
        for name, version in packages.items()
    )


PACKAGES = {
    "dpkg": "1.22.6",
    "apt": "2.8.3",
    "libc6": "2.39-0ubuntu8.6",
    "base-files": "13ubuntu10.3",
    f"linux-image-{KERNEL}": "6.17.0-1021.21",
    "linux-image-nvidia-hwe-24.04": "6.17.0-1021.21",
    "linux-modules-nvidia-580-open-nvidia-hwe-24.04": "6.17.0-1021.21",
    f"linux-modules-nvidia-580-open-{KERNEL}": "6.17.0-1021.21",
    "nvidia-driver-580-open": f"{DRIVER}-0ubuntu0.24.04.1",
    "libnvidia-compute-580": f"{DRIVER}-0ubuntu0.24.04.1",
    "nvidia-container-toolkit": "1.19.0-1",
    "docker-ce": "5:29.2.1-1",
    "nvidia-spark-run-apt-upgrade": "1.0-1",
}


SSHD = """\
port 22
addressfamily any
permitrootlogin without-password
maxsessions 10
pubkeyauthentication yes
authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2
pubkeyacceptedalgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,sk-ssh-ed25519@openssh.com,rsa-sha2-512
authenticationmethods any
maxstartups 10:30:100
"""
"""What sshd 9.6 says, shortened."""


def sshd_question(own: int, peer: int, user: str = "lab", port: int = 22) -> str:
    """How the ssh server of a desk with this fabric address is asked."""
    return f"sshd -T -C user={user},host=192.168.100.{peer},addr=192.168.100.{peer},laddr=192.168.100.{own},lport={port}"


def healthy(cabled: int | None = 0) -> FakeDesk:
    """A founders edition at 7.5.0 whose port ``cabled`` has a link; none with its NIC switched off when ``cabled`` is null."""
    files = {
        "/etc/dgx-release": 'DGX_NAME="DGX Spark"\nDGX_SWBUILD_VERSION="7.2.3"\nDGX_SERIAL_NUMBER="SAMPLE0000042"\n\n'
        'DGX_OTA_VERSION="7.5.0"\n',
        "/etc/os-release": 'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04.4 LTS"\nVERSION_CODENAME=noble\n',
        "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nlab:x:1000:1000:Lab:/home/lab:/bin/bash\n",
        "/etc/group": "root:x:0:\ndocker:x:999:lab\nlab:x:1000:\n",
        "/etc/default/grub": "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\n",
        "/etc/ufw/ufw.conf": "ENABLED=yes\nLOGLEVEL=low\n",
        "/etc/netplan/01-network-manager-all.yaml": "network:\n  version: 2\n  renderer: NetworkManager\n",
        "/etc/apt/preferences.d/nvidia-dgx": "Package: *\n",
        "/etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service": "",
        "/etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER root@x\n",
        "/boot/vmlinuz-" + KERNEL: "",
        f"/lib/modules/{KERNEL}/kernel/nvidia-580-open/nvidia.ko.zst": "",
        "/proc/cmdline": "BOOT_IMAGE=/vmlinuz root=UUID=x iommu.passthrough=0 console=ttyS0,921600\n",
        "/proc/sys/kernel/osrelease": f"{KERNEL}\n",
        "/proc/sys/kernel/hostname": "spark-a1b2\n",
        "/proc/sys/kernel/random/boot_id": "5f0c5f0c-0000-4000-8000-000000000001\n",
        "/proc/sys/net/ipv4/conf/all/arp_ignore": "1\n",
        "/proc/sys/net/ipv4/conf/all/arp_announce": "2\n",
        "/proc/meminfo": "MemTotal:       127535000 kB\nMemFree:  100000000 kB\nMemAvailable: 118000000 kB\nSwapTotal: 16777212 kB\n"
        "CmaTotal:         131072 kB\nCmaFree:           69000 kB\n",
        "/proc/driver/nvidia/version": f"NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  {DRIVER}  Release Build  (b@h)\n",
        "/proc/locks": "1: POSIX  ADVISORY  WRITE 811 00:1a:991 0 EOF\n",
        "/proc/net/route": "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "enP7s7\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\nenP7s7\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n",
        "/proc/self/status": "Name:\tpython3\nPPid:\t90\nUid:\t1000\t1000\t1000\t1000\n",
        "/proc/self/limits": "Limit  Soft Limit  Hard Limit  Units\nMax locked memory      130000000000      130000000000      bytes\n",
        "/proc/stat": "cpu 1\nbtime 1790000000\n",
        "/proc/uptime": "100.50 900.00\n",
        "/run/systemd/timesync/synchronized": "",
        "/run/NetworkManager/NetworkManager.pid": "700\n",
        "/sys/fs/cgroup/system.slice/nvidia-persistenced.service/cgroup.procs": "655\n",
        "/usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "13.0.3"}, "cuda_nvcc": {"version": "13.0.88"}}',
        "/usr/lib/systemd/system/nvidia-spark-run-apt-upgrade-once.service": "[Unit]\n",
        "/var/lib/nvidia-spark-run-apt-upgrade-once/done": "",
        "/var/lib/dpkg/status": dpkg(PACKAGES),
        f"{HOTPLUG}/hotplug_enabled": "1\n",
        f"{HOTPLUG}/debug_state": "0\n" if cabled is None else "1\n",
        "/sys/class/dmi/id/sys_vendor": "NVIDIA\n",
        "/sys/class/dmi/id/product_name": "NVIDIA_DGX_Spark\n",
        "/sys/class/dmi/id/board_vendor": "NVIDIA\n",
        "/sys/class/dmi/id/board_name": "P4242\n",
        "/sys/class/dmi/id/bios_version": "5.36_0ACUM018\n",
        f"{PCI}/000f:01:00.0/uevent": "DRIVER=nvidia\nPCI_ID=10DE:2E12\nPCI_SLOT_NAME=000f:01:00.0\n",
        f"{PCI}/0007:01:00.0/uevent": "DRIVER=r8127\nPCI_ID=10EC:8127\nPCI_SLOT_NAME=0007:01:00.0\n",
        f"{NET}/lo/address": "00:00:00:00:00:00\n",
        f"{NET}/docker0/address": "02:42:00:00:00:01\n",
        f"{NET}/enP7s7/address": "02:00:5e:00:20:07\n",
    }
    links = {
        f"{NET}/enP7s7/device": "../../../../bus/pci/devices/0007:01:00.0",
        "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1": f"libnvidia-ml.so.{DRIVER}",
    }
    interfaces: list[tuple[str, str, int, Sequence[str], str | None]] = [
        ("enP7s7", "02:00:5e:00:20:07", 1500, ("BROADCAST", "UP", "LOWER_UP"), "10.0.0.21/24")
    ]
    for number, (name, rdma, place, port, mac) in enumerate(FUNCTIONS if cabled is not None else ()):
        linked = port == f"p{cabled}"
        address = f"192.168.{100 + number // 2}.10" if linked else None
        more_files, more_links = function_files(name, rdma, place, port, mac, carrier=linked, address=address)
        files |= more_files
        links |= more_links
        interfaces.append(
            (name, mac, 1500, ("BROADCAST", "UP", *(["LOWER_UP"] if linked else ["NO-CARRIER"])), f"{address}/24" if address else None)
        )
    query = (
        "nvidia-smi --query-gpu=index,name,pci.bus_id,driver_version,vbios_version,compute_cap,persistence_mode,clocks.sm,clocks.max.sm,"
        "power.draw,temperature.gpu,utilization.gpu --format=csv"
    )
    commands = {
        "uname -m": "aarch64\n",
        "nvidia-smi -q": NVIDIA_SMI_Q,
        query: QUERY_GPU,
        "ip -j addr show": ip_json(interfaces),
        "modinfo -F license nvidia": "Dual MIT/GPL\n",
        " ".join(FILES): "66306 11 /var/lib/dpkg/lock-frontend\n66306 12 /var/lib/dpkg/lock\n",
        "rdma resource show qp": "link rocep1s0f0/1 lqpn 1 type GSI state RTS sq-psn 0 comm [ib_core]\n",
        **dict.fromkeys((sshd_question(10, 11), sshd_question(11, 10)), SSHD),
        "nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device": "enP7s7:ethernet:connected:Wired connection 1\n"
        "enp1s0f0np0:ethernet:disconnected:\n",
        "journalctl -k -b -o short-monotonic --no-pager": "[    0.000000] spark-a1b2 kernel: Linux version 6.17.0\n"
        "[    6.100000] spark-a1b2 kernel: cx7-pcie-hotplug MTKP0001:00: PCIe hotplug driver initialized\n"
        "[    6.200000] spark-a1b2 kernel: cx7-pcie-hotplug MTKP0001:00: Hotplug enabled\n"
        + ("" if cabled is None else "[   12.000000] spark-a1b2 kernel: cx7-pcie-hotplug MTKP0001:00: Cable plugin\n"),
    }
    return FakeDesk(files, links, commands)
