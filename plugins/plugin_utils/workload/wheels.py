# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels by name, link or path: their tags, and what lies in them, read over HTTP ranges where the index allows."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...module_utils.model.data import as_dict, from_dict
from ...module_utils.model.workload import Wheel
from ...module_utils.readers import simple_index
from ..run.store import write_atomically
from .archive import LISTING_LIMIT, ArchiveError, Contents, contents
from .fetch import FetchError, RangedFile, Web, download, shown
from .packaged import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

PYPI = "https://pypi.org/simple"
CACHE_VERSION = 4
WHOLE, KNOWN, LISTED = "whole", "known", "listed"
_PROJECT = re.compile(r"[a-z0-9-]{1,128}")


class WheelError(Exception):
    """A wheel could not be looked at; the message is one sentence."""


@dataclass(frozen=True)
class Named:
    """What a file name tells."""

    project: str
    version: str
    tags: tuple[str, ...]


def named(filename: str) -> Named:
    """Project, version and expanded tags of a wheel's name. Raises WheelError."""
    try:
        project, version, _build, tags = parse_wheel_filename(filename)
    except (InvalidWheelFilename, ValueError):
        raise WheelError(f"{filename[:120]!r} is not the name of a wheel") from None
    return Named(str(project), str(version), tuple(sorted(str(tag) for tag in tags)))


def sdist_version(filename: str) -> str | None:
    """The version of a source archive's name; null when it is none."""
    try:
        return str(parse_sdist_filename(filename)[1])
    except (InvalidSdistFilename, ValueError):
        return None


class Indexes:
    """The indexes of a check; each project's page is fetched once."""

    def __init__(self, web: Web, indexes: Sequence[str]) -> None:
        self._web = web
        self.urls = [url.rstrip("/") for url in indexes] or [PYPI]
        self._pages: dict[str, list[tuple[str, simple_index.IndexFile]]] = {}
        self._errors: dict[str, FetchError] = {}

    def files(self, project: str) -> list[tuple[str, simple_index.IndexFile]]:
        """(index, file) of a project over all indexes. Raises FetchError when none of them answered."""
        name = simple_index.normal(project)
        if not _PROJECT.fullmatch(name):
            return []  # it becomes a part of a link, and a desk may have named it
        if name in self._errors:
            raise self._errors[name]
        if name not in self._pages:
            found: list[tuple[str, simple_index.IndexFile]] = []
            troubles: list[FetchError] = []
            for index in self.urls:
                url = f"{index}/{name}/"
                try:
                    kind, text = self._web.page(url, "application/vnd.pypi.simple.v1+json, text/html;q=0.5")
                    found += [(index, replace(file, url=_joined(url, file.url))) for file in simple_index.files(kind, text)]
                except FetchError as error:
                    if error.kind != "not_found":
                        troubles.append(error)
                except simple_index.IndexPageError as error:
                    troubles.append(FetchError(f"{shown(url)}: {error}"))
            if troubles and not found:
                self._errors[name] = troubles[0]
                raise troubles[0]
            self._pages[name] = found
        return self._pages[name]


class Looker:
    """Looks into wheels. Results are kept in a cache folder by link and checksum: a wheel never changes.

    By checksum alone, an index that gives another index's checksum would speak for its wheels: who reads parts proves no checksum.
    """

    def __init__(self, web: Web, cache: Path, read_limit: int, download_limit: int) -> None:
        self._web, self._cache = web, cache
        self._read_limit, self._download_limit = read_limit, download_limit

    def look(self, wheel: Wheel, url: str, sha256: str | None, depth: str = WHOLE) -> Wheel:
        """The wheel with what lies in it, or with why that was not read. Never raises for a bad archive.

        ``depth``: WHOLE; KNOWN for software of which a table tells what is too large to be read; LISTED for the names alone.
        """
        # It names a file of the download folder.
        sha256 = sha256 if sha256 is not None and re.fullmatch(r"[0-9a-f]{64}", sha256) else None
        limit = 0 if depth == LISTED else self._read_limit
        kept = self._kept(wheel, url, sha256, limit)
        if kept is not None:
            return kept
        try:
            found, size = self._contents(url, sha256, limit, depth == WHOLE)
        except (FetchError, ArchiveError, OSError) as error:
            return replace(wheel, not_read=str(error) or "it could not be read")
        looked = _filled(wheel, found, size)
        if sha256:
            write_atomically(
                self._file(url, sha256), json.dumps({"version": CACHE_VERSION, "limit": limit, "contents": as_dict(found), "size": size})
            )
        return looked

    def look_local(self, wheel: Wheel, path: Path) -> Wheel:
        """The same for a file on the controller."""
        try:
            with open(path, "rb") as file:
                return _filled(wheel, contents(file, self._read_limit), path.stat().st_size)
        except ArchiveError as error:
            return replace(wheel, not_read=str(error))
        except OSError as error:
            return replace(wheel, not_read=f"it cannot be read: {error.strerror}")

    def _contents(self, url: str, sha256: str | None, limit: int, partly: bool) -> tuple[Contents, int]:
        if urllib.parse.urlsplit(url).scheme == "file":
            raise FetchError("a link from an index to a file on the controller is not followed")
        try:
            remote = RangedFile(self._web, url, self._read_limit + LISTING_LIMIT)
        except FetchError as error:
            if error.kind != "no_ranges":
                raise
            path = download(self._web, url, self._cache / "wheels", self._download_limit, sha256)
            try:
                with open(path, "rb") as file:
                    return contents(file, limit, partly), path.stat().st_size
            finally:
                path.unlink(missing_ok=True)
        return contents(remote, limit, partly), remote.size

    def _file(self, url: str, sha256: str) -> Path:
        return self._cache / "contents" / f"{hashlib.sha256(f'{sha256} {url}'.encode()).hexdigest()}.json"

    def _kept(self, wheel: Wheel, url: str, sha256: str | None, limit: int) -> Wheel | None:
        if sha256 is None:
            return None
        try:
            data = json.loads(self._file(url, sha256).read_text(encoding="utf-8"))
            if data["version"] != CACHE_VERSION or data["limit"] != limit:
                return None
            return _filled(wheel, from_dict(Contents, data["contents"]), int(data["size"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _joined(page: str, link: str) -> str:
    try:
        return urllib.parse.urljoin(page, link)
    except ValueError:
        return ""


def _filled(wheel: Wheel, found: Contents, size: int) -> Wheel:
    return replace(
        wheel,
        size=size,
        members=found.members,
        native=found.native,
        binaries=found.binaries,
        cubin_names=found.cubin_names,
        loose=found.loose,
        not_read=found.not_read,
        requires=wheel.requires or found.requires,
    )
