# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an index has of a project that pip could not take as a wheel, or of which it took an old version."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from ...module_utils.judges.workload.parts import FACTORY
from ...module_utils.judges.workload.requirement import Offer
from ...module_utils.model.workload import Target
from ...module_utils.readers import simple_index
from .fetch import FetchError, Web
from .packaged import InvalidSpecifier, InvalidVersion, SpecifierSet, Version
from .wheels import Indexes, WheelError, named, sdist_version

STUB_SIZE = 256 << 10
"""A source archive that is larger is no stub."""
STUB_UNPACKED = 4 << 20
STUB_MARKS = (b"wheel_stub", b"pypi.nvidia.com", b"nvidia-pyindex")


@dataclass(frozen=True)
class Release:
    """One version of a project in an index."""

    version: str
    wheel_tags: tuple[str, ...]
    sdist: simple_index.IndexFile | None


def releases(indexes: Indexes, project: str, specifier: str, target: Target) -> list[Release]:
    """The versions that a requirement allows on the desk's Python, oldest first; pre-releases only where there is nothing else.

    Raises FetchError.
    """
    found: dict[str, list[simple_index.IndexFile]] = {}
    tags: dict[str, set[str]] = {}
    sdists: dict[str, simple_index.IndexFile] = {}
    for _index, file in indexes.files(project):
        if file.yanked or not _python_allowed(file.requires_python, target):
            continue
        if file.filename.endswith(".whl"):
            try:
                name = named(file.filename)
            except WheelError:
                continue
            key = name.version
            tags.setdefault(key, set()).update(name.tags)
        else:
            key = sdist_version(file.filename) or ""
            if not key:
                continue
            sdists[key] = file
        found.setdefault(key, []).append(file)
    try:
        allowed = list(SpecifierSet(specifier).filter(found))
    except (InvalidSpecifier, InvalidVersion):
        allowed = list(found)
    return [Release(key, tuple(sorted(tags.get(key, ()))), sdists.get(key)) for key in sorted(allowed, key=Version)]


def offer(web: Web, indexes: Indexes, project: str, specifier: str, target: Target) -> Offer:
    """What there is instead of a wheel. Never raises."""
    try:
        exists = bool(indexes.files(project))
        found = releases(indexes, project, specifier, target)
    except FetchError as error:
        return Offer(project, asked=False, trouble=str(error))
    if not found:
        return Offer(project, exists=exists)
    newest = found[-1]
    archive = newest.sdist
    return Offer(
        project,
        versions=tuple(item.version for item in found),
        sdist=archive.filename if archive else None,
        stub=archive is not None and _is_stub(web, archive),
        foreign=newest.wheel_tags,
    )


def _python_allowed(wanted: str | None, target: Target) -> bool:
    if not wanted:
        return True
    try:
        return bool(SpecifierSet(wanted).contains(f"{target.python or FACTORY.python}.99", prereleases=True))
    except InvalidSpecifier:
        return True


def _is_stub(web: Web, file: simple_index.IndexFile) -> bool:
    """Whether a small source archive names the index that it fetches its wheel from. Nothing of it is run."""
    if file.size is not None and file.size > STUB_SIZE:
        return False
    try:
        with web.open(file.url, {}) as response:
            data = response.read(STUB_SIZE + 1)
        if len(data) > STUB_SIZE:
            return False
        text = zlib.decompressobj(47).decompress(data, STUB_UNPACKED) if file.filename.endswith(".gz") else data
    except (FetchError, OSError, zlib.error):
        return False
    return any(mark in text for mark in STUB_MARKS)
