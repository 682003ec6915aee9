#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spark_facts
short_description: Read and judge the facts of a DGX Spark
version_added: 1.0.0
description:
  - Reads everything that the collection needs to know about a desk in one call that takes the desk two seconds or less.
  - Read-only. Prefers files to commands, so it is useful without root; what only root can read is then listed in
    RV(ansible_facts.spark.unread).
  - What could not be read is null, never C(0) and never assumed to be good.
  - Judges what it read and returns findings, each with a code of the catalogue, a severity, evidence and a remedy.
options:
  gather_subset:
    description:
      - Parts to gather. C(all), names of parts, and names with a leading C(!) to leave out.
      - The parts are C(identity), C(dgx_os), C(kernel), C(driver), C(gpu), C(memory), C(toolkit), C(cx7), C(network), C(apt), C(limits),
        C(clock), C(busy) and C(setup).
    type: list
    elements: str
    default: [all]
  login_user:
    description:
      - User that tests run as, whose limits and trust are read. Defaults to the user that the module runs as.
      - The action plugin of this module fills in the user that Ansible logs in as.
    type: str
  ssh_port:
    description:
      - Port of the desk's ssh server that the other desks of its stack will come in on, for which C(sshd -T) is asked.
      - The action plugin of this module fills in the run's. Defaults to 22, or to the server's own where that is not among its ports.
    type: int
  include_serial:
    description: Whether the chassis serial number is returned. Its SHA-256 always is.
    type: bool
    default: false
  session_address:
    description:
      - Address of the desk that the session came in on, which helps to identify the management interface.
      - Defaults to that of the ssh session.
    type: str
  run_id:
    description: Id of the run, which is kept with the facts.
    type: str
  desk:
    description: Name of the desk in findings. The action plugin fills in the inventory's name; defaults to the host name.
    type: str
  pair:
    description: Name of the desk's pair in findings.
    type: str
  expected_identity:
    description: What identifies the expected desk; anything else is DESK_IDENTITY_WRONG.
    type: dict
    suboptions:
      serial:
        description: Chassis serial number.
        type: str
      serial_sha256:
        description: SHA-256 of the chassis serial number, to compare without publishing it.
        type: str
      host_key_fingerprints:
        description: C(SHA256:...) of public ssh host keys, any of which identifies the desk.
        type: list
        elements: str
  judge_options:
    description:
      - Options of the judges, such as C(purpose) (C(audit), C(onboard), C(stack), C(stacked) or C(update)), C(minimum_dgx_os),
        C(wanted_branch) or C(minimum_memlock_mib). The documentation of the findings names them.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Read-only, so check mode makes no difference.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  platform:
    description: DGX OS and the Ubuntu below it; any other machine is reported as not a GB10.
    support: full
    platforms: posix
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Read everything, also what only root may read
  labops.dgx_spark.spark_facts:
  become: true
  register: result

- name: Name what is not as it should be
  ansible.builtin.debug:
    msg: "{{ item.code }} {{ item.subject }}: {{ item.message }}"
  loop: "{{ result.findings | rejectattr('severity', 'in', ['ok', 'note']) }}"

- name: Only the driver and the link, without root
  labops.dgx_spark.spark_facts:
    gather_subset: [driver, cx7]

- name: Everything but our own files, for desks of at least DGX OS 7.5.0
  labops.dgx_spark.spark_facts:
    gather_subset: [all, "!setup"]
    judge_options:
      minimum_dgx_os: 7.5.0
"""

RETURN = r"""
findings:
  description: Judged statements about the desk, in the order of the catalogue, not by severity.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: Stable code of the finding.
      type: str
    severity:
      description: C(ok), C(note), C(warn), C(unknown) or C(fail).
      type: str
    subject:
      description: What it is about, in words.
      type: str
    where:
      description: What it is about, as C(pair), C(desk), C(port) and C(function), as far as they apply.
      type: dict
    message:
      description: What was found and what was expected.
      type: str
    evidence:
      description: The facts behind it, 2 KB of JSON at most.
      type: dict
    remedy:
      description: What to do next.
      type: str
processes:
  description: How many commands were started on the desk.
  returned: success
  type: int
