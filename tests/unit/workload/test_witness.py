# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fat binary reader says, held against NVIDIA's cuobjdump.

The files in ``nvcc/`` were made by the nvcc 13.0 of PyPI, the texts beside them by its cuobjdump 13.5 (``cuobjdump -all``). With both tools
installed (pip install nvidia-cuda-nvcc nvidia-nvvm nvidia-cuda-crt nvidia-cuda-runtime nvidia-cuda-cuobjdump; name their folder in the
variable CUDA_TOOLS) new files are made and compared.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.device_code import judge_code
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import NEEDS_REBUILD, RUNS, RUNS_SLOWLY
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.elf import binary_of_file

FOLDER = Path(__file__).with_name("nvcc")
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".fatbin", ".so"))
TOOLS = Path(os.environ.get("CUDA_TOOLS", "/usr/local/cuda/bin"))


def read(path: Path):
    with open(path, "rb") as file:
        found = binary_of_file(file, path.name, path.stat().st_size)
    assert found is not None
    assert found.not_read is None
    return found


def witness(text: str) -> list[str]:
    """The codes of a cuobjdump listing, in its order."""
    found = []
    for block in re.split(r"(?=Fatbin (?:elf|ptx) code:)", text):
        kind = re.match(r"Fatbin (elf|ptx) code:", block)
        if not kind:
            continue
        target = re.search(r"arch = sm_(\w+)", block)
        version = re.search(r"code version = \[([0-9]+),([0-9]+)\]", block)
        assert target
        assert version
        found.append(f"sm_{target.group(1)}" if kind.group(1) == "elf" else f"ptx {target.group(1)}@{version.group(1)}.{version.group(2)}")
    return found


@pytest.mark.parametrize("name", FILES)
def test_the_reader_agrees_with_cuobjdump(name: str) -> None:
    found = read(FOLDER / name)
    codes = [code for unit in (*found.units, *found.relocatable) for code in unit]
    assert sorted(codes) == sorted(witness((FOLDER / f"{name}.cuobjdump.txt").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("sm90.fatbin", NEEDS_REBUILD),
        ("sm120.fatbin", RUNS),
        ("sm121.fatbin", RUNS),
        ("sm120a.fatbin", NEEDS_REBUILD),
        ("ptx90.fatbin", RUNS_SLOWLY),
        ("mix.fatbin", RUNS),
        ("two_units.so", NEEDS_REBUILD),
        ("relocatable.so", RUNS_SLOWLY),
    ],
)
def test_what_nvcc_makes_is_judged(name: str, verdict: str) -> None:
    found = read(FOLDER / name)
    judged = judge_code(found.units, found.relocatable, "12.1", "13.0")
    assert judged is not None
    assert judged.verdict == verdict


@pytest.mark.skipif(not (TOOLS / "nvcc").exists() or not (TOOLS / "cuobjdump").exists(), reason="no CUDA tools in CUDA_TOOLS")
@pytest.mark.parametrize("targets", [["90"], ["120"], ["121"], ["120f", "121a"], ["75", "90a", "100f", "120"]])
def test_new_files_agree_too(targets: list[str], tmp_path: Path) -> None:
    source, made = tmp_path / "k.cu", tmp_path / "k.fatbin"
    source.write_text("__global__ void k(float *a) { a[threadIdx.x] *= 2.f; }\n")
    wanted = [part for target in targets for part in ("-gencode", f"arch=compute_{target},code=[sm_{target},compute_{target}]")]
    environment = {**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    subprocess.run([str(TOOLS / "nvcc"), "-fatbin", *wanted, "-o", str(made), str(source)], check=True, env=environment, timeout=120)
    listing = subprocess.run([str(TOOLS / "cuobjdump"), "-all", str(made)], capture_output=True, text=True, timeout=60, check=False).stdout
    assert sorted(code for unit in read(made).units for code in unit) == sorted(witness(listing))
