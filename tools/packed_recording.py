# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording as one YAML file, so that git keeps one file for it and a review shows what changed.

The folder is the exchange format; this form only stores it: `recording` is recording.yml, `files` is keyed by path, `folders` names every
folder that is empty, `links`, `commands`, `denied` and `missing` are the folder's own files. A file that is not UTF-8 stands as `!!binary`;
a symbolic link in files/ becomes an entry of `links`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from plugins.plugin_utils import plain_yaml

OTHERS = ("links", "commands", "denied", "missing")
KEEP = ".gitkeep"
"""Stands in an empty folder, which git would not keep."""

FILE_LIMIT = 16 * 1024 * 1024
"""Bytes of one file that is packed."""


class PackError(Exception):
    """What cannot be packed or expanded, in one line."""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a difference is a line."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def pack(folder: Path) -> str:
    """The one-file form of a recording's folder. Raises PackError."""
    if not (folder / "recording.yml").is_file():
        raise PackError(f"{folder} is not a recording: it has no recording.yml")
    document: dict[str, Any] = {"recording": _read(folder / "recording.yml")}
    files: dict[str, str | bytes] = {}
    links: dict[str, str] = {}
    folders: list[str] = []
    root = folder / "files"
    if any(path.is_symlink() for path in folder.iterdir()):
        raise PackError(f"{folder} has a symbolic link beside its files/: it could be anyone's file")
    for here, inner, names in os.walk(root):
        own = os.path.relpath(here, root)
        base = "" if own == "." else f"/{own}"
        for name in (*inner, *names):
            path = os.path.join(here, name)
            if os.path.islink(path):
                links[f"{base}/{name}"] = os.readlink(path)
            elif name in names and name != KEEP:
                files[f"{base}/{name}"] = _content(Path(path))
        if base and not inner and not set(names) - {KEEP}:
            folders.append(base)
    document |= {key: value for key, value in (("files", dict(sorted(files.items()))), ("folders", sorted(folders))) if value}
    others = {name: _read(folder / f"{name}.yml") for name in OTHERS if (folder / f"{name}.yml").is_file()}
    if links:
        others["links"] = dict(sorted({**links, **(others.get("links") or {})}.items()))
    document |= others
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140))


def expand(packed: Path, folder: Path) -> None:
    """Write the folder of a packed recording; `folder` must not be there. Raises PackError."""
    document = _read(packed)
    if not isinstance(document, dict) or not isinstance(document.get("recording"), dict):
        raise PackError(f"{packed} is not a packed recording: it has no mapping `recording`")
    root = folder / "files"
    root.mkdir(parents=True)
    for path in document.get("folders") or []:
        place = _place(root, path)
        place.mkdir(exist_ok=True)
        (place / KEEP).touch()
    for path, content in (document.get("files") or {}).items():
        _place(root, path).write_bytes(content if isinstance(content, bytes) else content.encode())
    for name in ("recording", *OTHERS):
        if name in document:
            text = yaml.dump(document[name], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)
            (folder / f"{name}.yml").write_text(text, encoding="utf-8")


def _place(root: Path, path: str) -> Path:
    parts = [part for part in path.split("/") if part]
    if not parts or ".." in parts:
        raise PackError(f"{path!r} is not a path below a desk's root")
    place = root.joinpath(*parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _content(path: Path) -> str | bytes:
    if not path.is_file():
        raise PackError(f"{path} is not a regular file")
    if path.stat().st_size > FILE_LIMIT:
        raise PackError(f"{path} is larger than {FILE_LIMIT} bytes")
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def _read(path: Path) -> Any:
    try:
        return plain_yaml.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
