# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launch of nccl_pair with real Open MPI: 4.1 as DGX OS has it (Debian's package here), and 5 (PyPI's).

Two network namespaces with a cable between them are the two desks; in place of pair-ssh stands a script that notes what it is asked and
runs it in the other one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.benchmarks import launcher, nccl
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import settings
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import carrier

from .conftest import OPENMPI5, ROOT

sys.path.insert(0, str(ROOT / "tests/unit/proof"))
from proof_samples import ENDS

HERE = Path(__file__).parent
ADDRESSES = ("192.168.100.10", "192.168.100.11")
SSH = """#!/bin/sh
echo "$@" >> {folder}/asked
while [ "${{1#-}}" != "$1" ]; do shift; done
shift
export TMPDIR={folder}/peer
exec nsenter -t $(cat {folder}/other) --net --uts -- /bin/sh -c "$*"
"""
INSIDE = """set -e
hostname head
unshare --net --uts -- /bin/sh -c 'hostname peer; exec sleep 300' &
echo $! > {folder}/other
trap 'kill $(cat {folder}/other)' EXIT
until [ "$(nsenter -t $! --uts -- hostname)" = peer ]; do sleep 0.1; done
ip link set lo up
ip link add fabric type veth peer name fabric netns $!
ip address add {addresses[0]}/24 dev fabric
ip link set fabric up
nsenter -t $! --net -- sh -c 'ip link set lo up; ip address add {addresses[1]}/24 dev fabric; ip link set fabric up'
"$@"
"""
BINARIES = {"4": Path("/usr/bin"), "5": OPENMPI5 / "bin"}


def launch(tmp_path: Path, version: str, without: tuple[str, ...] = ()) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the measurement's own command line; what mpirun said, and what it asked of the other desk."""
    binaries = BINARIES[version]
    assert (binaries / "mpirun").exists(), f"no mpirun in {binaries}: run make real-test"
    said = subprocess.run([binaries / "mpirun", "--version"], capture_output=True, text=True, check=True).stdout
    assert f"(Open MPI) {version}." in said
    bundle = tmp_path / "bundle"
    (bundle / "bin").mkdir(parents=True)
    options = nccl.NcclOptions(bundle=str(bundle))
    environment = {"PATH": f"{binaries}:/usr/bin:/bin", "HOME": str(tmp_path)}
    environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    subprocess.run([binaries / "mpicc", "-o", options.program, HERE / "rank.c"], env=environment, check=True, timeout=120)
    asked = tmp_path / "asked"
    asked.touch()
    (tmp_path / "peer").mkdir()
    ssh = tmp_path / "pair-ssh"
    ssh.write_text(SSH.format(folder=tmp_path), encoding="ascii")
    ssh.chmod(0o755)
    meet = settings.meeting(ENDS)
    values = {key: value.replace(settings.PAIR_SSH, str(ssh)) for key, value in settings.settings(ENDS[0], meet, 0).items()}
    values = {key: value for key, value in values.items() if key not in without}
    (tmp_path / "pair.env").write_text(settings.pair_env("pair_a", ENDS, 0, values, "run"), encoding="ascii")
    (tmp_path / "hostfile").write_text(settings.hostfile(meet), encoding="ascii")
    (tmp_path / "launch.py").write_text(carrier.source_of(launcher), encoding="utf-8")
    environment |= {**values, **nccl.log_settings(), "LD_LIBRARY_PATH": f"{bundle}/lib", "DGX_SPARK_MEASUREMENT": "token"}
    inside = ["unshare", "--net", "--uts", "--", "/bin/sh", "-c", INSIDE.format(addresses=ADDRESSES, folder=tmp_path), "inside"]
    done = subprocess.run(
        [*inside, *nccl.command(str(tmp_path), options)], env=environment, capture_output=True, text=True, timeout=120, check=False, cwd="/"
    )
    return done, asked.read_text(encoding="utf-8")


pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="a network of its own needs root")


@pytest.mark.parametrize("version", BINARIES)
def test_two_ranks_are_one_world_with_the_settings_of_the_pair(version: str, tmp_path: Path) -> None:
    done, asked = launch(tmp_path, version)
    ranks = sorted(line for line in done.stdout.splitlines() if line.startswith("rank"))
    assert done.returncode == 0, done.stdout + done.stderr
    hcas = "=" + ",".join(function.rdma_device for function in ENDS[0].functions)
    assert ranks == [f"rank {rank} of 2 sum 3 hca {hcas} debug INFO size {1 << 30}" for rank in (0, 1)]
    assert len(asked.splitlines()) == 1, asked
    assert re.match(rf"(-\S+ )*{re.escape(ADDRESSES[1])} ", asked), asked
    assert not [line for line in done.stderr.splitlines() if "deprecated" in line.lower() or "not recognized" in line.lower()], done.stderr


@pytest.mark.parametrize(("version", "name"), [("4", "OMPI_MCA_plm_rsh_agent"), ("5", "PRTE_MCA_plm_ssh_agent")])
def test_each_version_reads_its_own_name_of_the_login(version: str, name: str, tmp_path: Path) -> None:
    """Without it the launcher takes plain ssh, which has no key for the other desk."""
    done, asked = launch(tmp_path, version, without=(name,))
    assert done.returncode != 0
    assert asked == ""
