"""Outputs as people send them: quoted, coloured, out of a journal or a launcher. They read as they did on the terminal."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import (
    dgx_release,
    grub,
    kernel_log,
    nccl_tests,
    nvidia_smi_q,
    pasted,
    perftest,
)

SAMPLES = Path(__file__).parent / "samples"
Form = Callable[[int, str], str]

FORMS: dict[str, Form] = {
    "a mail's quote": lambda _n, line: f"> {line}".rstrip(),
    "a quote of a quote": lambda _n, line: f">> {line}",
    "a rank": lambda _n, line: f"[rank0]: {line}",
    "srun --label": lambda n, line: f"{n % 2}: {line}",
    "the journal": lambda n, line: f"Nov {26 + n // 60} 10:{n % 60:02d}:09 spark-01 run.sh[{1000 + n}]: {line}",
    "the journal over a month's end": lambda n, line: f"{'Nov 30' if n < 9 else 'Dec  1'} 10:00:09 spark-01 run.sh[77]: {line}",
    "ISO times": lambda n, line: f"2026-11-26T10:{n % 60:02d}:00.123456+01:00 spark-01 run.sh[77]: {line}",
    "times in brackets": lambda n, line: f"[2026-11-26 10:{n % 60:02d}:00] {line}",
    "docker compose": lambda _n, line: f"nccl-1  | {line}",
    "kubectl --prefix": lambda n, line: f"[pod/nccl-worker-{n % 2}/main] {line}",
    "a box": lambda _n, line: f"\u2502 {line}",
    "pdsh": lambda _n, line: f"spark-01: {line}",
    "colours": lambda _n, line: f"\x1b[1;32m{line}\x1b[0m",
    "colours that a log wrote out": lambda _n, line: f"#033[32m{line}#033[0m",
    "mpirun --xml": lambda n, line: f'<stdout rank="{n % 2}">{html.escape(line)}&#010;</stdout>',
    "docker's JSON": lambda _n, line: json.dumps({"log": line + "\n", "stream": "stdout"}),
    "tags of Open MPI 4": lambda n, line: f"[1,{n % 2}]<stdout>:{line}",
    "tags of Open MPI 5": lambda n, line: f"[prterun-spark-01-4711@1,{n % 2}]<stdout>: {line}",
    "tags in a quote": lambda n, line: f"> [1,{n % 2}]<stdout>:{line}",
    "a list of Ansible's": lambda _n, line: f'        "{line}",',
    "logfmt": lambda n, line: f'time=2026-11-26T10:00:{n % 60:02d}Z level=info msg="{line}"',
    "a table": lambda _n, line: f"| {line} |",
    "a log shipper's JSON": lambda _n, line: json.dumps({"host": "a", "message": line}),
    "numbered lines": lambda n, line: f"{n + 1:6d}\t{line}",
    "ts %.s": lambda n, line: f"{1790000000 + n}.123456 {line}",
    "two hosts of pdsh": lambda n, line: f"{('alpha', 'beta')[n % 2]}: {line}",
    "torchrun": lambda n, line: f"[default{n % 2}]:{line}",
    "an indented block": lambda _n, line: f"    {line}",
}


def formed(text: str, form: Form) -> str:
    return "".join(f"{form(number, line)}\n" for number, line in enumerate(text.splitlines()))


@pytest.mark.parametrize("name", FORMS)
def test_a_run_of_nccl_reads_alike_behind_every_front(name: str) -> None:
    text = (SAMPLES / "nccl_tests.info.txt").read_text(encoding="utf-8")
    wanted = nccl_tests.read(text)
    assert wanted["complete"] and wanted["transport"] == "IB"
    found = nccl_tests.read(formed(text, FORMS[name]))
    for key in ("rows", "ranks", "avg_busbw", "transport", "hcas", "complete", "errors", "signs", "worlds", "nccl_version", "collective"):
        assert found[key] == wanted[key], key


@pytest.mark.parametrize("name", [name for name in FORMS if "tags" not in name])
def test_a_run_of_perftest_reads_alike_behind_every_front(name: str) -> None:
    text = (SAMPLES / "perftest.two_runs.txt").read_text(encoding="utf-8")
    wanted = perftest.read(text)
    assert wanted["rows"]
    found = perftest.read(formed(text, FORMS[name]))
    for key in ("rows", "bw_average_gbps", "device", "mtu", "gid_index", "errors"):
        assert found[key] == wanted[key], key


def test_colours_hide_nothing_from_any_reader() -> None:
    assert (
        dgx_release.read("\x1b[32mDGX_OTA_VERSION\x1b[0m=\x1b[1m7.6.0\x1b[0m\n\x1b]0;title\x07DGX_SWBUILD_VERSION=7.2.3\n")["version"]
        == "7.6.0"
    )
    assert dgx_release.read("#033[32mDGX_OTA_VERSION=7.6.0^[[0m\n")["version"] == "7.6.0"


def test_digits_of_another_script_are_no_numbers_of_a_front() -> None:
    """Sixty of them were sixty numbers side by side, and a line of ninety digits had no end of ways to be split among them."""
    front = "spark-" + "\u0663" * 6 + ": "
    lines = [f"{front}# nThread 1", f"{front}# Collective test starting: all_gather_perf", "spark-" + "1" * 40]
    assert pasted.without_fronts(lines, nccl_tests._ANCHOR) == ["# nThread 1", "# Collective test starting: all_gather_perf", lines[2]]


def test_what_stands_before_one_line_alone_is_no_front() -> None:
    lines = ["1048576 #  Rank  0", "  x", "# nThread 1"]
    assert pasted.without_fronts(lines, nccl_tests._ANCHOR) == lines
    half = ["     8388608        131072     float    none      -1 #", "     8388609        131073     float    none      -1 #"]
    assert pasted.without_fronts(half, nccl_tests._ANCHOR) == half


@pytest.mark.parametrize(
    "line", ["<b>bold</b>", "<stdout>", "a <std b", '{"log": 1}', '{"log"', '{"', "[1]", "\x1b", "<stdoutx rank='0'>a</stdoutx>"]
)
def test_what_only_looks_like_a_form_stays_text(line: str) -> None:
    assert all(isinstance(item, str) for item in pasted.bare([line]))


HUMAN = """\
[Nov26 09:58] Linux version 6.17.0-1032-nvidia
[  +0.000005] Command line: BOOT_IMAGE=/vmlinuz
[  +5.000000] cx7-pcie-hotplug MTKP0001:00: Hotplug enabled
[  +2.000000] cx7-pcie-hotplug MTKP0001:00: Cable plugin
"""
PLUG = "cx7-pcie-hotplug MTKP0001:00: Cable plugin\n"


@pytest.mark.parametrize(
    ("more", "after"),
    [
        ("", False),
        (f"[Nov26 09:59] {PLUG}", False),  # it may have been some seconds
        (f"[Nov26 10:30] {PLUG}", True),
        (f"[  +0.5] x\n[ +90.000000] y\n[  +1.000000] {PLUG}", True),
        (f"[Nov27 00:00] {PLUG}", True),
        (f"[Jan01 00:00] {PLUG}", True),
        (f"[  +1.000000] {PLUG}", False),
    ],
)
def test_times_as_dmesg_tells_them_to_people(more: str, after: bool) -> None:
    assert kernel_log.read(HUMAN + more)["plugged_after_boot"] is after


@pytest.mark.parametrize("day", ["Thu ", "Do ", "jeu. ", "\u0447\u0442 ", ""])
def test_times_of_dmesg_in_any_language(day: str) -> None:
    text = f"[{day}Nov 26 09:58:00 2026] x\n[{day}Nov 26 09:58:05 2026] cx7-pcie-hotplug MTKP0001:00: Hotplug enabled\n"
    assert kernel_log.read(f"{text}[{day}Nov 26 09:58:09 2026] {PLUG}")["plugged_after_boot"] is False
    assert kernel_log.read(f"{text}[{day}Nov 26 12:58:09 2026] {PLUG}")["plugged_after_boot"] is True


START, CABLE = "cx7-pcie-hotplug MTKP0001:00: Hotplug enabled", "cx7-pcie-hotplug MTKP0001:00: Cable plugin"
LOGS: dict[str, Callable[[int, str], str]] = {
    "dmesg": lambda at, line: f"[{at:12.6f}] {line}",
    "dmesg -r": lambda at, line: f"<6>[{at:12.6f}] {line}",
    "a quote": lambda at, line: f"> [{at:12.6f}] {line}",
    "colours": lambda at, line: f"\x1b[32m[{at:12.6f}] \x1b[0m\x1b[33m{line}\x1b[0m",
    "kern.log": lambda at, line: f"Nov 26 10:00:00 spark-01 kernel: [{at:12.6f}] {line}",
    "callers": lambda at, line: f"[{at:12.6f}][    T{at}] {line}",
    "/dev/kmsg": lambda at, line: f"6,{at},{at * 1000000},-;{line}",
    "syslog of RFC 5424": lambda at, line: (
        f"<6>1 2026-11-26T{9 + at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}Z spark-01 kernel - - - {line}"
    ),
    "dmesg -T in a box": lambda at, line: f"\u2502 [Do Nov 26 {9 + at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d} 2026] {line}",
}


@pytest.mark.parametrize("name", LOGS)
def test_a_cable_plugged_after_the_boot_behind_every_front(name: str) -> None:
    def log(*lines: tuple[int, str]) -> str:
        return "".join(f"{LOGS[name](at, line)}\n" for at, line in lines)

    boot = ((0, "Linux version 6.17.0"), (5, START), (7, CABLE), (9, "x"))
    assert kernel_log.read(log(*boot))["plugged_after_boot"] is False
    assert kernel_log.read(log(*boot, (9000, CABLE)))["plugged_after_boot"] is True


MENU = """\
set default="${saved_entry}"
function gfxmode {
\tset gfxpayload="${1}"
}
if [ "${recordfail}" = 1 ]; then
  set timeout=30
