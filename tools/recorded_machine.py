# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A described GB10 desk as the files and command outputs that a recording of it holds.

The layouts are those of public reports and of NVIDIA's own guides; every serial number, address, key and host name is invented.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
from dataclasses import dataclass, field
from typing import Any

SWITCH = "/sys/devices/platform/MTKP0001:00/pcie_hotplug"
LOG = ["journalctl", "-k", "-b", "-o", "short-monotonic", "--no-pager"]
SMI_COLUMNS = (
    "index,name,pci.bus_id,driver_version,vbios_version,compute_cap,persistence_mode,clocks.sm,clocks.max.sm,power.draw,"
    "temperature.gpu,utilization.gpu"
)
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock")
FIRST_BOOT = "nvidia-spark-run-apt-upgrade-once"
ABSENT = (
    "/run/reboot-required",
    "/var/run/reboot-required",
    "/run/chrony",
    "/etc/cdi",
    "/run/cdi",
    "/var/run/cdi",
    "/etc/dgx_spark",
    "/var/lib/dgx_spark",
    "/opt/dgx_spark",
    "/etc/apt/preferences.d/zz-dgx-spark-driver-lock",
    "/usr/local/bin/pair-check",
    "/etc/netplan/90-dgx-spark-link.yaml",
    "/usr/lib/netplan",
    "/lib/netplan",
    "/run/netplan",
    "/home/lab/.ssh",
    "/etc/systemd/network",
    "/usr/local/lib/systemd/network",
    "/run/NetworkManager/system-connections",
    "/etc/default/grub.d",
)


def _link_local(mac: str) -> str:
    """The link-local address that a MAC makes, all digits written."""
    octets = [int(pair, 16) for pair in mac.split(":")]
    octets[0] ^= 2
    digits = "".join(f"{octet:02x}" for octet in [*octets[:3], 0xFF, 0xFE, *octets[3:]])
    return "fe80:0000:0000:0000:" + ":".join(digits[place : place + 4] for place in range(0, 16, 4))


@dataclass
class Fn:
    """One ConnectX-7 function of a described desk."""

    port: int
    domain: int
    number: int
    """Of the desk: makes MACs and addresses unique."""
    linked: bool = False
    netdev: str = ""
    rdma: str = ""
    mtu: int = 1500
    width: int = 4
    rate: str = "32.0 GT/s PCIe"
    speed: int = 200000
    ipv4: list[str] = field(default_factory=list)
    link_local: bool = True
    gids: bool = True
    admin_up: bool = True
    flaps: int = 1
    firmware: str = "28.45.4028"

    def __post_init__(self) -> None:
        letter = f"P{self.domain}" if self.domain else ""
        self.netdev = self.netdev or f"en{letter}p1s0f{self.port}np{self.port}"
        self.rdma = self.rdma or f"roce{letter}p1s0f{self.port}"

    @property
    def pci(self) -> str:
        """PCI address: function number = port, one domain for each twin."""
        return f"{self.domain:04x}:01:00.{self.port}"

    @property
    def mac(self) -> str:
        """Consecutive within the desk, as the adapter numbers them."""
        return f"02:00:5e:10:{self.number:02x}:{0x40 + self.port + 4 * (self.domain // 2):02x}"

    @property
    def local(self) -> str:
        """The link-local address that the MAC makes."""
        return str(ipaddress.IPv6Address(_link_local(self.mac)))

    @property
    def folder(self) -> str:
        """Where the kernel keeps the device."""
        return f"/sys/devices/pci{self.domain:04x}:00/{self.domain:04x}:00:00.0/{self.pci}"


