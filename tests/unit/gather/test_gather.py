# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a desk to its facts: healthy desks, the traps of real ones, and desks that answer little."""

from __future__ import annotations

import json

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import DAMAGED, DENIED, MISSING, NOT_RECORDED, TIMEOUT, Text
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import busy as busy_facts
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect, gather
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.session import session_address
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.link import overlaps
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.options import JudgeOptions
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.desk import Desk, Room
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import compute_apps, rdma_resource
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import recording_programs as of_programs
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.schema import of_dataclass

from .fake_desk import (
    DRIVER,
    FUNCTIONS,
    HOTPLUG,
    KERNEL,
    NET,
    PACKAGES,
    PCI,
    RDMA,
    FakeDesk,
    dpkg,
    function_files,
    gid,
    healthy,
    said,
)

SMI_QUERY = next(words for words in healthy().commands if words.startswith("nvidia-smi --query-gpu"))
LOG = "journalctl -k -b -o short-monotonic --no-pager"


def only(*subsets: str, **options) -> Options:
    return Options(subsets=subsets, **options)


def test_a_healthy_desk_leaves_no_gap_and_starts_few_commands():
    facts, processes = gather(healthy())
    assert facts.unread == {}
    assert processes <= 10
    assert facts.identity.is_gb10 is True
    assert (facts.driver.user_space_version, facts.driver.module_version, facts.driver.gsp_version) == (DRIVER, DRIVER, DRIVER)
    assert (facts.kernel.next_boot, facts.kernel.installed[0].has_driver) == (KERNEL, True)
    assert facts.network.management_netdev == "enP7s7"
    assert facts.clock.epoch == 1790000100.5
    assert facts.privileged is False


def test_every_file_and_command_is_asked_once():
    desk = healthy()
    collect(desk)
    assert sorted({item for item in desk.asked if desk.asked.count(item) > 1}) == []


def test_ports_join_twins_by_port_and_switch():
    ports = collect(healthy(1)).cx7.ports
    assert [(port.number, [item.netdev for item in port.functions], port.carrier) for port in ports] == [
        (0, ["enp1s0f0np0", "enP2p1s0f0np0"], False),
        (1, ["enp1s0f1np1", "enP2p1s0f1np1"], True),
    ]
    function = ports[1].functions[0]
    assert (function.rdma_device, function.pci_domain, function.speed_mbps, function.active_mtu) == ("rocep1s0f1", 0, 200000, 1024)
    assert (function.rdma_state, function.rdma_physical_state, function.roce_v2_ipv4_gid_index) == ("ACTIVE", "LINK_UP", 3)
    assert ports[0].functions[0].speed_mbps is None
    assert ports[0].functions[0].rdma_physical_state == "DISABLED"


def test_renamed_interfaces_and_mlx5_names():
    desk = healthy(None)
    desk.files[f"{HOTPLUG}/debug_state"] = "1\n"
    for number, (_name, _rdma, place, port, mac) in enumerate(FUNCTIONS):
        files, links = function_files(f"fabric{number}", f"mlx5_{3 - number}", place, port, mac, carrier=True, mtu=9000)
        desk.files |= files
        desk.links |= links
    ports = collect(desk).cx7.ports
    assert [[(item.netdev, item.rdma_device) for item in port.functions] for port in ports] == [
        [("fabric0", "mlx5_3"), ("fabric2", "mlx5_1")],
        [("fabric1", "mlx5_2"), ("fabric3", "mlx5_0")],
    ]
    assert ports[0].functions[0].active_mtu == 4096


def test_no_adapter_with_hotplug_on_is_a_plain_absence():
    facts = collect(healthy(None))
    assert (facts.cx7.ports, facts.cx7.hotplug_enabled, facts.cx7.powered) == ((), True, False)
    assert not any(path.startswith("cx7.") for path in facts.unread)


def test_no_adapter_that_could_not_be_looked_for_is_a_gap():
    desk = FakeDesk({}, {}, {}, absent=NOT_RECORDED)
    facts = collect(desk, only("cx7"))
    assert "not_recorded" in facts.unread["cx7.ports"]
    assert "not_recorded" in facts.unread["cx7.powered"]


def test_one_twin_missing_and_a_function_without_netdev():
    desk = healthy(0)
    place = FUNCTIONS[2][2]
    desk.files = {path: text for path, text in desk.files.items() if place not in path}
    desk.links = {path: target for path, target in desk.links.items() if place not in path and place not in target}
    facts = collect(desk)
    assert [len(port.functions) for port in facts.cx7.ports] == [1, 2]
    desk.files[f"{PCI}/{place}/uevent"] = f"PCI_ID=15B3:1021\nPCI_SLOT_NAME={place}\n"
    facts = collect(desk)
    assert [item.pci_address for item in facts.cx7.ungrouped] == [place]


def test_another_mellanox_adapter_is_no_connectx7():
    desk = healthy(None)
    files, links = function_files("ens9", "mlx5_9", "0005:01:00.0", "p0", "02:00:5e:00:30:00", carrier=True)
    desk.files |= {path: text.replace("15B3:1021", "15B3:101D") for path, text in files.items()}
    desk.links |= links
    assert collect(desk).cx7.ports == ()


def test_a_vlan_gid_of_another_netdev_does_not_count():
    desk = healthy(0)
    port = next(path for path in desk.files if path.endswith("rocep1s0f0/ports/1/state")).removesuffix("/state")
    desk.files |= {
        f"{port}/gids/2": gid("192.168.7.7"),
        f"{port}/gid_attrs/types/2": "RoCE v2\n",
        f"{port}/gid_attrs/ndevs/2": "enp1s0f0np0.7\n",
    }
    assert collect(desk).cx7.ports[0].functions[0].roce_v2_ipv4_gid_index == 3


def test_gid_index_is_read_and_not_assumed():
    desk = healthy(0)
    port = next(path for path in desk.files if path.endswith("rocep1s0f0/ports/1/state")).removesuffix("/state")
    for index in range(6):
        desk.files.pop(f"{port}/gids/{index}", None)
    desk.files |= {f"{port}/gids/5": gid("192.168.100.10"), f"{port}/gid_attrs/types/5": "RoCE v2\n"}
    assert collect(desk).cx7.ports[0].functions[0].roce_v2_ipv4_gid_index == 5


def test_carrier_of_a_switched_off_interface_is_null():
    desk = healthy(0)
    for path in [path for path in desk.files if path.endswith("enp1s0f1np1/carrier")]:
        desk.errors[path] = "unreadable"
        desk.files[path.replace("/carrier", "/flags")] = "0x1002\n"
        del desk.files[path]
    desk.commands["ip -j addr show"] = "[]"
    function = collect(desk).cx7.ports[1].functions[0]
    assert (function.admin_up, function.carrier) == (False, None)


