"""The NCCL stand-in: what it would use, what it prints. Two ranks need Open MPI and are run in a lab."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import DESK, PaperDesk, description, live

Read = Callable[[str], str]
NAMES = ["rocep1s0f0", "rocep1s0f1", "roceP2p1s0f0"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("", NAMES),
        ("rocep1s0f0", ["rocep1s0f0"]),
        ("roce", NAMES),
        ("=roce", []),
        ("=rocep1s0f0,roceP2p1s0f0", ["rocep1s0f0", "roceP2p1s0f0"]),
        ("^rocep1s0f1", ["rocep1s0f0", "roceP2p1s0f0"]),
        ("^=rocep1s0f1,rocep1s0f0:1", ["roceP2p1s0f0"]),
    ],
)
def test_selection_rule(wanted: str, chosen: list[str]) -> None:
    from desklib.standins.ncclfabric import select

    assert select(wanted, NAMES) == chosen


def plan(monkeypatch: pytest.MonkeyPatch, faults: dict[str, dict[str, object]] | None = None, **environment: str) -> list[str]:
    from desklib.desk import Desk
    from desklib.netlink import Link
    from desklib.standins import common, ncclfabric
    from desklib.view import functions

    for name in [n for n in os.environ if n.startswith("NCCL_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    data = description()
    data["faults"] = faults or {}
    facts = live(data, {"enp1s0f0np0": ["fe80::1", "192.0.2.10"]}, 9000)["links"]
    links = {n: Link(name=n, **f) for n, f in facts.items()}
    links["enP7s7"] = Link("enP7s7", 9, True, True, 1500, "02:5a:00:00:00:01", addresses=["203.0.113.4"])
    desk = Desk(data)
    return ncclfabric.plan(common.Context(desk, functions(desk, links), links=links), [1 << 30, 1 << 32])


def test_plan_takes_active_devices_and_a_gid_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = plan(monkeypatch)
    hcas = [line.split() for line in lines if line.startswith("hca")]
    assert lines[0] == "net IB"
    assert [(h[2], h[6], h[7]) for h in hcas] == [("rocep1s0f0", "5", "3"), ("roceP2p1s0f0", "5", "0")]
    assert hcas[0][-1] == "0/0A0200C0FFFF0000"
    assert [line for line in lines if line.startswith("busbw")] == ["busbw 20.800000000", "busbw 22.400000000"]


def test_one_half_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = plan(monkeypatch, NCCL_IB_HCA="rocep1s0f0")
    assert [line for line in lines if line.startswith("busbw")][1] == "busbw 13.000000000"


@pytest.mark.parametrize("environment", [{"NCCL_IB_DISABLE": "1"}, {"NCCL_IB_HCA": "=mlx5_0"}, {"NCCL_NET": "Socket"}])
def test_sockets_when_no_device_is_left(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    lines = plan(monkeypatch, NCCL_SOCKET_IFNAME="enP7s7", **environment)
    assert lines[:2] == ["net Socket", "oob enP7s7 203.0.113.4"]
    assert "busbw 1.150000000" in lines


def test_faults_reach_the_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "fault nccl_hang 30" in plan(monkeypatch, {"nccl_hang": {"seconds": 30}})
    assert any(line.startswith("failure warn Call to ibv_reg_mr_iova2") for line in plan(monkeypatch, {"kho_enomem": {}}))
    assert "failure cuda no CUDA-capable device is detected" in plan(monkeypatch, {"driver_missing": {}})
    assert any("no socket interface found" in line for line in plan(monkeypatch, NCCL_SOCKET_IFNAME="eth9"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both trees, built by the steps of the real ones, without MPI."""
    if not (shutil.which("gcc") and shutil.which("make")):
        pytest.skip("gcc and make are needed to build the NCCL stand-in")
    folder = tmp_path_factory.mktemp("nccl")
    for name in ("nccl", "nccl-tests"):
        shutil.copytree(DESK / "packages" / name, folder / name)
    helper = DESK / "standins" / "nccl-fabric"
    for argv in (
        ["make", "-s", "-C", str(folder / "nccl"), "-j", "src.build", "NVCC_GENCODE=-gencode=arch=compute_121,code=sm_121"],
        [
            "make",
            "-s",
            "-C",
            str(folder / "nccl-tests"),
            f"NCCL_HOME={folder / 'nccl' / 'build'}",
            f"CFLAGS=-O1 -Wall -Wextra -Werror -std=gnu11 -DHELPER='\"{helper}\"'",
        ],
    ):
        made = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
    return folder