@dataclass
class Machine:
    """A healthy Founders Edition desk on DGX OS 7.5.0 with port 1 cabled, unless told otherwise."""

    name: str
    number: int
    description: str
    expect: list[str] = field(default_factory=list)
    bond: tuple[str, str, tuple[str, ...]] | None = None
    """Name, address with prefix length, and members of a bond."""
    source: str = "composed from public reports; all values that name a desk are invented"
    host: str = ""
    dmi: dict[str, str] = field(
        default_factory=lambda: {
            "sys_vendor": "NVIDIA",
            "product_name": "NVIDIA_DGX_Spark",
            "product_version": "A.7",
            "board_vendor": "NVIDIA",
            "board_name": "P4242",
            "bios_version": "5.36_0ACUM023",
            "bios_date": "03/12/2026",
        }
    )
    platform: str = "DGX Server for KVM"
    factory: str = "7.2.3"
    otas: list[tuple[str, str]] = field(default_factory=lambda: [("7.5.0", "Tue Apr 21 09:41:10 UTC 2026")])
    quoted: bool = True
    ubuntu: str = "24.04.4"
    kernel: str = "6.17.0-1021-nvidia"
    kernels: dict[str, bool] = field(default_factory=dict)
    """Installed kernels and whether each has a driver module; the running one alone when empty."""
    ramdisks: tuple[str, ...] = ()
    """Kernels whose initrd is in /boot; that of none is listed when empty."""
    kho: str | None = None
    driver: str = "580.167.08"
    module: str | None = ""
    """Version of the loaded module; the driver's when empty, none loaded when null."""
    gsp: str | None = ""
    open_module: bool = True
    smi_error: tuple[int, str] | None = None
    persistence: bool = True
    utilisation: int = 0
    clock: int = 208
    power: float = 4.21
    cuda: str = "13.0.3"
    memory: dict[str, int] = field(
        default_factory=lambda: {
            "MemTotal": 127535084,
            "MemFree": 109210344,
            "MemAvailable": 121204880,
            "SwapTotal": 16777212,
            "SwapFree": 16777212,
            "CmaTotal": 131072,
            "CmaFree": 69320,
        }
    )
    held: bool = False
    packages: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    hotplug: bool | None = True
    powered: bool = True
    cabled: tuple[int, ...] = (1,)
    functions: list[Fn] = field(default_factory=list)
    renderer: str = "NetworkManager"
    netplan: dict[str, str] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)
    """netdev to the NetworkManager profile that is active on it."""
    managed: dict[str, str] = field(default_factory=dict)
    """netdev to NetworkManager's word for it, where that is neither connected nor disconnected."""
    routes: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    """More routes: netdev, destination, gateway, mask, metric."""
    log: list[str] = field(default_factory=list)
    """More lines of the kernel log."""
    root: bool = True
    memlock: str = "unlimited"
    synchronized: bool = True
    first_boot: str = "done"
    reboot: list[str] | None = None
    lock_holder: str | None = None
    ufw: bool = False
    cdi: str | None = None
    queue_pairs: str = ""
    files: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host = self.host or f"spark-{0x4A10 + self.number:04x}"
        if not self.functions:
            pairs = [(port, domain) for port in (0, 1) for domain in (0, 2)]
            self.functions = [Fn(port, domain, self.number, linked=port in self.cabled) for port, domain in pairs]
        if self.module == "":
            self.module = self.driver
        if self.gsp == "":
            self.gsp = self.module
        self.kernels = self.kernels or {self.kernel: True}

    @property
    def management_mac(self) -> str:
        """MAC of enP7s7."""
        return f"02:00:5e:10:{self.number:02x}:77"

    @property
    def address(self) -> str:
        """Management address (RFC 5737 documentation range)."""
        return f"198.51.100.{20 + self.number}"


def build(machine: Machine) -> dict[str, Any]:
    """The recording's parts: files, links, folders, commands, denied, missing (see plugin_utils.recording_writer.Recorded)."""
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    folders: dict[str, list[str]] = {}
    _identity(machine, files)
    _kernel(machine, files, folders)
    _driver(machine, files, links)
    _packages(machine, files)
    _system(machine, files, folders)
    _network(machine, files, folders)
    _adapter(machine, files, links, folders)
    denied = [] if machine.root else ["/sys/class/dmi/id/product_serial", "/boot/grub/grubenv", *machine.netplan]
    files.update(machine.files)
    for path in machine.remove:
        for table in (files, links, folders):
            for key in [key for key in table if key == path or key.startswith(f"{path}/")]:
                del table[key]
    files = {path: text for path, text in files.items() if path not in denied}
    known = {*files, *links, *folders}
    missing = [path for path in (*ABSENT, *machine.missing) if not any(item == path or item.startswith(f"{path}/") for item in known)]
    commands = [{"argv": argv, "responses": [response]} for argv, response in _commands(machine)]
    return {"files": files, "links": links, "folders": folders, "commands": commands, "denied": denied, "missing": missing}


def _key(machine: Machine) -> str:
    body = hashlib.sha256(f"host key {machine.number}".encode()).digest()
    return base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + body).decode()


