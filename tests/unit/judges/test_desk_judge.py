"""Every code of one desk: a red and a green case, as a table."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import CODES, DOMAINS
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.common import serials_apart
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import PURPOSES, JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Limits, Route, SshServer
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import GpuProcess, KernelImage, Package
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.kernel_events import KernelEvents, PcieError, PlugError
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import Address
from judge_samples import NEWER, RUNNING, change, function, healthy, with_function, with_linked, without_functions

WHERE = Where(desk="desk-01")
DESK = healthy()
AT_HOME = change(DESK, limits=Limits(user="lab", home="/home/lab"))

GIB = 1024 * 1024
TWIN = "enP2p1s0f1np1"
OUR_LINK = f"network:\n  ethernets:\n    {TWIN}:\n      mtu: 9000\n"
LINK_LOCAL = (Address("169.254.10.1", 16, "inet", "link", None), Address("fe80::1", 64, "inet6", "link", None))


def codes(desk: Desk, options: JudgeOptions | None = None) -> dict[str, str]:
    """Code to severity of everything found."""
    return {item.code: item.severity for item in judge(desk, WHERE, options or JudgeOptions())}


NO_READINGS = change(
    DESK, gpu__clock_sm_mhz=None, gpu__clock_sm_max_mhz=None, gpu__power_draw_w=None, gpu__utilisation_percent=None, gpu__temperature_c=None
)
HUNG = change(NO_READINGS, gpu__smi="timeout")
NO_MODULE = change(DESK, driver__loaded=None, driver__module_version=None)
FATAL = PcieError("0000:00:00.0", "fatal", "pcieport 0000:00:00.0: AER: Uncorrectable (Fatal) error message received")
HOT = PlugError("module 0 of 0000:01:00.0", "High Temperature", "mlx5_core 0000:01:00.0: Port module event[error]: module 0, Cable error")
RECOVERED = PcieError("0000:00:00.0", "recovered", "pcieport 0000:00:00.0: AER: device recovery successful")

Case = tuple[str, Desk, dict[str, Any], str]

# code, desk, options, severity: what must be found.
BOTH = (NEWER, RUNNING)

RED: tuple[Case, ...] = (
    ("DESK_NOT_GB10", change(DESK, identity__is_gb10=False, identity__vendor="Dell Inc."), {}, "fail"),
    ("DESK_NOT_AARCH64", change(DESK, identity__architecture="x86_64"), {}, "fail"),
    ("DGX_RELEASE_MISSING", change(DESK, dgx_os__present=False, dgx_os__version=None), {}, "fail"),
    ("DGX_OS_TOO_OLD", DESK, {"minimum_dgx_os": "7.6.0"}, "fail"),
    ("DGX_OS_UNKNOWN_NEWER", change(DESK, dgx_os__version="7.10.0"), {}, "note"),
    ("DGX_OS_RULES_UNKNOWN", change(DESK, dgx_os__version="8.0.0", driver__branch=595), {}, "unknown"),
    ("DESK_IDENTITY_WRONG", DESK, {"expected_serial": "NOT-THIS-ONE"}, "fail"),
    ("DESK_IDENTITY_WRONG", DESK, {"expected_host_key_fingerprints": ("SHA256:other",)}, "fail"),
    ("DESK_IDENTITY_WRONG", DESK, {"expected_host_key_fingerprints": ("SHA256:other",)}, "fail"),
    ("DESK_IDENTITY_WRONG", change(DESK, identity__serial_sha256=None), {"expected_serial_sha256": "00"}, "unknown"),
    ("FACTS_INCOMPLETE", change(DESK, memory__total_kb=None, unread={"memory.total_kb": "denied"}), {}, "unknown"),
    ("FACTS_INCOMPLETE", change(DESK, network__ufw_active=None, unread={"network.ufw_active": "denied"}), {}, "note"),
    ("FACTS_INCOMPLETE", without_functions(DESK, unread={"cx7.ports": "not_recorded"}), {}, "unknown"),
    ("FACTS_INCOMPLETE", change(DESK, driver__gsp_version=None), {"purpose": "stack"}, "unknown"),
    ("FIRST_BOOT_UPGRADE_PENDING", change(DESK, apt__first_boot_upgrade="pending"), {}, "warn"),
    ("FIRST_BOOT_UPGRADE_PENDING", change(DESK, apt__first_boot_upgrade="pending"), {"purpose": "onboard"}, "fail"),
    ("DPKG_LOCKED", change(DESK, apt__lock_holder="4242 unattended-upgr"), {}, "warn"),
    ("DPKG_BROKEN", change(DESK, apt__broken_packages=(Package("libfoo", "1", state="half-configured"),)), {}, "fail"),
    ("REBOOT_REQUIRED", change(DESK, apt__reboot_required=True, apt__reboot_reasons=("libc6",)), {"purpose": "stack"}, "warn"),
    ("REBOOT_REQUIRED", change(DESK, apt__reboot_required=True, apt__reboot_reasons=("linux-base",)), {"purpose": "stack"}, "fail"),
    ("REBOOT_REQUIRED", change(DESK, apt__reboot_required=True), {}, "warn"),
    ("CLOCK_UNSYNCED", change(DESK, clock__synchronized=False), {}, "warn"),
    ("MEMORY_SHORT", change(DESK, memory__total_kb=60 * GIB), {}, "note"),
    ("ROOT_READ_ONLY", change(DESK, limits__root_read_only=True), {}, "fail"),
    ("DISK_FULL", change(DESK, limits__root_free_kb=0, limits__root_free_inodes=4_000_000), {}, "warn"),
    ("DISK_FULL", change(DESK, limits__root_free_kb=300 * GIB, limits__root_free_inodes=0), {}, "warn"),
    ("MEMORY_SHORT", change(DESK, memory__total_kb=90 * GIB), {}, "warn"),
    ("MEMORY_SHORT", change(DESK, memory__total_kb=60 * GIB), {"minimum_memory_gib": 100.0}, "fail"),
    ("MEMLOCK_LOW", change(DESK, limits__memlock_soft=65536, limits__memlock_hard=65536), {}, "warn"),
    ("MEMLOCK_LOW", change(DESK, limits__memlock_soft=65536, limits__memlock_hard=-1), {}, "note"),
    ("FIREWALL_ACTIVE", change(DESK, network__ufw_active=True), {}, "note"),
    ("VERSION_KNOWN_BAD", change(DESK, kernel__running="7.0.0-1019-nvidia-64k"), {}, "warn"),
    ("VERSION_KNOWN_BAD", change(DESK, kernel__running="6.17.0-1008-nvidia"), {}, "note"),
    ("VERSION_KNOWN_BAD", change(DESK, cx7__firmware="28.47.1088"), {}, "note"),
    ("MLNX_FW_UPDATER_PRESENT", change(DESK, apt__mlnx_fw_updater="25.10-1"), {}, "warn"),
    ("CDI_STALE", change(DESK, toolkit__cdi_spec_driver="580.95.05"), {}, "warn"),
    ("DRIVER_MISSING", change(DESK, driver__loaded=False, driver__module_version=None), {}, "fail"),
    (
        "DRIVER_MISSING",
        change(
            DESK,
            driver__loaded=None,
            driver__module_version=None,
            driver__nvml_error="NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        ),
        {},
        "fail",
    ),
    ("DRIVER_BRANCH_WRONG", change(DESK, driver__branch=590), {}, "fail"),
    ("DRIVER_BRANCH_WRONG", change(DESK, driver__branch=None, driver__module_version="610.43.02"), {}, "fail"),
    ("DRIVER_MISMATCH", change(DESK, driver__user_space_version="580.159.03"), {}, "fail"),
    ("DRIVER_MISMATCH", change(DESK, driver__gsp_version="580.126.09"), {}, "fail"),
    (
        "DRIVER_MISMATCH",
        change(
            DESK,
            driver__user_space_version=None,
            driver__gsp_version=None,
            gpu__present=None,
            driver__nvml_error="Failed to initialize NVML: Driver/library version mismatch",
        ),
        {},
        "fail",
    ),
    ("DRIVER_PROPRIETARY", change(DESK, driver__open_module=False), {}, "fail"),
    ("DRIVER_PROPRIETARY", change(DESK, driver__open_module=None, driver__module_license="NVIDIA"), {}, "fail"),
    (
        "NEXT_BOOT_KERNEL_WITHOUT_DRIVER",
        change(DESK, kernel__next_boot=NEWER, kernel__installed=(KernelImage(NEWER, False), KernelImage(RUNNING, True))),
        {},
        "fail",
    ),
    (
        "NEXT_BOOT_KERNEL_WITHOUT_INITRD",
        change(
            DESK, kernel__next_boot=NEWER, kernel__installed=tuple(KernelImage(name, True, has_initrd=name == RUNNING) for name in BOTH)
        ),
        {},
        "fail",
    ),
    ("DRIVER_NOT_HELD", change(DESK, driver__packages=(Package("linux-nvidia-hwe-24.04", "1"),), driver__holds=()), {}, "note"),
    (
        "DRIVER_NOT_HELD",
        change(DESK, driver__packages=(Package("linux-image-nvidia-64k-hwe-24.04", "1"),), driver__holds=()),
        {"purpose": "stacked"},
        "warn",
    ),
    ("KERNEL_ROCE_ENOMEM", change(DESK, memory__cma_total_kb=0, memory__cma_free_kb=512), {}, "fail"),
    ("KHO_OFF_ON_6_17", change(DESK, kernel__kho="off"), {}, "note"),
    ("PERSISTENCED_INACTIVE", change(DESK, driver__persistenced_active=False), {}, "warn"),
    ("PERSISTENCED_INACTIVE", change(DESK, driver__persistence_mode="Disabled"), {}, "warn"),
    ("CUDA_MAJOR_WRONG", change(DESK, toolkit__cuda_toolkit="12.8"), {}, "fail"),
    ("CUDA_MAJOR_WRONG", change(DESK, toolkit__cuda_toolkit="14.0.1"), {}, "warn"),
    ("GPU_NOT_FOUND", change(DESK, gpu__present=False, driver__nvml_error="No devices were found"), {}, "fail"),
    ("GPU_POWER_CAPPED", change(DESK, gpu__utilisation_percent=98.0, gpu__power_draw_w=29.0, gpu__clock_sm_mhz=650.0), {}, "warn"),
    ("GPU_POWER_CAPPED", change(DESK, gpu__utilisation_percent=81.0, gpu__power_draw_w=14.0, gpu__clock_sm_mhz=811.0), {}, "warn"),
    ("GPU_POWER_CAPPED", change(DESK, gpu__power_draw_w=14.0), {}, "note"),
    ("GPU_FAILED", change(DESK, gpu__dead_readings=("GPU requires reset",), gpu__power_draw_w=None), {}, "fail"),
    ("GPU_FAILED", change(DESK, gpu__dead_readings=("Unknown Error",), gpu__power_draw_w=None), {}, "fail"),
    ("GPU_FAILED", change(NO_READINGS, gpu__dead_readings=("ERR!",)), {}, "fail"),
    ("GPU_FAILED", change(DESK, gpu__recovery_action="Reboot"), {}, "fail"),
    ("GPU_FAILED", change(DESK, kernel__events=KernelEvents(recovery_action="Node Reboot Required")), {}, "fail"),
    ("GPU_FAILED", change(DESK, driver__nvml_error="Unable to determine the device handle for GPU0: Unknown Error"), {}, "fail"),
    (
        "GPU_FAILED",
        change(HUNG, kernel__events=KernelEvents(xids={"169": 1}, gpu_lines=("NVRM: Xid (PCI:000f:01:00): 169, x",))),
        {},
        "fail",
    ),
    ("GPU_FAILED", change(HUNG, kernel__events=KernelEvents(oom_kills=1, oom_lines=("Out of memory: Killed process 1",))), {}, "fail"),
    ("FACTS_INCOMPLETE", change(HUNG, unread={"gpu.utilisation_percent": "nvidia-smi -q: timeout"}), {}, "unknown"),
    ("GPU_ERRORS_LOGGED", change(DESK, kernel__events=KernelEvents(xids={"13": 9}, gpu_lines=("NVRM: Xid (P): 13, x",))), {}, "note"),
    ("GPU_ERRORS_LOGGED", change(DESK, kernel__events=KernelEvents(xids={"79": 1}, gpu_lines=("NVRM: Xid (P): 79, x",))), {}, "warn"),
    ("GPU_ERRORS_LOGGED", change(DESK, kernel__events=KernelEvents(oom_kills=2)), {}, "note"),
    ("GPU_MEMORY_MODE", change(DESK, gpu__addressing_mode="None"), {}, "fail"),
    ("GPU_WARNED", change(DESK, gpu__warnings=("WARNING: infoROM is corrupted at gpu 000F:01:00.0",)), {}, "note"),
    ("NVIDIA_SETTINGS_OTHER", change(DESK, driver__packages=(Package("nvidia-settings", "610.57.04-1ubuntu1"),)), {}, "warn"),
    ("NVIDIA_SETTINGS_OTHER", change(DESK, driver__packages=(Package("libxnvctrl0", "510.47.03-0ubuntu4"),)), {}, "note"),
    ("CX7_PCIE_ERRORS", change(DESK, kernel__events=KernelEvents(pcie_errors=(FATAL,))), {}, "fail"),
    ("CX7_PCIE_ERRORS", change(DESK, kernel__events=KernelEvents(pcie_errors=(FATAL, RECOVERED))), {}, "warn"),
    ("CX7_PCIE_ERRORS", change(DESK, kernel__events=KernelEvents(pcie_errors=(change(FATAL, kind="stalled"),))), {}, "warn"),
    (
        "CX7_PCIE_ERRORS",
        change(DESK, kernel__events=KernelEvents(pcie_errors=(change(FATAL, kind="stalled"),), lockups=("BUG: soft lockup - CPU#3",))),
        {},
        "fail",
    ),
    ("CX7_PLUG_ERROR", change(DESK, kernel__events=KernelEvents(plug_errors=(HOT,))), {}, "warn"),
    ("CX7_PCIE_ERRORS", change(DESK, kernel__events=KernelEvents(pcie_errors=(change(FATAL, kind="nonfatal"),))), {}, "note"),
    ("KERNEL_LOCKUP", change(DESK, kernel__events=KernelEvents(lockups=("watchdog: BUG: soft lockup - CPU#3",))), {}, "warn"),
    ("PERSISTENCED_INACTIVE", change(DESK, driver__persistenced_active=None, driver__persistenced_state="activating"), {}, "warn"),
    ("DRIVER_MISSING", change(NO_MODULE, driver__nvml_error="Failed to initialize NVML: Driver Not Loaded"), {}, "fail"),
    ("CDI_STALE", change(DESK, toolkit__cdi_specs={"/etc/cdi/a.json": "580.142", "/var/run/cdi/nvidia.yaml": "580.95.05"}), {}, "warn"),
    ("VERSION_KNOWN_BAD", change(DESK, kernel__next_boot="7.0.0-1019-nvidia"), {}, "warn"),
    ("VERSION_KNOWN_BAD", change(DESK, toolkit__nccl="2.30.4-1+cuda13.0"), {}, "note"),
    ("CX7_ABSENT_NO_CABLE", without_functions(DESK, cx7__powered=False), {}, "note"),
    ("CX7_ABSENT_NO_CABLE", without_functions(DESK, cx7__powered=False), {"purpose": "stack"}, "fail"),
    ("CX7_ABSENT_FAULT", without_functions(DESK, cx7__powered=True), {}, "fail"),
    ("CX7_ABSENT_FAULT", without_functions(DESK, cx7__hotplug_enabled=False, cx7__powered=None), {}, "fail"),
    ("CX7_ABSENT_FAULT", without_functions(DESK, cx7__hotplug_enabled=None, cx7__powered=None), {}, "unknown"),
    ("CX7_FUNCTION_MISSING", change(DESK, cx7__ports=(DESK.cx7.ports[1],)), {}, "fail"),
    (
        "CX7_FUNCTION_MISSING",
        change(DESK, cx7__ports=(DESK.cx7.ports[0], change(DESK.cx7.ports[1], functions=DESK.cx7.ports[1].functions[:1]))),
        {},
        "fail",
    ),
    ("CX7_FUNCTION_MISSING", change(DESK, cx7__ports=(), cx7__ungrouped=(function(1, 0),)), {}, "fail"),
    ("CX7_LINK_DOWN", with_linked(DESK, carrier=False), {}, "warn"),
    ("CX7_LINK_DOWN", change(with_linked(DESK, carrier=False), cx7__hotplug_enabled=False), {}, "note"),
    ("CX7_LINK_DOWN", with_linked(DESK, carrier=False), {"purpose": "stack"}, "fail"),
    ("CX7_LINK_DOWN", with_function(DESK, TWIN, carrier=False), {}, "warn"),
    ("CX7_LINK_DOWN", with_function(DESK, TWIN, carrier=None, admin_up=False), {}, "note"),
    ("CX7_SPEED_LOW", with_linked(DESK, speed_mbps=100_000), {}, "warn"),
    ("CX7_SPEED_LOW", with_linked(DESK, speed_mbps=40_000), {}, "fail"),
    ("CX7_BONDED", with_linked(DESK, master="bond0", master_addresses=(Address("10.1.2.3", 24, "inet"),)), {}, "note"),
    ("CX7_PCIE_WIDTH_LOW", with_function(DESK, TWIN, pcie_width=2), {}, "fail"),
    ("CX7_PCIE_WIDTH_LOW", with_function(DESK, TWIN, pcie_speed="16.0 GT/s PCIe"), {}, "fail"),
    ("CX7_MTU_MISMATCH", with_function(DESK, TWIN, mtu=1500), {}, "warn"),
    ("CX7_MTU_MISMATCH", with_function(DESK, TWIN, mtu=1500), {"purpose": "stack"}, "note"),
    ("CX7_MTU_MISMATCH", with_linked(DESK, mtu=1500), {"purpose": "stacked", "wanted_mtu": 9000}, "fail"),
    ("CX7_NO_ADDRESS", with_function(DESK, TWIN, addresses=()), {}, "note"),
    ("CX7_NO_ADDRESS", with_linked(DESK, addresses=LINK_LOCAL), {}, "note"),
    ("CX7_NO_ADDRESS", with_function(DESK, TWIN, addresses=()), {"purpose": "stacked"}, "fail"),
    ("CX7_TWINS_SAME_SUBNET", with_function(DESK, TWIN, addresses=(Address("192.168.100.60", 24, "inet"),)), {}, "warn"),
    (
        "CX7_TWINS_SAME_SUBNET",
        with_function(DESK, TWIN, addresses=(Address("192.168.100.60", 24, "inet"),)),
        {"purpose": "stacked"},
        "fail",
    ),
    ("CX7_GID_MISSING", with_function(DESK, TWIN, roce_v2_ipv4_gid_index=None), {}, "warn"),
    ("CX7_GID_MISSING", with_function(DESK, TWIN, roce_v2_ipv4_gid_index=None, rdma_device=None), {"purpose": "stacked"}, "fail"),
    (
        "CX7_FOREIGN_OWNER",
        with_linked(DESK, owner="/etc/netplan/99-nvidia-sync-cluster.yaml", owner_kind="foreign"),
        {},
        "warn",
    ),
    ("CX7_FOREIGN_OWNER", with_linked(DESK, owner="x", owner_kind="foreign"), {"purpose": "stack"}, "fail"),
    ("CX7_FOREIGN_OWNER", with_linked(DESK, owner="x", owner_kind="foreign"), {"purpose": "stack", "take_over": True}, "note"),
    ("CX7_NOT_MANAGED", change(with_function(DESK, TWIN, renderer="networkd"), setup__link_file=OUR_LINK), {}, "warn"),
    ("PAIR_LOGIN_CLOSED", change(DESK, network__sshd=SshServer(pubkey=False)), {}, "note"),
    ("PAIR_LOGIN_CLOSED", change(AT_HOME, network__sshd=SshServer(key_files=("/etc/ssh/keys/lab",))), {"purpose": "stack"}, "warn"),
    ("PAIR_LOGIN_CLOSED", change(DESK, network__sshd=SshServer(key_is_enough=False)), {"purpose": "stack"}, "fail"),
    ("PAIR_NAME_TAKEN", change(DESK, setup__foreign_names=("10.99.0.1 pair-peer",)), {"purpose": "stack"}, "warn"),
    ("CX7_DEFAULT_ROUTE", change(DESK, network__default_routes=(Route(TWIN, "192.168.101.1", 100),)), {}, "warn"),
    ("CX7_DEFAULT_ROUTE", change(DESK, network__default_routes=(Route(TWIN, None, 100),)), {"purpose": "stacked"}, "fail"),
    ("CX7_ADDRESS_OVERLAP", change(DESK, network__routed_networks=("192.168.100.0/24 dev br-0a1b2c3d4e5f",)), {}, "warn"),
    ("CX7_ADDRESS_OVERLAP", change(DESK, network__routed_networks=("192.168.101.128/25 dev wg0",)), {"purpose": "stacked"}, "fail"),
    ("CX7_ADDRESS_OVERLAP", change(DESK, network__led_elsewhere=("192.168.100.11/32 dev enP7s7",)), {"purpose": "stacked"}, "fail"),
    ("CX7_PLUGGED_AFTER_BOOT", change(DESK, cx7__plugged_after_boot=True, cx7__plug_events=("Cable plugin",)), {}, "warn"),
    ("CX7_IS_MANAGEMENT", change(DESK, network__session_netdev=TWIN), {}, "warn"),
    ("CX7_IS_MANAGEMENT", change(DESK, network__management_netdev=TWIN), {"purpose": "stack"}, "fail"),
    ("CX7_FIRMWARE_DRIFT", with_function(DESK, TWIN, firmware="28.40.1000"), {}, "warn"),
    ("PAIR_BUSY", change(DESK, busy__gpu_processes=(GpuProcess(9, "python3", "C", 100, "ana"),)), {}, "note"),
)

ELSEWHERE = {
    "AUTH_FAILED": "made by the connection itself (plugin_utils/connection_reasons.py)",
    "BECOME_FAILED": "made by the connection itself",
    "OOBE_PENDING": "made by first contact",
    "DESK_IDENTITY_DUPLICATE": "a fleet judge (test_fleet.py)",
    "PAIR_DRIFT": "a pair judge (test_pair.py)",
    "PAIR_DISTURBED": "a measurement (benchmarks/test_guard.py)",
    "PAIR_USER_MISMATCH": "a pair judge (test_pair.py)",
    "DRIFT_FROM_BASELINE": "judged on the controller (test_drift.py, test_audit.py)",
    "BUSY_UNKNOWN": "the guard before changes and measurements (test_pair.py)",
}


@pytest.mark.parametrize(("code", "desk", "options", "severity"), RED, ids=[f"{item[0]}-{number}" for number, item in enumerate(RED)])
def test_red(code: str, desk: Desk, options: dict[str, Any], severity: str) -> None:
    assert codes(desk, JudgeOptions(**options)).get(code) == severity


def test_every_code_of_a_desk_has_a_red_case() -> None:
    listed = {code.code for domain in ("identity", "system", "driver", "link", "pair") for code in DOMAINS[domain]}
    missing = listed - {item[0] for item in RED} - set(ELSEWHERE)
    assert missing == set(), f"give each a row in RED (a desk that has it) and in GREEN (a near miss), or a maker in ELSEWHERE: {missing}"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_green_a_healthy_desk_has_no_finding_at_all(purpose: str) -> None:
    options = JudgeOptions(
        purpose=purpose,
        wanted_mtu=9000,
        expected_serial_sha256=DESK.identity.serial_sha256,
        expected_host_key_fingerprints=("SHA256:old", "SHA256:key1"),
    )
    assert codes(DESK, options) == {}


# code, desk, options: near misses that must stay silent.
GREEN: tuple[tuple[str, Desk, dict[str, Any]], ...] = (
    ("DESK_NOT_AARCH64", change(DESK, identity__architecture="arm64"), {}),
    (
        "DESK_IDENTITY_WRONG",
        change(DESK, identity__serial_sha256=None),
        {"expected_serial": "X", "expected_host_key_fingerprints": ("SHA256:key1",)},
    ),
    ("DGX_OS_TOO_OLD", change(DESK, dgx_os__version="7.10.0"), {"minimum_dgx_os": "7.9.1"}),
    ("DGX_OS_TOO_OLD", change(DESK, dgx_os__version="7.2.3"), {}),
    ("DGX_OS_UNKNOWN_NEWER", change(DESK, dgx_os__version="7.6"), {}),
    ("DGX_OS_UNKNOWN_NEWER", change(DESK, dgx_os__version="unreadable"), {}),
    ("FIRST_BOOT_UPGRADE_PENDING", change(DESK, apt__first_boot_upgrade="absent"), {"purpose": "stack"}),
    ("REBOOT_REQUIRED", change(DESK, apt__reboot_required=None), {}),
    ("CLOCK_UNSYNCED", change(DESK, clock__synchronized=None), {}),
    ("MEMORY_SHORT", change(DESK, memory__total_kb=125_400_000), {}),
    ("ROOT_READ_ONLY", change(DESK, limits__root_read_only=False), {}),
    ("DISK_FULL", change(DESK, limits__root_free_kb=GIB, limits__root_free_inodes=100_000), {}),
    ("DISK_FULL", change(DESK, limits__root_free_kb=GIB, limits__root_free_inodes=None), {}),
    ("MEMLOCK_LOW", change(DESK, limits__memlock_soft=None, limits__memlock_hard=None), {}),
    ("MEMLOCK_LOW", change(DESK, limits__memlock_soft=120 * GIB * 1024, limits__memlock_hard=120 * GIB * 1024), {}),
    ("VERSION_KNOWN_BAD", change(DESK, kernel__running="7.0.0-1019-nvidia", kernel__kho="off"), {}),
    (
        "VERSION_KNOWN_BAD",
        change(DESK, kernel__running="7.0.0-1019-nvidia", memory__cma_total_kb=0, memory__cma_free_kb=64),
        {},
    ),
    ("VERSION_KNOWN_BAD", change(DESK, kernel__running="6.17.0-10081-nvidia"), {}),
    ("CDI_STALE", change(DESK, toolkit__cdi_spec_driver=None), {}),
    ("DRIVER_MISMATCH", change(DESK, driver__gsp_version=None), {}),
    (
        "NEXT_BOOT_KERNEL_WITHOUT_DRIVER",
        change(DESK, kernel__installed=(KernelImage(NEWER, None), KernelImage(RUNNING, True)), kernel__next_boot=NEWER),
        {},
    ),
    (
        "NEXT_BOOT_KERNEL_WITHOUT_DRIVER",
        change(DESK, kernel__installed=(KernelImage(NEWER, False), KernelImage(RUNNING, True))),
        {},
    ),
    (
        "NEXT_BOOT_KERNEL_WITHOUT_INITRD",
        change(
            DESK, kernel__next_boot=RUNNING, kernel__installed=tuple(KernelImage(name, True, has_initrd=name == RUNNING) for name in BOTH)
        ),
        {},
    ),
    ("NEXT_BOOT_KERNEL_WITHOUT_INITRD", change(DESK, kernel__next_boot=NEWER, kernel__installed=(KernelImage(NEWER, True),)), {}),
    ("DRIVER_NOT_HELD", change(DESK, driver__packages=(Package("nvidia-container-toolkit", "1.19"),), driver__holds=()), {}),
    (
        "DRIVER_NOT_HELD",
        change(DESK, driver__packages=(Package("linux-nvidia-hwe-24.04", "1"),), driver__holds=(), unread={"driver.holds": "not told"}),
        {},
    ),
    ("KERNEL_ROCE_ENOMEM", change(DESK, memory__cma_total_kb=0, memory__cma_free_kb=0), {}),
    ("KERNEL_ROCE_ENOMEM", change(DESK, memory__cma_total_kb=None, memory__cma_free_kb=64), {}),
    ("KHO_OFF_ON_6_17", change(DESK, kernel__running="7.0.0-1019-nvidia", kernel__kho="off"), {}),
    ("PERSISTENCED_INACTIVE", change(DESK, driver__persistenced_active=None), {}),
    ("PERSISTENCED_INACTIVE", change(DESK, driver__loaded=False, driver__persistenced_active=False), {}),
    ("GPU_NOT_FOUND", change(DESK, gpu__present=False, driver__loaded=False, driver__module_version=None), {}),
    ("GPU_NOT_FOUND", change(DESK, gpu__present=None), {}),
    ("GPU_FAILED", change(DESK, gpu__recovery_action="None", kernel__events=KernelEvents(recovery_action="Node Reboot Required")), {}),
    ("GPU_FAILED", HUNG, {}),
    ("GPU_MEMORY_MODE", change(DESK, gpu__addressing_mode="ATS"), {}),
    ("GPU_WARNED", change(DESK, gpu__warnings=()), {}),
    ("NVIDIA_SETTINGS_OTHER", change(DESK, driver__packages=(Package("nvidia-settings", "580.95.05-0ubuntu1"),)), {}),
    ("CX7_PCIE_ERRORS", change(DESK, kernel__events=KernelEvents(pcie_errors=(change(FATAL, address="0009:00:00.0"),))), {}),
    ("CX7_PLUG_ERROR", change(DESK, kernel__events=KernelEvents(pcie_errors=(FATAL,))), {}),
    ("DRIVER_MISMATCH", change(DESK, driver__module_version="580.142.01", driver__gsp_version="580.142.01"), {}),
    ("DRIVER_BRANCH_WRONG", change(DESK, dgx_os__version="8.0.0", driver__branch=595), {}),
    # A kernel that only waits: full utilisation at little power, but at a high clock.
    ("GPU_POWER_CAPPED", change(DESK, gpu__utilisation_percent=96.0, gpu__power_draw_w=19.0, gpu__clock_sm_mhz=2400.0), {}),
    ("GPU_POWER_CAPPED", change(DESK, gpu__utilisation_percent=2.0, gpu__power_draw_w=5.0, gpu__clock_sm_mhz=208.0), {}),
    ("CX7_ABSENT_FAULT", without_functions(DESK, unread={"cx7": "denied"}), {}),
    ("CX7_LINK_DOWN", with_linked(DESK, carrier=None), {}),
    ("CX7_SPEED_LOW", with_linked(DESK, speed_mbps=None), {}),
    ("CX7_SPEED_LOW", with_linked(DESK, speed_mbps=400_000), {}),
    ("CX7_PCIE_WIDTH_LOW", with_linked(DESK, pcie_width=None, pcie_speed=None), {}),
    ("CX7_MTU_MISMATCH", with_function(DESK, "enp1s0f0np0", mtu=1500), {"purpose": "stacked"}),
    ("CX7_NO_ADDRESS", with_linked(change(DESK, unread={"cx7.addresses": "timeout"}), addresses=()), {}),
    ("CX7_TWINS_SAME_SUBNET", with_linked(DESK, addresses=LINK_LOCAL), {}),
    ("CX7_GID_MISSING", with_linked(DESK, addresses=(), roce_v2_ipv4_gid_index=None), {}),
    ("CX7_GID_MISSING", with_linked(change(DESK, unread={"cx7.gids": "denied"}), roce_v2_ipv4_gid_index=None), {}),
    ("CX7_FOREIGN_OWNER", with_linked(DESK, owner="Wired connection 3", owner_kind="auto"), {}),
    ("CX7_NOT_MANAGED", with_function(DESK, TWIN, renderer="networkd"), {}),
    ("CX7_NOT_MANAGED", change(DESK, setup__link_file=OUR_LINK), {}),
    ("CX7_NOT_MANAGED", change(with_linked(DESK, renderer="networkd"), setup__link_file=OUR_LINK, network__renderer="networkd"), {}),
    ("PAIR_LOGIN_CLOSED", change(AT_HOME, network__sshd=SshServer(key_files=("/home/lab/.ssh/keys",))), {"purpose": "stack"}),
    ("PAIR_LOGIN_CLOSED", change(AT_HOME, network__sshd=SshServer(pubkey=None, key_is_enough=True)), {"purpose": "stack"}),
    ("CX7_ADDRESS_OVERLAP", change(DESK, network__routed_networks=("192.168.0.0/16 dev wg0",)), {"purpose": "stacked"}),
    ("CX7_PLUGGED_AFTER_BOOT", change(DESK, cx7__plugged_after_boot=None), {}),
    ("CX7_FIRMWARE_DRIFT", with_function(DESK, TWIN, firmware=None), {}),
    ("PAIR_BUSY", change(DESK, busy__gpu_processes=(GpuProcess(9, "Xorg", "G", 100, "root"),)), {}),
)


@pytest.mark.parametrize(("code", "desk", "options"), GREEN, ids=[f"{item[0]}-{number}" for number, item in enumerate(GREEN)])
def test_green_near_miss(code: str, desk: Desk, options: dict[str, Any]) -> None:
    assert code not in codes(desk, JudgeOptions(**options))


@pytest.mark.parametrize(
    ("wanted", "found", "told"),
    [
        ("1581294000017", "1581924000017", ("...8129...", "...8192...")),
        ("1581924000017", "1581924000018", ("...0017", "...0018")),
        ("158192400017", "1581924000017", ("...000... (12 characters)", "...0000... (13 characters)")),
        ("1581924000017", "158192400017", ("...0000... (13 characters)", "...000... (12 characters)")),
        ("S0MEwhere", "X", ("...here (9 characters)", "X (1 characters)")),
        ("1581924000017", "ABCDEFGHIJKLM", ("...0017", "...JKLM")),
        ("", "1581924000017", (" (0 characters)", "...0017 (13 characters)")),
    ],
)
def test_serial_numbers_are_told_apart_where_they_differ(wanted: str, found: str, told: tuple[str, str]) -> None:
    assert serials_apart(wanted, found) == told
    assert not any(sum(map(str.isalnum, part.partition(" (")[0])) > 4 for part in told)


def test_one_cause_makes_one_finding() -> None:
    """The KHO bug, a kernel without driver and a machine that is no Spark are told once, not in five ways."""
    kho = change(DESK, kernel__running="7.0.0-1019-nvidia", memory__cma_total_kb=0, memory__cma_free_kb=64)
    assert set(codes(kho)) == {"KERNEL_ROCE_ENOMEM"}
    bare = change(
        DESK,
        driver__loaded=False,
        driver__module_version=None,
        driver__user_space_version=None,
        driver__gsp_version=None,
        driver__open_module=None,
        driver__branch=None,
        driver__persistenced_active=False,
        gpu__present=None,
    )
    assert set(codes(bare)) == {"DRIVER_MISSING"}
    laptop = Desk(identity=change(DESK.identity, is_gb10=False, architecture="x86_64"))
    assert set(codes(laptop)) == {"DESK_NOT_GB10", "DESK_NOT_AARCH64"}


def test_a_desk_about_which_nothing_is_known_is_unknown() -> None:
    found = judge(Desk(unread={"cx7.ports": "denied"}), WHERE, JudgeOptions())
    assert [(item.code, item.severity) for item in found] == [("FACTS_INCOMPLETE", "unknown")]
    required = found[0].evidence["required"]
    assert required["cx7.ports"] == "denied"
    assert set(required) >= {"identity.is_gb10", "dgx_os.version", "driver.module_version", "memory.total_kb"}


def test_subsets_that_were_not_asked_for_are_not_missed() -> None:
    assert codes(Desk(subsets=("memory",), memory=DESK.memory)) == {}


def test_a_half_missing_adapter_names_the_port() -> None:
    desk = change(DESK, cx7__ports=(DESK.cx7.ports[0], change(DESK.cx7.ports[1], functions=DESK.cx7.ports[1].functions[1:])))
    found = [item for item in judge(desk, WHERE, JudgeOptions()) if item.code == "CX7_FUNCTION_MISSING"]
    assert [item.where.subject for item in found] == ["desk-01 port 1"]
    assert TWIN in found[0].message


def test_a_failing_link_does_not_fail_before_it_was_set_up() -> None:
    """What stacking sets must not keep a desk from being stacked: only notes and warnings before the link stage."""
    desk = with_linked(DESK, addresses=(), roce_v2_ipv4_gid_index=None, mtu=1500, owner_kind="auto")
    assert set(codes(desk, JudgeOptions(purpose="stack", wanted_mtu=9000)).values()) <= {"note"}
    assert codes(desk, JudgeOptions(purpose="stacked", wanted_mtu=9000)) == {"CX7_NO_ADDRESS": "fail", "CX7_MTU_MISMATCH": "fail"}


def test_the_switched_off_functions_of_a_boxed_desk_are_a_note_until_the_link_is_set_up() -> None:
    desk = DESK
    for item in DESK.cx7.functions:
        desk = with_function(desk, item.netdev or "", carrier=None, admin_up=False, addresses=())
    assert codes(desk, JudgeOptions(purpose="stack")) == {"CX7_LINK_DOWN": "note"}
    assert codes(desk, JudgeOptions(purpose="stacked")) == {"CX7_LINK_DOWN": "fail"}


def test_every_finding_tells_what_to_do_and_fits_its_code() -> None:
    for code, desk, options, _severity in RED:
        for item in judge(desk, WHERE, JudgeOptions(**options)):
            listed = CODES[item.code]
            assert item.severity in listed.allowed, code
            assert item.remedy and item.message
            assert "None" not in item.message, item.message
            assert item.as_dict()["subject"].startswith("desk-01")


@pytest.mark.parametrize(
    "route",
    [
        "192.168.0.0/16 dev tun0",
        "0.0.0.0/1 dev tun0",
        f"192.168.101.0/24 dev {TWIN}",
        "172.17.0.0/16 dev docker0",
        "fe80::/64 dev wg0",
        "x dev y",
    ],
)
def test_a_route_that_takes_nothing_from_the_link_is_no_overlap(route: str) -> None:
    assert "CX7_ADDRESS_OVERLAP" not in codes(change(DESK, network__routed_networks=(route,)), JudgeOptions(purpose="stacked"))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_desk_is_judged_for_every_purpose(purpose: str) -> None:
    assert "FACTS_INCOMPLETE" not in codes(DESK, JudgeOptions(purpose=purpose))
    assert "FACTS_INCOMPLETE" in codes(change(DESK, kernel__running=None), JudgeOptions(purpose=purpose))


def test_no_advice_sends_a_desk_into_a_boot_without_driver() -> None:
    events = KernelEvents(lockups=("watchdog: BUG: soft lockup - CPU#3",))
    sick = change(DESK, gpu__dead_readings=("GPU is lost",), kernel__events=events)
    alone = {item.code: item.remedy for item in judge(sick, WHERE, JudgeOptions())}
    blocked = change(sick, kernel__next_boot=NEWER, kernel__installed=(KernelImage(NEWER, False), KernelImage(RUNNING, True)))
    told = {item.code: item.remedy for item in judge(blocked, WHERE, JudgeOptions())}
    first = "Before any reboot, do what NEXT_BOOT_KERNEL_WITHOUT_DRIVER says. "
    assert {code: told[code] for code in alone} == {
        "GPU_FAILED": first + alone["GPU_FAILED"],
        "KERNEL_LOCKUP": first + alone["KERNEL_LOCKUP"],
    }
    assert not told["NEXT_BOOT_KERNEL_WITHOUT_DRIVER"].startswith(first)


def test_a_kernel_without_a_driver_that_starts_again_is_one_cause() -> None:
    events = KernelEvents(lockups=("watchdog: BUG: soft lockup - CPU#3",))
    kernels = (KernelImage(NEWER, False), KernelImage(RUNNING, True))
    absent = {"driver__loaded": False, "driver__module_version": None, "kernel__running": NEWER, "kernel__installed": kernels}
    sick = change(DESK, kernel__next_boot=NEWER, kernel__events=events, **absent)
    told = {item.code: item for item in judge(sick, WHERE, JudgeOptions())}
    assert told["DRIVER_MISSING"].severity == "fail" and told["NEXT_BOOT_KERNEL_WITHOUT_DRIVER"].severity == "note"
    assert told["KERNEL_LOCKUP"].remedy.startswith("Before any reboot, do what DRIVER_MISSING says. ")
    assert not told["DRIVER_MISSING"].remedy.startswith("Before any reboot")
    # Another kernel that starts next is a cause of its own.
    other = change(sick, kernel__next_boot="9.9.9-1-nvidia", kernel__installed=(KernelImage("9.9.9-1-nvidia", False), *kernels))
    assert {item.code: item.severity for item in judge(other, WHERE, JudgeOptions())}["NEXT_BOOT_KERNEL_WITHOUT_DRIVER"] == "fail"


@pytest.mark.parametrize("state", ["config-files", "not-installed"])
def test_a_removed_package_need_not_be_held(state: str) -> None:
    left = Package("nvidia-driver-590-open", "590.48.01-0ubuntu0.24.04.1", state=state)
    desk = change(DESK, driver__packages=(*DESK.driver.packages, left))
    assert "DRIVER_NOT_HELD" not in codes(desk, JudgeOptions(purpose="stacked"))


def test_a_removed_package_owns_no_library() -> None:
    left = Package("libnvidia-compute-590", "590.48.01-0ubuntu0.24.04.1", state="config-files")
    driver = {"user_space_version": "590.48.01", "module_version": "590.48.01", "branch": 590, "packages": (left,)}
    found = judge(change(DESK, **{f"driver__{key}": value for key, value in driver.items()}), WHERE, JudgeOptions())
    (wrong,) = [item for item in found if item.code == "DRIVER_BRANCH_WRONG"]
    assert "nvidia-uninstall" in wrong.remedy


@pytest.mark.parametrize(
    ("packages", "severity", "words"),
    [
        ((Package("libxnvctrl0", "510.47.03-0ubuntu4"),), "note", "Nothing has to be done"),
        ((Package("libxnvctrl0", "610.57.04-1"),), "warn", "libxnvctrl0/noble"),
        ((Package("nvidia-settings", "610.57.04-1"), Package("libxnvctrl0", "510.47.03-0ubuntu4")), "warn", "remove nvidia-settings"),
    ],
)
def test_no_remedy_takes_away_what_open_mpi_needs(packages: tuple[Package, ...], severity: str, words: str) -> None:
    [found] = [
        item for item in judge(change(DESK, driver__packages=packages), WHERE, JudgeOptions()) if item.code == "NVIDIA_SETTINGS_OTHER"
    ]
    assert found.severity == severity and words in found.remedy
    assert not re.search(r"remove[^.;]*libxnvctrl0", found.remedy)


@pytest.mark.parametrize("netdev", ["tailscale0", "*"])
def test_one_rule_that_leads_both_functions_elsewhere_is_one_finding(netdev: str) -> None:
    """An exit node's table comes before the main one; other networks for the link would not help."""
    led = (f"192.168.100.11/32 dev {netdev}", f"192.168.101.11/32 dev {netdev}")
    [found] = [
        item
        for item in judge(change(DESK, network__led_elsewhere=led), Where(desk="desk-01"), JudgeOptions(purpose="stacked"))
        if item.code == "CX7_ADDRESS_OVERLAP"
    ]
    assert "192.168.100.11" in found.message and "192.168.101.11" in found.message and "table all" in found.message
    assert "leave the link's networks out" in found.remedy