@pytest.mark.parametrize(
    ("name", "text", "owner", "kind"),
    [
        ("99-nvidia-sync-cluster.yaml", "network: {ethernets: {enp1s0f0np0: {addresses: [10.100.1.1/24]}}}", "foreign", "foreign"),
        ("90-dgx-spark-link.yaml", "network: {ethernets: {enp1s0f0np0: {mtu: 9000}}}", "ours", "ours"),
        ("50-cloud-init.yaml", "network: {ethernets: {all: {match: {name: 'en*'}, dhcp4: true}}}", "auto", "auto"),
        ("50-x.yaml", "network: {ethernets: {x: {match: {driver: mlx5_core}, mtu: 9000}}}", "foreign", "foreign"),
        ("50-x.yaml", "network: {ethernets: {x: {match: {macaddress: '02:00:5E:00:10:00'}}}}", "foreign", "foreign"),
        (
            "90-NM-1.yaml",
            "network: {ethernets: {NM-1: {match: {name: enp1s0f0np0}, dhcp4: true, networkmanager: {name: Wired connection 3}}}}",
            "auto",
            "auto",
        ),
        ("60-bond.yaml", "network: {ethernets: {enp1s0f0np0: {}}, bonds: {b0: {interfaces: [enp1s0f0np0]}}}", "foreign", "foreign"),
        ("60-other.yaml", "network: {ethernets: {enP7s7: {dhcp4: true}}}", None, "none"),
    ],
)
def test_owner_of_an_interface(name, text, owner, kind):
    desk = healthy(0)
    desk.files[f"/etc/netplan/{name}"] = text
    function = collect(desk).cx7.ports[0].functions[0]
    assert function.owner_kind == kind
    assert function.owner == (f"/etc/netplan/{name}" if owner else None)


def test_a_later_netplan_file_wins_and_our_own_loses():
    desk = healthy(0)
    desk.files["/etc/netplan/90-dgx-spark-link.yaml"] = "network: {ethernets: {enp1s0f0np0: {mtu: 9000}}}"
    desk.files["/etc/netplan/99-nvidia-sync-cluster.yaml"] = "network: {ethernets: {enp1s0f0np0: {mtu: 9000}}}"
    assert collect(desk).cx7.ports[0].functions[0].owner == "/etc/netplan/99-nvidia-sync-cluster.yaml"


def test_an_unreadable_netplan_file_makes_the_owner_unknown():
    desk = healthy(0)
    del desk.files["/etc/netplan/01-network-manager-all.yaml"]
    desk.errors["/etc/netplan/01-network-manager-all.yaml"] = DENIED
    facts = collect(desk)
    assert facts.cx7.ports[0].functions[0].owner_kind is None
    assert "denied" in facts.unread["cx7.owner"]
    assert "denied" in facts.unread["network.netplan_contents"]


@pytest.mark.parametrize(("profile", "kind"), [("cluster", "foreign"), ("Wired connection 2", "auto"), ("netplan-enp1s0f0np0", "none")])
def test_owner_from_networkmanager(profile, kind):
    desk = healthy(0)
    desk.commands["nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device"] = f"enp1s0f0np0:ethernet:connected:{profile}\n"
    function = collect(desk).cx7.ports[0].functions[0]
    assert function.owner_kind == (kind if kind != "none" else None)
    assert function.renderer == "NetworkManager"


@pytest.mark.parametrize(
    ("log", "after"),
    [
        (
            "[    6.2] h kernel: cx7-pcie-hotplug M: Hotplug enabled\n[   30.0] h kernel: cx7-pcie-hotplug MTKP0001:00: Cable plugin\n",
            False,
        ),
        (
            "[    6.2] h kernel: cx7-pcie-hotplug M: Hotplug enabled\n[  900.0] h kernel: cx7-pcie-hotplug MTKP0001:00: Cable plugin\n",
            True,
        ),
        (
            "[   20.0] h kernel: cx7-pcie-hotplug M: Cable removal\n[   40.0] h kernel: cx7-pcie-hotplug MTKP0001:00: Cable plugin\n",
            True,
        ),
        ("11:33:12 cx7-pcie-hotplug M: Hotplug enabled\n11:33:27 cx7-pcie-hotplug M: Cable removal\n", False),
        (
            "Nov 22 11:33:12 h kernel: cx7-pcie-hotplug M: Hotplug enabled\nNov 23 00:10:00 h kernel: cx7-pcie-hotplug M: Cable plugin\n",
            True,
        ),
        ("23:59:50 cx7-pcie-hotplug M: Hotplug enabled\n00:00:10 cx7-pcie-hotplug M: Cable plugin\n", False),
        ("[    9.0] mlx5_core 0000:01:00.0: Port module event: module 0, Cable plugged\n", False),
        ("[  700.0] mlx5_core 0000:01:00.0: Port module event: module 0, Cable plugged\n", True),
        ("cx7-pcie-hotplug MTKP0001:00: Cable plugin\n", None),
        ("[    1.0] x: nothing of it\n", False),
    ],
)
def test_plugged_after_boot(log, after):
    desk = healthy(0)
    desk.commands[LOG] = log
    facts = collect(desk)
    assert facts.cx7.plugged_after_boot is after
    assert bool(facts.cx7.plug_events) is (after is True)
    assert ("cx7.plugged_after_boot" in facts.unread) is (after is None)


def test_kernel_log_that_may_not_be_read():
    desk = healthy(0)
    desk.commands[LOG] = said("", 1, "No journal files were opened due to insufficient permissions.")
    desk.commands["dmesg"] = said("", 1, "dmesg: read kernel buffer failed: Operation not permitted")
    facts = collect(desk)
    assert (facts.kernel_log_readable, facts.cx7.plugged_after_boot) == (False, None)
    assert "insufficient permissions" in facts.unread["cx7.plugged_after_boot"]


def test_driver_mismatch_is_three_versions():
    desk = healthy()
    desk.links["/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1"] = "libnvidia-ml.so.580.173.02"
    failed = said("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.173\n", 18)
    desk.commands |= {"nvidia-smi -q": failed, SMI_QUERY: failed, "nvidia-smi": failed}
    driver = collect(desk).driver
    assert (driver.user_space_version, driver.module_version, driver.gsp_version) == ("580.173.02", DRIVER, None)
    assert "mismatch" in (driver.nvml_error or "")


def test_user_space_version_without_the_library_link():
    desk = healthy()
    del desk.links["/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1"]
    desk.files["/var/lib/dpkg/status"] = dpkg(PACKAGES | {"libnvidia-compute-580": "580.173.02-0ubuntu0.24.04.1"})
    failed = said("Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.173\n", 18)
    desk.commands |= {"nvidia-smi -q": failed, SMI_QUERY: failed, "nvidia-smi": failed}
    assert collect(desk).driver.user_space_version == "580.173.02"


def test_error_text_with_exit_code_zero_is_an_error():
    desk = healthy()
    desk.commands |= {
        "nvidia-smi -q": "No devices were found\n",
        SMI_QUERY: "No devices were found\n",
        "nvidia-smi": "No devices were found\n",
    }
    facts = collect(desk)
    assert (facts.gpu.present, facts.gpu.count, facts.gpu.name) == (False, 0, None)
    assert facts.driver.nvml_error == "No devices were found"
    assert "No devices were found" in facts.unread["driver.gsp_version"]


