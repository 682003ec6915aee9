# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU driver of a desk: what is loaded, what is installed, what would start next."""

from __future__ import annotations

from dataclasses import dataclass, field

from .kernel_events import KernelEvents
from .kinds import PackageName, Version


@dataclass(frozen=True)
class Package:
    """One package of the dpkg database."""

    name: PackageName
    """Name."""
    version: Version
    """Version."""
    held: bool = False
    """Whether it is held."""
    state: str = "installed"
    """State as dpkg names it, such as installed or half-configured."""
    want: str = "install"
    """Wanted action as dpkg names it."""
    architecture: str | None = None
    """Architecture; null when unknown."""


@dataclass(frozen=True)
class KernelImage:
    """One installed kernel, as the boot loader sees it."""

    release: str
    """As ``uname -r`` would say."""
    has_driver: bool | None = None
    """Whether R580's open module is what it loads (/lib/modules), else whether a package provides it; null when unknown."""
    module_path: str | None = None
    """Path of that module (/lib/modules/RELEASE/), or of the one that is loaded in its place; null when unknown."""
    modules: tuple[str, ...] = ()
    """Kinds of driver module in its tree, the one that is loaded first where that is known: 580-open, 610-open, 580 (proprietary),
    unknown; nvidia-fs and nvidia-uvm are none."""
    has_initrd: bool | None = None
    """Whether /boot has the initial ramdisk without which it does not find its root file system; null when /boot has none of any kernel."""


