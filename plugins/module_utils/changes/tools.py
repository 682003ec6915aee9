# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that a stage needs on a desk: install what is missing, note what was added, remove only that."""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..desk import Answer, Desk, WritableDesk
from ..judges.apt_errors import codes, explain, problems
from ..judges.common import named
from ..model.finding import Where
from ..readers import group, passwd
from . import unwritten
from .apt_runner import APT_ENVIRONMENT
from .bundle import OWN_FOLDER
from .settings import FOLDER

INSTALLED, CONFIGURATION = "installed", "config-files"
"""States of dpkg: there, and removed with its configuration left behind."""

RECORD = "/var/lib/dgx_spark/pair_tools.json"
FOLDERS = (posixpath.dirname(RECORD), FOLDER, OWN_FOLDER)
"""Where this collection leaves anything on a desk: records, settings, the bundle."""
INSTALL_SECONDS = 900.0
"""Open MPI and its dependencies are about 30 MB."""

AGAIN = (
    "Fix what apt names (sudo dpkg --configure -a; sudo apt-get -f install; sudo apt-mark unhold PACKAGE for one that is on hold), then "
    "run unstack_pair.yml again."
)

_HELD = re.compile(r"^The following held packages will be changed:\n((?: [^\n]{0,2000}\n?){1,20})", re.MULTILINE)

_NOT_EMPTY = re.compile(r"while removing (\S{1,100}), directory '([^']{1,400})' not empty so not removed")
"""What dpkg says of a folder that it leaves."""


class ToolsError(Exception):
    """A package could not be installed or removed; ``said`` is what apt said, ``code`` and ``remedy`` what it means where that is known."""

    def __init__(self, text: str, said: str = "", code: str | None = None, remedy: str | None = None) -> None:
        self.text, self.said, self.code, self.remedy = text, said, code, remedy
        super().__init__(text)


@dataclass
class Outcome:
    """What was done."""

    changed: bool = False
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """What stays after a removal, and why."""


def installed(desk: Desk) -> dict[str, str]:
    """Installed packages with version. Raises ToolsError when dpkg cannot be asked."""
    return _in_state(desk, INSTALLED)


def _present(desk: Desk) -> set[str]:
    """Packages of which more than configuration is there, half installed ones too: what broke off is there, and is removed as well."""
    return {name for name, (_version, state) in _states(desk).items() if state not in (CONFIGURATION, "not-installed")}


def _in_state(desk: Desk, state: str) -> dict[str, str]:
    return {name: version for name, (version, found) in _states(desk).items() if found == state}


def _states(desk: Desk) -> dict[str, tuple[str, str]]:
    """Version and state of each package that dpkg knows."""
    answer = desk.run(["dpkg-query", "-W", "-f", "${Package}\\t${Version}\\t${db:Status-Status}\\n"], timeout=30.0)
    if not answer.ok:
        raise ToolsError("the package database cannot be read", _said(answer))
    rows = (line.split("\t") for line in answer.stdout.splitlines())
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}


def apt(words: Sequence[str], lock_timeout: int) -> list[str]:
    """An apt-get command that waits for the package lock (four programs of DGX OS claim it) and asks nothing."""
    return ["apt-get", "-y", "-q", "-o", f"DPkg::Lock::Timeout={lock_timeout}", "-o", "Dpkg::Options::=--force-confold", *words]


def install(desk: WritableDesk, packages: Sequence[str], debs: Sequence[str], lock_timeout: int, check_mode: bool) -> Outcome:
    """Install what is missing of ``packages``, from ``debs`` (paths on the desk) where given. Raises ToolsError."""
    outcome = Outcome()
    before, left_over, there = installed(desk), _in_state(desk, CONFIGURATION), _present(desk)
    accounts = _accounts(desk)
    missing = [name for name in packages if name not in before]
    if not missing:
        return outcome
    outcome.changed = True
    what = list(debs) if debs else missing
    # apt-get keeps what it downloads: 62 MB that nobody takes away again.
    command = apt(["-o", "APT::Keep-Downloaded-Packages=false", "install", "--no-install-recommends", "--no-remove", *what], lock_timeout)
    outcome.commands.append(command)
    if check_mode:
        outcome.added = missing
        return outcome
    answer, lists = _run(desk, command, lock_timeout), ""
    if not answer.ok and not debs:
        # A desk's package lists may be older than its archive.
        update = apt(["update"], lock_timeout)
        outcome.commands += [update, command]
        fetched = _run(desk, update, lock_timeout)
        lists = fetched.stderr + fetched.stdout
        answer = _run(desk, command, lock_timeout)
    after = installed(desk)
    outcome.added = sorted(_present(desk) - there)
    if outcome.added:
        new = {
            kind: {**_numbers(desk, kind), **{name: number for name, number in now.items() if name not in accounts[kind]}}
            for kind, now in _accounts(desk).items()
        }
        had = {*_names(desk, "had_configuration"), *(set(outcome.added) & set(left_over))}
        _note(desk, {"added": sorted({*recorded(desk), *outcome.added}), "had_configuration": sorted(had), **new})
    left = [name for name in missing if name not in after]
    if left:
        raise _refused(f"{', '.join(left)} could not be installed", answer, lists)
    return outcome