def _identity(machine: Machine, files: dict[str, str]) -> None:
    quote = '"' if machine.quoted else ""
    serial = f"INVENTED{machine.number:06d}"
    pairs = [
        ("DGX_NAME", "DGX Spark"),
        ("DGX_PRETTY_NAME", "NVIDIA DGX Spark"),
        ("DGX_SWBUILD_DATE", "2025-09-10-13-50-03"),
        ("DGX_SWBUILD_VERSION", machine.factory),
        ("DGX_COMMIT_ID", "833b4a7"),
        ("DGX_PLATFORM", machine.platform),
        ("DGX_SERIAL_NUMBER", serial),
    ]
    text = "".join(f"{key}={quote}{value}{quote}\n" for key, value in pairs)
    for version, date in machine.otas:
        text += f"\nDGX_OTA_VERSION={quote}{version}{quote}\nDGX_OTA_DATE={quote}{date}{quote}\n"
    files["/etc/dgx-release"] = text
    files["/etc/fastos-release"] = 'NAME="DGX SPARK FASTOS"\nVERSION="1.91.51"\nBUILD_TYPE="customer"\n'
    files["/etc/os-release"] = (
        f'PRETTY_NAME="Ubuntu {machine.ubuntu} LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\n'
        f'VERSION="{machine.ubuntu} LTS (Noble Numbat)"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n'
    )
    for name, value in machine.dmi.items():
        files[f"/sys/class/dmi/id/{name}"] = value + "\n"
    files["/sys/class/dmi/id/product_serial"] = serial + "\n"
    files["/proc/sys/kernel/hostname"] = files["/etc/hostname"] = machine.host + "\n"
    digest = hashlib.sha256(f"machine {machine.number}".encode()).hexdigest()
    files["/etc/machine-id"] = digest[:32] + "\n"
    files["/proc/sys/kernel/random/boot_id"] = f"{digest[32:40]}-{digest[40:44]}-4{digest[45:48]}-8{digest[49:52]}-{digest[52:64]}\n"
    files["/etc/ssh/ssh_host_ed25519_key.pub"] = f"ssh-ed25519 {_key(machine)} root@{machine.host}\n"


def _kernel(machine: Machine, files: dict[str, str], folders: dict[str, list[str]]) -> None:
    files["/proc/sys/kernel/osrelease"] = machine.kernel + "\n"
    files["/proc/version"] = f"Linux version {machine.kernel} (buildd@bos03-arm64-001) #1-Ubuntu SMP PREEMPT_DYNAMIC\n"
    kho = f" kho={machine.kho}" if machine.kho else ""
    files["/proc/cmdline"] = (
        f"BOOT_IMAGE=/boot/vmlinuz-{machine.kernel} root=/dev/nvme0n1p2 ro init_on_alloc=0 iommu.passthrough=0 "
        f"console=ttyS0,921600 crashkernel=1G-:0M initcall_blacklist=tegra234_cbb_init{kho} pci=pcie_bus_safe\n"
    )
    files["/etc/default/grub"] = 'GRUB_DEFAULT=0\nGRUB_TIMEOUT_STYLE=hidden\nGRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\n'
    files["/boot/grub/grubenv"] = "# GRUB Environment Block\n"
    files |= {f"/boot/initrd.img-{release}": "" for release in machine.ramdisks}
    for release, has_driver in machine.kernels.items():
        files[f"/boot/vmlinuz-{release}"] = ""
        folders[f"/lib/modules/{release}"] = []
        files[f"/lib/modules/{release}/kernel/drivers/net/dummy.ko.zst"] = ""
        if has_driver:
            files[f"/lib/modules/{release}/kernel/nvidia-580-open/nvidia.ko"] = ""
    files["/proc/meminfo"] = "".join(f"{name + ':':<15} {value:>9} kB\n" for name, value in machine.memory.items())
    files["/proc/uptime"] = "84211.32 1650222.10\n"
    files["/proc/stat"] = "cpu  1 2 3 4 5 6 7 0 0 0\nbtime 1781600000\n"
    modules = "mlx5_core 2961408 1 mlx5_ib, Live 0x0000000000000000\n"
    if machine.module:
        modules += "nvidia_uvm 2068480 0 - Live 0x0000000000000000\nnvidia 14364672 12 nvidia_uvm, Live 0x0000000000000000 (O)\n"
    files["/proc/modules"] = modules


