# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a desk answered as a recording: a folder with recording.yml, files/, links.yml, commands.yml, denied.yml and missing.yml.

The desk's symbolic links are written as data, never made: an archive of the folder would follow them into the admin's own files.
Folders are for their owner only (0700, files 0600).
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
import os
import posixpath
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from . import recording_boot as boot
from . import recording_names as names
from . import recording_packages as packing
from . import recording_policy as policy
from . import recording_reducers as reduce
from .sanitiser import Sanitiser

NOT_READ = "/.not-recorded"
"""Target of the link that stands for a name in a folder that nobody looked into: it is there, and nothing is known of it."""

DETAILS = ("rc", "stdout", "stderr", "error")
ENTRIES_LIMIT = 50_000
"""Files, links, names in folders, or answers of commands in one recording."""
NAMES_LIMIT = 5000
"""Names of the owner's in one recording: each is looked for in every text."""
PACKED_LIMIT = 24 * 1024 * 1024
UNPACKED_LIMIT = 96 * 1024 * 1024
"""Bytes of a recording as the module sends it, and as it is unpacked; one of a real desk has about 4 MB."""

PREFERENCES = "/etc/apt/preferences.d"
_PACKAGE_TOOLS = frozenset(("dpkg", "dpkg-query", "apt-mark"))
_BOOT_FILES = re.compile(r"/boot/grub/(?:grub\.cfg|grubenv)|/etc/default/grub(?:\.d/.*)?")

PATH_LIMIT = 4096
TEXT_LIMIT = 16 * 1024 * 1024
"""Characters of one file or output."""


class ShapeError(ValueError):
    """What a desk gave as its recording is not of the agreed shape or size; the text says where."""


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
    """What `RecordingDesk.recorded` gave. It comes from a desk, so it is checked. Raises ShapeError."""
    if not isinstance(data, Mapping):
        raise ShapeError(f"the recording is {type(data).__name__}; a mapping was expected")
    folders = {path: list(_items("folders", names)) for path, names in _table(data, "folders")}
    recorded = Recorded(
        files=dict(_table(data, "files")),
        links=dict(_table(data, "links")),
        folders=folders,
        commands=tuple(_checked_command(entry) for entry in _items("commands", data.get("commands"))),
        denied=tuple(_items("denied", data.get("denied"))),
        missing=tuple(_items("missing", data.get("missing"))),
    )
    for path, text in (*recorded.files.items(), *recorded.links.items()):
        if not isinstance(text, str) or len(text) > TEXT_LIMIT:
            raise ShapeError(f"{path[:80]!r} holds something other than text of at most {TEXT_LIMIT} characters")
    paths = (
        *recorded.files,
        *recorded.links,
        *folders,
        *recorded.denied,
        *recorded.missing,
        *(n for names in folders.values() for n in names),
    )
    for path in paths:
        if not isinstance(path, str) or len(path) > PATH_LIMIT:
            raise ShapeError(f"a path is not text of at most {PATH_LIMIT} characters")
    return recorded


def unpacked(packed: Any) -> Recorded:
    """What the module `spark_record` sent: base64 of compressed JSON, never more than a bound unpacked. Raises ShapeError."""
    if not isinstance(packed, str) or len(packed) > PACKED_LIMIT:
        raise ShapeError(f"the recording is not text of at most {PACKED_LIMIT} characters")
    try:
        opener = zlib.decompressobj()
        data = opener.decompress(base64.b64decode(packed, validate=True), UNPACKED_LIMIT)
        if not opener.eof:
            raise ShapeError(f"the recording is truncated, or larger than {UNPACKED_LIMIT} bytes unpacked")
        return recorded_from_dict(json.loads(data.decode("utf-8", "surrogatepass")))
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        if isinstance(error, ShapeError):
            raise
        raise ShapeError(f"the recording cannot be unpacked: {error}") from error


def _table(data: Mapping[str, Any], name: str) -> Iterable[tuple[str, Any]]:
    value = data.get(name) or {}
    if not isinstance(value, Mapping) or len(value) > ENTRIES_LIMIT:
        raise ShapeError(f"{name} is not a mapping of at most {ENTRIES_LIMIT} entries")
    return value.items()


