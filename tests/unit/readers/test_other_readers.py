# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of text and data for the readers that only the gathering uses."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import (
    cdi,
    compute_apps,
    cuda_version,
    dpkg_query,
    dpkg_status,
    ethtool_driver,
    ethtool_statistics,
    gpu_information,
    grub,
    ip_addr,
    ip_neigh,
    ip_route,
    kernel_command_line,
    key_file,
    lldp,
    lslocks,
    lspci,
    modinfo,
    modprobe_conf,
    nmcli,
    nvidia_smi_error,
    nvidia_smi_q,
    nvidia_smi_table,
    nvidia_smi_version,
    passwd,
    proc_limits,
    proc_locks,
    process_name,
    rdma_resource,
    timedatectl,
    uevent,
    ufw,
    uname,
)


def test_ip_addr_plain_brief_and_json_agree():
    plain = (
        "4: fabric0@if7: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9000 qdisc mq state UP group default qlen 1000\n"
        "    link/ether 02:00:5e:00:00:01 brd ff:ff:ff:ff:ff:ff\n"
        "    inet 192.168.100.10/24 brd 192.168.100.255 scope global dynamic noprefixroute fabric0\n"
        "       valid_lft forever preferred_lft forever\n"
        "    inet6 fe80::5eff:fe00:1/64 scope link\n"
    )
    told = json.dumps(
        [
            {
                "ifindex": 4,
                "ifname": "fabric0",
                "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
                "mtu": 9000,
                "operstate": "UP",
                "address": "02:00:5e:00:00:01",
                "addr_info": [
                    {"family": "inet", "local": "192.168.100.10", "prefixlen": 24, "scope": "global", "dynamic": True},
                    {"family": "inet6", "local": "fe80::5eff:fe00:1", "prefixlen": 64, "scope": "link"},
                ],
            }
        ]
    )
    assert ip_addr.read(plain) == ip_addr.read(told)
    brief = ip_addr.read("fabric0@if7      UP             192.168.100.10/24 fe80::5eff:fe00:1/64 \n")[0]
    assert [(item["address"], item["family"]) for item in brief["addresses"]] == [
        ("192.168.100.10", "inet"),
        ("fe80::5eff:fe00:1", "inet6"),
    ]
    link = ip_addr.read("enP7s7   DOWN   02:00:5e:00:00:07 <NO-CARRIER,BROADCAST,MULTICAST,UP> \n")[0]
    assert (link["netdev"], link["mac"], link["flags"][0]) == ("enP7s7", "02:00:5e:00:00:07", "NO-CARRIER")


def test_ip_route_in_three_forms():
    plain = "default via 10.0.0.1 dev enP7s7 proto dhcp metric 100\n10.0.0.0/24 dev enP7s7 proto kernel scope link metric 100\n"
    told = json.dumps(
        [
            {"dst": "default", "gateway": "10.0.0.1", "dev": "enP7s7", "protocol": "dhcp", "metric": 100, "flags": []},
            {"dst": "10.0.0.0/24", "dev": "enP7s7", "protocol": "kernel", "scope": "link", "metric": 100},
        ]
    )
    proc = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "enP7s7\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\nenP7s7\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
    )
    assert ip_route.read(plain) == ip_route.read(told)
    keys = ("destination", "netdev", "gateway", "metric")
    assert [[route[key] for key in keys] for route in ip_route.read(proc)] == [
        [route[key] for key in keys] for route in ip_route.read(plain)
    ]
    assert ip_route.read("192.0.2.7 dev x\nunreachable 10.9.0.0/16 dev lo\n")[0]["destination"] == "192.0.2.7/32"


def test_ip_neigh_without_dev():
    told = '[{"dst":"192.168.100.11","lladdr":"02:00:5E:00:00:02","state":["REACHABLE"]},{"dst":"192.168.100.12","state":["FAILED"]}]'
    assert ip_neigh.read(told) == [
        {"address": "192.168.100.11", "netdev": None, "mac": "02:00:5e:00:00:02", "state": "REACHABLE"},
        {"address": "192.168.100.12", "netdev": None, "mac": None, "state": "FAILED"},
    ]
    assert ip_neigh.read("fe80::1 dev a lladdr 02:00:5e:00:00:02 router STALE\n")[0]["state"] == "STALE"