def _driver(machine: Machine, files: dict[str, str], links: dict[str, str]) -> None:
    if machine.module:
        kind = "NVIDIA UNIX Open Kernel Module for aarch64" if machine.open_module else "NVIDIA UNIX aarch64 Kernel Module"
        files["/proc/driver/nvidia/version"] = (
            f"NVRM version: {kind}  {machine.module}  Release Build  (dvs-builder@U22-I3-H10-02-1)  Tue Mar  3 19:08:06 UTC 2026\n"
            "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04.1)\n"
        )
        files["/proc/driver/nvidia/gpus/000f:01:00.0/information"] = (
            "Model: \t\t NVIDIA GB10\nIRQ:   \t\t 312\n"
            f"GPU Firmware: \t {machine.gsp or 'N/A'}\nVideo BIOS: \t 9a.0b.25.00.00\nBus Type: \t PCI\nBus Location: \t 000f:01:00.0\n"
        )
    else:
        machine.missing.append("/proc/driver/nvidia")
    files[f"/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.{machine.driver}"] = ""
    links["/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1"] = f"libnvidia-ml.so.{machine.driver}"
    files["/usr/local/cuda/version.json"] = json.dumps(
        {"cuda": {"name": "CUDA SDK", "version": machine.cuda}, "cuda_nvcc": {"name": "CUDA NVCC", "version": "13.0.88"}}, indent=1
    )
    files["/etc/apt/preferences.d/nvidia-dgx"] = "Package: *580*\nPin: release l=NVIDIA CUDA\nPin-Priority: -1\n"
    unit = "nvidia-persistenced.service"
    files[f"/usr/lib/systemd/system/{unit}"] = "[Unit]\nDescription=NVIDIA Persistence Daemon\n"
    links[f"/etc/systemd/system/multi-user.target.wants/{unit}"] = f"../../../../usr/lib/systemd/system/{unit}"
    if machine.persistence and machine.module:
        files[f"/sys/fs/cgroup/system.slice/{unit}/cgroup.procs"] = "1204\n"
    if machine.cdi:
        files["/etc/cdi/nvidia.yaml"] = (
            "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ncontainerEdits:\n  mounts:\n"
            f"    - hostPath: /usr/lib/aarch64-linux-gnu/libcuda.so.{machine.cdi}\n"
            f"    - hostPath: /usr/lib/aarch64-linux-gnu/libnvidia-ml.so.{machine.cdi}\n"
        )


def _packages(machine: Machine, files: dict[str, str]) -> None:
    newest = max(machine.kernels, key=lambda release: [int(part) for part in release.replace("-", ".").split(".")[:4]])
    meta = newest.removesuffix("-nvidia") + ".1"
    driver = f"{machine.driver}-0ubuntu0.24.04.1"
    group = {
        "linux-nvidia-hwe-24.04": meta,
        "linux-image-nvidia-hwe-24.04": meta,
        "linux-headers-nvidia-hwe-24.04": meta,
        "linux-tools-nvidia-hwe-24.04": meta,
        "linux-modules-nvidia-580-open-nvidia-hwe-24.04": meta,
        "nvidia-driver-580-open": driver,
        **{f"linux-image-{release}": meta for release in machine.kernels},
        **{f"linux-modules-nvidia-580-open-{release}": meta for release, has in machine.kernels.items() if has},
    }
    others = {
        "apt": "2.7.14build2",
        "base-files": "13ubuntu10.3",
        "dpkg": "1.22.6ubuntu6.1",
        "libc6": "2.39-0ubuntu8.6",
        "libnvidia-compute-580": driver,
        "nvidia-utils-580": driver,
        "nvidia-kernel-common-580": driver,
        "nvidia-persistenced": driver,
        "cuda-toolkit-13-0": "13.0.3-1",
        "nvidia-container-toolkit": "1.19.0-1",
        "docker-ce": "5:29.2.1-1~ubuntu.24.04~noble",
        "dgx-release": machine.otas[-1][0] if machine.otas else machine.factory,
        "dgx-dashboard": "0.29.0",
        "nvidia-spark-run-apt-upgrade": "1.0-4",
        "netplan.io": "1.1.2-2~ubuntu24.04.2",
        "rdma-core": "50.0-2ubuntu0.2",
    }
    text = ""
    for name, version in sorted({**group, **others, **machine.packages}.items()):
        status = machine.states.get(name) or ("hold ok installed" if machine.held and name in group else "install ok installed")
        text += f"Package: {name}\nStatus: {status}\nArchitecture: arm64\nVersion: {version}\n\n"
    files["/var/lib/dpkg/status"] = text


