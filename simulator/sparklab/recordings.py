"""A recording as a desk takes it: checked, and copied into the desk's state folder as plain JSON and files.

The format is that of the project's recordings (recording.yml, files/, links.yml, commands.yml, denied.yml, missing.yml); it is read here
on its own, so that a desk and a replay that agree agree about the recording and not about one reader of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from sparklab import paths
from sparklab.errors import LabError
from sparklab.files import sent_yaml

FOLDER = "recording"
"""Name of the copy in the desk's state folder."""


def find(text: str, beside: Path | None = None) -> Path:
    """The folder of a recording: a path (from here or from the lab file's folder), or a name in tests/recordings/.

    :raises LabError: when none of them is a recording.
    """
    shipped = paths.SIMULATOR.parent / "tests" / "recordings" / text
    places = [Path(text), *([beside / text] if beside else []), shipped]

    def there() -> Path | None:
        return next((place.resolve() for place in places if (place / "recording.yml").is_file()), None)

    found = there()
    if found is None or found == shipped.resolve():
        _make()
        found = there()
    if found is None:
        raise LabError(f"{text!r} is neither a recording (a folder with recording.yml) nor a name in tests/recordings/.", code=2)
    return found


def _make() -> None:
    """Make the project's own recordings where they are missing or out of date: git keeps their descriptions only.

    :raises LabError: when they cannot be made.
    """
    tool = paths.SIMULATOR.parent / "tools" / "make_recordings.py"
    done = subprocess.run([sys.executable, str(tool)], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise LabError(f"The recordings below tests/recordings cannot be made ({tool}): {said}", code=2)


def commands(folder: Path) -> list[dict[str, Any]]:
    """The recorded commands as the desk's stand-ins read them: argv and a list of responses.

    :raises LabError: naming the file and the entry that is wrong.
    """
    path = folder / "commands.yml"
    data = _yaml(path) if path.exists() else []
    if not isinstance(data, list):
        raise LabError(f"{path} must be a list of commands.", code=2)
    found = []
    for number, entry in enumerate(data, start=1):
        argv = entry.get("argv") if isinstance(entry, dict) else None
        if not isinstance(argv, list) or not argv:
            raise LabError(f"{path}: entry {number} has no argv list.", code=2)
        responses = [
            {
                "rc": int(one.get("rc") or 0),
                "stdout": str(one.get("stdout") or ""),
                "stderr": str(one.get("stderr") or ""),
                "error": one.get("error"),
            }
            for one in entry.get("responses") or [entry]
        ]
        found.append({"argv": [str(word) for word in argv], "responses": responses})
    return found


def _paths(path: Path) -> list[str]:
    """The paths that a file lists, each from the desk's root."""
    data = _yaml(path) if path.exists() else []
    return ["/" + str(item).lstrip("/") for item in data] if isinstance(data, list) else []


def unpack(folder: Path, state: Path) -> None:
    """Copy a recording into a desk's state folder."""
    target = state / FOLDER
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if (folder / "files").is_symlink():
        raise LabError(f"{folder / 'files'} is a symbolic link; a recording must contain its own files.", code=2)
    if (folder / "files").is_dir():
        try:
            shutil.copytree(
                folder / "files", target / "files", symlinks=True, copy_function=_copy, ignore=shutil.ignore_patterns(".gitkeep")
            )
        except OSError as error:
            # copytree copies what it can and lists (source, target, reason) of the rest.
            said = error.args[0][0][2] if isinstance(error, shutil.Error) else error
            raise LabError(f"{folder / 'files'} cannot be copied: {said}", code=2) from error
    _make_links(target / "files", _yaml(folder / "links.yml") if (folder / "links.yml").exists() else {}, folder / "links.yml")
    refused = _paths(folder / "denied.yml")
    document = {"commands": commands(folder), "missing": _paths(folder / "missing.yml")}
    (target / "recording.json").write_text(json.dumps(document), encoding="utf-8")
    for here, _folders, names in os.walk(target):
        os.chmod(here, 0o755)
        for name in names:
            path = os.path.join(here, name)
            if not os.path.islink(path):
                own = "/" + os.path.relpath(path, target / "files")
                os.chmod(path, 0o600 if any(own == one or own.startswith(one + "/") for one in refused) else 0o644)


def _copy(source: str, target: str) -> str:
    """Copy a file; a device may have no end."""
    if not os.path.isfile(source):
        raise OSError(f"{source} is not a regular file")
    return str(shutil.copy2(source, target))


def _make_links(root: Path, links: Any, source: Path) -> None:
    """Make the links that the recording keeps as data, where the desk looks for them."""
    if not isinstance(links, dict):
        raise LabError(f"{source} must be a mapping of paths to the targets of links.", code=2)
    for path, target in sorted((str(path), str(target)) for path, target in links.items()):
        parts = [part for part in path.split("/") if part]
        places = [root.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
        if not parts or ".." in parts or any(place.is_symlink() for place in places) or os.path.lexists(places[-1]):
            continue
        places[-1].parent.mkdir(parents=True, exist_ok=True)
        places[-1].symlink_to(target)


def _yaml(path: Path) -> Any:
    try:
        if path.is_symlink():
            raise LabError(f"{path} is a link.", code=2)
        return sent_yaml(path)
    except (OSError, yaml.YAMLError) as error:
        raise LabError(f"{path} cannot be read: {' '.join(str(error).split())}", code=2) from error