def test_ethtool_driver_and_statistics():
    text = "driver: mlx5_core\nversion: 6.17.0-1029-nvidia\nfirmware-version: 28.45.4028 (NVD0000000087)\nbus-info: 0000:01:00.0\n"
    read = ethtool_driver.read(text)
    assert (read["driver"], read["firmware"], read["board_id"], read["bus_info"]) == (
        "mlx5_core",
        "28.45.4028",
        "NVD0000000087",
        "0000:01:00.0",
    )
    assert ethtool_statistics.read("NIC statistics:\n     tx_bytes_phy: 12\n     x: y\n") == {"tx_bytes_phy": 12}


@pytest.mark.parametrize(
    "told",
    [
        {
            "lldp": {
                "interface": [
                    {
                        "enp1s0f0np0": {
                            "chassis": {"spark-x": {"id": {"type": "mac", "value": "02:00:5E:00:00:09"}}},
                            "port": {"id": {"type": "mac", "value": "02:00:5e:00:00:02"}, "descr": "enp1s0f0np0"},
                        }
                    }
                ]
            }
        },
        {
            "lldp": [
                {
                    "interface": [
                        {
                            "name": "enp1s0f0np0",
                            "chassis": [{"id": [{"type": "mac", "value": "02:00:5E:00:00:09"}], "name": [{"value": "spark-x"}]}],
                            "port": [{"id": [{"type": "mac", "value": "02:00:5e:00:00:02"}], "descr": [{"value": "enp1s0f0np0"}]}],
                        }
                    ]
                }
            ]
        },
    ],
)
def test_lldp_json_and_json0(told):
    assert lldp.read(json.dumps(told)) == [
        {
            "netdev": "enp1s0f0np0",
            "chassis_id": "02:00:5E:00:00:09",
            "chassis_name": "spark-x",
            "port_id": "02:00:5e:00:00:02",
            "port_description": "enp1s0f0np0",
            "macs": ["02:00:5e:00:00:02", "02:00:5e:00:00:09"],
        }
    ]


TABLE = """
| NVIDIA-SMI 580.142                Driver Version: 580.142        CUDA Version: 13.0     |
|   0  NVIDIA GB10                    On  |   0000000F:01:00.0 Off |                  N/A |
| N/A   35C    P8              4W /  N/A  | Not Supported          |      0%      Default |
| Processes:                                                                              |
|    0   N/A  N/A            2443      G   /usr/lib/xorg/Xorg                      126MiB |
|    0   N/A  N/A            3150      C   python3                               96073MiB |
"""


def test_nvidia_smi_table():
    read = nvidia_smi_table.read(TABLE)
    assert (read["driver_version"], read["cuda_version"]) == ("580.142", "13.0")
    assert read["gpus"] == [
        {
            "index": 0,
            "name": "NVIDIA GB10",
            "persistence_mode": "Enabled",
            "bus_id": "0000000F:01:00.0",
            "temperature_c": 35.0,
            "power_draw_w": 4.0,
            "utilisation_percent": 0.0,
            "dead": [],
        }
    ]
    assert [(item["pid"], item["kind"], item["name"], item["memory_mib"]) for item in read["processes"]] == [
        (2443, "G", "/usr/lib/xorg/Xorg", 126),
        (3150, "C", "python3", 96073),
    ]


def test_nvidia_smi_q_null_for_not_supported_and_no_processes():
    read = nvidia_smi_q.read(
        "Driver Version                            : 580.142\nAttached GPUs                             : 1\nGPU 0000000F:01:00.0\n"
        "    Product Name                          : NVIDIA GB10\n    GSP Firmware Version                  : N/A\n"
        "    GPU Power Readings\n        Instantaneous Power Draw          : N/A\n    Processes                             : None\n"
    )
    gpu = read["gpus"][0]
    assert (gpu["product_name"], gpu["gsp_version"], gpu["power_draw_w"], gpu["processes"]) == ("NVIDIA GB10", None, None, [])
    assert (gpu["processes_told"], read["error"]) == (True, None)


def test_nvidia_smi_version_and_errors():
    text = "NVIDIA-SMI version  : 580.173.02\nNVML version        : 580.173\nDRIVER version      : 580.159.03\nCUDA Version        : 13.0\n"
    assert nvidia_smi_version.read(text) == {
        "nvidia_smi": "580.173.02",
        "nvml": "580.173",
        "driver": "580.159.03",
        "cuda": "13.0",
        "error": None,
    }
    assert nvidia_smi_error.read("\nNo devices were found\n") == "No devices were found"
    assert nvidia_smi_error.read("0, NVIDIA GB10\n") is None
    mismatch = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.173\n"
    assert nvidia_smi_error.library_version(mismatch) == "580.173"


