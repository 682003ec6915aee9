# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that one call learns about a desk: the facts under ``ansible_facts.spark``."""

from __future__ import annotations

from dataclasses import dataclass, field

from .driver import Driver, Gpu, GpuProcess, Kernel, Package, Toolkit
from .port import Address, ConnectX7

SCHEMA = "labops.dgx_spark/facts/1"


@dataclass(frozen=True)
class Identity:
    """Which machine this is. From DMI (world-readable), never from dgx-release or the GPU name alone."""

    hostname: str | None = None
    vendor: str | None = None
    product: str | None = None
    product_version: str | None = None
    board_vendor: str | None = None
    board: str | None = None
    bios_version: str | None = None
    bios_date: str | None = None
    architecture: str | None = None
    """Machine name of the kernel, aarch64 on a desk."""
    is_gb10: bool | None = None
    """True with evidence for GB10, false with evidence against it, null when nothing could be read."""
    gb10_evidence: tuple[str, ...] = ()
    machine_id: str | None = None
    """SHA-256 of /etc/machine-id (the raw id is not published)."""
    host_key_fingerprints: tuple[str, ...] = ()
    """SHA256:... of the public ssh host keys."""
    serial: str | None = None
    """Chassis serial; only when asked for."""
    serial_sha256: str | None = None
    """SHA-256 of the chassis serial (to compare with a lab sheet without publishing it); null when not readable."""
    boot_id: str | None = None


@dataclass(frozen=True)
class DgxOs:
    """DGX OS as /etc/dgx-release tells it."""

    present: bool | None = None
    """Whether /etc/dgx-release exists; null when it could not be asked."""
    version: str | None = None
    """Running version: the last OTA, else the factory image."""
    factory_version: str | None = None
    ota_history: tuple[str, ...] = ()
    name: str | None = None
    pretty_name: str | None = None
    platform: str | None = None
    build_date: str | None = None
    commit_id: str | None = None
    fastos_version: str | None = None


@dataclass(frozen=True)
class Ubuntu:
    """The distribution below DGX OS (os-release)."""

    id: str | None = None
    version_id: str | None = None
    pretty_name: str | None = None
    codename: str | None = None


@dataclass(frozen=True)
class Memory:
    """Unified memory from /proc/meminfo, in kB (1024 bytes). nvidia-smi does not report it on GB10."""

    total_kb: int | None = None
    available_kb: int | None = None
    free_kb: int | None = None
    swap_total_kb: int | None = None
    cma_total_kb: int | None = None
    cma_free_kb: int | None = None


@dataclass(frozen=True)
class Route:
    """A default route."""

    netdev: str
    gateway: str | None = None
    metric: int | None = None


@dataclass(frozen=True)
class Network:
    """The desk's network apart from the ConnectX-7."""

    management_netdev: str | None = None
    """Interface of the best default route that is not a ConnectX-7 function, else the one the session came over."""
    management_mac: str | None = None
    management_addresses: tuple[Address, ...] = ()
    default_routes: tuple[Route, ...] = ()
    routed_networks: tuple[str, ...] = ()
    """Networks of the main routing table as CIDR with netdev: ``10.0.0.0/24 dev enP7s7``."""
    renderer: str | None = None
    """NetworkManager or networkd: who owns the box's interfaces."""
    netplan_files: tuple[str, ...] = ()
    session_netdev: str | None = None
    """Interface that holds the address which the current ssh session uses, null when not over ssh."""
    arp_ignore: int | None = None
    arp_announce: int | None = None
    ufw_active: bool | None = None


@dataclass(frozen=True)
class Apt:
    """Health of apt and dpkg."""

    lock_holder: str | None = None
    """Process that holds the dpkg or apt lock (pid and name), null when free or not readable."""
    lock_readable: bool | None = None
    broken_packages: tuple[Package, ...] = ()
    """Packages that are neither cleanly installed nor cleanly removed."""
    first_boot_upgrade: str | None = None
    """done, pending, absent (no such service on this desk), null when not readable."""
    reboot_required: bool | None = None
    reboot_reasons: tuple[str, ...] = ()
    autoremove_platform: tuple[str, ...] = ()
    """Platform packages that are marked as automatically installed."""
    mlnx_fw_updater: str | None = None
    """Version of the package mlnx-fw-updater when it is installed."""


