# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why docker did not do what it was asked: its words, by kind. Pure."""

from __future__ import annotations

import re

(
    NO_DOCKER,
    REFUSED,
    DAEMON,
    ROOM,
    ABSENT,
    ARCHITECTURE,
    RUNTIME,
    DRIVER,
    LIBRARY,
    REQUIREMENT,
    NODES,
    RULES,
    FILES,
    LOST,
    CACHE,
    TOOLKIT,
    TIMEOUT,
    OTHER,
) = (
    "no_docker",
    "refused",
    "daemon",
    "room",
    "absent",
    "architecture",
    "runtime",
    "driver",
    "library",
    "requirement",
    "nodes",
    "rules",
    "files",
    "lost",
    "cache",
    "toolkit",
    "timeout",
    "other",
)
_REFUSED = (
    "permission denied while trying to connect",
    r"docker\.sock: connect: permission denied",
    "got permission denied",
    r"permission denied[^\n]{0,120}docker(?: daemon|\.sock| api)",
)
_DAEMON = (
    "cannot connect to the docker daemon",
    "is the docker daemon running",
    "error during connect",
    r"docker\.sock: connect: (?:connection refused|no such file)",
    "failed to connect to the docker api",
)
_ARCHITECTURE = (
    "exec format error",
    "no matching manifest for linux/arm64",
    "no match for platform in manifest",
    "no image found in image index for architecture",
    "image operating system",
    "does not provide the specified platform",
)
_RUNTIME = (
    "could not select device driver",
    "unknown or invalid runtime name",
    "unknown runtime specified",
    r"nvidia-container-(?:runtime|toolkit|cli)[a-z-]{0,12}\"?: (?:executable file not found|no such file)",
)
_DRIVER = (
    r"driver/library version mismatch",
    r"nvidia-container-cli: [^\n]{0,60}nvml error: (?:driver not loaded|gpu is lost|gpu requires reset|unknown error)",
    r"nvidia-container-cli: [^\n]{0,60}driver rpc error: ",
    r"load library failed: libnvidia-ml",
    r"failed to initialize nvml: driver not loaded",
    r"couldn't communicate with the nvidia driver",
)
_TOOLKIT = (
    r"\bcdi\b|mount request|error mounting \"?/\S{0,200}nvidia|oci specification|nvidia-container-|prestart hook|"
    r"nvidia-smi\"?: (?:executable file )?not found"
)
_TEXTS = (
    (REFUSED, "|".join(_REFUSED)),
    (DAEMON, "|".join(_DAEMON)),
    (ROOM, "no space left on device|disk quota exceeded"),
    (ARCHITECTURE, "|".join(_ARCHITECTURE)),
    (RUNTIME, "|".join(_RUNTIME)),
    (DRIVER, "|".join(_DRIVER)),
    (LIBRARY, r"(?:failed to (?:fulfill? mount request|mount)|error mounting)[^\n]{0,200}lib[a-z0-9_-]+\.so"),
    (REQUIREMENT, r"requirement error: |unsatisfied condition"),
    (NODES, r"failed to stat cdi host device|/dev/nvidia[a-z0-9-]{0,16}\"?: no such (?:file|device)"),
    (RULES, r"bpf_prog_query|device filters attached to the cgroup|cgroup subsystem devices not found"),
    (FILES, "nvml error: insufficient permissions|failed to initialize nvml: insufficient permissions"),
    (CACHE, "ldcache error"),
    (LOST, "failed to initialize nvml: unknown error"),
    (TOOLKIT, _TOOLKIT),
    (ABSENT, "no such image|no such object|unable to find image"),
)
_LIBRARY_NAME = re.compile(r"(lib[a-z0-9_+-]{1,60}\.so(?:\.[0-9]{1,6}){1,4})")


def read(text: str, error: str | None = None) -> str:
    """The kind. ``error`` is the door's own word (missing, denied, timeout ...) when the command did not run to its end."""
    if error == "missing":
        return NO_DOCKER
    if error == "denied":
        return REFUSED
    for kind, pattern in _TEXTS:
        if re.search(pattern, text[:20000], re.IGNORECASE):
            return kind
    return TIMEOUT if error is not None else OTHER


def library(text: str) -> str | None:
    """The library that could not be mounted into a container; null when none is named."""
    found = _LIBRARY_NAME.search(text[:20000])
    return found.group(1) if found else None
