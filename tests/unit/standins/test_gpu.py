"""nvidia-smi, modinfo, lsmod, nvcc and nvidia-ctk answer as a GB10 does."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .conftest import PaperDesk

Read = Callable[[str], str]


def driver(paper: PaperDesk, version: str) -> None:
    paper.data["model"]["driver"].update(version=version, module_version=version, gsp_version=version)


def test_table_has_the_real_layout(paper: PaperDesk, transcript: Read) -> None:
    real = transcript("nvidia-smi.580.159.03.txt").splitlines()
    driver(paper, "580.159.03")
    paper.data["model"]["gpu"].update(temperature=33, power_w=4.1)
    mine = paper.run("nvidia-smi").stdout.splitlines()
    # From the first rule to the head of the process list; after it come the processes of that machine.
    assert mine[1:18] == real[1:18]


def test_table_says_not_supported_for_memory(paper: PaperDesk) -> None:
    answer = paper.run("nvidia-smi")
    assert answer.returncode == 0
    assert "| Not Supported          |" in answer.stdout
    assert re.search(r"NVIDIA GB10 +On +\|", answer.stdout)


def test_table_width_is_constant(paper: PaperDesk) -> None:
    paper.data["processes"] = [{"pid": 4711, "name": "python3", "mib": 20480, "type": "C"}]
    lines = paper.run("nvidia-smi").stdout.splitlines()[1:]
    assert {len(line) for line in lines if line} == {91}


@pytest.mark.parametrize(
    ("file", "version", "query", "layout"),
    [
        ("nvidia-smi-query.name-mem-driver.csv", "580.126.09", "name,memory.total,driver_version", "csv,noheader"),
        ("nvidia-smi-query.name-driver.580.178.04.csv", "580.178.04", "name,driver_version", "csv,noheader"),
        (
            "nvidia-smi-query.index-bus-cc.csv",
            "580.142",
            "index,gpu_name,pci.bus_id,driver_version,compute_cap,memory.total",
            "csv,noheader",
        ),
        ("nvidia-smi-query.mem-temp-power.csv", "580.142", "name,memory.total,memory.free,memory.used,temperature.gpu,power.draw", "csv"),
    ],
)
def test_queries_equal_the_transcripts(paper: PaperDesk, transcript: Read, file: str, version: str, query: str, layout: str) -> None:
    driver(paper, version)
    paper.data["model"]["gpu"].update(temperature=39, power_w=3.74)
    answer = paper.run("nvidia-smi", f"--query-gpu={query}", f"--format={layout}")
    assert answer.stdout == transcript(file)
    assert answer.returncode == 0


def test_query_by_hand(paper: PaperDesk) -> None:
    answer = paper.run("nvidia-smi", "--query-gpu=index,memory.total,clocks.max.sm,power.limit", "--format=csv,noheader,nounits")
    assert answer.stdout == "0, [N/A], 3003, [N/A]\n"


def test_unknown_field_is_refused(paper: PaperDesk) -> None:
    answer = paper.run("nvidia-smi", "--query-gpu=name,shoe_size", "--format=csv")
    assert answer.returncode == 2
    assert 'Field "shoe_size" is not a valid field to query.' in answer.stdout


def test_version_equals_the_transcript(paper: PaperDesk, transcript: Read) -> None:
    driver(paper, "580.142")
    assert paper.run("nvidia-smi", "--version").stdout == transcript("nvidia-smi-version.580.142.txt")


def test_long_query_has_the_lines_of_the_transcript(paper: PaperDesk, transcript: Read) -> None:
    driver(paper, "580.178.04")
    mine = paper.run("nvidia-smi", "-q").stdout.splitlines()
    for line in transcript("nvidia-smi-q.fragment.txt").splitlines():
        assert line in mine


def test_compute_processes(paper: PaperDesk, transcript: Read) -> None:
    paper.data["processes"] = [
        {"pid": 3150, "name": "python3", "mib": 218},
        {"pid": 6330, "name": "sglang::scheduler", "mib": 96073},
    ]
    answer = paper.run("nvidia-smi", "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader,nounits")
    assert answer.stdout == transcript("nvidia-smi-compute-apps.csv")


def test_graphics_clients_are_no_compute_processes(paper: PaperDesk) -> None:
    paper.data["processes"] = [{"pid": 12, "name": "Xorg", "mib": 30, "type": "G"}]
    assert paper.run("nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader").stdout == ""


@pytest.mark.parametrize(
    ("fault", "params", "code", "text"),
    [
        ("driver_missing", {}, 9, "couldn't communicate with the NVIDIA driver"),
        ("driver_mismatch", {}, 18, "Failed to initialize NVML: Driver/library version mismatch"),
        ("gsp_mismatch", {}, 6, "No devices were found"),
        ("gpu_not_found", {"rc": 0}, 0, "No devices were found"),
        ("driver_proprietary", {}, 6, "No devices were found"),
    ],
)
def test_faults_of_the_driver(paper: PaperDesk, fault: str, params: dict[str, int], code: int, text: str) -> None:
    paper.data["faults"] = {fault: params}
    answer = paper.run("nvidia-smi", "--query-gpu=name", "--format=csv")
    assert answer.returncode == code
    assert text in answer.stdout


def test_no_module_text_equals_the_transcript(paper: PaperDesk, transcript: Read) -> None:
    paper.data["faults"] = {"driver_missing": {}}
    assert paper.run("nvidia-smi").stdout.strip() == transcript("nvidia-smi.fail-no-module.txt").strip()


def test_user_space_follows_dpkg(paper: PaperDesk) -> None:
    """An upgrade of the packages without a reboot is a mismatch: user space is new, the module is the old one."""
    paper.folder.joinpath("dpkg-status").write_text(
        "Package: nvidia-utils-580\nStatus: install ok installed\nVersion: 580.178.04-0ubuntu0.24.04.1\n\n", encoding="utf-8"
    )
    run = paper.folder / "run"
    run.mkdir()
    (run / "module_version").write_text("580.159.03\n", encoding="ascii")
    answer = paper.run("nvidia-smi")
    assert answer.returncode == 18


def test_modinfo_has_the_fields_of_the_transcript(paper: PaperDesk, transcript: Read) -> None:
    driver(paper, "580.142")
    paper.data["model"]["kernel"] = "6.17.0-1014-nvidia"
    mine = paper.run("modinfo", "nvidia").stdout.splitlines()
    for line in transcript("modinfo-nvidia.580.142.txt").splitlines():
        if line.startswith("srcversion:"):
            assert any(re.fullmatch(r"srcversion:     [0-9A-F]{23}", own) for own in mine)
        else:
            assert line in mine


def test_licence_tells_open_from_proprietary(paper: PaperDesk, transcript: Read) -> None:
    assert paper.run("modinfo", "-F", "license", "nvidia").stdout == transcript("modinfo-F-license.open.txt")
    paper.data["faults"] = {"driver_proprietary": {}}
    assert paper.run("modinfo", "-F", "license", "nvidia").stdout == "NVIDIA\n"


def test_modinfo_without_module(paper: PaperDesk) -> None:
    paper.data["faults"] = {"driver_missing": {}}
    answer = paper.run("modinfo", "nvidia")
    assert (answer.returncode, answer.stderr) == (1, "modinfo: ERROR: Module nvidia not found.\n")


def test_lsmod_rows(paper: PaperDesk, transcript: Read) -> None:
    rows = [" ".join(line.split()) for line in paper.run("lsmod").stdout.splitlines()]
    for line in transcript("lsmod-nvidia.txt").splitlines():
        assert " ".join(line.split()) in rows
    paper.data["faults"] = {"driver_missing": {}}
    assert "nvidia" not in paper.run("lsmod").stdout


def test_nvcc_equals_the_transcript(paper: PaperDesk, transcript: Read) -> None:
    assert paper.run("nvcc", "--version").stdout == transcript("nvcc-version.13.0.88.txt")


def test_container_toolkit(paper: PaperDesk, transcript: Read) -> None:
    paper.data["model"]["packages"]["nvidia-container-toolkit"] = "1.20.1-1"
    mine = paper.run("nvidia-ctk", "--version").stdout.splitlines()
    real = transcript("nvidia-ctk-version.txt").splitlines()
    assert mine[0] == real[0]
    assert re.fullmatch(r"commit: [0-9a-f]{8}", mine[1]) and re.fullmatch(r"commit: [0-9a-f]{8}", real[1])