def test_no_module_is_not_loaded_and_no_zero():
    desk = healthy()
    failed = said("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that ...\n", 9)
    desk.commands |= {"nvidia-smi -q": failed, SMI_QUERY: failed, "nvidia-smi": failed}
    del desk.files["/proc/driver/nvidia/version"]
    facts = collect(desk)
    assert (facts.driver.loaded, facts.driver.module_version, facts.driver.open_module) == (False, None, None)
    assert facts.gpu.power_draw_w is None
    assert facts.gpu.present is True  # still on the PCI bus


def test_proprietary_module():
    desk = healthy()
    desk.files["/proc/driver/nvidia/version"] = "NVRM version: NVIDIA UNIX aarch64 Kernel Module  580.142  x\n"
    assert (collect(desk).driver.open_module, collect(desk).driver.module_version) == (False, "580.142")


def test_hanging_nvidia_smi_is_a_gap():
    desk = healthy()
    hung = said(error=TIMEOUT)
    desk.commands |= {"nvidia-smi -q": hung, SMI_QUERY: hung, "nvidia-smi": hung}
    facts = collect(desk)
    assert facts.driver.gsp_version is None
    assert "timeout" in facts.unread["driver.gsp_version"]
    assert facts.driver.user_space_version == DRIVER


def test_next_boot_kernel_without_driver():
    desk = healthy()
    desk.files["/boot/vmlinuz-7.0.0-1019-nvidia"] = ""
    desk.files["/lib/modules/7.0.0-1019-nvidia/kernel/drivers/x.ko"] = ""
    kernel = collect(desk).kernel
    assert kernel.next_boot == "7.0.0-1019-nvidia"
    assert [(item.release, item.has_driver) for item in kernel.installed] == [("7.0.0-1019-nvidia", False), (KERNEL, True)]


@pytest.mark.parametrize(
    ("default", "saved", "upcoming"),
    [
        ("GRUB_DEFAULT=0", "", "6.17.0-1021-nvidia"),
        ("GRUB_DEFAULT=saved", f"saved_entry=gnulinux-advanced-x>gnulinux-{'6.14.0-1015-nvidia'}-advanced-x", "6.14.0-1015-nvidia"),
        ("GRUB_DEFAULT=saved", "", "6.17.0-1021-nvidia"),
        ('GRUB_DEFAULT="Advanced options for Ubuntu>Ubuntu, with Linux 6.14.0-1015-nvidia"', "", "6.14.0-1015-nvidia"),
        ("GRUB_DEFAULT=0", "next_entry=Ubuntu, with Linux 6.14.0-1015-nvidia", "6.14.0-1015-nvidia"),
        ("GRUB_DEFAULT=1>2", "", None),
    ],
)
def test_next_boot_follows_grub(default, saved, upcoming):
    desk = healthy()
    desk.files["/boot/vmlinuz-6.14.0-1015-nvidia"] = ""
    desk.files["/etc/default/grub"] = default + "\n"
    if saved:
        desk.files["/boot/grub/grubenv"] = f"# GRUB Environment Block\n{saved}\n####"
    facts = collect(desk)
    assert facts.kernel.next_boot == upcoming
    assert ("kernel.next_boot" in facts.unread) is (upcoming is None)


def test_kernels_are_ordered_as_versions():
    desk = healthy()
    for release in ("6.17.0-999-nvidia", "6.17.0-1032-nvidia", "6.8.0-51-generic"):
        desk.files[f"/boot/vmlinuz-{release}"] = ""
    names = [item.release for item in collect(desk).kernel.installed]
    assert names == ["6.17.0-1032-nvidia", KERNEL, "6.17.0-999-nvidia", "6.8.0-51-generic"]


def test_holds_and_broken_packages_and_fw_updater():
    desk = healthy()
    desk.files["/var/lib/dpkg/status"] = dpkg(
        PACKAGES | {"mlnx-fw-updater": "25.10", "foo": "1", "gone": "2"},
        linux_image_nvidia_hwe_24_04="hold ok installed",
        foo="install ok half-configured",
        gone="deinstall ok config-files",
    )
    facts = collect(desk)
    assert facts.driver.holds == ("linux-image-nvidia-hwe-24.04",)
    assert [(item.name, item.state) for item in facts.apt.broken_packages] == [("foo", "half-configured")]
    assert facts.apt.mlnx_fw_updater == "25.10"


def test_package_list_from_dpkg_query_where_the_file_is_too_large():
    desk = healthy()
    del desk.files["/var/lib/dpkg/status"]
    desk.errors["/var/lib/dpkg/status"] = "too_large"
    rows = "".join(f"{name}\t{version}\tarm64\tinstall ok installed\n" for name, version in PACKAGES.items())
    desk.commands[r"dpkg-query -W -f=${Package}\t${Version}\t${Architecture}\t${Status}\n"] = rows
    facts = collect(desk)
    assert facts.toolkit.container_toolkit == "1.19.0-1"
    assert not any("packages" in path for path in facts.unread)


def test_short_package_list_takes_holds_from_apt_mark():
    desk = healthy()
    desk.absent = NOT_RECORDED
    del desk.files["/var/lib/dpkg/status"]
    desk.commands[r"dpkg-query -W -f=${Package}\t${Version}\n"] = "nvidia-driver-580-open\t580.142-0ubuntu0.24.04.1\n"
    assert "driver.holds" in collect(desk).unread
    desk.commands["apt-mark showhold"] = "nvidia-driver-580-open\n"
    facts = collect(desk)
    assert facts.driver.holds == ("nvidia-driver-580-open",)
    assert "driver.holds" not in facts.unread


def test_lock_holder_is_the_one_that_excludes():
    desk = healthy()
    desk.files["/proc/locks"] = (
        "1: POSIX  ADVISORY  READ 5 103:02:11 0 EOF\n"
        "2: POSIX  ADVISORY  WRITE 811 103:02:11 0 EOF\n2: -> POSIX  ADVISORY  WRITE 9 103:02:11 0 EOF\n"
    )
    desk.files["/proc/811/comm"] = "unattended-upgr\n"
    assert collect(desk).apt.lock_holder == "811 unattended-upgr"


def test_locks_that_cannot_be_read_are_unknown():
    desk = healthy()
    desk.files.pop("/proc/locks")
    facts = collect(desk)
    assert (facts.apt.lock_readable, facts.apt.lock_holder) == (False, None)
    assert "apt.lock_holder" in facts.unread


@pytest.mark.parametrize(("done", "unit", "state"), [(True, True, "done"), (False, True, "pending"), (False, False, "absent")])
def test_first_boot_upgrade(done, unit, state):
    desk = healthy()
    if not done:
        del desk.files["/var/lib/nvidia-spark-run-apt-upgrade-once/done"]
    if not unit:
        del desk.files["/usr/lib/systemd/system/nvidia-spark-run-apt-upgrade-once.service"]
        desk.files["/var/lib/dpkg/status"] = dpkg(
            {name: version for name, version in PACKAGES.items() if name != "nvidia-spark-run-apt-upgrade"}
        )
    assert collect(desk).apt.first_boot_upgrade == state