def perf(built: Path, paper: PaperDesk, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paper.live = live(paper.data, {"enp1s0f0np0": ["192.0.2.10"]})
    paper.write()
    return subprocess.run(
        [str(built / "nccl-tests/build/all_gather_perf"), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**paper.environment(), "LD_LIBRARY_PATH": str(built / "nccl/build/lib"), **environment},
    )


def test_library_has_a_version(built: Path) -> None:
    assert {p.name for p in (built / "nccl/build/lib").iterdir()} == {"libnccl.so", "libnccl.so.2", "libnccl.so.2.28.9"}
    assert "#define NCCL_VERSION_CODE 22809" in (built / "nccl/build/include/nccl.h").read_text(encoding="utf-8")


def test_table_has_the_layout_of_the_transcript(built: Path, paper: PaperDesk, transcript: Read) -> None:
    mine = perf(built, paper, "-b", "1G", "-e", "4G", "-f", "2", "-n", "50", "-w", "10", "-g", "1")
    assert mine.returncode == 0, mine.stdout + mine.stderr
    real = [line for line in transcript("nccl-all_gather.good-1G-4G.mprg.txt").splitlines() if line and not line.startswith("Auth")]
    own = mine.stdout.splitlines()

    def shape(line: str) -> str:
        line = re.sub(r"Rank +\d+ .*", "Rank", line)
        line = re.sub(r"(: )[0-9.e-]+ ", r"\1N ", line)
        return re.sub(r"[0-9]", "9", line) if line.startswith("  ") else line

    assert [shape(line) for line in own if not line.startswith("  ")][:5] == [shape(line) for line in real][:5]
    heads = [line for line in real if line.startswith("# ") and ("size" in line or "(B)" in line or "out-of-place" in line)]
    for line in [*heads, "# Collective test concluded: all_gather_perf"]:
        assert line in own
    rows = [line for line in own if re.match(r" +\d+ ", line)]
    assert [len(row) for row in rows] == [len(row) for row in real if re.match(r" +\d+ ", row)]
    assert any(line.startswith("# Avg bus bandwidth    : ") for line in own)


def test_without_mpi_a_rank_is_a_world_of_its_own(built: Path, paper: PaperDesk) -> None:
    mine = perf(built, paper, "-b", "1M", "-e", "1M")
    row = next(line for line in mine.stdout.splitlines() if re.match(r" +1048576 ", line)).split()
    assert (row[7], row[11]) == ("0.00", "0.00")
    assert mine.stdout.count("#  Rank ") == 1


def test_info_lines_have_the_shape_of_the_transcript(built: Path, paper: PaperDesk, transcript: Read) -> None:
    mine = perf(built, paper, "-b", "1M", "-e", "1M", NCCL_DEBUG="INFO", NCCL_SOCKET_IFNAME="enp1s0f0np0").stdout
    real = transcript("nccl-all_gather.INFO-good-1G.mprg.txt")

    def shapes(text: str) -> set[str]:
        found = set()
        for line in text.splitlines():
            match = re.match(r"[\w-]+:\d+:\d+ \[0\] NCCL INFO (.*)", line)
            if match:
                found.add(re.sub(r"roce\w+|en[pP]\w+", "X", re.sub(r"0x[0-9a-f]+|\d+", "N", match.group(1))))
        return found

    wanted = [
        s
        for s in shapes(real)
        if s.startswith(
            ("NET/IB : Using", "NET/IB : Made", "NET/IB : GPU", "NET/IB: [N]", "NCCL version", "Using network", "NCCL_SOCKET_IFNAME")
        )
    ]
    assert len(wanted) >= 6
    assert set(wanted) <= shapes(mine)


def test_missing_library_is_the_loaders_message(built: Path, paper: PaperDesk) -> None:
    paper.write()
    answer = subprocess.run(
        [str(built / "nccl-tests/build/all_gather_perf")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={k: v for k, v in paper.environment().items() if k != "LD_LIBRARY_PATH"},
    )
    assert answer.returncode == 127
    assert "error while loading shared libraries: libnccl.so.2" in answer.stderr
