# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel complained of since this boot."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PcieError:
    """Lines of one kind about one PCIe device."""

    address: str
    """As the log names it, such as 0000:00:00.0 (a root port) or 0000:01:00.0 (a function)."""
    kind: str
    """fatal, nonfatal (AER), mlx5 (the adapter's driver noticed it), failed or recovered (its recovery), stalled (it did not send or
    answer in time), start (its driver did not start)."""
    line: str
    """The first of them."""
    count: int = 1
    """How many there were."""


@dataclass(frozen=True)
class PlugError:
    """Lines of one complaint of the ConnectX-7 about a plug in a cage, or about its temperature."""

    about: str
    """Such as module 0 of 0000:01:00.0."""
    error: str
    """As its driver says it, such as High Temperature."""
    line: str
    """The first of them."""
    count: int = 1
    """How many there were."""


@dataclass(frozen=True)
class KernelEvents:
    """Errors in the kernel log of this boot. Lines are as the log has them, the first few of a kind and the last one."""

    xids: dict[str, int] = field(default_factory=dict)
    """Number of an Xid (the GPU driver's error number) to how often it was logged."""
    gpu_lines: tuple[str, ...] = ()
    """Lines of Xids and of failures of the GPU."""
    gpu_failures: tuple[str, ...] = ()
    """Those that say that the GPU cannot be used (RmInitAdapter failed, fallen off the bus ...)."""
    recovery_action: str | None = None
    """What the last Xid 154 asks for, such as Node Reboot Required; null for nothing."""
    gpu_memory_errors: int = 0
    """How often the GPU driver could not get memory."""
    gpu_memory_lines: tuple[str, ...] = ()
    """What it said then."""
    oom_kills: int = 0
    """Processes that the kernel killed because memory ran out."""
    oom_lines: tuple[str, ...] = ()
    """Lines about processes that the kernel killed."""
    refused_modules: tuple[str, ...] = ()
    """Lines about a module whose signature or key was not accepted."""
    unfit_modules: tuple[str, ...] = ()
    """Lines about a module of the driver that was built for another kernel."""
    lockups: tuple[str, ...] = ()
    """Lines of soft lockups, stalls and SMMUs (a device's way to memory) that do not answer."""
    pcie_errors: tuple[PcieError, ...] = ()
    """Errors of PCIe devices (AER, mlx5_core), by device and kind."""
    plug_errors: tuple[PlugError, ...] = ()
    """Complaints of the ConnectX-7 about plugs and heat (mlx5_core)."""
