# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the packages that belong to the GPU driver, its kernel modules, its kernels and NCCL on DGX OS.

The names follow the package sets that owners of DGX OS desks publish and NVIDIA's advice to hold kernel and module
packages together (developer forum F383254).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..model.driver import Package

BRANCH = 580
"""The driver branch of DGX OS 7 (R580, open kernel module)."""

KERNEL_META = re.compile(
    r"linux-(?:(?:image|headers|tools|modules-extra)-)?"
    r"(?:nvidia(?:-64k)?|generic(?:-64k)?)(?:-hwe)?(?:-\d+\.\d+)?(?:-edge)?"
)
"""Metas that pull in a kernel: the nvidia flavour, its 64k sibling, and Ubuntu's generic one (whose kernel has no driver)."""

MODULE_FS = re.compile(r"linux-modules-nvidia-fs-.+")
SIGNATURES = re.compile(r"linux-signatures-nvidia-.+")
NCCL = re.compile(r"libnccl2|libnccl-dev|libnccl-net.*")
UNBRANCHED_USER_SPACE = (
    "nvidia-persistenced",
    "nvidia-imex",
    "nvidia-fabricmanager",
    "nvidia-settings",
    "nvidia-xconfig",
    "libxnvctrl0",
    "libxnvctrl-dev",
)
"""Driver packages whose name carries no branch but whose version must be the driver's."""

DISTRIBUTION_LIBRARIES = ("libxnvctrl0", "libxnvctrl-dev")
"""Of these the distribution has an old version of its own, which Open MPI depends on (libopenmpi, libhwloc-plugins). It lies beside the
driver and replaces nothing of it; one that is newer than the driver does."""

UNBRANCHED_METAS = (
    "nvidia-open",
    "nvidia-driver",
    "nvidia-driver-open",
    "nvidia-driver-cuda",
    "nvidia-kernel-open-dkms",
    "nvidia-kernel-dkms",
    "cuda-drivers",
)
"""Packages of the CUDA archive that follow its newest branch, whatever that is."""

MODPROBE = "nvidia-modprobe"

DRIVER_NAMES = "nvidia|^libxnvctrl|^cuda-drivers|^libcuda|^libnv"
"""Expression for the names that packages of a driver have; others than drivers have such names too, so the version decides."""

DRIVER_SOURCES = "nvidia"
"""Expression for the source packages that drivers are built from, whatever their packages are called."""

NO_DRIVER = re.compile(r"cuda-compat-")
"""Packages of a driver's version that are no driver: libraries beside it for newer CUDA programs."""

DEAD_STATES = frozenset({"config-files", "not-installed"})
"""dpkg states of a package that is not on the desk any more."""


def branch_number(branch: int) -> str:
    """Regular expression for one branch."""
    return str(branch)


def other_branches(branch: int) -> str:
    """Regular expression (POSIX extended and Python alike) for every three-digit number but ``branch``."""
    digits = str(branch)
    if len(digits) != 3 or not digits.isdecimal():
        raise ValueError(f"a driver branch has three digits, such as 580; {branch!r} was given")
    parts = []
    for position, digit in enumerate(digits):
        others = "".join(item for item in "0123456789" if item != digit)
        rest = 2 - position
        parts.append(digits[:position] + f"[{others}]" + (f"[0-9]{{{rest}}}" if rest else ""))
    return "(" + "|".join(parts) + ")"


def older_branches(branch: int) -> str:
    """Regular expression (POSIX extended and Python alike) for every three-digit number below ``branch``."""
    digits = str(branch)
    parts = []
    for position, digit in enumerate(digits):
        if digit != "0":
            rest = 2 - position
            parts.append(digits[:position] + f"[0-{int(digit) - 1}]" + (f"[0-9]{{{rest}}}" if rest else ""))
    return "(" + "|".join(parts) + ")"


def other_versions(branch: int) -> str:
    """Regular expression for versions of a driver of another branch. Packages of CUDA, containers and tools count otherwise: theirs
    begin with one, two or four digits."""
    return f"^([0-9]+:)?{other_branches(branch)}[.-]"


