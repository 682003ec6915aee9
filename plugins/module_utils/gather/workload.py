# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a desk is asked before something runs on it: what it offers, which images it has, and what lies in a folder. Nothing is started."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from ..desk import Answer, Desk
from ..model.workload import Image
from ..readers import elf_parts, fatbin, ldconfig, oci, os_release
from .ask import Ask
from .packages import packages

IMAGE_LIMIT = 200
PATH_LIMIT = 50
BYTES_LIMIT = 6 << 20
"""Characters of JSON about paths that go over the wire for one desk. The gate reads 16 Mi of an answer, and all of this is base64 there."""
TEXTS_LIMIT = 4 << 20
"""Characters of JSON of docker's descriptions: labels and variables are those of whoever made the images."""
UNITS_LIMIT = 4000
"""Different fat binaries told of one file."""
UBUNTU = {"24.04": ("2.39", "3.12"), "22.04": ("2.35", "3.10")}
"""glibc and Python of Ubuntu's releases."""
DOCKER_ROOT = ("docker", "info", "--format", "{{.DockerRootDir}}")


class OpenFile(Protocol):
    """A file that is read at offsets."""

    @property
    def path(self) -> str:
        """Where it lies."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def read_at(self, offset: int, count: int) -> bytes:
        """Bytes at an offset; fewer at the end."""


class Walk(Protocol):
    """One walk over a file or folder (tree.Walk, or a test's own)."""

    @property
    def most(self) -> int:
        """Files with machine code that are looked at."""

    @property
    def stopped(self) -> str | None:
        """Why not everything was seen."""

    @property
    def refused(self) -> int:
        """Folders and files that could not be opened."""

    def files(self, path: str) -> Iterator[OpenFile]:
        """Every regular file at or below a path. Raises OSError."""


def offers(desk: Desk, free_bytes: Callable[[str], int]) -> dict[str, Any]:
    """glibc, Python, libraries and free disk of the desk; null for what could not be read.

    ``free_bytes`` asks for the bytes that are free at a path and may raise OSError.
    """
    ask = Ask(desk)
    database = packages(ask)
    release = os_release.read(ask.text("/etc/os-release").text or "")
    usual = UBUNTU.get(str(release.get("version_id") or "")) if release.get("id") == "ubuntu" else None
    libraries = ask.run("ldconfig", "-p")
    if not libraries.ok:
        libraries = ask.run("/sbin/ldconfig", "-p")
    names = ldconfig.read(libraries.stdout) if libraries.ok else ()
    root = ask.run(*DOCKER_ROOT)
    place = root.stdout.strip() if root.ok and root.stdout.startswith("/") else "/"
    try:
        free = int(free_bytes(place))
    except OSError:
        free = None
    return {
        "glibc": _short(database.version("libc6")) or (usual[0] if usual else None),
        "python": _short(database.version("python3")) or (usual[1] if usual else None),
        "libraries": [name for name in names if len(name) < 100][:5000] or None,
        "free_bytes": free,
    }


def images(desk: Desk, references: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What docker says of images: ``text`` of one that is on the desk, null for another."""
    found: dict[str, dict[str, Any]] = {}
    room = TEXTS_LIMIT
    for reference in references[:IMAGE_LIMIT]:
        if reference.startswith("-"):
            continue
        answer = desk.run(("docker", "image", "inspect", reference), timeout=20)
        if answer.ok:
            cost = len(json.dumps(answer.stdout))
            fits = len(answer.stdout) < 500_000 and cost <= room
            room -= cost if fits else 0
            found[reference] = {"text": answer.stdout if fits else None}
            continue
        words = " ".join((answer.stderr or answer.error or "").split())[:300]
        found[reference] = {"text": None, "said": words, "error": answer.error}
        if answer.error is not None or "no such" not in words.lower():
            # Docker itself is the trouble: the next image would get the same answer.
            break
    return found


def described(reference: str, answer: Answer) -> Image | None:
    """An image on the desk as docker describes it; null when it did not."""
    if not answer.ok:
        return None
    try:
        told = oci.docker_image(answer.stdout)
    except oci.OciError:
        return None
    return Image(
        reference,
        "docker",
        os=told.os,
        architecture=told.architecture,
        environment=told.environment,
        labels=told.labels,
        size=told.size,
    )


def paths(names: Sequence[str], walks: Callable[[], Walk]) -> list[dict[str, Any]]:
    """What lies at or below each path: its files with machine code, as parts for the controller to read. ``walks`` begins a walk."""
    room = [BYTES_LIMIT]
    return [_path(name, walks(), room) for name in names[:PATH_LIMIT]]


def _path(name: str, walk: Walk, room: list[int]) -> dict[str, Any]:
    files: list[dict[str, Any]] = []
    stopped = None
    try:
        for file in walk.files(name):
            described = _file(file)
            if described is None:
                continue
            cost = len(json.dumps(described))
            if len(files) >= walk.most or cost > room[0]:
                stopped = f"only the first {len(files)} files with machine code were examined"
                break
            room[0] -= cost
            files.append(described)
    except OSError as error:
        return {"path": name, "files": [], "trouble": error.strerror or str(error), "stopped": None}
    stopped = stopped or walk.stopped
    if stopped is None and walk.refused:
        stopped = f"{walk.refused} files or folders cannot be read by this user"
    return {"path": name, "files": files, "trouble": None, "stopped": stopped}


def _file(file: OpenFile) -> dict[str, Any] | None:
    """A file with machine code; null for any other."""
    head = file.read_at(0, 8)
    if head[:4] == elf_parts.MAGIC:
        return _elf(file)
    base = {"path": file.path, "size": file.size}
    if head[:4] == fatbin.MAGIC:
        return {**base, "kind": "fatbin", **_units(file, 0, file.size)}
    if file.path.endswith(".ptx"):
        code = fatbin.ptx_text(file.read_at(0, 65536).decode("utf-8", "replace"))
        return {**base, "kind": "ptx", "units": [[[code], 1]] if code else [], "trouble": None if code else "it is not PTX text"}
    return None


def _elf(file: OpenFile) -> dict[str, Any]:
    described: dict[str, Any] = {"path": file.path, "size": file.size, "kind": "elf", "parts": [], "sections": {}, "trouble": None}
    try:
        chosen = elf_parts.choose(file.read_at, file.size)
    except elf_parts.ElfPartsError as error:
        described["trouble"] = str(error)
        described["parts"] = _packed(file, [(0, min(64, file.size))])
        return described
    described["parts"] = _packed(file, chosen.ranges)
    for section, offset, length in chosen.fatbins:
        described["sections"][section] = _units(file, offset, length)
    return described


def _packed(file: OpenFile, ranges: Sequence[tuple[int, int]]) -> list[list[Any]]:
    return [[offset, base64.b64encode(zlib.compress(file.read_at(offset, length), 6)).decode()] for offset, length in ranges]


def _units(file: OpenFile, offset: int, length: int) -> dict[str, Any]:
    """Fat binaries of a section: each different one with its count."""
    try:
        units = fatbin.units(lambda at, count: file.read_at(offset + at, min(count, max(0, length - at))), length)
    except fatbin.FatbinError as error:
        return {"units": [], "trouble": str(error)}
    counts: dict[tuple[str, ...], int] = {}
    for unit in units:
        counts[unit] = counts.get(unit, 0) + 1
    if len(counts) > UNITS_LIMIT:
        return {"units": [], "trouble": f"more than {UNITS_LIMIT} different fat binaries"}
    return {"units": [[list(unit), count] for unit, count in counts.items()], "trouble": None}


def _short(version: str | None) -> str | None:
    """2.39 of 2.39-0ubuntu8.6."""
    found = re.match(r"(?:[0-9]{1,3}:)?([0-9]{1,3}\.[0-9]{1,3})", version or "")
    return found.group(1) if found else None