def _system(machine: Machine, files: dict[str, str], folders: dict[str, list[str]]) -> None:
    uid = 0 if machine.root else 1000
    files["/proc/self/status"] = (
        f"Name:\tpython3\nPid:\t4242\nPPid:\t4240\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{uid}\t{uid}\t{uid}\t{uid}\n"
    )
    files["/proc/4240/status"] = "Name:\tsudo\nPid:\t4240\nPPid:\t4239\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n"
    files["/proc/4239/status"] = "Name:\tsh\nPid:\t4239\nPPid:\t1\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n"
    limit = "Limit                     Soft Limit           Hard Limit           Units     \n"
    limit += f"Max locked memory         {machine.memlock:<21}{machine.memlock:<21}bytes     \n"
    files["/proc/4239/limits"] = files["/proc/self/limits"] = limit
    files["/etc/passwd"] = "root:x:0:0:root:/root:/bin/bash\nlab:x:1000:1000:Lab,,,:/home/lab:/bin/bash\n"
    files["/etc/group"] = "root:x:0:\nsudo:x:27:lab\ndocker:x:988:lab\nlab:x:1000:\n"
    locks = "1: POSIX  ADVISORY  WRITE 1102 00:1b:1834 0 EOF\n"
    if machine.lock_holder:
        locks += "2: POSIX  ADVISORY  WRITE 7311 103:02:40011 0 EOF\n"
        files["/proc/7311/comm"] = machine.lock_holder + "\n"
    files["/proc/locks"] = locks
    if machine.synchronized:
        files["/run/systemd/timesync/synchronized"] = ""
    else:
        folders["/run/systemd/timesync"] = []
    unit = f"{FIRST_BOOT}.service"
    files[f"/usr/lib/systemd/system/{unit}"] = "[Unit]\nDescription=NVIDIA Spark first boot upgrade\n"
    if machine.first_boot == "done":
        files[f"/var/lib/{FIRST_BOOT}/done"] = ""
    else:
        machine.missing.append(f"/var/lib/{FIRST_BOOT}")
    if machine.reboot is not None:
        files["/run/reboot-required"] = "*** System restart required ***\n"
        files["/run/reboot-required.pkgs"] = "".join(f"{name}\n" for name in machine.reboot)
    files["/etc/ufw/ufw.conf"] = f"ENABLED={'yes' if machine.ufw else 'no'}\nLOGLEVEL=low\n"
    files["/proc/sys/net/ipv4/conf/all/arp_ignore"] = "1\n"
    files["/proc/sys/net/ipv4/conf/all/arp_announce"] = "2\n"


def _network(machine: Machine, files: dict[str, str], folders: dict[str, list[str]]) -> None:
    folders["/sys/class/net"] = []
    folders["/etc/netplan"] = []
    for path, text in machine.netplan.items():
        files[path] = text
    if machine.renderer == "NetworkManager":
        folders["/run/NetworkManager"] = []
        files["/etc/netplan/01-network-manager-all.yaml"] = "network:\n  version: 2\n  renderer: NetworkManager\n"
        folders["/etc/NetworkManager/system-connections"] = []
    else:
        machine.missing.append("/run/NetworkManager")
        files["/etc/netplan/50-cloud-init.yaml"] = (
            "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    enP7s7: {dhcp4: true, optional: true}\n"
        )
    rows = [("enP7s7", "00000000", "FE6433C6", "00000000", 100), ("enP7s7", "006433C6", "00000000", "00FFFFFF", 100)]
    rows += machine.routes
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    files["/proc/net/route"] = head + "".join(
        f"{netdev}\t{dest}\t{gate}\t{'0003' if gate != '00000000' else '0001'}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"
        for netdev, dest, gate, mask, metric in rows
    )


def _device(files: dict[str, str], links: dict[str, str], folder: str, pci: str, identity: str, driver: str) -> None:
    files[f"{folder}/uevent"] = f"DRIVER={driver}\nPCI_CLASS=20000\nPCI_ID={identity}\nPCI_SLOT_NAME={pci}\n"
    links[f"/sys/bus/pci/devices/{pci}"] = "../../.." + folder.removeprefix("/sys")