def older_versions(branch: int) -> str:
    """Regular expression for versions of a driver of an older branch."""
    return f"^([0-9]+:)?{older_branches(branch)}[.-]"


def is_other_version(name: str, version: str, branch: int) -> bool:
    """Whether a package's version is that of a driver of another branch, which must not stand beside the locked one."""
    return re.match(other_versions(branch), version) is not None and not is_of_distribution(name, version, branch)


def is_of_distribution(name: str, version: str, branch: int) -> bool:
    """Whether a package is the distribution's own old library, which is no part of the driver."""
    return name in DISTRIBUTION_LIBRARIES and re.match(older_versions(branch), version) is not None


def family_patterns(number: str) -> tuple[str, ...]:
    """Regular expressions of package names that carry a branch number; ``number`` is an expression itself.

    The number must follow words that begin with a letter: the 1021 of a kernel release or the 999 of an ABI is no branch.
    """
    return (
        f"^(lib)?nvidia-([a-z][a-z0-9]*-)*{number}([.-]|$)",
        f"^xserver-xorg-video-nvidia-{number}(-|$)",
        f"^linux-(modules|objects|signatures)-nvidia-{number}(-|$)",
        f"^cuda-drivers-{number}$",
    )


def is_of_branch(name: str, number: str) -> bool:
    """Whether a package's name carries the branch (an expression as in `family_patterns`)."""
    return any(re.search(pattern, name) for pattern in family_patterns(number))


def is_other_branch(name: str, branch: int) -> bool:
    """Whether the name belongs to a driver of another branch, or to a meta that follows the newest one."""
    return name in UNBRANCHED_METAS or is_of_branch(name, other_branches(branch))


def belongs(name: str, branch: int) -> bool:
    """Whether a package is of the group that moves together or not at all."""
    return (
        is_of_branch(name, branch_number(branch))
        or name in UNBRANCHED_USER_SPACE
        or bool(KERNEL_META.fullmatch(name) or MODULE_FS.fullmatch(name) or SIGNATURES.fullmatch(name) or NCCL.fullmatch(name))
    )


def present(packages: Iterable[Package]) -> tuple[Package, ...]:
    """Packages that are on the desk, whole or half."""
    return tuple(item for item in packages if item.state not in DEAD_STATES)


def held_group(packages: Iterable[Package], branch: int = BRANCH) -> tuple[Package, ...]:
    """The group that is held together, computed from what is installed, by name."""
    found = {
        item.name: item
        for item in present(packages)
        if belongs(item.name, branch) and not is_of_distribution(item.name, item.version, branch)
    }
    return tuple(found[name] for name in sorted(found))


_FIRMWARE = re.compile(r"(nvidia-firmware-[0-9]{3}(?:-server)?)-[0-9].*")


def superseded(packages: Iterable[Package], wanted: Iterable[str]) -> tuple[str, ...]:
    """Firmware packages on the desk that a wanted one takes the place of: their names carry the version, so apt sees no upgrade."""
    names = frozenset(wanted)
    families = {match.group(1) for name in names if (match := _FIRMWARE.fullmatch(name))}
    here = [item.name for item in present(packages) if (match := _FIRMWARE.fullmatch(item.name)) and match.group(1) in families]
    return tuple(sorted(name for name in here if name not in names))


def module_package(release: str, branch: int = BRANCH) -> str:
    """The package with the prebuilt open module of a kernel release."""
    return f"linux-modules-nvidia-{branch}-open-{release}"


def driver_package(branch: int = BRANCH) -> str:
    """The package that brings the whole driver."""
    return f"nvidia-driver-{branch}-open"


def user_space_present(packages: Iterable[Package], branch: int = BRANCH) -> bool:
    """Whether the branch's user space is installed (its meta, or the compute library that does the work)."""
    names = {item.name for item in present(packages)}
    return driver_package(branch) in names or f"libnvidia-compute-{branch}" in names