def test_reboot_required_names_its_packages():
    desk = healthy()
    desk.files["/run/reboot-required"] = "*** System restart required ***\n"
    desk.files["/run/reboot-required.pkgs"] = "linux-base\nlinux-base\nlibc6\n"
    apt = collect(desk).apt
    assert (apt.reboot_required, apt.reboot_reasons) == (True, ("libc6", "linux-base"))


def test_limits_are_the_login_users_and_not_roots():
    desk = healthy()
    desk.files |= {
        "/proc/self/status": "Name:\tpython3\nPPid:\t90\nUid:\t0\t0\t0\t0\n",
        "/proc/self/limits": "Max locked memory         unlimited            unlimited            bytes\n",
        "/proc/90/status": "Name:\tsudo\nPPid:\t80\nUid:\t0\t0\t0\t0\n",
        "/proc/80/status": "Name:\tsh\nPPid:\t70\nUid:\t1000\t1000\t1000\t1000\n",
        "/proc/80/limits": "Max locked memory         65536                131072               bytes\n",
    }
    facts = collect(desk, Options(login_user="lab"))
    assert (facts.limits.user, facts.limits.memlock_soft, facts.limits.memlock_hard) == ("lab", 65536, 131072)
    assert facts.privileged is True
    assert facts.limits.groups == ("docker", "lab")


@pytest.mark.parametrize(
    ("lines", "soft", "hard"),
    [
        ("* - memlock 64\nlab - memlock unlimited\n", -1, -1),
        ("lab soft memlock 100\n* hard memlock 200\n", 102400, 204800),
        ("@docker - memlock 10\n* - memlock 20\n", 10240, 10240),
        ("# nothing\n", None, None),
    ],
)
def test_limits_from_the_configuration(lines, soft, hard):
    desk = healthy()
    del desk.files["/proc/self/limits"]
    desk.files["/proc/self/status"] = "Name:\tx\nPPid:\t1\nUid:\t0\t0\t0\t0\n"
    desk.files["/etc/security/limits.conf"] = lines
    facts = collect(desk, Options(login_user="lab"))
    assert (facts.limits.memlock_soft, facts.limits.memlock_hard) == (soft, hard)
    assert ("limits.memlock_soft" in facts.unread) is (soft is None)


def test_a_default_route_through_the_fabric_is_no_management():
    desk = healthy()
    desk.files["/proc/net/route"] += "enp1s0f0np0\t00000000\t0164A8C0\t0003\t0\t0\t50\t00000000\t0\t0\t0\n"
    network = collect(desk).network
    assert [route.netdev for route in network.default_routes] == ["enp1s0f0np0", "enP7s7"]
    assert network.management_netdev == "enP7s7"


def test_management_over_a_session_without_default_route():
    desk = healthy()
    desk.files["/proc/net/route"] = "Iface\tDestination\n"
    network = collect(desk, Options(session_address="192.168.100.10")).network
    assert (network.management_netdev, network.session_netdev) == ("enp1s0f0np0", "enp1s0f0np0")


def test_session_address_is_found_above_sudo():
    desk = healthy()
    desk.files |= {
        "/proc/self/environ": "PATH=/bin\x00USER=root\x00",
        "/proc/90/status": "Name:\tsudo\nPPid:\t80\nUid:\t0\t0\t0\t0\n",
        "/proc/90/environ": "HOME=/root\x00",
        "/proc/80/environ": "A=b\x00SSH_CONNECTION=10.0.0.5 50000 10.0.0.21 22\x00",
    }
    assert session_address(desk) == "10.0.0.21"
    del desk.files["/proc/80/environ"]
    assert session_address(desk) is None


@pytest.mark.parametrize(
    ("vendor", "product"),
    [
        ("ASUSTeK COMPUTER INC.", "GX10"),
        ("LENOVO", "30KLS02X00"),
        ("Micro-Star International", "MS-C931"),
        ("GIGABYTE", "AI TOP ATOM"),
        ("Dell Inc.", "Dell Pro Max with GB10 FCM1253"),
        ("HP", "HP ZGX Nano G1n AI Station"),
        ("Acer", "a product that nobody has named yet"),
    ],
)
def test_partner_boards_are_gb10(vendor, product):
    desk = healthy()
    desk.files |= {"/sys/class/dmi/id/sys_vendor": vendor, "/sys/class/dmi/id/product_name": product, "/sys/class/dmi/id/board_name": "x"}
    identity = collect(desk).identity
    assert (identity.is_gb10, identity.vendor, identity.product) == (True, vendor, product)


def test_another_machine_is_no_gb10_although_its_release_file_says_so():
    desk = healthy(None)
    desk.files |= {
        "/sys/class/dmi/id/sys_vendor": "QEMU",
        "/sys/class/dmi/id/product_name": "Standard PC",
        "/sys/class/dmi/id/board_name": "x",
    }
    desk.files.pop(f"{PCI}/000f:01:00.0/uevent")
    desk.commands = {"uname -m": "aarch64\n"}
    assert collect(desk).identity.is_gb10 is False
    desk.commands["uname -m"] = "x86_64\n"
    assert collect(desk).identity.is_gb10 is False


def test_nothing_to_tell_by_is_unknown():
    facts = collect(FakeDesk({}, {}, {}, absent=NOT_RECORDED))
    assert facts.identity.is_gb10 is None
    assert "identity.is_gb10" in facts.unread
    assert facts.dgx_os.present is None
    assert facts.apt.reboot_required is None
    assert facts.memory.total_kb is None
    for path in ("driver.module_version", "kernel.running", "memory.total_kb", "cx7.ports", "clock.synchronized", "driver.packages"):
        assert "not_recorded" in facts.unread[path]


def test_serial_is_left_out_unless_asked_for():
    assert collect(healthy()).identity.serial is None
    assert collect(healthy()).identity.serial_sha256 is not None
    assert collect(healthy(), Options(include_serial=True)).identity.serial == "SAMPLE0000042"
    assert "SAMPLE0000042" not in repr(collect(healthy()))


def test_setup_reads_what_is_ours_and_only_that():
    desk = healthy()
    desk.files |= {
        "/etc/netplan/90-dgx-spark-link.yaml": "network: {}\n",
        "/var/lib/dgx_spark/link/journal.json": '{"state": "armed"}',
        "/etc/dgx_spark/pair.env": "A=b\n",
        "/etc/dgx_spark/hostfile": "x\n",
        "/home/lab/.ssh/id_ed25519_dgx_spark_pair.pub": "ssh-ed25519 AAAA dgx_spark_pair\n",
        "/home/lab/.ssh/authorized_keys": 'ssh-ed25519 BBBB other\nfrom="192.168.100.11" ssh-ed25519 CCCC dgx_spark_pair\n',
        "/home/lab/.ssh/known_hosts": "192.168.100.11 ssh-ed25519 DDDD dgx_spark_pair\n",
        "/opt/dgx_spark/nccl/manifest.json": "{}",
    }
    setup = collect(desk).setup
    assert (setup.link_file, setup.link_journal, setup.pair_env) == ("network: {}\n", "armed", "A=b\n")
    desk.files["/var/lib/dgx_spark/link/journal.json"] = "torn"
    facts = collect(desk)
    assert (facts.setup.link_journal, "setup.link_journal" in facts.unread) == (None, True)
    assert list(setup.pair_files) == ["/etc/dgx_spark/hostfile"]
    assert setup.trust_authorized == ('from="192.168.100.11" ssh-ed25519 CCCC dgx_spark_pair',)
    assert setup.trust_known_hosts == ("192.168.100.11 ssh-ed25519 DDDD dgx_spark_pair",)
    assert len(setup.nccl_bundle or "") == 64


