# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of users in the kernel log, which prints names and paths as they are, line ends included: they are no events and take none back."""

from __future__ import annotations

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import TOO_LARGE, Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect

from .fake_desk import FakeDesk, healthy

LOG = "journalctl -k -b -o short-monotonic --no-pager"
HOST = "spark-a1b2 kernel: "
WORDS = (
    "NVRM: Xid (PCI:000f:01:00): 79, GPU has fallen off the bus.",
    "NVRM: Xid (PCI:000f:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)",
    "NVRM: GPU 000f:01:00.0: RmInitAdapter failed! (0x62:0x65:2028)",
    "NVRM: nvCheckOkFailedNoLog: Check failed: Out of memory [NV_ERR_NO_MEMORY] (0x00000051)",
    "nvidia: probe of 000f:01:00.0 failed with error -1",
    "nvidia: version magic '6.17.0' should be '6.18.0'",
    "mlx5_core 0000:01:00.0: device's health compromised - reached fatal error",
    "mlx5_core 0000:01:00.0: Port module event[error]: module 0, Cable error, High Temperature",
    "mlx5_core 0000:01:00.0: Port module event: module 0, Cable plugged",
    "cx7-pcie-hotplug MTKP0001:00: Cable plugin",
    "pcieport 0000:00:00.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction Layer",
    "watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [x:1]",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "Loading of unsigned module is rejected",
    "systemd-modules-load[300]: Failed to insert module 'nvidia': Key was rejected by service",
)
"""What the kernel says of each kind of trouble."""

IN = " " * len(f"[ 9000.000000] {HOST}")
GROUP = "/user.slice/user-1001.slice/user@1001.service/"
JSON = '{{"MESSAGE":"[ 9.0] {0}"}}'
PLACES = {
    "the name of a control group": f"[ 9000.000000] {HOST}Tasks in {GROUP}{{0}}",
    "the same behind words of its own": f"[ 9000.000000] {HOST}Tasks in {GROUP}x [ 9.0] {{0}}",
    "a path's second line": f"[ 9000.000000] {HOST}process 'a' launched '/tmp/x\n{IN}{{0}}\n{IN}z' with NULL argv: empty string added",
    "a whole record in a path": f"[ 9000.000000] {HOST}process 'a' launched '/tmp/x\n{IN}[ 9000.000001] {HOST}{{0}}\n{IN}z' with NULL argv",
    "a record in JSON in a path": f"[ 9000.000000] {HOST}process 'a' launched '/x\n{IN}{JSON}\n{IN}z' with NULL argv",
    "fronts in a path": f"[ 9000.000000] {HOST}process 'a' launched '/x\n{IN}a: [ 9000.0] {{0}}\n{IN}a: [ 9001.0] {{0}}\n{IN}z'",
    "a program's name": f"[ 9000.000000] {HOST}{{1}}[812]: segfault at 0 ip 0000000000400 sp 0000ffff error 4 in {{2}}[400000+1000]",
    "a program without memory": f"[ 9000.000000] {HOST}{{1}}: page allocation failure: order:0, mode:0xcc0, nodemask=(null),cpuset={{2}}",
    "a program's name of two lines": f"[ 9000.000000] {HOST}NVRM: a\n{IN}b[812]: segfault at 0 ip 0 sp 0 error 4 in {{0}}[400000+1000]",
    "the program of an Xid": f"[ 9000.000000] {HOST}NVRM: API mismatch: the client '{{1}}' has the version {{0}}, but",
}


def with_lines(*lines: str) -> FakeDesk:
    desk = healthy()
    desk.commands[LOG] += "".join(f"{line}\n" for line in lines)
    return desk


def told(desk: FakeDesk) -> tuple[object, ...]:
    facts = collect(desk)
    return facts.kernel.events, facts.cx7.plugged_after_boot, facts.cx7.plug_events


@pytest.mark.parametrize("words", WORDS)
def test_the_kernels_own_record_of_each_trouble_counts(words: str) -> None:
    assert told(with_lines(f"[ 9000.000000] {HOST}{words}")) != told(healthy())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("words", WORDS)
def test_words_of_a_user_in_the_kernel_log_are_no_events(words: str, place: str) -> None:
    assert told(with_lines(PLACES[place].format(words, words[:15], words[15:]))) == told(healthy())


@pytest.mark.parametrize(
    "words",
    [
        "NVRM: renamed from RmInitAdapter",
        "NVRM: port 1(GSP-CrashCat) entered blocking state",
        "oom-kill: renamed from x",
        "oom-kill: left promiscuous mode",
        "NVRM: link becomes ready",
    ],
)
def test_the_name_of_an_interface_is_its_users(words: str) -> None:
    assert told(with_lines(f"[ 9000.000000] {HOST}{words}")) == told(healthy())


