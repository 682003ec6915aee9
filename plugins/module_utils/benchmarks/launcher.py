# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts one rank with the settings of its own desk's pair.env and notes what was really started. Sent to both desks as a file.

Usage: launch.py PAIR_ENV EVIDENCE PROGRAM [ARGUMENT ...]
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import socket
import sys


def settings(text: str) -> dict[str, str]:
    """KEY=value lines; comments and empty lines are left out, nothing is unquoted."""
    pairs = (line.partition("=") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {key.strip(): value for key, _equals, value in pairs}


def checksum(path: str) -> str | None:
    """SHA-256 of a file, null when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def library() -> str | None:
    """The NCCL library that the loader will take from LD_LIBRARY_PATH."""
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        path = os.path.join(folder, "libnccl.so.2")
        if folder and os.path.exists(path):
            return path
    return None


def bytes_or_unlimited(value: int) -> int:
    """-1 stands for unlimited."""
    return -1 if value == resource.RLIM_INFINITY else value


def main(arguments: list[str]) -> None:
    """Never returns: becomes the program."""
    env_path, evidence_path, program, *rest = arguments
    with open(env_path, "rb") as file:
        content = file.read()
    os.environ.update(settings(content.decode()))
    os.environ.pop("DISPLAY", None)
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    nccl = library()
    rank = os.environ.get("OMPI_COMM_WORLD_RANK", "")
    evidence = {
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "rank": int(rank) if rank.isdecimal() else None,
        "env_sha256": hashlib.sha256(content).hexdigest(),
        "locked_soft": bytes_or_unlimited(soft),
        "locked_hard": bytes_or_unlimited(hard),
        "libnccl_sha256": checksum(nccl) if nccl else None,
        "program_sha256": checksum(program),
    }
    with open(evidence_path, "w", encoding="utf-8") as file:
        json.dump(evidence, file)
    os.execv(program, [program, *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
