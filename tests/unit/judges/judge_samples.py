"""A healthy desk in the model's own shape, and a way to change one fact of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import (
    Apt,
    Busy,
    Clock,
    Desk,
    DgxOs,
    Identity,
    Limits,
    Memory,
    Network,
    Route,
    Ubuntu,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.driver import Driver, Gpu, Kernel, KernelImage, Package, Toolkit
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.port import Address, ConnectX7, Function, Gid, Port

RUNNING = "6.17.0-1021-nvidia"
NEWER = "6.17.0-1026-nvidia"
METAS = (
    "linux-nvidia-hwe-24.04",
    "linux-image-nvidia-hwe-24.04",
    "linux-headers-nvidia-hwe-24.04",
    "linux-modules-nvidia-580-open-nvidia-hwe-24.04",
    "nvidia-driver-580-open",
)


def change(value: Any, **changes: Any) -> Any:
    """A copy with facts replaced; ``__`` walks into parts: ``change(desk, driver__module_version="x")``."""
    for path, new in changes.items():
        head, _mark, rest = path.partition("__")
        value = dataclasses.replace(value, **{head: change(getattr(value, head), **{rest: new}) if rest else new})
    return value


def function(port: int, domain: int, number: int = 1, linked: bool = True) -> Function:
    """One function of desk ``number``; addressed when it is linked."""
    letter = "" if domain == 0 else f"P{domain}"
    netdev = f"en{letter}p1s0f{port}np{port}"
    address = f"192.168.{100 + domain // 2}.{9 + number}"
    return Function(
        netdev=netdev,
        rdma_device=f"roce{letter}p1s0f{port}",
        pci_address=f"{domain:04x}:01:00.{port}",
        pci_domain=domain,
        pcie_width=4,
        pcie_max_width=4,
        pcie_speed="32.0 GT/s PCIe",
        mac=f"02:00:00:00:{number:02x}:{domain}{port}",
        phys_port_name=f"p{port}",
        phys_switch_id=f"0200000000000{number:03x}",
        mtu=9000,
        admin_up=True,
        carrier=linked,
        operstate="up" if linked else "down",
        speed_mbps=200_000 if linked else None,
        addresses=(Address(address, 24, "inet", "global", False),) if linked else (),
        rdma_state="ACTIVE" if linked else "DOWN",
        gids=(Gid(3, "0000:0000:0000:0000:0000:ffff:c0a8:640a", "RoCE v2", address),) if linked else (),
        roce_v2_ipv4_gid_index=3 if linked else None,
        firmware="28.45.4028",
        carrier_down_count=1,
        owner="/etc/netplan/90-dgx-spark-link.yaml" if linked else None,
        owner_kind="ours" if linked else "none",
    )


def healthy(number: int = 1) -> Desk:
    """A stacked Founders Edition desk with port 1 cabled, everything held and nothing wrong."""
    ports = tuple(
        Port(
            number=port,
            phys_switch_id=f"0200000000000{number:03x}",
            functions=(function(port, 0, number, port == 1), function(port, 2, number, port == 1)),
            carrier=port == 1,
            speed_mbps=200_000 if port == 1 else None,
        )
        for port in (0, 1)
    )
    return Desk(
        privileged=True,
        identity=Identity(
            hostname=f"spark-{number:04x}",
            vendor="NVIDIA",
            product="NVIDIA_DGX_Spark",
            board_vendor="NVIDIA",
            board="P4242",
            bios_version="5.36_0ACUM027",
            architecture="aarch64",
            is_gb10=True,
            gb10_evidence=("product NVIDIA_DGX_Spark",),
            machine_id=f"{number:064x}",
            host_key_fingerprints=(f"SHA256:key{number}",),
            serial_sha256=f"{number + 1000:064x}",
            boot_id=f"boot-{number}",
        ),
        dgx_os=DgxOs(present=True, version="7.5.0", factory_version="7.2.3", ota_history=("7.5.0",), name="DGX Spark"),
        ubuntu=Ubuntu("ubuntu", "24.04", "Ubuntu 24.04.4 LTS", "noble"),
        kernel=Kernel(
            running=RUNNING, next_boot=RUNNING, installed=(KernelImage(RUNNING, True, "/lib/modules/x/nvidia.ko"),), command_line="quiet"
        ),
        driver=Driver(
            user_space_version="580.142",
            module_version="580.142",
            gsp_version="580.142",
            open_module=True,
            module_license="Dual MIT/GPL",
            branch=580,
            loaded=True,
            packages=tuple(Package(name, "1", held=True) for name in METAS),
            holds=METAS,
            pins=("nvidia-dgx",),
            cuda_version="13.0",
            persistence_mode="Enabled",
            persistenced_enabled=True,
            persistenced_active=True,
        ),
        gpu=Gpu(
            present=True,
            name="NVIDIA GB10",
            compute_capability="12.1",
            clock_sm_mhz=208.0,
            clock_sm_max_mhz=3003.0,
            power_draw_w=4.0,
            utilisation_percent=0.0,
            count=1,
        ),
        memory=Memory(total_kb=127_535_000, available_kb=120_000_000, cma_total_kb=131_072, cma_free_kb=69_000),
        toolkit=Toolkit(cuda_toolkit="13.0", nccl="2.28.9-1", cdi_spec_driver="580.142"),
        cx7=ConnectX7(
            hotplug_enabled=True, powered=True, hotplug_marker=True, ports=ports, plugged_after_boot=False, firmware="28.45.4028"
        ),
        network=Network(
            management_netdev="enP7s7",
            management_mac=f"02:00:00:00:{number:02x}:77",
            management_addresses=(Address(f"10.20.0.{number}", 24, "inet", "global", True),),
            default_routes=(Route("enP7s7", "10.20.0.254", 100),),
            renderer="NetworkManager",
            session_netdev="enP7s7",
            ufw_active=False,
        ),
        apt=Apt(lock_readable=True, first_boot_upgrade="done", reboot_required=False),
        limits=Limits(user="lab", memlock_soft=-1, memlock_hard=-1, uid=1000, gid=1000),
        clock=Clock(synchronized=True, source="systemd-timesyncd"),
        busy=Busy(readable=True),
        kernel_log_readable=True,
    )


def with_function(desk: Desk, netdev: str, **changes: Any) -> Desk:
    """The desk with one of its functions changed."""
    ports = tuple(
        change(port, functions=tuple(change(item, **changes) if item.netdev == netdev else item for item in port.functions))
        for port in desk.cx7.ports
    )
    return change(desk, cx7__ports=ports)


def with_linked(desk: Desk, **changes: Any) -> Desk:
    """The desk with both functions of its cabled port changed."""
    for netdev in ("enp1s0f1np1", "enP2p1s0f1np1"):
        desk = with_function(desk, netdev, **changes)
    return desk


def without_functions(desk: Desk, **changes: Any) -> Desk:
    """The desk with no ConnectX-7 on its bus."""
    return change(desk, cx7__ports=(), **changes)