fi
menuentry 'DGX OS GNU/Linux' --class ubuntu --class os $menuentry_id_option 'gnulinux-simple-1f2e' {
\trecordfail
\tlinux\t/boot/vmlinuz-6.17.0-1032-nvidia root=UUID=1f2e ro quiet
\tinitrd\t/boot/initrd.img-6.17.0-1032-nvidia
}
submenu 'Advanced options for DGX OS GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1f2e' {
\tmenuentry 'DGX OS GNU/Linux, with Linux 6.17.0-1032-nvidia' --class os $menuentry_id_option 'gnulinux-6.17.0-1032-advanced' {
\t\tlinux\t/boot/vmlinuz-6.17.0-1032-nvidia root=UUID=1f2e ro quiet
\t}
\tmenuentry 'DGX OS GNU/Linux, with Linux 6.17.0-1032-nvidia (recovery mode)' --class os $menuentry_id_option 'x-recovery' {
\t\tlinux\t/boot/vmlinuz-6.17.0-1032-nvidia root=UUID=1f2e ro recovery
\t}
\tmenuentry 'DGX OS GNU/Linux, with Linux 6.17.0-1021-nvidia' --class os --id old-one {
\t\tlinux\t/vmlinuz-6.17.0-1021-nvidia root=UUID=1f2e ro quiet
\t}
}
menuentry "UEFI Firmware Settings" $menuentry_id_option "uefi-firmware" {
\tfwsetup
}
"""


@pytest.mark.parametrize(
    ("entry", "release"),
    [
        ("0", "6.17.0-1032-nvidia"),
        ("1", "6.17.0-1032-nvidia"),
        ("1>0", "6.17.0-1032-nvidia"),
        ("1>2", "6.17.0-1021-nvidia"),
        ("Advanced options for DGX OS GNU/Linux>2", "6.17.0-1021-nvidia"),
        ("gnulinux-advanced-1f2e>old-one", "6.17.0-1021-nvidia"),
        ("old-one", None),
        ("2", None),
        ("1>9", None),
        ("7", None),
    ],
)
def test_entries_of_the_menu_by_number_title_and_id(entry: str, release: str | None) -> None:
    menu = grub.menu(MENU)
    assert [len(item["entries"] or []) for item in menu] == [0, 3, 0]
    assert grub.of_menu(entry, menu) == release
    if entry in ("2", "1>9", "1>2"):
        told, reason = grub.next_release(["6.17.0-1032-nvidia"], {"default": entry}, {}, menu)
        assert told == release and (reason is None) is (release is not None)


def test_a_menu_that_was_not_readable_is_told_as_that() -> None:
    told, reason = grub.next_release(["6.17.0-1032-nvidia"], {"default": "1>2"}, {}, [])
    assert told is None and "/boot/grub/grub.cfg) could not be read" in str(reason)


STATUS = """\
Attached GPUs                             : 1
GPU 0000000F:01:00.0
    Product Name                          : NVIDIA GB10
    GPU Reset Status
        Reset Required                    : {required}
        Drain and Reset Recommended       : {drain}
    GPU Recovery Action                   : {action}
