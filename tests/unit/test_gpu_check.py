# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of make gpu-check, unpacked and started with nothing else of this checkout in reach."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

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


def start(unpacked: Path, results: Path) -> subprocess.CompletedProcess[str]:
    """Run it with this Python as the only one, and without packages but its own."""
    environment = {"PATH": f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin", "HOME": str(results.parent)}
    return subprocess.run([unpacked / "run", results], env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_this_machine_is_audited_recorded_and_replayed_alike(unpacked: Path, tmp_path: Path) -> None:
    done = start(unpacked, tmp_path / "results")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "audit and replay agree" in done.stdout
    assert "meminfo" in done.stdout.partition("readers that got nothing")[0]
    assert "nvidia_smi_csv" in done.stdout.partition("readers that got nothing")[2] or os.path.exists("/proc/driver/nvidia/version")
    with tarfile.open(tmp_path / "results/to-send.tar.gz") as archive:
        assert "gpu-check/summary.txt" in archive.getnames()


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
