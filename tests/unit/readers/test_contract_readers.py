# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of text and data for the readers whose keys are a contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import (
    dgx_release,
    ethtool,
    ethtool_module,
    gids,
    ibdev2netdev,
    meminfo,
    nccl_tests,
    netplan,
    nvidia_smi_csv,
    nvidia_version,
    os_release,
    perftest,
    rdma_link,
)

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.txt").read_text(encoding="utf-8")


def test_dgx_release_last_ota_runs_and_serial_stays_out():
    text = sample("dgx_release.quoted")
    read = dgx_release.read(text)
    assert (read["version"], read["factory_version"], read["ota_history"]) == ("7.6.0", "7.2.3", ["7.4.0", "7.6.0"])
    assert read["ota_dates"][-1].startswith("lun. 21 sept.")
    assert "SAMPLE0000001" not in str(read)
    assert dgx_release.serial_number(text) == "SAMPLE0000001"


@pytest.mark.parametrize(
    ("text", "version", "history", "platform"),
    [
        ('DGX_SWBUILD_VERSION="7.5.0"\n', "7.5.0", [], None),
        ("DGX_SWBUILD_VERSION=7.2.3\r\nDGX_PLATFORM=HP ZGX Nano G1n AI Station\r\n", "7.2.3", [], "HP ZGX Nano G1n AI Station"),
        ('\ufeffDGX_SWBUILD_VERSION=7.2.3\nDGX_OTA_VERSION="7.5.0', "7.5.0", ["7.5.0"], None),
        ("DGX_SWBUILD_VERSION='7.2.3'\nDGX_OTA_VERSION=\nDGX_OTA_VERSION=\"\"\n", "7.2.3", [], None),
        ("DGX_OTA_VERSION=7.6.0\nDGX_OTA_VERSION=7.5.0\n", "7.5.0", ["7.6.0", "7.5.0"], None),
        ("nothing of it", None, [], None),
        ("", None, [], None),
    ],
)
def test_dgx_release_variants(text, version, history, platform):
    read = dgx_release.read(text)
    assert (read["version"], read["ota_history"], read["platform"]) == (version, history, platform)


def test_os_release_and_fastos_on_one_line():
    assert os_release.read('ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04.5 LTS"\n')["pretty_name"] == "Ubuntu 24.04.5 LTS"
    fastos = os_release.read('NAME="DGX SPARK FASTOS" VERSION="1.90.1" BUILD_TYPE="customer"')
    assert (fastos["version"], fastos["build_type"]) == ("1.90.1", "customer")
    assert os_release.read("")["id"] is None


