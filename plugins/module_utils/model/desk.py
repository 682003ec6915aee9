# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that one call learns about a desk: the facts under ``ansible_facts.spark``."""

from __future__ import annotations

from dataclasses import dataclass, field

from .driver import Driver, Gpu, GpuProcess, Kernel, Package, Toolkit
from .kinds import AbsolutePath, Block, Fingerprint, HostName, IpAddress, Mac, Netdev, PublicKey, PublicKeyLine, Sha256, UserName, Uuid
from .port import Address, ConnectX7
from .update import Journal

SCHEMA = "labops.dgx_spark/facts/1"


@dataclass(frozen=True)
class Identity:
    """Which machine this is. From DMI (world-readable), never from dgx-release or the GPU name alone."""

    hostname: HostName | None = None
    """Host name (/proc/sys/kernel/hostname); null when unknown."""
    vendor: str | None = None
    """Vendor of the system (DMI sys_vendor); null when unknown."""
    product: str | None = None
    """Product name (DMI product_name); null when unknown."""
    product_version: str | None = None
    """Product version (DMI product_version); null when unknown."""
    board_vendor: str | None = None
    """Vendor of the board (DMI board_vendor); null when unknown."""
    board: str | None = None
    """Board name (DMI board_name); null when unknown."""
    bios_version: str | None = None
    """Firmware version (DMI bios_version); null when unknown."""
    bios_date: str | None = None
    """Firmware date as the vendor writes it (DMI bios_date); null when unknown."""
    architecture: str | None = None
    """Machine name of the kernel, ``aarch64`` on a desk (``uname -m``); null when unknown."""
    is_gb10: bool | None = None
    """True with evidence for GB10 (DMI product, PCI id and GPU name of nvidia-smi together), false with evidence against it; null when
    unknown."""
    gb10_evidence: tuple[str, ...] = ()
    """Evidence for GB10, each item with its source (DMI, /sys/bus/pci/devices, nvidia-smi)."""
    machine_id: Sha256 | None = None
    """SHA-256 of /etc/machine-id; the id itself is not published; null when unknown."""
    host_key_fingerprints: tuple[Fingerprint, ...] = ()
    """``SHA256:...`` of the public ssh host keys (/etc/ssh)."""
    serial: str | None = None
    """Chassis serial number (DMI product_serial, which only root may read, else /etc/dgx-release); only with O(include_serial); null
    when unknown."""
    serial_sha256: Sha256 | None = None
    """SHA-256 of the chassis serial number (DMI product_serial, else /etc/dgx-release); null when unknown."""
    boot_id: Uuid | None = None
    """Id of the current boot (/proc/sys/kernel/random/boot_id); null when unknown."""


@dataclass(frozen=True)
class DgxOs:
    """DGX OS as /etc/dgx-release tells it."""

    present: bool | None = None
    """Whether /etc/dgx-release is there; null when unknown."""
    version: str | None = None
    """Running version, that of the last over-the-air update, else that of the factory image; null when unknown."""
    factory_version: str | None = None
    """Version of the factory image; null when unknown."""
    ota_history: tuple[str, ...] = ()
    """Versions of the over-the-air updates, oldest first."""
    name: str | None = None
    """``DGX_NAME``; null when unknown."""
    pretty_name: str | None = None
    """``DGX_PRETTY_NAME``; null when unknown."""
    platform: str | None = None
    """``DGX_PLATFORM``; a re-flashed desk may carry another vendor's; null when unknown."""
    build_date: str | None = None
    """Date of the factory image, as written; null when unknown."""
    commit_id: str | None = None
    """Build of the factory image; null when unknown."""
    fastos_version: str | None = None
    """Version in /etc/fastos-release; null when unknown."""


@dataclass(frozen=True)
class Ubuntu:
    """The distribution below DGX OS (os-release)."""

    id: str | None = None
    """Distribution; null when unknown."""
    version_id: str | None = None
    """Release, such as 24.04; null when unknown."""
    pretty_name: str | None = None
    """Release with its point; null when unknown."""
    codename: str | None = None
    """Code name; null when unknown."""


@dataclass(frozen=True)
class Memory:
    """Unified memory from /proc/meminfo, in kB (1024 bytes). nvidia-smi does not report it on GB10."""

    total_kb: int | None = None
    """``MemTotal``; null when unknown."""
    available_kb: int | None = None
    """``MemAvailable``; null when unknown."""
    free_kb: int | None = None
    """``MemFree``; null when unknown."""
    swap_total_kb: int | None = None
    """``SwapTotal``; null when unknown."""
    cma_total_kb: int | None = None
    """``CmaTotal``; null when unknown."""
    cma_free_kb: int | None = None
    """``CmaFree``; null when unknown."""