def test_compute_apps():
    assert compute_apps.read("71, python3, 218 MiB\n72, a, b, [N/A]\nNo running processes found\n") == [
        {"pid": 71, "kind": "C", "name": "python3", "memory_mib": 218},
        {"pid": 72, "kind": "C", "name": "a, b", "memory_mib": None},
    ]


@pytest.mark.parametrize("name", ["[Insufficient Permissions]", "[N/A]"])
def test_a_process_whose_name_is_not_told(name):
    [told] = compute_apps.read(f"4712, {name}, 60 MiB\n")
    assert (told["pid"], told["name"]) == (4712, "unknown")


def test_modinfo_whole_and_one_field():
    assert modinfo.read("filename:       /lib/x.ko\nlicense:        Dual MIT/GPL\nversion:        580.142\n")["version"] == "580.142"
    assert modinfo.read("NVIDIA\n")["license"] == "NVIDIA"
    assert modinfo.read("modinfo: ERROR: Module nvidia not found.\n")["license"] is None


def test_packages():
    status = "Package: a\nStatus: hold ok installed\nVersion: 1:2-3\nDescription: x\n Package: no\n\nPackage: torn\nVersion: 1\n"
    assert [(item["name"], item["want"], item["version"]) for item in dpkg_status.read(status)] == [("a", "hold", "1:2-3")]
    assert dpkg_query.read("a:arm64\t1\tarm64\tinstall ok installed\nb\t2\nc\t\n") == [
        {"name": "a", "version": "1", "architecture": "arm64", "want": "install", "error": "ok", "state": "installed"},
        {"name": "b", "version": "2", "architecture": None, "want": None, "error": "ok", "state": "installed"},
    ]


def test_cuda_and_cdi_and_gpu_information():
    assert cuda_version.read('{"cuda": {"version": "13.0.3"}, "cuda_nvcc": {"version": "13.0.88"}}') == {
        "toolkit": "13.0.3",
        "nvcc": "13.0.88",
    }
    assert cuda_version.read("Cuda compilation tools, release 13.0, V13.0.88\n")["nvcc"] == "13.0.88"
    text = "- containerPath: /usr/lib/aarch64-linux-gnu/libcuda.so.580.142\n- x: /usr/lib/libnvidia-ml.so.580.142\n- y: libvdpau.so.1\n"
    assert cdi.read(text)["driver"] == "580.142"
    assert gpu_information.read("Model: \t\t NVIDIA GB10\nVideo BIOS: \t ??.??\nGPU Firmware: \t 580.142\n")["vbios"] is None


@pytest.mark.parametrize(
    ("entry", "release"),
    [
        ("gnulinux-advanced-1>gnulinux-6.17.0-1021-nvidia-advanced-1", "6.17.0-1021-nvidia"),
        ("Advanced options for Ubuntu>Ubuntu, with Linux 7.0.0-1019-nvidia-64k", "7.0.0-1019-nvidia-64k"),
        ("Ubuntu", None),
        (None, None),
    ],
)
def test_grub_entries(entry, release):
    assert grub.entry_release(entry) == release


def test_grub_kernels_leave_out_copies():
    names = (
        "vmlinuz",
        "vmlinuz.old",
        "vmlinuz-6.17.0-1021-nvidia",
        "vmlinuz-7.0.0-1019-nvidia",
        "vmlinuz-7.0.0-1019-nvidia-64k",
        "vmlinuz-7.0.0-1030-nvidia.dpkg-bak",
        "vmlinuz-7.0.0-1030-nvidia.dpkg-tmp",
        "vmlinuz-7.0.0-1030-nvidia.old",
        "initrd.img-1",
    )
    assert grub.kernels(names) == ["7.0.0-1019-nvidia-64k", "7.0.0-1019-nvidia", "6.17.0-1021-nvidia"]


@pytest.mark.parametrize(
    ("line", "blocks"),
    [
        ("blacklist nvidia", True),
        ("  blacklist   nvidia  ", True),
        ("blacklist nvidia # for the virtual machine", True),
        ("alias nvidia off", True),
        ("install nvidia /bin/false", True),
        ("install nvidia /usr/bin/true # for the other machine", True),
        ("# blacklist nvidia", False),
        ("blacklist nvidiafb", False),
        ("blacklist nouveau", False),
        ("alias nouveau off", False),
        ("options nvidia NVreg_EnableS0ixPowerManagement=1", False),
        ("install nvidia /sbin/modprobe --ignore-install nvidia", False),
    ],
)
def test_what_blocks_the_module(line, blocks):
    assert bool(modprobe_conf.read(f"# a file\n{line}\n")) is blocks