@dataclass(frozen=True)
class Limits:
    """Limits of the login user. Bytes; -1 stands for unlimited."""

    user: str | None = None
    memlock_soft: int | None = None
    memlock_hard: int | None = None
    uid: int | None = None
    gid: int | None = None
    home: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clock:
    """Time keeping."""

    synchronized: bool | None = None
    source: str | None = None
    epoch: float | None = None
    """Seconds since 1970 on the desk when the facts were read."""


@dataclass(frozen=True)
class Busy:
    """Who uses the GPU or RDMA now."""

    gpu_processes: tuple[GpuProcess, ...] = ()
    rdma_users: tuple[GpuProcess, ...] = ()
    """Processes with user-space RDMA resources (queue pairs)."""
    readable: bool | None = None


@dataclass(frozen=True)
class Setup:
    """What this collection has set up on the desk before (fingerprints of its own files)."""

    link_file: str | None = None
    """Content of our netplan file, null when it is not there."""
    link_journal: str | None = None
    """State of a link change that was left armed or unsettled: armed, undone, null when none."""
    pair_env: str | None = None
    """Content of /etc/dgx_spark/pair.env."""
    pair_files: dict[str, str] = field(default_factory=dict)
    """Path to SHA-256 of each other file under /etc/dgx_spark, of our preferences file, of pair-check and pair-ssh, and of our lines
    in /etc/hosts (joined by line ends)."""
    wrong_modes: tuple[str, ...] = ()
    """Files and folders of ours whose owner or mode is not what we leave, so that a login user cannot read or run them."""
    firewall_rules: tuple[str, ...] | None = None
    """Our firewall rules (ufw) as ``INTERFACE ADDRESS``; null when there is no firewall or it was not asked."""
    trust_public_key: str | None = None
    """Public key that this desk uses towards its pair peer, read from the private half that is there."""
    trust_key_damaged: bool = False
    """Whether something of the pair's key is there that ssh cannot use: one half is gone, or its mode is too open."""
    trust_authorized: tuple[str, ...] = ()
    """Our entries in the login user's authorized_keys."""
    trust_known_hosts: tuple[str, ...] = ()
    """Our entries in the login user's known_hosts."""
    host_public_keys: tuple[str, ...] = ()
    """The desk's ssh host public keys (type and key), to be carried to its peer."""
    driver_lock: str | None = None
    """Content of /var/lib/dgx_spark/driver_lock/lock.json (what the driver lock has set), null when it is not there."""
    nccl_bundle: str | None = None
    """SHA-256 of the manifest of the installed NCCL bundle; null when a file of it is gone, changed or cannot be run."""


@dataclass(frozen=True)
class Desk:
    """All facts of one desk. A null or an empty value that could not be read is explained in ``unread``."""

    schema: str = SCHEMA
    run_id: str | None = None
    collected_at: float | None = None
    subsets: tuple[str, ...] = ()
    privileged: bool | None = None
    """Whether the facts were read as root."""
    identity: Identity = Identity()
    dgx_os: DgxOs = DgxOs()
    ubuntu: Ubuntu = Ubuntu()
    kernel: Kernel = Kernel()
    driver: Driver = Driver()
    gpu: Gpu = Gpu()
    memory: Memory = Memory()
    toolkit: Toolkit = Toolkit()
    cx7: ConnectX7 = ConnectX7()
    network: Network = Network()
    apt: Apt = Apt()
    limits: Limits = Limits()
    clock: Clock = Clock()
    busy: Busy = Busy()
    setup: Setup = Setup()
    kernel_log_readable: bool | None = None
    unread: dict[str, str] = field(default_factory=dict)
    """Fact path (such as ``apt.lock_holder``) to the reason why it could not be read."""