RULE = (
    "### tuple ### allow any any 0.0.0.0/0 any {0} in_{1} comment=6467785f737061726b5f70616972\n"
    "### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in\n"
)
PEER_RULE = RULE.format("192.168.100.11", "enp1s0f0np0")
GREP = "grep -s comment=6467785f737061726b5f70616972$ /etc/ufw/user.rules"


@pytest.mark.parametrize(
    ("answer", "rules"),
    [
        (said(PEER_RULE), ("enp1s0f0np0 192.168.100.11",)),
        (said("", rc=1), ()),
        (said("", rc=2), None),
        (said(error=MISSING), None),
    ],
)
def test_setup_asks_the_firewall_for_our_rules_alone(answer, rules):
    desk = healthy()
    desk.commands[GREP] = answer
    assert collect(desk).setup.firewall_rules is None and GREP not in desk.asked, "a desk without anything of ours is not asked"
    desk.files["/etc/dgx_spark/trust.json"] = "{}"
    assert collect(desk).setup.firewall_rules == rules


def test_setup_names_what_a_strict_umask_has_shut():
    desk = healthy()
    desk.files |= {"/etc/dgx_spark/hostfile": "x\n", "/usr/local/bin/pair-ssh": "#!/bin/sh\n"}
    paths = "/etc/dgx_spark /etc/dgx_spark/hostfile /usr/local/bin/pair-ssh"
    told = "700 0 4096 /etc/dgx_spark\n644 0 2 /etc/dgx_spark/hostfile\n755 1000 10 /usr/local/bin/pair-ssh\n"
    assert collect(desk).setup.wrong_modes == (), "what could not be asked is not wrong"
    desk.commands[f"stat -c %a %u %s %n -- {paths}"] = told
    assert collect(desk).setup.wrong_modes == ("/etc/dgx_spark", "/usr/local/bin/pair-ssh")


@pytest.mark.parametrize(("mode", "wrong"), [("600", True), ("644", False)])
def test_setup_names_a_driver_lock_that_only_root_may_read(mode, wrong):
    desk, path = healthy(), "/etc/apt/preferences.d/zz-dgx-spark-driver-lock"
    desk.files[path] = "Package: x\n"
    desk.commands[f"stat -c %a %u %s %n -- {path}"] = f"{mode} 0 11 {path}\n"
    assert collect(desk).setup.wrong_modes == ((path,) if wrong else ())


@pytest.mark.parametrize(
    ("sums", "mode", "whole"),
    [
        ("{0}  /opt/dgx_spark/nccl/bin/x\n", "755", True),
        ("{1}  /opt/dgx_spark/nccl/bin/x\n", "755", False),
        ("", "755", False),
        ("{0}  /opt/dgx_spark/nccl/bin/x\n", "700", False),
        (None, "755", True),
    ],
)
def test_setup_looks_at_the_files_of_the_bundle_and_not_at_its_manifest_alone(sums, mode, whole):
    desk = healthy()
    desk.files["/opt/dgx_spark/nccl/manifest.json"] = json.dumps({"files": {"bin/x": "a" * 64, "../../etc/shadow": "b" * 64}})
    folders = ("/opt/dgx_spark", "/opt/dgx_spark/nccl", "/opt/dgx_spark/nccl/bin", "/opt/dgx_spark/nccl/bin/x")
    paths = " ".join(sorted((*folders, "/opt/dgx_spark/nccl/manifest.json")))
    rows = "".join(f"{mode} 0 9 {path}\n" for path in folders) + "644 0 9 /opt/dgx_spark/nccl/manifest.json\n"
    desk.commands[f"stat -c %a %u %s %n -- {paths}"] = rows
    if sums is not None:
        desk.commands["sha256sum -- /opt/dgx_spark/nccl/bin/x"] = said(sums.format("a" * 64, "c" * 64), rc=0 if sums else 1)
    assert (collect(desk).setup.nccl_bundle is not None) is whole


@pytest.mark.parametrize("words", ["Failed to initialize NVML: Driver/library version mismatch", "No devices were found"])
@pytest.mark.parametrize(
    ("holders", "told"),
    [
        ({}, []),
        ({"3150": "python3"}, ["python3"]),
        ({"77": "nvidia-persiste"}, []),
        ({"3150": "nvidia-persiste"}, ["nvidia-persiste"]),
        ({"3150": None}, None),
    ],
)
def test_who_computes_is_known_while_nvidia_smi_cannot_say(words, holders, told):
    """Its library is newer than the module that is loaded until the reboot, or the GPU is gone."""
    desk = healthy()
    mismatch = said(f"{words}\n", rc=18)
    desk.commands |= {name: mismatch for name in list(desk.commands) if name.startswith("nvidia-smi")}
    desk.files |= {"/proc/1/comm": "systemd\n", "/proc/1/fd/0": ""}
    for pid, name in holders.items():
        desk.files |= {f"/proc/{pid}/comm": f"{name}\n", f"/proc/{pid}/fd/0": ""}
        desk.links[f"/proc/{pid}/fd/7"] = "/dev/nvidia-uvm"
        # Its own file tells the daemon; anybody may take its name.
        desk.links[f"/proc/{pid}/exe"] = "/usr/bin/nvidia-persistenced" if pid == "77" else "/usr/bin/python3.12"
        if name is None:
            desk.errors[f"/proc/{pid}/fd"] = DENIED
    busy = collect(desk).busy
    assert busy.readable is (told is not None)
    assert [item.name for item in busy.gpu_processes] == (told or [])


def test_facts_hold_no_password_of_a_job_or_of_the_kernel():
    desk = healthy()
    told = str(desk.commands["nvidia-smi -q"])
    desk.commands["nvidia-smi -q"] = told.replace("/usr/lib/xorg/Xorg", "/usr/bin/python3 -m serve --api-key s3cret")
    desk.files["/proc/cmdline"] = "root=/dev/nvme0n1p2 ro ds=nocloud;s=http://ana:s3cret@lab/ kho=off\n"
    facts = collect(desk)
    assert facts.kernel.command_line == "root=/dev/nvme0n1p2 ro kho=off" and "s3cret" not in str(facts)
    assert [item.name for item in facts.busy.gpu_processes] == ["/usr/bin/python3 -m serve"]