def install_version(desk: WritableDesk, packages: Sequence[str], version: str, lock_timeout: int) -> Outcome:
    """Install packages in one version where they are missing; one that is there in another version is left alone and named.

    Raises ToolsError.
    """
    there = installed(desk)
    other = [f"{name} {there[name]}" for name in packages if there.get(name, version) != version]
    if other:
        raise ToolsError(f"{', '.join(other)} is installed; version {version} was expected")
    missing = [name for name in packages if name not in there]
    return install(desk, missing, [f"{name}={version}" for name in missing], lock_timeout, False)


def remove(desk: WritableDesk, lock_timeout: int, check_mode: bool) -> Outcome:
    """Remove what was added, nothing else; never autoremove. Raises ToolsError."""
    outcome = Outcome()
    noted = recorded(desk)
    if not noted:
        if not check_mode:
            _tidy(desk, outcome)
        return outcome
    there, left_over, foreign = _present(desk), _in_state(desk, CONFIGURATION), set(_names(desk, "had_configuration"))
    present = [name for name in noted if name in there]
    # Configuration that was there before us is not ours to purge; what somebody removed since then left ours.
    purged = [name for name in noted if name in {*there, *left_over} and name not in foreign]
    removed = [name for name in present if name in foreign]
    outcome.kept += [f"{name}: its configuration files were on the desk before" for name in noted if name in foreign]
    outcome.changed = True
    outcome.removed = present
    # --no-remove cannot be given to a removal, so it is simulated first: nothing that we did not add may go with it.
    wanted = [(verb, names) for verb, names in (("purge", purged), ("remove", removed)) if names]
    needed: dict[str, list[str]] = {}
    along = False
    for verb, names in wanted:
        if _others(desk, verb, names, noted, lock_timeout):
            along = True
            by_name = {name: _others(desk, verb, [name], noted, lock_timeout) for name in names}
            needed |= {name: found for name, found in by_name.items() if found}
    going = [name for name in noted if name not in needed]
    outcome.removed = [name for name in present if name in going]
    outcome.kept += _needed_by(needed)
    steps = [(verb, chosen) for verb, names in wanted if (chosen := [name for name in names if name in going])]
    for verb, names in steps if along else ():
        if others := _others(desk, verb, names, going, lock_timeout):
            remedy = (
                "Others installed that, and it needs packages of this collection's. Remove it first (sudo apt-get remove "
                f"{' '.join(others)}), then run unstack_pair.yml again; to keep it, delete {RECORD} on the desk: all that it names stays."
            )
            raise ToolsError(f"{', '.join(others)} would be removed as well, so nothing was removed", remedy=remedy)
    for verb, names in steps:
        command = apt([verb, *names], lock_timeout)
        outcome.commands.append(command)
        if not check_mode:
            answer = _run(desk, command, lock_timeout)
            if not answer.ok:
                raise _refused(f"{', '.join(names)} could not be removed", answer, remedy=AGAIN)
            outcome.kept += [
                f"{folder}: it came with {name}, and files that are not the package's lie in it"
                for name, folder in _NOT_EMPTY.findall(answer.stderr + answer.stdout)
            ]
    if not check_mode:
        if not needed:
            _remove_accounts(desk, outcome)
        try:
            desk.remove(RECORD)
        except OSError as error:
            raise ToolsError(f"{RECORD} cannot be removed: {error.strerror}", remedy=unwritten.remedy(error, RECORD)) from error
        _tidy(desk, outcome)
    return outcome


def _others(desk: Desk, verb: str, names: Sequence[str], ours: Sequence[str], lock_timeout: int) -> list[str]:
    """Packages of others that apt would take away with these. Raises ToolsError."""
    simulated = _run(desk, apt([verb, "--simulate", *names], lock_timeout), lock_timeout)
    if not simulated.ok:
        raise _refused("nothing was removed", simulated, remedy=AGAIN)
    going = {line.split()[1] for line in simulated.stdout.splitlines() if line.startswith(("Remv ", "Purg "))}
    return sorted(going - set(ours))


def _needed_by(needed: Mapping[str, Sequence[str]]) -> list[str]:
    """What stays because somebody installed what needs it, with the command that takes it away."""
    names: dict[str, list[str]] = {}
    for name, others in needed.items():
        names.setdefault(named(others, 5), []).append(name)
    return [
        f"{named(ours, 5)}: needed by {others}, which others installed; once that is gone: sudo apt-get purge {' '.join(ours)}"
        for others, ours in names.items()
    ]


