# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a desk answered as a recording: a folder with recording.yml, files/, commands.yml, denied.yml and missing.yml."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .sanitiser import Sanitiser

NOT_READ = "/.not-recorded"
"""Target of the dangling link that stands for a name in a folder that nobody looked into: it is there, and nothing is known of it."""

DETAILS = ("rc", "stdout", "stderr", "error")


class LeakError(Exception):
    """A sanitised recording still holds something of the owner; the text says where, never what."""


@dataclass(frozen=True)
class Recorded:
    """What a desk answered. Paths are absolute."""

    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Iterable[str]] = field(default_factory=dict)
    commands: tuple[Mapping[str, Any], ...] = ()
    """Each with ``argv`` and ``responses`` (a list of rc, stdout, stderr, error)."""
    denied: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def recorded_from_dict(data: Mapping[str, Any]) -> Recorded:
    """What `RecordingDesk.recorded` gave."""
    return Recorded(
        files=dict(data.get("files") or {}),
        links=dict(data.get("links") or {}),
        folders={path: list(names) for path, names in (data.get("folders") or {}).items()},
        commands=tuple(data.get("commands") or ()),
        denied=tuple(data.get("denied") or ()),
        missing=tuple(data.get("missing") or ()),
    )


def sanitised(recorded: Recorded, sanitiser: Sanitiser) -> Recorded:
    """The recording with every name of the owner replaced, file names, link targets and arguments included.

    Raises LeakError when the result still holds an original.
    """
    for path, text in recorded.files.items():
        sanitiser.learn_file(path, text)
    for path, target in recorded.links.items():
        sanitiser.learn_path(path)
        sanitiser.learn_path(target)
    for path, names in recorded.folders.items():
        for name in names:
            sanitiser.learn_path(f"{path}/{name}")
    for entry in recorded.commands:
        for response in entry["responses"]:
            sanitiser.learn_command(entry["argv"], str(response.get("stdout") or ""), str(response.get("stderr") or ""))
    for path in (*recorded.denied, *recorded.missing):
        sanitiser.learn_path(path)
    new = sanitiser.text
    result = Recorded(
        files={new(path): sanitiser.file(path, text) for path, text in recorded.files.items()},
        links={new(path): new(target) for path, target in recorded.links.items()},
        folders={new(path): [new(name) for name in names] for path, names in recorded.folders.items()},
        commands=tuple(
            {
                "argv": [new(word) for word in entry["argv"]],
                "responses": [
                    {key: new(value) if isinstance(value, str) and key != "error" else value for key, value in response.items()}
                    for response in entry["responses"]
                ],
            }
            for entry in recorded.commands
        ),
        denied=tuple(new(path) for path in recorded.denied),
        missing=tuple(new(path) for path in recorded.missing),
    )
    for place, text in _texts(result):
        if sanitiser.leaks(text):
            raise LeakError(f"{place} still holds a name, serial or address of the desk; nothing was written. Please report this as a bug.")
    return result


def _texts(recorded: Recorded) -> Iterable[tuple[str, str]]:
    for path, text in (*recorded.files.items(), *recorded.links.items()):
        yield path, f"{path}\n{text}"
    for path, names in recorded.folders.items():
        yield path, "\n".join((path, *names))
    for entry in recorded.commands:
        argv = " ".join(entry["argv"])
        yield f"command {argv}", "\n".join((argv, *(str(value) for response in entry["responses"] for value in response.values())))
    yield "denied and missing paths", "\n".join((*recorded.denied, *recorded.missing))


def write(recorded: Recorded, folder: str | os.PathLike[str], about: Mapping[str, Any], *, replace: bool = False) -> Path:
    """Write a recording and return its folder. It is made beside its place and moved there when whole.

    Raises FileExistsError when the folder is there and may not be replaced.
    """
    target = Path(folder)
    if target.exists() and not replace:
        raise FileExistsError(f"{target} is there already; give replace to write it anew")
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        made.chmod(0o755)
        _write_files(recorded, made / "files")
        _yaml(made / "recording.yml", dict(about))
        _yaml(made / "commands.yml", [_command(entry) for entry in recorded.commands])
        for name, paths in (("denied.yml", recorded.denied), ("missing.yml", recorded.missing)):
            if paths:
                _yaml(made / name, sorted(paths))
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return target


def _command(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of commands.yml; several equal answers are one."""
    responses = [{key: response[key] for key in DETAILS if response.get(key) not in (None, "")} for response in entry["responses"]]
    if all(response == responses[0] for response in responses):
        return {"argv": list(entry["argv"]), **responses[0]}
    return {"argv": list(entry["argv"]), "responses": responses}


def _write_files(recorded: Recorded, root: Path) -> None:
    root.mkdir()
    for path, target in sorted(recorded.links.items()):
        place = _place(root, path)
        if place is not None and not os.path.lexists(place):
            os.symlink(target, place)
    for path in sorted(recorded.folders):
        place = _place(root, path)
        if place is not None and not os.path.lexists(place):
            place.mkdir()
    for path, text in sorted(recorded.files.items()):
        place = _place(root, path)
        if place is not None and not os.path.lexists(place):
            place.write_bytes(text.encode("utf-8", "surrogateescape"))
    for path, names in sorted(recorded.folders.items()):
        for name in names:
            place = _place(root, f"{path}/{name}")
            if place is not None and not os.path.lexists(place):
                os.symlink(NOT_READ, place)
        home = _place(root, path)
        # Git keeps no empty folder.
        if home is not None and home.is_dir() and not any(home.iterdir()):
            (home / ".gitkeep").touch()


def _place(root: Path, path: str) -> Path | None:
    """Where a path of the desk stands below ``root``, its folders made; null for a path that would leave it."""
    parts = [part for part in path.split("/") if part]
    if not parts or ".." in parts or any("\0" in part for part in parts):
        return None
    here = root
    for part in parts[:-1]:
        here /= part
        # A link on the way would lead out of the recording; canonical paths have none.
        if here.is_symlink():
            return None
        if not here.is_dir():
            if here.exists():
                return None
            here.mkdir()
    return here / parts[-1]


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a person can read a recording."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _yaml(path: Path, data: Any) -> None:
    path.write_text(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140), encoding="utf-8")