def test_who_computes_is_unknown_where_a_user_holds_more_open_than_there_is_time_for(monkeypatch):
    monkeypatch.setattr(busy_facts, "OPEN_LIMIT", 3)
    desk = healthy()
    mismatch = said("No devices were found\n", rc=18)
    desk.commands |= {name: mismatch for name in list(desk.commands) if name.startswith("nvidia-smi")}
    desk.files |= {f"/proc/3150/fd/{number}": "" for number in range(4)}
    assert collect(desk).busy.readable is False


def test_a_user_with_many_or_strange_programs_on_the_gpu_costs_no_facts():
    """Whoever may start programs on a desk names them, and nvidia-smi leaves out what it cannot tell between two commas."""
    desk = healthy()
    desk.commands |= {name: said(error=TIMEOUT) for name in list(desk.commands) if name.startswith("nvidia-smi")}
    strange = f"7, {','.join(['/a' * 500] * 3)}{',' * 190} 3 MiB"
    desk.commands[" ".join(compute_apps.COMMAND)] = "\n".join([strange, *(f"{number}, /bin/x, 1 MiB" for number in range(10, 6000))])
    facts = as_dict(collect(desk))
    assert len(facts["busy"]["gpu_processes"]) > 100 and of_dataclass(Desk)(facts, "spark") is facts


def test_no_more_processes_are_told_than_the_controller_takes(monkeypatch):
    monkeypatch.setattr(busy_facts, "HOLDERS_LIMIT", 3)
    desk = healthy()
    desk.commands |= {name: said("No devices were found\n", rc=18) for name in list(desk.commands) if name.startswith("nvidia-smi")}
    for pid in range(3000, 3010):
        desk.files |= {f"/proc/{pid}/comm": "python3\n", f"/proc/{pid}/fd/0": ""}
        desk.links[f"/proc/{pid}/fd/7"] = "/dev/nvidia-uvm"
        # Its own file tells the daemon; anybody may take its name.
        desk.links[f"/proc/{pid}/exe"] = "/usr/bin/nvidia-persistenced" if pid == "77" else "/usr/bin/python3.12"
    assert len(collect(desk).busy.gpu_processes) == 3


def test_setup_tells_a_key_of_which_one_half_is_gone():
    desk = healthy()
    desk.read_as = lambda user, paths, keys=(): [*map(desk.read_text, paths), *(Text(path, error=DAMAGED) for path in keys)]
    setup = collect(desk).setup
    assert (setup.trust_public_key, setup.trust_key_damaged) == (None, True)


@pytest.mark.parametrize("text", ["ssh-evil AAAA dgx_spark_pair\n", "ssh-ed25519 AAAA \x07 AAAA dgx_spark_pair\n", "x"])
def test_a_key_of_no_type_that_ssh_has_is_a_damaged_one(text):
    """Whoever logs in as the user may lay one down; as a fact it would keep the whole desk from being believed."""
    desk = healthy()
    desk.read_as = lambda user, paths, keys=(): [*map(desk.read_text, paths), *(Text(path, text) for path in keys)]
    setup = collect(desk).setup
    assert (setup.trust_public_key, setup.trust_key_damaged) == (None, True)


def test_busy_tells_compute_from_graphics_and_finds_rdma_users():
    desk = healthy()
    desk.commands["nvidia-smi -q"] = healthy().commands["nvidia-smi -q"] + (
        "        Process ID                                     : 3150\n            Type                                       : C\n"
        "            Name                                       : python3\n"
        "            Used GPU Memory                            : 218 MiB\n"
    )
    desk.commands["rdma resource show qp"] = "link rocep1s0f0/1 lqpn 129 type RC state RTS pid 3150 comm ib_write_bw\n"
    desk.files["/proc/3150/status"] = "Name:\tpython3\nUid:\t1000\t1000\t1000\t1000\n"
    busy = collect(desk).busy
    assert [(item.pid, item.kind, item.user) for item in busy.gpu_processes] == [(2100, "G", None), (3150, "C", "lab")]
    assert [(item.pid, item.name) for item in busy.rdma_users] == [(3150, "ib_write_bw")]
    assert busy.readable is True


@pytest.mark.parametrize(
    ("files", "commands", "synchronized"),
    [
        ({"/run/systemd/timesync/x": ""}, {"timedatectl show": "NTPSynchronized=no\n"}, False),
        ({}, {"timedatectl show": "NTPSynchronized=yes\n"}, True),
        ({}, {}, None),
    ],
)
def test_clock(files, commands, synchronized):
    desk = healthy()
    del desk.files["/run/systemd/timesync/synchronized"]
    desk.files |= files
    desk.commands |= commands
    facts = collect(desk)
    assert facts.clock.synchronized is synchronized
    assert ("clock.synchronized" in facts.unread) is (synchronized is None)


@pytest.mark.parametrize(
    ("enabled", "active", "wanted"),
    [
        ("enabled\n", "active\n", (True, True)),
        ("static\n", "active\n", (True, True)),
        ("disabled\n", "inactive\n", (False, False)),
        ("masked\n", "failed\n", (False, False)),
    ],
)
def test_persistence_daemon_where_files_do_not_tell(enabled, active, wanted):
    desk = healthy()
    del desk.files["/etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service"]
    del desk.files["/sys/fs/cgroup/system.slice/nvidia-persistenced.service/cgroup.procs"]
    desk.commands |= {
        "systemctl is-enabled nvidia-persistenced.service": said(enabled, 0 if wanted[0] else 1),
        "systemctl is-active nvidia-persistenced.service": said(active, 0 if wanted[1] else 3),
    }
    driver = collect(desk).driver
    assert (driver.persistenced_enabled, driver.persistenced_active) == wanted


def scarce() -> FakeDesk:
    """A desk of which only a few answers of common commands are known, as somebody would paste them."""
    smi = f"0, NVIDIA GB10, 0000000F:01:00.0, {DRIVER}, 12.1, [N/A]\n"
    rows = "".join(
        f"link {rdma}/1 state {'ACTIVE' if port == 'p0' else 'DOWN'} physical_state {'LINK_UP' if port == 'p0' else 'DISABLED'} "
        f"netdev {name} \n"
        for name, rdma, _place, port, _mac in FUNCTIONS
    )
    plain = "".join(
        f"{number}: {name}: <BROADCAST,MULTICAST,UP,{'LOWER_UP' if port == 'p0' else 'NO-CARRIER'}> "
        f"mtu 9000 qdisc mq state UP group default qlen 1000\n"
        f"    link/ether {mac} brd ff:ff:ff:ff:ff:ff\n"
        f"    inet 192.168.{100 + number}.10/24 brd 192.168.100.255 scope global noprefixroute {name}\n"
        for number, (name, _rdma, _place, port, mac) in enumerate(FUNCTIONS, start=4)
    )
    files = {
        "/etc/dgx-release": "DGX_SWBUILD_VERSION=7.5.0\n",
        "/proc/driver/nvidia/version": f"NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  {DRIVER}  Release Build\n",
        "/proc/meminfo": "MemTotal: 127535000 kB\n",
    }
    for name, _rdma, _place, port, _mac in FUNCTIONS:
        files |= {
            f"{NET}/{name}/phys_port_name": port,
            f"{NET}/{name}/phys_switch_id": "aa",
            f"{NET}/{name}/carrier": str(int(port == "p0")),
        }
    commands = {
        "uname -a": f"Linux spark-a1b2 {KERNEL} #21-Ubuntu SMP Mon Jun 1 00:00:00 UTC 2026 aarch64 aarch64 aarch64 GNU/Linux\n",
        "nvidia-smi --query-gpu=index,gpu_name,pci.bus_id,driver_version,compute_cap,memory.total --format=csv,noheader": smi,
        "rdma link show": rows,
        "ip addr show": plain,
        "ethtool enp1s0f0np0": "Settings for enp1s0f0np0:\n\tSpeed: 100000Mb/s\n\tLink detected: yes\n",
        "systemctl is-active nvidia-persistenced": "active\n",
        r"dpkg-query -W -f=${Package}\t${Version}\n": f"libnvidia-compute-580\t{DRIVER}-0ubuntu0.24.04.1\n",
    }
    return FakeDesk(files, {}, commands, absent=NOT_RECORDED)