def test_a_command_line_that_blocks_the_module():
    read = kernel_command_line.read("ro module_blacklist=nvidia_drm modprobe.blacklist=nouveau,nvidia kho=off\n")
    assert read["blocked"] == ["modprobe.blacklist=nouveau,nvidia"] and read["kho"] == "off"


def test_a_command_line_is_told_without_what_may_be_a_password():
    line = "BOOT_IMAGE=/boot/vmlinuz-6.17.0-1021-nvidia root=/dev/nvme0n1p2 ro console=ttyS0,921600 pci=pcie_bus_safe"
    assert kernel_command_line.read(f"{line}\n")["line"] == line
    secret = "ds=nocloud;s=http://ana:s3cret@lab/ token=s3cret s3cret rd.luks.key=s3cret console=s3cret;x"
    assert kernel_command_line.read(f"{line} {secret}\n")["line"] == line


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("python3", "python3"),
        (
            "/usr/bin/python3.12 -u -m vllm.entrypoints.openai.api_server --api-key s3cret",
            "/usr/bin/python3.12 -u -m vllm.entrypoints.openai.api_server",
        ),
        ("python3 train.py --token s3cret", "python3 train.py"),
        ("python3 -c import os; login('s3cret')", "python3"),
        ("python3 s3cret", "python3"),
        ("/usr/local/bin/ollama runner --key s3cret", "/usr/local/bin/ollama"),
        ("VLLM::EngineCore", "VLLM::EngineCore"),
        ("[Insufficient Permissions]", "[Insufficient Permissions]"),
        (" ", "unknown"),
    ],
)
def test_a_process_is_named_without_its_arguments(told, name):
    assert process_name.read(told) == name


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ('GRUB_FLAVOUR_ORDER="nvidia generic"\n', "GRUB_FLAVOUR_ORDER=nvidia generic"),
        ("GRUB_FLAVOUR_ORDER=a\nGRUB_TOP_LEVEL=/boot/vmlinuz-1.2.3\n", "GRUB_TOP_LEVEL=/boot/vmlinuz-1.2.3"),
        ("#GRUB_TOP_LEVEL=x\nGRUB_FLAVOUR_ORDER=\n", None),
    ],
)
def test_what_grub_puts_first(text, setting):
    assert grub.order(grub.read(text)) == setting


@pytest.mark.parametrize(
    ("text", "active"),
    [("Status: active\n", True), ("Status: inactive\n", False), ("# x\nENABLED=no\n", False), ("ERROR: You need to be root\n", None)],
)
def test_ufw(text, active):
    assert ufw.read(text)["active"] is active


def test_nmcli_unescapes():
    assert nmcli.read("enp1s0f0np0:ethernet:connected:a\\:b\\\\c\n") == [["enp1s0f0np0", "ethernet", "connected", "a:b\\c"]]


def test_lspci_with_and_without_numbers():
    assert lspci.read("0000:01:00.0 Ethernet controller [0200]: Mellanox MT2910 [ConnectX-7] [15b3:1021]\n")[0]["device"] == "1021"
    assert lspci.read("0002:01:00.1 Ethernet controller: Mellanox MT2910 [ConnectX-7]\n")[0]["pci_address"] == "0002:01:00.1"
    assert lspci.read("") == []


def test_locks():
    text = "1: POSIX  ADVISORY  WRITE 811 fd:01:991 0 EOF\n"
    text += "1: -> POSIX  ADVISORY  WRITE 812 fd:01:991 0 EOF\n2: FLOCK  ADVISORY  READ -1 00:1a:5 0 EOF\n"
    assert proc_locks.read(text) == [
        {"pid": 811, "device": "253:1", "inode": 991, "write": True},
        {"pid": -1, "device": "0:26", "inode": 5, "write": False},
    ]
    assert [item["pid"] for item in proc_locks.read(text, {("253:1", 991), ("0:27", 5)}) or ()] == [811]
    assert [item["pid"] for item in proc_locks.read(text, {(None, 5)}) or ()] == [-1]
    told = (
        '{"locks": [{"command": "apt", "pid": 7, "type": "POSIX", "path": "/var/lib/dpkg/lock"}, {"command": "x", "pid": 8, "path": null}]}'
    )
    assert lslocks.read(told) == [{"command": "apt", "pid": 7, "path": "/var/lib/dpkg/lock"}]
    assert lslocks.read(told, ("/var/lib/dpkg/lock-frontend",)) == [] == lslocks.read("\n")
    assert lslocks.read("lslocks: bad usage") is None