@dataclass(frozen=True)
class Kernel:
    """Running and next kernel, and what the running one complained of."""

    running: str | None = None
    """Release of the running kernel (/proc/sys/kernel/osrelease); null when unknown."""
    next_boot: str | None = None
    """Release that GRUB starts next (/boot, /etc/default/grub, grubenv): the highest version unless a default or an order is chosen;
    null when unknown."""
    installed: tuple[KernelImage, ...] = ()
    """Installed kernels, highest version first (/boot/vmlinuz-*, else the package database)."""
    command_line: str | None = None
    """Command line of the running kernel (/proc/cmdline), of the parameters that kernel, driver and boot loader know: another one may hold
    a password; null when unknown."""
    kho: str | None = None
    """Value of the ``kho=`` parameter (/proc/cmdline); null when it is not given."""
    next_boot_kho: str | None = None
    """Value that the next boot's entry of /boot/grub/grub.cfg has, else the one of GRUB's settings (/etc/default/grub, grub.d,
    nvidia-spark-grub-kho); null for none."""
    boot_entry: str | None = None
    """The entry that GRUB is set to start (/boot/grub/grub.cfg, else /etc/default/grub; grubenv); null when its settings choose none."""
    boot_entry_pending: str | None = None
    """The entry that /etc/default/grub chooses now, where /boot/grub/grub.cfg was written with another choice (update-grub did not run
    since); null for none."""
    boot_order: str | None = None
    """The setting that puts a kernel before those of a higher version (GRUB_TOP_LEVEL or GRUB_FLAVOUR_ORDER in /etc/default/grub);
    null for none."""
    events: KernelEvents = field(default_factory=KernelEvents)
    """What the running kernel logged as a problem (``journalctl -k -b``, else ``dmesg``)."""


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver. Versions are text such as 580.159.03, null when not read."""

    user_space_version: str | None = None
    """Version of the user-space library NVML (its link in /usr/lib, else nvidia-smi, else the package); null when unknown."""
    module_version: str | None = None
    """Version of the loaded kernel module (/proc/driver/nvidia/version); null when unknown."""
    gsp_version: str | None = None
    """Version of the GSP firmware (``nvidia-smi -q``, else /proc/driver/nvidia/gpus); null when unknown."""
    open_module: bool | None = None
    """Whether the loaded module is the open one (/proc/driver/nvidia/version); null when unknown."""
    module_license: str | None = None
    """Licence of the module on disk (``modinfo -F license nvidia``); null when unknown."""
    branch: int | None = None
    """Major number of the driver, 580 for R580 (from RV(ansible_facts.spark.driver.module_version)); null when unknown."""
    loaded: bool | None = None
    """Whether a kernel module is loaded (/proc/driver/nvidia/version, else /proc/modules); null when unknown."""
    blocked: tuple[str, ...] = ()
    """Where no module is loaded: what keeps it from being loaded, as FILE: LINE (/etc/modprobe.d, /run/modprobe.d, /usr/lib/modprobe.d,
    /proc/cmdline)."""
    nvml_error: str | None = None
    """What nvidia-smi said when it could not answer, whatever its exit code was; null when unknown."""
    foreign_library: str | None = None
    """Where libnvidia-ml.so.1 in /usr/lib/ leads when that is not a file of a driver (a shim in its place); null when it is one
    or unknown."""
    secure_boot: bool | None = None
    """Whether Secure Boot is on (/sys/firmware/efi/efivars/SecureBoot-*, else the kernel log); null when unknown."""
    packages: tuple[Package, ...] = ()
    """Packages of the driver, kernel, NCCL, DGX and RDMA families (/var/lib/dpkg/status, else dpkg-query)."""
    holds: tuple[PackageName, ...] = ()
    """Names of all held packages (dpkg)."""
    pins: tuple[str, ...] = ()
    """Names of the files in /etc/apt/preferences.d."""
    cuda_version: str | None = None
    """CUDA version of the driver interface, such as 13.0 (nvidia-smi); null when unknown."""
    persistence_mode: str | None = None
    """``Enabled`` or ``Disabled``, as the GPU reports (nvidia-smi); null when unknown."""
    persistenced_enabled: bool | None = None
    """Whether the unit nvidia-persistenced is started at boot (/etc/systemd/system, else systemctl); static units count as enabled;
    null when unknown."""
    persistenced_active: bool | None = None
    """Whether the unit nvidia-persistenced runs (/sys/fs/cgroup, else systemctl); null while it starts and when unknown."""
    persistenced_state: str | None = None
    """systemd's word for the unit (``systemctl is-active``): active, activating (also between two tries of a restart loop), failed,
    inactive ...; ``starting`` while it activates for the first time since the boot; null when unknown."""


@dataclass(frozen=True)
class Gpu:
    """The GPU. Values that GB10 answers with Not Supported are null."""

    present: bool | None = None
    """Whether a GPU answers (nvidia-smi), else whether it is on the PCI bus; null when unknown."""
    name: str | None = None
    """Name; null when unknown."""
    bus_id: str | None = None
    """PCI address as nvidia-smi writes it; null when unknown."""
    kernel_driver: str | None = None
    """The kernel's driver that holds its PCI device (/sys/bus/pci/devices), such as nvidia, nouveau or vfio-pci; null for none and when
    unknown."""
    compute_capability: str | None = None
    """Compute capability, 12.1 on GB10; null when unknown."""
    clock_sm_mhz: float | None = None
    """SM clock now, in MHz; null when unknown."""
    clock_sm_max_mhz: float | None = None
    """Highest SM clock, in MHz; null when unknown."""
    power_draw_w: float | None = None
    """Power now, in W; null when unknown."""
    temperature_c: float | None = None
    """Temperature, in degrees Celsius; null when unknown."""
    utilisation_percent: float | None = None
    """Utilisation, in percent; null when unknown."""
    vbios_version: str | None = None
    """VBIOS version; null when unknown."""
    count: int | None = None
    """GPUs that nvidia-smi shows; null when unknown."""
    smi: str | None = None
    """How nvidia-smi answered: answered, refused (with an error), timeout, missing (not installed); null when it was not asked."""
    dead_readings: tuple[str, ...] = ()
    """Words printed instead of readings although nvidia-smi reported no error: GPU requires reset, GPU is lost, ERR!, Unknown Error."""
    warnings: tuple[str, ...] = ()
    """What nvidia-smi adds to its readings as a warning (a damaged infoROM)."""
    recovery_action: str | None = None
    """Recovery that the driver asks for: None when the GPU is healthy, Reset, Reboot, Drain ...; null when unknown."""
    addressing_mode: str | None = None
    """ATS on a healthy desk; None where the kernel gives the GPU no access to process memory; null when unknown."""


@dataclass(frozen=True)
class GpuProcess:
    """One process that uses the GPU."""

    pid: int
    """Process id; 0 for a service of the kernel, which is not a process."""
    name: str
    """The program without its arguments, which may hold a password; of Python also the module or the script."""
    kind: str | None = None
    """``C`` for compute, ``G`` for graphics; null when unknown."""
    memory_mib: int | None = None
    """GPU memory in MiB; null when unknown."""
    user: str | None = None
    """Its user; null when unknown."""


@dataclass(frozen=True)
class Toolkit:
    """What programs on the desk build and run with."""

    cuda_toolkit: str | None = None
    """Release of /usr/local/cuda (version.json, else the link, else the package); null when unknown."""
    container_toolkit: str | None = None
    """Version of nvidia-container-toolkit; null when unknown."""
    docker: str | None = None
    """Version of docker-ce; null when unknown."""
    perftest: str | None = None
    """Version of perftest; null when it is not installed."""
    open_mpi: str | None = None
    """Version of openmpi-bin; null when it is not installed."""
    nccl: str | None = None
    """Version of libnccl2; null when it is not installed."""
    nccl_tests: str | None = None
    """Version of nccl-tests; null when it is not installed."""
    cdi_spec_driver: str | None = None
    """Driver version of the libraries that the container device description names. Of several descriptions the one that is read last
    counts (/etc/cdi/, then /var/run/cdi/), because it wins where both describe one device; null when unknown."""
    cdi_specs: dict[str, str] = field(default_factory=dict)
    """Every container device description that names libraries of the driver: its path to the version, in the order of reading."""
    other: dict[str, str] = field(default_factory=dict)
    """Name to version of further packages that help to tell desks apart."""
