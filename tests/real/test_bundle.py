# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of nccl_bundle with NVIDIA's own compiler, NCCL and cuobjdump (tests/real_test.sh fetches them). No GPU is needed to build."""

from __future__ import annotations

import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.action import nccl_bundle
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import bundle, received
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import nccl_tests
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.elf import binary_of_file

from .conftest import CUDA, WHEELS

SOURCE = Path(__file__).with_name("nccl-tests")
DEFAULT_TARGET = bundle.Spec.__dataclass_fields__["gencode"].default


@pytest.fixture(scope="module")
def wheel() -> Path:
    found = sorted(WHEELS.glob("nvidia_nccl_cu13-*.whl"))
    assert found, f"no wheel of NCCL in {WHEELS}: run make real-test"
    return found[-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> tuple[dict, Path]:
    """The manifest of a bundle made as a playbook makes it, and the installed bundle."""
    folder = tmp_path_factory.mktemp("bundle")
    version = wheel.name.split("-")[1]
    sources = (
        bundle.Source("nccl", archive=str(wheel), version=version),
        bundle.Source("nccl-tests", archive=str(nccl_bundle.packed(SOURCE, folder / "cache"))),
    )
    spec = bundle.Spec(sources, library=bundle.WHEEL, cuda_home=str(CUDA))
    with received.room() as room:
        manifest, archive = bundle.build(LiveDesk(), spec, room, "real")
        with tarfile.open(archive) as packed:
            assert bundle.MANIFEST in packed.getnames()
        bundle.install(archive, str(folder / "nccl"))
    return manifest, folder / "nccl"


def test_the_manifest_names_what_was_used(built: tuple[dict, Path], wheel: Path) -> None:
    manifest, _folder = built
    assert manifest["library"] == {"from": "wheel", "version": wheel.name.split("-")[1]}
    assert sorted(manifest["files"]) == ["bin/all_gather_perf", "bin/all_reduce_perf", "lib/libnccl.so.2"]


@pytest.mark.parametrize("program", bundle.PROGRAMS)
def test_cuobjdump_finds_code_for_the_gpu_of_a_spark_and_for_no_other(built: tuple[dict, Path], program: str) -> None:
    path = built[1] / "bin" / program
    listed = subprocess.run([CUDA / "bin/cuobjdump", "--list-elf", path], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"sm_\w+?(?=\.)", listed)) == {DEFAULT_TARGET.rpartition("code=")[2]}
    with open(path, "rb") as file:
        ours = binary_of_file(file, program, path.stat().st_size)
    assert ours is not None
    assert {code for unit in (*ours.units, *ours.relocatable) for code in unit} == {"sm_121"}


def test_the_library_of_the_wheel_has_code_that_runs_on_a_spark(built: tuple[dict, Path]) -> None:
    path = built[1] / "lib/libnccl.so.2"
    listed = subprocess.run([CUDA / "bin/cuobjdump", "--list-elf", path], capture_output=True, text=True, check=True).stdout
    assert {"sm_120", "sm_121"} & set(re.findall(r"sm_\w+?(?=\.)", listed))


def test_the_program_starts_with_the_bundles_library_and_says_why_it_stops(built: tuple[dict, Path], wheel: Path) -> None:
    """Without a GPU it ends at its first CUDA call; the line before that is the real library's own version."""
    folder = built[1]
    environment = {
        "LD_LIBRARY_PATH": str(folder / "lib"),
        "PATH": "/usr/bin:/bin",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    argv = ["mpirun", "-np", "1", "--bind-to", "none", folder / "bin/all_gather_perf"]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=120, check=False)
    read = nccl_tests.read(done.stdout + done.stderr)
    assert read["nccl_version"] == wheel.name.split("-")[1]
    if done.returncode:
        assert any("CUDA failure" in line for line in read["errors"]), done.stdout + done.stderr


def test_a_compiler_error_is_told_in_its_own_words(tmp_path: Path, wheel: Path) -> None:
    sources = (
        bundle.Source("nccl", archive=str(wheel), version=wheel.name.split("-")[1]),
        bundle.Source("nccl-tests", archive=str(nccl_bundle.packed(SOURCE, tmp_path / "cache"))),
    )
    spec = bundle.Spec(sources, library=bundle.WHEEL, cuda_home=str(CUDA), gencode="-gencode=arch=compute_5,code=sm_5")
    with received.room() as room, pytest.raises(bundle.BundleError, match="nccl-tests could not be made") as caught:
        bundle.build(LiveDesk(), spec, room, "real")
    assert "compute_5" in caught.value.said