@pytest.mark.parametrize(("before", "seen"), [(99_000, [811]), (250_000, None)])
def test_locks_of_other_files_crowd_nobody_out(before, seen):
    """Everybody may take as many locks as they like; what is too long to be read whole says nothing about anybody."""
    others = "".join(f"{number}: POSIX  ADVISORY  WRITE 6 00:1a:5 {2 * number} {2 * number}\n" for number in range(before))
    locks = proc_locks.read(f"{others}9: POSIX  ADVISORY  WRITE 811 fd:01:991 0 EOF\n", {("253:1", 991)})
    assert (None if locks is None else [item["pid"] for item in locks]) == seen
    rows = [{"command": "x", "pid": 8, "path": "/dev/shm/x"}] * before + [{"command": "apt", "pid": 811, "path": "/var/lib/dpkg/lock"}]
    held = lslocks.read(json.dumps({"locks": rows}), ("/var/lib/dpkg/lock",))
    assert [item["pid"] for item in held or ()] == [811]


@pytest.mark.parametrize(("number", "name"), [(66306, "259:2"), (65024, "254:0"), (40, "0:40"), (0x100032C, "3:4140")])
def test_a_devices_number_by_its_two_parts(number, name):
    assert proc_locks.device(number) == name == f"{os.major(number)}:{os.minor(number)}"


@pytest.mark.parametrize(
    "name", ["No devices were found", "NVIDIA-SMI has failed because it", "./Failed to initialize NVML: Driver/library version mismatch"]
)
def test_a_user_who_chooses_the_name_of_a_process_hides_nobody_on_the_gpu(name):
    rows = f"71, python3, 218 MiB\n72, {name}, 60 MiB\n73, a\n{name}\n, 60 MiB\n"
    assert [item["pid"] for item in compute_apps.read(rows)] == [71, 72, 73]
    for line in (
        f"72, {name}, 60 MiB",
        f"        Name                  : {name}",
        f"|    0   N/A  N/A      72      C   {name}     60MiB |",
    ):
        assert nvidia_smi_error.read(f"{line}\n") is None
    assert nvidia_smi_error.read(f"{name}\n") == name


@pytest.mark.parametrize("name", ["pid 0", "pid x", "comm [ib_core]"])
def test_a_user_who_chooses_the_name_of_a_process_hides_no_use_of_rdma(name):
    assert [item["pid"] for item in rdma_resource.read(f"link a/1 lqpn 1 type RC pid 5 comm {name}\n")] == [5]


def test_small_files():
    assert uevent.read("DRIVER=mlx5_core\nPCI_ID=15B3:1021\nPCI_SLOT_NAME=0000:01:00.0\n") == {
        "driver": "mlx5_core",
        "pci_address": "0000:01:00.0",
        "pci_vendor": "15b3",
        "pci_device": "1021",
    }
    assert passwd.read("lab:x:1000:1001:L:/home/lab:/bin/bash\nbroken\n") == [
        {"name": "lab", "uid": 1000, "gid": 1001, "home": "/home/lab"}
    ]
    assert proc_limits.read("Max locked memory         unlimited            65536                bytes\n")["memlock_soft"] == -1
    assert key_file.read("[Match]\nName=a b\n[Link]\nMTUBytes=9000\n") == {"Match": {"Name": ["a b"]}, "Link": {"MTUBytes": ["9000"]}}
    assert timedatectl.read("               System clock synchronized: yes\n")["synchronized"] is True
    assert uname.read("Linux version 6.17.0-1021-nvidia (b@h) (gcc)")["release"] == "6.17.0-1021-nvidia"
    assert rdma_resource.read("link a/1 lqpn 1 pid 5 comm x\nlink a/1 lqpn 2 pid 5 comm x\nlink a/1 lqpn 3 comm [ib_core]\n") == [
        {"pid": 5, "name": "x"}
    ]
    assert rdma_resource.read(
        "link a/1 lqpn 1 type GSI state RTS sq-psn 0 comm [ib_core]\nlink a/1 lqpn 7 type UD state RTS comm [mlx5_ib]\n"
        "link a/1 lqpn 8 rqpn 9 type RC state RTS comm [rpcrdma]\nlink a/1 lqpn 9 rqpn 8 type RC state RTS comm [rpcrdma]\n"
    ) == [{"pid": 0, "name": "rpcrdma"}]