def _adapter(machine: Machine, files: dict[str, str], links: dict[str, str], folders: dict[str, list[str]]) -> None:
    _device(
        files, links, "/sys/devices/pci000f:00/000f:00:00.0/000f:01:00.0", "000f:01:00.0", "10DE:2E12", "nvidia" if machine.module else ""
    )
    nic = "/sys/devices/pci0007:00/0007:00:00.0/0007:01:00.0"
    _device(files, links, nic, "0007:01:00.0", "10EC:8127", "r8127")
    management = f"{nic}/net/enP7s7"
    values = {"address": machine.management_mac, "mtu": "1500", "flags": "0x1003", "carrier": "1", "operstate": "up", "speed": "10000"}
    files.update({f"{management}/{name}": f"{value}\n" for name, value in values.items()})
    links[f"{management}/device"] = "../../../0007:01:00.0"
    links["/sys/class/net/enP7s7"] = "../.." + management.removeprefix("/sys")
    if machine.hotplug is not None:
        files[f"{SWITCH}/hotplug_enabled"] = f"{int(machine.hotplug)}\n"
        files[f"{SWITCH}/debug_state"] = f"{int(machine.powered)}\n"
        if machine.hotplug:
            files["/etc/nvidia/cx7-hotplug-enabled"] = ""
        else:
            machine.missing.append("/etc/nvidia/cx7-hotplug-enabled")
    folders["/sys/class/infiniband"] = []
    for item in machine.functions:
        _device(files, links, item.folder, item.pci, "15B3:1021", "mlx5_core")
        files[f"{item.folder}/current_link_width"] = f"{item.width}\n"
        files[f"{item.folder}/max_link_width"] = "4\n"
        files[f"{item.folder}/current_link_speed"] = f"{item.rate}\n"
        _netdev(machine, item, files, links)
        _rdma(item, files, links)


def _netdev(machine: Machine, item: Fn, files: dict[str, str], links: dict[str, str]) -> None:
    net = f"{item.folder}/net/{item.netdev}"
    values = {
        "address": item.mac,
        "mtu": str(item.mtu),
        "flags": "0x1003" if item.admin_up else "0x1002",
        "operstate": "up" if item.linked else "down",
        "phys_port_name": f"p{item.port}",
        "phys_switch_id": f"02005e10{machine.number:02x}000047",
        "carrier_down_count": str(item.flaps),
    }
    if item.admin_up:
        values["carrier"] = "1" if item.linked else "0"
        values["speed"] = str(item.speed) if item.linked else "-1"
    files.update({f"{net}/{name}": f"{value}\n" for name, value in values.items()})
    links[f"{net}/device"] = f"../../../{item.pci}"
    links[f"/sys/class/net/{item.netdev}"] = "../.." + net.removeprefix("/sys")


def _rdma(item: Fn, files: dict[str, str], links: dict[str, str]) -> None:
    device = f"{item.folder}/infiniband/{item.rdma}"
    links[f"/sys/class/infiniband/{item.rdma}"] = "../.." + device.removeprefix("/sys")
    links[f"{device}/device"] = f"../../../{item.pci}"
    files[f"{device}/fw_ver"] = item.firmware + "\n"
    port = f"{device}/ports/1"
    up = item.linked
    files[f"{port}/state"] = "4: ACTIVE\n" if up else "1: DOWN\n"
    files[f"{port}/phys_state"] = "5: LinkUp\n" if up else "3: Disabled\n"
    files[f"{port}/rate"] = "200 Gb/sec (2X NDR)\n" if up else "40 Gb/sec (4X QDR)\n"
    table = [_link_local(item.mac)] if item.link_local and up else []
    for address in item.ipv4 if item.gids else []:
        parts = [int(part) for part in address.partition("/")[0].split(".")]
        table.append(f"0000:0000:0000:0000:0000:ffff:{parts[0]:02x}{parts[1]:02x}:{parts[2]:02x}{parts[3]:02x}")
    for place, gid in enumerate(table):
        for index, kind in ((2 * place, "IB/RoCE v1"), (2 * place + 1, "RoCE v2")):
            files[f"{port}/gids/{index}"] = gid + "\n"
            files[f"{port}/gid_attrs/types/{index}"] = kind + "\n"
    files[f"{port}/gids/{2 * len(table)}"] = "0000:0000:0000:0000:0000:0000:0000:0000\n"
    if up:
        files[f"{port}/counters/port_rcv_data"] = "88211\n"
        files[f"{port}/counters/port_xmit_data"] = "90107\n"


