# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts as people paste them and as other versions of the tools print them. Values are made up."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import (
    dgx_release,
    grub,
    ip_route,
    kernel_errors,
    kernel_log,
    nccl_failures,
    nccl_tests,
    nvidia_smi_csv,
    perftest,
)

RELEASE = """DGX_NAME="DGX Spark"
DGX_SWBUILD_VERSION="7.2.3"
DGX_PLATFORM="DGX Server for KVM"
DGX_SERIAL_NUMBER="1581225000001"
DGX_OTA_VERSION="7.4.0"
DGX_OTA_VERSION="7.6.0"
"""


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", " ", "; "])
def test_a_release_file_with_any_end_of_line(end: str) -> None:
    text = end.join(RELEASE.splitlines())
    read = dgx_release.read(text)
    assert (read["version"], read["factory_version"], read["ota_history"]) == ("7.6.0", "7.2.3", ["7.4.0", "7.6.0"])
    assert (read["name"], read["platform"], dgx_release.serial_number(text)) == ("DGX Spark", "DGX Server for KVM", "1581225000001")


def test_two_keys_on_some_lines_and_a_comment_behind_a_value() -> None:
    text = 'DGX_NAME="DGX Spark"\nDGX_SWBUILD_VERSION="7.2.3" DGX_PLATFORM="x"\nDGX_OTA_VERSION=7.5.0 # by hand\n#DGX_OTA_VERSION=9.9.9\n'
    read = dgx_release.read(text)
    assert (read["version"], read["factory_version"], read["platform"]) == ("7.5.0", "7.2.3", "x")


def test_a_column_title_with_a_note_is_a_title() -> None:
    head = "name, driver_version [Deprecated; will be removed. Use kmd_version instead], power.draw [W]"
    read = nvidia_smi_csv.read(f"{head}\nNVIDIA GB10, 610.57.04, 4.20 W\n")
    assert read["records"] == [{"name": "NVIDIA GB10", "driver_version": "610.57.04", "power.draw": 4.2}]


@pytest.mark.parametrize(
    "text",
    [
        "default proto static\n\tnexthop via 192.0.2.1 dev enP7s7 weight 1\n\tnexthop via 192.0.2.65 dev enp1s0f0np0 weight 1\n",
        '[{"dst":"default","nexthops":[{"gateway":"192.0.2.1","dev":"enP7s7"},{"gateway":"192.0.2.65","dev":"enp1s0f0np0"}]}]',
    ],
)
def test_a_route_with_two_next_hops_is_two_routes(text: str) -> None:
    told = [(item["destination"], item["netdev"], item["gateway"]) for item in ip_route.read(text)]
    assert told == [("default", "enP7s7", "192.0.2.1"), ("default", "enp1s0f0np0", "192.0.2.65")]


def test_the_kind_before_a_destination() -> None:
    text = "local 192.0.2.5 dev enP7s7 scope host\nbroadcast 192.0.2.255 dev enP7s7\nunreachable 198.51.100.0/24 dev lo\nthrow default\n"
    assert [item["destination"] for item in ip_route.read(text)] == ["192.0.2.5/32", "192.0.2.255/32"]
    assert ip_route.read('[{"type":"unreachable","dst":"198.51.100.0/24","dev":"lo"}]') == []


def test_a_route_that_leads_nowhere_is_kept_and_is_no_default_route() -> None:
    """As Linux 6 writes ``blackhole 192.168.100.0/26``, ``unreachable 192.168.101.0/24`` and a default of each."""
    nowhere = ("0064A8C0 {0} 0001 {0} C0FFFFFF", "0065A8C0 {0} 0201 {0} 00FFFFFF", "{0} {0} 0001 {0} {0}", "{0} {0} 0201 {0} {0}")
    lines = [line.format("00000000").split() for line in nowhere]
    text = "Iface\tDestination\n" + "".join(f"*\t{to}\t{way}\t{flags}\t0\t0\t0\t{mask}\t0\t0\t0\n" for to, way, flags, _way, mask in lines)
    assert [(item["destination"], item["netdev"]) for item in ip_route.read(text)] == [("192.168.100.0/26", "*"), ("192.168.101.0/24", "*")]


def test_a_comment_behind_a_grub_setting() -> None:
    assert grub.read("GRUB_DEFAULT=0 # the newest\n")["default"] == "0"
    assert grub.read("GRUB_DEFAULT='a>b, with Linux 7.0.0-1019-nvidia' # pinned\n")["default"] == "a>b, with Linux 7.0.0-1019-nvidia"