@dataclass(frozen=True)
class Route:
    """A default route."""

    netdev: Netdev
    """Interface."""
    gateway: IpAddress | None = None
    """Gateway; null when unknown."""
    metric: int | None = None
    """Metric; null when unknown."""


@dataclass(frozen=True)
class SshServer:
    """What the desk's ssh server does with the login user when it comes from its peer (``sshd -T``)."""

    key_files: tuple[AbsolutePath, ...] | None = None
    """Files in which it looks for the user's keys, tokens filled in (``sshd -T``, AuthorizedKeysFile); empty for none, null when
    unknown."""
    pubkey: bool | None = None
    """Whether keys are accepted at all (``sshd -T``, PubkeyAuthentication); null when unknown."""
    accepts_ed25519: bool | None = None
    """Whether keys of the pair's type are accepted (``sshd -T``, PubkeyAcceptedAlgorithms); null when unknown."""
    key_is_enough: bool | None = None
    """Whether nothing is required besides a key (``sshd -T``, AuthenticationMethods); null when unknown."""
    runs_commands: bool | None = None
    """Whether a login may run the command that it requests (``sshd -T``, ForceCommand and MaxSessions); null when unknown."""
    user_allowed: bool | None = None
    """Whether the lists of users and groups (AllowUsers, DenyUsers, AllowGroups, DenyGroups) let the user in from there (``sshd -T``);
    null when their patterns cannot be evaluated."""

    def key_file(self, home: str) -> str:
        """The file that the peer's key belongs into: the usual one where the server reads it or is not known, else the first below the
        user's home, else the first at all, which is not the user's to write."""
        below, files = home.rstrip("/") + "/", self.key_files or ()
        usual = f"{below}.ssh/authorized_keys"
        if not files or usual in files:
            return usual
        return next((path for path in files if path.startswith(below)), files[0])


@dataclass(frozen=True)
class Network:
    """The desk's network apart from the ConnectX-7."""

    management_netdev: Netdev | None = None
    """Interface of the best default route that is not on a ConnectX-7 function (/proc/net/route), else the one of the session; null when
    unknown."""
    management_mac: Mac | None = None
    """Its MAC address (sysfs, else ``ip -j addr show``); null when unknown."""
    management_addresses: tuple[Address, ...] = ()
    """Its addresses (``ip -j addr show``)."""
    default_routes: tuple[Route, ...] = ()
    """IPv4 default routes, best first (/proc/net/route, else ``ip route``)."""
    routed_networks: tuple[str, ...] = ()
    """Networks of the main table with interface (/proc/net/route), such as ``10.0.0.0/24 dev enP7s7``."""
    led_elsewhere: tuple[str, ...] = ()
    """Addresses in the ConnectX-7's networks that the kernel reaches over another interface (``ip route get``), such as
    ``192.168.100.11/32 dev enP7s7``, or over ``*`` if it has no way: policy rules and other routing tables show there."""
    renderer: str | None = None
    """``NetworkManager`` or ``networkd`` (netplan, else which one runs); null when unknown."""
    netplan_files: tuple[str, ...] = ()
    """Paths of the netplan files, in the order in which they count."""
    session_netdev: Netdev | None = None
    """Interface that the current ssh session came over (SSH_CONNECTION in /proc/PID/environ); null when unknown."""
    arp_ignore: int | None = None
    """Kernel setting (/proc/sys/net/ipv4/conf/all/arp_ignore); null when unknown."""
    arp_announce: int | None = None
    """Kernel setting (/proc/sys/net/ipv4/conf/all/arp_announce); null when unknown."""
    ufw_active: bool | None = None
    """Whether ufw is on (/etc/ufw/ufw.conf, else ``ufw status``); null when unknown."""
    sshd: SshServer = SshServer()
    """The ssh server as the desk's peer will meet it (/etc/ssh/sshd_config and what it includes, put together by ``sshd -T``)."""