def _addresses(machine: Machine) -> str:
    def info(address: str, scope: str, dynamic: bool = False) -> dict[str, Any]:
        local, _slash, length = address.partition("/")
        family = "inet6" if ":" in local else "inet"
        return {"family": family, "local": local, "prefixlen": int(length), "scope": scope, **({"dynamic": True} if dynamic else {})}

    found: list[dict[str, Any]] = [
        {
            "ifindex": 1,
            "ifname": "lo",
            "flags": ["LOOPBACK", "UP", "LOWER_UP"],
            "mtu": 65536,
            "operstate": "UNKNOWN",
            "address": "00:00:00:00:00:00",
            "addr_info": [info("127.0.0.1/8", "host")],
        },
        {
            "ifindex": 2,
            "ifname": "enP7s7",
            "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
            "mtu": 1500,
            "operstate": "UP",
            "address": machine.management_mac,
            "addr_info": [info(f"{machine.address}/24", "global", True)],
        },
    ]
    for index, item in enumerate(machine.functions, start=3):
        flags = (
            ["BROADCAST", "MULTICAST"]
            + (["UP"] if item.admin_up else [])
            + (["LOWER_UP"] if item.linked else ["NO-CARRIER"] * item.admin_up)
        )
        addresses = [info(address, "link" if address.startswith("169.254.") else "global") for address in item.ipv4]
        addresses += [info(f"{item.local}/64", "link")] if item.linked and item.link_local else []
        found.append(
            {
                "ifindex": index,
                "ifname": item.netdev,
                "flags": flags,
                "mtu": item.mtu,
                "operstate": "UP" if item.linked else "DOWN",
                "address": item.mac,
                **({"master": machine.bond[0]} if machine.bond and item.netdev in machine.bond[2] else {}),
                "addr_info": addresses,
            }
        )
    if machine.bond:
        name, address, members = machine.bond
        mac = next(item.mac for item in machine.functions if item.netdev == members[0])
        flags = ["BROADCAST", "MULTICAST", "MASTER", "UP", "LOWER_UP"]
        bond = {"ifindex": 12, "ifname": name, "flags": flags, "mtu": 9000, "operstate": "UP", "address": mac}
        found.append({**bond, "addr_info": [info(address, "global")]})
    docker = {
        "ifindex": 20,
        "ifname": "docker0",
        "flags": ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"],
        "mtu": 1500,
        "operstate": "DOWN",
        "address": "02:42:5e:10:00:01",
        "addr_info": [info("172.17.0.1/16", "global")],
    }
    return json.dumps([*found, docker], indent=1) + "\n"


def _detail(machine: Machine) -> str:
    row = "    {:<51}: {}\n".format
    deep = "        {:<47}: {}\n".format
    return (
        "\n==============NVSMI LOG==============\n\n"
        f"Timestamp                                              : Tue Jun 16 10:12:44 2026\n"
        f"Driver Version                                         : {machine.module}\n"
        "CUDA Version                                           : 13.0\n\n"
        "Attached GPUs                                          : 1\nGPU 0000000F:01:00.0\n"
        + row("Product Name", "NVIDIA GB10")
        + row("Product Architecture", "Blackwell")
        + row("Persistence Mode", "Enabled" if machine.persistence else "Disabled")
        + row("VBIOS Version", "9A.0B.25.00.00")
        + row("GSP Firmware Version", machine.gsp or "N/A")
        + "    FB Memory Usage\n"
        + deep("Total", "Not Supported")
        + "    Utilization\n"
        + deep("GPU", f"{machine.utilisation} %")
        + "    Temperature\n"
        + deep("GPU Current Temp", "37 C")
        + "    GPU Power Readings\n"
        + deep("Average Power Draw", "N/A")
        + deep("Instantaneous Power Draw", f"{machine.power:.2f} W")
        + "    Clocks\n"
        + deep("SM", f"{machine.clock} MHz")
        + "    Max Clocks\n"
        + deep("SM", "3003 MHz")
        + "    Processes                                          : None\n"
    )


