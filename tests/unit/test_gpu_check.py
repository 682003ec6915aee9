# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of make gpu-check, unpacked and started with nothing else of this checkout in reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the archive unpacks to."""
    folder = tmp_path_factory.mktemp("gpu-check")
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'tools/gpu_check')!r}); import pack; from pathlib import Path; "
    code += f"pack.TARGET = Path({str(folder / 'archive.tar.gz')!r}); sys.exit(pack.main())"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    with tarfile.open(folder / "archive.tar.gz") as archive:
        assert not [name for name in archive.getnames() if name.endswith((".so", ".pyc"))]
    subprocess.run(["tar", "-x", "-f", folder / "archive.tar.gz", "-C", folder], check=True)
    return folder / "gpu-check"


def start(unpacked: Path, results: Path, around: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run it with this Python as the only one, and without packages but its own."""
    environment = {"PATH": f"{Path(sys.executable).resolve().parent}:/usr/sbin:/usr/bin:/bin", "HOME": str(results.parent)}
    argv = [*around, str(unpacked / "run"), str(results)]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_this_machine_is_audited_recorded_and_replayed_alike(unpacked: Path, tmp_path: Path) -> None:
    done = start(unpacked, tmp_path / "results")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "audit and replay agree" in done.stdout
    assert "meminfo" in done.stdout.partition("readers that got nothing")[0]
    assert "nvidia_smi_csv" in done.stdout.partition("readers that got nothing")[2] or os.path.exists("/proc/driver/nvidia/version")
    with tarfile.open(tmp_path / "results/to-send.tar.gz") as archive:
        assert "gpu-check/summary.txt" in archive.getnames()
        assert not any(item.uname or item.gname or item.uid for item in archive.getmembers())


def test_a_reader_that_fails_on_what_this_machine_says_is_named(unpacked: Path, tmp_path: Path) -> None:
    reader = unpacked / "collection/plugins/module_utils/readers/meminfo.py"
    text = reader.read_text(encoding="utf-8")
    try:
        reader.write_text(
            text + "\n\n_read = read\n\n\ndef read(text):\n    return {**_read(text), 'mem_total_kb': int('x')}\n", encoding="utf-8"
        )
        done = start(unpacked, tmp_path / "results")
    finally:
        reader.write_text(text, encoding="utf-8")
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="a folder of another user needs root")
@pytest.mark.parametrize("kind", ["theirs", "open", "link"])
def test_a_folder_that_somebody_else_made_first_is_not_used(unpacked: Path, tmp_path: Path, kind: str) -> None:
    """Python looked for Ansible there: in /tmp any user could have root run a program."""
    results, made, mark = tmp_path / "results", tmp_path / "made", tmp_path / "it-ran"
    (made / "ansible").mkdir(parents=True)
    (made / "ansible/__init__.py").touch()
    (made / "ansible/__main__.py").write_text(f"open({str(mark)!r}, 'w').close()\n", encoding="utf-8")
    if kind == "link":
        results.symlink_to(made)
    else:
        made.rename(results)
        os.chown(results, 65534 if kind == "theirs" else 0, -1)
        results.chmod(0o755 if kind == "theirs" else 0o777)
    done = start(unpacked, results)
    assert not mark.exists()
    assert done.returncode == 1 and "is not a folder of this user alone" in done.stderr
    assert sorted(path.name for path in results.iterdir()) == ["ansible"]


COVERED = """set -e
mount -t tmpfs places /usr/local/bin
printf '#!/bin/sh\\nexec env SPARK_DESK_STATE={desk} SPARK_DESK_DPKG=/nowhere {python} -S {program} "$@"\\n' > /usr/local/bin/nvidia-smi
chmod 755 /usr/local/bin/nvidia-smi
mount -t tmpfs driver /proc/driver
mkdir /proc/driver/nvidia
cp {desk}/version /proc/driver/nvidia/version
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="covering files of this machine needs root")
def test_with_a_driver_the_readers_of_the_gpu_are_fed(unpacked: Path, tmp_path: Path) -> None:
    """No machine with a GPU is at hand here: the simulator's stand-in of nvidia-smi answers, in a mount namespace of its own."""
    desk = tmp_path / "desk"
    desk.mkdir()
    model = yaml.safe_load((ROOT / "simulator/models/founders_7_6_0.yml").read_text(encoding="utf-8"))
    (desk / "desk.json").write_text(
        json.dumps({"name": "desk-01", "model": model, "functions": [], "ports": {}}, default=str), encoding="utf-8"
    )
    (desk / "live.json").write_text("{}", encoding="utf-8")
    told = "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.178.04  Release Build  (a@b)  Thu Aug 27 02:40:19 UTC 2026\n"
    (desk / "version").write_text(told, encoding="ascii")
    text = COVERED.format(desk=desk, python=Path(sys.executable).resolve(), program=ROOT / "simulator/desk/standins/nvidia-smi")
    done = start(unpacked, tmp_path / "results", ("unshare", "--mount", "--", "/bin/sh", "-c", text, "inside"))
    fed = done.stdout.partition("readers that got nothing")[0]
    assert "audit and replay agree" in done.stdout, done.stdout + done.stderr
    assert {"nvidia_smi_csv", "nvidia_smi_q", "nvidia_version"} <= set(fed.split()), done.stdout
