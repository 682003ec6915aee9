# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU driver of a desk: what is loaded, what is installed, what would start next."""

from __future__ import annotations

from dataclasses import dataclass, field

from .kernel_events import KernelEvents


@dataclass(frozen=True)
class Package:
    """One package of the dpkg database."""

    name: str
    version: str
    held: bool = False
    state: str = "installed"
    """dpkg's status word: installed, half-configured, half-installed, unpacked, config-files ..."""
    want: str = "install"
    """dpkg's wanted action: install, hold, deinstall, purge, unknown."""
    architecture: str | None = None


@dataclass(frozen=True)
class KernelImage:
    """One installed kernel, as the boot loader sees it."""

    release: str
    """As ``uname -r`` would say, such as 6.17.0-1021-nvidia."""
    has_driver: bool | None = None
    """Whether an R580 open module lies in its module tree (prebuilt or DKMS); null when not readable."""
    module_path: str | None = None
    modules: tuple[str, ...] = ()
    """Kinds of driver module in its tree: 580-open, 610-open, 580 (proprietary), dkms, other; nvidia-fs and nvidia-uvm are none."""


@dataclass(frozen=True)
class Kernel:
    """Running and next kernel, and what the running one complained of."""

    running: str | None = None
    next_boot: str | None = None
    """The release that GRUB starts by default: the highest version installed, unless a default is saved."""
    installed: tuple[KernelImage, ...] = ()
    """Highest version first."""
    command_line: str | None = None
    kho: str | None = None
    """Value of the ``kho=`` kernel parameter (on, off), null when it is not given."""
    next_boot_kho: str | None = None
    """Value that GRUB's settings (or nvidia-spark-grub-kho) give the next boot; null when they give none."""
    boot_entry: str | None = None
    """The entry that GRUB is set to start, when its settings choose one."""
    events: KernelEvents = field(default_factory=KernelEvents)


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver. Versions are text such as 580.159.03, null when not read."""

    user_space_version: str | None = None
    """Version of the user-space library (NVML), from nvidia-smi, else from the installed package."""
    module_version: str | None = None
    """Version of the loaded kernel module (/proc/driver/nvidia/version)."""
    gsp_version: str | None = None
    """GSP firmware version, from nvidia-smi -q."""
    open_module: bool | None = None
    """Whether the loaded module is the open one."""
    module_license: str | None = None
    """Licence text of the module on disk (modinfo -F license)."""
    branch: int | None = None
    """Major number, 580 for R580."""
    loaded: bool | None = None
    """Whether a kernel module is loaded."""
    nvml_error: str | None = None
    """What nvidia-smi said when it could not talk to the driver."""
    foreign_library: str | None = None
    """Where libnvidia-ml.so.1 leads when that is no file of a driver (a shim in its place); null when it is one or could not be read."""
    secure_boot: bool | None = None
    """Whether Secure Boot is on; null when nothing told."""
    packages: tuple[Package, ...] = ()
    """Installed packages of the driver, kernel and NCCL families."""
    holds: tuple[str, ...] = ()
    """All held packages."""
    pins: tuple[str, ...] = ()
    """Names of the files in /etc/apt/preferences.d."""
    cuda_version: str | None = None
    """CUDA version of the driver interface, such as 13.0."""
    persistence_mode: str | None = None
    """Persistence mode that the GPU reports: Enabled or Disabled."""
    persistenced_enabled: bool | None = None
    """Whether the unit nvidia-persistenced is enabled."""
    persistenced_active: bool | None = None
    """Whether the unit nvidia-persistenced is active; null while it starts."""
    persistenced_state: str | None = None
    """systemd's word for the unit: active, activating (also between two tries of a restart loop), failed, inactive ...; null when not
    told."""


@dataclass(frozen=True)
class Gpu:
    """The GPU. Values that GB10 answers with Not Supported are null."""

    present: bool | None = None
    name: str | None = None
    bus_id: str | None = None
    compute_capability: str | None = None
    clock_sm_mhz: float | None = None
    clock_sm_max_mhz: float | None = None
    power_draw_w: float | None = None
    temperature_c: float | None = None
    utilisation_percent: float | None = None
    vbios_version: str | None = None
    count: int | None = None
    smi: str | None = None
    """How nvidia-smi answered: answered, refused (with an error), timeout, missing (not installed); null when it was not asked."""
    dead_readings: tuple[str, ...] = ()
    """Words that stood in place of readings although nvidia-smi reported no error: GPU requires reset, GPU is lost, ERR!, Unknown Error."""
    recovery_action: str | None = None
    """What the driver wants done to the GPU: None when it is well, Reset, Reboot, Drain ...; null when not told."""
    addressing_mode: str | None = None
    """ATS on a healthy desk; None where the kernel gives the GPU no access to the processes' memory; null when not told."""


@dataclass(frozen=True)
class GpuProcess:
    """One process that uses the GPU."""

    pid: int
    name: str
    kind: str | None = None
    """C for compute, G for graphics, null when not told."""
    memory_mib: int | None = None
    user: str | None = None


@dataclass(frozen=True)
class Toolkit:
    """What programs on the desk build and run with."""

    cuda_toolkit: str | None = None
    """Release of /usr/local/cuda, such as 13.0 or 13.0.88."""
    container_toolkit: str | None = None
    docker: str | None = None
    perftest: str | None = None
    open_mpi: str | None = None
    nccl: str | None = None
    """Version of the libnccl2 package."""
    nccl_tests: str | None = None
    cdi_spec_driver: str | None = None
    """Driver version of the libraries that the container device description names. Of several descriptions the one that is read last
    counts (/etc/cdi, then /var/run/cdi), because it wins where both describe one device."""
    cdi_specs: dict[str, str] = field(default_factory=dict)
    """Every container device description that names libraries of the driver: its path to the version, in the order of reading."""
    other: dict[str, str] = field(default_factory=dict)