def _kernel_log(machine: Machine) -> str:
    lines = [
        f"[    0.000000] {machine.host} kernel: Linux version {machine.kernel} (buildd@bos03-arm64-001)",
        f"[    0.412233] {machine.host} kernel: DMI: {machine.dmi['sys_vendor']} {machine.dmi['product_name']}",
    ]
    for item in machine.functions:
        lines.append(f"[    4.118230] {machine.host} kernel: mlx5_core {item.pci}: firmware version: {item.firmware}")
    if machine.hotplug is not None:
        lines.append(f"[    5.200110] {machine.host} kernel: cx7-pcie-hotplug MTKP0001:00: PCIe hotplug driver initialized")
    if machine.hotplug:
        lines.append(f"[    5.200400] {machine.host} kernel: cx7-pcie-hotplug MTKP0001:00: Hotplug enabled")
        if not machine.powered:
            lines.append(f"[   20.420007] {machine.host} kernel: cx7-pcie-hotplug MTKP0001:00: Cable removal")
    for item in machine.functions:
        if item.linked:
            lines.append(
                f"[    8.300120] {machine.host} kernel: mlx5_core {item.pci}: Port module event: module {item.port}, Cable plugged"
            )
    return "\n".join([*lines, *(line.replace("HOST", machine.host) for line in machine.log)]) + "\n"


def _commands(machine: Machine) -> list[tuple[list[str], dict[str, Any]]]:
    def answer(text: str, rc: int = 0, stderr: str = "") -> dict[str, Any]:
        return {"rc": rc, "stdout": text, "stderr": stderr}

    query = ["nvidia-smi", f"--query-gpu={SMI_COLUMNS}", "--format=csv"]
    if machine.smi_error is not None:
        code, said = machine.smi_error
        smi = [(argv, answer(said + "\n", code)) for argv in (["nvidia-smi", "-q"], query, ["nvidia-smi"], ["nvidia-smi", "--version"])]
    else:
        mode = "Enabled" if machine.persistence else "Disabled"
        row = (
            f"0, NVIDIA GB10, 0000000F:01:00.0, {machine.module}, 9A.0B.25.00.00, 12.1, {mode}, {machine.clock} MHz, 3003 MHz, "
            f"{machine.power:.2f} W, 37, {machine.utilisation} %\n"
        )
        header = (
            "index, name, pci.bus_id, driver_version, vbios_version, compute_cap, persistence_mode, clocks.current.sm [MHz], "
            "clocks.max.sm [MHz], power.draw [W], temperature.gpu, utilization.gpu [%]\n"
        )
        version = (
            f"NVIDIA-SMI version  : {machine.driver}\nNVML version        : {machine.driver}\nDRIVER version      : {machine.module}\n"
        )
        smi = [
            (["nvidia-smi", "-q"], answer(_detail(machine))),
            (query, answer(header + row)),
            (["nvidia-smi", "--version"], answer(version + "CUDA Version        : 13.0\n")),
        ]
    has_module = machine.kernels.get(machine.kernel)
    license_text = "Dual MIT/GPL\n" if machine.open_module else "NVIDIA\n"
    modinfo = answer(license_text) if has_module else answer("", 1, "modinfo: ERROR: Module nvidia not found.\n")
    names = [*(item.netdev for item in machine.functions)]
    table = f"enP7s7:ethernet:connected:{machine.profiles.get('enP7s7', 'Wired connection 1')}\n" + "".join(
        f"{name}:ethernet:{machine.managed.get(name) or ('connected' if machine.profiles.get(name) else 'disconnected')}:"
        f"{machine.profiles.get(name, '')}\n"
        for name in names
    )
    inodes = "".join(f"66306 {40010 + place} {path}\n" for place, path in enumerate(LOCKS))
    active = "active\n" if machine.persistence and machine.module else "inactive\n"
    log = answer(_kernel_log(machine)) if machine.root else answer("", 1, "No journal files were opened due to insufficient permissions.\n")
    found = [
        *smi,
        (["modinfo", "-F", "license", "nvidia"], modinfo),
        (["uname", "-m"], answer("aarch64\n")),
        (["ip", "-j", "addr", "show"], answer(_addresses(machine))),
        (["rdma", "resource", "show", "qp"], answer(machine.queue_pairs)),
        (["stat", "-c", "%d %i %n", *LOCKS], answer(inodes)),
        (["systemctl", "is-active", "nvidia-persistenced.service"], answer(active, 0 if active == "active\n" else 3)),
        (LOG, log),
    ]
    if not machine.root:
        found.append((["dmesg"], answer("", 1, "dmesg: read kernel buffer failed: Operation not permitted\n")))
    if machine.renderer == "NetworkManager":
        found.append((["nmcli", "-t", "-f", "DEVICE,TYPE,STATE,CONNECTION", "device"], answer(table)))
    if not machine.synchronized:
        found.append((["timedatectl", "show"], answer("Timezone=Etc/UTC\nNTP=yes\nNTPSynchronized=no\n")))
    return found