def _items(name: str, value: Any) -> Iterable[Any]:
    if value is not None and (not isinstance(value, (list, tuple)) or len(value) > ENTRIES_LIMIT):
        raise ShapeError(f"{name} is not a list of at most {ENTRIES_LIMIT} entries")
    return value or ()


def _checked_command(entry: Any) -> dict[str, Any]:
    argv = entry.get("argv") if isinstance(entry, Mapping) else None
    responses = entry.get("responses") if isinstance(entry, Mapping) else None
    if not isinstance(argv, (list, tuple)) or not argv or len(argv) > 1000 or not all(isinstance(word, str) for word in argv):
        raise ShapeError("a command has no argv list of texts")
    if not isinstance(responses, (list, tuple)) or not responses or len(responses) > 1000:
        raise ShapeError(f"the command {argv[0][:40]!r} has no list of responses")
    found = []
    for response in responses:
        if not isinstance(response, Mapping):
            raise ShapeError(f"the command {argv[0][:40]!r} has a response that is not a mapping")
        rc, error = response.get("rc"), response.get("error")
        texts = {key: response[key] for key in ("stdout", "stderr") if response.get(key)}
        if not all(isinstance(text, str) and len(text) <= TEXT_LIMIT for text in texts.values()):
            raise ShapeError(f"an output of the command {argv[0][:40]!r} is not text of at most {TEXT_LIMIT} characters")
        if not (rc is None or (isinstance(rc, int) and not isinstance(rc, bool))) or error not in (None, "timeout", "denied", "missing"):
            raise ShapeError(f"a response of the command {argv[0][:40]!r} has rc {rc!r:.20} and error {error!r:.20}")
        found.append({**({"rc": rc} if rc is not None else {}), **texts, **({"error": error} if error else {})})
    return {"argv": list(argv), "responses": found}


def reduced(recorded: Recorded, sanitiser: Sanitiser) -> Recorded:
    """Of each file and output what may be recorded; a path or command that no rule names is left out."""
    logins = sanitiser.logins
    files = {path: policy.reduced_file(path, text, logins) for path, text in recorded.files.items()}
    kept = {path for path, text in files.items() if text is not None}
    folders = {path: policy.reduced_names(path, names) for path, names in recorded.folders.items() if policy.keeps_path(f"{path}/")}
    return Recorded(
        files={path: text for path, text in files.items() if text is not None},
        links={
            path: policy.shown_target(path, target, kept) if policy.keeps_target(path, target, kept) else NOT_READ
            for path, target in recorded.links.items()
            if policy.keeps_link(path, target, kept)
        },
        folders=folders,
        commands=tuple(
            {"argv": entry["argv"], "responses": [_reduced_response(entry["argv"], response, logins) for response in entry["responses"]]}
            for entry in recorded.commands
            if policy.command_rule(entry["argv"]) is not None
        ),
        denied=tuple(filter(policy.keeps_path, recorded.denied)),
        missing=tuple(filter(policy.keeps_path, recorded.missing)),
    )


def _reduced_response(argv: list[str], response: Mapping[str, Any], logins: frozenset[str]) -> dict[str, Any]:
    found = {key: response[key] for key in ("rc", "error") if response.get(key) is not None}
    texts = {
        "stdout": policy.reduced_output(argv, str(response.get("stdout") or "")[:TEXT_LIMIT], logins),
        "stderr": policy.reduced_errors(str(response.get("stderr") or "")),
    }
    return {**found, **{key: text for key, text in texts.items() if text}}


