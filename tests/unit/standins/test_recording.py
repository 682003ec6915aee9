"""A desk that answers from a recording: what is written, what stays the desk's own, what the stand-ins say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from desklib import recording

COMMANDS: list[dict[str, Any]] = [
    {"argv": ["nvidia-smi", "-q"], "responses": [{"rc": 9, "stdout": "first\n", "stderr": "bad\n", "error": None}]},
    {
        "argv": ["/usr/sbin/ethtool", "fab0"],
        "responses": [
            {"rc": 0, "stdout": "one\n", "stderr": "", "error": None},
            {"rc": 0, "stdout": "two\n", "stderr": "", "error": None},
        ],
    },
    {"argv": ["nvcc", "--version"], "responses": [{"rc": 0, "stdout": "", "stderr": "", "error": "missing"}]},
    {
        "argv": ["systemctl", "is-active", "nvidia-persistenced"],
        "responses": [{"rc": 3, "stdout": "inactive\n", "stderr": "", "error": None}],
    },
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording as the lab leaves it."""
    here = tmp_path / "recording"
    files = {
        "etc/dgx-release": "DGX_SWBUILD_VERSION=7.2.3\n",
        "etc/passwd": "stranger:x:1:1::/:/bin/sh\n",
        "etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAA\n",
        "etc/netplan/40-cx7.yaml": "network: {ethernets: {fab0: {mtu: 9000}}}\n",
        "etc/netplan/01-all.yaml": "network: {ethernets: {enP7s7: {dhcp4: true}}}\n",
        "etc/systemd/system/multi-user.target.wants/nvidia-persistenced.service": "",
        "boot/vmlinuz-7.0.0-1-nvidia": "",
        "proc/meminfo": "MemTotal: 1 kB\n",
        "proc/sys/kernel/osrelease": "7.0.0-1-nvidia\n",
        "sys/class/infiniband/mlx5_0/fw_ver": "28\n",
    }
    for path, text in files.items():
        (here / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (here / "files" / path).write_text(text)
    (here / "files/etc/systemd/system/NetworkManager.service").symlink_to("/dev/null")
    (here / "recording.json").write_text(
        json.dumps({"commands": COMMANDS, "missing": ["/etc/cdi/nvidia.yaml", "/usr/lib/x86_64-linux-gnu"]})
    )
    return here


def test_an_ordinary_desk_has_no_recording(tmp_path: Path) -> None:
    assert recording.load(tmp_path / "recording") is None
    assert recording.answer(["nvidia-smi", "-q"], tmp_path / "recording", tmp_path) is None


def test_commands_answer_as_recorded_and_others_do_not(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recording.answer(["/usr/bin/nvidia-smi", "-q"], folder, tmp_path) == 9
    assert capsys.readouterr() == ("first\n", "bad\n")
    assert [recording.answer(["ethtool", "fab0"], folder, tmp_path) for _turn in range(3)] == [0, 0, 0]
    assert capsys.readouterr().out == "one\ntwo\ntwo\n", "the last response repeats"
    assert recording.answer(["nvidia-smi"], folder, tmp_path) is None
    assert recording.answer(["nvcc", "--version"], folder, tmp_path) == 127


def test_what_the_desk_lives_by_stays_its_own(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for path in ("etc/passwd", "etc/cdi/nvidia.yaml", "boot/vmlinuz-6.0.0-1-nvidia", "usr/lib/x86_64-linux-gnu/libc.so.6"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("mine\n")
    recorded = recording.load(folder)
    assert recorded is not None
    recording.write_files(recorded, "enP7s7", root)
    assert (root / "etc/dgx-release").read_text() == "DGX_SWBUILD_VERSION=7.2.3\n"
    assert (root / "etc/passwd").read_text() == "mine\n"
    assert (root / "usr/lib/x86_64-linux-gnu/libc.so.6").exists(), "absent there, needed here"
    assert not (root / "etc/cdi/nvidia.yaml").exists()
    assert [path.name for path in (root / "boot").iterdir()] == ["vmlinuz-7.0.0-1-nvidia"]
    assert [path.name for path in (root / "etc/netplan").iterdir()] == ["40-cx7.yaml"], "the way to the desk is not recorded"
    assert not (root / "etc/ssh").exists() and not (root / "proc").exists() and not (root / "sys").exists()
    assert [path.name for path in (root / "etc/systemd/system").iterdir()] == ["multi-user.target.wants"], (
        "no unit masked or enabled but the driver's"
    )


def test_a_recording_that_somebody_sent_runs_nothing(folder: Path, tmp_path: Path) -> None:
    """A library that every program loads was laid onto the desk, whose root is not far from this machine's."""
    root, there = tmp_path / "root", folder / "files"
    (root / "run").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var/run").symlink_to("../run")
    undo = {"state": "applied", "files": [{"path": "/etc/cron.d/x", "before": {"content": ""}}]}
    files = {
        **dict.fromkeys(("etc/ld.so.preload", "etc/cron.d/x", "etc/apt/apt.conf.d/x", "var/lib/dpkg/info/libc6.prerm"), "/boot/evil\n"),
        "etc/os-release": 'NAME="Ubuntu 24.04 (x)"\nID=$(touch /x)\nVERSION_ID=24.04; touch /x\n\n',
        "etc/default/grub": 'GRUB_DEFAULT=0\nGRUB_DISTRIBUTOR=`touch /x`\nGRUB_CMDLINE_LINUX="quiet $(touch /x)"\n',
        "usr/lib/systemd/system/nvidia-persistenced.service": "[Service]\nExecStart=/bin/sh -c x\nType=forking\n",
        "usr/lib/aarch64-linux-gnu/libnvidia-ml.so.580.1": "code",
        "var/run/cdi/x": "x",
        "var/lib/dgx_spark/link/journal.json": json.dumps(undo),
        # A way back installs these.
        "var/lib/dgx_spark/driver_lock/debs/libnccl2_2.28.9-1_arm64.deb": "code",
        "var/lib/dgx_spark/update/debs/libnccl2_2.28.9-1_arm64.deb": "code",
    }
    for path, text in files.items():
        (there / path).parent.mkdir(parents=True, exist_ok=True)
        (there / path).write_text(text)
    (there / "usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1").symlink_to("libnvidia-ml.so.580.1")
    (there / "usr/lib/aarch64-linux-gnu/libnvidia-ml.so.2").symlink_to("/boot/evil")
    (there / "usr/lib/os-release").symlink_to("/boot/evil")
    (there / "run").mkdir()
    (there / "run/cdi").symlink_to("/etc/cron.d")
    recorded = recording.load(folder)
    assert recorded is not None
    recording.write_files(recorded, "enP7s7", root)
    new = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink()} & {
        *files,
        "run/cdi",
        "run/cdi/x",
        "usr/lib/os-release",
        "usr/lib/aarch64-linux-gnu/libnvidia-ml.so.2",
    }
    assert new == {
        *("etc/os-release", "etc/default/grub", "usr/lib/systemd/system/nvidia-persistenced.service"),
        "usr/lib/aarch64-linux-gnu/libnvidia-ml.so.580.1",
    }
    assert (root / "etc/os-release").read_text() == 'NAME="Ubuntu 24.04 (x)"\n'
    assert (root / "etc/default/grub").read_text() == "GRUB_DEFAULT=0\n"
    assert (root / "usr/lib/systemd/system/nvidia-persistenced.service").read_text() == "[Service]\nType=forking\n"
    assert (root / "usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1").read_bytes() == b""
    (there / "var/lib/dgx_spark/link/journal.json").write_text(json.dumps({"state": "applied"}))
    recording.write_files(recorded, "enP7s7", root)
    assert "applied" in (root / "var/lib/dgx_spark/link/journal.json").read_text()


def test_programs_kernel_and_units(folder: Path, tmp_path: Path) -> None:
    recorded = recording.load(folder)
    assert recorded is not None
    assert recorded.hidden() == {"nvcc"}
    assert recorded.programs() == {"nvidia-smi", "ethtool", "nvcc", "systemctl"}
    assert recording.kernel(recorded) == "7.0.0-1-nvidia"
    link = tmp_path / "multi-user.target.wants/nvidia-persistenced.service"
    link.parent.mkdir()
    link.symlink_to("/usr/lib/systemd/system/nvidia-persistenced.service")
    recording.units(recorded, lambda name: name == "nvidia-persistenced.service", tmp_path)
    assert not link.is_symlink()


def test_a_recorded_program_takes_the_place_of_the_real_one_and_the_real_one_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_, sbin, run = tmp_path / "bin", tmp_path / "sbin", tmp_path / "opt/desk/standins/run"
    bin_.mkdir(), sbin.mkdir()
    (sbin / "ethtool").write_text("#!/bin/sh\n")
    (bin_ / "nvcc").write_text("#!/bin/sh\n")
    (bin_ / "systemctl").write_text("#!/bin/sh\n")
    monkeypatch.setattr(recording, "ASKED", tmp_path / "asked")
    monkeypatch.setattr(recording, "PLACES", (str(bin_), str(sbin)))
    recorded = recording.load(folder)
    assert recorded is not None
    recording.install(recorded, {"nvidia-smi": "x"}, tmp_path / "real", run)
    assert (sbin / "ethtool").readlink() == run and (tmp_path / "real/ethtool").read_text() == "#!/bin/sh\n"
    assert not (bin_ / "nvcc").exists(), "the recorded desk has no such program"
    assert not (bin_ / "systemctl").is_symlink(), "systemd's own stays"
