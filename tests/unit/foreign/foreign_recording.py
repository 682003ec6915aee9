# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings as somebody writes them who knows only what a recording is: few files, commands as one types them.

No device links, no PCI tree, no missing.yml: what such a recording does not hold must stay unknown. All values are made up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

KERNEL = "6.17.0-1021-nvidia"
DRIVER = "580.142"
HOTPLUG = "sys/devices/platform/MTKP0001:00/pcie_hotplug"
MANAGEMENT = "enP7s7"
FUNCTIONS = (
    ("enp1s0f0np0", "rocep1s0f0", "0000:01:00.0", "p0", 0),
    ("enp1s0f1np1", "rocep1s0f1", "0000:01:00.1", "p1", 1),
    ("enP2p1s0f0np0", "roceP2p1s0f0", "0002:01:00.0", "p0", 4),
    ("enP2p1s0f1np1", "roceP2p1s0f1", "0002:01:00.1", "p1", 5),
)
TWINS = ("enp1s0f0np0", "enP2p1s0f0np0")
TABLE = f"""\
Mon Nov 23 09:00:00 2026
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI {DRIVER}                Driver Version: {DRIVER}        CUDA Version: 13.0     |
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
|=========================================+========================+======================|
|   0  NVIDIA GB10                    On  |   0000000F:01:00.0 Off |                  N/A |
| N/A   39C    P8              4W /  N/A  | Not Supported          |      0%      Default |
+-----------------------------------------+------------------------+----------------------+
| Processes:                                                                              |
|  No running processes found                                                             |
+-----------------------------------------------------------------------------------------+
"""


def network(port: str, number: int) -> int:
    """Third number of a function's network."""
    return 100 + (number > 3) + 2 * (port == "p1")


class Foreign:
    """One recording being written: ``files`` (path without the first slash to text) and ``commands``."""

    def __init__(self, cabled: Sequence[str] = ("p0",), kernel: str = KERNEL) -> None:
        self.files: dict[str, str] = {
            "sys/class/dmi/id/sys_vendor": "NVIDIA\n",
            "sys/class/dmi/id/product_name": "NVIDIA_DGX_Spark\n",
            "etc/hostname": "spark-0f0f\n",
            "etc/machine-id": "0f" * 16 + "\n",
            "etc/dgx-release": 'DGX_NAME="DGX Spark"\nDGX_SWBUILD_VERSION="7.2.3"\nDGX_OTA_VERSION="7.5.0"\n',
            "etc/os-release": 'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04.4 LTS"\n',
            "proc/meminfo": "MemTotal: 127500000 kB\nMemAvailable: 118000000 kB\nCmaTotal: 131072 kB\nCmaFree: 69000 kB\n",
            "proc/cmdline": f"BOOT_IMAGE=/boot/vmlinuz-{kernel} root=UUID=0 ro\n",
            "proc/driver/nvidia/version": f"NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  {DRIVER}  Release Build\n",
            f"{HOTPLUG}/hotplug_enabled": "1\n",
            f"{HOTPLUG}/debug_state": "1\n",
            "var/lib/nvidia-spark-run-apt-upgrade-once/done": "",
            f"sys/class/net/{MANAGEMENT}/operstate": "up\n",
        }
        self.commands: list[dict[str, Any]] = []
        self.denied: list[str] = []
        self.login_user: str | None = None
        interfaces: list[dict[str, Any]] = [self.interface(MANAGEMENT, True, "10.0.0.7", "02:00:5e:00:20:10")]
        links = ""
        for netdev, rdma, _place, port, number in FUNCTIONS:
            up = port in cabled
            address = f"192.168.{network(port, number)}.10" if up else None
            interfaces.append(self.interface(netdev, up, address, f"02:00:5e:00:20:0{number}"))
            links += f"link {rdma}/1 state {'ACTIVE' if up else 'DOWN'} physical_state {'LINK_UP' if up else 'DISABLED'} netdev {netdev} \n"
            self.function(netdev, rdma, port, number, up)
        self.say("nvidia-smi", TABLE)
        self.say("uname -r", f"{kernel}\n")
        self.say("uname -m", "aarch64\n")
        self.say("ip -j addr", json.dumps(interfaces))
        self.say("ip -j route", json.dumps([{"dst": "default", "gateway": "10.0.0.1", "dev": MANAGEMENT, "metric": 100}]))
        self.say("rdma link", links)

    @staticmethod
    def interface(netdev: str, up: bool, address: str | None, mac: str) -> dict[str, Any]:
        """One interface as ``ip -j addr`` prints it."""
        told = [{"family": "inet", "local": address, "prefixlen": 24, "scope": "global"}] if address else []
        flags = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP" if up else "NO-CARRIER"]
        state = "UP" if up else "DOWN"
        return {"ifname": netdev, "flags": flags, "mtu": 9000, "operstate": state, "address": mac, "addr_info": told}

    def function(self, netdev: str, rdma: str, port: str, number: int, up: bool) -> None:
        """The files of one function, without any link between netdev, RDMA device and PCI."""
        net, device = f"sys/class/net/{netdev}", f"sys/class/infiniband/{rdma}"
        self.files |= {
            f"{net}/address": f"02:00:5e:00:20:0{number}\n",
            f"{net}/mtu": "9000\n",
            f"{net}/carrier": f"{int(up)}\n",
            f"{net}/speed": "200000\n" if up else "-1\n",
            f"{net}/phys_port_name": f"{port}\n",
            f"{net}/phys_switch_id": "02005e00\n",
            f"{device}/fw_ver": "28.45.4028\n",
            f"{device}/ports/1/state": "4: ACTIVE\n" if up else "1: DOWN\n",
        }
        table = [f"fe80:0000:0000:0000:0000:5eff:fe00:200{number}"] * 2
        table += [f"0000:0000:0000:0000:0000:ffff:c0a8:{network(port, number):02x}0a"] * 2 if up else []
        for index, gid in enumerate(table):
            self.files[f"{device}/ports/1/gids/{index}"] = f"{gid}\n"
            self.files[f"{device}/ports/1/gid_attrs/types/{index}"] = ("IB/RoCE v1\n", "RoCE v2\n")[index % 2]

    def say(self, argv: str | Sequence[str], stdout: str = "", **more: Any) -> Foreign:
        """What a command answers; a text is split at blanks. Takes the place of an earlier answer."""
        words = argv.split(" ") if isinstance(argv, str) else list(argv)
        self.commands = [entry for entry in self.commands if entry["argv"] != words]
        self.commands.append({"argv": words, "stdout": stdout, **more} if "error" not in more else {"argv": words, **more})
        return self

    def unsay(self, *starts: str) -> Foreign:
        """Forget the commands that begin so."""
        self.commands = [entry for entry in self.commands if not " ".join(entry["argv"]).startswith(starts)]
        return self

    def set(self, path: str, text: str) -> Foreign:
        """One file."""
        self.files[path] = text
        return self

    def drop(self, *starts: str) -> Foreign:
        """Forget the files that begin so."""
        self.files = {path: text for path, text in self.files.items() if not path.startswith(starts)}
        return self

    def write(self, folder: Path) -> Path:
        """Write the recording."""
        for path, text in self.files.items():
            (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "files" / path).write_text(text)
        about = {"name": folder.name, "source": "made up", "description": "test"}
        about |= {"login_user": self.login_user} if self.login_user else {}
        (folder / "recording.yml").write_text(yaml.safe_dump(about))
        (folder / "commands.yml").write_text(yaml.safe_dump(self.commands))
        if self.denied:
            (folder / "denied.yml").write_text(yaml.safe_dump(self.denied))
        return folder