@pytest.mark.parametrize(
    ("text", "version", "is_open", "arch"),
    [
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.159.03  Release Build  (x@y)", "580.159.03", True, "aarch64"),
        ("NVRM version: NVIDIA UNIX aarch64 Kernel Module  580.142  Tue Mar  3", "580.142", False, "aarch64"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  610.43.02  Release", "610.43.02", True, "x86_64"),
        ("NVRM version: NVIDIA UNIX Open Kern", None, None, None),
    ],
)
def test_nvidia_version(text, version, is_open, arch):
    read = nvidia_version.read(text + "\nGCC version:  gcc version 13.3.0\n")
    assert (read["version"], read["open"], read["arch"], read["gcc"]) == (version, is_open, arch, "gcc version 13.3.0")


def test_nvidia_smi_csv_without_header_keeps_versions_as_text():
    assert nvidia_smi_csv.read("0, NVIDIA GB10, 0000000F:01:00.0, 580.142, 12.1, [N/A]\n")["rows"] == [
        [0, "NVIDIA GB10", "0000000F:01:00.0", "580.142", "12.1", None]
    ]


def test_nvidia_smi_csv_with_header_strips_units():
    read = nvidia_smi_csv.read(
        "name, driver_version, memory.total [MiB], power.draw [W], clocks.current.sm [MHz], utilization.gpu [%], power.limit [W]\n"
        "NVIDIA GB10, 580.142, [N/A], 12.50 W, 2411 MHz, 0 %, [Not Supported]\n"
    )
    assert read["header"][2:4] == ["memory.total", "power.draw"]
    assert read["units"][2:4] == ["MiB", "W"]
    assert read["records"] == [
        {
            "name": "NVIDIA GB10",
            "driver_version": "580.142",
            "memory.total": None,
            "power.draw": 12.5,
            "clocks.current.sm": 2411,
            "utilization.gpu": 0,
            "power.limit": None,
        }
    ]


def test_nvidia_smi_csv_behind_a_wrappers_own_line():
    """Owners wrap nvidia-smi because GB10 does not tell its memory."""
    answer = "name, compute_cap, clocks.sm [MHz]\nNVIDIA GB10, 12.1, 208 MHz\n"
    for said in ("== unified memory: 21.4 GiB used of 121.7 GiB ==\n", "unified memory, 21.4 GiB\n\n"):
        assert nvidia_smi_csv.read(said + answer) == nvidia_smi_csv.read(answer)


def test_nvidia_smi_csv_error_with_exit_code_zero_is_no_row():
    read = nvidia_smi_csv.read("No devices were found\n")
    assert (read["rows"], read["error"]) == ([], "No devices were found")


def test_nvidia_smi_csv_comma_in_process_name():
    read = nvidia_smi_csv.read("pid, process_name, used_gpu_memory [MiB]\n71, python3 -c a, b, 218 MiB\n")
    assert read["rows"] == [[71, "python3 -c a, b", 218]]


def test_meminfo_zero_is_zero_and_absent_is_null():
    read = meminfo.read(
        "MemTotal:       127535084 kB\nCmaTotal:              0 kB\nCmaFree:           69320 kB\nHugePages_Total:   0\nBad: x kB\n"
    )
    assert (read["total_kb"], read["cma_total_kb"], read["cma_free_kb"], read["swap_total_kb"]) == (127535084, 0, 69320, None)
    assert read["values"]["HugePages_Total"] == 0
    assert "Bad" not in read["values"]


@pytest.mark.parametrize(
    ("text", "speed", "link", "autoneg", "reason"),
    [
        ("\tSpeed: 200000Mb/s\n", 200000, None, None, None),
        ("Settings for a:\n\tSpeed: Unknown!\n\tAuto-negotiation: on\n\tLink detected: no\n", None, False, True, None),
        ("\tSpeed: Unknown! (4294967295)\n\tLink detected: no (No cable)\n", None, False, None, "No cable"),
        (
            "\tAdvertised auto-negotiation: Yes\n\tAuto-negotiation: off\n\tSpeed: 100Gb/s\n\tLink detected: yes\n",
            100000,
            True,
            False,
            None,
        ),
        ("Settings for a:\n\tSpeed: 100000Mb/s\nSettings for b:\n\tSpeed: 200000Mb/s\n", 100000, None, None, None),
        ("netlink error: No such device\n", None, None, None, None),
    ],
)
def test_ethtool(text, speed, link, autoneg, reason):
    read = ethtool.read(text)
    assert (read["speed_mbps"], read["link"], read["autoneg"], read["link_reason"]) == (speed, link, autoneg, reason)


def test_ethtool_module_present_and_absent():
    read = ethtool_module.read(
        "\tIdentifier      : 0x11 (QSFP28)\n\tLength (Copper or Active cable)  : 1m\n"
        "\tVendor name    : Amphenol\n\tVendor PN      : NJAAKK0006\n"
    )
    assert (read["vendor_name"], read["vendor_pn"], read["length_m"], read["present"]) == ("Amphenol", "NJAAKK0006", 1.0, True)
    absent = ethtool_module.read("netlink error: Invalid argument\n")
    assert (absent["present"], absent["vendor_pn"], absent["error"]) == (False, None, "netlink error: Invalid argument")
    assert ethtool_module.read("")["present"] is None


def test_rdma_link_plain_old_and_json():
    assert rdma_link.read(sample("rdma_link.renamed")) == [
        {"device": "mlx5_0", "port": 1, "state": "ACTIVE", "physical_state": "LINK_UP", "netdev": "fabric0"},
        {"device": "mlx5_1", "port": 1, "state": "DOWN", "physical_state": "DISABLED", "netdev": None},
    ]
    assert rdma_link.read("1/1: mlx5_0/1: state ACTIVE physical_state LINK_UP netdev a\n")[0]["device"] == "mlx5_0"
    text = '[{"ifindex":0,"ifname":"mlx5_0","port":1,"state":"ACTIVE","physical_state":"LINK_UP","netdev":"a","netdev_ifindex":4}]'
    assert rdma_link.read(text) == [{"device": "mlx5_0", "port": 1, "state": "ACTIVE", "physical_state": "LINK_UP", "netdev": "a"}]
    assert rdma_link.read("") == []


def test_ibdev2netdev_plain_and_verbose():
    assert ibdev2netdev.read("mlx5_3 port 1 ==> fabric1 (Down)\n") == [{"device": "mlx5_3", "port": 1, "netdev": "fabric1", "up": False}]
    verbose = "0000:01:00.0 rocep1s0f0 (MT4129 - X) NVIDIA fw 28.45.4028 port 1 (ACTIVE) ==> enp1s0f0np0 (Up)\n"
    assert ibdev2netdev.read(verbose) == [{"device": "rocep1s0f0", "port": 1, "netdev": "enp1s0f0np0", "up": True}]


def test_gids_listing_and_show_gids():
    listing = (
        "gid[0]=fe80:0000:0000:0000:0011:22ff:fe33:4455 type=IB/RoCE v1\n"
        "gid[4]=0000:0000:0000:0000:0000:ffff:c0a8:640a type=RoCE v2\n"
        "gid[5]=0000:0000:0000:0000:0000:0000:0000:0000 type=\n"
    )
    read = gids.read(listing)
    assert [(entry["index"], entry["type"], entry["ipv4"]) for entry in read] == [(0, "IB/RoCE v1", None), (4, "RoCE v2", "192.168.100.10")]
    table = (
        "DEV     PORT    INDEX   GID                                     IPv4            VER     DEV\n"
        "mlx5_0  1       3       0000:0000:0000:0000:0000:ffff:c0a8:640a 192.168.100.10  v2      fabric0\n"
    )
    assert gids.read(table) == [
        {
            "index": 3,
            "gid": "0000:0000:0000:0000:0000:ffff:c0a8:640a",
            "type": "RoCE v2",
            "ipv4": "192.168.100.10",
            "device": "mlx5_0",
            "netdev": "fabric0",
        }
    ]


def test_netplan_devices_and_bond_members():
    read = netplan.read(sample("netplan.bond"))
    assert (read["renderer"], read["error"]) == ("networkd", None)
    member = read["ethernets"]["enp1s0f0np0"]
    assert (member["dhcp4"], member["link_local"], member["mtu"], member["addresses"]) == (False, [], 9000, [])
    uplink = read["ethernets"]["uplink"]
    assert (uplink["set_name"], uplink["match"], uplink["dhcp4"], uplink["optional"]) == (
        "lan0",
        {"macaddress": "02:00:5e:00:00:01"},
        True,
        True,
    )
    assert uplink["addresses"] == ["198.51.100.7/24"]
    assert read["bonds"]["bond0"]["interfaces"] == ["enp1s0f0np0"]
    assert read["bonds"]["bond0"]["gateway"] is True


@pytest.mark.parametrize(
    "text", ["network: [1, 2]", "network: {a: b", "- 1", "a: &x {b: 1}\nc: {<<: *x}", "x" * 70_000, "!!python/object:os.system x"]
)
def test_netplan_what_cannot_be_read_is_an_error(text):
    assert netplan.read(text)["error"]


@pytest.mark.parametrize("value", ["hunter2: x", "*hunter2", "!hunter2 x", '"hunter2', "@hunter2", "[hunter2", "hunter2\\n\tx: y"])
def test_netplan_an_error_shows_no_password(value):
    """PyYAML shows the line in which it stopped; it stood in the facts, and so in the report."""
    text = f'network:\n  wifis:\n    wlP9s9:\n      access-points:\n        "Lab":\n          password: {value}\n'.replace("\\n", "\n")
    error = netplan.read(text)["error"]
    assert re.match(r"not valid YAML: line \d+, column \d+: .", error) and "hunter2" not in error


def test_netplan_empty_file_is_no_error():
    assert netplan.read("# nothing\n")["error"] is None


def test_netplan_without_yaml(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "yaml", None)
    assert netplan.read("network: {}")["error"] == "python3-yaml is not installed"


def test_perftest_means_mtu_gid_and_addresses():
    read = perftest.read(sample("perftest.two_runs"))
    assert (read["device"], read["mtu"], read["gid_index"], read["qps"]) == ("rocep1s0f1", 4096, 5, 4)
    assert read["bw_average_gbps"] == 97.0
    assert [(row["bytes"], row["bw_average_gbps"], row["bw_peak_gbps"]) for row in read["rows"]] == [
        (65536, 96.5, None),
        (65536, 97.5, None),
    ]
    assert (read["local_address"], read["remote_address"]) == ("192.168.100.10", "192.168.100.11")
    assert (read["test"], read["errors"]) == ("RDMA_Write BW Test", [])


def test_perftest_without_rows_is_null_not_zero():
    read = perftest.read(" #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]\n")
    assert (read["rows"], read["bw_average_gbps"]) == ([], None)


def test_perftest_rows_without_header_have_no_unit():
    assert perftest.read(" 65536 1000 0.00 97.00 0.1\n")["rows"] == []


def test_perftest_half_row_is_left_out():
    text = " #bytes #iterations BW peak[Gb/sec] BW average[Gb/sec] MsgRate[Mpps]\n 65536 1000 0.00 97.00 0.1\n 65536 1000 0.00 9"
    assert perftest.read(text)["bw_average_gbps"] == 97.0


def test_perftest_megabytes_are_converted():
    read = perftest.read(" #bytes #iterations BW peak[MB/sec] BW average[MB/sec] MsgRate[Mpps]\n 65536 1000 12000.00 11000.00 0.1\n")
    assert read["bw_average_gbps"] == pytest.approx(92.274688)


def test_perftest_latency_row():
    header = " #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   99% percentile[usec]"
    row = " 2       1000          1.40           1.95         1.48                1.49             0.01            1.60"
    read = perftest.read(f"{header}   99.9% percentile[usec] \n{row}                    1.95   \n")
    assert (read["rows"][0]["t_typical_us"], read["rows"][0]["bw_average_gbps"], read["bw_average_gbps"]) == (1.48, None, None)


def test_perftest_errors():
    assert perftest.read("Couldn't connect to 192.168.100.11:12000\n")["errors"] == ["Couldn't connect to 192.168.100.11:12000"]


def test_nccl_tests_rows_torn_by_log_lines():
    read = nccl_tests.read(sample("nccl_tests.info"))
    assert (read["collective"], read["nccl_version"], read["nccl_version_full"]) == ("all_reduce", "2.30.7", "2.30.7+cuda13.0")
    assert [row["bytes"] for row in read["rows"]] == [1048576, 2097152, 4194304]
    assert read["rows"][0]["out_of_place"] == {"time_us": 150.0, "algbw": 6.99, "busbw": 6.99, "wrong": 0}
    assert read["rows"][0]["in_place"] == {"time_us": 151.0, "algbw": 6.94, "busbw": 6.94, "wrong": 0}
    assert read["rows"][2]["in_place"]["wrong"] is None
    assert (read["transport"], read["complete"], read["errors"], read["worlds"]) == ("IB", True, [], 1)
    assert read["hcas"] == {"desk-a": ["rocep1s0f0", "roceP2p1s0f0"], "desk-b": ["mlx5_0", "mlx5_2"]}
    assert [rank["host"] for rank in read["ranks"]] == ["desk-a", "desk-b"]
    assert read["avg_busbw"] == 10.4767


def test_nccl_tests_half_table_is_not_complete():
    text = sample("nccl_tests.info")
    cut = text[: text.index("     4194304")]
    assert nccl_tests.read(cut)["complete"] is False
    missing_row = "\n".join(line for line in text.splitlines() if not line.startswith("     2097152"))
    assert nccl_tests.read(missing_row)["complete"] is False
    torn = text.replace("   300.00   13.98   13.98       0   299.00   14.03   14.03     N/A", "   300.00   13.98")
    assert nccl_tests.read(torn)["complete"] is False


def test_nccl_tests_socket_on_one_host_is_socket():
    text = sample("nccl_tests.info").replace(
        "desk-b:5102:5102 [0] NCCL INFO Using network IB", "desk-b:5102:5102 [0] NCCL INFO Using network Socket"
    )
    assert nccl_tests.read(text)["transport"] == "Socket"


def test_nccl_tests_two_worlds():
    block = (
        "# nThread 1 nGpus 1 minBytes 8 maxBytes 8 step: 2(factor) warmup iters: 1 iters: 1 agg iters: 1 validation: 1 graph: 0\n"
        "# Using devices\n#  Rank  0 Group  0 Pid   {pid} on {host} device  0 [000f:01:00] NVIDIA GB10\n"
        "           8             2     float    none      -1     1.00    0.00    0.00       0     1.00    0.00    0.00       0\n"
        "# Avg bus bandwidth    : 0\n"
    )
    read = nccl_tests.read(block.format(pid=1, host="desk-a") + block.format(pid=2, host="desk-b"))
    assert read["worlds"] == 2
    assert "2 separate worlds" in read["errors"][0]
    assert [rank["host"] for rank in read["ranks"]] == ["desk-a", "desk-b"]


def test_nccl_tests_repeated_header_of_one_world_is_one_world():
    text = sample("nccl_tests.info")
    read = nccl_tests.read(text + text)
    assert (read["worlds"], len(read["rows"]), read["complete"]) == (1, 6, True)


@pytest.mark.parametrize(
    ("line", "retry", "memory"),
    [
        ("desk-a:1:2 [0] transport/net_ib.cc:9 NCCL WARN NET/IB : Got completion from peer x with status=12 opcode=0", True, False),
        ("desk-a:1:2 [0] NCCL WARN Got completion with status=IBV_WC_RETRY_EXC_ERR(12)", True, False),
        (
            "desk-a:1:2 [0] misc/ibvwrap.cc:1 NCCL WARN Call to ibv_reg_mr_iova2 failed with error Cannot allocate memory errno 12",
            False,
            True,
        ),
        ("mpirun noticed that process rank 1 with PID 0 on node desk-b exited on signal 9 (Killed).", False, False),
    ],
)
def test_nccl_tests_errors(line, retry, memory):
    read = nccl_tests.read(f"{line}\n")
    assert len(read["errors"]) == 1
    assert (read["retry_exceeded"], read["out_of_memory"], read["complete"]) == (retry, memory, False)


def test_nccl_tests_harmless_lines_are_no_errors():
    text = (
        "Authorization required, but no authorization protocol specified\n"
        "desk-a:1:1 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so\n"
        "desk-a:1:1 [0] NCCL INFO NET/IB : GPU Direct RDMA Disabled for HCA 0 'rocep1s0f1'\n"
    )
    assert nccl_tests.read(text)["errors"] == []


@pytest.mark.parametrize("tag", ["", "[1,0]<stdout>: "])
def test_nccl_tests_what_x11_says_in_the_middle_of_a_row(tag):
    lines = sample("nccl_tests.info").splitlines()
    place = next(number for number, line in enumerate(lines) if re.match(r"\s+2097152\s+\d+\s+float", line))
    row = lines[place]
    for cut in range(len(row)):
        torn = [f"{row[:cut]}Authorization required, but no authorization protocol specified", "", row[cut:]]
        read = nccl_tests.read("\n".join(tag + line for line in [*lines[:place], *torn, *lines[place + 1 :]]))
        assert (len(read["rows"]), read["complete"], read["errors"]) == (3, True, []), cut


def test_nccl_tests_host_name_that_begins_with_a_digit():
    read = nccl_tests.read("4440-desk:1:1 [0] NCCL INFO NET/IB : Using [0]rocep1s0f1:1/RoCE [RO]; OOB enP7s7:10.0.0.2<0>\n")
    assert read["hcas"] == {"4440-desk": ["rocep1s0f1"]}


def test_nccl_tests_mpirun_tags():
    text = "\n".join(f"[1,0]<stdout>: {line}" for line in sample("nccl_tests.info").splitlines())
    read = nccl_tests.read(text)
    assert (len(read["rows"]), read["transport"], read["complete"]) == (3, "IB", True)


@pytest.mark.parametrize(
    ("text", "version", "history"),
    [
        ('DGX_SWBUILD_VERSION="7.2.3"\nDGX_OTA_VERSION="7.4.0"\nDGX_OTA_VERSION="7.', None, ["7.4.0"]),
        ('DGX_SWBUILD_VERSION="7.2.3"\nDGX_OTA_VERSION=7.', None, []),
        ('DGX_SWBUILD_VERSION="7.2', None, []),
        ('DGX_SWBUILD_VERSION="7.2.3"\nDGX_OTA_VERSION=""\n', "7.2.3", []),
        ("DGX_SWBUILD_VERSION = '7.2.3' # factory\n", "7.2.3", []),
    ],
)
def test_dgx_release_takes_no_half_of_a_version_for_one(text, version, history):
    read = dgx_release.read(text)
    assert (read["version"], read["ota_history"]) == (version, history)


@pytest.mark.parametrize(
    ("text", "version", "is_open", "arch"),
    [
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.142  Release Build\n", "580.142", True, "aarch64"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.", None, True, "aarch64"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64", None, True, "aarch64"),
        ("NVRM version: NVIDIA UNIX aarch64 Kernel Module  580.142  Tue\n", "580.142", False, "aarch64"),
        ("NVRM version: NVIDIA UNIX aarch64 Kern", None, None, None),
        ("NVRM version: NVIDIA UNIX Open Kernel Module", None, None, None),
        ("NVRM version: NVIDIA UNIX Open Kernel Module 4 aarch64  580.142  Release Build\n", None, None, None),
    ],
)
def test_nvidia_version_of_a_truncated_file(text, version, is_open, arch):
    read = nvidia_version.read(text)
    assert (read["version"], read["open"], read["arch"]) == (version, is_open, arch)


def test_meminfo_without_its_unit_is_a_truncated_number():
    read = meminfo.read("CmaTotal:              0 kB\nMemTotal:       1275")
    assert (read["total_kb"], read["cma_total_kb"]) == (None, 0)


@pytest.mark.parametrize(
    ("text", "present"),
    [
        ("netlink error: Operation not permitted\n", None),
        ("Cannot get module EEPROM information: Operation not supported\n", None),
        ("netlink error: Input/output error\n", False),
        ("\tIdentifier                                : 0x00 (no module present, unknown, or unspecified)\n", False),
        ("\tIdentifier                                : 0x11 (QSFP28)\n", True),
    ],
)
def test_ethtool_module_says_nothing_about_a_cable_that_it_may_not_ask(text, present):
    assert ethtool_module.read(text)["present"] is present


def test_nvidia_smi_csv_one_refused_field_is_not_a_refused_answer():
    read = nvidia_smi_csv.read("name, serial\nNVIDIA GB10, [Insufficient Permissions]\n")
    assert (read["error"], read["records"]) == (None, [{"name": "NVIDIA GB10", "serial": None}])
    assert nvidia_smi_csv.read("Insufficient Permissions\n")["error"] == "Insufficient Permissions"
    assert nvidia_smi_csv.read("bash: nvidia-smi: command not found\n")["rows"] == []


GID = "0000:0000:0000:0000:0000:ffff:c0a8:640a"


@pytest.mark.parametrize(
    "text",
    [
        f"gid[3]={GID} type=RoCE v2\r\n",
        f"GID[3]={GID.upper()} type=RoCE v2  \n",
        f"gid[3]: {GID} type: RoCE v2\n",
        f"/sys/class/infiniband/d/ports/1/gids/3:{GID}\n/sys/class/infiniband/d/ports/1/gid_attrs/types/3:RoCE v2\n",
        "\t\t\tGID[  3]:\t\t::ffff:192.168.100.10, RoCE v2\n",
        f"3: {GID} RoCE v2\n",
        f"mlx5_0  1  3  {GID} 192.168.100.10  v2  fabric0\n",
    ],
)
def test_gids_layouts(text):
    [entry] = gids.read(text)
    assert (entry["index"], entry["gid"], entry["type"], entry["ipv4"]) == (3, GID, "RoCE v2", "192.168.100.10")


def test_gids_leaves_out_what_was_cut_off_or_refused():
    assert gids.read("gid[3]=0000:0000:0000:0000:0000:ff") == []
    assert gids.read(f"gid[3]={GID} type=cat: Invalid argument\n")[0]["type"] is None
    assert gids.read(f"gid[2]={'0000:' * 7}0000 type=\ngid[5]=\n") == []


def test_ibdev2netdev_without_netdev_and_with_loose_blanks():
    assert ibdev2netdev.read("rocep1s0f0 port 1 ==>  (Down)\n") == [{"device": "rocep1s0f0", "port": 1, "netdev": None, "up": False}]
    loose = " rocep1s0f1  port 1  ==>  enp1s0f1np1  (Down) \n"
    assert ibdev2netdev.read(loose) == [{"device": "rocep1s0f1", "port": 1, "netdev": "enp1s0f1np1", "up": False}]
    verbose = "0000:01:00.0 rocep1s0f0 (MT4129 - NVD) CX7 fw 28.45.4028 port 1 (DOWN  ) ==> enp1s0f0np0 (Down)\n"
    assert ibdev2netdev.read(verbose) == [{"device": "rocep1s0f0", "port": 1, "netdev": "enp1s0f0np0", "up": False}]