"""


@pytest.mark.parametrize(
    ("required", "drain", "kind"),
    [
        ("No", "Yes", "Drain and Reset"),
        ("Yes", "No", "Reset"),
        ("No", "No", None),
        ("Requested functionality has been deprecated", "Requested functionality has been deprecated", None),
        ("N/A", "N/A", None),
    ],
)
def test_a_reset_that_is_recommended(required: str, drain: str, kind: str | None) -> None:
    text = "Driver Version                            : 580.178.04\n" + STATUS.format(required=required, drain=drain, action="None")
    for form in (lambda _n, line: line, FORMS["a mail's quote"], FORMS["colours"], FORMS["ISO times"], FORMS["a list of Ansible's"]):
        [gpu] = nvidia_smi_q.read(formed(text, form))["gpus"]
        assert gpu["reset_kind"] == kind and gpu["recovery_action"] == "None"


@pytest.mark.parametrize("day", ["jeu. nov. 26", "jeu. déc. 3", "Do Dez  3", "Mi Mai  6", "to joulu  3", "四 11月 26", "чт дек  3"])
def test_the_month_of_a_readable_time_is_in_the_desks_language(day: str) -> None:
    start = f"[{day} 10:00:03 2026] cx7-pcie-hotplug MTKP0001:00: Hotplug enabled\n"
    plug = "cx7-pcie-hotplug MTKP0001:00: Cable plugin\n"
    assert kernel_log.read(f"{start}[{day} 10:00:30 2026] {plug}")["plugged_after_boot"] is False
    assert kernel_log.read(f"{start}[{day} 12:00:30 2026] {plug}")["plugged_after_boot"] is True
