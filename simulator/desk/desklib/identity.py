"""Files and units that make a fresh container look like a desk: written by the entry before systemd starts.

Every function here may run at each boot: it writes what is missing or what the model decides, and leaves alone what
the owner of the desk may have changed since.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from . import grub
from .desk import Desk

FIRST = Path("/var/lib/spark-hw/first-boot-done")
REAL = Path("/usr/lib/desk-real")
# Where each stand-in sits on the machine's file system.
STANDINS = {
    "nvidia-smi": "/usr/bin",
    "ethtool": "/usr/sbin",
    "rdma": "/usr/bin",
    "ibstat": "/usr/sbin",
    "ibv_devinfo": "/usr/bin",
    "ibv_devices": "/usr/bin",
    "ibdev2netdev": "/usr/sbin",
    "show_gids": "/usr/sbin",
    "lldpctl": "/usr/sbin",
    "lspci": "/usr/bin",
    "modinfo": "/usr/sbin",
    "lsmod": "/usr/sbin",
    "dmesg": "/usr/bin",
    "journalctl": "/usr/bin",
    "nvidia-ctk": "/usr/bin",
    "docker": "/usr/bin",
    "fwupdmgr": "/usr/bin",
    "grub-reboot": "/usr/sbin",
    "update-grub": "/usr/sbin",
    "busctl": "/usr/bin",
    "timedatectl": "/usr/bin",
    "ip": "/usr/bin",
    "nvcc": "/usr/local/cuda/bin",
    "check_ota_status.py": "/opt/nvidia/spark-ota-check",
}
MASKED = (
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
    "systemd-udev-settle.service",
    "systemd-networkd-wait-online.service",
    "NetworkManager-wait-online.service",
    "systemd-logind.service",
    "getty.target",
    "console-getty.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "apt-daily.service",
    "apt-daily-upgrade.service",
    "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
    "systemd-firstboot.service",
    "systemd-modules-load.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-kernel-config.mount",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "e2scrub_all.timer",
    "fstrim.timer",
    "systemd-sysctl.service",
)

_DAEMON = """#!/bin/sh
# Stand-in: a process that is there and does nothing.
trap 'exit 0' TERM INT
while :; do sleep 86400 & wait $!; done
"""
UNITS = {
    "spark-hw.service": """[Unit]
Description=Simulated hardware of this desk
DefaultDependencies=no
Before=sysinit.target NetworkManager.service systemd-networkd.service
[Service]
Type=simple
ExecStart=/opt/desk/hardwared
Restart=always
RestartSec=1
KillMode=process
OOMScoreAdjust=-900
[Install]
WantedBy=sysinit.target
""",
    "nvidia-persistenced.service": """[Unit]
Description=NVIDIA Persistence Daemon
Wants=syslog.target
[Service]
Type=simple
ExecStart=/usr/bin/nvidia-persistenced --verbose
RuntimeDirectory=nvidia-persistenced
[Install]
WantedBy=multi-user.target
""",
    "dgx-dashboard.service": """[Unit]
Description=DGX Dashboard
After=network.target
[Service]
ExecStart=/opt/nvidia/dgx-dashboard/dgx-dashboard
[Install]
WantedBy=multi-user.target
""",
    "dgx-oobe.service": """[Unit]
Description=DGX first boot wizard
[Service]
ExecStart=/opt/nvidia/dgx-dashboard/dgx-dashboard
""",
    "nvidia-spark-run-apt-upgrade-once.service": """[Unit]
Description=Upgrade packages once at first boot
ConditionPathExists=!/var/lib/nvidia-spark-run-apt-upgrade-once/done
[Service]
Type=oneshot
ExecStart=/opt/nvidia/dgx-dashboard/dgx-dashboard
[Install]
WantedBy=multi-user.target
""",
}
_ENABLED = {
    "spark-hw.service": "sysinit.target",
    "nvidia-persistenced.service": "multi-user.target",
    "dgx-dashboard.service": "multi-user.target",
}


def write(path: str | Path, text: str, mode: int = 0o644, keep: bool = False) -> None:
    """Write a file with its folders; ``keep`` leaves an existing one alone."""
    target = Path(path)
    if keep and target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    target.write_text(text, encoding="utf-8")
    target.chmod(mode)


def choose_kernel(desk: Desk, boot: Path = Path("/boot")) -> str:
    """The kernel that GRUB boots now, by its menu and its settings; the model's where /boot is empty."""
    return grub.start(boot.parent) or str(desk.model["kernel"])