def test_a_desk_of_a_few_pasted_answers():
    facts = collect(scarce())
    assert (facts.kernel.running, facts.identity.architecture, facts.identity.hostname) == (KERNEL, "aarch64", "spark-a1b2")
    assert (facts.gpu.name, facts.gpu.compute_capability, facts.identity.is_gb10) == ("NVIDIA GB10", "12.1", True)
    assert [[item.netdev for item in port.functions] for port in facts.cx7.ports] == [
        ["enp1s0f0np0", "enP2p1s0f0np0"],
        ["enp1s0f1np1", "enP2p1s0f1np1"],
    ]
    function = facts.cx7.ports[0].functions[0]
    assert (function.rdma_device, function.rdma_state, function.speed_mbps, function.mtu) == ("rocep1s0f0", "ACTIVE", 100000, 9000)
    assert (function.pci_address, function.mac, function.addresses[0].address) == ("0000:01:00.0", FUNCTIONS[0][4], "192.168.104.10")
    assert (facts.driver.user_space_version, facts.driver.persistenced_active, facts.driver.persistenced_enabled) == (DRIVER, True, None)
    assert "driver.gsp_version" in facts.unread
    assert "not_recorded" in facts.unread["cx7.gids"]


def test_gids_without_types_and_devices_without_rdma_are_gaps():
    desk = healthy(0)
    path = next(path for path in desk.files if path.endswith("gid_attrs/types/3"))
    del desk.files[path]
    desk.errors[path] = "unreadable"
    assert "unreadable" in collect(desk).unread["cx7.gids"]
    desk = healthy(0)
    desk.absent = NOT_RECORDED
    desk.files = {path: text for path, text in desk.files.items() if "/infiniband/" not in path}
    desk.links = {path: target for path, target in desk.links.items() if "/infiniband/" not in path}
    assert "not_recorded" in collect(desk).unread["cx7.rdma_devices"]


def test_rdma_devices_without_class_link_are_found_by_their_gids_netdev():
    desk = healthy(0)
    for name, rdma, place, _port, _mac in FUNCTIONS:
        desk.links.pop(f"{RDMA}/{rdma}")
        old = f"/sys/devices/pci{place[:4]}:00/{place[:4]}:00:00.0/{place}/infiniband/{rdma}"
        desk.links.pop(f"{old}/device")
        desk.files = {path.replace(old, f"{RDMA}/{rdma}"): text for path, text in desk.files.items()}
        assert f"{NET}/{name}" in desk.links
    assert [item.rdma_device for port in collect(desk).cx7.ports for item in port.functions] == [
        "rocep1s0f0",
        "roceP2p1s0f0",
        "rocep1s0f1",
        "roceP2p1s0f1",
    ]


def test_missing_answers_of_a_live_desk_are_no_errors():
    facts = collect(FakeDesk({}, {}, {}, absent=MISSING))
    assert (facts.dgx_os.present, facts.driver.loaded, facts.apt.reboot_required, facts.cx7.hotplug_marker) == (False, False, False, False)


@pytest.mark.parametrize("user", ["mara.lind", "CORP\\lab", "Lab"])
def test_a_login_user_of_a_directory_service_is_found_through_the_name_service(user):
    told = f"{user.lower()}:*:1401600042:1401600513:Lab user:/home/corp/lab:/usr/bin/tcsh\n"
    desk = healthy()
    desk.commands[f"getent passwd {user}"] = told
    limits = collect(desk, Options(login_user=user)).limits
    assert (limits.user, limits.uid, limits.gid, limits.home) == (user, 1401600042, 1401600513, "/home/corp/lab")


def test_a_login_user_whom_nobody_knows_is_unread():
    facts = collect(healthy(), Options(login_user="nobody-here"))
    assert facts.limits.uid is None and "getent" in facts.unread["limits.uid"]


@pytest.mark.parametrize(
    ("load", "processors", "asked", "answered"),
    [
        ("84.02 60.00 20.00 9/300 4711\n", 20, [10.0, 42.01], True),
        ("900.00 1.00 1.00 9/300 4711\n", 20, [10.0, 60.0], True),
        ("39.00 60.00 20.00 9/300 4711\n", 20, [10.0], False),
        ("84.02 1 1\n", 20, [10.0], False),
        ("84.02 60.00 20.00 9/300 1\n", 0, [10.0], False),
    ],
)
def test_what_was_late_on_an_overloaded_desk_is_asked_again_with_more_time(load, processors, asked, answered):
    desk = healthy()
    desk.files |= {"/proc/loadavg": load, **{f"/sys/devices/system/cpu/cpu{number}/online": "1" for number in range(processors)}}
    desk.files["/sys/devices/system/cpu/cpufreq/boost"] = "1"
    limits = []
    usual = desk.run

    def run(argv, *, timeout=10.0, **more):
        if tuple(argv) == rdma_resource.COMMAND:
            limits.append(timeout)
            if timeout == 10.0:
                return said(error=TIMEOUT)
        return usual(argv, timeout=timeout, **more)

    desk.run = run
    facts = collect(desk)
    assert limits == pytest.approx(asked)
    assert facts.busy.readable is answered and ("busy.rdma_users" in facts.unread) is not answered


def test_a_desk_that_is_late_twice_says_that_it_is_overloaded():
    desk = healthy()
    desk.files |= {
        "/proc/loadavg": "84.02 60.00 20.00 9/300 4711\n",
        "/sys/devices/system/cpu/cpu0/online": "1",
        "/sys/devices/system/cpu/cpu1/online": "1",
    }
    desk.commands[" ".join(rdma_resource.COMMAND)] = said(error=TIMEOUT)
    told = collect(desk).unread["busy.rdma_users"]
    assert "timeout" in told and "the desk is overloaded: load 84 on 2 CPUs" in told


WAYS = "Iface\tDestination\n", "IP address       HW type     Flags       HW address            Mask     Device\n"
NO_ENTRY = "junk\nx y z a b enp1s0f0np0\n"
ARP_ENTRY = "192.168.100.77   0x1         0x2         4c:bb:47:00:00:77     *        enp1s0f0np0\n"


