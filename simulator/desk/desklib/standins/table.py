"""Which stand-in answers to which name."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable

from .. import recording
from .common import REAL

COMMANDS = {
    "nvidia-smi": "gpu.nvidia_smi",
    "modinfo": "gpu.modinfo",
    "lsmod": "gpu.lsmod",
    "nvcc": "gpu.nvcc",
    "nvidia-ctk": "gpu.nvidia_ctk",
    "ethtool": "nic.ethtool",
    "lspci": "nic.lspci",
    "rdma": "rdma.rdma",
    "ibstat": "rdma.ibstat",
    "ibv_devinfo": "rdma.ibv_devinfo",
    "ibv_devices": "rdma.ibv_devices",
    "ibdev2netdev": "rdma.ibdev2netdev",
    "show_gids": "rdma.show_gids",
    "docker": "host.docker",
    "fwupdmgr": "host.fwupdmgr",
    "grub-reboot": "host.grub_reboot",
    "update-grub": "host.update_grub",
    "busctl": "host.busctl",
    "check_ota_status.py": "host.ota_check",
    "timedatectl": "host.timedatectl",
    "lldpctl": "lldp.lldpctl",
    "dmesg": "kernellog.dmesg",
    "journalctl": "kernellog.journalctl",
    "ib_write_bw": "perftest.ib_write_bw",
    "ib_read_bw": "perftest.ib_read_bw",
    "ib_write_lat": "perftest.ib_write_lat",
    "nccl-fabric": "ncclfabric.main",
}


def find(name: str) -> Callable[[list[str]], int]:
    """The function behind a command.  Raises KeyError for a name that has none."""
    module, function = COMMANDS[name].split(".")
    found: Callable[[list[str]], int] = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    return found


def main(argv: list[str]) -> int:
    """Run the stand-in that the program's name asks for."""
    name = os.path.basename(argv[0])
    recorded = recording.answer(argv)
    if recorded is not None:
        return recorded
    if name not in COMMANDS and (REAL / name).exists():
        os.execv(REAL / name, [name, *argv[1:]])
    if name not in COMMANDS:
        print(f"{name}: no such stand-in; known: {', '.join(COMMANDS)}", file=sys.stderr)
        return 127
    try:
        code = find(name)(argv[1:])
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError) as error:
        print(f"{name}: this simulated desk cannot answer: {error}", file=sys.stderr)
        return 125