def first_boot(desk: Desk) -> None:
    """What a desk brings from the factory, written once: an owner may change it afterwards."""
    model = desk.model
    write("/etc/dgx-release", model["dgx_release"].replace("@SERIAL@", desk.serial))
    write("/etc/fastos-release", model.get("fastos_release", ""))
    if "os_release" in model:
        write("/usr/lib/os-release", model["os_release"])
        with contextlib.suppress(FileNotFoundError):
            Path("/etc/os-release").unlink()
        Path("/etc/os-release").symlink_to("../usr/lib/os-release")
        description = re.search(r'^PRETTY_NAME="(.*)"', model["os_release"], re.M)
        write(
            "/etc/lsb-release",
            "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=24.04\nDISTRIB_CODENAME=noble\n"
            f'DISTRIB_DESCRIPTION="{description.group(1) if description else "Ubuntu 24.04 LTS"}"\n',
        )
    for kernel in model.get("kernels_installed") or [model["kernel"]]:
        write(f"/boot/vmlinuz-{kernel}", "simulated kernel\n", 0o600, keep=True)
        write(f"/boot/initrd.img-{kernel}", "simulated initrd\n", keep=True)
        write(f"/boot/config-{kernel}", "CONFIG_ARM64=y\nCONFIG_KEXEC_HANDOVER=y\n", keep=True)
        base = f"/lib/modules/{kernel}/kernel"
        write(f"{base}/nvidia-580-open/nvidia.ko", "simulated module\n", keep=True)
        write(f"{base}/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko.zst", "simulated module\n", keep=True)
    grub.write_menu()
    write("/etc/default/grub.d/iommu.cfg", 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX iommu.passthrough=0"\n', keep=True)
    write("/etc/security/limits.d/nv-limits.conf", "* soft nofile 500000\n* hard nofile 500000\n", keep=True)
    write(
        "/etc/sysctl.d/20-nvidia-defaults.conf",
        "net.ipv4.conf.all.arp_ignore = 1\nnet.ipv4.conf.default.arp_ignore = 1\n"
        "net.ipv4.conf.all.arp_announce = 2\nnet.ipv4.conf.default.arp_announce = 2\nvm.max_map_count = 1048576\n",
        keep=True,
    )
    if desk.hotplug_enabled:
        write("/etc/nvidia/cx7-hotplug-enabled", "", keep=True)
    if model.get("hotplug", {}).get("supported", True):
        write(
            "/lib/udev/rules.d/90-mtk-hotplug.rules",
            'ACTION=="change", SUBSYSTEM=="platform", KERNEL=="MTKP0001:00", '
            'RUN+="/opt/nvidia/dgx-spark-mlnx-hotplug/mtk-hotplug-handler.sh"\n',
            keep=True,
        )
    write("/var/lib/nvidia-spark-run-apt-upgrade-once/done", "", keep=True)
    ota = model.get("ota", {})
    write(
        "/opt/nvidia/spark-ota-check/metadata/installed.json",
        f'{{"name": "{ota.get("name", "OTA0")}", "releaseDate": "{ota.get("release_date", "")}"}}\n',
        keep=True,
    )
    swap = model.get("meminfo", {}).get("SwapTotal", 0)
    write("/run/spark-hw/swap", f"{swap}\n")


def daemons() -> None:
    """Programs behind the units, and the units themselves."""
    write("/usr/bin/nvidia-persistenced", _DAEMON, 0o755)
    write("/opt/nvidia/dgx-dashboard/dgx-dashboard", _DAEMON, 0o755)
    for name, text in UNITS.items():
        write(f"/usr/lib/systemd/system/{name}", text)


def enable_units() -> None:
    """Enable what is enabled on a stock desk (once: an owner may disable it)."""
    for name, target in _ENABLED.items():
        link = Path(f"/etc/systemd/system/{target}.wants/{name}")
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"/usr/lib/systemd/system/{name}")


def mask_units() -> None:
    """Keep systemd away from what a container must not touch."""
    for name in MASKED:
        link = Path(f"/etc/systemd/system/{name}")
        if link.is_symlink() and os.readlink(link) == "/dev/null":
            continue
        with contextlib.suppress(OSError):
            link.unlink()
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("/dev/null")
    udevadm = Path("/usr/bin/udevadm")
    if udevadm.exists() and not udevadm.is_symlink():
        udevadm.unlink()
        udevadm.symlink_to("true")


def install_standins(source: Path = Path("/opt/desk/standins"), without: Iterable[str] = ()) -> None:
    """Put the stand-ins (not those named ``without``) where the machine has the real programs; a real one goes to /usr/lib/desk-real."""
    for name, folder in STANDINS.items():
        program = source / name
        if not program.exists() or name in without:
            continue
        for place in {folder, "/usr/bin", "/usr/sbin"}:
            target = Path(place) / name
            if not target.exists() or target.is_symlink():
                continue
            REAL.mkdir(parents=True, exist_ok=True)
            shutil.move(target, REAL / name)
        target = Path(folder) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            if os.readlink(target) == str(program):
                continue
            if not os.readlink(target).startswith("/opt/desk"):
                real = target.resolve()
                REAL.mkdir(parents=True, exist_ok=True)
                if real.exists() and not (REAL / name).exists():
                    (REAL / name).symlink_to(real)
            target.unlink()
        target.symlink_to(program)


def host_keys() -> None:
    """ssh host keys of this desk's own, made at its first start."""
    if not list(Path("/etc/ssh").glob("ssh_host_*_key")) and shutil.which("ssh-keygen"):
        os.spawnlp(os.P_WAIT, "ssh-keygen", "ssh-keygen", "-A")


def machine_id(desk: Desk) -> None:
    """A machine id of this desk's own (DHCP and journals go by it)."""
    import hashlib

    write("/etc/machine-id", hashlib.sha256(f"{desk.name}/{desk.serial}".encode()).hexdigest()[:32] + "\n", 0o444)
