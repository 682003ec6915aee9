# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry says of an image: index, manifest (also of schema 1) and configuration, and docker's own description of a local image.

Everything here comes from outside: what has the wrong type or is too long is left out, and no text of it is trusted to be short.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
ENTRY_LIMIT = 256
TAG_LIMIT = 50_000
VARIABLE_LIMIT = 400
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class OciError(ValueError):
    """The text is no manifest or configuration; the message says why."""


@dataclass(frozen=True)
class Entry:
    """One image of an index."""

    digest: str
    os: str
    architecture: str
    variant: str = ""

    @property
    def platform(self) -> str:
        """os/architecture[/variant]"""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True)
class Manifest:
    """What a reference points at."""

    kind: str
    """index, manifest, schema1"""
    entries: tuple[Entry, ...] = ()
    architecture: str | None = None
    """Schema 1 only."""
    size: int | None = None
    """Sum of the compressed layers in bytes."""


@dataclass(frozen=True)
class Configuration:
    """The configuration of one image."""

    os: str | None = None
    architecture: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    """Bytes on disk; docker's description alone tells it."""


def manifest(text: str) -> Manifest:
    """An index, a manifest or a manifest of schema 1. Its own media type counts, not the header it came with. Raises OciError."""
    data = _object(text, "manifest")
    if data.get("schemaVersion") == 1:
        return Manifest("schema1", architecture=_word(data.get("architecture")))
    entries = data.get("manifests")
    if isinstance(entries, list) and (data.get("mediaType") in (None, "", *INDEXES)):
        return _index(entries)
    layers = data.get("layers")
    if isinstance(layers, list) and isinstance(data.get("config"), dict):
        sizes = [item.get("size") for item in layers[:1000] if isinstance(item, dict)]
        whole = [size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**50]
        return Manifest("manifest", size=sum(whole) if len(whole) == len(layers) else None)
    raise OciError("it is neither an index nor a manifest of an image")


def _index(entries: list[Any]) -> Manifest:
    found: list[Entry] = []
    for item in entries[:ENTRY_LIMIT]:
        if not isinstance(item, dict):
            continue
        platform, annotations = _mapping(item.get("platform")), _mapping(item.get("annotations"))
        os, architecture = _word(platform.get("os")), _word(platform.get("architecture"))
        if "vnd.docker.reference.type" in annotations or (os, architecture) == ("unknown", "unknown"):
            continue
        digest = item.get("digest")
        if os and architecture and isinstance(digest, str) and _DIGEST.fullmatch(digest):
            found.append(Entry(digest, os, architecture, _word(platform.get("variant")) or ""))
    return Manifest("index", tuple(found))


def configuration(text: str) -> Configuration:
    """The configuration blob of an image. Raises OciError."""
    data = _object(text, "configuration")
    inner = _mapping(data.get("config"))
    return Configuration(_word(data.get("os")), _word(data.get("architecture")), _pairs(inner.get("Env")), _labels(inner.get("Labels")))


def tags(text: str) -> tuple[str, ...]:
    """The tags of a repository as ``skopeo list-tags`` gives them. Raises OciError."""
    found = _object(text, "list of tags").get("Tags")
    if not isinstance(found, list):
        raise OciError("the registry gave no list of tags")
    return tuple(tag for tag in found[:TAG_LIMIT] if isinstance(tag, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag))


def docker_image(text: str) -> Configuration:
    """What ``docker image inspect`` says of one image. Raises OciError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise OciError("docker's answer is not JSON") from None
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, dict) or not (first.get("Architecture") or first.get("Os")):
        raise OciError("docker's answer describes no image")
    inner = _mapping(first.get("Config"))
    size = first.get("Size")
    return Configuration(
        _word(first.get("Os")),
        _word(first.get("Architecture")),
        _pairs(inner.get("Env")),
        _labels(inner.get("Labels")),
        size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**50 else None,
    )


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise OciError(f"the {what} is not JSON") from None
    if not isinstance(data, dict):
        raise OciError(f"the {what} is not a JSON object")
    return data


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _pairs(values: Any) -> tuple[tuple[str, str], ...]:
    found = []
    for item in values[:VARIABLE_LIMIT] if isinstance(values, list) else ():
        name, equals, value = item.partition("=") if isinstance(item, str) else ("", "", "")
        if equals and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]{0,127}", name):
            found.append((name, value[:4096]))
    return tuple(found)


def _labels(values: Any) -> tuple[tuple[str, str], ...]:
    items = list(values.items())[:VARIABLE_LIMIT] if isinstance(values, dict) else []
    return tuple((name[:128], value[:512]) for name, value in items if isinstance(name, str) and isinstance(value, str))