def sanitised(recorded: Recorded, sanitiser: Sanitiser) -> Recorded:
    """The recording with only what may be recorded, and every name of the owner replaced, file names, link targets and arguments included.

    Raises LeakError when the result still holds an original or what looks like a secret.
    """
    for path, text in recorded.files.items():
        sanitiser.learn_file(path, text)
    for path, target in recorded.links.items():
        sanitiser.learn_path(path)
        sanitiser.learn_path(target)
        sanitiser.learn_path(posixpath.join(posixpath.dirname(path), target))
    for path, found in recorded.folders.items():
        for name in found:
            sanitiser.learn_path(f"{path}/{name}")
    for entry in recorded.commands:
        for response in entry["responses"]:
            sanitiser.learn_command(entry["argv"], str(response.get("stdout") or ""), str(response.get("stderr") or ""))
    for path in (*recorded.denied, *recorded.missing):
        sanitiser.learn_path(path)
    if sanitiser.learned > NAMES_LIMIT:
        raise LeakError(
            f"The desk names {sanitiser.learned} accounts, hosts, networks and the like, and at most {NAMES_LIMIT} can be replaced; "
            "nothing was written."
        )
    new = sanitiser.text
    packages = packing.Packages()
    packages.learn(recorded.files.get(packing.STATUS, ""))
    recorded = _renamed(reduced(_grouped(recorded, sanitiser.logins), sanitiser), packages)
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
    menus = boot.retitled({path: text for path, text in result.files.items() if _BOOT_FILES.fullmatch(path)})
    result = replace(result, files={**result.files, **menus})
    for place, text in _texts(result):
        if sanitiser.leaks(text):
            raise LeakError(
                f"{place} still holds a name, serial or address of the desk, or what looks like a secret; nothing was written. "
                "Please report this as a bug."
            )
    return result


def _grouped(recorded: Recorded, logins: frozenset[str]) -> Recorded:
    """With the groups of the login user called as in its recording, also where sshd names them; how is in /etc/group alone."""
    called: dict[str, str] = {}
    for line in recorded.files.get("/etc/group", "").split("\n"):
        cells = line.split(":")
        if len(cells) > 3 and cells[2].isdecimal() and (logins & set(cells[3].split(",")) or cells[0] in logins):
            called[cells[0]] = reduce.group_name(cells[0], cells[2], logins)

    def line_of(line: str) -> str:
        keyword, _blank, value = line.partition(" ")
        if not keyword.endswith("groups"):
            return line
        words = (
            called.get(word) or next((new for old, new in called.items() if fnmatch.fnmatchcase(old, word)), word) for word in value.split()
        )
        return " ".join((keyword, *(word if "*" not in word or word == "*" else "other" for word in words)))

    def answer(argv: Sequence[str], response: Mapping[str, Any]) -> Mapping[str, Any]:
        if "sshd" not in argv[:3] or not response.get("stdout"):
            return response
        return {**response, "stdout": "\n".join(map(line_of, response["stdout"].split("\n")))}

    commands = tuple({**entry, "responses": [answer(entry["argv"], item) for item in entry["responses"]]} for entry in recorded.commands)
    return replace(recorded, commands=commands)


def _renamed(recorded: Recorded, packages: packing.Packages) -> Recorded:
    """With stand-ins for files of settings and for packages that somebody named."""
    settings = names.SettingFiles()
    targets = (posixpath.join(posixpath.dirname(path), target) for path, target in recorded.links.items())
    for path in (*recorded.files, *recorded.links, *targets, *recorded.denied, *recorded.missing):
        settings.learn(path)
    for folder, found in recorded.folders.items():
        for name in found:
            settings.learn(f"{folder}/{name}")

    for path, text in recorded.files.items():
        packages.learn_names(packing.named_in(path, text))
        for name in packing.pins(text) if packing.LOCK.fullmatch(path) else ():
            settings.learn(f"{PREFERENCES}/{name}")
    for entry in recorded.commands:
        for item in entry["responses"] if set(entry["argv"][:3]) & _PACKAGE_TOOLS else ():
            packages.learn_list(item.get("stdout") or "")

    def text_of(path: str, text: str) -> str:
        if packing.LOCK.fullmatch(path):
            text = re.sub(r'"([\w.-]{1,80})"', lambda found: f'"{settings.name(PREFERENCES, found.group(1))}"', text)
        return packages.text(text, path) if packing.names_packages(path) else text

    def response_of(argv: Sequence[str], response: Mapping[str, Any]) -> Mapping[str, Any]:
        told = response.get("stdout")
        return {**response, "stdout": packages.text(told)} if told and set(argv[:3]) & _PACKAGE_TOOLS else response

    return Recorded(
        files={settings.path(path): text_of(path, text) for path, text in recorded.files.items()},
        links={settings.path(path): settings.target(path, target) for path, target in recorded.links.items()},
        folders={path: [settings.name(path, name) for name in found] for path, found in recorded.folders.items()},
        commands=tuple(
            {**entry, "responses": [response_of(entry["argv"], item) for item in entry["responses"]]} for entry in recorded.commands
        ),
        denied=tuple(settings.path(path) for path in recorded.denied),
        missing=tuple(settings.path(path) for path in recorded.missing),
    )


