# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs on the desk build and run with."""

from __future__ import annotations

import re

from ..model.driver import Toolkit
from ..readers import cdi, cuda_version
from .ask import Ask
from .options import Options
from .packages import Packages, packages

CUDA = "/usr/local/cuda"
CDI = (("/etc/cdi",), ("/var/run/cdi", "/run/cdi"))
"""Folders of container device descriptions in the order in which they are read; the second ones are one folder (/var/run leads to /run)."""
CDI_LIMIT = 32
OTHER = (
    "dgx-dashboard",
    "dgx-oobe",
    "dgx-release",
    "dgx-spark-mlnx-hotplug",
    "dgx-spark-ota-update-meta",
    "ethtool",
    "fwupd",
    "iproute2",
    "lldpd",
    "netplan.io",
    "nvidia-spark-grub-kho",
    "nvidia-spark-mlnx-firmware-manager",
    "nvidia-spark-ota-check",
    "nvidia-spark-run-apt-upgrade",
    "rdma-core",
)
"""Packages whose version helps to tell desks apart."""


def gather(ask: Ask, options: Options) -> Toolkit:
    """Versions from the package database; CUDA from the toolkit's own file."""
    database = packages(ask)
    specs = _cdi(ask)
    if database.by_name is None:
        for fact in ("container_toolkit", "docker", "perftest", "open_mpi", "nccl"):
            ask.miss(f"toolkit.{fact}", database.source)
    return Toolkit(
        cuda_toolkit=_cuda(ask, database),
        container_toolkit=database.version("nvidia-container-toolkit") or _container_toolkit(ask, database),
        docker=database.version("docker-ce") or database.version("docker.io"),
        perftest=database.version("perftest"),
        open_mpi=database.version("openmpi-bin"),
        nccl=database.version("libnccl2"),
        nccl_tests=database.version("nccl-tests"),
        cdi_spec_driver=list(specs.values())[-1] if specs else None,
        cdi_specs=specs,
        other={name: version for name in OTHER if (version := database.version(name))},
    )


def _cdi(ask: Ask) -> dict[str, str]:
    """Path to driver version of each container device description that names the driver's libraries, in the order of reading."""
    found: dict[str, str] = {}
    for same in CDI:
        for folder in same:
            # The name that nvidia-ctk gives is tried also where the folder could not be listed.
            names = [name for name in ask.names(folder) if name.endswith((".yaml", ".yml", ".json"))] or ["nvidia.yaml"]
            here = {f"{folder}/{name}": cdi.read(ask.text(f"{folder}/{name}").text or "")["driver"] for name in sorted(names)[:CDI_LIMIT]}
            found.update({path: driver for path, driver in here.items() if driver})
            if any(here.values()):
                break
    return found


def _cuda(ask: Ask, database: Packages) -> str | None:
    found = cuda_version.read(ask.text(f"{CUDA}/version.json").text or "")
    version: str | None = found["toolkit"] or found["nvcc"]
    if version is None:
        targets = [ask.target(path) for path in (CUDA, "/etc/alternatives/cuda")]
        named = re.search(r"cuda-([0-9]{1,3}\.[0-9]{1,3})$", next((target for target in targets if target and "cuda-" in target), ""))
        version = named.group(1) if named else None
    if version is None:
        packaged = sorted(name for name in database.by_name or {} if re.fullmatch(r"cuda-toolkit-[0-9]{1,3}-[0-9]{1,3}", name))
        versions = [database.version(name) for name in packaged]
        known = [item for item in versions if item]
        version = known[-1].partition("-")[0] if known else None
    if version is None and (database.by_name is None or ask.recorded("nvcc")):
        answer = ask.first_answer((f"{CUDA}/bin/nvcc", "--version"), ("nvcc", "--version"), *ask.recorded("nvcc"))
        version = cuda_version.read(answer.stdout)["nvcc"] if answer.ok else None
    return version


def _container_toolkit(ask: Ask, database: Packages) -> str | None:
    if database.by_name is not None and ask.exists("/usr/bin/nvidia-ctk") is False:
        return None
    answer = ask.run("nvidia-ctk", "--version")
    found = re.search(r"version ([0-9][0-9.]{1,20})", answer.stdout[:400]) if answer.ok else None
    return found.group(1) if found else None