@dataclass(frozen=True)
class Apt:
    """Health of apt and dpkg."""

    lock_holder: str | None = None
    """Process that holds a package lock, pid and name (/proc/locks); null when free."""
    lock_readable: bool | None = None
    """Whether the locks could be read; null when unknown."""
    broken_packages: tuple[Package, ...] = ()
    """Packages that are neither cleanly installed nor cleanly removed."""
    first_boot_upgrade: str | None = None
    """``done``, ``pending`` or ``absent`` (/var/lib/nvidia-spark-run-apt-upgrade-once); null when unknown."""
    reboot_required: bool | None = None
    """Whether /run/reboot-required is there; null when unknown."""
    reboot_reasons: tuple[str, ...] = ()
    """Packages that asked for it."""
    autoremove_platform: tuple[str, ...] = ()
    """Platform packages that are marked as automatically installed."""
    mlnx_fw_updater: str | None = None
    """Version of mlnx-fw-updater; null when it is not installed."""


@dataclass(frozen=True)
class Room:
    """What is left on a file system of its own."""

    path: AbsolutePath
    """Where it is looked at (``df``)."""
    free_kb: int | None = None
    """What users can still write there, in kB (``df``); null when unknown."""
    free_inodes: int | None = None
    """Files that can still be made there (``df``); null when unknown, as on a file system without such a limit."""


@dataclass(frozen=True)
class Limits:
    """Limits of the login user. Bytes; -1 stands for unlimited."""

    user: UserName | None = None
    """Login user (O(login_user)); null when unknown."""
    memlock_soft: int | None = None
    """Soft limit of locked memory in bytes, -1 for unlimited (/proc/PID/limits of a process of that user, else limits.conf); null when
    unknown."""
    memlock_hard: int | None = None
    """Hard limit of locked memory in bytes, -1 for unlimited (/proc/PID/limits, else limits.conf); null when unknown."""
    uid: int | None = None
    """User id (/etc/passwd); null when unknown."""
    gid: int | None = None
    """Group id (/etc/passwd); null when unknown."""
    home: AbsolutePath | None = None
    """Home folder (/etc/passwd); null when unknown."""
    groups: tuple[str, ...] = ()
    """Groups (/etc/group)."""
    root_free_kb: int | None = None
    """What users can still write to the root file system, in kB (``stat -f``); null when unknown."""
    root_free_inodes: int | None = None
    """Files that can still be made there (``stat -f``); null when unknown, as on a file system without such a limit."""
    other_room: tuple[Room, ...] = ()
    """The same of /boot, /home, /tmp, /var and /var/lib/docker where they are file systems of their own (``df``)."""
    root_read_only: bool | None = None
    """Whether the root file system is mounted read-only (``findmnt``); null when unknown."""


@dataclass(frozen=True)
class Clock:
    """Time keeping."""

    synchronized: bool | None = None
    """Whether the clock is synchronised (/run/systemd/timesync, else timedatectl); null when unknown."""
    source: str | None = None
    """Time service seen (/run/systemd/timesync, /run/chrony); null when unknown."""
    epoch: float | None = None
    """Seconds since 1970 on the desk when the facts were read (its clock, in a replay /proc/stat and /proc/uptime); null when
    unknown."""


@dataclass(frozen=True)
class Busy:
    """What is using the GPU or RDMA now."""

    gpu_processes: tuple[GpuProcess, ...] = ()
    """Processes on the GPU (nvidia-smi)."""
    rdma_users: tuple[GpuProcess, ...] = ()
    """Processes with RDMA queue pairs (``rdma resource show qp``)."""
    readable: bool | None = None
    """Whether both could be read (nvidia-smi and ``rdma resource show qp``); null when unknown."""


@dataclass(frozen=True)
class MpiGuard:
    """This collection's firewall rules for the ports of Open MPI's daemons (chains that begin with ``dgx-spark-mpi-``)."""

    enabled: bool = False
    """Whether a reboot brings them back."""
    ipv4: tuple[str, ...] | None = None
    """The rules in force (``iptables -t mangle -S``); null when they could not be asked."""
    ipv6: tuple[str, ...] | None = None
    """The rules in force (``ip6tables -t mangle -S``); null when they could not be asked."""


