# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/replay.py as its users call it: another folder, the machine's plain Python, bad input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPLAY = ROOT / "tests" / "replay.py"
TRANSCRIPTS = ROOT.parent / "shared" / "domain" / "transcripts"


def replay(*arguments, cwd=None, python=sys.executable):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [python, str(REPLAY), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def recording(tmp_path):
    folder = tmp_path / "tiny"
    (folder / "files/etc").mkdir(parents=True)
    (folder / "recording.yml").write_text("name: tiny\nsource: test\ndescription: a desk of two files\n")
    (folder / "files/etc/dgx-release").write_text('DGX_SWBUILD_VERSION="7.2.3"\nDGX_OTA_VERSION="7.5.0"\n')
    (folder / "commands.yml").write_text("- {argv: [nvidia-smi, -q], error: timeout}\n")
    return folder


def test_reader_from_another_folder(tmp_path):
    (tmp_path / "x.txt").write_text("MemTotal: 5 kB\n")
    done = replay("--reader", "meminfo", "x.txt", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["total_kb"]) == (0, 5)


def test_recording_with_plain_python(recording):
    plain = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") or sys.executable
    if subprocess.run([plain, "-c", "import yaml, sys; sys.exit(sys.version_info < (3, 11))"], capture_output=True, check=False).returncode:
        plain = sys.executable
    done = replay(recording, cwd="/", python=plain)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["facts"]["dgx_os"]["version"] == "7.5.0"
    assert isinstance(result["findings"], list)
    assert result["facts"]["driver"]["module_version"] is None


def test_a_shipped_recording_is_taken_by_its_name_and_made_where_it_is_missing(checkout, tmp_path):
    shutil.copytree(ROOT / "tools", checkout / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "tests/recordings").mkdir()
    for asked in ("pcie_half_rate", checkout / "tests/recordings/pcie_half_rate"):
        command = [sys.executable, str(checkout / "tests/replay.py"), str(asked)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert "CX7_PCIE_WIDTH_LOW" in {item["code"] for item in json.loads(done.stdout)["findings"]}


def test_without_recordings_and_without_their_generator_it_is_one_line_and_two(checkout):
    done = subprocess.run([sys.executable, str(checkout / "tests/replay.py")], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.strip().splitlines())) == (2, "", 1)
    assert "make_recordings" in done.stderr


def replay_without_yaml(checkout, *arguments):
    """tests/replay.py of another checkout, run by a Python that sees no PyYAML."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [sys.executable, "-I", "-S", str(checkout / "tests/replay.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


@pytest.fixture
def checkout(tmp_path):
    """A checkout without an environment of its own."""
    folder = tmp_path / "checkout"
    (folder / "tests").mkdir(parents=True)
    shutil.copy(REPLAY, folder / "tests")
    (folder / "plugins").symlink_to(ROOT / "plugins")
    return folder


def test_without_yaml_most_readers_read_and_a_recording_is_one_line_and_two(checkout, recording, tmp_path):
    (tmp_path / "x.txt").write_text("MemTotal: 5 kB\n")
    assert replay_without_yaml(checkout, "--reader", "meminfo", tmp_path / "x.txt").returncode == 0
    for arguments in ([recording], ["--reader", "netplan", tmp_path / "x.txt"]):
        done = replay_without_yaml(checkout, *arguments)
        assert (done.returncode, done.stdout, len(done.stderr.strip().splitlines())) == (2, "", 1)
        assert "yaml" in done.stderr.lower()


def test_without_yaml_the_checkouts_environment_goes_on(checkout, recording):
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (checkout / ".venv/bin/python").chmod(0o755)
    done = replay_without_yaml(checkout, recording)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["facts"]["dgx_os"]["version"] == "7.5.0"


def test_loose_recordings_are_read(recording):
    (recording / "commands.yml").write_text(
        "- {argv: [nvidia-smi, -q], rc: null, error: timeout}\n- {argv: [uname, -r], rc: null, stdout: x}\n"
    )
    (recording / "denied.yml").write_text("- proc/meminfo\n")
    done = replay(recording)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)["facts"]
    assert facts["kernel"]["running"] == "x"
    assert "denied" in facts["unread"]["memory.total_kb"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reader", "nosuch", "/etc/hostname"], "unknown reader"),
        (["--reader", "meminfo", "/nonexistent/x"], "cannot be read"),
        (["--reader", "meminfo", "/etc"], "is a folder"),
        (["--reader", "meminfo", sys.executable], "not a text file"),
        (["--reader", "meminfo"], "exactly one file"),
        (["--reader", "meminfo", "/dev/zero"], "not a regular file"),
        (["/nonexistent"], "not a folder"),
    ],
)
def test_unreadable_input_is_one_line_and_two(arguments, said):
    done = replay(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("recording.yml", "- a list\n"),
        ("recording.yml", "name: [\n"),
        ("recording.yml", "name: 2001-99-99\n"),
        ("recording.yml", "name: !!int x\n"),
        ("recording.yml", "name: " + "[" * 100_000),
        ("recording.yml", "name: x\nexpect: no list\n"),
        ("commands.yml", "- {argv: 5}\n"),
        ("commands.yml", "- {argv: [a], error: odd}\n"),
        ("commands.yml", "\x00\x01"),
    ],
)
def test_broken_recording_is_one_line_and_two(recording, name, text):
    (recording / name).write_text(text)
    done = replay(recording)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_check_tells_the_difference(recording):
    about = recording / "recording.yml"
    about.write_text(about.read_text() + "expect: [CX7_LINK_DOWN]\n")
    done = replay("--check", recording)
    assert done.returncode == 1
    assert "CX7_LINK_DOWN was expected and not found" in done.stdout


CONTRACT = {
    "dgx-release": "dgx_release",
    "os-release": "os_release",
    "proc-driver-nvidia-version": "nvidia_version",
    "nvidia-smi-query": "nvidia_smi_csv",
    "nvidia-smi-compute-apps": "nvidia_smi_csv",
    "meminfo": "meminfo",
    "ethtool-speed": "ethtool",
    "ethtool-m.": "ethtool_module",
    "rdma-link": "rdma_link",
    "ibdev2netdev": "ibdev2netdev",
    "sysfs-gids": "gids",
    "netplan-": "netplan",
    "ib_write_": "perftest",
    "nccl-all_gather": "nccl_tests",
}


@pytest.mark.skipif(not TRANSCRIPTS.is_dir(), reason=f"no transcripts of real desks beside this checkout ({TRANSCRIPTS})")
@pytest.mark.parametrize("prefix", sorted(CONTRACT))
def test_real_transcripts_are_read(prefix):
    files = sorted(TRANSCRIPTS.glob(f"{prefix}*"))
    assert files
    for file in files:
        done = replay("--reader", CONTRACT[prefix], file)
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)
        assert read
        if CONTRACT[prefix] == "nccl_tests":
            assert len(read["ranks"]) == 2
            broken, slow = "cuda-oom" in file.name, "socket" in file.name  # runs that shall be incomplete, or without RDMA
            assert read["complete"] != broken
            assert broken or read["avg_busbw"] > (1 if slow else 2)
        if CONTRACT[prefix] == "ethtool":
            assert read["speed_mbps"] in (100000, 200000)
        if file.name.startswith("ib_write_bw"):
            assert 92 < read["bw_average_gbps"] < 99
        if CONTRACT[prefix] == "nvidia_smi_csv":
            assert read["rows"] and read["error"] is None