ansible_facts:
  description: The facts.
  returned: success
  type: dict
  contains:
    spark:
      description: All facts of the desk.
      type: dict
      contains:
          schema:
            description: Name and version of this layout (given by this collection).
            type: str
          run_id:
            description: Id of the run that asked, as given in O(run_id); null when unknown.
            type: str
          collected_at:
            description: >-
              Seconds since 1970 when the facts were read, by the desk's clock (C(time) of the module's Python); null when unknown.
            type: float
          subsets:
            description: Parts that were gathered (O(gather_subset)); the facts of the others are at their defaults.
            type: list
            elements: str
          privileged:
            description: Whether the facts were read as root (/proc/self/status); null when unknown.
            type: bool
          identity:
            description: Which machine this is.
            type: dict
            contains:
              hostname:
                description: Host name (/proc/sys/kernel/hostname); null when unknown.
                type: str
              vendor:
                description: Vendor of the system (DMI sys_vendor); null when unknown.
                type: str
              product:
                description: Product name (DMI product_name); null when unknown.
                type: str
              product_version:
                description: Product version (DMI product_version); null when unknown.
                type: str
              board_vendor:
                description: Vendor of the board (DMI board_vendor); null when unknown.
                type: str
              board:
                description: Board name (DMI board_name); null when unknown.
                type: str
              bios_version:
                description: Firmware version (DMI bios_version); null when unknown.
                type: str
              bios_date:
                description: Firmware date as the vendor writes it (DMI bios_date); null when unknown.
                type: str
              architecture:
                description: Machine name of the kernel, C(aarch64) on a desk (C(uname -m)); null when unknown.
                type: str
              is_gb10:
                description: >-
                  True with evidence for GB10 (DMI product, PCI id and GPU name of nvidia-smi together), false with evidence against it;
                  null when unknown.
                type: bool
              gb10_evidence:
                description: Evidence for GB10, each item with its source (DMI, /sys/bus/pci/devices, nvidia-smi).
                type: list
                elements: str
              machine_id:
                description: SHA-256 of /etc/machine-id; the id itself is not published; null when unknown.
                type: str
              host_key_fingerprints:
                description: C(SHA256:...) of the public ssh host keys (/etc/ssh).
                type: list
                elements: str
              serial:
                description: >-
                  Chassis serial number (DMI product_serial, which only root may read, else /etc/dgx-release); only with O(include_serial);
                  null when unknown.
                type: str
              serial_sha256:
                description: SHA-256 of the chassis serial number (DMI product_serial, else /etc/dgx-release); null when unknown.
                type: str
              boot_id:
                description: Id of the current boot (/proc/sys/kernel/random/boot_id); null when unknown.
                type: str
          dgx_os:
            description: DGX OS (/etc/dgx-release).
            type: dict
            contains:
              present:
                description: Whether /etc/dgx-release is there; null when unknown.
                type: bool
              version:
                description: Running version, that of the last over-the-air update, else that of the factory image; null when unknown.
                type: str
              factory_version:
                description: Version of the factory image; null when unknown.
                type: str
              ota_history:
                description: Versions of the over-the-air updates, oldest first.
                type: list
                elements: str
              name:
                description: C(DGX_NAME); null when unknown.
                type: str
              pretty_name:
                description: C(DGX_PRETTY_NAME); null when unknown.
                type: str
              platform:
                description: C(DGX_PLATFORM); a re-flashed desk may carry another vendor's; null when unknown.
                type: str
              build_date:
                description: Date of the factory image, as written; null when unknown.
                type: str
              commit_id:
                description: Build of the factory image; null when unknown.
                type: str
              fastos_version:
                description: Version in /etc/fastos-release; null when unknown.
                type: str
          ubuntu:
            description: The distribution below DGX OS (/etc/os-release).
            type: dict
            contains:
              id:
                description: Distribution; null when unknown.
                type: str
              version_id:
                description: Release, such as 24.04; null when unknown.
                type: str
              pretty_name:
                description: Release with its point; null when unknown.
                type: str
              codename:
                description: Code name; null when unknown.
                type: str
          kernel:
            description: Running and next kernel.
            type: dict
            contains:
              running:
                description: Release of the running kernel (/proc/sys/kernel/osrelease); null when unknown.
                type: str
              next_boot:
                description: >-
                  Release that GRUB starts next (/boot, /etc/default/grub, grubenv): the highest version unless a default or an order is
                  chosen; null when unknown.
                type: str
              installed:
                description: Installed kernels, highest version first (/boot/vmlinuz-*, else the package database).
                type: list
                elements: dict
                contains:
                  release:
                    description: As C(uname -r) would say.
                    type: str
                  has_driver:
                    description: >-
                      Whether R580's open module is what it loads (/lib/modules), else whether a package provides it; null when unknown.
                    type: bool
                  module_path:
                    description: Path of that module (/lib/modules/RELEASE/), or of the one that is loaded in its place; null when unknown.
                    type: str
                  modules:
                    description: >-
                      Kinds of driver module in its tree, the one that is loaded first where that is known: 580-open, 610-open, 580
                      (proprietary), unknown; nvidia-fs and nvidia-uvm are none.
                    type: list
                    elements: str
                  has_initrd:
                    description: >-
                      Whether /boot has the initial ramdisk without which it does not find its root file system; null when /boot has none of
                      any kernel.
                    type: bool
              command_line:
                description: >-
                  Command line of the running kernel (/proc/cmdline), of the parameters that kernel, driver and boot loader know: another
                  one may hold a password; null when unknown.
                type: str
              kho:
                description: Value of the C(kho=) parameter (/proc/cmdline); null when it is not given.
                type: str
              next_boot_kho:
                description: >-
                  Value that the next boot's entry of /boot/grub/grub.cfg has, else the one of GRUB's settings (/etc/default/grub, grub.d,
                  nvidia-spark-grub-kho); null for none.
                type: str
              boot_entry:
                description: >-
                  The entry that GRUB is set to start (/boot/grub/grub.cfg, else /etc/default/grub; grubenv); null when its settings choose
                  none.
                type: str
              boot_entry_pending:
                description: >-
                  The entry that /etc/default/grub chooses now, where /boot/grub/grub.cfg was written with another choice (update-grub did
                  not run since); null for none.
                type: str
              boot_order:
                description: >-
                  The setting that puts a kernel before those of a higher version (GRUB_TOP_LEVEL or GRUB_FLAVOUR_ORDER in
                  /etc/default/grub); null for none.
                type: str
              events:
                description: What the running kernel logged as a problem (C(journalctl -k -b), else C(dmesg)).
                type: dict
                contains:
                  xids:
                    description: Number of an Xid (the GPU driver's error number) to how often it was logged.
                    type: dict
                  gpu_lines:
                    description: Lines of Xids and of failures of the GPU.
                    type: list
                    elements: str
                  gpu_failures:
                    description: Those that say that the GPU cannot be used (RmInitAdapter failed, fallen off the bus ...).
                    type: list
                    elements: str
                  recovery_action:
                    description: What the last Xid 154 asks for, such as Node Reboot Required; null for nothing.
                    type: str
                  gpu_memory_errors:
                    description: How often the GPU driver could not get memory.
                    type: int
                  gpu_memory_lines:
                    description: What it said then.
                    type: list
                    elements: str
                  oom_kills:
                    description: Processes that the kernel killed because memory ran out.
                    type: int
                  oom_lines:
                    description: Lines about processes that the kernel killed.
                    type: list
                    elements: str
                  refused_modules:
                    description: Lines about a module whose signature or key was not accepted.
                    type: list
                    elements: str
                  unfit_modules:
                    description: Lines about a module of the driver that was built for another kernel.
                    type: list
                    elements: str
                  lockups:
                    description: Lines of soft lockups, stalls and SMMUs (a device's way to memory) that do not answer.
                    type: list
                    elements: str
                  pcie_errors:
                    description: Errors of PCIe devices (AER, mlx5_core), by device and kind.
                    type: list
                    elements: dict
                    contains:
                      address:
                        description: As the log names it, such as 0000:00:00.0 (a root port) or 0000:01:00.0 (a function).
                        type: str
                      kind:
                        description: >-
                          fatal, nonfatal (AER), mlx5 (the adapter's driver noticed it), failed or recovered (its recovery), stalled (it did
                          not send or answer in time), start (its driver did not start).
                        type: str
                      line:
                        description: The first of them.
                        type: str
                      count:
                        description: How many there were.
                        type: int
                  plug_errors:
                    description: Complaints of the ConnectX-7 about plugs and heat (mlx5_core).
                    type: list
                    elements: dict
                    contains:
                      about:
                        description: Such as module 0 of 0000:01:00.0.
                        type: str
                      error:
                        description: As its driver says it, such as High Temperature.
                        type: str
                      line:
                        description: The first of them.
                        type: str
                      count:
                        description: How many there were.
                        type: int
          driver:
            description: The NVIDIA driver.
            type: dict
            contains:
              user_space_version:
                description: >-
                  Version of the user-space library NVML (its link in /usr/lib, else nvidia-smi, else the package); null when unknown.
                type: str
              module_version:
                description: Version of the loaded kernel module (/proc/driver/nvidia/version); null when unknown.
                type: str
              gsp_version:
                description: Version of the GSP firmware (C(nvidia-smi -q), else /proc/driver/nvidia/gpus); null when unknown.
                type: str
              open_module:
                description: Whether the loaded module is the open one (/proc/driver/nvidia/version); null when unknown.
                type: bool
              module_license:
                description: Licence of the module on disk (C(modinfo -F license nvidia)); null when unknown.
                type: str
              branch:
                description: >-
                  Major number of the driver, 580 for R580 (from RV(ansible_facts.spark.driver.module_version)); null when unknown.
                type: int
              loaded:
                description: Whether a kernel module is loaded (/proc/driver/nvidia/version, else /proc/modules); null when unknown.
                type: bool
              blocked:
                description: >-
                  Where no module is loaded: what keeps it from being loaded, as FILE: LINE (/etc/modprobe.d, /run/modprobe.d,
                  /usr/lib/modprobe.d, /proc/cmdline).
                type: list
                elements: str
              nvml_error:
                description: What nvidia-smi said when it could not answer, whatever its exit code was; null when unknown.
                type: str
              foreign_library:
                description: >-
                  Where libnvidia-ml.so.1 in /usr/lib/ leads when that is not a file of a driver (a shim in its place); null when it is one
                  or unknown.
                type: str
              secure_boot:
                description: Whether Secure Boot is on (/sys/firmware/efi/efivars/SecureBoot-*, else the kernel log); null when unknown.
                type: bool
              packages:
                description: Packages of the driver, kernel, NCCL, DGX and RDMA families (/var/lib/dpkg/status, else dpkg-query).
                type: list
                elements: dict
                contains:
                  name:
                    description: Name.
                    type: str
                  version:
                    description: Version.
                    type: str
                  held:
                    description: Whether it is held.
                    type: bool
                  state:
                    description: State as dpkg names it, such as installed or half-configured.
                    type: str
                  want:
                    description: Wanted action as dpkg names it.
                    type: str
                  architecture:
                    description: Architecture; null when unknown.
                    type: str
              holds:
                description: Names of all held packages (dpkg).
                type: list
                elements: str
              pins:
                description: Names of the files in /etc/apt/preferences.d.
                type: list
                elements: str
              cuda_version:
                description: CUDA version of the driver interface, such as 13.0 (nvidia-smi); null when unknown.
                type: str
              persistence_mode:
                description: C(Enabled) or C(Disabled), as the GPU reports (nvidia-smi); null when unknown.
                type: str
              persistenced_enabled:
                description: >-
                  Whether the unit nvidia-persistenced is started at boot (/etc/systemd/system, else systemctl); static units count as
                  enabled; null when unknown.
                type: bool
              persistenced_active:
                description: >-
                  Whether the unit nvidia-persistenced runs (/sys/fs/cgroup, else systemctl); null while it starts and when unknown.
                type: bool
              persistenced_state:
                description: >-
                  systemd's word for the unit (C(systemctl is-active)): active, activating (also between two tries of a restart loop),
                  failed, inactive ...; C(starting) while it activates for the first time since the boot; null when unknown.
                type: str
          gpu:
            description: The GPU; null where GB10 answers Not Supported (nvidia-smi).
            type: dict
            contains:
              present:
                description: Whether a GPU answers (nvidia-smi), else whether it is on the PCI bus; null when unknown.
                type: bool
              name:
                description: Name; null when unknown.
                type: str
              bus_id:
                description: PCI address as nvidia-smi writes it; null when unknown.
                type: str
              kernel_driver:
                description: >-
                  The kernel's driver that holds its PCI device (/sys/bus/pci/devices), such as nvidia, nouveau or vfio-pci; null for none
                  and when unknown.
                type: str
              compute_capability:
                description: Compute capability, 12.1 on GB10; null when unknown.
                type: str
              clock_sm_mhz:
                description: SM clock now, in MHz; null when unknown.
                type: float
              clock_sm_max_mhz:
                description: Highest SM clock, in MHz; null when unknown.
                type: float
              power_draw_w:
                description: Power now, in W; null when unknown.
                type: float
              temperature_c:
                description: Temperature, in degrees Celsius; null when unknown.
                type: float
              utilisation_percent:
                description: Utilisation, in percent; null when unknown.
                type: float
              vbios_version:
                description: VBIOS version; null when unknown.
                type: str
              count:
                description: GPUs that nvidia-smi shows; null when unknown.
                type: int
              smi:
                description: >-
                  How nvidia-smi answered: answered, refused (with an error), timeout, missing (not installed); null when it was not asked.
                type: str
              dead_readings:
                description: >-
                  Words printed instead of readings although nvidia-smi reported no error: GPU requires reset, GPU is lost, ERR!, Unknown
                  Error.
                type: list
                elements: str
              warnings:
                description: What nvidia-smi adds to its readings as a warning (a damaged infoROM).
                type: list
                elements: str
              recovery_action:
                description: 'Recovery that the driver asks for: None when the GPU is healthy, Reset, Reboot, Drain ...; null when unknown.'
                type: str
              addressing_mode:
                description: ATS on a healthy desk; None where the kernel gives the GPU no access to process memory; null when unknown.
                type: str
          memory:
            description: Unified memory, in kB of 1024 bytes (/proc/meminfo; nvidia-smi does not report it on GB10).
            type: dict
            contains:
              total_kb:
                description: C(MemTotal); null when unknown.
                type: int
              available_kb:
                description: C(MemAvailable); null when unknown.
                type: int
              free_kb:
                description: C(MemFree); null when unknown.
                type: int
              swap_total_kb:
                description: C(SwapTotal); null when unknown.
                type: int
              cma_total_kb:
                description: C(CmaTotal); null when unknown.
                type: int
              cma_free_kb:
                description: C(CmaFree); null when unknown.
                type: int
          toolkit:
            description: What programs on the desk build and run with (package database unless said).
            type: dict
            contains:
              cuda_toolkit:
                description: Release of /usr/local/cuda (version.json, else the link, else the package); null when unknown.
                type: str
              container_toolkit:
                description: Version of nvidia-container-toolkit; null when unknown.
                type: str
              docker:
                description: Version of docker-ce; null when unknown.
                type: str
              perftest:
                description: Version of perftest; null when it is not installed.
                type: str
              open_mpi:
                description: Version of openmpi-bin; null when it is not installed.
                type: str
              nccl:
                description: Version of libnccl2; null when it is not installed.
                type: str
              nccl_tests:
                description: Version of nccl-tests; null when it is not installed.
                type: str
              cdi_spec_driver:
                description: >-
                  Driver version of the libraries that the container device description names. Of several descriptions the one that is read
                  last counts (/etc/cdi/, then /var/run/cdi/), because it wins where both describe one device; null when unknown.
                type: str
              cdi_specs:
                description: >-
                  Every container device description that names libraries of the driver: its path to the version, in the order of reading.
                type: dict
              other:
                description: Name to version of further packages that help to tell desks apart.
                type: dict
          cx7:
            description: The ConnectX-7.
            type: dict
            contains:
              hotplug_enabled:
                description: Whether the adapter is removed without a cable (pcie_hotplug/hotplug_enabled); null when unknown.
                type: bool
              powered:
                description: Whether the hotplug driver sees a cable (pcie_hotplug/debug_state); null when unknown.
                type: bool
              hotplug_marker:
                description: Whether /etc/nvidia/cx7-hotplug-enabled is there; null when unknown.
                type: bool
              ports:
                description: Physical QSFP cages with their functions, grouped by phys_port_name and phys_switch_id (sysfs).
                type: list
                elements: dict
                contains:
                  number:
                    description: 0 (next to RJ45) or 1 (sysfs phys_port_name); null when unknown.
                    type: int
                  phys_switch_id:
                    description: Id of the adapter (sysfs); null when unknown.
                    type: str
                  functions:
                    description: >-
                      PCIe functions of the port, in PCI order; two on a healthy desk (/sys/class/net, /sys/class/infiniband and
                      /sys/bus/pci/devices, joined by PCI address).
                    type: list
                    elements: dict
                    contains:
                      netdev:
                        description: Network interface; null when unknown.
                        type: str
                      rdma_device:
                        description: RDMA device; null when unknown.
                        type: str
                      pci_address:
                        description: PCI address, such as 0000:01:00.0; null when unknown.
                        type: str
                      pci_domain:
                        description: PCI domain as a number; null when unknown.
                        type: int
                      pcie_width:
                        description: Lanes in use, 4 on a healthy desk (current_link_width); null when unknown.
                        type: int
                      pcie_max_width:
                        description: Lanes at most (max_link_width); null when unknown.
                        type: int
                      pcie_speed:
                        description: Speed of a lane (current_link_speed); null when unknown.
                        type: str
                      mac:
                        description: MAC address, lower case; null when unknown.
                        type: str
                      phys_port_name:
                        description: p0 or p1 (sysfs); null when unknown.
                        type: str
                      phys_switch_id:
                        description: Id of the adapter (sysfs); null when unknown.
                        type: str
                      mtu:
                        description: MTU of the interface, in bytes; null when unknown.
                        type: int
                      admin_up:
                        description: Whether the interface is switched on (sysfs flags); null when unknown.
                        type: bool
                      carrier:
                        description: >-
                          Whether there is a link (sysfs carrier, else the flags of C(ip addr)); null when the interface is switched off.
                        type: bool
                      operstate:
                        description: State as the kernel names it; null when unknown.
                        type: str
                      speed_mbps:
                        description: Speed in Mb/s (sysfs, else ethtool); null without a link.
                        type: int
                      addresses:
                        description: Addresses (C(ip -j addr show)).
                        type: list
                        elements: dict
                        contains:
                          address:
                            description: Address without prefix.
                            type: str
                          prefix_length:
                            description: Length of the prefix.
                            type: int
                          family:
                            description: C(inet) or C(inet6).
                            type: str
                          scope:
                            description: global, link or host; null when unknown.
                            type: str
                          dynamic:
                            description: Whether it was leased or advertised; null when unknown.
                            type: bool
                      rdma_state:
                        description: C(ACTIVE), C(DOWN), C(INIT) or C(ARMED) (sysfs, else C(rdma link show)); null when unknown.
                        type: str
                      rdma_physical_state:
                        description: C(LINK_UP), C(DISABLED), C(POLLING) ... (sysfs phys_state, else C(rdma link show)); null when unknown.
                        type: str
                      rdma_rate:
                        description: Rate as sysfs says; null when unknown.
                        type: str
                      active_mtu:
                        description: >-
                          RoCE MTU in bytes that fits the interface's MTU; 1024 at 1500, 4096 at 9000 (computed as the kernel does, from
                          sysfs mtu); null when unknown.
                        type: int
                      gids:
                        description: GID table without empty slots (sysfs gids and gid_attrs).
                        type: list
                        elements: dict
                        contains:
                          index:
                            description: Slot.
                            type: int
                          gid:
                            description: GID.
                            type: str
                          kind:
                            description: C(RoCE v2) or C(IB/RoCE v1); null when unknown.
                            type: str
                          ipv4:
                            description: IPv4 address that it maps; null when unknown.
                            type: str
                      roce_v2_ipv4_gid_index:
                        description: Index of the first RoCE v2 GID of an IPv4 address that the interface has; null when unknown.
                        type: int
                      counters:
                        description: Name to raw value of the RDMA counters and hw_counters (sysfs).
                        type: dict
                      firmware:
                        description: Firmware version (sysfs fw_ver, else C(ethtool -i IF)); null when unknown.
                        type: str
                      carrier_down_count:
                        description: Link drops since the interface was made (sysfs); null when unknown.
                        type: int
                      renderer:
                        description: >-
                          C(NetworkManager) or C(networkd), whichever manages it (C(nmcli device), else as for the box); null when unknown.
                        type: str
                      owner:
                        description: >-
                          File or profile that configures it (netplan files, NetworkManager's profiles, /etc/systemd/network); null when
                          unknown.
                        type: str
                      owner_kind:
                        description: >-
                          C(ours), C(foreign), C(auto) (made by NetworkManager itself) or C(none); from the same files; null when they could
                          not be read.
                        type: str
                      driver:
                        description: Kernel driver (sysfs uevent, else C(ethtool -i IF)); null when unknown.
                        type: str
                      master:
                        description: The bond or bridge that the interface is a member of (C(ip -j addr show)); null when it is in none.
                        type: str
                      master_addresses:
                        description: Addresses of that bond or bridge (C(ip -j addr show)).
                        type: list
                        elements: dict
                        contains:
                          address:
                            description: Address without prefix.
                            type: str
                          prefix_length:
                            description: Length of the prefix.
                            type: int
                          family:
                            description: C(inet) or C(inet6).
                            type: str
                          scope:
                            description: global, link or host; null when unknown.
                            type: str
                          dynamic:
                            description: Whether it was leased or advertised; null when unknown.
                            type: bool
                  carrier:
                    description: Whether any function of the port has carrier (sysfs, as for the functions); null when unknown.
                    type: bool
                  speed_mbps:
                    description: Lowest speed of its functions, in Mb/s (sysfs, else ethtool, as for the functions); null when unknown.
                    type: int
              ungrouped:
                description: Functions whose port could not be read; same keys as in RV(ansible_facts.spark.cx7.ports[].functions).
                type: list
                elements: dict
              plugged_after_boot:
                description: >-
                  Whether the kernel log of this boot (C(journalctl -k -b), else C(dmesg)) shows a plug-in more than 60 s after the hotplug
                  driver's start, or after a removal; null when unknown.
                type: bool
              plug_events:
                description: The lines of that log that say so, newest last, at most ten (C(journalctl -k -b), else C(dmesg)).
                type: list
                elements: str
              firmware:
                description: Firmware version of the adapter (sysfs fw_ver, else C(ethtool -i)); null when unknown.
                type: str
              owners:
                description: >-
                  Files that configure interfaces of the adapter and are not ours (/etc/netplan/, /etc/systemd/network/,
                  /etc/NetworkManager/); null when they could not all be read.
                type: list
                elements: dict
                contains:
                  path:
                    description: The file or profile.
                    type: str
                  netdevs:
                    description: Which of the adapter's interfaces.
                    type: list
                    elements: str
                  ids:
                    description: The names under which netplan knows them.
                    type: list
                    elements: str
                  others:
                    description: What else it configures; such a file cannot be moved aside.
                    type: list
                    elements: str
                  error:
                    description: Why it could not be read, so that nothing is known about it; null when it was read.
                    type: str
                  automatic:
                    description: NetworkManager made it on its own.
                    type: bool
                  by_pattern:
                    description: It matches our interfaces only because it matches many.
                    type: bool
          network:
            description: The network apart from the ConnectX-7.
            type: dict
            contains:
              management_netdev:
                description: >-
                  Interface of the best default route that is not on a ConnectX-7 function (/proc/net/route), else the one of the session;
                  null when unknown.
                type: str
              management_mac:
                description: Its MAC address (sysfs, else C(ip -j addr show)); null when unknown.
                type: str
              management_addresses:
                description: Its addresses (C(ip -j addr show)).
                type: list
                elements: dict
                contains:
                  address:
                    description: Address without prefix.
                    type: str
                  prefix_length:
                    description: Length of the prefix.
                    type: int
                  family:
                    description: C(inet) or C(inet6).
                    type: str
                  scope:
                    description: global, link or host; null when unknown.
                    type: str
                  dynamic:
                    description: Whether it was leased or advertised; null when unknown.
                    type: bool
              default_routes:
                description: IPv4 default routes, best first (/proc/net/route, else C(ip route)).
                type: list
                elements: dict
                contains:
                  netdev:
                    description: Interface.
                    type: str
                  gateway:
                    description: Gateway; null when unknown.
                    type: str
                  metric:
                    description: Metric; null when unknown.
                    type: int
              routed_networks:
                description: Networks of the main table with interface (/proc/net/route), such as C(10.0.0.0/24 dev enP7s7).
                type: list
                elements: str
              led_elsewhere:
                description: >-
                  Addresses in the ConnectX-7's networks that the kernel reaches over another interface (C(ip route get)), such as
                  C(192.168.100.11/32 dev enP7s7), or over C(*) if it has no way: policy rules and other routing tables show there.
                type: list
                elements: str
              renderer:
                description: C(NetworkManager) or C(networkd) (netplan, else which one runs); null when unknown.
                type: str
              netplan_files:
                description: Paths of the netplan files, in the order in which they count.
                type: list
                elements: str
              session_netdev:
                description: Interface that the current ssh session came over (SSH_CONNECTION in /proc/PID/environ); null when unknown.
                type: str
              arp_ignore:
                description: Kernel setting (/proc/sys/net/ipv4/conf/all/arp_ignore); null when unknown.
                type: int
              arp_announce:
                description: Kernel setting (/proc/sys/net/ipv4/conf/all/arp_announce); null when unknown.
                type: int
              ufw_active:
                description: Whether ufw is on (/etc/ufw/ufw.conf, else C(ufw status)); null when unknown.
                type: bool
              sshd:
                description: >-
                  The ssh server as the desk's peer will meet it (/etc/ssh/sshd_config and what it includes, put together by C(sshd -T)).
                type: dict
                contains:
                  key_files:
                    description: >-
                      Files in which it looks for the user's keys, tokens filled in (C(sshd -T), AuthorizedKeysFile); empty for none, null
                      when unknown.
                    type: list
                    elements: str
                  pubkey:
                    description: Whether keys are accepted at all (C(sshd -T), PubkeyAuthentication); null when unknown.
                    type: bool
                  accepts_ed25519:
                    description: Whether keys of the pair's type are accepted (C(sshd -T), PubkeyAcceptedAlgorithms); null when unknown.
                    type: bool
                  key_is_enough:
                    description: Whether nothing is required besides a key (C(sshd -T), AuthenticationMethods); null when unknown.
                    type: bool
                  runs_commands:
                    description: >-
                      Whether a login may run the command that it requests (C(sshd -T), ForceCommand and MaxSessions); null when unknown.
                    type: bool
                  user_allowed:
                    description: >-
                      Whether the lists of users and groups (AllowUsers, DenyUsers, AllowGroups, DenyGroups) let the user in from there
                      (C(sshd -T)); null when their patterns cannot be evaluated.
                    type: bool
          apt:
            description: Health of apt and dpkg.
            type: dict
            contains:
              lock_holder:
                description: Process that holds a package lock, pid and name (/proc/locks); null when free.
                type: str
              lock_readable:
                description: Whether the locks could be read; null when unknown.
                type: bool
              broken_packages:
                description: Packages that are neither cleanly installed nor cleanly removed.
                type: list
                elements: dict
                contains:
                  name:
                    description: Name.
                    type: str
                  version:
                    description: Version.
                    type: str
                  held:
                    description: Whether it is held.
                    type: bool
                  state:
                    description: State as dpkg names it, such as installed or half-configured.
                    type: str
                  want:
                    description: Wanted action as dpkg names it.
                    type: str
                  architecture:
                    description: Architecture; null when unknown.
                    type: str
              first_boot_upgrade:
                description: C(done), C(pending) or C(absent) (/var/lib/nvidia-spark-run-apt-upgrade-once); null when unknown.
                type: str
              reboot_required:
                description: Whether /run/reboot-required is there; null when unknown.
                type: bool
              reboot_reasons:
                description: Packages that asked for it.
                type: list
                elements: str
              autoremove_platform:
                description: Platform packages that are marked as automatically installed.
                type: list
                elements: str
              mlnx_fw_updater:
                description: Version of mlnx-fw-updater; null when it is not installed.
                type: str
          limits:
            description: The login user and its limits.
            type: dict
            contains:
              user:
                description: Login user (O(login_user)); null when unknown.
                type: str
              memlock_soft:
                description: >-
                  Soft limit of locked memory in bytes, -1 for unlimited (/proc/PID/limits of a process of that user, else limits.conf);
                  null when unknown.
                type: int
              memlock_hard:
                description: Hard limit of locked memory in bytes, -1 for unlimited (/proc/PID/limits, else limits.conf); null when unknown.
                type: int
              uid:
                description: User id (/etc/passwd); null when unknown.
                type: int
              gid:
                description: Group id (/etc/passwd); null when unknown.
                type: int
              home:
                description: Home folder (/etc/passwd); null when unknown.
                type: str
              groups:
                description: Groups (/etc/group).
                type: list
                elements: str
              root_free_kb:
                description: What users can still write to the root file system, in kB (C(stat -f)); null when unknown.
                type: int
              root_free_inodes:
                description: Files that can still be made there (C(stat -f)); null when unknown, as on a file system without such a limit.
                type: int
              other_room:
                description: The same of /boot, /home, /tmp, /var and /var/lib/docker where they are file systems of their own (C(df)).
                type: list
                elements: dict
                contains:
                  path:
                    description: Where it is looked at (C(df)).
                    type: str
                  free_kb:
                    description: What users can still write there, in kB (C(df)); null when unknown.
                    type: int
                  free_inodes:
                    description: Files that can still be made there (C(df)); null when unknown, as on a file system without such a limit.
                    type: int
              root_read_only:
                description: Whether the root file system is mounted read-only (C(findmnt)); null when unknown.
                type: bool
          clock:
            description: Time keeping.
            type: dict
            contains:
              synchronized:
                description: Whether the clock is synchronised (/run/systemd/timesync, else timedatectl); null when unknown.
                type: bool
              source:
                description: Time service seen (/run/systemd/timesync, /run/chrony); null when unknown.
                type: str
              epoch:
                description: >-
                  Seconds since 1970 on the desk when the facts were read (its clock, in a replay /proc/stat and /proc/uptime); null when
                  unknown.
                type: float
          busy:
            description: What is using the GPU or RDMA now.
            type: dict
            contains:
              gpu_processes:
                description: Processes on the GPU (nvidia-smi).
                type: list
                elements: dict
                contains:
                  pid:
                    description: Process id; 0 for a service of the kernel, which is not a process.
                    type: int
                  name:
                    description: The program without its arguments, which may hold a password; of Python also the module or the script.
                    type: str
                  kind:
                    description: C(C) for compute, C(G) for graphics; null when unknown.
                    type: str
                  memory_mib:
                    description: GPU memory in MiB; null when unknown.
                    type: int
                  user:
                    description: Its user; null when unknown.
                    type: str
              rdma_users:
                description: Processes with RDMA queue pairs (C(rdma resource show qp)).
                type: list
                elements: dict
                contains:
                  pid:
                    description: Process id; 0 for a service of the kernel, which is not a process.
                    type: int
                  name:
                    description: The program without its arguments, which may hold a password; of Python also the module or the script.
                    type: str
                  kind:
                    description: C(C) for compute, C(G) for graphics; null when unknown.
                    type: str
                  memory_mib:
                    description: GPU memory in MiB; null when unknown.
                    type: int
                  user:
                    description: Its user; null when unknown.
                    type: str
              readable:
                description: Whether both could be read (nvidia-smi and C(rdma resource show qp)); null when unknown.
                type: bool
          setup:
            description: What this collection has set up on the desk.
            type: dict
            contains:
              link_file:
                description: Content of this collection's netplan file; null when it does not exist.
                type: str
              link_journal:
                description: >-
                  State of a link change that is not settled, such as C(applied) or C(undone), from its journal; null when there is none.
                type: str
              pair_env:
                description: Content of /etc/dgx_spark/pair.env; null when unknown.
                type: str
              pair_files:
                description: >-
                  Path to SHA-256 of each other file under /etc/dgx_spark, of our preferences file, of pair-check and pair-ssh, and of our
                  lines in /etc/hosts (joined by line ends).
                type: dict
              wrong_modes:
                description: >-
                  Files and folders of this collection whose owner or mode has changed, so that a login user cannot read or run them.
                type: list
                elements: str
              firewall_rules:
                description: >-
                  This collection's firewall rules (ufw) as C(INTERFACE ADDRESS); null when there is no firewall or it was not asked.
                type: list
                elements: str
              mpi_guard:
                description: Who may reach Open MPI's ports on the desk; null when it was not asked or when there is no iptables.
                type: dict
                contains:
                  enabled:
                    description: Whether a reboot brings them back.
                    type: bool
                  ipv4:
                    description: The rules in force (C(iptables -t mangle -S)); null when they could not be asked.
                    type: list
                    elements: str
                  ipv6:
                    description: The rules in force (C(ip6tables -t mangle -S)); null when they could not be asked.
                    type: list
                    elements: str
              trust_public_key:
                description: Public key that the desk uses towards its peer, read from the private half that is there; null when unknown.
                type: str
              trust_key_damaged:
                description: 'Whether something of the pair''s key is there that ssh cannot use: one half is gone, or its mode is too open.'
                type: bool
              trust_authorized:
                description: This collection's lines in the file that holds the login user's keys.
                type: list
                elements: str
              trust_left_in:
                description: Other files that held the login user's keys before and still have lines of this collection.
                type: list
                elements: str
              trust_known_hosts:
                description: This collection's lines in the login user's known_hosts.
                type: list
                elements: str
              foreign_names:
                description: This collection's names to which other lines in /etc/hosts give an address, as C(ADDRESS NAME).
                type: list
                elements: str
              trust_user:
                description: Login user whom the record of the trust names (/etc/dgx_spark/trust.json); null when unknown.
                type: str
              trust_home:
                description: Home folder of that user, as recorded; null when unknown.
                type: str
              host_public_keys:
                description: The public ssh host keys, type and key.
                type: list
                elements: str
              driver_lock:
                description: Content of /var/lib/dgx_spark/driver_lock/lock.json; null when unknown.
                type: str
              update_journal:
                description: >-
                  Journal of the last update (/var/lib/dgx_spark/update/journal.json); null when there was none or it could not be read.
                type: dict
                contains:
                  phase:
                    description: 'How far it got: begun, changing, installed, started, settled, rolling_back, rolled_back.'
                    type: str
                  run_id:
                    description: Run that began it; null when unknown.
                    type: str
                  stack:
                    description: Stack that it was for; null for a desk in none.
                    type: str
                  before:
                    description: Packages that it changes or removes, with the version from before.
                    type: dict
                  target:
                    description: Packages of driver, kernel and NCCL, with the version that it was to bring.
                    type: dict
                  added:
                    description: Packages that were not installed before.
                    type: list
                    elements: str
                  kept:
                    description: NAME=VERSION of each package that was kept for a rollback.
                    type: list
                    elements: str
                  lost:
                    description: NAME=VERSION of each package that no archive could provide, so that it cannot be restored.
                    type: list
                    elements: str
                  kernel_before:
                    description: Release of the kernel that ran before; null when unknown.
                    type: str
                  kernel_after:
                    description: Release that the boot after the packages starts; null before it is known.
                    type: str
                  firmware:
                    description: Firmware that was handed to the next boot.
                    type: list
                    elements: str
              nccl_bundle:
                description: SHA-256 of the manifest of the installed NCCL bundle; null when a file of it is gone, changed or cannot be run.
                type: str
          kernel_log_readable:
            description: Whether the kernel log of this boot could be read (C(journalctl -k -b), C(dmesg)); null when unknown.
            type: bool
          unread:
            description: >-
              Path of a fact (such as C(apt.lock_holder)) to the reason why it could not be read, with the file or command that refused
              (this collection's own).
            type: dict
"""

import time
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import gather
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import Options, choose
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.session import session_address
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import options_from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs.homes import LiveHomes

ARGUMENTS = {
    "gather_subset": {"type": "list", "elements": "str", "default": ["all"]},
    "login_user": {"type": "str"},
    "ssh_port": {"type": "int"},
    "include_serial": {"type": "bool", "default": False},
    "session_address": {"type": "str"},
    "run_id": {"type": "str"},
    "desk": {"type": "str"},
    "pair": {"type": "str"},
    "expected_identity": {
        "type": "dict",
        "options": {
            # A serial number must not reach the desk's journal with the module's arguments.
            "serial": {"type": "str", "no_log": True},
            "serial_sha256": {"type": "str"},
            "host_key_fingerprints": {"type": "list", "elements": "str", "no_log": False},
        },
    },
    "judge_options": {"type": "dict", "default": {}},
}


def main() -> None:
    """Gather, judge, answer."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    expected = given["expected_identity"] or {}
    try:
        judging = options_from_dict({**given["judge_options"], **{f"expected_{key}": value for key, value in expected.items() if value}})
        subsets = choose(given["gather_subset"])
    except ValueError as error:
        module.fail_json(msg=f"{given['desk'] or 'spark_facts'}: {error}")
    desk = LiveHomes()
    options = Options(
        subsets=subsets,
        login_user=given["login_user"],
        ssh_port=given["ssh_port"],
        include_serial=given["include_serial"],
        judge_serial=bool(expected.get("serial")),
        run_id=given["run_id"],
        now=time.time(),
        session_address=given["session_address"] or session_address(desk),
    )
    facts, processes = gather(desk, options)
    where = Where(pair=given["pair"], desk=given["desk"] or facts.identity.hostname)
    findings = judge(facts, where, judging)
    if not options.include_serial:
        facts = replace(facts, identity=replace(facts.identity, serial=None))
    module.exit_json(
        changed=False,
        ansible_facts={"spark": as_dict(facts)},
        findings=[item.as_dict() for item in findings],
        processes=processes,
    )


if __name__ == "__main__":
    main()