XID = f"[  300.000000] {HOST}{WORDS[0]}"
OTHERS = [f"[  {400 + number / 1000:.6f}] {HOST}zzzzzzzzzzzzzza: renamed from zzzzzzzzzzzzzzb" for number in range(3000)]


@pytest.mark.parametrize("newest", [True, False])
def test_a_log_that_is_longer_than_an_answer_keeps_its_begin_and_its_newest_lines(newest: bool) -> None:
    desk = healthy()
    begin = [] if newest else [XID]
    cut = "\n".join([f"[    0.000000] {HOST}Booting Linux", *begin, *OTHERS, f"[  500.000000] {HOST}cut in the mid"])
    desk.commands[LOG] = Answer(tuple(LOG.split(" ")), -9, cut, "", TOO_LARGE)
    late = ["[  600.000000] mlx5_core 0000:01:00.0: Port module event: module 0, Cable plugged", f"[  700.000000] {WORDS[0]}"]
    desk.commands["dmesg"] = "".join(f"{line.replace(HOST, '')}\n" for line in [*OTHERS[-9:], *(late if newest else ())])
    facts = collect(desk)
    assert facts.kernel.events.xids == {"79": 1}
    assert "longer than 8 MiB" in facts.unread["kernel.events"]
    assert facts.cx7.plugged_after_boot is (True if newest else None)
    assert newest or "longer than 8 MiB" in facts.unread["cx7.plugged_after_boot"]


def test_what_both_ends_of_a_long_log_have_counts_once() -> None:
    desk = healthy()
    desk.commands[LOG] = Answer(tuple(LOG.split(" ")), -9, "\n".join([XID, *OTHERS[:9], ""]), "", TOO_LARGE)
    desk.commands["dmesg"] = "".join(f"{line.replace(HOST, '')}\n" for line in [XID, *OTHERS[:20]])
    assert collect(desk).kernel.events.xids == {"79": 1}


@pytest.mark.parametrize("name", ["GPU is lost", "RmInitAdapter", "Out of memory", "marked for r, a", "a\nGPU is lost"])
def test_the_program_that_an_xid_names_says_nothing_of_the_gpu(name: str) -> None:
    shown = name.replace("\n", f"\n{IN}")
    events = collect(with_lines(f"[ 9000.000000] {HOST}NVRM: Xid (PCI:000f:01:00): 31, pid=7, name={shown}, Ch 00000008")).kernel.events
    assert (events.xids, events.gpu_failures, events.gpu_memory_errors) == ({"31": 1}, (), 0)


def test_a_user_takes_no_error_of_the_adapter_back() -> None:
    fatal = f"[ 9000.000000] {HOST}pcieport 0000:00:00.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=Transaction Layer"
    well = "0000:00:00.0: AER: device recovery successful"
    desk = with_lines(fatal, PLACES["the name of a control group"].format(well), f"{IN}pcieport {well}")
    assert [item.kind for item in collect(desk).kernel.events.pcie_errors] == ["fatal"]
    assert [item.kind for item in collect(with_lines(fatal, f"[ 9001.0] {HOST}pcieport {well}")).kernel.events.pcie_errors] == [
        "fatal",
        "recovered",
    ]


@pytest.mark.parametrize("host", [HOST, ""])
@pytest.mark.parametrize(
    ("first", "more"),
    [
        (
            "NVRM: The NVIDIA GPU 000f:01:00.0 (PCI ID: 10de:2e12)",
            ("NVRM: installed in this system requires use of the NVIDIA open kernel modules.",),
        ),
        (
            "NVRM: The NVIDIA GPU 000f:01:00.0",
            ("NVRM: (PCI ID: 10de:2e12) installed in this system has", "NVRM: fallen off the bus and is not responding to commands."),
        ),
    ],
)
def test_what_the_driver_says_in_several_lines_is_one_record(first: str, more: tuple[str, ...], host: str) -> None:
    start = f"[ 9000.000000] {host}"
    desk = healthy()
    record = f"{start}{first}\n" + "".join(f"{' ' * len(start)}{line}\n" for line in more)
    desk.commands[LOG] = f"[    0.000000] {host}Linux version 6.17.0-1014-nvidia\n{record}[ 9001.000000] {host}usb 1-1: new device\n"
    [line] = collect(desk).kernel.events.gpu_failures
    assert line.startswith(f"{start}{first}") and line.endswith(more[-1])


@pytest.mark.parametrize("put", ["> {}", "    {}", "{}"])
def test_a_log_that_somebody_quoted_or_set_in_is_read_all_the_same(put: str) -> None:
    lines = ("[    0.000000] Linux version 6.17.0", "[    5.000000] cx7-pcie-hotplug M: Hotplug enabled", f"[ 9000.000000] {WORDS[0]}")
    desk = healthy()
    desk.commands[LOG] = "".join(put.format(line) + "\n" for line in lines)
    assert collect(desk).kernel.events.xids == {"79": 1}