@dataclass(frozen=True)
class Setup:
    """What this collection has set up on the desk before (fingerprints of its own files)."""

    link_file: Block | None = None
    """Content of this collection's netplan file; null when it does not exist."""
    link_journal: str | None = None
    """State of a link change that is not settled, such as ``applied`` or ``undone``, from its journal; null when there is none."""
    pair_env: Block | None = None
    """Content of /etc/dgx_spark/pair.env; null when unknown."""
    pair_files: dict[str, str] = field(default_factory=dict)
    """Path to SHA-256 of each other file under /etc/dgx_spark, of our preferences file, of pair-check and pair-ssh, and of our lines
    in /etc/hosts (joined by line ends)."""
    wrong_modes: tuple[str, ...] = ()
    """Files and folders of this collection whose owner or mode has changed, so that a login user cannot read or run them."""
    firewall_rules: tuple[str, ...] | None = None
    """This collection's firewall rules (ufw) as ``INTERFACE ADDRESS``; null when there is no firewall or it was not asked."""
    mpi_guard: MpiGuard | None = None
    """Who may reach Open MPI's ports on the desk; null when it was not asked or when there is no iptables."""
    trust_public_key: PublicKeyLine | None = None
    """Public key that the desk uses towards its peer, read from the private half that is there; null when unknown."""
    trust_key_damaged: bool = False
    """Whether something of the pair's key is there that ssh cannot use: one half is gone, or its mode is too open."""
    trust_authorized: tuple[str, ...] = ()
    """This collection's lines in the file that holds the login user's keys."""
    trust_left_in: tuple[AbsolutePath, ...] = ()
    """Other files that held the login user's keys before and still have lines of this collection."""
    trust_known_hosts: tuple[str, ...] = ()
    """This collection's lines in the login user's known_hosts."""
    foreign_names: tuple[str, ...] = ()
    """This collection's names to which other lines in /etc/hosts give an address, as ``ADDRESS NAME``."""
    trust_user: UserName | None = None
    """Login user whom the record of the trust names (/etc/dgx_spark/trust.json); null when unknown."""
    trust_home: AbsolutePath | None = None
    """Home folder of that user, as recorded; null when unknown."""
    host_public_keys: tuple[PublicKey, ...] = ()
    """The public ssh host keys, type and key."""
    driver_lock: Block | None = None
    """Content of /var/lib/dgx_spark/driver_lock/lock.json; null when unknown."""
    update_journal: Journal | None = None
    """Journal of the last update (/var/lib/dgx_spark/update/journal.json); null when there was none or it could not be read."""
    nccl_bundle: Sha256 | None = None
    """SHA-256 of the manifest of the installed NCCL bundle; null when a file of it is gone, changed or cannot be run."""


@dataclass(frozen=True)
class Desk:
    """All facts of one desk. A null or an empty value that could not be read is explained in ``unread``."""

    schema: str = SCHEMA
    """Name and version of this layout (given by this collection)."""
    run_id: str | None = None
    """Id of the run that asked, as given in O(run_id); null when unknown."""
    collected_at: float | None = None
    """Seconds since 1970 when the facts were read, by the desk's clock (``time`` of the module's Python); null when unknown."""
    subsets: tuple[str, ...] = ()
    """Parts that were gathered (O(gather_subset)); the facts of the others are at their defaults."""
    privileged: bool | None = None
    """Whether the facts were read as root (/proc/self/status); null when unknown."""
    identity: Identity = Identity()
    """Which machine this is."""
    dgx_os: DgxOs = DgxOs()
    """DGX OS (/etc/dgx-release)."""
    ubuntu: Ubuntu = Ubuntu()
    """The distribution below DGX OS (/etc/os-release)."""
    kernel: Kernel = Kernel()
    """Running and next kernel."""
    driver: Driver = Driver()
    """The NVIDIA driver."""
    gpu: Gpu = Gpu()
    """The GPU; null where GB10 answers Not Supported (nvidia-smi)."""
    memory: Memory = Memory()
    """Unified memory, in kB of 1024 bytes (/proc/meminfo; nvidia-smi does not report it on GB10)."""
    toolkit: Toolkit = Toolkit()
    """What programs on the desk build and run with (package database unless said)."""
    cx7: ConnectX7 = ConnectX7()
    """The ConnectX-7."""
    network: Network = Network()
    """The network apart from the ConnectX-7."""
    apt: Apt = Apt()
    """Health of apt and dpkg."""
    limits: Limits = Limits()
    """The login user and its limits."""
    clock: Clock = Clock()
    """Time keeping."""
    busy: Busy = Busy()
    """What is using the GPU or RDMA now."""
    setup: Setup = Setup()
    """What this collection has set up on the desk."""
    kernel_log_readable: bool | None = None
    """Whether the kernel log of this boot could be read (``journalctl -k -b``, ``dmesg``); null when unknown."""
    unread: dict[str, str] = field(default_factory=dict)
    """Path of a fact (such as ``apt.lock_holder``) to the reason why it could not be read, with the file or command that refused (this
    collection's own)."""
