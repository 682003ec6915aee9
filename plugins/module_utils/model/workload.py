# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to run on a desk (images, wheels, binaries), what a desk offers, and what was judged of the one on the other."""

from __future__ import annotations

import re
from dataclasses import dataclass

RUNS = "RUNS"
RUNS_SLOWLY = "RUNS_SLOWLY"
NEEDS_REBUILD = "NEEDS_REBUILD"
WONT_RUN = "WONT_RUN"
UNKNOWN = "UNKNOWN"
VERDICTS = (RUNS, RUNS_SLOWLY, UNKNOWN, NEEDS_REBUILD, WONT_RUN)
"""From best to worst: of several parts the worst one tells."""

CUDA, PARTLY, NONE = "cuda", "partly", "none"
"""What a workload uses of the GPU once it runs."""

SASS, PTX, OTHER = "sass", "ptx", "other"

_CODE = re.compile(r"(sm_|ptx )([0-9]{2,3})([af]?)(?:@([0-9]{1,2}\.[0-9]{1,2}))?")


@dataclass(frozen=True)
class Code:
    """One piece of device code: machine code (SASS) or PTX for one target."""

    kind: str
    """sass, ptx, or other (LTO-IR and what no reader knows: nothing that a driver loads)"""
    target: int
    """Compute capability times ten: 121 for 12.1."""
    suffix: str = ""
    """``a`` (that capability alone), ``f`` (its family), or nothing."""
    isa: str | None = None
    """PTX ISA version such as 9.0; null for SASS, and when it could not be read."""

    @property
    def text(self) -> str:
        """As results carry it: ``sm_120f``, ``ptx 90@8.7``, ``other 120``."""
        if self.kind == SASS:
            return f"sm_{self.target}{self.suffix}"
        if self.kind == PTX:
            return f"ptx {self.target}{self.suffix}" + (f"@{self.isa}" if self.isa else "")
        return f"other {self.target}"


def code_of(text: str) -> Code:
    """The code that ``Code.text`` wrote. Raises ValueError for any other text."""
    found = _CODE.fullmatch(text)
    if found:
        kind = SASS if found.group(1) == "sm_" else PTX
        if kind == SASS and found.group(4):
            raise ValueError(f"{text!r} is not device code")
        return Code(kind, int(found.group(2)), found.group(3), found.group(4))
    other = re.fullmatch(r"other ([0-9]{1,4})", text)
    if other:
        return Code(OTHER, int(other.group(1)))
    raise ValueError(f"{text!r} is not device code")


@dataclass(frozen=True)
class Target:
    """What a desk offers to a workload. Null: not read."""

    architecture: str | None = None
    """Machine name of the kernel, aarch64 on a desk."""
    compute_capability: str | None = None
    driver: str | None = None
    cuda: str | None = None
    """CUDA version of the driver interface, such as 13.0."""
    glibc: str | None = None
    python: str | None = None
    """Major and minor of the Python that wheels are for, such as 3.12."""
    libraries: tuple[str, ...] | None = None
    """Names of the libraries that the desk's loader knows."""
    free_bytes: int | None = None
    """Bytes that are free where docker keeps images; of the root file system without docker."""
    assumed: tuple[str, ...] = ()
    """Which of these are what a DGX Spark has from the factory, because the desk did not tell."""


@dataclass(frozen=True)
class Binary:
    """One file with machine code: a program, a shared library, or device code that lies loose."""

    path: str
    machine: str | None = None
    """aarch64, x86_64, arm ...; cuda for a loose cubin, fatbin or PTX; null when it is no ELF file."""
    bits: int | None = None
    kind: str | None = None
    """program, library, object, cubin, fatbin, ptx"""
    interpreter: str | None = None
    needed: tuple[str, ...] = ()
    soname: str | None = None
    own_path: bool = False
    """Whether it names folders of its own to look for libraries in (RPATH, RUNPATH)."""
    glibc: str | None = None
    """Highest GLIBC_x that it asks for."""
    glibcxx: str | None = None
    """Highest GLIBCXX_x that it asks for."""
    units: tuple[tuple[str, ...], ...] = ()
    """Device code by fat binary (``Code.text``): a kernel lives in one unit and nowhere else."""
    relocatable: tuple[tuple[str, ...], ...] = ()
    """The same of code that was compiled to be linked once more."""
    not_read: str | None = None
    """Why it, or its device code, could not be read, in words; null when all was read."""
    size: int | None = None


@dataclass(frozen=True)
class Image:
    """A container image as registry or docker describe it."""

    reference: str
    source: str
    """index, manifest, schema1, docker (read on the desk), none"""
    platforms: tuple[str, ...] = ()
    """os/architecture[/variant] of the index, attestations left out."""
    digest: str | None = None
    """Digest of the manifest that the desk would get."""
    os: str | None = None
    architecture: str | None = None
    """As the image's own configuration says."""
    environment: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    arm_tags: tuple[str, ...] = ()
    """Tags of the repository that are for arm64 by their name; asked for where this one has no arm64."""
    size: int | None = None
    """Bytes to be pulled (compressed layers); of an image on the desk, bytes that it takes there."""
    trouble: str | None = None
    """Kind of failure when it could not be looked at (see readers.registry_error), else null."""
    said: str = ""
    """What registry or docker said then."""

    def variable(self, name: str) -> str | None:
        """An environment variable of the image."""
        return dict(self.environment).get(name)


@dataclass(frozen=True)
class Wheel:
    """One wheel: its name, and what lies in it as far as that was read."""

    filename: str
    project: str = ""
    version: str = ""
    tags: tuple[str, ...] = ()
    """Expanded tags: cp312-cp312-manylinux_2_28_aarch64."""
    source: str = ""
    """Index or folder that it comes from."""
    size: int | None = None
    requires: tuple[str, ...] = ()
    """Names of the projects that it asks for on the desk."""
    members: int | None = None
    """Files in the archive apart from its metadata; null when it was not opened."""
    native: tuple[str, ...] = ()
    """Names of its files with machine code, read or not."""
    binaries: tuple[Binary, ...] = ()
    cubin_names: tuple[str, ...] = ()
    """Targets that the names of loose cubins tell, such as sm_100a."""
    loose: int = 0
    """How many of its files are device code alone (cubin, fatbin, PTX)."""
    not_read: str | None = None
    """Why some of it was not read, in words; null when everything was."""


@dataclass(frozen=True)
class Judged:
    """What is said of one item on one desk."""

    item: str
    kind: str
    """image, requirement, requirements (a whole file), wheel, path"""
    verdict: str
    reason: str
    gpu: str | None = None
    """cuda, partly, none; null when it was not seen"""
    instead: str = ""
    """What to take or do instead, in words; empty when it runs."""
    rules: tuple[str, ...] = ()
    """Keys of the rules that decided (judges.workload.rules)."""
    notes: tuple[str, ...] = ()
    seen: tuple[tuple[str, str], ...] = ()
    """What was looked at: short name and value."""
    size: int | None = None
    """Bytes to be fetched."""