def _texts(recorded: Recorded) -> Iterable[tuple[str, str]]:
    for path, text in (*recorded.files.items(), *recorded.links.items()):
        yield path, f"{path}\n{text}"
    for path, found in recorded.folders.items():
        yield path, "\n".join((path, *found))
    for entry in recorded.commands:
        argv = " ".join(entry["argv"])
        yield f"command {argv}", "\n".join((argv, *(str(value) for response in entry["responses"] for value in response.values())))
    yield "denied and missing paths", "\n".join((*recorded.denied, *recorded.missing))


def write(recorded: Recorded, folder: str | os.PathLike[str], about: Mapping[str, Any], *, replace: bool = False) -> Path:
    """Write a recording and return its folder. It is made beside its place and moved there when whole.

    Raises FileExistsError when the folder is there and may not be replaced.
    """
    target = Path(folder)
    if os.path.lexists(target):
        if not replace:
            raise FileExistsError(f"{target} already exists; set replace to overwrite it")
        if target.is_symlink() or not (target / "recording.yml").is_file():
            raise FileExistsError(f"{target} is not a recording and is not overwritten by one; move it away")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkdtemp makes a folder that only its owner may enter.
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        links = {path: target for path, target in {**_unread(recorded), **recorded.links}.items() if parts_of(path)}
        _write_files(recorded, made / "files", links)
        _yaml(made / "recording.yml", dict(about))
        _yaml(made / "commands.yml", [_command(entry) for entry in recorded.commands])
        tables = (("links.yml", links), ("denied.yml", sorted(recorded.denied)), ("missing.yml", sorted(recorded.missing)))
        for name, data in tables:
            if data:
                _yaml(made / name, dict(sorted(data.items())) if isinstance(data, dict) else data)
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


def _unread(recorded: Recorded) -> dict[str, str]:
    """The names in listed folders that nobody looked into, as links to nowhere."""
    known = {*recorded.links, *recorded.folders}
    for path in recorded.files:
        parts = path.split("/")
        known.update("/".join(parts[:place]) for place in range(2, len(parts) + 1))
    for path in recorded.folders:
        parts = path.split("/")
        known.update("/".join(parts[:place]) for place in range(2, len(parts)))
    names = (f"{'' if path == '/' else path}/{name}" for path, inner in recorded.folders.items() for name in inner)
    return {path: NOT_READ for path in names if path not in known}


def _write_files(recorded: Recorded, root: Path, links: Mapping[str, str]) -> None:
    root.mkdir(mode=0o700)
    for path in sorted(recorded.folders):
        place = _place(root, path, links)
        if place is not None and not place.exists():
            place.mkdir(mode=0o700)
    for path, text in sorted(recorded.files.items()):
        place = _place(root, path, links)
        if place is not None and not place.exists():
            _write(place, text.encode("utf-8", "surrogateescape"))
    for path in sorted(recorded.folders):
        home = _place(root, path, links)
        # Git keeps no empty folder.
        if home is not None and home.is_dir() and not any(home.iterdir()):
            _write(home / ".gitkeep", b"")


def parts_of(path: str) -> list[str]:
    """The steps of a path from the desk's root; empty for one that would leave it."""
    parts = [part for part in path.split("/") if part]
    return [] if ".." in parts or any("\0" in part or len(part.encode("utf-8", "surrogatepass")) > 255 for part in parts) else parts


def _place(root: Path, path: str, links: Mapping[str, str]) -> Path | None:
    """Where a path of the desk stands below ``root``, its folders made; null for one that would leave it or stands behind a link."""
    parts = parts_of(path)
    if not parts or any("/" + "/".join(parts[: place + 1]) in links for place in range(len(parts))):
        return None
    here = root
    for part in parts[:-1]:
        here /= part
        if not here.is_dir():
            if here.exists():
                return None
            here.mkdir(mode=0o700)
    return here / parts[-1]


def _write(path: Path, data: bytes) -> None:
    """A new file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a person can read a recording; no aliases, which are not read."""

    def ignore_aliases(self, data: Any) -> bool:
        """See the class."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _yaml(path: Path, data: Any) -> None:
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)
    _write(path, text.encode("utf-8", "surrogateescape"))
