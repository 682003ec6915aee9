"""What is real in a desk that runs as a virtual machine: its kernel, its network adapters, RDMA over them (soft-RoCE).

In a container (the usual desk) none of this applies. desk.json says which of the two a desk is (`machine`: `vm`).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .desk import RUN_DIR, Desk

REAL_SYS = RUN_DIR / "real-sys"
REAL_PROGRAMS = ("ethtool", "rdma", "ibstat", "ibv_devinfo", "ibv_devices", "lldpctl", "ip")
"""Stand-ins that a virtual machine does not need: the real program talks to a real kernel there."""
UNSEEN = ("ibdev2netdev", "show_gids")
"""Programs that come with NVIDIA's own packages alone: without them a desk has neither the program nor a stand-in."""
CLASSES = ("infiniband_verbs", "infiniband_mad", "infiniband_cm", "infiniband_srp")
COUNTERS = {"port_xmit_data": "tx_bytes", "port_rcv_data": "rx_bytes"}
"""Port counters that soft-RoCE lacks, and the interface's own counter of the same bytes (a word has four)."""


def name_interfaces(desk: Desk) -> None:
    """Give every adapter the name that the description has for its MAC."""
    wanted = {str(item["mac"]).lower(): str(item["netdev"]) for item in desk.data.get("functions", [])}
    management = desk.data.get("management") or {}
    wanted[str(management.get("mac", "")).lower()] = str(management.get("netdev", ""))
    for folder in sorted(Path("/sys/class/net").iterdir()):
        name = wanted.get((folder / "address").read_text(encoding="ascii").strip().lower())
        if name and name != folder.name:
            _run("ip", "link", "set", "dev", folder.name, "name", name)


def make_rdma(desk: Desk) -> None:
    """An RDMA device over every function, under the name that it has on a DGX Spark."""
    for item in desk.data.get("functions", []):
        if Path("/sys/class/net", item["netdev"]).exists() and not Path("/sys/class/infiniband", item["rdma"]).exists():
            _run("rdma", "link", "add", item["rdma"], "type", "rxe", "netdev", item["netdev"])


def netdev_folder(name: str) -> Path:
    """The kernel's own folder of an interface."""
    return Path(os.path.realpath(REAL_SYS / "class/net" / name))


def rdma_folder(name: str) -> Path:
    """The kernel's own folder of an RDMA device."""
    return Path(os.path.realpath(REAL_SYS / "class/infiniband" / name))


def port_counter(netdev: str, name: str) -> int:
    """A port counter, in words of four octets, from the interface that soft-RoCE sends through."""
    try:
        text = (netdev_folder(netdev) / "statistics" / COUNTERS[name]).read_text(encoding="ascii")
    except OSError:
        return 0
    return int(text) // 4


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