def recorded(desk: Desk) -> list[str]:
    """Packages that were added."""
    return _names(desk, "added")


def _record(desk: Desk) -> dict[str, Any]:
    try:
        data = json.loads(desk.read_text(RECORD).text or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _names(desk: Desk, key: str) -> list[str]:
    """A list of packages in the record."""
    found = _record(desk).get(key)
    return [str(name) for name in found] if isinstance(found, list) else []


def _numbers(desk: Desk, key: str) -> dict[str, int]:
    """Names of accounts with their numbers in the record."""
    found = _record(desk).get(key)
    return {name: number for name, number in found.items() if isinstance(number, int)} if isinstance(found, dict) else {}


def _accounts(desk: Desk) -> dict[str, dict[str, int]]:
    """Groups and users of the desk's own files, with their numbers. Packages make such entries and Debian never takes them back."""
    groups = group.read(desk.read_text("/etc/group").text or "")
    users = passwd.read(desk.read_text("/etc/passwd").text or "")
    return {
        "groups": {str(item["name"]): item["gid"] for item in groups if item["gid"] is not None},
        "users": {str(item["name"]): item["uid"] for item in users if item["uid"] is not None},
    }


def _remove_accounts(desk: WritableDesk, outcome: Outcome) -> None:
    """Take away the groups that came with our packages and that nobody is in; say what stays. A user may own files, so it stays."""
    made, now = _numbers(desk, "groups"), _accounts(desk)
    entries = {item["name"]: item for item in group.read(desk.read_text("/etc/group").text or "")}
    primary = {item["gid"] for item in passwd.read(desk.read_text("/etc/passwd").text or "")}
    for name, number in sorted(made.items()):
        if now["groups"].get(name) != number:
            continue
        if entries[name]["members"] or number in primary:
            outcome.kept.append(f"group {name}: it came with the packages but now has members")
            continue
        command = ["groupdel", name]
        outcome.commands.append(command)
        answer = desk.run(command, timeout=30.0)
        if not answer.ok:
            outcome.kept.append(f"group {name}: {_said(answer)[:200]}")
    users = [name for name, number in _numbers(desk, "users").items() if now["users"].get(name) == number]
    outcome.kept += [f"user {name}: it came with the packages, and files may belong to it" for name in sorted(users)]


def _tidy(desk: WritableDesk, outcome: Outcome) -> None:
    """Take our folders away in which nothing is any more; say what is in the others. It is the last that a pair's removal does."""
    for folder in FOLDERS:
        listed = desk.list_dir(folder)
        if listed.error is None and not listed.names:
            with contextlib.suppress(OSError):
                desk.remove_empty_folder(folder)
                outcome.changed = True
        elif listed.names:
            names = ", ".join(sorted(listed.names)[:5])
            why = (
                "of other roles (the driver lock and the link keep their own records)"
                if folder == FOLDERS[0]
                else "in it (files of others, or of a part that this run did not take away)"
            )
            outcome.kept.append(f"{folder}: {names} {why}")


def _note(desk: WritableDesk, content: Mapping[str, Any]) -> None:
    try:
        desk.make_folder(posixpath.dirname(RECORD))
        desk.write_text(RECORD, json.dumps({key: value for key, value in content.items() if value}, indent=1) + "\n")
    except OSError as error:
        raise ToolsError(f"{RECORD} cannot be written: {error.strerror}", remedy=unwritten.remedy(error, RECORD)) from error


def _run(desk: Desk, command: Sequence[str], lock_timeout: int) -> Answer:
    return desk.run(command, timeout=INSTALL_SECONDS + lock_timeout, env=APT_ENVIRONMENT)


def _refused(what: str, answer: Answer, lists: str = "", remedy: str | None = None) -> ToolsError:
    """With apt's own reason, and its cure where that is known. ``lists``: what fetching the package lists said before; it is the cause
    where one of the desk's own archives was not read."""
    text = answer.stderr + answer.stdout
    if held := _HELD.search(answer.stdout):
        names = held.group(1).split()
        cure = f"They were put on hold with apt-mark. Where they may change or go: sudo apt-mark unhold {' '.join(names)}, then run again."
        return ToolsError(f"{what}: on hold: {named(names, 5)}", _said(answer), remedy=cure)
    if any(problem.needed for problem in problems(lists)):
        text = lists + text
    explained = explain(answer.argv, text, Where(), timeout=answer.error == "timeout")
    known = codes(text)[:1] not in ((), ("DRIVER_LOCK_UNSATISFIABLE",))
    means = (explained.code, explained.remedy) if known else (None, remedy)
    reason = " ".join(explained.evidence["says"][:2])
    return ToolsError(f"{what}{': ' if reason else ''}{reason}", _said(answer), *means)


def _said(answer: Answer) -> str:
    return answer.error or " ".join((answer.stderr or answer.stdout).split())[-600:]