@pytest.mark.parametrize(("neighbours", "peer"), [("", "192.168.100.1"), (ARP_ENTRY, "192.168.100.77"), (NO_ENTRY, None)])
@pytest.mark.parametrize(("over", "told"), [("enP7s7", True), ("enp1s0f0np0", False), (None, False)])
def test_the_way_into_the_link_is_the_kernels_own_choice(neighbours, peer, over, told):
    """Rules and other tables send packets elsewhere while the main table looks right."""
    desk = healthy()
    peer = peer or "192.168.100.1"
    desk.files["/proc/net/arp"] = WAYS[1] + neighbours
    address = {"family": "inet", "local": "192.168.100.10", "prefixlen": 24, "scope": "global"}
    desk.commands["ip -j addr show"] = json.dumps([{"ifname": "enp1s0f0np0", "addr_info": [address]}])
    answer = json.dumps([{"dst": peer, "from": "192.168.100.10", "dev": over, "uid": 0, "flags": []}]) if over else said(rc=2)
    desk.commands[f"ip -j route get {peer} from 192.168.100.10"] = answer
    assert collect(desk).network.led_elsewhere == ((f"{peer}/32 dev enP7s7",) if told else ())


@pytest.mark.parametrize("says", ["Invalid argument", "No route to host", "Permission denied", "Network is unreachable"])
def test_a_rule_that_lets_nothing_into_the_link_is_seen_in_an_audit(says):
    """blackhole, unreachable and prohibit, as rules or in tables of their own, as the kernel answers for each."""
    desk = healthy()
    desk.files["/proc/net/arp"] = WAYS[1]
    address = {"family": "inet", "local": "192.168.100.10", "prefixlen": 24, "scope": "global"}
    desk.commands["ip -j addr show"] = json.dumps([{"ifname": "enp1s0f0np0", "flags": ["UP", "LOWER_UP"], "addr_info": [address]}])
    desk.commands["ip -j route get 192.168.100.1 from 192.168.100.10"] = said(rc=2, stderr=f"RTNETLINK answers: {says}\n")
    facts = collect(desk)
    assert facts.network.led_elsewhere == ("192.168.100.1/32 dev *",)
    [found] = [item for item in overlaps(facts, Where(desk="desk-01"), JudgeOptions()) if item.code == "CX7_ADDRESS_OVERLAP"]
    assert "led nowhere" in found.message and "ip rule" in found.message and "over *" not in found.message


def test_an_interface_that_is_switched_off_leads_nothing_elsewhere():
    """Its routes are gone with it, so that the default route is the kernel's choice; the link stage brings it up again."""
    desk = healthy()
    address = {"family": "inet", "local": "192.168.100.10", "prefixlen": 24, "scope": "global"}
    desk.commands["ip -j addr show"] = json.dumps([{"ifname": "enp1s0f0np0", "flags": ["BROADCAST"], "addr_info": [address]}])
    answer = json.dumps([{"dst": "192.168.100.1", "gateway": "10.0.0.1", "dev": "enP7s7"}])
    desk.commands["ip -j route get 192.168.100.1 from 192.168.100.10"] = answer
    assert collect(desk).network.led_elsewhere == ()


@pytest.mark.parametrize(
    ("told", "kb", "inodes"),
    [
        ("98304000 4096 0 61054976\n", 393_216_000, 0),
        ("0 4096 61000000 61054976\n", 0, 61_000_000),
        ("98304000 4096 0 0\n", 393_216_000, None),
        ("x", None, None),
        (None, None, None),
    ],
)
def test_what_is_left_on_the_root_file_system(told: str | None, kb: int | None, inodes: int | None) -> None:
    """btrfs has no number of inodes and says 0 of 0; a recording from before does not hold the question."""
    desk = healthy()
    if told is not None:
        desk.commands["stat -f -c %a %S %d %c /"] = told
    limits = collect(desk).limits
    assert (limits.root_free_kb, limits.root_free_inodes) == (kb, inodes)


def test_a_full_root_file_system_is_told_with_what_is_used_up() -> None:
    desk = healthy()
    desk.commands["stat -f -c %a %S %d %c /"] = "98304000 4096 12 61054976\n"
    [found] = [item for item in judge(collect(desk), Where(desk="desk-01"), JudgeOptions()) if item.code == "DISK_FULL"]
    assert found.severity == "warn" and "12 inodes" in found.message and "MiB" not in found.message and "df -i /" in found.remedy


DF = "df -k --output=target,avail,iavail,itotal /boot /home /tmp /var /var/lib/docker"


def test_a_full_file_system_beside_the_root_one_is_told() -> None:
    """A folder of the root file system has that one's place; one that is not there makes df end with 1."""
    desk = healthy()
    rows = "/boot 12400 190 122400\n/home 51200000 12 3276800\n/ 393216000 61000000 61054976\n/var 900000000 0 0\n/var 900000000 0 0\n"
    missing = "df: /var/lib/docker: No such file or directory\n"
    desk.commands[DF] = said(f"Mounted on  Avail IFree Inodes\n{rows}", rc=1, stderr=missing)
    limits = collect(desk).limits
    assert limits.other_room == (Room("/boot", 12400, 190), Room("/home", 51_200_000, 12), Room("/var", 900_000_000, None))
    found = [item for item in judge(collect(desk), Where(desk="desk-01"), JudgeOptions()) if item.code == "DISK_FULL"]
    assert [item.severity for item in found] == ["warn", "warn"]
    assert found[0].message == "The file system of /boot is full: 12 MiB, 190 inodes (files that can still be made) left."
    assert "du -xhd1 /boot" in found[0].remedy and "Kernels that nobody boots" in found[0].remedy
    assert "12 inodes" in found[1].message and "df -i /home" in found[1].remedy and "pip, conda" in found[1].remedy


def test_what_is_left_is_recorded() -> None:
    kept = of_programs.room(
        "/boot     12400    190  122400\n/srv/secret 1 2 3\n/var 5 - -\n98304000 4096 12 61054976\nMounted on Avail\n", ()
    )
    assert kept == "/boot     12400    190  122400\n/var 5 - -\n98304000 4096 12 61054976\n"


@pytest.mark.parametrize(
    ("told", "read_only"),
    [
        ("rw,relatime,errors=remount-ro\n", False),
        ("ro,relatime,errors=remount-ro\n", True),
        ("rw\n", False),
        ("\n", None),
        ("x,ro\n", None),
        (None, None),
    ],
)
def test_a_root_file_system_that_the_kernel_made_read_only(told: str | None, read_only: bool | None) -> None:
    """After an error of the drive everything that runs goes on, and nothing that has to write does."""
    desk = healthy()
    if told is not None:
        desk.commands["findmnt -n -o OPTIONS /"] = told
    facts = collect(desk)
    assert facts.limits.root_read_only is read_only
    found = {item.code: item.severity for item in judge(facts, Where(desk="desk-01"), JudgeOptions())}
    assert found.get("ROOT_READ_ONLY") == ("fail" if read_only else None)
