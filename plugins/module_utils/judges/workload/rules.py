# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules behind the verdicts on workloads: what each says, and where the knowledge comes from. docs/workload.md lists them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One rule."""

    key: str
    says: str
    source: str


_RULES = (
    Rule(
        "platform",
        "A desk runs linux/arm64 (aarch64) only. An index entry for unknown/unknown is an attestation, not an image. The processor has "
        "no mode for 32-bit Arm code.",
        "OCI image specification; Docker's documentation of attestations; 32-bit Arm: inferred",
    ),
    Rule(
        "config",
        "The image's own configuration, not the index, says what is inside; where the two disagree the configuration wins.",
        "one report (an index that listed arm64 and held amd64)",
    ),
    Rule("reference", "A malformed reference or requirement is not looked up.", "OCI distribution specification; PEP 508"),
    Rule(
        "access",
        "What could not be examined is unknown: a registry gives the same answer for a private and for a missing repository.",
        "OCI",
    ),
    Rule("schema1", "Docker no longer pulls manifests of schema 1.", "Docker's deprecation notes"),
    Rule(
        "jetson",
        "Images for Jetson are arm64 with the user space of a different driver (Tegra), not for this desk.",
        "inferred, one report",
    ),
    Rule(
        "require",
        "The container toolkit refuses an image whose NVIDIA_REQUIRE_* the driver does not meet (legacy mode; not with CDI, not with "
        "NVIDIA_DISABLE_REQUIRE=true). A space means or, a comma means and.",
        "NVIDIA container toolkit (source)",
    ),
    Rule(
        "cuda-major",
        "A CUDA runtime of the driver's major version or an older one runs, as do newer minor versions (their PTX does not). A newer major "
        "version does not; forward compatibility (cuda-compat) is not available for this GPU.",
        "NVIDIA CUDA Compatibility",
    ),
    Rule("banner", "The banner about a newer driver and an unavailable compatibility mode is only a warning.", "one report; NVIDIA"),
    Rule("compat-path", "/usr/local/cuda/compat first in LD_LIBRARY_PATH ends in error 803 or 804 here.", "three reports"),
    Rule(
        "first-toolkit",
        "CUDA 12.8 is the first that compiles for sm_120, 12.9 the first for sm_121; older builds hold PTX at best.",
        "NVIDIA",
    ),
    Rule(
        "disk",
        "An unpacked image needs more space than its compressed layers; the estimate is two and a half times as much.",
        "this collection's rule",
    ),
    Rule("sass", "Machine code runs on the same major and the same or a higher minor capability: sm_120 and sm_121 on 12.1.", "NVIDIA"),
    Rule("sass-f", "Code for a family (f) runs inside that family: sm_120f and sm_121f run on 12.1, sm_100f does not.", "NVIDIA, table 28"),
    Rule("sass-a", "Code for one architecture (a) runs on exactly that one: sm_121a yes, sm_120a and sm_90a no.", "NVIDIA; two reports"),
    Rule(
        "ptx",
        "PTX is compiled by the driver at the first start (minutes) if its target matches; a and f targets only on their own GPUs.",
        "NVIDIA",
    ),
    Rule(
        "ptx-isa",
        "The driver must know the PTX's ISA version: CUDA 13.0 knows 9.0 and older; otherwise error 222, unsupported toolchain.",
        "measured with ptxas; two reports",
    ),
    Rule("units", "A kernel lives in one fat binary: every unit needs matching code, not just the file as a whole.", "inferred"),
    Rule(
        "relocatable",
        "PTX of relocatable code is relinked by the driver at load time, if every part has some; not tried on a GB10.",
        "NVIDIA nvcc documentation",
    ),
    Rule("machine", "A program or library for another machine does not load (exec format error, wrong ELF class).", "ELF"),
    Rule("libc", "glibc and libstdc++ must be as new as the symbols require; DGX OS does not have musl's loader.", "symbol versions"),
    Rule(
        "library",
        "A library that it names must come with it, with what is installed alongside it, or from the desk. CUDA 12's libraries are not "
        "part of DGX OS.",
        "two reports",
    ),
    Rule("no-gpu-code", "No device code and no CUDA library: it runs on the CPU.", "measured"),
    Rule("tags", "pip installs only wheels whose tags match the desk's Python, machine and glibc.", "PyPA specifications"),
    Rule("foreign-in-any", "A wheel for any machine can contain libraries for one: it installs, but then does not load.", "one report"),
    Rule("placeholder", "Where every real release is for other machines, pip may take an empty placeholder.", "one report"),
    Rule("sdist", "Without a wheel for the desk, pip builds from source: on the desk, with compilers, often for hours.", "PyPI"),
    Rule("stub", "Some source archives are stubs that fetch a wheel from another index while they are built.", "PyPI"),
    Rule("no-source", "Wheels for other machines only, and no source archive.", "PyPI"),
    Rule(
        "variant",
        "Of libraries whose names differ only in the CUDA version, one is loaded: the one for the desk's CUDA counts.",
        "measured",
    ),
    Rule("nvidia-library", "NVIDIA's own libraries of CUDA 12.9 and newer for arm64 hold code for 12.1.", "NVIDIA; read in one library"),
    Rule(
        "known", "A dated entry of this collection's table of software, used where the software could not be examined.", "the entry's own"
    ),
    Rule("not-read", "What was not read is unknown.", "this collection's rule"),
    Rule("conflict", "Requirements that exclude one another have no common set.", "pip"),
)

RULES: dict[str, Rule] = {rule.key: rule for rule in _RULES}