@pytest.mark.parametrize("entry", ["1>0", "gnulinux-advanced-0a1b", "gnulinux-simple-0a1b"])
def test_an_entry_that_starts_the_highest_kernel(entry: str) -> None:
    assert grub.next_release(["7.0.0-1021-nvidia", "7.0.0-1019-nvidia"], {"default": entry}, {}) == ("7.0.0-1021-nvidia", None)


def test_a_completion_status_without_a_dash() -> None:
    assert perftest.read(" Failed status remote access error (10): wr_id 0 syndrom 0x88")["completion_statuses"] == [10]


def test_mpirun_with_time_stamps_alone() -> None:
    plain = "# Collective test starting: all_gather_perf\n#  Rank  0 Group  0 Pid 7 on a-1 device  0 [0f:01:00] NVIDIA GB10\n"
    stamped = "".join(f"Thu Nov  5 10:00:00 2026<stdout>:{line}\n" for line in plain.splitlines())
    read = nccl_tests.read(stamped)
    assert (read["collective"], [rank["host"] for rank in read["ranks"]]) == ("all_gather", ["a-1"])


@pytest.mark.parametrize(
    ("line", "sign"),
    [
        ("signal 9 (Killed).", "killed"),
        ("/bin/sh: 1: orted: not found", "program"),
        ("sh: line 1: prted: not found", "program"),
        ("fish: Unknown command: orted", "program"),
        ("./all_gather_perf: cannot execute binary file: Exec format error", "foreign_program"),
        ("./all_gather_perf: symbol lookup error: ./all_gather_perf: undefined symbol: ncclMemAlloc", "library"),
        ("./all_gather_perf: /lib/libc.so.6: version `GLIBC_2.41' not found (required by ./all_gather_perf)", "newer_system"),
        ("@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @", "host_key"),
        ("a:1:1 [0] p.cc:1 NCCL WARN Failed to initialize any NET plugin", "no_device"),
        ("a:1:1 [0] p.cc:1 NCCL WARN NET/IB : rocep1s0f0:1 Got non-fatal async event: GID table change(18)", "gid_changed"),
        ("a:1:1 [0] p.cc:1 NCCL WARN NET/IB : rocep1s0f0:1 Got async event : local catastrophic error", "fatal_event"),
        ("Open MPI detected an inbound MPI TCP connection request from a peer", "docker0"),
    ],
)
def test_signs_in_other_words(line: str, sign: str) -> None:
    assert [item["sign"] for item in nccl_failures.of_line(line)] == [sign]


@pytest.mark.parametrize("line", ["the signal 9 (strong)", "network ib: not found yet", "a non-fatal async event: client reregistration"])
def test_lines_that_are_no_sign(line: str) -> None:
    assert nccl_failures.of_line(line) == []


@pytest.mark.parametrize(
    ("first", "later", "soon"),
    [
        ("kern  :info  : [    5.200110]", "kern  :info  : [ 7205.300000]", "kern  :info  : [    9.300000]"),
        ("[    5.200110 <    0.000000>]", "[ 7205.300000 < 7200.099890>]", "[    9.300000 <    4.099890>]"),
        (
            "Thu 2026-11-26 10:00:03 UTC desk kernel:",
            "Thu 2026-11-26 12:00:03 UTC desk kernel:",
            "Thu 2026-11-26 10:00:09 UTC desk kernel:",
        ),
        ("1764151200.123456 desk kernel:", "1764158400.123456 desk kernel:", "1764151205.123456 desk kernel:"),
    ],
)
def test_a_cable_plugged_after_the_boot_in_other_forms_of_the_log(first: str, later: str, soon: str) -> None:
    start, plug = "cx7-pcie-hotplug M: PCIe hotplug driver initialized", "cx7-pcie-hotplug M: Cable plugin"
    assert kernel_log.read(f"{first} {start}\n{later} {plug}\n")["plugged_after_boot"] is True
    assert kernel_log.read(f"{first} {start}\n{soon} {plug}\n")["plugged_after_boot"] is False


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("desk systemd-modules-load[300]: Failed to insert module 'nvidia': Key was rejected by service", 1),
        ("modprobe: ERROR: could not insert 'nvidia_uvm': Key was rejected by service", 1),
        ("modprobe: ERROR: could not insert 'vboxdrv': Key was rejected by service", 0),
        ("desk systemd-modules-load[300]: Failed to insert module 'vmmon': Required key not available", 0),
    ],
)
def test_the_refused_module_of_another_maker_is_not_the_drivers(line: str, count: int) -> None:
    assert len(kernel_errors.read(f"[    9.000000] {line}\n")["refused_modules"]) == count
